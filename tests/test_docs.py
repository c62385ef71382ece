"""What the pages show is what the program prints, and what they point at is there."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

import ringsim
from ringsim.cli import main
from ringsim.explain.subject import examine
from ringsim.question import Question
from ringsim.study import answer, cluster
from ringsim.tune import page as pages
from ringsim.tune.reason import why
from ringsim.tune.search import Tuned
from ringsim.tune.store import Store
from ringsim.tune.table import Row, Table
from ringsim.units import parse_size

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("*/*.md")),
    *sorted(ROOT.glob("benchmarks/*/*.md")),
]
TUNING = ROOT / "docs" / "tuning.md"

#: Searches for half a minute. `test_the_tuner_s_table_is_what_its_plans_take` runs the plans that it finds, and
#: `benchmarks/tuning_page.py` writes what it prints into the page.
TOO_LONG = "ringsim tune --fabric hccs --cards 1024 --quiet"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def commands() -> list[tuple[str, str]]:
    """Every `ringsim` command of a console block with the output that is shown below it, if one is."""
    found = []
    for page in PAGES:
        for block in blocks(page, "console"):
            for command, output in re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", block, re.M):
                command = command.split("&& ")[-1].split("   #")[0].strip()
                if command.startswith("ringsim "):
                    found.append((command, output))
    return found


def steady(text: str) -> str:
    """Leave out what differs from run to run: the time it took."""
    return re.sub(r"(computed|checked) in [\d.]+m?s", r"\1 in …", text).strip()


def pattern(shown: str) -> str:
    """What may have been printed: a line that holds … alone stands for lines that are left out."""
    return "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line) + r"\n" for line in steady(shown).splitlines())


def written_files() -> dict[str, str]:
    """What the pages let Python write into a file, by the file's name."""
    text = "".join(block for page in PAGES for block in blocks(page, "console"))
    return {name: code for code, name in re.findall(r'^\$ python -c "(.*)" > (\S+)$', text, re.M)}


SHOWN = [(command, output) for command, output in commands() if command != TOO_LONG]


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_commands_print_what_is_shown(
    command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "mine.toml").write_text((ROOT / "topologies/hccs.toml").read_text("utf-8"), "utf-8")
    (tmp_path / "two-halls.json").write_text((ROOT / "docs/pictures/two-halls.json").read_text("utf-8"), "utf-8")
    for name, code in written_files().items():
        if name in command.split():
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            (tmp_path / name).write_text(done.stdout, "utf-8")
    with pytest.raises(SystemExit) as end:
        main(shlex.split(command)[1:])
    shown = capsys.readouterr()
    assert end.value.code == 0, shown.err
    if "…\n" in output.splitlines(keepends=True):
        assert re.fullmatch(pattern(output), steady(shown.out) + "\n"), shown.out
    elif output:
        assert steady(shown.out) == steady(output)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_examples_run(page: Path) -> None:
    for code in blocks(page, "python"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"


def test_the_readme_shows_outputs() -> None:
    """The checks above are not passing on nothing."""
    assert sum(bool(output) for _, output in commands()) >= 4
    assert blocks(ROOT / "README.md", "python")


@pytest.mark.parametrize(
    ("shown", "fits"),
    [
        ("…\nb\n…", True), ("a\n…\nd", True), ("a\nb\n…\nc\nd", True), ("…\nd", True), ("a\n…", True), ("…", True),
        ("…\nc", False), ("b\n…", False), ("a\nc\n…", False), ("a\n…\nx\nd", False),
        ("a\n…\nc\nb\n…", False), ("a\n….", False),
    ],
)  # fmt: skip
def test_only_what_is_marked_may_be_left_out(shown: str, fits: bool) -> None:
    assert bool(re.fullmatch(pattern(shown), "a\nb\nc\nd\n")) is fits


# --- a thousand cards, docs/tuning.md -----------------------------------------------------------------------------


def steps_table() -> list[dict[str, str]]:
    """Rows of the table of algorithms, by heading."""
    section = TUNING.read_text("utf-8").partition("\n## 4.")[2].partition("\n## 5.")[0]
    head, _, *rows = re.findall(r"^\|(.*)\|$", section, re.M)
    cells = [[cell.strip(" `") for cell in row.split("|")] for row in (head, *rows)]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


@pytest.mark.parametrize("row", steps_table(), ids=lambda row: row["algorithm"])
def test_the_table_of_algorithms_is_simulated(row: dict[str, str]) -> None:
    sizes = list(row)[2:]
    assert sizes == ["64K", "1M", "64M", "1G"]
    if not row["steps"]:
        bounds = [ringsim.run("hccs", cards=1024, size=size, algorithm="ring").bound_us for size in sizes]
        assert [row[size] for size in sizes] == [f"{bound:,.0f}" for bound in bounds]
        return
    name, _, rings = row["algorithm"].partition(" --rings ")
    question = Question("hccs", 1024, sizes[0], algorithm=name, rings=int(rings) if rings else None)
    subject = examine(question, answer(question))
    steps = subject.path.delivered & ~subject.schedule.joins[subject.path.row]
    assert row["steps"] == f"{int(steps.sum()):,}"
    times = [ringsim.run("hccs", cards=1024, size=size, algorithm=name, rings=question.rings).time_us for size in sizes]
    assert [row[size] for size in sizes] == [f"{time:,.0f}" for time in times]


def test_the_table_of_algorithms_is_there() -> None:
    assert [row["steps"] == "" for row in steps_table()] == [False] * 8 + [True]


def test_the_tuner_finds_the_plan_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Of four algorithms and one of the sizes, which are searched for one by one: the whole search takes too long."""
    (shown,) = (output for command, output in commands() if command == TOO_LONG)
    among = "ring,tree,hierarchical-halving-doubling,hierarchical-two-shot-3"
    with pytest.raises(SystemExit) as end:
        main(shlex.split(f"{TOO_LONG} --no-cache -b 64M -e 64M --algorithms {among}")[1:])
    assert end.value.code == 0
    plans = [re.findall(r"(hier.*hccl.*%.*×)$", text, re.M) for text in (capsys.readouterr().out, shown)]
    (found,) = (re.split(" {2,}", plan) for plan in plans[0])
    assert found in [re.split(" {2,}", plan) for plan in plans[1]]


def test_the_tuner_s_table_is_what_its_plans_take() -> None:
    """All but the search: from plans and sizes the page's own output is printed again, word for word."""
    (shown,) = (output for command, output in commands() if command == TOO_LONG)
    plan = re.compile(r"^ *(\S+) +(\S+)? +(\S+) ×(\d+), (\d+) (\w+?)s? +hccl +(\S+) ", re.M)
    rows = []
    for low, below, name, channels, pieces, piece, size in plan.findall(shown):
        high = parse_size(below) - 1 if below else parse_size(size)
        question = Question("hccs", 1024, parse_size(size), algorithm=name, protocol="hccl", rings=int(channels))
        question = replace(question, **{f"{piece}s": int(pieces)})
        best = answer(question).best
        naive = ringsim.run("hccs", cards=1024, size=parse_size(size), algorithm="ring", rings=1)
        rows.append(Row(parse_size(low), high, Tuned(best, (best,), naive), question))
    assert len(rows) == shown.count("hccl ") == 8
    asked = Question("hccs", 1024)
    table = Table(asked, cluster(asked), tuple(rows))
    reasons = [why(table, row, Store(None)) for row in rows]
    assert "\n".join(line.text for line in pages.page(table, reasons, quiet=True)) == shown.rstrip()


@pytest.fixture
def script() -> Iterator[ModuleType]:
    """Load the page's script as Python does when it is run: with its own folder first on the path."""
    before = set(sys.modules)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("tuning_page")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        for name in set(sys.modules) - before & {"tuning_page", "plots"}:
            del sys.modules[name]


def test_the_plot_shows_what_is_simulated(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, plot = [], script.plot
    monkeypatch.setattr(script, "plot", lambda found, *rest: (drawn.extend(found), plot(found, *rest)))
    result = CliRunner().invoke(script.main, ["--quick", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "tuning-sizes.png").read_bytes().startswith(b"\x89PNG")
    assert [point.size for point in drawn] == [2**16, 2**23, 2**30]
    for point in drawn:
        naive = ringsim.run("hccs", cards=16, size=point.size, algorithm="ring", rings=1)
        usual = ringsim.run("hccs", cards=16, size=point.size)
        one_ring, default, best, bound = point.times.values()
        assert [one_ring, default, bound] == [naive.time_us, usual.time_us, usual.bound_us]
        assert bound < best <= min(one_ring, default)
        assert point.begins <= point.size


def test_the_script_writes_the_tuner_s_table_and_nothing_else(script: ModuleType) -> None:
    page = TUNING.read_text("utf-8")
    assert script.TUNE == TOO_LONG
    (shown,) = (output for command, output in commands() if command == TOO_LONG)
    assert script.with_table(page, shown) == page
    assert script.with_table(page, "a \\1 table\n") == page.replace(shown, "a \\1 table\n")


def test_ci_runs_the_readmes_second_command() -> None:
    second = re.findall(r"^\$ (pip install .*)$", (ROOT / "README.md").read_text("utf-8"), re.M)[1]
    assert "pytest" in second
    pattern = re.search(r"sed -n '(s/.*/p)'", (ROOT / ".ci/run").read_text("utf-8"))
    assert pattern
    got = subprocess.run(["sed", "-n", pattern[1], "README.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert got.stdout.strip() == second
