"""``ringsim tune``: the best plan for each size on this network, why, and files that libraries read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ringsim.cli.asking import asked, asks_but, check_named
from ringsim.cli.errors import explained
from ringsim.cli.options import FACTOR, Command, Size
from ringsim.cli.screen import Notice, Progress, check_writable, dump, show

if TYPE_CHECKING:
    from ringsim.question import Question
    from ringsim.tune.store import Store
    from ringsim.tune.table import Table

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
@click.option(
    "--order", metavar="FILE", help="Write the ranks in the order that the plans want: line 1 is to be rank 0."
)
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

    With --compress all plans send codes, by whatever algorithm the codec permits, and the last column says how far the
    sum is off. With --model there is one size, that of its gradients.
    """
    check_named(given)
    files = {name: None if file is None else check_writable(file, name)
             for name, file in (("output", output), ("nccl", nccl), ("hccl", hccl), ("order", order))}  # fmt: skip
    if msccl is not None:
        _check_folder(msccl)
    progress, notice = Progress(enabled=not quiet), None if quiet else Notice()
    with explained(given["fabric"], given["network"], given["graph"]):
        from ringsim.collectives import COLLECTIVES
        from ringsim.tune.export import refuse
        from ringsim.tune.reason import why
        from ringsim.tune.store import Store
        from ringsim.tune.table import sizes
        from ringsim.tune.table import tune as tuned
        from ringsim.units import format_size

        question = asked(given).checked(COLLECTIVES)
        store = Store(None) if no_cache else Store.usual()
        among = tuple(name.strip() for name in algorithms.split(",")) if algorithms else ()
        for library, file in {"nccl": nccl, "hccl": hccl, "msccl": msccl}.items():
            if file is not None:
                refuse(question, library)
        named = _named(question, files)
        wanted = sizes(begin, end, factor, question.dtype) if question.model is None else [_only_size(question)]
        try:
            table = tuned(
                question, wanted, among=among, store=store, notice=notice,
                steps=lambda done, many, size: progress.step(done, many, f"tuning {format_size(size)}"),
            )  # fmt: skip
            reasons = []
            for i, row in enumerate(table.rows):
                progress.step(i, len(table.rows), f"explaining {format_size(row.tuned.bytes)}")
                reasons.append(why(table, row, store))
            _told(question, wanted, among, store, named, files, progress)
        finally:
            progress.clear()
    if as_json or files["output"] is not None:
        from ringsim.tune.page import document

        dump(document(table, reasons), files["output"])
    if not as_json:
        from ringsim.tune.page import page

        show(page(table, reasons, quiet=quiet))
    _export(table, files["order"], msccl)


def _only_size(question: "Question") -> int:
    """Size of a model's gradients, where no other was asked for."""
    context = click.get_current_context()
    for param in context.command.params:
        if (
            param.name in ("begin", "end", "factor")
            and context.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        ):
            raise click.UsageError(f"{param.opts[0]}: the gradients of a model have one size; leave it out", context)
    return question.payload()[0]


def _check_folder(msccl: str) -> None:
    """Refuse a folder that cannot be written to, before the work whose result it is to hold."""
    try:
        Path(msccl).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.ClickException(f"msccl = {msccl}: {reason}; name a folder that you can write to") from None
    if not os.access(msccl, os.W_OK):
        raise click.ClickException(f"msccl = {msccl}: Permission denied; name a folder that you can write to")


def _named(question: "Question", files: "Mapping[str, Path | None]") -> dict[str, tuple[str, ...]]:
    """Algorithms that each library has for whose tuner a file is to be written."""
    from ringsim.study import cluster
    from ringsim.tune.export import LIBRARIES

    asked = [name for name in LIBRARIES if files[name] is not None]
    topology = cluster(question) if asked else None
    return {name: LIBRARIES[name].algorithms(question, topology) for name in asked if topology is not None}


def _told(
    question: "Question", wanted: list[int], among: tuple[str, ...], store: "Store",
    named: dict[str, tuple[str, ...]], files: "Mapping[str, Path | None]", progress: Progress,
) -> None:  # fmt: skip
    """Write what libraries' tuners read, each from a table of what that library has.

    Ranks are as they are, unless a file with another order of them is written as well.
    """
    from ringsim.tune import export
    from ringsim.tune.table import tune as tuned
    from ringsim.units import format_size

    for library, names in named.items():
        has = tuple(name for name in names if name in among or not among)
        if not has:
            raise click.ClickException(f"{library}: it has none of {', '.join(among)}; leave --algorithms out")

        def steps(done: int, many: int, size: int, library: str = library) -> None:
            progress.step(done, many, f"{library}: {format_size(size)}")

        target = files[library]
        assert target is not None
        export.LIBRARIES[library].write(
            tuned(question, wanted, among=has, reorder=files["order"] is not None, store=store, steps=steps), target
        )


def _export(table: "Table", order: Path | None, msccl: str | None) -> None:
    """Write the order of ranks, and the plans themselves."""
    from ringsim.tune import export

    if order is not None:
        if len({row.tuned.best.case.placement for row in table.rows}) > 1:
            click.echo("ringsim: plans want different orders of ranks; the file has that of the largest size", err=True)
        order.write_text("".join(f"{rank}\n" for rank in export.order(table)), encoding="utf-8")
    if msccl is not None:
        written = 0
        for path, notes, refused in export.write_msccl(table, Path(msccl)):
            written += notes is not None
            for said in [refused] if notes is None else notes:
                click.echo(f"ringsim: {path}: {'not written: ' * (notes is None)}{said}", err=True)
        if not written:
            raise click.ClickException(f"msccl = {msccl}: none of the plans can be written as MSCCL XML")
