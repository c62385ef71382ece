"""Time other programs and write tables: what the three speed scripts share, so that their figures can be compared.

A ratio is worth something only if both sides met the same machine in the same minute. So whoever is compared is
measured in turn (`in_turn`), several rounds of it, and the best of each side counts: noise only ever adds time.
Processor time is kept beside wall time, because on a busy machine it is the steadier of the two.

The parent of a measured process must stay small. Linux counts the memory of the process that started another one
towards the other's peak, so nothing here, and nothing in `scale.py` and `startup.py`, imports NumPy.
"""

import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
RESULTS = HERE / "results"


@dataclass(frozen=True)
class Measured:
    """One process from start to end: seconds of wall and processor time, peak memory in bytes, and what it said."""

    wall_s: float
    cpu_s: float
    peak: int
    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Return the JSON object on its standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def process(command: Sequence[str | Path], env: Mapping[str, str] | None = None, *, check: bool = True) -> Measured:
    """Run a program to its end and measure it, and it alone.

    Parameters
    ----------
    command : sequence of str
    env : mapping or None
        Added to this process's environment.
    check : bool
        Complain where it fails.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        child = subprocess.Popen([*map(str, command)], stdout=out, stderr=err, env={**os.environ, **(env or {})})
        # wait4 rather than getrusage: the latter gives the largest of all children so far.
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024
        measured = Measured(
            wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, child.returncode, out.read(), err.read()
        )
    if check and measured.code:
        raise click.ClickException(f"{' '.join(map(str, command))}: exit code {measured.code}\n{measured.err}")
    return measured


def python(*arguments: str | Path) -> list[str]:
    """Command line of this Python."""
    return [sys.executable, *map(str, arguments)]


def ringsim(*arguments: str | int) -> list[str]:
    """Command line of ringsim: the installed command where there is one, as that is what people start."""
    script = Path(sys.executable).with_name("ringsim")
    start = [str(script)] if script.exists() else python("-c", "from ringsim.cli import main; main()")
    return [*start, *map(str, arguments)]


def in_turn(rounds: int, *subjects: Callable[[], Any]) -> list[list[Any]]:
    """Call every subject once a round, and return what each of them gave, round by round."""
    given: list[list[Any]] = [[] for _ in subjects]
    for _ in range(rounds):
        for subject, results in zip(subjects, given, strict=True):
            results.append(subject())
    return given


def best(measured: Iterable[Measured]) -> Measured:
    """The one that took the least processor time."""
    return min(measured, key=lambda m: m.cpu_s)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table at once or not at all, floats short enough to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    beside.replace(path)
    click.echo(path)


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a table, as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def machine() -> dict[str, Any]:
    """What the figures were measured on and with, without importing any of it."""
    cpu, memory = platform.processor() or platform.machine(), 0
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    packages = ("ringsim", "numpy", "numba", "networkx", "simpy", "click")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_GiB": round(memory / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


def options(body: Callable[..., None]) -> Callable[..., None]:
    """Give a script the options all of them have."""

    @click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=RESULTS,
        metavar="FOLDER",
        show_default="benchmarks/speed/results",
        help="Where the tables go.",
    )
    @click.option("--rounds", type=click.IntRange(1), help="Repetitions of each measurement; the best counts.")
    @click.option("--quick", is_flag=True, help="A few small cases, to see that everything runs.")
    @wraps(body)
    def command(out: Path, **given: Any) -> None:
        body(out, **given)
        if not given.get("plot_only"):  # whoever only draws may do so elsewhere
            write(out / "machine.csv", [machine()])

    return command
