"""How true the sums of plans are that have a codec: found out once for each algorithm and order of ranks, and kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ringsim import fidelity
from ringsim.result import Case
from ringsim.tune.search import Order, Tuned
from ringsim.tune.store import Store


def measured(found: Sequence[Tuned], orders: Sequence[Order], inputs: dict[str, Any], store: Store) -> list[Tuned]:
    """Say how true the sums of the best plans are; that does not depend on the size, nor on channels and pieces.

    Parameters
    ----------
    found : sequence of Tuned
        One for each size.
    orders : sequence of Order
    inputs : dict
        What the answers depend on, but the size: what is kept is kept under it.
    store : Store
    """
    known: dict[tuple[str, str], tuple[float | None, bool | None]] = {}
    true = []
    for tuned in found:
        best = tuned.best
        way = best.case.algorithm, best.case.placement
        if best.case.compress:
            known[way] = known.get(way) or _true(best.case, orders, inputs, store)
            best = replace(best, error=known[way][0], agree=known[way][1])
        true.append(replace(tuned, best=best, tried=(best, *tuned.tried[1:])))
    return true


def _true(
    case: Case, orders: Sequence[Order], inputs: dict[str, Any], store: Store
) -> tuple[float | None, bool | None]:
    """Error of the sum, and whether all ranks end with the same; None where that would take long to find out."""
    key = inputs | {"error": [case.algorithm, case.placement]}
    kept = store.get(key)
    if kept is None:
        topology = next(order for order in orders if order.name == case.placement).track.topology
        found = fidelity.measure(case, topology)
        kept = [None, None] if found is None else [found.error, found.agree]
        store.put(key, kept)
    return kept[0], kept[1]
