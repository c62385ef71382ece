"""The text of docs/article_claims.md: tables of what was simulated, and sentences chosen by comparing it.

Nothing here is simulated, so that a test can write the page again. What simulation is known to be off by comes from the
table of the page about accuracy.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import quantiles
from textwrap import fill
from typing import NamedTuple

from article_claims_gradients import second
from article_claims_questions import (
    CARDS, FAST, FREE, GROWING, ONE_DOMAIN, SEARCHES, SIZES, TARGET_US, Ask, factor, growing, sheet, small,
)  # fmt: skip
from article_claims_words import percent, table, time, times
from ringsim.units import format_size
from ringsim.validation import BANDS, Band, Point, System, headlines, judged, overall
from ringsim.validation.bands import band_of
from sweep import Row

Points = Mapping[str, Sequence[Point]]

#: The page about accuracy shows a system of fewer points with a star; here as there they count.
QUARTERS = 4

HEAD = """# The article's claims, in numbers

Written by `python benchmarks/article_claims.py` from `benchmarks/results/article_claims.csv`, and from
`benchmarks/results/accuracy.csv` for how far off simulation is. Every figure is simulated or computed from one that is,
and every verdict below is a comparison of figures: no sentence stays when they turn. What is claimed:

* "NVLink3, 600 GB/s: a thousand-card all-reduce in under 7 us."
* "HCCS 2.0 with 392 GB/s needs gradient compression and topology optimisation at a thousand cards."

Both bandwidths count both directions: 300 and 196 GB/s each way, of which libraries reach {fast} and {slow}. And both are
inside a server of eight cards; a thousand cards are {nodes:,} servers with one NIC of 25 GB/s for each card."""


class Machines(NamedTuple):
    """How long machines of several nodes take, as a multiple of what is simulated of them: quartiles over systems."""

    systems: int
    low: float
    middle: float
    high: float


def machines(systems: Sequence[System], points: Points) -> dict[Band, Machines]:
    """By band of sizes, for systems that ran a library on several nodes and on whose rows nothing was fitted there."""
    found: dict[Band, list[float]] = {band: [] for band in BANDS}
    for system in systems:
        if not system.custom:
            for one in judged(system, [point for point in points[system.name] if point.nodes > 1]):
                found[one.band].append(1 / (1 + one.bias))
    return {
        band: Machines(len(own), *quantiles(own, n=QUARTERS, method="inclusive"))
        for band, own in found.items()
        if len(own) >= QUARTERS
    }


def text(ask: Ask, systems: Sequence[System], points: Points) -> str:
    """Write the page.

    Parameters
    ----------
    ask : callable
        Answers questions with rows of the table.
    systems : sequence of System
    points : mapping
        Measured and simulated points by system, as `accuracy.read` has them.
    """
    off = machines(systems, points)
    rates = {name: f"{sheet(name).domain.card_bandwidth / 1e9:.0f}" for name in ("hccs", FAST)}
    parts = [
        HEAD.format(fast=rates[FAST], slow=rates["hccs"], nodes=ask(small(SIZES[0]))["nodes"]),
        *_first(ask, systems, points, off),
        *second(ask, systems, off.get(BANDS[-1])),
        *_trust(systems, points, off),
    ]  # fmt: skip
    # Text is filled here, so that no figure makes a line too long; headings, tables, lists and pictures stay.
    whole = "\n\n".join(parts).split("\n\n")
    return "\n\n".join(_filled(part) for part in whole) + "\n"


def _filled(part: str) -> str:
    if part[0] in "#|!":
        return part
    items = part.split("\n* ")
    if part.startswith("* "):
        items = [f"* {item.removeprefix('* ')}" for item in items]
        return "\n".join(fill(item, 120, subsequent_indent="  ", break_on_hyphens=False) for item in items)
    return fill(part, 120, break_on_hyphens=False)


# -- the first claim -----------------------------------------------------------------------------------------


def _first(ask: Ask, systems: Sequence[System], points: Points, off: Mapping[Band, Machines]) -> Iterator[str]:
    yield f'## "NVLink3: a thousand cards in under {TARGET_US:g} us"'
    yield f"![time of 8 bytes and of one step's gradients against cards](../benchmarks/results/article_claims.png)"
    yield "### What protocols give"
    yield (
        f"One all-reduce on {CARDS:,} A100 (`{FAST}`), in NCCL's protocols, the fastest of them each time. The bound is what "
        'no algorithm beats with these constants. "Machines" are the middle half of what published machines of several '
        "nodes take, had they been off by as much as others were in that band of sizes."
    )
    rows = []
    for size in SIZES:
        ring, tree, most = (ask(small(size, name)) for name in ("ring", "tree", "all"))
        rows.append(
            (format_size(size), time(ring["time_us"]), time(tree["time_us"]), time(most["time_us"]), _plan(most),
             time(most["bound_us"]), percent(most["reached"]), _machines(most["time_us"], off.get(band_of(size))))
        )  # fmt: skip
    yield table("size: | ring: | tree: | best of all: | which is | bound: | reached: | machines:", rows)
    yield "### What would remain if something cost nothing"
    yield "The best of all algorithms again, with these constants of the data sheet set to nothing:"
    rows = [
        (format_size(size), time(ask(small(size))["time_us"]),
         *(time(ask(small(size, "all", changes))["time_us"]) for changes in FREE.values()))
        for size in SIZES
    ]  # fmt: skip
    yield table(f"size: | as it is: | {' | '.join(f'no {name}:' for name in FREE)}", rows)
    yield (
        'Software steps are NCCL\'s cost of a step, its overheads and the gap between two messages; "both" is start-up and '
        'steps, so that links, NICs and switches remain; "everything but bytes" takes their latencies away as well; '
        '"bytes" makes links without limit.'
    )
    yield from _needed(ask)
    yield from _one_domain(ask)
    yield from _measured(systems, points)
    yield "### Verdict on the first claim"
    yield "\n".join(f"* {line}" for line in _first_verdict(ask, systems, points, off))


def _plan(row: Row) -> str:
    return f"{row['algorithm']}, {row['protocol']}"


def _machines(us: float, off: Machines | None) -> str:
    return "" if off is None else f"{time(us * off.low)} to {time(us * off.high)}"


def _needed(ask: Ask) -> Iterator[str]:
    yield f"### What would make it true: {TARGET_US:g} us"
    yield (
        "Start-up, software steps, gaps and latencies multiplied by one factor, found by search. Steps are whole ones, "
        "software and wire, in the protocol that is best then; beside them NCCL's own."
    )
    rows = []
    for size in SIZES:
        found = {name: factor(ask, size, scaled) for name, scaled in SEARCHES.items()}
        everything, kept = found.values()
        hops = ["", "", "", ""]
        if everything is not None:
            f, row = everything
            hops = [_plan(row), *(f"{us * f:.3g} us of {us:.3g}" for us in _hops(row))]
        rows.append((format_size(size), *hops[:1], _factor(everything), *hops[1:], _factor(kept)))
    yield table(
        "size: | algorithm | factor: | start-up: | step between nodes: | step in a node: | factor with start-up kept:", rows
    )
    cards, switches = _largest(ask)
    yield (
        f"With nothing to wait for at all, bytes over bandwidth alone take {TARGET_US:g} us from {format_size(cards)} on where "
        f"cards add, and from {format_size(switches)} on where switches do (SHARP). No algorithm and no software does more."
    )


def _factor(found: tuple[float, Row] | None) -> str:
    if found is None:
        return "impossible"
    return "1" if found[0] == 1 else f"{found[0]:.3g}"


def _hops(row: Row) -> tuple[float, float, float]:
    """Start-up, a whole step between nodes and one inside, us, as the data sheet has them for this algorithm."""
    fabric = sheet(FAST)
    own = fabric.protocol(row["protocol"], row["algorithm"])
    far = own.step_network + 2 * fabric.nic.latency + fabric.network.switch_latency
    return own.startup * 1e6, far * 1e6, (own.step_scale_up + fabric.domain.latency) * 1e6


def _largest(ask: Ask) -> tuple[int, int]:
    """Largest whole KiB that bytes alone allow, where cards add and where switches do."""
    found = []
    for algorithm in ("tree", "all"):
        row = ask(small(SIZES[-1], algorithm, FREE["everything but bytes"]))
        found.append(int(TARGET_US * row["bytes"] / row["bound_us"] / 1024) * 1024)
    return found[0], found[1]


def _one_domain(ask: Ask) -> Iterator[str]:
    yield "### One NVLink domain of a thousand cards"
    yield (
        f"Nobody can buy it: {CARDS:,} A100 on one NVSwitch, 600 GB/s between any two, NCCL's constants of one node "
        f"(`--domain all`). Tried are {ONE_DOMAIN.replace('+', ', ')}."
    )
    rows = []
    for size in SIZES:
        row = ask(small(size, ONE_DOMAIN, (), "all"))
        rows.append((format_size(size), time(row["time_us"]), _plan(row), time(row["bound_us"]), percent(row["reached"])))
    yield table("size: | time: | which is | bound: | reached:", rows)
    yield (
        f"In one-shot every card sends to all {CARDS - 1:,} others at once, and inside a node a message costs its sender "
        "nothing here. Whatever it costs a real card comes on top, a thousand times."
    )


def _measured(systems: Sequence[System], points: Points) -> Iterator[str]:
    yield "### What A100 have been measured at"
    yield "The smallest message of each published log, up to 1 KiB:"
    rows = []
    for system, point in _smallest(systems, points):
        named = "kernels of others" if system.custom else system.library
        rows.append(
            (system.name, f"{point.cards}", f"{point.nodes}", named, format_size(point.bytes),
             time(point.measured_us or 0.0), time(point.simulated_us))
        )  # fmt: skip
    yield table("system | cards: | nodes: | library | size: | measured: | simulated:", rows)


def _smallest(systems: Sequence[System], points: Points) -> list[tuple[System, Point]]:
    found = []
    for system in systems:
        own = [p for p in points[system.name] if p.measured_us is not None and p.bytes <= 1024]
        if system.fabric == FAST and own:
            found.append((system, min(own, key=lambda point: point.bytes)))
    return sorted(found, key=lambda pair: (pair[1].cards, pair[1].measured_us))


def _first_verdict(
    ask: Ask, systems: Sequence[System], points: Points, off: Mapping[Band, Machines]
) -> Iterator[str]:
    best = {size: ask(small(size)) for size in SIZES}
    under = [size for size in SIZES if best[size]["time_us"] < TARGET_US]
    first = best[SIZES[0]]
    if under:
        yield f"**True up to {format_size(max(under))}**, with {_plan(best[max(under)])}."
    else:
        yield (
            f"**Not true at any size.** The least is {time(first['time_us'])} for {format_size(SIZES[0])}, "
            f"{times(first['time_us'] / TARGET_US)} what is claimed"
            + (f"; machines would show {ours}." if (ours := _machines(first["time_us"], off.get(BANDS[0]))) else ".")
        )
    if first["bound_us"] > TARGET_US:
        yield (
            f"No algorithm could: with NCCL's start-up and a single step between nodes the bound is "
            f"{time(first['bound_us'])} already."
        )
    else:
        yield f"The bound of {time(first['bound_us'])} would allow it."
    found = factor(ask, SIZES[0], SEARCHES["everything"])
    if found is not None and found[0] < 1:
        start, far, _ = (us * found[0] for us in _hops(found[1]))
        yield (
            f"It would take {_plan(found[1])}, {format_size(SIZES[0])}, and everything that waits {times(1 / found[0])} as "
            f"quick: a start-up of {start:.2g} us and steps between nodes of {far:.2g} us. Larger sizes need more than that, "
            f"and from {format_size(_largest(ask)[1])} on nothing helps."
        )
    one = ask(small(SIZES[0], ONE_DOMAIN, (), "all"))
    near = "would do it" if one["time_us"] < TARGET_US else "comes nearest"
    yield (
        f"A single domain of {CARDS:,} cards {near}: {time(one['time_us'])} for {format_size(SIZES[0])} with "
        f"{one['algorithm']}, of which {_hops(one)[0]:.2g} us are start-up. It is the likeliest origin of the figure: NCCL's "
        f"constants for one node, with a thousand cards written in."
    )
    small_enough = [cards for cards in GROWING if ask(growing(FAST, cards))["time_us"] < TARGET_US]
    seen = [(system, p) for system, p in _smallest(systems, points) if (p.measured_us or TARGET_US) < TARGET_US]
    yield (
        f"Simulated, {f'up to {max(small_enough):,} cards' if small_enough else 'not even two cards'} are that quick in "
        "NCCL's protocols. "
        + (
            f"Measured, {max(p.cards for _, p in seen)} A100 in one server are, by {seen[-1][0].title.rpartition(', ')[2]}; "
            f"no published log of more than that is."
            if seen
            else "No published log of A100 is."
        )
    )


# -- how far to trust it -------------------------------------------------------------------------------------


def _trust(systems: Sequence[System], points: Points, off: Mapping[Band, Machines]) -> Iterator[str]:
    yield "## How far to trust these figures"
    yield (
        "From [the page about accuracy](accuracy.md): errors of simulated time over published measurements, as a part of "
        "the measured time, medians over systems that ran a library; with a minus simulation is too fast. Beside it, how "
        "long machines of several nodes take for each second that is simulated of them: quartiles over systems."
    )
    errors = {system.name: judged(system, points[system.name]) for system in systems}
    _, counted = headlines(systems, errors)[0]
    rows = []
    for one in overall(counted):
        own = off.get(one.band)
        several = ("", "", "") if own is None else (f"{own.systems}", f"{own.low:.2f} to {own.high:.2f}", f"{own.middle:.2f}")
        rows.append((one.band.name, percent(one.median), f"{one.bias:+.1%}", *several))
    yield table("sizes | error: | bias: | of several nodes: | machine / simulated: | median:", rows)
    largest = max(point.cards for own in points.values() for point in own if point.measured_us is not None)
    a100 = max(
        point.cards
        for system in systems
        if system.fabric == FAST
        for point in points[system.name]
        if point.measured_us is not None
    )
    yield (
        f"The largest machine measured has {largest:,} cards, the largest of A100 {a100:,}; what lies beyond is the same law "
        f"with more nodes. Nothing is noisy here: no other jobs, no lost packets, and everybody starts at once. "
        f"[What the model leaves out](design.md#what-is-not-in-the-model) makes real clusters slower, rarely faster."
    )
