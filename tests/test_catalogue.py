"""Schedules from files are timed like ours."""

from pathlib import Path

import pytest

from ringsim import fabric, topology
from ringsim.catalogue import find
from ringsim.cli import main
from ringsim.collectives import COLLECTIVES
from ringsim.schedule_file import ScheduleFileError, save
from ringsim.study import Question, StudyError, answer


def saved(folder: Path, name: str, cards: int = 16, collective: str = "all-reduce") -> str:
    algorithm, where = COLLECTIVES[collective][name], topology.build(fabric.load("hccs"), cards)
    path = folder / f"{name}.json"
    save(algorithm.build(where, algorithm.channels(where), 2), path)
    return str(path)


@pytest.mark.parametrize("name", ["ring", "tree", "two-shot", "hierarchical-halving-doubling", "nhr"])
def test_a_schedule_from_a_file_takes_as_long_as_the_one_it_is(name: str, tmp_path: Path) -> None:
    piece = {COLLECTIVES["all-reduce"][name].piece: 2}
    ours = answer(Question("hccs", 16, "4M", algorithm=name, **piece)).best  # type: ignore[arg-type]
    theirs = answer(Question("hccs", 16, "4M", algorithm=saved(tmp_path, name))).best
    assert theirs.time_us == ours.time_us
    assert theirs.transfers == ours.transfers


def test_what_a_file_says_is_part_of_the_id(tmp_path: Path) -> None:
    path = saved(tmp_path, "ring")
    before = answer(Question("hccs", 16, "4M", algorithm=path)).best.case.id()
    assert answer(Question("hccs", 16, "4M", algorithm=path)).best.case.id() == before
    Path(saved(tmp_path, "tree")).replace(path)
    assert answer(Question("hccs", 16, "4M", algorithm=path)).best.case.id() != before


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "ring")
    with pytest.raises(StudyError, match="it is for 16 ranks, and there are 8 cards"):
        answer(Question("hccs", 8, "1M", algorithm=path))
    with pytest.raises(StudyError, match=r"it is no all-gather, .* give its --collective"):
        answer(Question("hccs", 16, "1M", algorithm=path, collective="all-gather"))
    with pytest.raises(ScheduleFileError, match=r"nowhere.json"):
        find("all-reduce", str(tmp_path / "nowhere.json"))


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_files_of_every_collective(collective: str, tmp_path: Path) -> None:
    name = next(iter(COLLECTIVES[collective]))
    path = saved(tmp_path, name, collective=collective)
    assert answer(Question("hccs", 16, "1M", algorithm=path, collective=collective)).best.time_us


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, "ring")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for name, code in ((path, 0), (str(broken), 3), (str(tmp_path / "no.xml"), 3)):
        with pytest.raises(SystemExit) as end:
            main(["run", "--fabric", "hccs", "--cards", "16", "--size", "1M", "--algorithm", name])
        assert end.value.code == code
        shown = capsys.readouterr()
        assert (len(shown.err.splitlines()) == 1 and name in shown.err) == (code != 0)
