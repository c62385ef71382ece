"""Launch modes in questions: they move the start-up and nothing else."""

import pytest

import ringsim
from ringsim.cli import main
from ringsim.explain import explain
from ringsim.explain.command import command
from ringsim.fabric import FabricError
from ringsim.fabric.launch import launches
from ringsim.question import Question, StudyError


@pytest.mark.parametrize("size", ["8", "1M", "1G"])
@pytest.mark.parametrize(("mode", "cards"), [("threads", 8), ("one-process", 8), ("process-per-card", 16)])
def test_a_launch_mode_moves_every_time_by_what_its_file_says(size: str, mode: str, cards: int) -> None:
    plain, moved = (ringsim.run("nvlink3", cards, size=size, launch=launch) for launch in (None, mode))
    extra = launches().extra(mode, "NCCL").of(8) * 1e6
    assert extra > 0
    assert moved.time_us == pytest.approx((plain.time_us or 0) + extra, rel=1e-9)
    assert moved.bound_us == pytest.approx(plain.bound_us + extra, rel=1e-9)
    assert (moved.case.algorithm, moved.case.protocol) == (plain.case.algorithm, plain.case.protocol)
    assert moved.case.id() != plain.case.id()
    assert any(change.startswith("launch=") for change in moved.case.changed)


def test_a_process_drives_the_cards_of_one_server() -> None:
    """However many of them a switch joins: four in a tray of NVL72, eight under the NVLink of the brochures."""
    for fabric, cards, domain, server in (("nvlink5", 72, None, 4), ("nvlink3", 64, "all", 8)):
        plain, moved = (
            ringsim.run(fabric, cards, size="1K", domain=domain, launch=mode) for mode in (None, "one-process")
        )
        extra = launches().extra("one-process", "NCCL").of(server) * 1e6
        assert (moved.time_us or 0) - (plain.time_us or 0) == pytest.approx(extra, rel=1e-6)


def test_a_mode_is_a_name() -> None:
    with pytest.raises(StudyError, match="the name of a launch mode"):
        ringsim.run("hccs", 8, launch=3)


def test_a_mode_of_another_library_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FabricError, match="known of it: process-per-card, threads, one-process"):
        ringsim.run("nvlink3", 8, launch="cuda-graph")
    with pytest.raises(SystemExit) as ended:
        main(["run", "--fabric", "hccs", "--cards", "8", "--launch", "threadz"])
    assert ended.value.code == 2
    assert "there is no such launch mode; did you mean 'threads'?" in capsys.readouterr().err


def test_halving_steps_does_not_add_the_launch_twice() -> None:
    found = explain(Question("nvlink3", 8, size="1K", launch="one-process"))
    (halved,) = [cause for cause in found.causes if "halved" in cause.change.what]
    assert halved.time_us < 0.6 * found.subject.time_us
    assert "--launch" not in str(command(halved.question))
    assert "--launch one-process" in str(command(found.subject.question))
