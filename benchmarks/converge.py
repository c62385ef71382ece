"""Does training still converge? Real workers, real codecs, several seeds, and the clock of BERT-large on 1,024 cards.

Command::

    python benchmarks/converge.py           # trains 78 runs: five minutes on one core
    python benchmarks/converge.py --tune    # converge_rates.csv: four minutes

A small network stands in for the large one, whose size decides only how long a step takes. Eight workers, 30 epochs;
learning rates are those that are best *without* compression (``--tune`` finds them again) and the same for every codec.
Four questions, a panel each: what becomes of the digits, and of a problem whose steepest direction is 10,000 times as
steep as its flattest; what error feedback does beside momentum, and why DGC puts the momentum before it; whether one bit
needs a warm-up. A fifth series sends the codes through a two-shot all-reduce instead of a one-shot, so that sums are
encoded again on their way, where nobody remembers what is lost.

Found, as median losses of three seeds. int8 costs nothing that can be seen anywhere. Top-1 % without error feedback is at
0.24 on the digits where 0.032 is reached without compression, and stops at 0.41 on the ill-conditioned problem, which
begins at 0.51 and reaches 0.075; with it 0.027 and 0.089. On the digits it then even reaches the target in 10 to 19 %
fewer epochs, on the ill-conditioned problem in a quarter more. It must not stand before momentum, though: with the rate
that is best without compression it diverges; DGC does not, but is far from 0.0007 (0.04, and restless). One bit ends at
0.068, with error feedback at 0.030, through a two-shot all-reduce at 0.047. 1-bit Adam diverges from the first step on
without a warm-up, and ends at 0.0020 with one of five epochs (0.0010 without compression). A surprise is one bit *without*
error feedback on the ill-conditioned problem, 0.003: it takes steps of one size in all directions, and they lie along
the axes there, so that it cures what plain SGD suffers from.
"""

import csv
import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import click

from plots import figure, label_ends, save
from ringsim.question import Question
from ringsim.training import RATES, TASKS, Setup, optimizer, train
from ringsim.training.clock import step_seconds
from ringsim.training.converge import converge
from ringsim.training.picture import draw, looks
from ringsim.training.plan import Plan
from sweep import RESULTS

HELP = """Example: python benchmarks/converge.py --out /tmp/converge

Train with and without codecs, write loss and simulated time after every epoch, and draw them.
"""

ASKED = Question("hccs", 1024, model="bert-large")
SEEDS = (0, 1, 2)

TOPK, FED = "topk:0.01", "error_feedback(topk:0.01)"
ONE_BIT = "error_feedback(sign)"

PLANS = {
    "digits": Plan(ASKED, codecs=("int8", TOPK, FED, "sign", ONE_BIT, "error_feedback(powersgd:2)")),
    "ill-conditioned": Plan(ASKED, task="ill-conditioned", codecs=("int8", TOPK, FED, "sign", ONE_BIT)),
    "momentum": Plan(ASKED, optimizer="momentum", codecs=("int8", FED, "dgc:0.01")),
    "adam": Plan(ASKED, optimizer="adam", codecs=("int8", ONE_BIT)),
    "adam, warm-up": Plan(ASKED, optimizer="adam", warm_up=5, codecs=(ONE_BIT,)),
    "digits, two-shot": Plan(ASKED, through="two-shot", codecs=("int8", FED, ONE_BIT)),
}
TITLES = {
    "digits": "Digits, plain SGD",
    "ill-conditioned": "Condition number 10,000, plain SGD",
    "momentum": "Digits, momentum 0.9",
    "adam": "Digits, 1-bit Adam",
}
WORDS = {"series", "task", "optimizer", "through", "fabric", "model", "compress"}

#: Rates that are tried: powers of two times the first digit.
TRIED = {"sgd": [2.0**k for k in range(-4, 3)], "momentum": [0.1 * 2.0**k for k in range(-2, 5)],
         "adam": [0.001 * 2.0**k for k in range(8)]}  # fmt: skip

clock = cache(step_seconds)


def rows(quick: bool) -> Iterator[dict[str, Any]]:
    """Train every plan with every seed."""
    for series, plan in PLANS.items():
        if quick and series != "digits":
            continue
        for seed in SEEDS[: 1 if quick else None]:
            asked = replace(plan, seed=seed, **({"epochs": 3, "codecs": (TOPK, FED)} if quick else {}))
            for row in converge(asked, clock=clock).rows():
                yield {"series": series} | {key: _short(value) for key, value in row.items()}
            click.echo(f"{series}, seed {seed}: trained", err=True)


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def tuned() -> Iterator[dict[str, Any]]:
    """Mean loss of five seeds after 30 epochs without compression, for every task, optimiser and rate."""
    for task, name in RATES:
        for rate in TRIED[name]:
            setups = [Setup(optimizer(name, rate), seed=seed) for seed in range(5)]
            ends = [train(TASKS[task](setup.seed), setup)[-1] for setup in setups]
            right = [end.accuracy for end in ends if end.accuracy is not None]
            yield {
                "task": task, "optimizer": name, "rate": rate, "loss": _short(statistics.mean(end.loss for end in ends)),
                "accuracy": _short(statistics.mean(right)) if right else None,
            }  # fmt: skip


def write(path: Path, found: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    click.echo(f"{path}: {len(found)} rows")


def table(path: Path) -> list[dict[str, Any]]:
    """Read rows again, numbers as numbers; what was left empty is None."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: _read(key, text) for key, text in row.items()} for row in csv.DictReader(file)]


def _read(key: str, text: str) -> Any:
    if key in WORDS:
        return text
    return (int(text) if text.isdigit() else float(text)) if text else None


def curve(found: list[dict[str, Any]], series: str, spec: str) -> list[float]:
    """Median loss of the seeds after each epoch; a run that has diverged stays at infinity."""
    own = [row for row in found if (row["series"], row["compress"]) == (series, spec)]
    losses: dict[int, list[float]] = {}
    for row in own:
        losses.setdefault(row["epoch"], []).append(row["loss"])
    seeds = max(map(len, losses.values()), default=0)
    return [statistics.median([*some, *[math.inf] * (seeds - len(some))]) for some in losses.values()]


def summary(found: list[dict[str, Any]]) -> Iterator[str]:
    for series in dict.fromkeys(row["series"] for row in found):
        for spec in dict.fromkeys(row["compress"] for row in found if row["series"] == series):
            own = [row for row in found if (row["series"], row["compress"]) == (series, spec)]
            ends = {row["seed"]: row for row in own}  # the last row of each seed
            right = [row["accuracy"] or 0 for row in ends.values()]
            gains = [row["gain"] for row in ends.values()]
            yield (
                f"{series:18} {spec:30} loss " + " ".join(f"{row['loss']:.3g}" for row in ends.values())
                + (f"  accuracy {statistics.mean(right):.1%}" if any(right) else "")
                + f"  step {own[0]['step_us'] / 1e3:.1f} ms  gain "
                + " ".join("none" if gain is None else f"{gain:.2f}" for gain in gains)
            )  # fmt: skip


def plot(found: list[dict[str, Any]], folder: Path) -> None:
    shown = [series for series in TITLES if any(row["series"] == series for row in found)]
    fig, panels = figure(2, 8.4)
    if len(shown) > 2:
        fig.clear()
        panels = fig.subplots(2, 2).ravel()
    look = looks(found)
    for axes, series in zip(panels, shown, strict=False):
        _panel(axes, series, lines_of(found, series, look))
    save(fig, folder / "converge.png")


def lines_of(found: list[dict[str, Any]], series: str, look: dict[str, Any]) -> list[tuple[str, list[float], Any]]:
    """Name, median losses and look of each line of a panel."""
    specs = list(dict.fromkeys(row["compress"] for row in found if row["series"] == series))
    lines = [(_name(spec), curve(found, series, spec), look[spec]) for spec in specs]
    if series == "adam":
        warm = {row["compress"] for row in found if row["series"] == "adam, warm-up"} - {"none"}
        lines += [
            (f"{_name(spec)}, warm-up", curve(found, "adam, warm-up", spec), {"color": "#7B4B94"})
            for spec in warm
        ]  # fmt: skip
    return lines


def _panel(axes: Any, series: str, lines: list[tuple[str, list[float], Any]]) -> None:
    start = lines[0][1][0]
    low, high = min(min(losses) for _, losses, _ in lines) / 1.5, 4 * start
    epochs = max(len(losses) for _, losses, _ in lines) - 1
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_xlim(0, epochs)
    axes.set_title(TITLES[series])
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss, median of the seeds")
    ends = []
    for name, losses, style in lines:
        axes.plot(range(len(losses)), [min(loss, 100 * high) for loss in losses], **style)
        lost = losses[-1] > high
        ends.append((epochs, high / 1.2 if lost else losses[-1], name + " diverges" * lost, style["color"]))
    label_ends(axes, ends)


def _name(spec: str) -> str:
    """As people say it."""
    inner = spec.removeprefix("error_feedback(")
    if inner != spec:
        return f"{inner[:-1]}, error feedback"
    return spec.replace("none", "no compression")


@click.command(help=HELP)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, metavar="FOLDER",
    show_default="benchmarks/results", help="Where tables and pictures are.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="One series, one seed, three epochs, to try it out.")
@click.option("--plot-only", is_flag=True, help="Train nothing: draw what the table holds.")
@click.option("--tune", is_flag=True, help="Look for the learning rates instead.")
def main(out: Path, quick: bool, plot_only: bool, tune: bool) -> None:
    if tune:
        write(out / "converge_rates.csv", list(tuned()))
        return
    path = out / "converge.csv"
    if not plot_only:
        write(path, list(rows(quick)))
    elif not path.exists():
        raise click.ClickException(f"{path}: no such table; run without --plot-only to fill it")
    found = table(path)
    for line in summary(found):
        click.echo(line)
    plot(found, out)
    first = [row for row in found if (row["series"], row["seed"]) == ("digits", 0)]
    draw(first, out / "converge_clock.png")
    click.echo(out / "converge_clock.png")


if __name__ == "__main__":
    main()
