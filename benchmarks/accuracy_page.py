"""The text of docs/accuracy.md: numbers out of the table, reasons in words beside them.

Apart from `accuracy.py` because a page is long. Nothing here is simulated, so that a test can write the page again.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import log2
from textwrap import fill

from accuracy_missed import paragraphs
from accuracy_reasons import KIB, MIB, Points, reasons, table
from ringsim.units import format_size
from ringsim.validation import BANDS, SINGLE, Errors, Left, Point, System, by_band, headlines, judged, overall, spreads

#: Fewer points than this in a band prove little.
FEW = 5


HEAD = """# How far from real machines

Written by `python benchmarks/accuracy.py` from `benchmarks/results/accuracy.csv` and `leave_one_out.csv`; `ringsim
validate` simulates all of it again, and with `--assert` exits with 1 while a target is missed. The measurements are
published ones, {points:,} points of {systems} systems; where each comes from is in `benchmarks/validation/measured.csv`,
how a machine is asked for in `systems.toml` beside it, and what was left out and why in [its
README](../benchmarks/validation/README.md).

Where a constant was fitted on a system's rows, the system says in which band of sizes; no error is quoted there, and it
is not counted. The error is that of time, as a part of the measured time. Bias is the median of the signed error: with a
minus the simulation is too fast. A system counts once, however many points it has."""


def text(systems: Sequence[System], points: Points, left: Sequence[Left]) -> str:
    """Write the page.

    Parameters
    ----------
    systems : sequence of System
    points : mapping
        Rows of the table by system.
    left : sequence of Left
        What leaving out gave.
    """
    errors = {system.name: judged(system, points[system.name]) for system in systems}
    counted = sum(one.points for system in systems for one in by_band(points[system.name]))
    parts = [
        HEAD.format(points=counted, systems=len(systems)),
        *_targets(systems, errors),
        *_claims(points),
        *_left(left),
        *_every(systems, points),
        *_floors(systems),
        *reasons(systems, points),
        *paragraphs(systems, errors),
        "## Each system",
        *(part for system in systems for part in _system(system, errors[system.name])),
    ]  # fmt: skip
    # Text is filled here, so that no figure makes a line too long; headings, tables and pictures stay as they are.
    whole = "\n\n".join(parts).split("\n\n")
    return "\n\n".join(part if part[0] in "#|!" else fill(part, 120, break_on_hyphens=False) for part in whole) + "\n"


def _targets(systems: Sequence[System], errors: Mapping[str, Sequence[Errors]]) -> Iterator[str]:
    yield "## Against the targets"
    rows = []
    for title, own in headlines(systems, errors):
        for one in overall(own):
            beside = [e for system in own for e in system if e.band == one.band]
            over = sum(not e.reached(SINGLE) for e in beside)
            lack = one.median - one.band.target
            verdict = "yes" if lack <= 0 else f"no, by {lack:.1%} of time"
            rows.append(
                (title, one.band.name, str(len(beside)), f"{one.median:.1%}", f"{one.band.target:.0%}", f"{one.bias:+.1%}",
                 f"{sum(e.reached() for e in beside)}", f"{over}", verdict)
            )  # fmt: skip
    yield table(
        "of | sizes | systems: | median error: | target: | bias: | within target: | above twice the target: | "
        "median reached",
        rows,
    )
    yield (
        "The median is that of the systems' medians. No single system may be above twice the target; see [what is "
        "missed](#what-is-missed-and-what-would-decide-it). Bands end with the size that names them, included. Kernels of "
        "others, which vLLM, TensorRT-LLM and MSCCL++ bring, are not what a fabric file describes: nobody publishes their "
        "constants, and NCCL's stand in. So the first three rows are what is claimed, and the last three what would come "
        "out with them."
    )


def _left(left: Sequence[Left]) -> Iterator[str]:
    yield "## Leaving each system out"
    yield (
        "Each fitted constant that several systems share, fitted on all of them (the median of what suits each best), and "
        "again on all but the one in the row. What is shipped is stricter than either: it is fitted on one system and "
        "judged on the others. Launch modes are fitted on single nodes, up to 4 KiB, and judged to 64 KiB."
    )
    rows = []
    for one in left:
        value = [f"{number:.3g}" for number in (one.shipped, one.all_of, one.without)]
        error = [f"{number:.1%}" for number in (one.error_shipped, one.error_all, one.error_without)]
        rows.append(
            (f"{one.constant}{', ' * bool(one.unit)}{one.unit}", one.system, *value, *error, f"{one.ratio:.2f}")
        )
    yield table(
        "constant | system | shipped: | of all: | without it: | its error as shipped: | fitted on all: | without it: | "
        "times:",
        rows,
    )
    worst = max(left, key=lambda one: one.ratio)
    double = sum(one.ratio > 2 for one in left)
    yield (
        "The last column is the error without the system over that with it; 2 is the most that it may be. Above that "
        f"{'is' if double == 1 else 'are'} {double or 'none'} of {len(left)}; the most is {worst.ratio:.2f}, "
        f"{worst.system} with {worst.error_without:.1%} in place of {worst.error_all:.1%}. One process that drives all "
        "cards, a kernel with its dispatch, and the latencies of p5 and TCPXO were measured once and cannot be left out."
    )


def _every(systems: Sequence[System], points: Points) -> Iterator[str]:
    yield "## Every system"
    yield (
        "Median, worst and bias of each band; a star where there are fewer than five points, so that little is proved; "
        '"fitted" where a constant comes from these rows.'
    )
    rows = []
    for system in systems:
        own = {one.band: one for one in by_band(points[system.name])}
        cells = [_cell(system, own[band]) if band in own else "" for band in BANDS]
        library = "kernels of others" if system.custom else system.library
        total = str(sum(one.points for one in own.values()))
        rows.append((f"[{system.name}](#{system.name})", library, system.launch, total, *cells))
    yield table(f"system | library | launch | points: | {' | '.join(band.name + ':' for band in BANDS)}", rows)


def _cell(system: System, one: Errors) -> str:
    if one.band.name in system.fit:
        return "fitted"
    return f"{one.median:.1%}, {one.worst:.0%}, {one.bias:+.1%}{'*' * (one.points < FEW)}"


def _floors(systems: Sequence[System]) -> Iterator[str]:
    yield "## The floor"
    yield (
        "Systems for which the question to ringsim is the same but for the launch mode. One answer for all of them is off "
        "by at least the last column with one of them, so no model that knows only hardware and library can be judged "
        "below it; where launch modes differ, as with 8 A100, knowing them is what gets below."
    )
    yield table(
        "systems | sizes | in common: | slowest / fastest: | no model below:",
        [
            (", ".join(s.systems), s.band.name, str(s.sizes), f"{s.ratio:.2f}", f"{s.floor:.1%}")
            for s in spreads(systems)
        ],
    )


def _system(system: System, errors: Sequence[Errors]) -> Iterator[str]:
    yield f"### {system.name}"
    fabric, network = (
        name and name.rpartition("/")[2].removesuffix(".toml") for name in (system.fabric, system.network)
    )
    clusters = ", ".join(f"{cards:,} on {nodes:,}" if nodes > 1 else f"{cards}" for cards, nodes in system.clusters)
    asked = " x ".join(filter(None, (fabric, network))) + "".join(f", {change}" for change in system.changes)
    derived = any(row.derived for row in system.measurements)
    said = [
        f"{system.title}. {system.library} {system.version}, launch {system.launch}; asked for as {asked}, "
        f"cards {clusters}, algorithm {' or '.join(system.algorithms)}. Confidence: {system.confidence}.",
        system.note,
        "Sizes are not stated; 1 GiB is assumed." if derived else "",
        *(
            f'Off most in "{one.band.name}" at {format_size(one.worst_at.bytes)}: {one.worst_at.error:+.0%}.'
            for one in errors
        ),
    ]  # fmt: skip
    yield " ".join(filter(None, said))
    yield f"![measured points over the simulated curve](pictures/accuracy/{system.name}.png)"


# --- what is claimed of single machines ---------------------------------------------------------------------


def _claims(points: Points) -> Iterator[str]:
    yield "## What single machines should show"

    def of(name: str, low: int = 0) -> list[Point]:
        return [point for point in points[name] if point.measured_us is not None and point.bytes > low]

    def worst(found: Sequence[Point]) -> float:
        return max(abs(point.error) for point in found)

    large = [p for name in ("910bx2-xw", "910bx8-xw") for p in of(name, 1024 * MIB)]
    abci = {n: of(f"a100x{n}-abci", 64 * KIB) for n in (4, 8, 16, 64)}
    clouds = [
        ("a100x16-p4de", "p4de x 2"),
        ("mi325x16-aac", "MI325X x 2"),
        ("h100x96-coreweave", "CoreWeave H100 x 12"),
    ]
    tree, ring = of("summit-tree"), of("summit-ring")
    rows = [
        ("910B, bus bandwidth of 2 and 8 cards above 1 GiB", "5%", worst(large), 0.05),
        ("910B, 4 cards (rounded to 45 GB/s by its source, 54 by HCCL's formula)", "5%",
         worst([p for p in of("910b-limu") if p.cards == 4]), 0.05),
        ("A800, 2 cards at 4 GiB", "5%", worst([p for p in of("a800", 1024 * MIB) if p.cards == 2]), 0.05),
        ("A800, 4 and 8 cards at 4 GiB", "5%", worst([p for p in of("a800", 1024 * MIB) if p.cards > 2]), 0.05),
        ("Summit, tree, each point", "30%", worst(tree), 0.30),
        ("Summit, tree, us per doubling", "15%", abs(_slope(tree, False)), 0.15),
        ("Summit, ring, each point", "30%", worst(ring), 0.30),
        ("Summit, ring, factor per doubling", "15%", abs(_slope(ring, True)), 0.15),
        *((f"ABCI, {n} cards above 64 KiB, worst", "20%", worst(found), 0.20) for n, found in abci.items()),
        *((f"{title} above 256 MiB, worst", "10%", worst(of(name, 256 * MIB)), 0.10) for name, title in clouds),
    ]  # fmt: skip
    yield table(
        "claim | within: | is off by: | holds",
        [(name, within, f"{off:.1%}", "yes" if off <= most else "no") for name, within, off, most in rows],
    )


def _slope(points: Sequence[Point], factor: bool) -> float:
    """Error of what a doubling of cards costs, over the whole range: of the time added, or of the factor."""
    first, last = points[0], points[-1]
    doublings = log2(last.cards / first.cards)
    found = []
    for a, b in ((first.measured_us or 0.0, last.measured_us or 0.0), (first.simulated_us, last.simulated_us)):
        found.append((b / a) ** (1 / doublings) if factor else (b - a) / doublings)
    return found[1] / found[0] - 1
