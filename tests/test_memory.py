"""A run that would not fit is refused before it starts, and one that does fit is not."""

import sys
from types import SimpleNamespace

import pytest

from ringsim import fabric, memory, topology
from ringsim.collectives import ALGORITHMS, CollectiveError
from ringsim.study import Question, StudyError, answer


def pretend(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    fake = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=free))
    monkeypatch.setitem(sys.modules, "psutil", fake)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("cards", [2, 8, 17, 64])
@pytest.mark.parametrize("domain", [None, "all"])
def test_rows_are_known_beforehand(name: str, cards: int, domain: str | None) -> None:
    cluster = topology.build(fabric.load("nvlink3"), cards, domain=domain)
    algorithm = ALGORITHMS[name]
    try:
        channels = algorithm.channels(cluster)
        pieces = algorithm.pieces(cluster, channels, cluster.fabric.protocol("Simple", name), 2.0**30)
        rows = algorithm.build(cluster, channels, pieces).rows
    except CollectiveError:
        return  # no rows to know
    assert rows <= algorithm.rows(cluster, channels) <= (rows if algorithm.auto else 4 * rows + 64)


def test_what_does_not_fit_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 3e9)
    with pytest.raises(
        StudyError, match=r"cards = 1000000: needs about [\d.]+ GB of memory and 3.0 GB are free; fewer"
    ):
        answer(Question("hccs", 1_000_000))


def test_what_fits_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 6e9)
    cluster = topology.build(fabric.load("hccs"), 1_000_000)
    memory.check(Question("hccs", 1_000_000, algorithm="ring"), cluster, ("ring",))


def test_small_runs_do_not_ask_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0)
    answer(Question("hccs", 64, "1M"))


def test_the_reference_engine_keeps_an_event_for_every_transfer() -> None:
    cluster = topology.build(fabric.load("hccs"), 1024)
    ring = Question("hccs", 1024, algorithm="ring")
    slow = Question("hccs", 1024, algorithm="ring", engine="reference")
    one = ("ring",)
    assert memory.estimate(slow, cluster, one) > memory.estimate(ring, cluster, one) + 16e6 * memory.TRANSFER_BYTES
