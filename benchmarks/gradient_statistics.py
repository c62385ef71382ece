"""Gradients of real workers: how heavy their tails are, what workers have in common, how their top-k overlap.

Command::

    python benchmarks/gradient_statistics.py

Thirty-two workers train on scikit-learn's digits, each with 16 examples a step; at some steps their gradients are
looked at before they are summed. The last rows are of `ringsim.gradients.sample`, which is made to look the same: its
constants `SIGNAL`, `BETWEEN` and `WITHIN` are the medians of the rows of plain SGD, rounded. Nothing else is fitted;
how top-k indices of workers overlap comes out of it, and the table shows how well.
"""

import csv
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from ringsim.gradients.sample import sample, tensors
from ringsim.gradients.statistics import WORKERS, Statistics, measure
from ringsim.training import RATES, TASKS, Setup, Step, optimizer, train

HELP = """Example: python benchmarks/gradient_statistics.py --out /tmp/statistics

Measure gradients of real training and of the sampler, and write them as a table.
"""

RANKS = max(WORKERS)
STEPS = (2, 5, 10, 20, 40, 59)
SEEDS = (0, 1, 2)
OPTIMIZERS = ("sgd", "momentum", "adam")

#: Elements of the sampler's gradients: about those of the network.
ELEMENTS = 1 << 14


def row(series: str, seed: int, step: int, found: Statistics) -> dict[str, Any]:
    numbers = asdict(found)
    grown = dict(zip((f"union_{w}" for w in WORKERS), numbers.pop("unions"), strict=True))
    return {"series": series, "seed": seed, "step": step} | {k: round(v, 4) for k, v in (numbers | grown).items()}


def trained(name: str, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of one training run."""
    rows: list[dict[str, Any]] = []

    def watch(step: Step) -> None:
        if step.step in STEPS:
            rows.append(row(name, seed, step.step, measure(step.gradients)))

    task = TASKS["digits"](seed)
    train(task, Setup(optimizer(name, RATES["digits", name]), workers=RANKS, seed=seed), watch=watch)
    yield from rows


def sampled(seed: int) -> dict[str, Any]:
    whole = sample(ELEMENTS, RANKS, seed)
    return row("sample", seed, 0, measure(np.split(whole, tensors(ELEMENTS)[1:], axis=1)))


@click.command(help=HELP)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path(__file__).parent / "results",
    metavar="FOLDER", show_default="benchmarks/results", help="Where the table goes.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Plain SGD and one seed, to try it out.")
def main(out: Path, quick: bool) -> None:
    seeds = SEEDS[:1] if quick else SEEDS
    rows = [r for name in OPTIMIZERS[: 1 if quick else None] for seed in seeds for r in trained(name, seed)]
    rows += [sampled(seed) for seed in seeds]
    path = out / "gradient_statistics.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for series in dict.fromkeys(r["series"] for r in rows):
        own = [r for r in rows if r["series"] == series]
        middle = {
            key: statistics.median(r[key] for r in own) for key in own[0] if key not in ("series", "seed", "step")
        }
        click.echo(f"{series:9} " + "  ".join(f"{key} {value:.3g}" for key, value in middle.items()))
    click.echo(f"{path}: {len(rows)} rows")


if __name__ == "__main__":
    main()
