"""Reduce-scatter, all-gather, broadcast, reduce, all-to-all: who begins with what, who ends with what, and what moves."""

from itertools import product

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import COLLECTIVES, CollectiveError, layout, rooted
from ringsim.schedule import EVERYONE, Schedule
from ringsim.topology import Topology
from ringsim.values import execute, prove

#: HCCL's own among the halves are in `test_hccl_algorithms`.
OURS = [
    (collective, name)
    for collective, algorithms in COLLECTIVES.items()
    if collective != "all-reduce"
    for name in algorithms
    if not name.endswith(("nhr", "nb"))
]


def make(name: str, cards: int, domain: int | str | None = None) -> Topology:
    return topology.build(fabric.load(name), cards, domain=domain)


def build(collective: str, name: str, cluster: Topology, pieces: int, *, wide: bool = True) -> Schedule | None:
    how = COLLECTIVES[collective][name]
    try:
        return how.build(cluster, how.channels(cluster) if wide else 1, pieces)
    except CollectiveError:
        assert "hierarchical" in name or "torus" in name or name in ("halving", "doubling")
        return None


@pytest.mark.parametrize(("collective", "name"), OURS)
def test_everybody_ends_with_what_he_should_whatever_the_timing(collective: str, name: str) -> None:
    for fabric_name, p in product(("hccs", "nvlink3"), [*range(2, 18), 24, 32, 33]):
        for pieces in (1, 3) if p < 18 else (1,):
            found = build(collective, name, make(fabric_name, p), pieces, wide=p < 18)
            if found:
                prove(found)


@pytest.mark.parametrize(("collective", "name"), OURS)
@pytest.mark.parametrize("p", [96, 100, 128])
def test_everybody_ends_with_what_he_should_on_many_cards(collective: str, name: str, p: int) -> None:
    found = build(collective, name, make("hccs", p), 1, wide=False)
    if found:
        prove(found, order=False)


@pytest.mark.parametrize(("collective", "name"), OURS)
@pytest.mark.parametrize(("p", "domain"), [(6, 3), (8, 4), (16, 8), (12, "all")])
def test_who_begins_and_who_ends_with_what(collective: str, name: str, p: int, domain: int | str) -> None:
    found = build(collective, name, make("nvlink3", p, domain), 2)
    if not found:
        return
    equal = {(rank, found.units // p) for rank in range(p)}
    begins, ends = (set(zip(*np.unique(who, return_counts=True), strict=True)) for who in (found.begins, found.ends))
    everyone = {(EVERYONE, found.units)}
    assert (begins, ends) == {
        "reduce-scatter": (everyone, equal),
        "all-gather": (equal, everyone),
        "broadcast": ({(0, found.units)}, everyone),
        "reduce": (everyone, {(0, found.units)}),
        "all-to-all": (equal, equal),
    }[collective]
    if collective == "all-to-all":
        pairs = np.stack([found.begins, found.ends], axis=1)
        assert len(np.unique(pairs, axis=0)) == p * p, "everyone has a block for everyone"
    assert found.parts == (found.units // p if collective == "all-to-all" else found.units)
    assert found.reduces.any() == (collective in ("reduce-scatter", "reduce"))


@pytest.mark.parametrize(("collective", "name"), OURS)
@pytest.mark.parametrize("p", [8, 16])
def test_no_more_is_sent_than_has_to_be(collective: str, name: str, p: int) -> None:
    """In vectors: p − 1 in all for each of them, but twice that in two halves, where much goes to its place in between."""
    found = build(collective, name, make("nvlink3", p), 1)
    assert found
    sent = (found.count * found.span)[~found.joins].sum() / found.parts
    dealt = 0 if "scatter-" not in name else (p - 1) / p
    assert sent == pytest.approx(p - 1 + dealt)


def test_an_all_gather_puts_every_part_everywhere() -> None:
    found = build("all-gather", "hierarchical-ring", make("nvlink3", 6, 3), 1)
    assert found
    mine = np.where(found.begins[None, :, None] == np.arange(6)[:, None, None], 1 + found.begins[None, :, None], -99)
    assert (execute(found, mine)[:, :, 0] == 1 + found.begins).all()


@pytest.mark.parametrize(("collective", "name"), OURS)
def test_rows_are_known_beforehand(collective: str, name: str) -> None:
    how = COLLECTIVES[collective][name]
    for fabric_name, p in product(("hccs", "nvlink3"), (2, 3, 8, 16, 21, 64)):
        cluster = make(fabric_name, p)
        by_chunk = (collective, name) == ("reduce-scatter", "hierarchical-ring")
        found = build(collective, name, cluster, 16 if by_chunk else 1)
        if found:
            known = how.rows(cluster, how.channels(cluster))
            assert found.rows <= known
            if not by_chunk:
                assert known <= 2 * found.rows + 8


@pytest.mark.parametrize("p", [2, 5, 8, 9, 16, 17, 24, 29, 64, 100, 1024])
@pytest.mark.parametrize(("name", "domain"), [("hccs", None), ("nvlink3", None), ("nvlink3", "all"), ("hccs", 1)])
def test_trees_hang_from_rank_0_and_are_not_deep(name: str, domain: int | str | None, p: int) -> None:
    cluster = make(name, p, domain)
    parent = rooted.parents(cluster, layout.most_chains(cluster))
    assert len(parent) == rooted.trees(cluster, layout.most_chains(cluster))
    assert ((parent == -1).sum(axis=1) == 1).all()
    assert (parent[:, 0] == -1).all()
    hops, here = np.zeros(parent.shape, np.int64), np.tile(np.arange(p), (len(parent), 1))
    for _ in range(rooted.depth(cluster)):
        on = here != 0
        hops += on
        here = np.where(on, np.take_along_axis(parent, here, axis=1), 0)
    assert (here == 0).all(), f"deeper than {rooted.depth(cluster)} hops"


@pytest.mark.parametrize("servers", [3, 4, 9, 16, 33])
def test_a_server_is_inner_in_one_tree_only(servers: int) -> None:
    """But for the root and, between an odd number of servers besides it, one other: so all NICs send alike."""
    one, two = rooted.parents(make("nvlink3", servers, 1), 1)
    both = (set(one) & set(two)) - {-1, 0}
    assert len(both) <= (servers - 1) % 2


def test_in_turns_nobody_hears_from_two() -> None:
    found = build("all-to-all", "pairwise", make("hccs", 8), 1)
    assert found
    step = (found.target - found.source) % 8
    for turn in range(1, 8):
        assert sorted(found.target[step == turn]) == list(range(8))
    waiting = np.repeat(np.arange(found.rows), np.diff(found.dep_offsets))
    assert (step[waiting] == step[found.dep_row] + 1).all()
    # What one sent in the turn before is out, and what one was sent is there.
    for end in (found.source, found.target):
        mine = waiting[end[found.dep_row] == found.source[waiting]]
        assert sorted(mine) == sorted(np.flatnonzero(step > 1))


def test_a_hierarchy_needs_full_nodes() -> None:
    for collective in ("reduce-scatter", "all-gather"):
        with pytest.raises(CollectiveError, match="the last node has 3 of 8; use a multiple of 8 cards"):
            COLLECTIVES[collective]["hierarchical-ring"].build(make("hccs", 11), 1, 1)
