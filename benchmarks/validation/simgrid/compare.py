"""The same flows in SimGrid and in ringsim, and how far apart any of them is.

Command::

    python benchmarks/validation/simgrid/compare.py

Hundreds of random platforms and schedules (`platforms`), each run by both of ringsim's engines, once as it is and once
with a row for each firing (`rewriting`), and by SimGrid (`flows.cpp`, compiled first). A row of the table is a platform;
`worst` is the largest difference of any flow's start, end of sending or delivery, in either engine, as a part of the run's
time. Where the latency is in SimGrid's links the first two mean something else there, and only deliveries are compared.

Needs a C++ compiler and SimGrid's headers (Debian: ``libsimgrid-dev``).
"""

import csv
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from math import floor, log2
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from peer import NoSimGridError, build, simulate
from platforms import SETS, Case, draw
from rewriting import picked, unrolled

from ringsim.engines import ENGINES, run

HERE = Path(__file__).parent
TABLE = HERE.parent / "results" / "simgrid.csv"

#: What the definition of done asks for, as a part of a run's time.
AGREE = 1e-6

#: SimGrid's precisions are absolute, so it is told times in a unit of which a run takes this many, or up to twice as many.
UNITS = 2**8

HELP = """Example: python benchmarks/validation/simgrid/compare.py --out /tmp/simgrid.csv

Run random flows through ringsim and through SimGrid and write how far apart they are. Exit code 1 where flows that have to
agree do not.
"""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """What a platform holds, seconds that a run takes, and the largest difference as a part of them.

    `sharing` says how much the sharing of links matters there: the largest change of a delivery in ringsim if each row had
    its links for itself, as a part of the run's time.
    """

    set: str
    seed: int
    flows: int
    rows: int
    links: int
    most_rows_on_a_link: int
    sharing: float
    ringsim_s: float
    reference_s: float
    simgrid_s: float
    worst: float


def compare(program: Path, name: str, seed: int) -> Row:
    """Run a case everywhere."""
    case = draw(name, seed)
    seconds = {engine: run(case.program, engine).time for engine in ENGINES}
    unit = 2.0 ** floor(log2(seconds["compiled"] / UNITS))
    times = simulate(program, case.flows, case.link_latency, unit)
    flows = case.flows
    moves = np.diff(flows.route_offsets) > 0
    return Row(
        set=name,
        seed=seed,
        flows=int(flows.count[moves].sum()),
        rows=flows.rows,
        links=len(flows.bandwidth),
        most_rows_on_a_link=int(np.bincount(flows.route_links).max()),
        sharing=sharing(case),
        ringsim_s=seconds["compiled"],
        reference_s=seconds["reference"],
        simgrid_s=float(times[:, 2].max()),
        worst=apart(case, times),
    )


def apart(case: Case, times: Floats) -> float:
    """Largest difference between SimGrid's times and those of either engine, as a part of the run's time."""
    program = case.program
    begins = np.cumsum(program.count) - program.count
    firsts = np.cumsum(case.flows.count) - case.flows.count
    each = unrolled(program)
    # Where in the longer program each of SimGrid's firings is.
    firing = np.concatenate([np.arange(n) + begins[v] for v, n in zip(case.row, case.flows.count, strict=True)])
    lasts = firsts + case.flows.count - 1
    found = (times[firsts, 0], times[lasts, 1], np.maximum.reduceat(times[:, 2], firsts))
    columns = slice(2, 3) if case.link_latency.any() else slice(0, 3)
    worst = 0.0
    for engine in ENGINES:
        whole, single = run(program, engine), run(each, engine)
        of_rows = [column[case.row] for column in (whole.start, whole.left, whole.finish)]
        of_firings = [column[firing] for column in (single.start, single.left, single.finish)]
        pairs = [
            *zip(of_rows[columns], found[columns], strict=True),
            *zip(of_firings[columns], times.T[columns], strict=True),
        ]
        worst = max(worst, *(float(np.abs(one - other).max()) / whole.time for one, other in pairs))
    return worst


def sharing(case: Case) -> float:
    """Largest change of a delivery if each row had its links for itself, as a part of the run's time."""
    program = case.program
    own = replace(
        program,
        bandwidth=program.bandwidth[program.route_links],
        route_links=np.arange(len(program.route_links), dtype=np.int32),
    )
    # Rows that stand for one flow, side by side, keep one set of links.
    stands_for = np.searchsorted(case.row, np.arange(program.rows), side="right") - 1
    own = replace(own, route_links=picked(own, case.row[stands_for]).route_links)
    shared = run(unrolled(program))
    return float(np.abs(shared.finish - run(unrolled(own)).finish).max() / shared.time)


def cases(one_in: int = 1) -> Iterator[tuple[str, int]]:
    """Set and seed of all cases, or of one in so many of each set."""
    return ((name, seed) for name, count in SETS.items() for seed in range(0, count, one_in))


def read(path: Path = TABLE) -> list[Row]:
    """Read the table."""
    kinds = {field.name: field.type for field in fields(Row)}
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(**{key: kinds[key](value) for key, value in line.items()}) for line in csv.DictReader(file)]


def summary(rows: list[Row]) -> str:
    """Say for each set what it holds, how much sharing matters in the median, and how far apart the two come out."""
    lines = [f"{'set':18} {'platforms':>9} {'flows':>7} {'sharing':>8} {'median':>8} {'worst':>8}"]
    for name in SETS:
        of_set = [row for row in rows if row.set == name]
        worst, matters = [row.worst for row in of_set], np.median([row.sharing for row in of_set])
        flows = sum(row.flows for row in of_set)
        lines.append(f"{name:18} {len(worst):9} {flows:7} {matters:8.1%} {np.median(worst):8.0e} {max(worst):8.0e}")
    return "\n".join(lines)


@click.command(help=HELP)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=TABLE, help="Table to write.")
@click.option("--one-in", type=click.IntRange(1), default=1, help="Take one platform in so many of each set.")
def main(out: Path, one_in: int) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = build(Path(folder))
        except NoSimGridError as problem:
            raise click.UsageError(str(problem)) from None
        for name, seed in cases(one_in):
            try:
                rows.append(compare(program, name, seed))
            except RuntimeError as problem:
                raise click.ClickException(f"{name}, platform {seed}: {problem}") from None
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    click.echo(summary(rows))
    sys.exit(any(row.worst > AGREE for row in rows if row.set != "unequal"))


if __name__ == "__main__":
    main()
