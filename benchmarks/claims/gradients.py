"""The second half of the page: what a step of Llama-3-8B takes on every fabric, five ways, beside its computing."""

from collections.abc import Iterator, Sequence

from claims import questions as asked
from claims.changes import sheet
from claims.computing import BACKWARD, BATCH, MFU, TOKENS, compute_seconds, exposed
from claims.machines import Machines
from claims.questions import CARDS, CODEC, FABRICS, FAST, SCALES, SLOW, WAYS, Ask, best, row_of
from claims.verdict import verdict
from claims.words import listed, percent, table, time
from ringsim.break_even import GOOD
from ringsim.validation import System
from sweep import Row


def second(ask: Ask, systems: Sequence[System], large: Machines | None) -> Iterator[str]:
    """Write the half of the page; `large` says how long machines take for large vectors."""
    one = row_of(ask, SLOW, CARDS, "neither")
    yield '## "HCCS needs compression and topology optimisation at a thousand cards"'
    yield (
        f"One step of {asked.MODEL}: an all-reduce of {one['count']:,} gradients of {asked.DTYPE}, "
        f"{one['bytes'] / 1e9:.1f} GB on every card; data parallelism alone, nothing sharded."
    )
    yield "### The all-reduce, five ways"
    yield "\n".join(f"* {line}" for line in _ways())
    rows = [_five(ask, fabric, cards) for cards in SCALES for fabric in FABRICS]
    yield table(
        f"fabric | card | cards: | {' | '.join(f'{way}:' for way in WAYS)} | gain: | neither / {FAST}: | both / {FAST}:",
        [row for row in rows if row],
    )
    yield " ".join(_notes(ask))
    yield "### Which code, and what it does to the sum"
    yield from _codecs(ask)
    yield "### Beside the computing"
    yield from _computing(ask)
    yield f"### What is uncertain about {SLOW}"
    yield from _doubts(ask, systems, large)
    yield "### Verdict on the second claim"
    yield "\n".join(f"* {line}" for line in verdict(ask, large))


# -- the all-reduce ------------------------------------------------------------------------------------------


def _ways() -> Iterator[str]:
    yield "one ring: rank after rank, on one channel."
    yield "neither: what a library tries by itself, ring and tree on all channels that there is room for, ranks in order."
    yield (
        f"topology: the best of all algorithms; above {CARDS:,} cards, {listed(asked.MANY)}. Neither counts as well, "
        "where it is faster."
    )
    yield f"compression: {CODEC}, a scale for each block, on ring and tree; above {CARDS:,} cards on the tree."
    mid, most = SCALES[1:]
    yield (
        f"both: {CODEC} on {listed(asked.CODED[CARDS])}; on {mid:,} cards {listed(asked.CODED[mid])}, on {most:,} "
        f"{listed(asked.CODED[most])}. Compression counts as well. NCCL's are tried in Simple there."
    )


def _five(ask: Ask, fabric: str, cards: int) -> tuple[str, ...]:
    rows = {way: best(ask, fabric, cards, way) for way in WAYS}
    if not any(rows.values()):
        return ()
    ratios = [_ratio(rows[way], best(ask, FAST, cards, way)) for way in ("neither", "both")]
    shown = [_time(row) for row in rows.values()]
    return fabric, sheet(fabric).card.name, f"{cards:,}", *shown, _ratio(rows["neither"], rows["both"]), *ratios


def _time(row: Row | None) -> str:
    return "–" if row is None else time(row["time_us"])


def _ratio(a: Row | None, b: Row | None) -> str:
    return "–" if a is None or b is None else f"{a['time_us'] / b['time_us']:.2f}"


def _notes(ask: Ask) -> Iterator[str]:
    yield (
        f"Gain is neither over both; the last columns are over {FAST} in the same way. A dash was not simulated: ring "
        "and tree with codes take too long there."
    )
    grown = []
    for fabric in (SLOW, FAST):
        less, more = (row_of(ask, fabric, cards, "compression")["time_us"] for cards in SCALES[:2])
        grown.append(f"{more / less - 1:+.1%} on {fabric}")
    yield f"From {SCALES[0]:,} to {SCALES[1]:,} cards compression alone changes by {' and '.join(grown)}."
    off = []
    for exact, near in zip(asked.ROUND, SCALES[1:], strict=True):
        exactly = row_of(ask, SLOW, exact, "neither")["time_us"]
        off.append(abs(exactly / row_of(ask, SLOW, near, "neither")["time_us"] - 1))
    yield (
        f"{SCALES[1]:,} and {SCALES[2]:,} cards fill their leaves, which makes codes quick to simulate; exactly "
        f"{asked.ROUND[0]:,} and {asked.ROUND[1]:,} differ by {percent(max(off))} at most (neither, {SLOW})."
    )
    odd = row_of(ask, asked.UNEVEN, CARDS, "neither")
    yield (
        f"{CARDS:,} cards of {asked.UNEVEN} are {odd['nodes']} domains of up to {odd['domain']:,}; on them rings take "
        "too long as well, so by itself a library has its tree there."
    )
    plans = {fabric: row_of(ask, fabric, CARDS, "topology")["algorithm"] for fabric in FABRICS}
    yield f"Topology on {CARDS:,} cards is {', '.join(f'{fabric} {name}' for fabric, name in plans.items())}."
    flattered = [fabric for fabric, name in plans.items() if name == "bidirectional-ring"]
    if flattered:
        yield (
            "A bidirectional ring is no better than as many rings; it wins because only algorithms to which NCCL "
            f"allots channels pay for slices here, so on {', '.join(flattered)} topology gains less than is shown."
        )


def _codecs(ask: Ask) -> Iterator[str]:
    yield (
        f"{CARDS:,} cards; the fastest of ring, tree, {listed(asked.MORE)} that leaves the sum within {GOOD:.0%}, and "
        "where none does the fastest. The error is that of one step on sampled gradients; with error feedback what is "
        "lost is sent later, which one step does not show."
    )
    rows = []
    none = [row_of(ask, fabric, CARDS, "topology") for fabric in (SLOW, FAST)]
    rows.append(("none (topology)", "1.0", "0%", *(text for row in none for text in (_time(row), row["algorithm"]))))
    for codec in asked.CODECS:
        own = [row_of(ask, fabric, CARDS, "both", codec=codec) for fabric in (SLOW, FAST)]
        errors = [row["error"] for row in own]
        error = "not known" if None in errors else percent(max(errors))
        rows.append(
            (codec, f"{own[0]['ratio']:.1f}", error, *(text for row in own for text in (_time(row), row["algorithm"])))
        )
    yield table(f"code | ratio: | error: | {SLOW}: | by | {FAST}: | by", rows)


# -- computing -----------------------------------------------------------------------------------------------


def _computing(ask: Ask) -> Iterator[str]:
    yield (
        f"A card computes 6 operations for each parameter and token, at an assumed {MFU:.0%} of its 16-bit peak; for "
        f"910B none is published. Gradients can be sent while the backward pass, {BACKWARD:.0%} of the computing, is "
        f"at the next ones. {TOKENS:,} tokens a card are {BATCH:,} in a step of {CARDS:,} cards. On more cards either "
        "each keeps its tokens, or all keep that batch and each has fewer."
    )
    rows = []
    for cards in SCALES:
        for fabric in FABRICS:
            ways = [best(ask, fabric, cards, way) for way in ("neither", "both")]
            neither, both = ways
            if neither is None or both is None:
                continue
            cells = [fabric, f"{cards:,}", time(compute_seconds(fabric) * 1e6)]
            cells += [percent(_share(fabric, row)) for row in (neither, both)]
            cells += [f"{_tokens_to_hide(fabric, row):,.0f}" for row in (neither, both)]
            cells += [percent(exposed(fabric, row)) for row in (neither, both)]
            rows.append(cells)
    two = " | ".join(f"{what}, {way}:" for what in ("in turn", "hides from", "waits") for way in ("neither", "both"))
    yield table(f"fabric | cards: | computing: | {two}", rows)
    yield (
        f"In turn: the part of a step of {TOKENS:,} tokens a card that is all-reduce, where nothing overlaps. Hides "
        "from: the tokens of a card from which on all of it fits under the backward pass. Waits: the part of a step "
        f"that is left over where as much overlaps as can, with {BATCH / 2**20:.0f} Mi tokens on all cards together."
    )


def _share(fabric: str, row: Row) -> float:
    seconds = row["time_us"] / 1e6
    return seconds / (seconds + compute_seconds(fabric))


def _tokens_to_hide(fabric: str, row: Row) -> float:
    return row["time_us"] / 1e6 / (BACKWARD * compute_seconds(fabric, 1))


# -- doubts --------------------------------------------------------------------------------------------------


def _doubts(ask: Ask, systems: Sequence[System], large: Machines | None) -> Iterator[str]:
    several = [system.name for system in systems if system.fabric == SLOW and any(n > 1 for _, n in system.clusters)]
    yield (
        f"Published logs of {SLOW} on several servers: {', '.join(several)}."
        if several
        else f"No published log shows {SLOW} on more than one server: nothing between servers is confirmed by measurement."
    ) + f" What could be otherwise, on {CARDS:,} cards:"
    rows = []
    for words, (changes, placement) in asked.DOUBTS.items():
        ways = [best(ask, SLOW, CARDS, way, changes=changes, placement=placement) for way in WAYS[1:]]
        rows.append((words, *map(_time, ways), _ratio(ways[0], ways[-1])))
    yield table(f"if | {' | '.join(f'{way}:' for way in WAYS[1:])} | gain:", rows)
    if large is not None:
        yield (
            f"For vectors as large as these, machines of several nodes take {large.low:.2f} to {large.high:.2f} times "
            f"what is simulated (quartiles of {large.systems} systems, below)."
        )
