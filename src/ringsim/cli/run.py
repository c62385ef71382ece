"""``ringsim run``: one all-reduce or another collective, every candidate, and what limits the best of them."""

import time
from collections.abc import Iterable
from typing import Any

import click

from ringsim.cli.drawing import check_picture, draw_run
from ringsim.cli.errors import explained
from ringsim.cli.options import CARDS, DOMAIN, FABRIC, NETWORK, Command, Name, Size, Whole
from ringsim.cli.screen import Notice, Progress, check_writable, dump, show


def _collectives() -> Iterable[str]:
    from ringsim.collectives import COLLECTIVES

    return COLLECTIVES


def _algorithms() -> Iterable[str]:
    from ringsim.collectives import ALGORITHMS

    return ("auto", *ALGORITHMS)


def _dtypes() -> Iterable[str]:
    from ringsim.study import DTYPES

    return DTYPES


@click.command(cls=Command, example="ringsim run --fabric hccs --cards 1024")
@click.option("--fabric", type=FABRIC, help="A shipped fabric (see `ringsim topo list`) or a TOML file.")
@click.option("--cards", type=CARDS, help="Ranks, one on each card.")
@click.option(
    "--graph", metavar="FILE",
    help="Any network instead of the fabric's: GraphML or node-link JSON. A fabric then says what software costs.",
)  # fmt: skip
@click.option(
    "--size", type=Size(), default="1G", show_default=True,
    help="Bytes of the vector on each rank: 8, 64M, 1G (powers of 1,024 as in nccl-tests), 1GiB or 1GB.",
)  # fmt: skip
@click.option("--dtype", type=Name("dtype", _dtypes), default="float", show_default=True, help="Type of an element.")
@click.option(
    "--collective", type=Name("collective", _collectives), default="all-reduce", show_default=True,
    help="Or reduce-scatter, all-gather, broadcast, reduce, all-to-all; size counts as in nccl-tests.",
)  # fmt: skip
@click.option(
    "--algorithm", type=Name("algorithm", _algorithms), default="auto", show_default=True,
    help="auto for what libraries try by default (ring and tree for all-reduce); all; one of `ringsim algorithms`; "
    "or what NCCL_ALGO or HCCL_ALGO holds.",
)  # fmt: skip
@click.option(
    "--protocol", type=Name("protocol"), default="auto", show_default=True,
    help="One of the fabric's (see `ringsim topo show`), or auto for the fastest.",
)  # fmt: skip
@click.option(
    "--rings", type=Whole("rings", "write a number such as 8"),
    help="Channels side by side: rings, or trees. Default: the most that do not get in each other's way.",
)  # fmt: skip
@click.option("--slices", type=Whole("slices", "write a number such as 2"), help="Pieces of a chunk, for rings.")
@click.option(
    "--chunks", type=Whole("chunks", "write a number such as 64"),
    help="Pieces that go through a pipeline, for trees and hierarchies.",
)  # fmt: skip
@click.option(
    "--placement",
    metavar="WORD|FILE",
    help="Where ranks sit, if not card after card: shuffle:SEED, round-robin, or a file with the card of each rank.",
)
@click.option("--domain", type=DOMAIN, help="Cards in a scale-up domain, instead of the fabric's.")
@click.option("--network", type=NETWORK, help="Another network under the same cards.")
@click.option(
    "--set", "changes", metavar="KEY=VALUE", multiple=True,
    help="Change a number of the fabric, such as nic.bandwidth=50GB/s (keys: `topo show`); repeatable.",
)  # fmt: skip
@click.option(
    "--engine", type=Name("engine", lambda: ("compiled", "reference")), default="compiled", show_default=True,
    help="compiled, or reference, the slow one that it is checked against.",
)  # fmt: skip
@click.option("--no-jump", is_flag=True, help="Work out every transfer, even in a steady state.")
@click.option(
    "--seed", type=Whole("seed", "write a number such as 7"), default=0, show_default=True,
    help="Of the hash that spreads connections over equal paths.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--output", metavar="FILE", help="Write the JSON object to a file; with --json, print nothing.")
@click.option("--picture", metavar="FILE", help="Draw the cluster, links coloured by how busy they are: .svg or .png.")
@click.option("--profile", is_flag=True, help="Say where the time went, on standard error.")
@click.option("--quiet", is_flag=True, help="No header and no progress.")
def run(
    *,
    fabric: str | None,
    cards: int | None,
    network: str | None,
    graph: str | None,
    changes: tuple[str, ...],
    as_json: bool,
    output: str | None,
    picture: str | None,
    profile: bool,
    quiet: bool,
    no_jump: bool,
    **asked: Any,
) -> None:
    """Simulate one all-reduce, or another collective, and say what limits it.

    Prints what was simulated, with every assumption that matters; a row for each candidate in the columns of
    nccl-tests, with the lower bound that no algorithm can beat on this cluster; and what limits the fastest.
    """
    began = time.perf_counter()
    if graph is None:
        context = click.get_current_context()
        for param in context.command.params:
            if {"fabric": fabric, "cards": cards}.get(str(param.name), "") is None:
                raise click.MissingParameter(ctx=context, param=param)
    target = None if output is None else check_writable(output, "output")
    if picture is not None:
        check_picture(picture)

    from ringsim.result import to_json
    from ringsim.study import Question, answer

    progress, notice = Progress(enabled=not quiet), None if quiet else Notice()
    with explained(fabric, network, graph):
        question = Question(fabric, cards, network=network, graph=graph, changes=changes, jump=not no_jump, **asked)
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
