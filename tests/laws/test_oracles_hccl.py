"""Oracles that are not ours: where nothing is shared, HCCL's own cost formulas hold to the last digits.

HCCL counts alpha (seconds a message), beta (seconds a byte on one link) and gamma (seconds a byte added); the formulas are
those of mirror-cann/hccl, docs/zh/user_guide/coll_algo_intro. In-switch reduction has none; its times are derived here.
"""

from math import ceil, log2
from pathlib import Path

import pytest

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, COLLECTIVES
from ringsim.engines import run
from ringsim.fabric import Fabric, Protocol
from ringsim.program import price
from ringsim.topology import Topology

EXACT = 1e-9
RANKS = (2, 4, 6, 8, 16, 100, 128)
SIZES = (8, 2**20, 2**30)

#: One domain of up to 128 cards and leaves that hold every node, so that no spine is ever crossed.
SHEET = """
schema = 1
name = "uniform"
title = "A uniform network"
[card]
name = "card"
fp16_tflops = [1, "test"]
memory = ["64GiB", "test"]
memory_bandwidth = ["1TB/s", "test"]
[domain]
kind = "{kind}"
size = [{size}, "test"]
lanes = [{lanes}, "test"]
lane_bandwidth = ["10GB/s", "test"]
datasheet_bandwidth = ["{duplex}GB/s", "test"]
efficiency = [1, "test"]
latency = ["0.5us", "test"]
reduces = [{reduces}, "test"]
[nic]
line_rate = ["200Gb/s", "test"]
bandwidth = ["25GB/s", "test"]
efficiency = [0.8, "test"]
host_bandwidth = ["64GB/s", "test"]
latency = ["0.7us", "test"]
[network]
name = "uniform"
title = "One leaf for each rail"
kind = "rail-leaf-spine"
radix = [4096, "test"]
oversubscription = [1, "test"]
switch_latency = ["0.3us", "test"]
routing = "spread"
reduces = [true, "test"]
[protocol.exact]
startup = ["4us", "test"]
step_scale_up = ["1us", "test"]
step_network = ["5us", "test"]
wire = [1, "test"]
slices = [1, "test"]
share = "max-min"
reduce_bandwidth = ["40GB/s", "test"]
"""
STARTUP, GAMMA = 4e-6, 1 / 40e9
INSIDE, BETWEEN = 0.5e-6 + 1e-6, 2 * 0.7e-6 + 0.3e-6 + 5e-6  # alpha
LANE, WIRE = 1 / 10e9, 1 / 20e9  # beta


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("fabrics")
    paths = {}
    for kind, lanes in (("full-mesh", 127), ("switch", 10)):
        paths[kind] = folder / f"{kind}.toml"
        adds = str(kind == "switch").lower()
        paths[kind].write_text(SHEET.format(kind=kind, size=128, lanes=lanes, duplex=20 * lanes, reduces=adds))
    return paths


def uniform(sheets: dict[str, Path], kind: str, cards: int, group: int) -> tuple[Topology, Protocol]:
    sheet: Fabric = fabric.load(str(sheets[kind]))
    return topology.build(sheet, cards, domain=group), sheet.protocol("exact")


def times(
    collective: str, name: str, cluster: Topology, protocol: Protocol, size: float, chunks: int = 1
) -> list[float]:
    """Less the start-up, with and without jumping."""
    program = price(COLLECTIVES[collective][name].build(cluster, 1, chunks), cluster, protocol, size)
    return [run(program, jump=jump).time - STARTUP for jump in (True, False)]


def exactly(seconds: float) -> object:
    return pytest.approx([seconds] * 2, rel=EXACT)


def halves(p: int, n: float, alpha: float, beta: float) -> tuple[float, float]:
    """Reduce-scatter and all-gather of NB and NHR: ⌈log2 p⌉α + (p−1)/p·nβ, and (p−1)/p·nγ more for the first."""
    gather = ceil(log2(p)) * alpha + (p - 1) / p * n * beta
    return gather + (p - 1) / p * n * GAMMA, gather


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("p", RANKS)
@pytest.mark.parametrize("name", ["nhr", "nb"])
def test_nhr_and_nb_on_one_switch(sheets: dict[str, Path], name: str, p: int, size: float) -> None:
    """In each step every card sends to one and hears from one: its link of 10 lanes is all the message's."""
    cluster, protocol = uniform(sheets, "switch", p, p)
    scatter, gather = halves(p, size, INSIDE, LANE / 10)
    assert times("all-reduce", name, cluster, protocol, size) == exactly(scatter + gather)
    assert times("reduce-scatter", name, cluster, protocol, size) == exactly(scatter)
    assert times("all-gather", name, cluster, protocol, size) == exactly(gather)


@pytest.mark.parametrize("p", RANKS)
@pytest.mark.parametrize("name", ["nhr", "nb"])
def test_nhr_and_nb_between_single_cards(sheets: dict[str, Path], name: str, p: int) -> None:
    cluster, protocol = uniform(sheets, "switch", p, 1)
    assert times("all-reduce", name, cluster, protocol, 2**24) == exactly(sum(halves(p, 2**24, BETWEEN, WIRE)))


def mesh(g: int, n: float) -> tuple[float, float]:
    """Reduce-scatter and all-gather of a mesh: α + n/p·β each.

    HCCL adds (p−1)/p·nγ, for one card adds one contribution after the other. By the law of time (rule 4) each is added as
    it arrives, all p − 1 at once, so it is n/p·γ here.
    """
    return (INSIDE + n / g * (LANE + GAMMA), INSIDE + n / g * LANE) if g > 1 else (0.0, 0.0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("p", RANKS)
def test_mesh(sheets: dict[str, Path], p: int, size: float) -> None:
    cluster, protocol = uniform(sheets, "full-mesh", p, p)
    assert times("all-reduce", "two-shot", cluster, protocol, size) == exactly(sum(mesh(p, size)))


def across(name: str, p: int, n: float) -> float:
    """All-reduce between p nodes."""
    steps = {"ring": p - 1, "halving-doubling": log2(p)}.get(name, ceil(log2(p)))
    return 2 * steps * BETWEEN + (p - 1) / p * n * (2 * WIRE + GAMMA)


#: Cards, cards of a node.
CLUSTERS = ((4, 2), (6, 2), (6, 3), (8, 4), (16, 8), (16, 2), (100, 4), (100, 25), (128, 8), (128, 64))


#: HCCL states another formula for H-D_R where the nodes are no power of two.
HIERARCHIES = [
    (name, p, g)
    for name in ("ring", "nhr", "nb", "halving-doubling", "ahc")
    for p, g in CLUSTERS
    if name != "halving-doubling" or log2(p // g) % 1 == 0
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "p", "g"), HIERARCHIES)
def test_a_hierarchy_is_the_sum_of_its_stages(sheets: dict[str, Path], name: str, p: int, g: int, size: float) -> None:
    """Reduce-scatter in the node, all-reduce of a card's part between nodes, all-gather in the node."""
    cluster, protocol = uniform(sheets, "full-mesh", p, g)
    expected = sum(mesh(g, size)) + across("nb" if name == "ahc" else name, p // g, size / g)
    found = times("all-reduce", name if name == "ahc" else f"hierarchical-{name}", cluster, protocol, size)
    assert found == exactly(expected)


@pytest.mark.parametrize("size", [*SIZES, 2**24])
@pytest.mark.parametrize(("p", "g"), CLUSTERS)
def test_pipeline(sheets: dict[str, Path], p: int, g: int, size: float) -> None:
    """2·(max(s/p·β_inter + α_inter, s/p·β_intra + α_intra)·(nodes − 1) + s/p·β_intra + α_intra).

    HCCL leaves gamma out; a block is added once as it comes in, so the first half has γ beside either β.
    """
    cluster, protocol = uniform(sheets, "full-mesh", p, g)
    expected = 0.0
    for gamma in (GAMMA, 0.0):
        inter, intra = BETWEEN + size / p * (WIRE + gamma), INSIDE + size / p * (LANE + gamma)
        expected += max(inter, intra) * (p // g - 1) + intra
    assert times("all-reduce", "pipeline", cluster, protocol, size) == exactly(expected)


def test_both_networks_can_be_the_slower_one_in_a_pipeline() -> None:
    """Otherwise one side of the maximum above would never have been looked at."""
    slower = {BETWEEN + size / p * WIRE > INSIDE + size / p * LANE for size in [*SIZES, 2**24] for p, _ in CLUSTERS}
    assert slower == {True, False}


# -- in the switch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("p", RANKS)
def test_in_one_switch(sheets: dict[str, Path], p: int, size: float) -> None:
    """S up, S/p down, S/p up, S down, one after the other; the switch's latency lies on the ways up."""
    cluster, protocol = uniform(sheets, "switch", p, p)
    up = size * (1 + 1 / p) * LANE / 10
    expected = 2 * up + 4 * 1e-6 + 2 * 0.5e-6 + size * GAMMA
    assert times("all-reduce", "in-switch", cluster, protocol, size) == exactly(expected)


@pytest.mark.parametrize("p", [2, 8, 128])
def test_chunks_bring_it_to_its_bound(sheets: dict[str, Path], p: int) -> None:
    """A card's link carries S·(1 + 1/p) each way, and with many chunks both ways at once."""
    cluster, _ = uniform(sheets, "switch", p, p)
    protocol = Protocol("free", 0.0, 0.0, 0.0, 1.0, 1, "max-min")
    least = 2**30 * (1 + 1 / p) * LANE / 10
    program = price(ALGORITHMS["in-switch"].build(cluster, 1, 512), cluster, protocol, 2**30)
    assert least <= run(program).time <= 1.01 * least


@pytest.mark.parametrize("p", RANKS)
def test_in_the_network(sheets: dict[str, Path], p: int) -> None:
    """Single cards on one leaf: the vector goes up once and comes down once, whatever their number."""
    cluster, protocol = uniform(sheets, "switch", p, 1)
    size = 2**26
    expected = 2 * size * WIRE + size * GAMMA + 2 * 5e-6 + 2 * 0.7e-6 + 0.3e-6
    assert times("all-reduce", "in-switch", cluster, protocol, size) == exactly(expected)
