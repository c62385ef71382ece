"""The first half of the page: a thousand NVLink3 cards in under 7 us, and what that would take."""

from collections.abc import Iterator, Mapping, Sequence

from claims import questions as asked
from claims.changes import sheet
from claims.machines import Machines, Points
from claims.questions import CARDS, FAST, SIZES, TARGET_US, Ask
from claims.words import percent, table, time, times
from ringsim.units import format_size
from ringsim.validation import BANDS, Band, System
from ringsim.validation import Point as Measured
from sweep import Row


def first(ask: Ask, systems: Sequence[System], points: Points, off: Mapping[Band, Machines]) -> Iterator[str]:
    """Write the half of the page; `off` says how long machines take, by band of sizes."""
    yield f'## "NVLink3: a thousand cards in under {TARGET_US:g} us"'
    yield "![8 bytes, and one step's gradients, against cards](../benchmarks/results/article_claims.png)"
    yield "### What protocols give"
    yield (
        f"One all-reduce on {CARDS:,} A100 (`{FAST}`), in NCCL's protocols, each time the fastest. Of the algorithms "
        "NCCL has ring, tree and, on InfiniBand switches that add (SHARP), in-switch; the hierarchies are ours, with "
        "NCCL's constants. The bound is what no algorithm beats with them. Machines: the middle half of what machines "
        "would show, were they off by as much as published ones of several nodes are at such sizes."
    )
    rows = []
    for size in SIZES:
        ring, tree, most = (ask(asked.small(size, name)) for name in ("ring", "tree", asked.EVERY))
        rows.append(
            (format_size(size), time(ring["time_us"]), time(tree["time_us"]), time(most["time_us"]), _plan(most),
             time(most["bound_us"]), percent(most["reached"]), _machines(most["time_us"], off, size))
        )  # fmt: skip
    yield table("size: | ring: | tree: | best of all: | which is | bound: | reached: | machines:", rows)
    yield "### What would remain if something cost nothing"
    yield "The best of all algorithms again, with some of the data sheet's constants at nothing:"
    rows = [
        (format_size(size), time(ask(asked.small(size))["time_us"]),
         *(time(ask(asked.small(size, asked.EVERY, changes))["time_us"]) for changes in asked.FREE.values()))
        for size in SIZES
    ]  # fmt: skip
    yield table(f"size: | as it is: | {' | '.join(f'{name}:' for name in asked.FREE)}", rows)
    yield (
        "Software steps are NCCL's cost of a step, its overheads and the gap between two messages. With neither these "
        "nor start-up only links, NICs and switches delay; bytes alone is without their latencies as well, and no "
        "bytes is with links that have no limit."
    )
    yield from _needed(ask)
    yield from _one_domain(ask)
    yield from _measured(systems, points)
    yield "### Verdict on the first claim"
    yield "\n".join(f"* {line}" for line in _verdict(ask, systems, points, off))


def _plan(row: Row) -> str:
    return f"{row['algorithm']}, {row['protocol']}"


def _machines(us: float, off: Mapping[Band, Machines], size: int) -> str:
    band = next(band for band in BANDS if band.end is None or size <= band.end)
    return "–" if band not in off else f"{time(us * off[band].low)} to {time(us * off[band].high)}"


# -- what it would take --------------------------------------------------------------------------------------


def _needed(ask: Ask) -> Iterator[str]:
    yield f"### What would make it {TARGET_US:g} us"
    yield (
        "Start-up, software steps, gaps and latencies of links multiplied by one factor, which a search finds. A step "
        "is a whole one here, software and wire; beside what is needed stands what NCCL reckons with."
    )
    rows = []
    for size in SIZES:
        everything, kept = (asked.factor(ask, size, scaled) for scaled in asked.SEARCHES.values())
        plan, *hops = ("–",) * 4
        if everything is not None:
            f, row = everything
            plan, *hops = _plan(row), *(f"{us * f:.3g} us of {us:.3g}" for us in _hops(row))
        rows.append((format_size(size), _factor(everything), plan, *hops, _factor(kept)))
    yield table(
        "size: | factor: | with | start-up: | step between nodes: | step in a node: | factor, start-up kept:", rows
    )
    cards, switches = _largest(ask)
    yield (
        f"Bytes over bandwidth alone, with nothing else to wait for, take {TARGET_US:g} us from {format_size(cards)} "
        f"on where cards add, and from {format_size(switches)} on where switches do. Beyond, no algorithm and no "
        "software helps."
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
    """Bytes, in whole KiB, that bandwidth alone carries in time where cards add, and where switches do."""
    found = []
    for algorithm in ("tree", asked.EVERY):
        row = ask(asked.small(SIZES[-1], algorithm, asked.FREE["bytes alone"]))
        found.append(int(TARGET_US * row["bytes"] / row["bound_us"] / 1024) * 1024)
    return found[0], found[1]


def _one_domain(ask: Ask) -> Iterator[str]:
    yield "### One NVLink domain of a thousand cards"
    yield (
        f"Nobody can buy it: {CARDS:,} A100 on one NVSwitch, {_datasheet(FAST)} GB/s a card, NCCL's constants of one "
        f"node (`--domain all`). Tried: {asked.ONE_DOMAIN.replace('+', ', ')}."
    )
    rows = []
    for size in SIZES:
        row = ask(asked.small(size, asked.ONE_DOMAIN, (), "all"))
        rows.append(
            (format_size(size), time(row["time_us"]), _plan(row), time(row["bound_us"]), percent(row["reached"]))
        )
    yield table("size: | time: | which is | bound: | reached:", rows)
    yield (
        f"In one-shot every card sends to all {CARDS - 1:,} others at once, and inside a node a message costs its "
        "sender nothing here. What it costs a real card comes on top, a thousand times."
    )


def _datasheet(fabric: str) -> str:
    return f"{sheet(fabric).domain.datasheet_bandwidth / 1e9:.0f}"


# -- what was measured ---------------------------------------------------------------------------------------


def _measured(systems: Sequence[System], points: Points) -> Iterator[str]:
    yield "### What A100 have been measured at"
    yield "The smallest message of each published log, up to 1 KiB, and the same simulated with how its cards were driven:"
    rows = []
    for system, point in _smallest(systems, points):
        named = "kernels of others" if system.custom else system.library
        rows.append(
            (system.name, f"{point.cards}", f"{point.nodes}", named, format_size(point.bytes), time(_us(point)),
             time(point.simulated_us))
        )  # fmt: skip
    yield table("system | cards: | nodes: | library | size: | measured: | simulated:", rows)


def _smallest(systems: Sequence[System], points: Points) -> list[tuple[System, Measured]]:
    found = []
    for system in systems:
        own = [p for p in points[system.name] if p.measured_us is not None and p.bytes <= 1024]
        if system.fabric == FAST and own:
            found.append((system, min(own, key=lambda point: point.bytes)))
    return sorted(found, key=lambda pair: (pair[1].cards, _us(pair[1])))


def _us(point: Measured) -> float:
    assert point.measured_us is not None  # points of curves are left out
    return point.measured_us


# -- the verdict ---------------------------------------------------------------------------------------------


def _verdict(ask: Ask, systems: Sequence[System], points: Points, off: Mapping[Band, Machines]) -> Iterator[str]:
    best = {size: ask(asked.small(size)) for size in SIZES}
    least, size = best[SIZES[0]], format_size(SIZES[0])
    under = [size for size in SIZES if best[size]["time_us"] < TARGET_US]
    if under:
        yield f"**True up to {format_size(max(under))}**, with {_plan(best[max(under)])}."
    else:
        own = min((ask(asked.small(SIZES[0], name)) for name in ("ring", "tree")), key=lambda row: row["time_us"])
        yield (
            f"**Not true at any size.** {size} take {time(least['time_us'])} at best (machines "
            f"{_machines(least['time_us'], off, SIZES[0])}), {times(least['time_us'] / TARGET_US)} what is claimed, by "
            f"{least['algorithm']}. NCCL's {own['algorithm']} takes {time(own['time_us'])} (machines "
            f"{_machines(own['time_us'], off, SIZES[0])}), and {format_size(SIZES[-1])} "
            f"{time(best[SIZES[-1]]['time_us'])}."
        )
    yield (
        f"With these constants the bound is {time(least['bound_us'])}: start-up and one step between nodes"
        + (" alone are more than what is claimed." if least["bound_us"] > TARGET_US else " leave room for it.")
    )
    found = asked.factor(ask, SIZES[0], asked.SEARCHES["everything"])
    if found is not None and found[0] < 1:
        start, far, _ = (us * found[0] for us in _hops(found[1]))
        yield (
            f"It would take {found[1]['algorithm']} in {found[1]['protocol']}, {size}, and all that waits "
            f"{times(1 / found[0])} as quick: a start-up of {start:.2g} us and {far:.2g} us for a step between nodes. "
            f"More bytes need more than that, and from {format_size(_largest(ask)[1])} on nothing helps."
        )
    one = ask(asked.small(SIZES[0], asked.ONE_DOMAIN, (), "all"))
    yield (
        f"One domain of {CARDS:,} cards {'would do it' if one['time_us'] < TARGET_US else 'comes near it'}: "
        f"{time(one['time_us'])} for {size} by {one['algorithm']}, {_hops(one)[0]:.2g} us of it start-up. No source of "
        "the claim is known to us; NCCL's constants of one node with a thousand cards written in give a figure like it."
    )
    quick = [cards for cards in asked.GROWING if ask(asked.growing(FAST, cards))["time_us"] < TARGET_US]
    simulated = f"Up to {max(quick):,} cards are" if quick else "Not even two cards are"
    seen = [point for _, point in _smallest(systems, points) if _us(point) < TARGET_US]
    many = [point for point in seen if point.cards == max(p.cards for p in seen)]
    measured = (
        f"The largest published log below {TARGET_US:g} us is of {many[0].cards} A100 on {many[0].nodes} "
        f"node{'s' * (many[0].nodes > 1)}: {time(min(map(_us, many)))}."
        if many
        else "No published log of A100 is."
    )
    yield f"{simulated} simulated to be as quick as that in NCCL's protocols. {measured}"
