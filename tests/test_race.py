"""Candidates against each other: what cannot win is not simulated, and nothing is simulated twice."""

import math
from dataclasses import replace

import pytest

from ringsim import race as racing
from ringsim.question import Question
from ringsim.race import Track, fastest, race
from ringsim.result import Case, Result
from ringsim.study import cluster

QUESTION = Question("nvlink3", 16, "4M", algorithm="all")


@pytest.fixture
def track() -> Track:
    return Track(cluster(QUESTION))


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Cases that were simulated, in turn."""
    found: list[Case] = []

    def simulate(question: Question, track: Track, candidate: racing.Candidate, bounds: racing.Bounds) -> Result:
        found.append(candidate.case)
        return real(question, track, candidate, bounds)

    real = racing._simulate
    monkeypatch.setattr(racing, "_simulate", simulate)
    return found


def times(results: list[Result]) -> list[float]:
    return [r.time_us for r in results if r.time_us is not None]


def test_what_is_left_out_could_not_have_won(track: Track) -> None:
    results = race(QUESTION, track)
    assert [r.floor_us for r in results] == sorted(r.floor_us for r in results)
    best = min(times(results))
    left_out = [r for r in results if r.time_us is None]
    assert left_out
    assert min(r.floor_us for r in left_out) > best
    for result in left_out[:5]:
        case = result.case
        asked = replace(QUESTION, algorithm=case.algorithm, protocol=case.protocol)
        alone = {r.case.id(): r for r in race(asked, track)}[case.id()]
        assert alone.time_us is None or alone.time_us >= alone.floor_us > best
    assert all(r.time_us is None or r.time_us >= r.floor_us * (1 - 1e-9) for r in results)


def test_a_time_that_is_known_rules_out_whoever_cannot_beat_it(track: Track) -> None:
    everything = race(QUESTION, track)
    floors = [r.floor_us for r in everything]
    for limit in (min(times(everything)), floors[3], floors[0] / 2):
        found = race(QUESTION, Track(track.topology), limit)
        assert [r.case for r in found] == [r.case for r in everything]
        assert len(times(found)) == sum(floor <= limit for floor in floors)
    assert fastest(found) is None


def test_nothing_is_simulated_twice(track: Track, simulated: list[Case]) -> None:
    first = race(QUESTION, track)
    once = len(simulated)
    assert once == len({case.id() for case in simulated}) == len(times(first))
    assert race(QUESTION, track) == first
    assert len(simulated) == once
    # What is known is told even where a limit would have ruled it out.
    assert times(race(QUESTION, track, 0.0)) == times(first)
    assert len(simulated) == once
    race(replace(QUESTION, size="8M"), track)
    assert len(simulated) > once
    race(QUESTION, Track(track.topology))
    assert simulated.count(simulated[0]) == 2


def test_the_fastest_is_the_first_of_those_with_the_least_time(track: Track) -> None:
    results = race(QUESTION, track)
    found = fastest(results)
    assert found is not None
    assert found.time_us == min(times(results))
    twin = replace(found, busy=0.5)
    assert fastest([twin, *results]) is twin
    assert fastest([*results, twin]) is found
    assert fastest([]) is None


def test_bounds_hold_for_everybody(track: Track) -> None:
    bounds = racing.bounds_of(QUESTION, track.topology)
    assert 0 < bounds[True] <= bounds[False] < math.inf
    for result in race(QUESTION, track):
        adds = result.case.algorithm == "in-switch"
        assert result.bound_us == bounds[adds] * 1e6
        assert result.time_us is None or result.time_us >= result.bound_us * (1 - 1e-9)
