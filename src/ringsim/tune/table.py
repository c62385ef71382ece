"""From sizes to a table: for which sizes which plan, where one takes over from the next, and why."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from ringsim.candidates import choices, pinned
from ringsim.catalogue import find
from ringsim.codecs import foreign
from ringsim.collectives import COLLECTIVES
from ringsim.compression import refusal
from ringsim.question import DTYPES, Question, StudyError
from ringsim.race import Notice, Track, fastest, race
from ringsim.result import Case, Result
from ringsim.study import cluster
from ringsim.topology import Topology
from ringsim.tune.orders import orders_of
from ringsim.tune.search import Order, Tuned, by_time, search
from ringsim.tune.store import Store
from ringsim.tune.truth import measured

#: Two sizes so close that it does not matter which of them is where plans change.
CLOSE = 1.5

#: Binary digits of sizes at which plans change: round numbers.
DIGITS = 4

#: Called with how many sizes are done, of how many, and the size under way in bytes.
Steps = Callable[[int, int, int], None]


def silent(done: int, many: int, size: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    low, high : int
        Sizes in bytes for which the plan is meant, both included.
    tuned : Tuned
        At the size that was tried.
    question : Question
        Asks for exactly this plan at this size.
    """

    low: int
    high: int
    tuned: Tuned
    question: Question


@dataclass(frozen=True)
class Table:
    """Plans for a range of sizes, ascending.

    Attributes
    ----------
    question : Question
        What was asked, without its size.
    topology : Topology
        With the ranks where they sit.
    rows : tuple of Row
    """

    question: Question
    topology: Topology
    rows: tuple[Row, ...]


def sizes(low: int, high: int, factor: float, dtype: str) -> list[int]:
    """Sizes from `low` to `high`, each `factor` times the one before, whole numbers of elements; nccl-tests' -b -e -f.

    Raises
    ------
    StudyError
        If there is none, or too many.
    """
    if not 1 < factor <= 2**40:
        raise StudyError(f"factor = {factor:g}: larger than 1, such as 2 or 4")
    if not 0 < low <= high:
        raise StudyError(f"begin = {low}, end = {high}: sizes rise from one to the other")
    many = int(math.log(high / low) / math.log(factor) + 1e-9) + 1
    if many > MOST_SIZES:
        raise StudyError(f"factor = {factor:g}: {many:,} sizes; at most {MOST_SIZES}, so take a larger factor")
    width = DTYPES[dtype]
    return sorted({max(width, round(low * factor**i) // width * width) for i in range(many)})


#: More sizes than anybody reads.
MOST_SIZES = 64


def tune(
    question: Question,
    asked: Sequence[int],
    *,
    among: tuple[str, ...] = (),
    reorder: bool = True,
    store: Store | None = None,
    notice: Notice | None = None,
    steps: Steps = silent,
) -> Table:
    """Find the best plan for each of some sizes.

    Parameters
    ----------
    question : Question
        The cluster, the collective and what protocols may be used; size, algorithm, rings and pieces are searched.
    asked : sequence of int
        Bytes, ascending; with a model those of its gradients, and no other.
    among : tuple of str
        Algorithms to choose from; all if empty.
    reorder : bool
        Whether plans may number ranks anew.
    store : Store or None
        Where answers are kept, and looked for first.
    notice : callable or None
        Called with a sentence about what takes long for other reasons.
    steps : callable

    Raises
    ------
    FabricError, TopologyError, StudyError
        As in `ringsim.study.answer`.
    """
    question = replace(question, size=asked[0], algorithm="auto", rings=None, slices=None, chunks=None)
    # What somebody else's codec does may be another thing tomorrow, under the same name.
    unsteady = question.codec() is not None and foreign(question.compress)
    topology, store = cluster(question), Store(None) if store is None or unsteady else store
    if question.model is not None and list(asked) != [question.payload()[0]]:
        raise StudyError(
            f"model = {question.model}: its gradients have {question.payload()[0]:,} bytes, which is the one size to tune"
        )
    _check(question, among)
    here = Track(topology, notice=notice)
    orders = orders_of(question, here) if reorder else [Order(question, here)]
    inputs, found = _inputs(question, orders) | {"among": list(among)}, list[Tuned]()
    for number, size in enumerate(asked):
        steps(number, len(asked), size)
        tuned = _tuned(orders, size, among, inputs, store)
        found.append(_as_before(tuned, found[-1].best.case) if found else tuned)
    found = measured(found, orders, inputs, store)
    asking = [_pinned(question, orders, tuned.best.case) for tuned in found]
    ends = list(_ends(asking, found, orders, inputs, store))
    lows = [asked[0], *(end + 1 for end in ends[:-1])]
    rows = [Row(*fields) for fields in zip(lows, ends, found, asking, strict=True)]
    return Table(question, topology, tuple(rows))


def _check(question: Question, among: tuple[str, ...]) -> None:
    """Refuse algorithms that are none, or that codes cannot ride."""
    known, codec = choices(question), question.codec()
    for name in among:
        if name not in known:
            whole = COLLECTIVES[question.collective]
            why = refusal(codec, find(question.collective, name), name) if codec and name in whole else ""
            raise StudyError(f"algorithms = {name}: {why or 'one of ' + ', '.join(known)}")


def _as_before(tuned: Tuned, before: Case) -> Tuned:
    """Of plans that take equally long take the one that smaller vectors have: a change of plans for nothing is none."""
    equal = [r for r in tuned.tried if r.time_us == tuned.best.time_us]
    best = next((r for r in equal if way(r.case) == way(before)), tuned.best)
    return replace(tuned, best=best, tried=(best, *sorted((r for r in tuned.tried if r is not best), key=by_time)))


def _inputs(question: Question, orders: Sequence[Order]) -> dict[str, Any]:
    """Everything that decides what is found, but the size."""
    topology, codec = orders[0].track.topology, question.codec()
    return {
        "clusters": [order.track.topology.fingerprint() for order in orders], "cards": topology.cards,
        "domain": topology.group, "collective": question.collective, "protocol": question.protocol,
        "compress": "" if codec is None else codec.spec, "model": question.model or "",
        "dtype": question.dtype, "engine": question.engine, "jump": question.jump, "seed": question.seed,
        "names": [orders[0].name, topology.fabric.name, topology.fabric.network.name, str(topology.fabric.changed)],
        "adders": [topology.scale_up_reduces, topology.network_reduces],
    }  # fmt: skip


def _tuned(orders: Sequence[Order], size: int, among: tuple[str, ...], inputs: dict[str, Any], store: Store) -> Tuned:
    key = inputs | {"size": size}
    kept = store.get(key)
    if kept is not None:
        tried = tuple(_result(one) for one in kept["tried"])
        return Tuned(tried[0], tried, _result(kept["naive"]))
    found = search(orders, size, among)
    store.put(key, {"naive": asdict(found.naive), "tried": [asdict(one) for one in found.tried]})
    return found


def _result(kept: dict[str, Any]) -> Result:
    case = Case(**kept["case"] | {"changed": tuple(kept["case"]["changed"])})
    return Result(**kept | {"case": case})


def _pinned(question: Question, orders: Sequence[Order], case: Case) -> Question:
    """Ask for one plan and no other, in the order of ranks that goes with it."""
    order = next(order for order in orders if order.name == case.placement)
    return pinned(replace(question, placement=order.question.placement), case)


# -- where one plan takes over -------------------------------------------------------------------------------


def way(case: Case) -> tuple[str, str, int, str]:
    """What two plans that differ in pieces alone have in common."""
    return case.algorithm, case.protocol, case.channels, case.placement


def _ends(
    asking: Sequence[Question], found: Sequence[Tuned], orders: Sequence[Order], inputs: dict[str, Any], store: Store
) -> Iterator[int]:
    """Largest size for which each plan is meant."""
    for (question, tuned), (after, following) in pairwise(zip(asking, found, strict=True)):
        if way(tuned.best.case) == way(following.best.case):
            yield following.bytes - 1
            continue
        key = inputs | {"from": tuned.best.case.id(), "to": following.best.case.id()}
        end = store.get(key)
        if end is None:
            end = _crossing((question, tuned.bytes), (after, following.bytes), orders) - 1
            store.put(key, end)
        yield int(end)
    yield found[-1].bytes


def _crossing(small: tuple[Question, int], large: tuple[Question, int], orders: Sequence[Order]) -> int:
    """Smallest size looked at for which the plan of the larger size is quicker, by halving on a logarithmic scale."""
    (before, low), (after, high) = small, large
    element = DTYPES[before.dtype]
    while high / low > CLOSE:
        size = math.isqrt(low * high)
        width = max(1, (1 << max(0, size.bit_length() - DIGITS)) // element) * element
        size = size // width * width
        if not low < size < high:
            break
        if _time(after, size, orders) < _time(before, size, orders):
            high = size
        else:
            low = size
    return high


def _time(question: Question, size: int, orders: Sequence[Order]) -> float:
    order = next(o for o in orders if o.question.placement == question.placement)
    best = fastest(race(replace(question, size=size), order.track))
    assert best is not None
    assert best.time_us is not None
    return best.time_us
