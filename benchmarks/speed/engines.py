r"""Say how fast one core is when every transfer is worked out, and how fast others are at the same work.

Jumping is off throughout: these are the figures to hold against simulators that know no steady state.

* `flat`: a ring of 1,024 cards on one switch, one slice, 2,095,104 transfers. Each peer in `peers/` that can be
  found does the same, and has to end at the same simulated time. A row is one subject; `times_slower` is its rate
  below ringsim's, processor time of the simulation alone on both sides. Rows called `whole command` take
  the whole process instead: reading files, building, and for ringsim starting Python and loading Numba.
* `jittered`: the same with every link slower by up to 10 %, drawn at random, so that no two cards are ever in step.
* `shared`: 1,024 cards in 128 nodes, eight rings, on a leaf-spine network with 4:1 oversubscription whose switches
  hash flows onto uplinks. Flows collide, so rates change all the time and the event loop has to share.
* `slices`: 16 slices at once take 16 times the transfers; `times_one` is how many single ones they take in time.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import measure
import numpy as np
from measure import HERE, Measured

from ringsim import fabric as fabrics
from ringsim import topology as topologies
from ringsim.collectives import ALGORITHMS
from ringsim.engines import run
from ringsim.engines.compiled import contention
from ringsim.program import Program, price

PEERS = HERE / "peers"
#: Bytes of the vector on each rank in the flat ring, as in the peers' published figures.
SIZE = 64 * 2**20
JITTER, SEED = 0.1, 1

#: What is to be reached at full size: work, how the subject's name begins, column, least or most of it.
REACH: tuple[tuple[str, str, str, str, float], ...] = (
    ("flat", "ringsim", "transfers_per_s", "least", 10e6),
    ("flat", "simgrid", "times_slower", "least", 10),
    ("flat", "simpy", "times_slower", "least", 100),
    ("jittered", "ringsim", "transfers_per_s", "least", 5e6),
    ("shared", "ringsim", "transfers_per_s", "least", 2e6),
    ("slices", "ringsim", "times_one", "most", 16),
)

COLUMNS = (
    "work", "subject", "cards", "rings", "slices", "transfers", "tight_links", "time_us", "off_by", "wall_s", "cpu_s",
    "transfers_per_s", "times_slower", "times_one", "reach", "reached", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """Seconds that a simulation took and what it found: simulated seconds without start-up, transfers."""

    wall_s: float
    cpu_s: float
    time_s: float
    transfers: int

    @property
    def rate(self) -> float:
        """Transfers for each second of one core."""
        return self.transfers / self.cpu_s


def row(work: str, subject: str, cards: int, timing: Timing | None = None, **more: Any) -> dict[str, Any]:
    """Make a row of the table; what does not apply stays empty."""
    figures: dict[str, Any] = {"work": work, "subject": subject, "cards": cards, "rings": 1, "slices": 1}
    if timing:
        figures |= {
            "transfers": timing.transfers,
            "time_us": timing.time_s * 1e6,
            "wall_s": timing.wall_s,
            "cpu_s": timing.cpu_s,
            "transfers_per_s": timing.rate,
        }
    found = dict.fromkeys(COLUMNS, "") | figures | more
    says = [f"{work:9} {subject:40} {cards:6,} cards"]
    if timing:
        says.append(f"{found['cpu_s']:9.3f} s {found['transfers_per_s'] / 1e6:9.3f} M transfers/s")
    says += [f"{found[k]:9,.1f} {k.replace('_', ' ')}" for k in ("times_slower", "times_one") if found[k]]
    click.echo("  ".join([*says, found["note"]]).rstrip())
    return found


def judge(rows: Sequence[dict[str, Any]]) -> None:
    """Hold every row against what is to be reached, and say which were not."""
    for found in rows:
        for work, subject, column, sense, bound in REACH:
            about = found["work"] == work and found["subject"].startswith(subject) and found[column] != ""
            if about and "whole command" not in found["subject"]:
                found["reach"] = f"{sense} {bound:g} {column}"
                found["reached"] = found[column] >= bound if sense == "least" else found[column] <= bound
                if not found["reached"]:
                    click.echo(f"NOT REACHED: {work}, {found['subject']}: {found['reach']}, is {found[column]:g}")


# -- ringsim -------------------------------------------------------------------------------------------------


#: Other simulators know latency and bandwidth, and no thread block that is busy with a slice or copies the last one out.
TEXTBOOK = ("protocol.Simple.slice_overhead=0us", "protocol.Simple.copy_bandwidth=inf")


def flat(cards: int, slices: int = 1) -> Program:
    """One ring on one switch that joins every card."""
    return _ring("nvlink3", cards, 1, slices, SIZE, domain="all", changes=TEXTBOOK)


def jittered(program: Program) -> Program:
    """Slow every link down by up to 10 %, each by its own amount."""
    slower = 1 - JITTER * np.random.default_rng(SEED).random(len(program.bandwidth))
    return replace(program, bandwidth=program.bandwidth * slower)


def shared(cards: int, radix: int, slices: int = 1) -> Program:
    """Eight rings over nodes of eight, with an uplink for every four down ports and flows hashed onto them."""
    changes = [
        *TEXTBOOK,
        "network.kind=leaf-spine",
        "network.routing=hash",
        "network.oversubscription=4",
        f"network.radix={radix}",
    ]
    return _ring("nvlink3", cards, 8, slices, 2**30, changes=changes)


def _ring(
    fabric: str, cards: int, rings: int, slices: int, size: int, *, domain: str | None = None, changes: Sequence[str] = ()
) -> Program:  # fmt: skip
    sheet = fabrics.load(fabric, changes=changes)
    topology = topologies.build(sheet, cards, domain=domain)
    return price(ALGORITHMS["ring"].build(topology, rings, slices), topology, sheet.protocol("Simple", "ring"), size)


def simulate(program: Program) -> Timing:
    """Work out every transfer."""
    wall, cpu = time.perf_counter(), time.process_time()
    trace = run(program, jump=False)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert trace.jumped == 0
    return Timing(wall, cpu, trace.time - program.startup, program.transfers)


def quickest(timings: Sequence[Timing]) -> Timing:
    """The one that took the least processor time."""
    return min(timings, key=lambda t: t.cpu_s)


# -- peers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """A program that runs a flat ring, given cards, bytes, bandwidth and latency, and prints a line of JSON.

    Attributes
    ----------
    name : str
    command : list of str, or None
        How it starts; None where it could not be built or found, and then `note` says why.
    most : int
        Cards beyond which one would wait for minutes.
    once : bool
        Too slow to be repeated.
    """

    name: str
    command: list[str] | None
    most: int = 1024
    once: bool = False
    note: str = ""

    def run(self, program: Program, cards: int) -> tuple[Timing, Measured]:
        """Run the work of `program`, which must be the same for every card."""
        assert self.command is not None
        numbers = (program.bytes, program.top_rate(), program.latency)
        assert all((column == column[0]).all() for column in numbers)
        whole = measure.process([*self.command, str(cards), *(repr(float(column[0])) for column in numbers)])
        found = whole.json()
        return Timing(found["wall_s"], found["cpu_s"], found["time_s"], found["messages"]), whole


def peers(folder: Path) -> list[Peer]:
    """Every peer there is a script for, those that need building built in `folder`."""
    simgrid, note = _build_simgrid(folder)
    bindings, missing = _find_bindings()
    simpy = str(PEERS / "simpy_ring.py")
    return [
        Peer("simgrid, flows", simgrid and [*simgrid, "flows"], note=note),
        Peer("simgrid, actors", simgrid and [*simgrid, "actors"], note=note),
        Peer("simgrid, python", bindings, most=128, once=True, note=missing),
        Peer("simpy, events", measure.python(simpy, "events")),
        Peer("simpy, resource and store", measure.python(simpy, "store"), once=True),
        Peer("heapq loop in python", measure.python(PEERS / "heapq_ring.py")),
    ]  # fmt: skip


def _build_simgrid(folder: Path) -> tuple[list[str] | None, str]:
    compiler = shutil.which("g++") or shutil.which("c++")
    if not compiler:
        return None, "not measured: no C++ compiler"
    program = folder / "simgrid_ring"
    built = measure.process([compiler, "-O2", "-o", program, PEERS / "simgrid_ring.cpp", "-lsimgrid"], check=False)
    if built.code:
        return None, "not measured: SimGrid's headers are missing (Debian: libsimgrid-dev)"
    return [str(program)], ""


def _find_bindings() -> tuple[list[str] | None, str]:
    python = "/usr/bin/python3"
    if Path(python).exists() and measure.process([python, "-c", "import simgrid"], check=False).code == 0:
        return [python, str(PEERS / "simgrid_ring.py")], ""
    return None, "not measured: SimGrid's Python bindings are missing (Debian: python3-simgrid)"


# -- the works -----------------------------------------------------------------------------------------------


def measure_flat(cards: int, rounds: int) -> list[dict[str, Any]]:
    """Every transfer of a flat ring, ringsim and all peers in turn."""
    with tempfile.TemporaryDirectory() as folder:
        known = peers(Path(folder))
        found = [peer for peer in known if peer.command and peer.most >= cards]
        program = flat(cards)
        simulate(program)  # compiles
        command = measure.ringsim(
            "run", "--fabric", "nvlink3", "--domain", "all", "--cards", cards, "--size", SIZE, "--algorithm", "ring",
            "--rings", 1, "--slices", 1, "--protocol", "Simple", "--no-jump", "--json",
            *(word for change in TEXTBOOK for word in ("--set", change)),
        )  # fmt: skip
        subjects: list[Callable[[], Any]] = [partial(simulate, program), partial(measure.process, command)]
        often = [peer for peer in found if not peer.once]
        subjects += [partial(peer.run, program, cards) for peer in often]
        ours, commands, *theirs = measure.in_turn(rounds, *subjects)
        taken = dict(zip((peer.name for peer in often), theirs, strict=True))
        for peer in known:
            if peer.command and peer.name not in taken:
                taken[peer.name] = [peer.run(flat(min(cards, peer.most)), min(cards, peer.most))]

    our, command_s = quickest(ours), measure.best(commands)
    rows = [
        row("flat", "ringsim", cards, our, tight_links=len(contention.find(program).bandwidth)),
        row("flat", "ringsim, whole command", cards, replace(our, wall_s=command_s.wall_s, cpu_s=command_s.cpu_s)),
    ]  # fmt: skip
    for peer in known:
        if peer.name not in taken:
            rows.append(row("flat", peer.name, cards, note=peer.note))
            continue
        here = min(cards, peer.most)
        timing = quickest([found for found, _ in taken[peer.name]])
        process = measure.best([whole for _, whole in taken[peer.name]])
        expected = our if here == cards else simulate(flat(here))
        off, slower = abs(timing.time_s / expected.time_s - 1), our.rate / timing.rate
        assert off < 1e-9, f"{peer.name} ends at {timing.time_s} s, ringsim at {expected.time_s} s"
        note = "" if here == cards else f"its rate with {here} cards"
        rows.append(row("flat", peer.name, here, timing, off_by=off, times_slower=slower, note=note))
        if here == cards:
            same = replace(timing, wall_s=process.wall_s, cpu_s=process.cpu_s)
            ratio = same.cpu_s / command_s.cpu_s
            rows.append(row("flat", f"{peer.name}, whole command", here, same, off_by=off, times_slower=ratio))
    return rows


def measure_rate(work: str, program: Program, cards: int, rings: int, rounds: int, note: str = "") -> dict[str, Any]:
    """Every transfer of one program."""
    if work == "shared":
        assert len(contention.find(program).bandwidth), "nothing is shared, so the event loop would not be measured"
    simulate(replace(program, count=np.minimum(program.count, 2), reduces=np.minimum(program.reduces, 1)))  # compiles
    timing = quickest([simulate(program) for _ in range(rounds)])
    tight = len(contention.find(program).bandwidth)
    return row(work, "ringsim", cards, timing, rings=rings, note=note, tight_links=tight)


def measure_slices(build: Callable[[int], Program], cards: int, rings: int, note: str) -> list[dict[str, Any]]:
    """16 slices at once against one slice 16 times, half of those before and half after.

    Both take as long, so a machine that is busy for a while is busy for both; the best of 16 short runs
    against one long run would be an unfair match.
    """
    one, sixteen = build(1), build(16)
    simulate(one)  # compiles
    before = [simulate(one) for _ in range(8)]
    many = simulate(sixteen)
    ones = before + [simulate(one) for _ in range(8)]
    mean = replace(ones[0], cpu_s=sum(t.cpu_s for t in ones) / 16, wall_s=sum(t.wall_s for t in ones) / 16)
    about = {"rings": rings, "tight_links": len(contention.find(sixteen).bandwidth), "note": note}
    return [
        row("slices", "ringsim", cards, mean, **about),
        row("slices", "ringsim", cards, many, slices=16, times_one=many.cpu_s / mean.cpu_s, **about),
    ]


@click.command(epilog="Example: python benchmarks/speed/engines.py")
@measure.options
def main(out: Path, rounds: int | None, quick: bool) -> None:
    """Measure transfers a second where every transfer is worked out, beside every peer that is installed."""
    cards, rounds = (32 if quick else 1024), rounds or (1 if quick else 3)
    rows = measure_flat(cards, rounds)
    rows.append(measure_rate("jittered", jittered(flat(cards)), cards, 1, max(rounds, 3)))
    # Radix 10: a leaf for each node of eight and two uplinks, every hop between nodes collides. Radix 40: four nodes.
    for radix, note in ((10, "a leaf a node"), (40, "a leaf for four nodes"))[: 1 if quick else 2]:
        rows.append(measure_rate("shared", shared(cards, radix), cards, 8, rounds, note))
    rows += measure_slices(partial(flat, cards), cards, 1, "flat ring")
    rows += measure_slices(partial(shared, cards, 10), cards, 8, "shared, a leaf a node")
    if not quick:
        judge(rows)
    measure.write(out / "engines.csv", rows)


if __name__ == "__main__":
    main()
