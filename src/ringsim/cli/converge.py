"""``ringsim converge``: whether training still converges with a codec, over epochs and over simulated time."""

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ringsim.cli.asking import asked, asks_but, check_named
from ringsim.cli.drawing import check_picture
from ringsim.cli.errors import explained
from ringsim.cli.options import Command, Name, Number, Whole
from ringsim.cli.screen import Notice, Progress, check_writable, dump, show

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ringsim.training.outcome import Study


def _models() -> "Iterable[str]":
    from ringsim.gradients import MODELS

    return MODELS


def _tasks() -> "Iterable[str]":
    from ringsim.training import TASKS

    return TASKS


def _optimizers() -> "Iterable[str]":
    from ringsim.training.optimizers import NAMES

    return NAMES


def _all_reduces() -> "Iterable[str]":
    from ringsim.collectives import COLLECTIVES

    return COLLECTIVES["all-reduce"]


class Rate(Number):
    """A learning rate, as people write them; its range is checked by the plan."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a float, with an exponent if there is one."""
        written = str(value)
        if re.fullmatch(r"([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})(e[+-]?[0-9]{1,2})?", written, re.IGNORECASE):
            return float(written)
        raise click.ClickException(
            f"rate = {written or '(empty)'}: not a number above 0; write one such as 0.5 or 1e-3"
        )


_RIGHT = "write a number such as 8"

#: Exit code where training without compression does not learn, so that there is nothing to compare with.
NOTHING = 1


@click.command(cls=Command, example="ringsim converge --fabric hccs --cards 1024 --picture loss.png")
@asks_but("graph", "size", "collective", "compress", "model", "seed")
@click.option(
    "--model",
    type=Name("model", _models),
    default="bert-large",
    show_default=True,
    help="Whose gradients and computing set the clock: resnet-50, bert-large, gpt-neox-20b, llama-3-8b.",
)
@click.option(
    "--task",
    type=Name("task", _tasks),
    default="digits",
    show_default=True,
    help="What is learnt: digits (scikit-learn) or ill-conditioned, a least-squares problem.",
)
@click.option(
    "--compress",
    "codecs",
    metavar="CODEC",
    multiple=True,
    help="A codec to train with; repeatable. Default: int8, top-k, sign and PowerSGD, with and without error feedback.",
)
@click.option(
    "--workers", type=Whole("workers", _RIGHT), default=8, show_default=True, help="Who train, each on a share."
)
@click.option("--epochs", type=Whole("epochs", _RIGHT), default=30, show_default=True, help="Times through the data.")
@click.option(
    "--batch", type=Whole("batch", _RIGHT), default=16, show_default=True, help="Examples of a worker in a step."
)
@click.option(
    "--optimizer",
    type=Name("optimizer", _optimizers),
    default="sgd",
    show_default=True,
    help="sgd, momentum, or adam, which for sign is 1-bit Adam.",
)
@click.option("--rate", type=Rate(), help="Of learning, instead of the one that was tuned without compression.")
@click.option(
    "--warm-up",
    type=Whole("warm-up", _RIGHT),
    default=0,
    show_default=True,
    help="First epochs, in which nothing is compressed; 1-bit Adam does not do without.",
)
@click.option(
    "--through",
    type=Name("through", _all_reduces),
    default="one-shot",
    show_default=True,
    help="All-reduce among the workers: one-shot encodes once; two-shot and ring encode sums again on their way.",
)
@click.option(
    "--card-batch", type=Whole("card-batch", _RIGHT), help="Images or tokens of a card in a step of the model."
)
@click.option(
    "--mfu", type=Number(), default=0.4, show_default=True, help="Part of a card's peak that computing reaches."
)
@click.option("--peak", type=Number(), help="Peak of a card in TFLOPS, 16 bits wide, instead of the fabric's.")
@click.option(
    "--overlap", type=Number(), default=0.0, show_default=True, help="Part of computing that can hide the all-reduce."
)
@click.option(
    "--seed",
    type=Whole("seed", "write a number such as 7"),
    default=0,
    show_default=True,
    help="Of weights, batches and codecs, and of the hash that spreads connections over equal paths.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option(
    "--output", metavar="FILE", help="Write a table as CSV: loss, accuracy and simulated time after every epoch."
)
@click.option("--picture", metavar="FILE", help="Draw loss over epochs and over simulated time: .svg or .png.")
@click.option("--quiet", is_flag=True, help="No header and no progress.")
def converge(
    *, model: str, task: str, codecs: tuple[str, ...], workers: int, epochs: int, batch: int, optimizer: str,
    rate: float | None, warm_up: int, through: str, card_batch: int | None, mfu: float, peak: float | None,
    overlap: float, seed: int, as_json: bool, output: str | None, picture: str | None, quiet: bool, **given: Any,
) -> int:  # fmt: skip
    """Train a small model with real codecs, on the clock of a large one.

    Workers compute real gradients, codecs encode them, a real all-reduce adds them up. The small model stands in for the
    large one, whose size decides how long a step takes: computing, and the simulated all-reduce of its gradients. Prints
    the loss and the accuracy that each codec ends with, and the epochs and the simulated time until it has a loss that
    training without compression has after two thirds of its epochs. Between two epochs the logarithm of the loss is taken
    to follow a straight line. Exit code 1 says that training without compression does not learn.
    """
    check_named(given | {"graph": None})
    target = None if output is None else check_writable(output, "output")
    if picture is not None:
        check_picture(picture)
        _check_drawing()
    progress, notice = Progress(enabled=not quiet), None if quiet else Notice()
    with explained(given["fabric"], given["network"]):
        from ringsim.training import TrainingError
        from ringsim.training.clock import Load, step_seconds
        from ringsim.training.converge import converge as trained
        from ringsim.training.plan import CODECS, Plan

        plan = Plan(
            asked(given | {"model": model, "seed": seed}),
            Load(card_batch, mfu, None if peak is None else peak * 1e12, overlap),
            task, optimizer, rate, codecs or CODECS, workers, batch, epochs, warm_up, seed, through,
        )  # fmt: skip
        try:
            study = trained(plan, steps=progress.step, clock=partial(step_seconds, notice=notice))
        except TrainingError as error:
            raise click.ClickException(str(error)) from None
        finally:
            progress.clear()
    _write(study, target, picture)
    if as_json:
        from ringsim.training.page import document

        dump(document(study))
    else:
        from ringsim.training.page import page

        show(page(study, quiet=quiet))
    return NOTHING if study.target is None else 0


def _check_drawing() -> None:
    """Refuse a picture that nothing here can draw, before the training that it is to show."""
    from ringsim.picture import NoMatplotlib
    from ringsim.training.picture import check

    try:
        check()
    except NoMatplotlib as error:
        raise click.ClickException(str(error)) from None


def _write(study: "Study", target: "Path | None", picture: str | None) -> None:
    """Write table and picture."""
    import csv
    from pathlib import Path

    rows = study.rows()
    if target is not None:
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    if picture is not None:
        from ringsim.training.picture import draw

        draw(rows, Path(picture))
