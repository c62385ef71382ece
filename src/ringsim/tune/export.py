"""A table as files that real libraries read.

A tuner plug-in can only choose among what its library has, so those files hold the best of that: the table they are made
from was tuned among those algorithms alone. MSCCL runs any schedule, so there each plan is written out.
"""

import math
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ringsim import __version__
from ringsim.candidates import Layouts
from ringsim.catalogue import constants
from ringsim.collectives import COLLECTIVES
from ringsim.formats import hccl_tuner, msccl, nccl_tuner
from ringsim.question import Question, StudyError
from ringsim.race import Timer
from ringsim.study import cluster
from ringsim.topology import GraphTopology, Topology
from ringsim.tune.table import Row, Table
from ringsim.units import format_size

#: Sends of a plan that is written as MSCCL XML: each becomes two steps, and all steps are proved.
MOST_SENDS = 100_000

#: The engine that HCCL's tuner is told: the one that its own example names for all collectives.
ENGINE = "aicpu"


#: Codecs that do what a type of gradients does as well.
CASTS = {"fp16": "half", "bf16": "bfloat16"}


def refuse(question: Question, library: str) -> None:
    """Refuse to write files of plans with a codec: no library's format says that what is sent are codes.

    Raises
    ------
    StudyError
    """
    codec = question.codec()
    if codec is not None:
        instead = f"ask for --dtype {CASTS[codec.spec]} instead" if codec.spec in CASTS else "leave --compress out"
        raise StudyError(f"{library}: its files cannot say that codes of {codec.spec} are sent; {instead}")


def nccl_algorithms(question: Question, topology: Topology) -> tuple[str, ...]:
    """Algorithms that NCCL's tuner can be told to use.

    Raises
    ------
    StudyError
        If it has none, or none of the fabric's protocols.
    """
    sheet, names = topology.fabric, list(COLLECTIVES[question.collective])
    found = [name for name in names if any(_nccl(question.collective, name, p, topology) for p in sheet.protocols)]
    if not found:
        raise StudyError(
            f"nccl: NCCL's tuner knows no {question.collective} with {' or '.join(sheet.protocols)}; try --hccl or --msccl"
        )
    return tuple(found)


def hccl_algorithms(question: Question, topology: Topology) -> tuple[str, ...]:
    """Algorithms that HCCL's tuner can be told to use.

    Raises
    ------
    StudyError
        If it has none.
    """
    names = COLLECTIVES[question.collective]
    found = tuple(name for name in names if hccl_tuner.spoken(question.collective, name))
    if not found:
        raise StudyError(f"hccl: HCCL's tuner knows no algorithm for {question.collective}; try --msccl")
    return found


def write_nccl(table: Table, path: Path) -> None:
    """Write what NCCL's example tuner plug-in reads."""
    refuse(table.question, "nccl")
    collective, topology = table.question.collective, table.topology
    rules = []
    for rows in _alike(table):
        case = rows[0].tuned.best.case
        words = _nccl(collective, case.algorithm, case.protocol, topology)
        assert words
        # Without a limit for each channel the model does not tell their numbers apart, and NCCL does.
        cap = constants(topology.fabric, case.protocol, case.algorithm).channel_cap
        channels = nccl_tuner.ANY if case.algorithm == "in-switch" or math.isinf(cap) else case.channels
        servers = _servers(topology) or nccl_tuner.ANY
        rules.append(
            nccl_tuner.Rule(
                words[0], rows[0].low, rows[-1].high, *words[1:], channels, servers, topology.cards,
                comment="; ".join(map(_time, rows)),
            )
        )  # fmt: skip
    nccl_tuner.write(rules, path, comments=_comments(table))


def write_hccl(table: Table, path: Path) -> None:
    """Write what HCCL's example tuner plug-in reads."""
    refuse(table.question, "hccl")
    collective, topology = table.question.collective, table.topology
    rules = []
    for rows in _alike(table):
        words = hccl_tuner.spoken(collective, rows[0].tuned.best.case.algorithm)
        assert words
        match = hccl_tuner.Match(
            topology.cards, topology.cards, rows[0].low, rows[-1].high,
            min_servers=_servers(topology), max_servers=_servers(topology),
        )  # fmt: skip
        rules.append(hccl_tuner.Rule(words[0], match, ENGINE, *words[1:]))
    hccl_tuner.write(rules, path, comments=[*_comments(table), *map(_time, table.rows)])


class Library(NamedTuple):
    """A library whose tuner reads a file: what it has, and how the file is written."""

    algorithms: Callable[[Question, Topology], tuple[str, ...]]
    write: Callable[[Table, Path], None]


LIBRARIES = {"nccl": Library(nccl_algorithms, write_nccl), "hccl": Library(hccl_algorithms, write_hccl)}


def write_msccl(table: Table, folder: Path) -> Iterator[tuple[Path, list[str] | None, str]]:
    """Write each plan as MSCCL XML.

    Yields
    ------
    path, notes, refused
        Where it went and what the runtime may not like; or None, and why it cannot be written.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    StudyError
        If plans have a codec.
    """
    refuse(table.question, "msccl")
    for row in table.rows:
        case = row.tuned.best.case
        path = folder / f"{case.collective}-{case.cards}-{row.low}-{row.high}.xml"
        topology = cluster(row.question)
        schedule, _ = Layouts().get(case, topology, Timer())
        if schedule.transfers > MOST_SENDS:
            many = f"{schedule.transfers:,} sends, and more than {MOST_SENDS:,} take minutes to be proved"
            yield path, None, f"{many}; ask for fewer cards"
            continue
        if topology.placement is not None:
            # MSCCL numbers gpus by their ranks; what is laid out here is in cards.
            schedule = schedule.placed(np.argsort(topology.placement))
        proto = case.protocol if case.protocol in msccl.PROTOCOLS else "Simple"
        name = f"ringsim {case.algorithm} x{case.channels} {case.pieces}"
        try:
            notes = msccl.write(schedule, path, name=name, proto=proto, min_bytes=row.low, max_bytes=row.high)
        except msccl.MscclError as error:
            yield path, None, str(error)
        else:
            yield path, notes, ""


def order(table: Table) -> list[int]:
    """Ranks in the order in which the plan of the largest size wants them: the first is to be rank 0."""
    old, new = (t.placement for t in (table.topology, cluster(table.rows[-1].question)))
    cards = np.arange(table.topology.cards)
    sits = cards if old is None else np.argsort(old)
    found: list[int] = sits[cards if new is None else new].tolist()
    return found


def _servers(topology: Topology) -> int | None:
    """Number of servers; None where a graph does not say which cards share one."""
    return None if isinstance(topology, GraphTopology) and topology.group == 1 else topology.nodes


# -- words and lines ---------------------------------------------------------------------------------------


def _nccl(collective: str, algorithm: str, protocol: str, topology: Topology) -> tuple[str, str, str] | None:
    return nccl_tuner.spoken(
        collective, algorithm, protocol, nodes=topology.nodes, nvls=topology.scale_up_reduces
    )  # fmt: skip


def _alike(table: Table) -> Iterator[list[Row]]:
    """Rows one after the other that a rule has the same words for; pieces and the order of ranks are not among them."""
    cases = [row.tuned.best.case for row in table.rows]
    plan = [(case.algorithm, case.protocol, case.channels) for case in cases]
    for _, group in groupby(range(len(table.rows)), key=plan.__getitem__):
        yield [table.rows[i] for i in group]


def _comments(table: Table) -> list[str]:
    case = table.rows[0].tuned.best.case
    return [
        f"ringsim {__version__}: {case.collective} on {case.cards} cards of {case.fabric} ({case.network}), simulated",
        f"cluster {case.fingerprint[:16]}",
    ]


def _time(row: Row) -> str:
    best = row.tuned.best
    return f"{format_size(best.case.bytes)} {best.case.algorithm} x{best.case.channels}: {best.time_us:.2f} us"
