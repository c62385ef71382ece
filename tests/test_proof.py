"""The proof against every timing: what it accepts comes out right in all of them, what it rejects goes wrong in one.

Schedules of every algorithm, and small random changes to them, run step by step in random timings and in those in which
one step is held back for as long as anything else can go. The proof may neither overlook a race nor see one that
cannot happen: of two firings that it says nothing orders, either is seen first.
"""

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from ringsim import fabric, topology
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.schedule import Schedule, ScheduleError
from ringsim.values import StuckError, ValuesError, fifo, prove
from timings import ARRIVE, LEAVE, Step, Timing, altered, at_random, but_for, changed, without

#: More firings take too long in plain Python.
MOST_FIRINGS = 150


def lay(collective: str, algorithm: str, ranks: int, pieces: int, domain: int | None = None) -> Schedule | None:
    """Lay an algorithm over a few cards; None where it cannot be or becomes large."""
    try:
        cards = topology.build(fabric.load("hccs"), ranks, domain=domain)
        found = COLLECTIVES[collective][algorithm].build(cards, 1, pieces)
    except CollectiveError:
        return None
    return found if found.transfers <= MOST_FIRINGS else None


EVERY = [(c, a) for c, algorithms in COLLECTIVES.items() for a in algorithms]
SMALL = [
    (c, a, n, pieces, domain)
    for c, a in EVERY
    for n, pieces, domain in [(3, 2, None), (4, 1, 2), (5, 1, None)]
    if lay(c, a, n, pieces, domain) is not None
]


def one_change(good: Schedule, random: np.random.Generator) -> Schedule:
    """Change one entry, or take one dependency away."""
    row, by = int(random.integers(good.rows)), int(random.choice([-1, 1]))
    dependency = int(random.integers(max(1, len(good.dep_row))))
    match int(random.integers(8 if len(good.dep_row) else 5)):
        case 0:
            return altered(good, "parked", row, not good.parked[row])
        case 1:
            return altered(good, "target", row, int(random.integers(good.ranks)))
        case 2 | 3 | 4 as column:
            return changed(good, ["first", "reduces", "stride"][column - 2], row, by)
        case 5:
            return without(good, dependency)
        case 6:
            return changed(good, "dep_lag", dependency, by)
        case _:
            return altered(good, "dep_row", dependency, int(random.integers(good.rows)))


def variants(good: Schedule, random: np.random.Generator, many: int) -> Iterator[Schedule]:
    """Yield the schedule, and about so many that differ from it in one place."""
    yield good
    for _ in range(many):
        with suppress(ScheduleError):
            yield one_change(good, random)


def check(schedule: Schedule, random: np.random.Generator) -> bool:
    """Return the verdict of the proof, once it is confirmed by timings."""
    try:
        prove(schedule)
    except ValuesError as error:
        confirm(schedule, error, random)
        return False
    holding = [Step(int(row), int(random.integers(schedule.count[row])), what)
               for row in random.permutation(schedule.rows)[:6] for what in (LEAVE, ARRIVE)]  # fmt: skip
    for choose in [*(at_random(schedule, random) for _ in range(4)), *map(but_for, holding)]:
        assert Timing(schedule).run(choose).right(), f"accepted, and goes wrong when {choose}"
    return True


def confirm(schedule: Schedule, error: ValuesError, random: np.random.Generator) -> None:
    """Find a timing that shows what the error says."""
    message = str(error)
    if isinstance(error, StuckError):
        assert not Timing(schedule).run(at_random(schedule, random)).finished(), message
    elif "meet there" in message:
        assert_either_first(schedule, message)
    elif "taken twice" not in message and "takes what" not in message:
        assert not Timing(schedule).run_in_waves().right(), message


def assert_either_first(schedule: Schedule, message: str) -> None:
    """Hold the first of two accesses back until nothing else can go: the second has to come before it, and vice versa."""
    found = re.findall(r"row (\d+) \([^)]*\) firing (\d+), which (reads|adds|overwrites)", message)
    assert len(found) == 2, message
    steps = [
        Step(int(r), int(q), LEAVE if does == "reads" or schedule.joins[int(r)] else ARRIVE) for r, q, does in found
    ]
    for held, other in (steps, steps[::-1]):
        log = Timing(schedule).run(but_for(held)).log
        assert log.index(other) < log.index(held), f"{message}, but it cannot happen"


@pytest.mark.parametrize(("collective", "algorithm", "ranks", "pieces", "domain"), SMALL)
def test_the_proof_agrees_with_timings(
    collective: str, algorithm: str, ranks: int, pieces: int, domain: int | None
) -> None:
    good = lay(collective, algorithm, ranks, pieces, domain)
    assert good is not None
    random = np.random.default_rng(zlib.crc32(f"{collective} {algorithm} {ranks}".encode()))
    assert check(good, random)
    for each in variants(good, random, 12):
        check(each, random)


@pytest.mark.parametrize(("collective", "algorithm"), EVERY)
def test_buffers_that_are_too_small_stand_still_in_every_timing_and_others_in_none(
    collective: str, algorithm: str
) -> None:
    good = lay(collective, algorithm, 4, 2) or lay(collective, algorithm, 4, 1)
    if good is None:
        pytest.skip("cannot be laid over so few cards")
    random = np.random.default_rng(4)
    for schedule in variants(good, random, 6):
        try:
            found = fifo(schedule, 2)
        except ValuesError:
            continue
        assert (found.deadlock is None) == (found.smallest <= 2)
        for depth in {1, 2, found.smallest - 1, found.smallest} - {0}:
            finished = Timing(schedule, depth).run(at_random(schedule, random)).finished()
            assert finished == (depth >= found.smallest), f"depth {depth}, smallest {found.smallest}"


def test_timings_are_of_all_kinds() -> None:
    """The checks above do not pass because every change is found out by the count, or none is."""
    random = np.random.default_rng(1)
    seen = set()
    for algorithm in ("ring", "two-shot"):
        good = lay("all-reduce", algorithm, 4, 1)
        assert good is not None
        for each in variants(good, random, 100):
            try:
                prove(each)
                seen.add("right")
            except StuckError:
                seen.add("stuck")
            except ValuesError as error:
                seen.add(
                    "race" if "nothing orders" in str(error) else "never" if "never taken" in str(error) else "count"
                )
    assert seen == {"right", "stuck", "race", "never", "count"}
