"""``ringsim explain``: for one run, what its time is made of and what would help."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ringsim.cli.asking import asked, asks, check_named
from ringsim.cli.errors import explained
from ringsim.cli.options import Command, Name, Whole
from ringsim.cli.screen import Notice, Progress, check_writable, dump, show

if TYPE_CHECKING:
    from ringsim.question import Question


def _cases() -> Iterable[str]:
    from ringsim.explain.cases import CASES

    return CASES


@click.command(cls=Command, example="ringsim explain --fabric hccs --cards 64 --size 64M")
@asks
@click.option(
    "--case", type=Name("case", _cases),
    help="Instead of a question, one whose cause is known: oversubscribed, slow-nic, small-message or one-ring.",
)  # fmt: skip
@click.option(
    "--hops", type=Whole("hops", "write a number such as 100"), default=20, show_default=True,
    help="Lines for the critical path, at most.",
)  # fmt: skip
@click.option("--save-graph", metavar="FILE", help="With --graph, write the changed graph that helps most: .json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the tables.")
@click.option("--output", metavar="FILE", help="Write the JSON object to a file; with --json, print nothing.")
@click.option("--quiet", is_flag=True, help="No title and no progress.")
def explain(
    *, case: str | None, hops: int, save_graph: str | None, as_json: bool, output: str | None, quiet: bool, **given: Any
) -> None:
    """Say what the time of a run is made of, and what would help.

    The fastest candidate is timed again transfer by transfer. Prints what its critical path is made of, its busiest
    links, the critical path, and what better hardware, a better library or a better plan would save, one change at a
    time: each is simulated, with the plan kept, and comes with the command that does so.
    """
    if hops < 2:
        raise click.ClickException(f"hops = {hops}: at least 2")
    if case is None:
        check_named(given)
    if save_graph is not None:
        _check_graph(save_graph, case, given)
    target = None if output is None else check_writable(output, "output")
    progress, notice = Progress(enabled=not quiet), None if quiet else Notice()
    with explained(given["fabric"], given["network"], given["graph"]):
        question = asked(given) if case is None else _prepared(case)

        from ringsim import explain as explaining

        try:
            found = explaining.explain(question, progress=progress, notice=notice)
        finally:
            progress.clear()
        if save_graph is not None:
            found = explaining.kept(found, save_graph)
    if as_json or target is not None:
        from ringsim.explain.document import document

        dump(document(found), target)
    if not as_json:
        from ringsim.explain.page import page

        show(page(found, hops=hops, quiet=quiet))


def _prepared(case: str) -> "Question":
    """One of the prepared cases, which nothing else may be asked of."""
    from ringsim.explain.cases import CASES

    if case not in CASES:
        raise click.ClickException(f"case = {case}: one of {', '.join(CASES)}")
    context, own = click.get_current_context(), ("case", "hops", "save_graph", "as_json", "output", "quiet")
    for param in context.command.params:
        name = str(param.name)
        if name not in own and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{param.opts[0]}: a prepared case says it all; leave it out", context)
    return CASES[case]()


def _check_graph(target: str, case: str | None, given: dict[str, Any]) -> None:
    """Refuse a file for a changed graph that could not be written, or read again, or where there is no graph."""
    if given["graph"] is None and case is None:
        raise click.UsageError("--save-graph keeps a changed graph: give --graph as well", click.get_current_context())
    if not target.endswith(".json"):
        raise click.ClickException(f"save-graph = {target}: it becomes node-link JSON; name a file that ends in .json")
    check_writable(target, "save-graph")
