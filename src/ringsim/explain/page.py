"""An explanation in words: what the time is made of, which links were busy, the critical path, and what would help.

Pure functions from an `Explanation` to lines of text, as in `ringsim.report`.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ringsim.explain import Explanation
from ringsim.explain.causes import Cause
from ringsim.explain.evidence import codec
from ringsim.explain.folding import Block, Stretch, fold
from ringsim.explain.links import groups
from ringsim.explain.path import PARTS
from ringsim.explain.subject import Subject
from ringsim.report import WORDS, Line, counted
from ringsim.units import format_rate, format_size
from ringsim.writing import columns, micro, share

#: Rows of the table of links.
LINKS = 10

#: Lines for the critical path.
HOPS = 20

#: Changes that save less, or cost less, are only named.
LITTLE = 0.005


def page(explanation: Explanation, *, hops: int = HOPS, quiet: bool = False) -> Sequence[Line]:
    """Lay out everything; without the title if `quiet`.

    Parameters
    ----------
    explanation : Explanation
    hops : int
        Lines for the critical path, at most.
    quiet : bool
    """
    subject, blank = explanation.subject, Line("", "blank")
    above = [] if quiet else [*title(subject), blank]
    return [
        *above, *breakdown(subject), blank, *busiest(subject), blank, *path(subject, hops), blank,
        *remedies(explanation.causes), blank, verdict(explanation),
    ]  # fmt: skip


def title(subject: Subject) -> list[Line]:
    """Say what is explained."""
    case, algorithm = subject.case, subject.algorithm
    pieces = counted(case.pieces, algorithm.piece.removesuffix("s"))
    plan = f"{case.algorithm} on {counted(case.channels, 'channel')}, {pieces}, {case.protocol}"
    among = len(subject.answer.candidates)
    size = f"{case.collective} of {format_size(case.bytes)} on {case.cards:,} cards"
    found = [
        Line(f"{size} of {case.fabric}, {micro(subject.time_us / 1e6)} us", "title"),
        Line(plan + (f": the fastest of {among} candidates" if among > 1 else "")),
    ]
    if subject.codec is not None:
        found.append(Line(codec(subject), "note"))
    return found + [Line(f"changed: {change}", "note") for change in case.changed]


# -- what it is made of ---------------------------------------------------------------------------------------


def breakdown(subject: Subject) -> list[Line]:
    """Lay out the parts of the critical path that are not nothing, and their sum."""
    total = float(subject.path.total.sum())
    rows = [("along the critical path", "time (us)", "share")]
    rows += [(name, micro(spent), share(spent / total)) for name, spent in _parts(subject)]
    lines = columns([*rows, ("total", micro(total), share(1.0))], left=(0,))
    return [Line(line, "heading" if i == 0 else "row") for i, line in enumerate(lines)]


def _parts(subject: Subject) -> Iterator[tuple[str, float]]:
    for name, spent in zip(PARTS, subject.path.total.tolist(), strict=True):
        if spent > 0:
            yield name, spent


# -- links ----------------------------------------------------------------------------------------------------


def busiest(subject: Subject) -> list[Line]:
    """Lay out the busiest links, those that are alike in one row."""
    rows = [("busiest links", "alike", "kind", "rate", "bytes", "busy")]
    for group in islice(groups(subject), LINKS):
        alike = f"{group.alike:,} of {group.of:,}" if group.of else "1"
        kind = f"{WORDS[group.kind]} ({group.kind})" if "→" in group.kind else WORDS.get(group.kind, "protocol's limit")
        size = format_size(round(group.bytes))
        rows.append((group.name, alike, kind, format_rate(group.bandwidth), size, share(group.busy)))
    lines = columns(rows, left=(0, 2))
    return [Line(line, "heading" if i == 0 else "row") for i, line in enumerate(lines)]


# -- path -----------------------------------------------------------------------------------------------------


def path(subject: Subject, most: int) -> list[Line]:
    """Lay out the critical path, folded, in at most so many lines and one that says what is missing."""
    blocks = fold(subject)
    shown = [i for i in range(len(PARTS)) if subject.path.parts[:, i].any()]
    rows = [("critical path", "hops", "op", "over", "time", *(_SHORT[PARTS[i]] for i in shown))]
    for block in blocks:
        if block.times > 1:
            rows.append((f"{block.times:,} times:", *[""] * (4 + len(shown))))
        rows += [_row(stretch, block, shown) for stretch in block.stretches]
    head, *lines = columns(rows, left=(0, 2, 3))
    most = max(2, most)
    if len(lines) > most:
        front, back = (most + 1) // 2, most // 2
        note = f"… {len(lines) - most:,} more lines; --hops {len(lines)} shows them"
        lines = [*lines[:front], note, *lines[-back:]]
    return [Line(head, "heading"), *(Line(line) for line in lines)]


#: What the columns of the critical path are called.
_SHORT = {
    "start-up": "start-up", "sender's overhead": "overhead", "sending": "sending", "gap between messages": "gap",
    "waiting for shared links": "waiting", "latency of links": "latency", "software steps": "steps", "reducing": "reducing",
    "copying out": "copying",
    "encoding and decoding": "coding", "waiting for a card's memory": "memory wait",
}  # fmt: skip


def _row(stretch: Stretch, block: Block, shown: Sequence[int]) -> tuple[str, ...]:
    indent = "  " if block.times > 1 else ""
    name = stretch.first if stretch.hops == 1 or stretch.first == stretch.last else f"{stretch.first} … {stretch.last}"
    what = f"{indent}{name}{'' if stretch.delivered else ', until sent'}"
    hops = f"{block.times * stretch.hops:,}"
    spent = stretch.parts
    return (what, hops, stretch.op, stretch.over, micro(float(np.sum(spent))), *(micro(float(spent[i])) for i in shown))


# -- what would help ------------------------------------------------------------------------------------------


def remedies(causes: Sequence[Cause]) -> list[Line]:
    """Lay out the changes that matter, each with what speaks for it and the command that shows it."""
    matter = [cause for cause in causes if abs(cause.saved) >= LITTLE]
    rows = [("what would help", "time (us)", "saved")]
    rows += [(cause.change.what, micro(cause.time_us / 1e6), share(cause.saved)) for cause in matter]
    lines = columns(rows, left=(0,))
    found = [Line(lines[0], "heading")]
    for cause, line in zip(matter, lines[1:], strict=True):
        shown = cause.command or "a graph that is in no file; --save-graph FILE writes the one that helps most"
        found += [Line(line), Line(f"  {cause.change.evidence}", "note"), Line(f"  {shown}", "note")]
    rest = [cause.change.what for cause in causes if abs(cause.saved) < LITTLE]
    if rest:
        found.append(Line(f"less than {share(LITTLE)} either way: {'; '.join(rest)}", "note"))
    return found


def verdict(explanation: Explanation) -> Line:
    """Say in one line what limits the run."""
    first = explanation.causes[0] if explanation.causes else None
    if first is None or first.saved < LITTLE:
        return Line(f"nothing that was tried saves as much as {share(LITTLE)}", "verdict")
    return Line(f"cause: {first.change.evidence}; {first.change.what} would save {share(first.saved)}", "verdict")
