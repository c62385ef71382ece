"""``ringsim topo check``: what is wrong or odd about a cluster, before anybody believes a number from it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ringsim import __version__
from ringsim.cli.errors import explained
from ringsim.cli.options import CARDS, DOMAIN, FABRIC, NETWORK, Command, is_graph
from ringsim.cli.screen import dump, echo
from ringsim.cli.sheet import SCHEMA

if TYPE_CHECKING:
    from ringsim.topology import Topology

#: Exit code where something is wrong, as opposed to odd.
WRONG = 1


@click.command(cls=Command, example="ringsim topo check hccs --cards 64")
@click.argument("file", type=FABRIC)
@click.option("--cards", type=CARDS, help="Of a fabric: how many cards to lay out.")
@click.option("--domain", type=DOMAIN, help="Cards in a scale-up domain, instead of the fabric's.")
@click.option("--network", type=NETWORK, help="Another network under the same cards.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(*, file: str, cards: int | None, domain: int | str | None, network: str | None, as_json: bool) -> int:
    """Find what is wrong or odd: in a graph (GraphML, node-link JSON), or in a fabric's cluster of so many cards.

    Unreachable cards are wrong, and the exit code is then 1. One-way and asymmetric links, cards or rails with less than
    the others, dead ends and bottleneck cuts are odd: they may be meant.
    """
    with explained(None if is_graph(file) else file, network, file):
        from ringsim.fabric import load
        from ringsim.topology import build, findings, load_graph

        topology: Topology
        if is_graph(file):
            for name, value in (("cards", cards), ("domain", domain), ("network", network)):
                if value is not None:
                    raise click.UsageError(f"--{name}: a graph says itself what it is made of; leave it out")
            topology = load_graph(file, check=False)
        elif cards is None:
            raise click.UsageError("a fabric is a kind of cluster: say with --cards which one to check")
        else:
            topology = build(load(file, network=network), cards, domain=domain)
        found = findings(topology)
    wrong = any(finding.severity == "error" for finding in found)
    if as_json:
        dump({"schema": SCHEMA, "ringsim_version": __version__, "findings": [asdict(finding) for finding in found]})
        return WRONG if wrong else 0
    for finding in found:
        echo(f"{finding.severity}: {finding.where}: {finding.text}", bold=finding.severity == "error")
    made_of = f"{topology.cards:,} cards, {topology.links:,} directed links"
    echo(f"{made_of}: " + (f"{len(found)} finding{'s' * (len(found) != 1)}" if found else "nothing wrong or odd"))
    return WRONG if wrong else 0
