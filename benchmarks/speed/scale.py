"""Say how far it goes: tens of thousands of cards with their graph, a million without, and how cost grows between.

Every measurement is a whole process (`one.py`): starting Python, loading Numba, reading the data sheet, building,
simulating with jumps. Machine code is already in the cache; `startup.py` measures what the first run pays for it.
The picture `growth.png` is drawn from `growth.csv` alone.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import measure
from measure import HERE, Measured

#: What is asked of one process: name of the work, the question, seconds and bytes to stay below.
WORKS: tuple[tuple[str, dict[str, Any], float, float], ...] = (
    ("ring, with graph", {"fabric": "hccs", "cards": 30_000, "algorithm": "ring", "graph": True}, 5, 1e9),
    ("tree, with graph", {"fabric": "hccs", "cards": 30_000, "algorithm": "tree", "graph": True}, 5, 1e9),
    (
        "flat ring",
        {"fabric": "nvlink3", "domain": "all", "cards": 1_000_000, "algorithm": "ring", "rings": 1, "graph": False},
        60,
        6e9,
    ),
    ("two-level rings", {"fabric": "hccs", "cards": 1_000_000, "algorithm": "ring", "graph": False}, 60, 6e9),
)

#: Lines of the growth picture.
SERIES: dict[str, dict[str, Any]] = {
    "flat ring": {"fabric": "nvlink3", "domain": "all", "algorithm": "ring", "rings": 1, "graph": False},
    "two-level rings": {"fabric": "hccs", "algorithm": "ring", "graph": False},
    "tree": {"fabric": "hccs", "algorithm": "tree", "graph": False},
}
CARDS = (1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 50_000, 70_000, 100_000)

#: Seconds beyond which a measurement is not repeated.
PATIENCE = 5.0


def ask(question: dict[str, Any]) -> Measured:
    """Run one experiment in a process of its own."""
    return measure.process(measure.python(HERE / "one.py", json.dumps(question)))


def experiment(work: str, question: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Measure one question, the best of some rounds, and say so."""
    taken = [ask(question)]
    while len(taken) < rounds and taken[0].wall_s < PATIENCE:
        taken.append(ask(question))
    best, peak = measure.best(taken), max(m.peak for m in taken)
    found = best.json()
    click.echo(
        f"{work:18} {question['cards']:9,} cards  {best.wall_s:7.2f} s  {peak / 1e6:7,.0f} MB  "
        f"{found['simulated']:,} of {found['transfers']:,} transfers simulated"
    )
    return {
        "work": work, "fabric": question["fabric"], "cards": question["cards"], "algorithm": found["algorithm"],
        "channels": found["channels"], "graph_edges": found["graph_edges"], "time_us": found["time_us"],
        "transfers": found["transfers"], "simulated": found["simulated"], "jumped": found["jumped"],
        "wall_s": best.wall_s, "cpu_s": best.cpu_s, "peak_MB": peak / 1e6, "load_s": found["load_s"],
        "graph_s": found["graph_s"], "answer_s": found["answer_s"], "rounds": len(taken),
    }  # fmt: skip


def straight(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Least-squares line through points: its value at 0, its slope, and R²."""
    n, mean_x, mean_y = len(x), sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    start = mean_y - slope * mean_x
    total = sum((b - mean_y) ** 2 for b in y) or 1.0
    rest = sum((b - start - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    return start, slope, 1 - rest / total if n > 2 else 1.0


def fits(rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """A line for each series and quantity of a growth table."""
    found = []
    for series in dict.fromkeys(row["work"] for row in rows):
        own = [row for row in rows if row["work"] == series]
        cards = [float(row["cards"]) for row in own]
        for quantity in ("wall_s", "cpu_s", "peak_MB"):
            values = [float(row[quantity]) for row in own]
            start, slope, r2 = straight(cards, values)
            off = max(abs(v - start - slope * c) / v for c, v in zip(cards, values, strict=True))
            found.append(
                {
                    "work": series, "quantity": quantity, "at_0": start, "per_1000_cards": slope * 1000,
                    "r_squared": r2, "furthest_off": off,
                }
            )  # fmt: skip
    return found


def draw(table: Path, picture: Path) -> None:
    """Draw time and memory against cards, with the straight lines through them."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise click.ClickException("the picture needs matplotlib: pip install 'ringsim[plot]'") from None
    rows = measure.read(table)
    lines = {(fit["work"], fit["quantity"]): fit for fit in fits(rows)}
    colours = dict(zip(SERIES, ("#0072B2", "#D55E00", "#009E73"), strict=True))
    # A tree takes a hundred times as long as rings do, so it gets a panel of its own.
    panels = (
        ("cpu_s", "processor time, s", ("flat ring", "two-level rings")),
        ("cpu_s", "processor time, s", ("tree",)),
        ("peak_MB", "peak memory, MB", tuple(SERIES)),
    )
    figure = Figure(figsize=(13, 4), dpi=110, layout="constrained")
    for axes, (quantity, title, shown) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for series in shown:
            own = [row for row in rows if row["work"] == series]
            if not own:
                continue
            cards, fit = [float(row["cards"]) for row in own], lines[series, quantity]
            ends = [0.0, max(cards)]
            axes.plot(ends, [fit["at_0"] + fit["per_1000_cards"] * c / 1000 for c in ends], color=colours[series], lw=1)
            label = f"{series}: R² = {fit['r_squared']:.4f}"
            axes.plot(cards, [float(row[quantity]) for row in own], "o", ms=4, color=colours[series], label=label)
            axes.legend(frameon=False, fontsize=9)
        axes.set_title(f"{title}, whole process", loc="left", fontsize=10, fontweight="bold")
        axes.set_xlabel("cards")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(color="#DDDDDD", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, metadata={"Software": None})
    click.echo(picture)


@click.command(epilog="Example: python benchmarks/speed/scale.py")
@click.option("--plot-only", is_flag=True, help="Measure nothing: draw what growth.csv holds.")
@measure.options
def main(out: Path, rounds: int | None, quick: bool, plot_only: bool) -> None:
    """Measure time and peak memory of whole processes, from a thousand cards to a million."""
    if not plot_only:
        rounds = rounds or (1 if quick else 7)
        for series in () if quick else ("flat ring", "tree"):
            ask(SERIES[series] | {"cards": 64})  # puts both loops into the cache
        rows = []
        for work, question, seconds, bytes in WORKS[1:3] if quick else WORKS:
            smaller = {"cards": 64} if quick else {}
            found = experiment(work, question | smaller, rounds)
            limits = {"most_s": seconds, "most_MB": bytes / 1e6}
            reached = found["wall_s"] <= seconds and found["peak_MB"] <= bytes / 1e6
            rows.append(found | limits | {"reached": "" if quick else reached})
            if not quick and not reached:
                click.echo(f"NOT REACHED: {work}: {seconds:g} s and {bytes / 1e6:,.0f} MB were to be kept")
        measure.write(out / "scale.csv", rows)
        growth = [
            experiment(series, question | {"cards": cards}, rounds)
            for series, question in list(SERIES.items())[: 1 if quick else None]
            for cards in ((64, 128) if quick else CARDS)
        ]
        measure.write(out / "growth.csv", growth)
    measure.write(out / "growth_fit.csv", fits(measure.read(out / "growth.csv")))
    draw(out / "growth.csv", out / "growth.png")


if __name__ == "__main__":
    main()
