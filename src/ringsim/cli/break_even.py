"""``ringsim break-even``: which codec pays on this fabric, and on how fast an interconnect none would."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ringsim.cli.asking import asked, asks_but, check_named
from ringsim.cli.drawing import check_picture
from ringsim.cli.errors import explained
from ringsim.cli.options import Command
from ringsim.cli.screen import Notice, Progress, check_writable, dump, show

#: What is compressed are gradients, and a graph has no data sheet whose figures could change.
_GIVEN = ("collective", "compress", "graph")


@click.command("break-even", cls=Command, example="ringsim break-even --fabric hccs --cards 1024")
@asks_but(*_GIVEN)
@click.option(
    "--compress", "codecs", metavar="CODEC", multiple=True,
    help="A codec to weigh, such as int8, topk:0.01 or chain(topk:0.01,int8); repeatable. Default: ten, one of each kind, "
    "with error feedback where nobody trains without.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--output", metavar="FILE", help="Write the JSON object to a file; with --json, print nothing.")
@click.option("--picture", metavar="FILE", help="Draw the speed-up over the bandwidth of the links: .svg or .png.")
@click.option("--quiet", is_flag=True, help="No header and no progress.")
def break_even(
    *, codecs: tuple[str, ...], as_json: bool, output: str | None, picture: str | None, quiet: bool, **given: Any
) -> None:  # fmt: skip
    """Say which gradient compression pays, and up to which bandwidth of the links.

    Simulates an all-reduce without compression and with each codec, at the best of the algorithms that may be used. Then
    all links of the cluster become faster, or slower, by one factor, until the codec is just as fast as no compression:
    that is where it stops to pay. The error is that of the sum, by the very schedule; named first is the fastest pair of a
    codec and an algorithm that leaves it below 5 %. With `auto`, switches that add (NVLS, SHARP) are tried as well.
    """
    given["graph"] = None
    check_named(given)
    target = None if output is None else check_writable(output, "output")
    if picture is not None:
        check_picture(picture)
        with _drawing():
            from ringsim.break_even.picture import check

            check()
    progress, notice = Progress(enabled=not quiet), None if quiet else Notice()
    with explained(given["fabric"], given["network"]):
        from ringsim.break_even import DEFAULT, weigh
        from ringsim.break_even.picture import FACTORS

        try:
            table = weigh(
                asked(given), codecs or DEFAULT, factors=FACTORS if picture else (), notice=notice,
                steps=lambda done, many, what: progress.step(done, many, f"weighing {what}"),
            )  # fmt: skip
        finally:
            progress.clear()
    if as_json or target is not None:
        from ringsim.break_even.document import document

        dump(document(table), target)
    if not as_json:
        from ringsim.break_even.page import page

        show(page(table, quiet=quiet))
    if picture is not None:
        from ringsim.break_even.picture import draw

        with _drawing():
            draw(table, Path(picture))


@contextmanager
def _drawing() -> Iterator[None]:
    from ringsim.picture import NoMatplotlib

    try:
        yield
    except NoMatplotlib as error:
        raise click.ClickException(str(error)) from None
