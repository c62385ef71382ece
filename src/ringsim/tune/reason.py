"""Why a plan wins, in a sentence: what its time is made of, and what one ring spends its own on."""

from dataclasses import replace

import numpy as np

from ringsim.explain.evidence import CODING, PORTS, SCALE_UP, of_kinds
from ringsim.explain.path import PARTS
from ringsim.explain.subject import Subject, examine, timed
from ringsim.question import Question, StudyError
from ringsim.report import WORDS
from ringsim.result import Case
from ringsim.topology import LINK_KINDS
from ringsim.tune.search import NAIVES
from ringsim.tune.store import Store
from ringsim.tune.table import Row, Table
from ringsim.writing import share

#: Parts of the time that more bandwidth would not shorten.
_LATENCY = ("start-up", "latency of links", "software steps", "sender's overhead", "gap between messages")

#: From here on a part of the time decides, and below it is not worth a word.
MOST, LITTLE = 0.5, 0.02


def why(table: Table, row: Row, store: Store) -> str:
    """Say why the plan of a row is the best.

    Runs that are too large to be looked into firing by firing are described by their busiest link alone.
    """
    best, naive = row.tuned.best.case, row.tuned.naive.case
    key = {"why": best.id(), "naive": naive.id(), "placement": best.placement}
    kept = store.get(key)
    if kept is not None:
        return str(kept)
    if best.id() == naive.id():
        said = f"{naive_name(naive)} is the best there is here"
    else:
        ring = replace(
            row.question, algorithm=naive.algorithm, protocol=naive.protocol, rings=1, slices=None, chunks=None
        )
        ring = replace(ring, placement=table.question.placement)
        order = "along a tour" if best.placement == "tour" else "in the order of the cards"
        moved = f" with ranks {order}" if best.placement != naive.placement else ""
        said = f"{_of_plan(row)}{moved}; {naive_name(naive)} {_of_naive(ring, row)}"
    store.put(key, said)
    return said


def naive_name(case: Case) -> str:
    """What nobody's choice is called."""
    return f"one {case.algorithm}" if case.algorithm in NAIVES else case.algorithm


def _subject(question: Question) -> Subject | None:
    try:
        return examine(question, timed(question))
    except StudyError:
        return None


def _of_plan(row: Row) -> str:
    best = row.tuned.best
    subject = _subject(row.question)
    busiest = f"{WORDS[best.busiest]} are busy {share(best.busy)} of the time"
    if subject is None:
        return f"its busiest {busiest}"
    latency, messages = _latency(subject), _messages(subject)
    waits = f"{messages:,} messages one after the other" if messages > 1 else "1 message"
    if latency >= MOST:
        return f"only {waits}: start-up, latency and gaps are {share(latency)} of the time{_coding(subject)}"
    waiting = f", start-up, latency and gaps of {waits} {share(latency)}" if latency >= LITTLE else ""
    return busiest + waiting + _coding(subject)


def _of_naive(ring: Question, row: Row) -> str:
    subject = _subject(ring)
    if subject is None:
        return f"takes {row.tuned.gain:.1f} times as long"
    latency = _latency(subject)
    if latency >= MOST:
        return f"waits for {_messages(subject):,} messages"
    return f"uses {_used(subject)}"


def _coding(subject: Subject) -> str:
    """How much of the time encoding and decoding take; nothing where it is not worth a word."""
    part = float(subject.path.taking(*CODING) / subject.path.total.sum())
    return f", encoding and decoding {share(part)}" if part >= LITTLE else ""


def _latency(subject: Subject) -> float:
    spent = subject.path.taking(*_LATENCY)
    return float(spent / subject.path.total.sum())


def _messages(subject: Subject) -> int:
    """Messages that follow one another on the critical path, by latency or by the gap between them."""
    path = subject.path
    paused = path.parts[:, PARTS.index("gap between messages")] > 0
    return int(((path.delivered | paused) & subject.rows.sends[path.row]).sum())


def _used(subject: Subject) -> str:
    """Count the links that carry something, of the kinds that people buy."""
    found = []
    for kinds in (SCALE_UP, PORTS):
        links = of_kinds(subject, kinds)
        if len(links):
            busy = int((subject.busy[links] > 0).sum())
            name = WORDS[LINK_KINDS[int(np.bincount(subject.topology.kind[links]).argmax())]]
            found.append(f"{busy:,} of {len(links):,} {name}")
    every = subject.topology.links
    return " and ".join(found) or f"{int((subject.busy[:every] > 0).sum()):,} of {every:,} links"
