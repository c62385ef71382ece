"""``ringsim tune``: the best plan for each size on this network, why, and files that libraries read."""

from typing import Any

import click

from ringsim.cli.asking import asked, asks_but, check_named
from ringsim.cli.errors import explained
from ringsim.cli.options import FACTOR, Command, Size
from ringsim.cli.screen import Notice, Progress, check_writable, dump, show

#: What a plan decides, and a user of this command does not.
_DECIDED = ("size", "algorithm", "rings", "slices", "chunks")


@click.command(cls=Command, example="ringsim tune --fabric hccs --cards 1024 -b 64K -e 1G -f 4")
@asks_but(*_DECIDED)
@click.option("-b", "--begin", type=Size(), default="64K", show_default=True, help="Smallest size, as in nccl-tests.")
@click.option("-e", "--end", type=Size(), default="1G", show_default=True, help="Largest size.")
@click.option("-f", "--factor", type=FACTOR, default=4.0, show_default=True, help="From one size to the next.")
@click.option(
    "--algorithms", metavar="NAME,…", help="Choose from these alone, such as ring,tree. Default: all there are."
)  # fmt: skip
@click.option("--nccl", metavar="FILE", help="Write what NCCL's tuner plugin reads: the best of what NCCL has.")
@click.option("--hccl", metavar="FILE", help="Write what HCCL's tuner reads: the best of what HCCL has.")
@click.option("--msccl", metavar="FOLDER", help="Write each plan as MSCCL XML into a folder.")
@click.option("--order", metavar="FILE", help="Write the order of ranks that the plans want: what --placement reads.")
@click.option("--no-cache", is_flag=True, help="Neither look for earlier answers nor keep these.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--output", metavar="FILE", help="Write the JSON object to a file; with --json, print nothing.")
@click.option("--quiet", is_flag=True, help="No header and no progress.")
def tune(
    *, begin: int, end: int, factor: float, algorithms: str | None, nccl: str | None, hccl: str | None,
    msccl: str | None, order: str | None, no_cache: bool, as_json: bool, output: str | None, quiet: bool, **given: Any,
) -> None:  # fmt: skip
    """Find the best plan for each of a range of sizes, by simulation.

    Tries every algorithm with every protocol, varies channels, pieces and the order of ranks, and stops at the lower
    bound. Prints for which sizes which plan is meant, its time, its part of the bound, what one ring in the order of
    the ranks takes, and a sentence on why. The same question gives the same answer; answers are kept.
    """
    check_named(given)
    files = {name: None if file is None else check_writable(file, name)
             for name, file in (("output", output), ("nccl", nccl), ("hccl", hccl), ("order", order))}  # fmt: skip
    progress, notice = Progress(enabled=not quiet), None if quiet else Notice()
    with explained(given["fabric"], given["network"], given["graph"]):
        from ringsim.tune.reason import why
        from ringsim.tune.store import Store
        from ringsim.tune.table import sizes
        from ringsim.tune.table import tune as tuned
        from ringsim.units import format_size

        question = asked(given)
        store = Store(None) if no_cache else Store.usual()
        among = tuple(name.strip() for name in algorithms.split(",")) if algorithms else ()
        wanted = sizes(begin, end, factor, question.dtype)
        try:
            table = tuned(
                question, wanted, among=among, store=store, notice=notice,
                steps=lambda done, many, size: progress.step(done, many, f"tuning {format_size(size)}"),
            )  # fmt: skip
            reasons = []
            for i, row in enumerate(table.rows):
                progress.step(i, len(table.rows), f"explaining {format_size(row.tuned.bytes)}")
                reasons.append(why(table, row, store))
        finally:
            progress.clear()
    if as_json or files["output"] is not None:
        from ringsim.tune.page import document

        dump(document(table, reasons), files["output"])
    if not as_json:
        from ringsim.tune.page import page

        show(page(table, reasons, quiet=quiet))
