"""Say how long one waits before anything is simulated: for help, for a list, for Numba, for the very first run.

Commands that simulate nothing are held against the least a Click program can take, ``python -c "import click"``, and a
whole small run against importing what it cannot do without. Each pair is measured in turn. Bytecode goes to a
folder that is warm before measuring starts, as in any second start of an installed program.

The first run is made with an empty machine-code cache, once for each of the two loops; a second run finds it filled.
Compiling is one thread's work, so `compile_s` is processor time, which a busy machine does not stretch. And
where the cache cannot be written (a path below a file: that stops even root), a run must end with the same result.
"""

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import measure
from measure import Measured

#: Never to be loaded by a command that simulates nothing.
HEAVY = ("numba", "networkx", "simpy")

#: One run for each loop: nothing is shared on a flat ring, much is in a tree.
LOOPS = {
    "sweep": ("--fabric", "nvlink3", "--domain", "all", "--cards", 64, "--algorithm", "ring", "--rings", 1),
    "event loop": ("--fabric", "hccs", "--cards", 64, "--algorithm", "tree"),
    "both": ("--fabric", "hccs", "--cards", 64),
}
MOST_COMPILE_S = 10.0


def heavy(command: Sequence[str], env: dict[str, str]) -> str:
    """Modules of `HEAVY` that a command loads, by Python's own list of imports."""
    said = measure.process(command, env | {"PYTHONPROFILEIMPORTTIME": "1"}).err
    loaded = {line.rsplit("|", 1)[-1].strip() for line in said.splitlines() if line.startswith("import time:")}
    return " ".join(name for name in HEAVY if name in loaded)


def compare(cards: int, rounds: int, env: dict[str, str]) -> list[dict[str, Any]]:
    """Starts of commands against bare imports."""
    click_only = measure.python("-c", "import click")
    stack = measure.python("-c", "import numpy, networkx, numba")
    small_run = measure.ringsim("run", "--fabric", "hccs", "--cards", cards)
    commands = {
        "import click": click_only,
        "ringsim --help": measure.ringsim("--help"),
        "ringsim topo list": measure.ringsim("topo", "list"),
        "import numpy, networkx, numba": stack,
        f"ringsim run --fabric hccs --cards {cards}": small_run,
    }
    # (command, what it is held against, factor, seconds on top)
    bounds = {
        "ringsim --help": ("import click", 2.0, 0.05),
        "ringsim topo list": ("import click", 2.0, 0.05),
        f"ringsim run --fabric hccs --cards {cards}": ("import numpy, networkx, numba", 1.5, 0.5),
    }
    subjects: list[Callable[[], Measured]] = [partial(measure.process, c, env) for c in commands.values()]
    measure.in_turn(1, *subjects)  # bytecode and machine code into their caches
    taken = dict(zip(commands, measure.in_turn(rounds, *subjects), strict=True))
    rows = []
    for name, measured in taken.items():
        wall, peak = min(m.wall_s for m in measured), max(m.peak for m in measured)
        row = {
            "command": name, "wall_s": wall, "cpu_s": min(m.cpu_s for m in measured),
            "peak_MB": peak / 1e6, "loads": heavy(commands[name], env),
            "held_against": "", "ratio": "", "most_s": "", "reached": "",
        }  # fmt: skip
        if name in bounds:
            against, factor, extra = bounds[name]
            base = min(m.wall_s for m in taken[against])
            most = factor * base + extra
            simulates = " run " in name
            reached = wall <= most and (simulates or not row["loads"])
            row |= {"held_against": against, "ratio": wall / base, "most_s": most, "reached": reached}
        rows.append(row)
        says = f"ratio {row['ratio']:.2f}, at most {row['most_s']:.3f} s" if name in bounds else ""
        click.echo(f"{name:42} {wall:6.3f} s  {says}{'' if row['reached'] in (True, '') else '  NOT REACHED'}")
    return rows


def first_runs(loops: Sequence[str], env: dict[str, str]) -> list[dict[str, Any]]:
    """Each loop with an empty cache, with a full one, and where none can be kept."""
    rows = []
    for loop in loops:
        command = measure.ringsim("run", *LOOPS[loop], "--json")
        with tempfile.TemporaryDirectory() as folder:
            cache = {"NUMBA_CACHE_DIR": folder}
            cold, warm = measure.process(command, env | cache), measure.process(command, env | cache)
            kept = sum(1 for path in Path(folder).rglob("*.nbc"))
            # Below a file there is no folder to be made, whoever one is.
            file = Path(folder) / "file"
            file.touch()
            below = measure.process(command, env | {"NUMBA_CACHE_DIR": str(file / "below")}, check=False)
            homes = {name: str(file / "home") for name in ("HOME", "XDG_CACHE_HOME")}
            homeless = measure.process(command, env | homes | {"NUMBA_CACHE_DIR": ""}, check=False)
        expected = result(cold)
        for state, run in (
            ("empty cache", cold), ("full cache", warm), ("NUMBA_CACHE_DIR below a file", below), ("no home", homeless),
        ):  # fmt: skip
            row = {
                "loop": loop, "cache": state, "wall_s": run.wall_s, "cpu_s": run.cpu_s,
                "compile_s": run.cpu_s - warm.cpu_s, "said_so": "compil" in run.err, "exit_code": run.code,
                "same_result": run.code == 0 and result(run) == expected, "kept": kept,
                "most_s": MOST_COMPILE_S if state == "empty cache" else "",
            }  # fmt: skip
            row["reached"] = row["same_result"] and (state != "empty cache" or row["compile_s"] <= MOST_COMPILE_S)
            rows.append(row)
            verdict = "" if row["reached"] else "  NOT REACHED"
            click.echo(
                f"{loop:11} {state:29} {run.wall_s:6.2f} s  compiling {row['compile_s']:6.2f} s  "
                f"exit code {run.code}{verdict}"
            )
    return rows


def result(run: Measured) -> str:
    """What a run printed, without how long it took."""
    return json.dumps({k: re.sub(r"'wall_s': [^,}]+", "", str(v)) for k, v in run.json().items() if k != "wall_s"})


@click.command(epilog="Example: python benchmarks/speed/startup.py")
@measure.options
def main(out: Path, rounds: int | None, quick: bool) -> None:
    """Measure what one waits for: help, lists, imports, compilation."""
    with tempfile.TemporaryDirectory() as bytecode:
        env = {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        rows = compare(16 if quick else 1024, rounds or (1 if quick else 15), env)
        measure.write(out / "startup.csv", rows)
        firsts = first_runs(["sweep"] if quick else list(LOOPS), env)
        measure.write(out / "first_run.csv", firsts)


if __name__ == "__main__":
    main()
