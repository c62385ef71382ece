"""How true the sums of plans are that have a codec: found out once for each algorithm and order of ranks, and kept.

Channels and pieces change nothing about it, and of long vectors the same sample is summed whatever their size.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ringsim import fidelity
from ringsim.result import Case
from ringsim.tune.search import Order, Tuned
from ringsim.tune.store import Store


def measured(found: Sequence[Tuned], orders: Sequence[Order], inputs: dict[str, Any], store: Store) -> list[Tuned]:
    """Say how true the sums of the best plans are.

    Parameters
    ----------
    found : sequence of Tuned
        One for each size.
    orders : sequence of Order
    inputs : dict
        What the answers depend on, but the size: what is kept is kept under it.
    store : Store
    """
    known: dict[tuple[str, str, int], fidelity.Fidelity | None] = {}
    true = []
    for tuned in found:
        best, case = tuned.best, tuned.best.case
        if case.compress:
            way = case.algorithm, case.placement, min(case.count, fidelity.LONGEST + 1)
            if way not in known:
                known[way] = _true(case, way, orders, inputs, store)
            best = fidelity.told(best, known[way])
        true.append(replace(tuned, best=best, tried=(best, *tuned.tried[1:])))
    return true


def _true(
    case: Case, way: tuple[str, str, int], orders: Sequence[Order], inputs: dict[str, Any], store: Store
) -> fidelity.Fidelity | None:
    """What was found of the sum; None where that would take long."""
    key = inputs | {"error": list(way)}
    kept = store.get(key)
    if kept is None:
        topology = next(order for order in orders if order.name == case.placement).track.topology
        found = fidelity.measure(case, topology)
        kept = [] if found is None else asdict(found)
        store.put(key, kept)
    return fidelity.Fidelity(**kept) if kept else None
