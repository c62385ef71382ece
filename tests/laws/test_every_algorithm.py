"""Laws over every algorithm on every kind of cluster: both engines agree, and no result beats its bound."""

import numpy as np
import pytest

from laws.clusters import CARDS, KINDS, MOST_ROWS, cases, cluster, program, unfit
from ringsim.bounds import lower_bound
from ringsim.collectives import COLLECTIVES
from ringsim.engines import run
from ringsim.program import Program

AGREE = 1e-9
SIZE = 1e5


def sparse(program: Program, kind: str) -> bool:
    """Whether the reference engine is quick enough: it shares links in plain Python."""
    return program.rows <= MOST_ROWS or kind in ("mesh", "switch")


@pytest.mark.parametrize("collective", COLLECTIVES)
@pytest.mark.parametrize(("kind", "cards"), sorted({case[:2] for case in cases()}))
def test_both_engines_agree_and_nothing_beats_the_bound(kind: str, cards: int, collective: str) -> None:
    where = cluster(kind, cards)
    bounds = {adds: lower_bound(where, SIZE, 0.0, collective, in_switch=adds) for adds in (False, True)}
    for algorithm, how in COLLECTIVES[collective].items():
        found = program(kind, cards, collective, algorithm, SIZE)
        if found is None:
            continue
        jumped, plain = run(found), run(found, jump=False)
        expected = run(found, "reference") if sparse(found, kind) else plain
        for trace in (jumped, plain):
            np.testing.assert_allclose(
                trace.finish, expected.finish, rtol=AGREE, atol=AGREE * expected.time, err_msg=algorithm
            )
        assert plain.simulated == found.transfers
        assert jumped.time - found.startup >= bounds[how.adds_in_switch] * (1 - AGREE), f"{algorithm} beats the bound"


def test_an_algorithm_is_refused_only_where_it_has_no_place() -> None:
    for kind, cards, _, algorithm in unfit():
        where = cluster(kind, cards)
        adds = where.scale_up_reduces if where.nodes == 1 else where.network_reduces
        power = cards & (cards - 1) == 0
        whole = where.last_group == where.group
        assert (
            (algorithm == "in-switch" and (not adds or where.fabric.network.kind in ("torus", "dragonfly")))
            or (algorithm in ("halving", "doubling") and not power)
            or (algorithm.startswith(("hierarchical", "torus")) and not whole)
        ), f"{algorithm} on {cards} cards of {kind}"


def test_the_kinds_are_of_every_sort() -> None:
    nodes = {cluster(kind, 16).scale_up_kind for kind in KINDS}
    assert nodes >= {"full-mesh", "switch", "torus"}
    assert len(CARDS) == 7
