"""``ringsim topo``: which fabrics there are, and what each of them claims and on whose word.

A figure is only worth what its source is, so ``show`` prints every number of a file beside where it comes from.
"""

import json
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ringsim import __version__
from ringsim.cli.errors import explained
from ringsim.cli.options import CARDS, DOMAIN, FABRIC, NETWORK, Command, Group
from ringsim.cli.screen import dump, echo
from ringsim.units import format_rate, format_size, format_time

if TYPE_CHECKING:
    from ringsim.fabric import Fabric
    from ringsim.topology import Topology

#: Of the JSON objects of this file.
SCHEMA = 1


@click.group(cls=Group, example="ringsim topo list")
def topo() -> None:
    """Describe fabrics: list them, or show one with the source of every number."""


# -- list --------------------------------------------------------------------------------------------------


@topo.command("list", cls=Command, example="ringsim topo list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(*, as_json: bool) -> None:
    """List the fabrics and networks that come with ringsim."""
    from ringsim.fabric import available, load, networks

    sheets = [load(name) for name in available()]
    # A network is only ever loaded under some fabric.
    nets = [load(sheets[0].name, network=name) for name in networks()]
    if as_json:
        document: dict[str, Any] = {"schema": SCHEMA, "ringsim_version": __version__}
        document["fabrics"] = [
            {
                "name": sheet.name, "title": sheet.title, "domain_kind": sheet.domain.kind,
                "domain_size": sheet.domain.size, "datasheet_bandwidth_GBps": sheet.domain.datasheet_bandwidth / 1e9,
                "network": sheet.network.name,
            }
            for sheet in sheets
        ]  # fmt: skip
        document["networks"] = [
            {
                "name": sheet.network.name, "title": sheet.network.title, "kind": sheet.network.kind,
                "nic_bandwidth_GBps": sheet.nic.bandwidth / 1e9, "routing": sheet.network.routing,
            }
            for sheet in nets
        ]  # fmt: skip
        dump(document)
        return
    rows = [("FABRIC", "DOMAIN", "CARDS", "VENDOR", "NETWORK", "TITLE")]
    for sheet in sheets:
        domain, vendor = sheet.domain, format_rate(sheet.domain.datasheet_bandwidth)
        rows.append((sheet.name, domain.kind, str(domain.size), vendor, sheet.network.name, sheet.title))
    _columns(rows)
    echo("")
    rows2 = [("NETWORK", "KIND", "NIC", "ROUTING", "TITLE")]
    for sheet in nets:
        net, rate = sheet.network, format_rate(sheet.nic.bandwidth)
        rows2.append((net.name, net.kind, rate, net.routing, net.title))
    _columns(rows2)
    echo("")
    echo("VENDOR is what the data sheet prints for a card, both directions; NIC is one direction.", dim=True)


def _columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for i, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        echo(line.rstrip(), dim=i == 0)


# -- show --------------------------------------------------------------------------------------------------


@topo.command(cls=Command, example="ringsim topo show hccs --cards 1024")
@click.argument("fabric", type=FABRIC)
@click.option("--cards", type=CARDS, help="Also count what a cluster of so many cards is made of.")
@click.option("--domain", type=DOMAIN, help="Cards in a scale-up domain, instead of the fabric's.")
@click.option("--network", type=NETWORK, help="Another network under the same cards.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, SI units, a source for every number.")
def show(*, fabric: str, cards: int | None, domain: int | str | None, network: str | None, as_json: bool) -> None:
    """Show every number of a fabric and where it comes from.

    The keys are those that `ringsim run --set` takes.
    """
    if domain is not None and cards is None:
        raise click.UsageError("--domain needs --cards: it says how a cluster of so many cards is divided")
    with explained(fabric, network):
        from ringsim.fabric import load

        sheet = load(fabric, network=network)
        cluster = None
        if cards is not None:
            from ringsim.topology import build

            cluster = _cluster(build(sheet, cards, domain=domain))
    if as_json:
        dump(_document(sheet, cluster))
        return
    echo(f"{sheet.name}: {sheet.title}", bold=True)
    echo(f"{sheet.path}\n", dim=True)
    _numbers(sheet)
    if cluster is not None:
        echo("")
        echo(f"cluster of {cluster['cards']:,} cards", bold=True)
        links = cluster.pop("links")
        lines = [(key, f"{value:,}") for key, value in cluster.items() if key != "cards"]
        lines += [(f"links {kind}", f"{number:,}") for kind, number in links.items()]
        width = max(len(key) for key, _ in lines)
        for key, number in lines:
            echo(f"  {key.replace('_', ' '):<{width}}  {number:>12}")
