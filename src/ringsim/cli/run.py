"""``ringsim run``: one all-reduce or another collective, every candidate, and what limits the best of them."""

import time
from typing import Any

import click

from ringsim.cli.asking import asked, asks, check_named
from ringsim.cli.drawing import check_picture, draw_run
from ringsim.cli.errors import explained
from ringsim.cli.options import Command
from ringsim.cli.screen import Notice, Progress, check_writable, dump, show


@click.command(cls=Command, example="ringsim run --fabric hccs --cards 1024")
@asks
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--output", metavar="FILE", help="Write the JSON object to a file; with --json, print nothing.")
@click.option("--picture", metavar="FILE", help="Draw the cluster, links coloured by how busy they are: .svg or .png.")
@click.option("--profile", is_flag=True, help="Say where the time went, on standard error.")
@click.option("--quiet", is_flag=True, help="No header and no progress.")
def run(
    *,
    as_json: bool,
    output: str | None,
    picture: str | None,
    profile: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Simulate one all-reduce, or another collective, and say what limits it.

    Prints what was simulated, with every assumption that matters; a row for each candidate in the columns of
    nccl-tests, with the lower bound that no algorithm can beat on this cluster; and what limits the fastest.
    """
    began = time.perf_counter()
    check_named(given)
    target = None if output is None else check_writable(output, "output")
    if picture is not None:
        check_picture(picture)

    from ringsim.result import to_json
    from ringsim.study import answer

    progress, notice = Progress(enabled=not quiet), None if quiet else Notice()
    with explained(given["fabric"], given["network"], given["graph"]):
        question = asked(given)
        try:
            found = answer(question, progress=progress, notice=notice)
        finally:
            progress.clear()

    if as_json or target is not None:
        dump(to_json(found.best, found.candidates), target)
    if not as_json:
        from ringsim.report import page

        show(page(found, quiet=quiet))
    if picture is not None:
        draw_run(found, picture)
    if profile:
        from ringsim.report import spending

        for line in spending(found.spent, time.perf_counter() - began):
            click.echo(line, err=True)
