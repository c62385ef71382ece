"""One-shot and two-shot along the sides of a grid of nodes: the sides, the steps and the bytes."""

from math import log2, prod

import pytest

from ringsim import fabric, topology
from ringsim.collectives import ALGORITHMS, CollectiveError
from ringsim.collectives.multiplying import rows, sides
from ringsim.engines import run
from ringsim.fabric import Protocol
from ringsim.program import price
from ringsim.topology import Topology

STEP, NIC = 7e-6, 20e9
ALPHA = STEP + 1.5e-6  # two NICs and a switch


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        (1, 3, (1,)), (2, 3, (2,)), (7, 3, (7,)), (8, 1, (8,)), (8, 2, (2, 4)), (8, 3, (2, 2, 2)), (12, 2, (3, 4)),
        (128, 2, (8, 16)), (128, 3, (4, 4, 8)), (97, 2, (97,)), (2 * 53, 3, (2, 53)), (3750, 3, (10, 15, 25)),
    ],
)  # fmt: skip
def test_sides_are_as_equal_as_divisors_allow(size: int, most: int, expected: tuple[int, ...]) -> None:
    assert sides(size, most) == expected
    assert prod(expected) == size


def nodes(count: int, each: int = 1) -> Topology:
    """Nodes of so many cards, each with a NIC of 20 GB/s, on one rail."""
    return topology.build(fabric.load("hccs", changes=("network.radix=1024",)), count * each, domain=each)


def time(where: Topology, name: str, payload: float, chunks: int = 1, gap: float = 0.0) -> float:
    protocol = Protocol("toy", 0.0, 0.0, STEP, 1.0, 1, "max-min", message_gap=gap)
    algorithm = ALGORITHMS[name]
    return run(price(algorithm.build(where, 1, chunks), where, protocol, payload, allotted=False)).time


@pytest.mark.parametrize("count", [4, 6, 8, 12, 16, 36, 64])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_times_are_those_on_paper(count: int, most: int) -> None:
    """Two-shot: two steps a side and 2(n−1)/n·S in all. One-shot: a step a side, and the vector to all others on it."""
    where, payload = nodes(count), 64e6
    suffix = f"-{most}" if most > 1 else ""
    lengths = sides(count, most)
    dealt = 2 * len(lengths) * ALPHA + 2 * (count - 1) / count * payload / NIC
    assert time(where, f"hierarchical-two-shot{suffix}", payload) == pytest.approx(dealt, rel=1e-9)
    whole = len(lengths) * ALPHA + sum(side - 1 for side in lengths) * payload / NIC
    assert time(where, f"hierarchical-one-shot{suffix}", payload) == pytest.approx(whole, rel=1e-9)


def test_sides_of_two_are_halving_and_doubling() -> None:
    where = nodes(8)
    for name, other in (("one-shot-3", "recursive-doubling"), ("two-shot-3", "halving-doubling")):
        pair = [time(where, f"hierarchical-{which}", 8e6) for which in (name, other)]
        assert pair[0] == pytest.approx(pair[1], rel=1e-9), name


def test_messages_cost_their_gaps_and_steps_their_latency() -> None:
    """With 1 us a message: 63 at once, 7 + 7, 3 + 3 + 3, or 6 steps of one; next to nothing is sent."""
    where, gap = nodes(64), 1e-6
    for most, messages in ((1, 63), (2, 14), (3, 9)):
        suffix = f"-{most}" if most > 1 else ""
        expected = len(sides(64, most)) * (ALPHA - gap) + messages * gap
        assert time(where, f"hierarchical-one-shot{suffix}", 1e-6, gap=gap) == pytest.approx(expected, rel=1e-6)
    doubling = time(where, "hierarchical-recursive-doubling", 1e-6, gap=gap)
    assert doubling == pytest.approx(log2(64) * ALPHA, rel=1e-6)


def test_rows_are_counted_for_memory() -> None:
    for count in (6, 16, 64):
        where = nodes(count)
        for most, name in ((1, "hierarchical-two-shot"), (2, "hierarchical-two-shot-2")):
            built = ALGORITHMS[name].build(where, 1, 1).rows
            assert built * 0.5 <= rows(most, count) <= built * 2


def test_a_side_that_is_too_long_is_refused() -> None:
    where = nodes(257)
    with pytest.raises(CollectiveError, match=r"257 nodes are 257 along one side .* at most 256; use more sides"):
        ALGORITHMS["hierarchical-two-shot"].build(where, 1, 1)
