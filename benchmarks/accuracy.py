"""Published measurements: how far simulated times are from them, system by system, as a table, a page and pictures.

Command::

    python benchmarks/accuracy.py

Simulates every row of `validation/measured.csv` and powers of two between them, writes `results/accuracy.csv`; fits each
constant without each system in turn, writes `results/leave_one_out.csv`; and from those tables alone `docs/accuracy.md`
and a picture for each system: measured points over the simulated curve. What was found is what the page says; its reasons
are in `accuracy_reasons.py` and `accuracy_missed.py`, its numbers are not.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from accuracy_page import text
from plots import COLOURS, cards_axis, figure, save, size_axis, time_axis
from ringsim.fabric import FabricError
from ringsim.fabric.errors import FileError
from ringsim.study import StudyError
from ringsim.topology import TopologyError
from ringsim.units import format_size
from ringsim.validation import Left, Point, System, curve, leave_one_out, load, simulate
from sweep import RESULTS, progress

HELP = """Example: python benchmarks/accuracy.py --plot-only

Simulate every published measurement and write the table, the page and the pictures of docs/accuracy.md.
"""

ROOT = Path(__file__).parents[1]
TABLE = RESULTS / "accuracy.csv"
LEFT_OUT = RESULTS / "leave_one_out.csv"
PAGE = ROOT / "docs" / "accuracy.md"
PICTURES = ROOT / "docs" / "pictures" / "accuracy"

COLUMNS = ("system", "id", "cards", "nodes", "bytes", "measured_us", "simulated_us", "algorithm", "protocol")

#: One for each cluster of a system, told apart by any eye.
PALETTE = [COLOURS[name] for name in ("nvlink3, one domain", "hccs", "nvlink3", "infinity-fabric", "nvlink4")]


def write(path: Path, points: Sequence[Point]) -> None:
    """Write the table: times to six digits, which is more than anybody measures."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for p in points:
            measured = "" if p.measured_us is None else f"{p.measured_us:.6g}"
            writer.writerow(
                (p.system, p.id, p.cards, p.nodes, p.bytes, measured, f"{p.simulated_us:.6g}", p.algorithm, p.protocol)
            )


def read(path: Path) -> dict[str, list[Point]]:
    """Read the table, points by system; those of the curve have no measured time."""
    found: dict[str, list[Point]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            measured = float(row["measured_us"]) if row["measured_us"] else None
            cards, nodes, size = (int(row[name]) for name in ("cards", "nodes", "bytes"))
            point = Point(
                row["system"], row["id"], cards, nodes, size, measured, float(row["simulated_us"]), row["algorithm"],
                row["protocol"],
            )  # fmt: skip
            found.setdefault(point.system, []).append(point)
    return found


def write_left(path: Path, found: Sequence[Left]) -> None:
    """Write what leaving out gave, numbers to six digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Left))
        for one in found:
            writer.writerow(f"{v:.6g}" if isinstance(v, float) else v for v in asdict(one).values())


def read_left(path: Path) -> list[Left]:
    """Read what leaving out gave."""
    number = {field.name for field in fields(Left) if field.type in (float, "float")}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Left(**{name: float(text) if name in number else text for name, text in row.items()})  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        ]


def plot(system: System, points: Sequence[Point], picture: Path) -> None:
    """Draw measured points over simulated curves, against the size, or against cards where there is one size."""
    fig, (axes,) = figure(1, height=3.6)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    one_size = len({point.bytes for point in points}) == 1 and len(system.clusters) > 1
    groups: Mapping[str, Sequence[Point]] = {"": points} if one_size else {
        f"{cards:,} cards": [point for point in points if point.cards == cards] for cards, _ in system.clusters
    }  # fmt: skip
    for colour, (name, own) in zip(PALETTE, groups.items(), strict=False):
        x = lambda point: point.cards if one_size else point.bytes  # noqa: E731
        line = sorted((x(point), point.simulated_us) for point in own if point.measured_us is None)
        dots = [(x(point), point.measured_us) for point in own if point.measured_us is not None]
        label = f", {name}" if len(groups) > 1 else ""
        alone = "_" if len(line) == 1 else None
        axes.plot(*zip(*line, strict=True), color=colour, marker=alone, markersize=14, label=f"simulated{label}")
        axes.plot(*zip(*dots, strict=True), "o", mfc="none", mec=colour, markersize=5, label=f"measured{label}")
    # Few points close together would fill the picture with a difference that is hardly there.
    axes.set_ylim(*_wide(axes.get_ylim(), 30))
    if one_size:
        cards = [cards for cards, _ in system.clusters]
        if max(cards) < 4 * min(cards):
            axes.set_xscale("linear")
            axes.set_xticks(cards)
        else:
            cards_axis(axes.xaxis, cards)
        axes.set_xlabel(f"cards, {format_size(points[0].bytes)} on each")
    else:
        low, high = _wide(axes.get_xlim(), 4096)
        axes.set_xlim(low, high)
        size_axis(axes.xaxis, max(low, 1), high)
        axes.set_xlabel("size of the vector on each card")
    axes.set_ylabel("time of one all-reduce")
    axes.set_title(system.title)
    time_axis(axes.yaxis)
    axes.legend(frameon=False, fontsize=8)
    save(fig, picture)


def _wide(limits: tuple[float, float], least: float) -> tuple[float, float]:
    """Move the limits of a log axis apart until they are a factor of `least` from each other."""
    low, high = limits
    more = max(1.0, (least / (high / low)) ** 0.5)
    return low / more, high * more


def run(systems: Sequence[System]) -> list[Point]:
    """Simulate measurements and curves of every system, with a bar on a terminal."""
    points: list[Point] = []
    with progress(systems, "accuracy") as bar:
        for system in bar:
            points += [*simulate(system), *curve(system)]
    return points


@click.command(help=HELP)
@click.option("--plot-only", is_flag=True, help="Simulate nothing: write page and pictures from the table.")
def main(**given: Any) -> None:
    try:
        systems = load()
        if not given["plot_only"]:
            write(TABLE, run(systems))
            click.echo(TABLE)
            write_left(LEFT_OUT, leave_one_out(systems))
            click.echo(LEFT_OUT)
        for table in (TABLE, LEFT_OUT):
            if not table.exists():
                raise click.ClickException(f"{table}: no such table; run without --plot-only to fill it")
    except (FabricError, FileError, StudyError, TopologyError) as error:
        raise click.ClickException(str(error)) from None
    points = read(TABLE)
    PAGE.write_text(text(systems, points, read_left(LEFT_OUT)), encoding="utf-8")
    click.echo(PAGE)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for system in systems:
        plot(system, points[system.name], PICTURES / f"{system.name}.png")


if __name__ == "__main__":
    main()
