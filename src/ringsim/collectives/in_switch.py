"""Reduction in switches: NVLS behind an NVSwitch, SHARP between nodes.

*Inside a node* (NVLS) the owner of a share loads it from everybody at once: every card sends its contribution up, the
switch adds and one sum comes down. Then he stores it to everybody at once: one copy goes up, the switch multiplies it
and everyone gets one, he himself included. A card sends the S bytes of all its contributions and the S/p of the sum that
it owns, and gets as much: no less than S·(1 + 1/p)/B, where a ring takes 2(p − 1)/p · S/B.

*Between nodes* (SHARP) the cards that own the same part send it to their leaf, leaves send sums to a switch above them,
up to one that has them all; the sum comes down the same tree. A NIC carries its part once each way, however many nodes.
"""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ringsim.collectives.direct import TWO_SHOT
from ringsim.collectives.exchange import standing, together
from ringsim.collectives.hierarchical import hierarchical
from ringsim.collectives.sketch import Sketch
from ringsim.collectives.teams import CollectiveError, Done, Family, Gate, Teams, both, done, everyone, wait_at
from ringsim.schedule import Ints, Schedule
from ringsim.topology import GraphTopology, Topology

# -- inside a node -------------------------------------------------------------------------------------------


def inside(topology: Topology) -> Family:
    """Stages for teams that share a scale-up switch which adds.

    A rank may stand for several members of a team: then he owns all their runs. Who is alone behind his switch needs none.
    Source: NCCL's NVLS kernels, multimem.ld_reduce by the owner and multimem.st (PTX ISA).
    """
    load, store = partial(_load, topology), partial(_store, topology)
    return Family(both(load, store), lambda size: size, load, store)


def _parties(topology: Topology, teams: Teams) -> tuple[Teams, Ints, Ints]:
    """Teams of more than one rank, with their switches, shape ``[teams, 1]``, and how often each rank came up before."""
    members = teams.members
    some = (members != members[:, :1]).any(axis=1)
    members = members[some]
    before = ((members[:, :, None] == members[:, None, :]) & np.tri(teams.size, k=-1, dtype=bool)).sum(axis=2)
    several = replace(teams, members=members, base=teams.base[some], channel=teams.channel[some])
    return several, topology.switch_of(members[:, :1]), before


def _load(topology: Topology, sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Reduce-scatter: everyone sends all runs up, each owner gets his sum."""
    several, switch, before = _parties(topology, teams)
    sender = np.where(before == 0, several.members, switch)
    up = sketch.send(sender, switch, **several.columns(), span=teams.blocks, reduces=teams.chunks)
    wait_at(sketch, up, several.members, gates)
    there = _all_in(sketch, switch, up, teams.chunks)
    down = _own(sketch, several, switch, several.members, before)
    sketch.wait(down, there)
    return together([done(several.members, down), _alone(teams, gates)])


def _store(topology: Topology, sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """All-gather: each owner sends his run up, everyone gets all of them."""
    several, switch, before = _parties(topology, teams)
    up = _own(sketch, several, several.members, switch, before)
    wait_at(sketch, up, several.members, gates)
    there = _all_in(sketch, switch, up, teams.chunks)
    receiver = np.where(before == 0, several.members, switch)
    down = sketch.send(switch, receiver, **several.columns(), span=teams.blocks)
    sketch.wait(down, there)
    return together([done(several.members, down), _alone(teams, gates)])


def _all_in(sketch: Sketch, switch: Ints, rows: Ints, chunks: int) -> Ints:
    """Joins at the switches, shape ``[teams, 1]``, that wait for all rows of a team."""
    there = sketch.join(switch, chunks)
    sketch.wait(there, rows)
    return there


def _own(sketch: Sketch, teams: Teams, source: Ints, target: Ints, before: Ints) -> Ints:
    """Rows with the run of each member, on channels of their own, for they wait for no other rows of the connection."""
    columns = teams.columns()
    columns["channel"] = columns["channel"] + 1 + before
    return sketch.send(source, target, **columns, first=np.arange(teams.size) * teams.width, span=teams.width)


def _alone(teams: Teams, gates: Gate) -> Done:
    """Whoever is alone behind his switch has the sum when he has his input."""
    members = teams.members
    return standing(members[(members == members[:, :1]).all(axis=1)], gates)


# -- between nodes -------------------------------------------------------------------------------------------


class Tier(NamedTuple):
    """Vertices at one height of the trees of all teams, shape ``[vertices]`` each; `above` is a place in the next tier."""

    team: Ints
    vertex: Ints
    above: Ints


def across(topology: Topology) -> Family:
    """All-reduce of teams with one rank in each node, in the switches between the nodes.

    Source: R. Graham et al., "Scalable Hierarchical Aggregation Protocol (SHArP)", 2016.
    """
    return Family(partial(_sharp, topology), lambda size: 1)


def _tiers(topology: Topology, teams: Teams) -> list[Tier]:
    """Trees from the ranks up to one switch for each team, at the end with that."""
    tiers, total = [], topology.vertices[-1]
    team, vertex = np.repeat(np.arange(len(teams.members)), teams.size), teams.members.ravel()
    upper = topology.leaf_of(vertex)
    if (upper < 0).any():
        raise CollectiveError("these cards plug into no leaf that could add; `hierarchical-ring` needs none")
    while True:
        key, above = np.unique(team * total + upper, return_inverse=True)
        tiers.append(Tier(team, vertex, above))
        team, vertex = key // total, key % total
        several = np.bincount(team) > 1
        if not several.any():
            return [*tiers, Tier(team, vertex, np.zeros_like(team))]
        upper = np.where(several[team], _up(topology, vertex, team), vertex)


def _up(topology: Topology, vertex: Ints, team: Ints) -> Ints:
    """A switch of the next tier above each, those of one team the same where they can, other teams others."""
    source, target = topology.ends()
    tier = np.searchsorted(topology.vertices, [source, target], "right")
    source, target = np.unique(np.stack([source, target])[:, tier[1] > tier[0]], axis=1)
    low, high = np.searchsorted(source, vertex, "left"), np.searchsorted(source, vertex, "right")
    if (low == high).any():
        raise CollectiveError(
            f"a {topology.fabric.network.kind} network has no switch above all of its leaves in which a sum could come "
            "together; `hierarchical-ring` needs none"
        )
    return np.asarray(target[low + team % (high - low)])


def _sharp(topology: Topology, sketch: Sketch, teams: Teams, gates: Gate) -> Done:
    """Up the tree adding, down the tree copying; a team that has come together stays where it is."""
    tiers = _tiers(topology, teams)
    pairs = [(tier, upper, _columns(teams, tier.team)) for tier, upper in pairwise(tiers)]
    ready = np.full(teams.members.size, -1) if gates is None else gates[teams.members.ravel()]
    for tier, upper, columns in pairs:
        rows = sketch.send(tier.vertex, upper.vertex[tier.above], **columns, reduces=teams.chunks)
        sketch.wait(rows, ready)
        arrived = np.where(rows < 0, ready, rows)
        ready = sketch.join(upper.vertex, teams.chunks)
        sketch.wait(ready[tier.above], arrived)
    for tier, upper, columns in reversed(pairs):
        rows = sketch.send(upper.vertex[tier.above], tier.vertex, **columns)
        sketch.wait(rows, ready[tier.above])
        ready = np.where(rows < 0, ready[tier.above], rows)
    return done(teams.members.ravel(), ready)


def _columns(teams: Teams, team: Ints) -> dict[str, Ints | int]:
    """Columns of rows with whole stretches, of the team of each."""
    return teams.columns() | {"channel": teams.channel[team], "base": teams.base[team], "span": teams.blocks}


# -- all of it -----------------------------------------------------------------------------------------------


def in_switch(topology: Topology, chunks: int) -> Schedule:
    """All-reduce in the switches: of the one node, or of the network, with those inside the nodes where they can.

    Parameters
    ----------
    topology : Topology
    chunks : int
        Pieces that go through the switches one behind the other.

    Raises
    ------
    CollectiveError
        If the fabric does not say that the switches add.
    """
    if isinstance(topology, GraphTopology):
        raise CollectiveError("a graph does not say that its switches add; lay the cluster out from a fabric instead")
    if topology.nodes == 1:
        if not topology.scale_up_reduces:
            raise CollectiveError(
                f"{topology.fabric.name} has no switch that adds inside a node; a fabric file says that it has by "
                'domain.reduces = true and domain.kind = "switch"'
            )
        sketch = Sketch(topology.cards, topology.cards * chunks)
        inside(topology).all_reduce(sketch, everyone(topology.cards, topology.cards, chunks), None)
        return sketch.schedule()
    if not topology.network_reduces:
        raise CollectiveError(
            f"the switches of {topology.fabric.network.name} do not add; a network file says that they do by "
            "network.reduces = true"
        )
    within = inside(topology) if topology.scale_up_reduces else TWO_SHOT
    return hierarchical(topology, chunks, across(topology), within)
