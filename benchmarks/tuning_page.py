"""Pictures of docs/tuning.md: 1,024 Ascend 910B, from one ring to the best plan.

Command::

    python benchmarks/tuning_page.py

Runs the commands of the page that draw and draws the plot of time against size, both into `docs/pictures`. The
numbers of the plot are what ``ringsim tune --json`` and, for what libraries try by default, ``ringsim run --json`` say.
The tuner's table is written into the page: the search takes too long for tests/test_docs.py, which compares every other
output of the page and runs each plan of the table. A minute on one core.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from io import BytesIO, TextIOWrapper
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click

from plots import figure, label_ends, save, size_text, time_axis
from ringsim.cli import main as command_line

HELP = """Example: python benchmarks/tuning_page.py --out /tmp/pictures

Draw the pictures of docs/tuning.md anew, and write the tuner's table into it.
"""

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tuning.md"
TUNE = "ringsim tune --fabric hccs --cards 1024 --quiet"

#: Colours as in plots.py, after Okabe and Ito.
LOOKS = {
    "one ring": {"color": "#888888", "marker": "s"},
    "ring or tree, libraries' default": {"color": "#0072B2", "marker": "^"},
    "best plan": {"color": "#D55E00", "marker": "o"},
    "lower bound": {"color": "#333333", "linestyle": ":"},
}


class Point(NamedTuple):
    """One size of the vector: bytes, microseconds, and the best plan's algorithm and where it begins, bytes."""

    size: int
    times: dict[str, float]
    plan: str
    begins: int


# -- what ringsim says ---------------------------------------------------------------------------------------


def said(command: str) -> str:
    """Run a command line of ringsim in this process; what it prints."""
    printed = BytesIO()
    with redirect_stdout(TextIOWrapper(printed, "utf-8", write_through=True)):
        try:
            command_line(shlex.split(command)[1:])
        except SystemExit as end:
            if end.code:
                raise click.ClickException(f"{command}: exit code {end.code}") from None
        return printed.getvalue().decode("utf-8")


def points(cards: int, factor: int) -> list[Point]:
    """Ask the tuner, and at each of its sizes what libraries try by default."""
    cluster, found = f"--fabric hccs --cards {cards}", []
    for row in json.loads(said(f"ringsim tune {cluster} -f {factor} --json --quiet"))["rows"]:
        size, best = row["plan"]["case"]["bytes"], row["plan"]["result"]
        usual = json.loads(said(f"ringsim run {cluster} --size {size} --algorithm auto --json --quiet"))["result"]
        times = [row["naive"]["result"]["time_us"], usual["time_us"], best["time_us"], best["bound_us"]]
        named = dict(zip(LOOKS, times, strict=True))
        found.append(Point(size, named, row["plan"]["case"]["algorithm"], row["min_bytes"]))
    return found


# -- what is drawn -------------------------------------------------------------------------------------------


def plot(found: Sequence[Point], title: str, path: Path) -> None:
    """Time against size, both logarithmic; below, which plan is meant for which sizes."""
    fig, (axes,) = figure(1, height=5.2)
    fig.set_figwidth(8.6)
    sizes = [point.size for point in found]
    ends = []
    for name, look in LOOKS.items():
        times = [point.times[name] for point in found]
        axes.plot(sizes, times, **look)
        ends.append((sizes[-1], times[-1], name, look["color"]))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    lowest, highest = (pick(t for point in found for t in point.times.values()) for pick in (min, max))
    axes.set_ylim(lowest / 6, highest * 2)
    axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 2)
    axes.grid(visible=False, axis="x")
    axes.set_xticks(sizes, [size_text(size) for size in sizes])
    time_axis(axes.yaxis)
    _plans(axes, found, lowest / 2.4)
    for point in (found[0], found[-1]):
        _gain(axes, point)
    axes.set_xlabel("size of the vector on each card")
    axes.set_ylabel("time of one all-reduce")
    axes.set_title(title)
    label_ends(axes, ends)
    save(fig, path)


def _plans(axes: Any, found: Sequence[Point], height: float) -> None:
    """Write the best plans' algorithms at that height, each between the sizes for which it is meant."""
    runs = [list(run) for _, run in groupby(found, key=lambda point: point.plan)]
    begins = [run[0].begins for run in runs] + [found[-1].size * 2]
    for run, low, high in zip(runs, begins, begins[1:], strict=False):
        if run is not runs[0]:
            axes.axvline(low, color="#BBBBBB", linewidth=0.8)
        words = run[0].plan.removeprefix("hierarchical-").replace("-doubling", "-\ndoubling")
        axes.annotate(words, ((low * high) ** 0.5, height), color=LOOKS["best plan"]["color"], ha="center", va="top",
                      fontsize=7)  # fmt: skip


def _gain(axes: Any, point: Point) -> None:
    """Write how often the best plan fits into the time of one ring."""
    slow, fast = point.times["one ring"], point.times["best plan"]
    axes.annotate(
        "", (point.size, fast * 1.2), (point.size, slow / 1.2), arrowprops={"arrowstyle": "->", "color": "#555555"}
    )
    axes.annotate(f"{slow / fast:.1f}×", (point.size, (slow * fast) ** 0.5), (5, 0), textcoords="offset points")


def draw_what_the_page_draws(folder: Path) -> None:
    """Run the page's commands that draw a picture of its own, and before them those that write what they read."""
    wanted = re.findall(r"^\$ (python -c .* > \S+|ringsim .* --picture tuning-\S+)$", PAGE.read_text("utf-8"), re.M)
    with chdir(folder):
        for command in wanted:
            code = re.fullmatch(r'python -c "(.*)" > (\S+)', command)
            if code:
                written = subprocess.run([sys.executable, "-c", code[1]], capture_output=True, text=True, check=True)
                Path(code[2]).write_text(written.stdout, "utf-8")
            else:
                said(command)


def with_table(page: str, printed: str) -> str:
    """Put what the tuner prints below its command, in place of what stands there."""
    shown = re.compile(rf"(^\$ {re.escape(TUNE)}\n).*?(?=^```$)", re.M | re.S)
    return shown.sub(lambda found: found[1] + printed, page)


@click.command(help=HELP)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=PAGE.parent / "pictures", metavar="FOLDER",
    show_default="docs/pictures", help="Where the pictures go.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Only the plot, of 16 cards and three sizes, to try it out.")
def main(out: Path, quick: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    cards, factor = (16, 128) if quick else (1024, 4)
    plot(points(cards, factor), f"All-reduce on {cards:,} Ascend 910B", out / "tuning-sizes.png")
    if quick:
        return
    with TemporaryDirectory() as folder:
        draw_what_the_page_draws(Path(folder))
        for picture in sorted(Path(folder).glob("tuning-*.png")):
            click.echo(out / picture.name)
            (out / picture.name).write_bytes(picture.read_bytes())
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), said(TUNE)), "utf-8")
    click.echo(PAGE.name)


if __name__ == "__main__":
    main()
