"""What the pages show is what the program prints, and what they point at is there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ringsim.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("*/*.md")),
    *sorted(ROOT.glob("benchmarks/*/*.md")),
]


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


@pytest.mark.parametrize(("command", "output"), commands())
def test_commands_print_what_is_shown(
    command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "mine.toml").write_text((ROOT / "topologies/hccs.toml").read_text("utf-8"), "utf-8")
    (tmp_path / "two-halls.json").write_text((ROOT / "docs/pictures/two-halls.json").read_text("utf-8"), "utf-8")
    with pytest.raises(SystemExit) as end:
        main(shlex.split(command)[1:])
    shown = capsys.readouterr()
    assert end.value.code == 0, shown.err
    if output:
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


def test_ci_runs_the_readmes_second_command() -> None:
    second = re.findall(r"^\$ (pip install .*)$", (ROOT / "README.md").read_text("utf-8"), re.M)[1]
    assert "pytest" in second
    pattern = re.search(r"sed -n '(s/.*/p)'", (ROOT / ".ci/run").read_text("utf-8"))
    assert pattern
    got = subprocess.run(["sed", "-n", pattern[1], "README.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert got.stdout.strip() == second
