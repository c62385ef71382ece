"""SimGrid's side: compile `flows.cpp`, hand it a program, read its times."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ringsim.program import Program

Floats = NDArray[np.float64]

SOURCE = Path(__file__).parent / "flows.cpp"

#: What compilers and linkers say about a library that is not there.
MISSING = re.compile(r"simgrid/s4u\.hpp.*(No such file|not found)|cannot find -lsimgrid|library.*simgrid.*not found")


class NoSimGridError(Exception):
    """SimGrid's program cannot be built here; the message says what is missing."""


def build(folder: Path) -> Path:
    """Compile the program and return where it is.

    Raises
    ------
    NoSimGridError
        If there is no compiler or no SimGrid.
    RuntimeError
        If there are both and it does not compile.
    """
    compiler = shutil.which("g++") or shutil.which("c++")
    if not compiler:
        raise NoSimGridError("no C++ compiler: install g++")
    program = folder / "flows"
    command = [compiler, "-std=c++17", "-O2", "-o", program, SOURCE, "-lsimgrid"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if MISSING.search(made.stderr):
        raise NoSimGridError("no SimGrid: install its headers and library (Debian: libsimgrid-dev)")
    if made.returncode:
        raise RuntimeError(f"{SOURCE.name} does not compile: {made.stderr.strip()}")
    return program


def simulate(program: Path, flows: Program, link_latency: Floats, unit: float = 1.0) -> Floats:
    """Run flows in SimGrid.

    Parameters
    ----------
    program : Path
        From `build`.
    flows : Program
        Of whole bytes; its start-up is not looked at. Latencies of its rows pass after a flow.
    link_latency : float array, shape ``[links]``, seconds
        Latencies that SimGrid's own links have.
    unit : float
        Seconds that SimGrid takes for one. A power of two changes no digit.

    Returns
    -------
    times : float array, shape ``[firings, 3]``, seconds
        When each firing began to be sent, had left and was delivered.

    Raises
    ------
    ValueError
        If a row has a fraction of a byte.
    RuntimeError
        If SimGrid breaks, or stops before every flow has ended.
    """
    broken = flows.bytes % 1 > 0
    if broken.any():
        raise ValueError(f"row {int(np.argmax(broken))}: SimGrid sends whole bytes only")
    given = "\n".join(written(flows, link_latency, unit))
    done = subprocess.run([program], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"SimGrid ended with {done.returncode}: {done.stderr.strip()}")
    times = np.array(done.stdout.split(), float).reshape(-1, 3) * unit
    if not np.isfinite(times).all():
        raise RuntimeError(f"firing {int(np.argmin(np.isfinite(times).all(axis=1)))} never ended in SimGrid")
    return times


def written(flows: Program, link_latency: Floats, unit: float) -> list[str]:
    """Lines that `flows.cpp` reads; Python writes a number with all its digits."""
    lines: list[list[float]] = [[len(flows.bandwidth), flows.rows]]
    lines += np.stack([flows.bandwidth * unit, link_latency / unit], axis=1).tolist()
    for v in range(flows.rows):
        route = flows.route_links[flows.route_offsets[v] : flows.route_offsets[v + 1]].tolist()
        needs = slice(flows.dep_offsets[v], flows.dep_offsets[v + 1])
        pairs = np.stack([flows.dep_row[needs], flows.dep_lag[needs]], axis=1)
        seconds = np.array([flows.latency[v], flows.work[v], flows.overhead[v]]) / unit
        line = [float(flows.bytes[v]), int(flows.count[v]), int(flows.reduces[v]), *seconds.tolist()]
        line += [float(flows.cap[v] * unit), int(flows.after[v]), len(route), *route]
        lines.append([*line, len(pairs), *pairs.ravel().tolist()])
    return [" ".join(map(repr, line)) for line in lines]
