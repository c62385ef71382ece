"""The search for one size: everything once as it comes, then the best few with other pieces and fewer channels.

Broad, so that nothing that could be run by hand is missed: every algorithm, protocol and order of ranks with its default
parameters, those that cannot win left out by their busiest link. Then deep: from each of the best few, twice and half as
many pieces and half as many channels for as long as that helps. The lower bound says when to stop.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ringsim.candidates import NoPlaceError, choices, seated
from ringsim.catalogue import GATHER, find
from ringsim.collectives import COLLECTIVES
from ringsim.memory import TooLargeError
from ringsim.question import MOST_PIECES, Question, StudyError
from ringsim.race import Track, fastest, race
from ringsim.result import Case, Result

#: Part of the bound from which on nothing more is looked for.
NEAR = 0.995

#: Algorithms whose pieces and channels are varied, and how far behind the best one may be to be among them.
LEADERS, BEHIND = 4, 1.5

#: Chunks that everything is tried with besides its own number: cutting finely costs messages.
FEW = (1, 4)

#: So many times the best time, and no number of chunks helps.
HOPELESS = 8.0

#: A gain below this part is none: times of shared schedules are no more exact (docs/design.md).
GAIN = 2e-3

#: Bytes below which a piece of a card's part is not cut again.
SMALLEST_PIECE = 4096

#: The choice that nobody made: one ring, which adds up, or where codes are rather gathered, gathers.
NAIVE = "ring"
NAIVES = (NAIVE, GATHER + NAIVE)


@dataclass(frozen=True)
class Tuned:
    """What was found for one size.

    Attributes
    ----------
    best : Result
        Its case says what to do: the plan.
    tried : tuple of Result
        All that was looked at, the best first, then by time; those that were not simulated are at the end.
    naive : Result
        One ring in the order of the ranks, with the same codec.
    """

    best: Result
    tried: tuple[Result, ...]
    naive: Result

    @property
    def bytes(self) -> int:
        """Size of the vector on each rank."""
        return self.best.case.bytes

    @property
    def gain(self) -> float:
        """How often the best plan fits into the time of the naive one."""
        assert self.naive.time_us is not None
        assert self.best.time_us is not None
        return self.naive.time_us / self.best.time_us


@dataclass(frozen=True)
class Order:
    """Ranks where they sit, or as the plan would put them.

    Attributes
    ----------
    question : Question
        With the placement that goes with it.
    track : Track
    """

    question: Question
    track: Track

    @property
    def name(self) -> str:
        """As results call it."""
        return seated(self.question, self.track.topology)


def search(orders: Sequence[Order], size: int, among: tuple[str, ...] = ()) -> Tuned:
    """Find the best plan for one size.

    Parameters
    ----------
    orders : sequence of Order
        The first is as the ranks sit.
    size : int
        Bytes of the vector on each rank.
    among : tuple of str
        Algorithms to choose from, such as those that a library has; all if empty.

    Raises
    ------
    StudyError
        If no algorithm can be laid over the cluster.
    """
    asked = [replace(order, question=replace(order.question, size=size)) for order in orders]
    naive = _naive(asked[0])
    tried = [] if among and naive.case.algorithm not in among else [naive]
    # Ranks in good order first: what they reach rules out most of the others before it is simulated.
    for order in reversed(asked):
        tried += _as_it_comes(order, among, _best_us(tried))
    by_hand = _best_us(tried)
    for order in asked:
        tried += _in_few_chunks(order, tried)
    if _best_us(tried) == math.inf:
        raise StudyError(f"algorithms = {', '.join(among)}: none of them can be laid over this cluster")
    for leader in _leaders(tried, asked[0].name):
        if _good_enough(tried):
            break
        tried += list(_deep(_order_of(asked, leader), leader, tried))
    return Tuned(*_ranked(tried, by_hand, asked[0].name), naive)


def _naive(order: Order) -> Result:
    """Simulate one ring with its default pieces; where a collective has no ring, its first algorithm."""
    known = choices(order.question)
    name = next((name for name in known if name in NAIVES), next(iter(known)))
    found = fastest(race(replace(order.question, algorithm=name, rings=1), order.track))
    assert found is not None  # the first candidate is always simulated
    return found


def _as_it_comes(order: Order, among: tuple[str, ...], limit_us: float) -> list[Result]:
    """Race everything with its default parameters, and on one channel what `auto` tries on one."""
    found = list[Result]()
    known = choices(order.question)
    single = [name for name in known if known[name].auto and (name in among or not among)]
    for name, rings in [*((name, None) for name in among or ("all",)), *((name, 1) for name in single)]:
        asked = replace(order.question, algorithm=name, rings=rings)
        found += _race(asked, order, min(limit_us, _best_us(found)))
    return found


def _in_few_chunks(order: Order, tried: Sequence[Result]) -> list[Result]:
    """Race what goes through a pipeline with few chunks as well: each chunk costs messages."""
    known, found = choices(order.question), list[Result]()
    limit_us = _best_us(tried)
    own = [r for r in tried if r.case.placement == order.name]
    near = {r.case.algorithm for r in own if (r.time_us or r.floor_us) <= limit_us * HOPELESS}
    for name in sorted(near, key=list(known).index):
        for chunks in FEW if known[name].piece == "chunks" else ():
            asked = replace(order.question, algorithm=name, chunks=chunks)
            found += _race(asked, order, min(limit_us, _best_us(found)))
    return found


def _race(question: Question, order: Order, limit_us: float) -> list[Result]:
    """Race the candidates of a question that may have none: so many pieces may not fit, nor an algorithm its cluster."""
    try:
        return race(question, order.track, limit_us)
    except (NoPlaceError, TooLargeError):
        return []


def _deep(order: Order, leader: Result, tried: list[Result]) -> Iterator[Result]:
    """Follow one algorithm to more or fewer pieces and fewer channels for as long as it gains."""
    here, seen = leader, {_steps(leader.case)}
    moved = True
    while moved and not _good_enough([here]):
        moved = False
        for channels, pieces in _neighbours(here):
            if (channels, pieces) in seen:
                continue
            seen.add((channels, pieces))
            found = _try(order, here.case, channels, pieces, min(_best_us(tried) * BEHIND, here.time_us or math.inf))
            yield from found
            best = fastest(found)
            if best is not None and best.time_us and here.time_us and best.time_us < here.time_us * (1 - GAIN):
                here, moved = best, True
                break


def _neighbours(result: Result) -> Iterator[tuple[int, int]]:
    """Channels and pieces to try next to those of a case."""
    case, sent = result.case, result.case.bytes / result.ratio
    if sent / case.domain / (2 * case.pieces) >= SMALLEST_PIECE and 2 * case.pieces <= MOST_PIECES:
        yield case.channels, 2 * case.pieces
    if case.pieces > 1:
        yield case.channels, case.pieces // 2
    if case.channels > 1:
        yield case.channels // 2, case.pieces


def _try(order: Order, case: Case, channels: int, pieces: int, limit_us: float) -> list[Result]:
    """Race the protocols of one algorithm with so many channels and pieces."""
    piece = find(case.collective, case.algorithm).piece
    asked = replace(order.question, algorithm=case.algorithm, rings=channels, **{piece: pieces})  # type: ignore[arg-type]
    return _race(asked, order, limit_us)


# -- who leads ---------------------------------------------------------------------------------------------


def _best_us(tried: Sequence[Result]) -> float:
    return min((r.time_us for r in tried if r.time_us is not None), default=math.inf)


def _good_enough(tried: Sequence[Result]) -> bool:
    """Whether the best is next to the lowest bound: with algorithms that add in switches, that is theirs."""
    return _best_us(tried) * NEAR <= min(r.bound_us for r in tried)


def _leaders(tried: Sequence[Result], here: str) -> list[Result]:
    """The best of each algorithm and order that is not too far behind; of those that do the same, the first."""
    limit = _best_us(tried) * BEHIND
    near = [r for r in tried if r.time_us is not None and r.time_us <= limit]
    found: dict[tuple[str, str], Result] = {}
    for result in sorted(near, key=lambda r: (r.time_us, _place(r.case), r.case.placement != here)):
        found.setdefault((result.case.algorithm, result.case.placement), result)
    different = {(r.time_us, r.transfers, r.wire_bytes): r for r in reversed(found.values())}
    return list(different.values())[::-1][:LEADERS]


def _place(case: Case) -> tuple[bool, int]:
    """Where the tables of algorithms name it, those that gather codes behind the others."""
    gathers = case.algorithm.startswith(GATHER)
    known = COLLECTIVES["all-gather" if gathers else case.collective]
    return gathers, list(known).index(case.algorithm.removeprefix(GATHER))


def _order_of(orders: Sequence[Order], result: Result) -> Order:
    return next(order for order in orders if order.name == result.case.placement)


def _steps(case: Case) -> tuple[int, int]:
    return case.channels, case.pieces


def _ranked(tried: Sequence[Result], by_hand_us: float, here: str) -> tuple[Result, tuple[Result, ...]]:
    """The best, and all by time.

    Of those that take nearly as long the simplest is the best: where ranks stay where they are, then the one with the
    fewest transfers, and of equals the one that the table of algorithms names first. But none is chosen that somebody
    would beat by hand, with default parameters.
    """
    ranked = sorted(_without_copies(tried), key=by_time)
    assert ranked[0].time_us is not None
    limit = max(ranked[0].time_us, min(ranked[0].time_us * (1 + GAIN), by_hand_us))
    equal = [r for r in ranked if r.time_us is not None and r.time_us <= limit]
    best = min(equal, key=lambda r: (r.case.placement != here, r.transfers, _place(r.case)))
    return best, (best, *(r for r in ranked if r is not best))


def by_time(result: Result) -> tuple[bool, float, str]:
    """Order results by their times, those that were not simulated at the end."""
    return result.time_us is None, result.time_us or result.floor_us, result.case.id()


def _without_copies(tried: Sequence[Result]) -> list[Result]:
    """One result for each case, the simulated one where there are two."""
    found: dict[str, Result] = {}
    for result in tried:
        old = found.get(result.case.id())
        if old is None or old.time_us is None:
            found[result.case.id()] = result
    return list(found.values())
