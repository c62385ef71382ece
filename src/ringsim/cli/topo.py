"""``ringsim topo``: which fabrics there are, and what each of them claims and on whose word.

A figure is worth what its source is worth, so ``show`` prints the two side by side.
"""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from ringsim import __version__
from ringsim.cli.check import check
from ringsim.cli.drawing import check_picture, draw_topology
from ringsim.cli.errors import explained
from ringsim.cli.options import CARDS, DOMAIN, FABRIC, NETWORK, Command, Group, is_graph
from ringsim.cli.screen import dump, echo
from ringsim.cli.sheet import SCHEMA, Number, cluster, document, effective, numbers
from ringsim.units import format_rate

if TYPE_CHECKING:
    from ringsim.fabric import Fabric

_LABELS = {
    "cards": "cards", "nodes": "nodes", "domain": "cards in a node", "scale_up_switches": "scale-up switches",
    "leaf_switches": "leaf switches", "spine_switches": "spine switches",
    "diameter_links": "links between the two cards farthest apart", "directed_links": "directed links",
}  # fmt: skip


@click.group(cls=Group, example="ringsim topo list")
def topo() -> None:
    """Describe fabrics: list them, or show one with the source of every number."""


topo.add_command(check)


@topo.command("list", cls=Command, example="ringsim topo list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(*, as_json: bool) -> None:
    """List the fabrics and networks that come with ringsim."""
    from ringsim.fabric import available, load, networks

    sheets = [load(name) for name in available()]
    # A network is only ever loaded under some fabric.
    nets = [load(sheets[0].name, network=name) for name in networks()]
    if as_json:
        dump(_index(sheets, nets))
        return
    rows = [["FABRIC", "DOMAIN", "CARDS", "VENDOR", "NETWORK", "TITLE"]]
    for sheet in sheets:
        domain, vendor = sheet.domain, format_rate(sheet.domain.datasheet_bandwidth)
        rows.append([sheet.name, domain.kind, str(domain.size), vendor, sheet.network.name, sheet.title])
    _columns(rows)
    rows = [["NETWORK", "KIND", "NIC", "ROUTING", "TITLE"]]
    for sheet in nets:
        network, rate = sheet.network, format_rate(sheet.nic.bandwidth)
        rows.append([network.name, network.kind, rate, network.routing, network.title])
    echo("")
    _columns(rows)
    echo("")
    echo("VENDOR is what the data sheet prints for a card, both directions; NIC is one direction.", dim=True)


def _columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for i, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        echo("  ".join(cells).rstrip(), dim=i == 0)


def _index(sheets: "Sequence[Fabric]", nets: "Sequence[Fabric]") -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "fabrics": [
            {
                "name": sheet.name,
                "title": sheet.title,
                "domain_kind": sheet.domain.kind,
                "domain_size": sheet.domain.size,
                "datasheet_bandwidth_GBps": sheet.domain.datasheet_bandwidth / 1e9,
                "network": sheet.network.name,
            }
            for sheet in sheets
        ],
        "networks": [
            {
                "name": sheet.network.name,
                "title": sheet.network.title,
                "kind": sheet.network.kind,
                "routing": sheet.network.routing,
                "nic_bandwidth_GBps": sheet.nic.bandwidth / 1e9,
            }
            for sheet in nets
        ],
    }


@topo.command(cls=Command, example="ringsim topo show hccs --cards 1024")
@click.argument("fabric", type=FABRIC)
@click.option("--cards", type=CARDS, help="Also count what a cluster of so many cards is made of.")
@click.option("--domain", type=DOMAIN, help="Cards in a scale-up domain, instead of the fabric's.")
@click.option("--network", type=NETWORK, help="Another network under the same cards.")
@click.option("--picture", metavar="FILE", help="Draw the cluster: .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, in SI units.")
def show(
    *,
    fabric: str,
    cards: int | None,
    domain: int | str | None,
    network: str | None,
    picture: str | None,
    as_json: bool,
) -> None:
    """Show every number of a fabric, with its source; or what a graph (GraphML, node-link JSON) is made of.

    The keys are those that `ringsim run --set` takes.
    """
    if picture is not None:
        check_picture(picture)
    if is_graph(fabric):
        _show_graph(fabric, {"cards": cards, "domain": domain, "network": network}, picture, as_json=as_json)
        return
    for name, value in (("--domain divides", domain), ("--picture draws", picture)):
        if value is not None and cards is None:
            raise click.UsageError(f"{name} a cluster: give --cards as well")
    made_of = None
    with explained(fabric, network):
        from ringsim.fabric import load

        sheet = load(fabric, network=network)
        if cards is not None:
            from ringsim.topology import build

            topology = build(sheet, cards, domain=domain)
            made_of = cluster(topology)
            if picture is not None:
                draw_topology(topology, picture)
    if as_json:
        dump(document(sheet, made_of))
        return
    echo(f"{sheet.name}: {sheet.title}", bold=True)
    echo(sheet.path, dim=True)
    _show_numbers(sheet)
    if made_of is not None:
        _show_cluster(made_of)


def _show_graph(path: str, given: dict[str, Any], picture: str | None, *, as_json: bool) -> None:
    for name, value in given.items():
        if value is not None:
            raise click.UsageError(f"--{name}: a graph says itself what it is made of; leave it out")
    with explained(None, graph=path):
        from ringsim.topology import load_graph

        topology = load_graph(path)
    made_of = cluster(topology)
    if picture is not None:
        draw_topology(topology, picture)
    if as_json:
        dump({"schema": SCHEMA, "ringsim_version": __version__, "cluster": made_of})
        return
    echo(topology.fabric.title, bold=True)
    _show_cluster(made_of)


def _show_numbers(sheet: "Fabric") -> None:
    entries = list(numbers(sheet))
    widest = max(len(_last(entry)) for entry in entries)
    values = max(len(entry.text()) for entry in entries if entry.source)
    notes = effective(sheet)
    for table, group in groupby(entries, key=lambda entry: entry.key.rpartition(".")[0]):
        echo("")
        echo(table, bold=True, nl=False)
        echo(" " * (widest + 4 - len(table)) + notes[table] if table in notes else "")
        for entry in group:
            start = f"  {_last(entry):<{widest}}  {entry.text():<{values}}  "
            echo(_beside(start, entry.source))


def _last(entry: Number) -> str:
    return entry.key.rpartition(".")[2]


def _beside(start: str, source: str) -> str:
    """Wrap a source in the column where it begins; in a pipe one line each, so that grep finds them whole."""
    if sys.stdout is None or not sys.stdout.isatty():
        return (start + source).rstrip()
    width = max(shutil.get_terminal_size().columns, len(start) + 40)
    return textwrap.fill(
        source, width, initial_indent=start, subsequent_indent=" " * len(start),
        break_long_words=False, break_on_hyphens=False,
    ).rstrip() or start.rstrip()  # fmt: skip


def _show_cluster(made_of: dict[str, Any]) -> None:
    links = made_of.pop("links")
    lines = [(_LABELS[key], count) for key, count in made_of.items() if count]
    lines += [(f"  {kind}", count) for kind, count in links.items()]
    widest, digits = max(len(name) for name, _ in lines), max(len(f"{count:,}") for _, count in lines)
    echo("")
    echo("cluster", bold=True)
    for name, count in lines:
        echo(f"  {name:<{widest}}  {count:>{digits},}")
