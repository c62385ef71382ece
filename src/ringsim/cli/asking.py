"""The options that ask a question, for every command that answers one."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ringsim.cli.options import CARDS, DOMAIN, FABRIC, NETWORK, Name, Size, Whole, once

if TYPE_CHECKING:
    from ringsim.question import Question

Function = TypeVar("Function", bound=Callable[..., Any])


def _collectives() -> Iterable[str]:
    from ringsim.collectives import COLLECTIVES

    return COLLECTIVES


def _algorithms() -> Iterable[str]:
    from ringsim.collectives import ALGORITHMS

    return ("auto", *ALGORITHMS)


def _dtypes() -> Iterable[str]:
    from ringsim.study import DTYPES

    return DTYPES


def _launches() -> Iterable[str]:
    from ringsim.fabric.launch import launches

    return launches().modes


def _models() -> Iterable[str]:
    from ringsim.gradients import MODELS

    return MODELS


_OPTIONS: dict[str, Callable[[Function], Function]] = {
    "fabric": click.option("--fabric", type=FABRIC, help="A shipped fabric (see `ringsim topo list`) or a TOML file."),
    "cards": click.option("--cards", type=CARDS, help="Ranks, one on each card."),
    "graph": click.option(
        "--graph", metavar="FILE",
        help="Any network instead of the fabric's: GraphML or node-link JSON. A fabric then says what software costs.",
    ),
    "size": click.option(
        "--size", type=Size(), default="1G", show_default=True,
        help="Bytes of the vector on each rank: 8, 64M, 1G (powers of 1,024 as in nccl-tests), 1GiB or 1GB.",
    ),
    "dtype": click.option(
        "--dtype", type=Name("dtype", _dtypes), default="float", show_default=True, help="Type of an element."
    ),
    "collective": click.option(
        "--collective", type=Name("collective", _collectives), default="all-reduce", show_default=True,
        help="Or reduce-scatter, all-gather, broadcast, reduce, all-to-all; size counts as in nccl-tests.",
    ),
    "algorithm": click.option(
        "--algorithm", type=Name("algorithm", _algorithms), default="auto", show_default=True,
        help="auto for what libraries try by default (ring and tree for all-reduce); all; one of `ringsim algorithms`; "
        "what NCCL_ALGO or HCCL_ALGO holds; or a file with a schedule of your own, JSON or MSCCL XML.",
    ),
    "protocol": click.option(
        "--protocol", type=Name("protocol"), default="auto", show_default=True,
        help="One of the fabric's (see `ringsim topo show`), or auto for the fastest.",
    ),
    "rings": click.option(
        "--rings", type=Whole("rings", "write a number such as 8"),
        help="Channels side by side: rings, or trees. Default: the most that do not get in each other's way.",
    ),
    "slices": click.option(
        "--slices", type=Whole("slices", "write a number such as 2"), help="Pieces of a chunk, for rings."
    ),
    "chunks": click.option(
        "--chunks", type=Whole("chunks", "write a number such as 64"),
        help="Pieces that go through a pipeline, for trees and hierarchies.",
    ),
    "compress": click.option(
        "--compress", metavar="CODEC", default=("none",), show_default=True, multiple=True, callback=once,
        help="Encode the gradients: int8, topk:0.01, powersgd:4, chain(topk:0.01,int8), … (`ringsim codecs` lists them).",
    ),
    "model": click.option(
        "--model", type=Name("model", _models),
        help="The gradients of a known model instead of --size; codecs see their shapes.",
    ),
    "placement": click.option(
        "--placement", metavar="WORD|FILE",
        help="Where ranks sit, if not card after card: shuffle:SEED, round-robin, ordered, tour, or a file.",
    ),
    "domain": click.option("--domain", type=DOMAIN, help="Cards in a scale-up domain, instead of the fabric's."),
    "network": click.option("--network", type=NETWORK, help="Another network under the same cards."),
    "set": click.option(
        "--set", "changes", metavar="KEY=VALUE", multiple=True,
        help="Change a number of the fabric, such as nic.bandwidth=50GB/s (keys: `topo show`); repeatable.",
    ),
    "launch": click.option(
        "--launch", type=Name("launch mode", _launches),
        help="How cards are driven, which moves small messages: process-per-card, threads, one-process with NCCL, "
        "process-per-card, kernel, serving with HCCL. Default: the start-up that the library reckons with.",
    ),
    "engine": click.option(
        "--engine", type=Name("engine", lambda: ("compiled", "reference")), default="compiled", show_default=True,
        help="compiled, or reference, the slow one that it is checked against.",
    ),
    "no-jump": click.option("--no-jump", is_flag=True, help="Work out every transfer, even in a steady state."),
    "seed": click.option(
        "--seed", type=Whole("seed", "write a number such as 7"), default=0, show_default=True,
        help="Of the hash that spreads connections over equal paths.",
    ),
}  # fmt: skip


def asks(function: Function) -> Function:
    """Give a command the options of a question, which it hands on to `asked`."""
    return asks_but()(function)


def asks_but(*without: str) -> Callable[[Function], Function]:
    """Do the same for a command that fills in some of them itself."""

    def decorate(function: Function) -> Function:
        for name, option in reversed(_OPTIONS.items()):
            function = function if name in without else option(function)
        return function

    return decorate


def check_named(given: dict[str, Any]) -> None:
    """Demand a fabric and cards, or a graph, before anything heavy is imported."""
    if given["graph"] is None:
        context = click.get_current_context()
        for param in context.command.params:
            if {"fabric": given["fabric"], "cards": given["cards"]}.get(str(param.name), "") is None:
                raise click.MissingParameter(ctx=context, param=param)


def asked(given: dict[str, Any]) -> "Question":
    """Make the question of what was given for the options of `asks`."""
    from ringsim.question import Question

    if given.get("model") in tuple(_models()) and "size" in given:
        source = click.get_current_context().get_parameter_source("size")
        if source is not click.core.ParameterSource.DEFAULT:
            raise click.ClickException(
                f"size = {given['size']}: {given['model']} has a size of its own; leave --size out"
            )
    rest = {name: value for name, value in given.items() if name != "no_jump"}
    return Question(jump=not given["no_jump"], **rest)
