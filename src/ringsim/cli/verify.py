"""``ringsim verify``: whether a schedule does what it says, whatever the timing, and whether buffers are deep enough."""

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from ringsim.cli.errors import BadFile, explained
from ringsim.cli.options import CARDS, DOMAIN, FABRIC, NETWORK, Command, Name, Size, Whole
from ringsim.cli.screen import PATIENCE, Notice, check_writable, dump, echo
from ringsim.cli.subject import Subject, of_msccl, of_schedule

if TYPE_CHECKING:
    from ringsim.schedule import Schedule
    from ringsim.values import Fifo

#: The verdict that a schedule is wrong.
WRONG = 1

#: Slots of a connection's buffer, as NCCL has them.
DEPTH = 8

#: Seconds, roughly, for each unit that is sent, each that is kept somewhere, and each firing of the longest row.
MOVE_S, KEEP_S, ROUND_S = 1e-6, 5e-9, 1.5e-4

#: What takes longer is refused, in seconds: fewer cards show the same.
MOST_S = 300.0

#: Seconds that looking at other timings may take, unless they are asked for.
ORDER_S = 30.0


def _collectives() -> Iterable[str]:
    from ringsim.collectives import COLLECTIVES

    return COLLECTIVES


def _algorithms() -> Iterable[str]:
    from ringsim.collectives import COLLECTIVES

    return sorted({name for algorithms in COLLECTIVES.values() for name in algorithms})


@click.command(cls=Command, example="ringsim verify --algorithm ring --fabric hccs --cards 16")
@click.argument("schedule", required=False, metavar="[SCHEDULE]")
@click.option("--algorithm", type=Name("algorithm", _algorithms), help="One of ours instead of a file.")
@click.option("--fabric", type=FABRIC, help="The cluster to lay it over.")
@click.option("--cards", type=CARDS, help="Ranks, one on each card.")
@click.option(
    "--collective", type=Name("collective", _collectives), help="What it is to do. Default: all-reduce."
)  # fmt: skip
@click.option("--size", type=Size(), help="Bytes of the vector, on which the number of pieces depends. Default: 1G.")
@click.option(
    "--rings", type=Whole("rings", "write a number such as 8"),
    help="Channels side by side: rings, or trees. Default: the most that do not get in each other's way.",
)  # fmt: skip
@click.option("--slices", type=Whole("slices", "write a number such as 2"), help="Pieces of a chunk, for rings.")
@click.option(
    "--chunks", type=Whole("chunks", "write a number such as 64"),
    help="Pieces that go through a pipeline, for trees and hierarchies.",
)  # fmt: skip
@click.option("--domain", type=DOMAIN, help="Cards in a scale-up domain, instead of the fabric's.")
@click.option("--network", type=NETWORK, help="Another network under the same cards.")
@click.option(
    "--save", metavar="FILE", help="Write the schedule to a file, too: MSCCL's XML if it ends in .xml, else JSON.",
)  # fmt: skip
@click.option(
    "--depth", type=Whole("depth", "write a number such as 8"), default=DEPTH, show_default=True,
    help="Slots in the buffer of each connection.",
)  # fmt: skip
@click.option("--all-timings", is_flag=True, help="Look at other timings however long that takes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def verify(
    *, schedule: str | None, save: str | None, depth: int, all_timings: bool, as_json: bool, **asked: Any
) -> int:
    """Prove that every rank ends with the right data, each contribution exactly once, whatever the timing.

    SCHEDULE is a JSON file, or MSCCL's if it ends in .xml (docs/schedule.md); or name an algorithm and a cluster. Exits
    with 1, and names the rank, the unit and the firing, if the schedule is wrong or would stand still with buffers of
    --depth slots.
    """
    began = time.perf_counter()
    if depth < 1:
        raise click.ClickException(f"depth = {depth}: at least 1; NCCL has {DEPTH}")
    if save is not None:
        check_writable(save, "save")
    subject = _subject(schedule, save, asked)
    seconds = subject.sends * MOVE_S + subject.kept * KEEP_S + subject.rounds * ROUND_S
    if seconds > MOST_S:
        raise click.ClickException(
            f"{schedule or asked['algorithm']}: {int(subject.sends):,} sends of a unit would take some "
            f"{seconds / 60:,.0f} minutes to go through; fewer cards, rings or chunks show the same"
        )
    if save is not None:
        assert subject.schedule is not None  # a file is not saved again
        _save(subject.schedule, save, asked)
    if seconds > PATIENCE:
        Notice()(f"going through {int(subject.sends):,} sends of a unit")
    found = _check(subject, depth, all_timings=all_timings)
    spent = time.perf_counter() - began
    if as_json:
        dump(_document(subject, found, depth, spent))
    else:
        _show(subject, found, depth, spent)
    return 0 if found.fine else WRONG


class _Found:
    """What came out: a proof or what is wrong, and the same for buffers."""

    def __init__(self) -> None:
        self.proved = False
        self.pairs: int | None = None
        self.fifo: Fifo | None = None
        self.wrong = ""

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def _subject(path: str | None, save: str | None, asked: dict[str, Any]) -> Subject:
    """Read the schedule, or lay it."""
    if path is None:
        missing = [f"--{name}" for name in ("algorithm", "fabric", "cards") if asked[name] is None]
        if missing:
            raise click.UsageError(f"name a schedule file, or give {', '.join(missing)}", click.get_current_context())
        return of_schedule(*_laid({name: value for name, value in asked.items() if value is not None}))
    given = [f"--{name}" for name, value in [*asked.items(), ("save", save)] if value is not None]
    if given:
        raise click.UsageError(f"{', '.join(given)}: a file says it all", click.get_current_context())

    from ringsim.formats import is_msccl
    from ringsim.schedule_file import ScheduleFileError, load_schedule

    try:
        return of_msccl(path) if is_msccl(path) else of_schedule(path, load_schedule(path))
    except ScheduleFileError as error:
        raise BadFile(str(error)) from None


def _save(schedule: "Schedule", path: str, asked: dict[str, Any]) -> None:
    """Write a schedule as MSCCL XML or JSON, by the ending of the name."""
    from ringsim.formats import is_msccl, msccl
    from ringsim.schedule_file import save

    if not is_msccl(path):
        save(schedule, path)
        return
    try:
        notes = msccl.write(schedule, path, name=f"{asked['algorithm']}_{schedule.ranks}")
    except msccl.MscclError as error:
        raise click.ClickException(f"save = {path}: {error}") from None
    for note in notes:
        Notice()(f"{path}: {note}")


def _laid(asked: dict[str, Any]) -> "tuple[str, Schedule]":
    """Lay an algorithm as `ringsim run` would."""
    from ringsim import fabric, topology
    from ringsim.candidates import Layouts, candidates
    from ringsim.catalogue import find
    from ringsim.collectives import COLLECTIVES
    from ringsim.study import Question, StudyError

    def untimed(part: str) -> AbstractContextManager[None]:
        return nullcontext()

    with explained(asked["fabric"], asked.get("network")):
        question = Question(**asked)
        sheet = fabric.load(asked["fabric"], network=question.network)
        question.checked(COLLECTIVES).payload()
        if question.algorithm in ("auto", "all"):
            raise StudyError(
                f"algorithm = {question.algorithm}: name one: {', '.join(COLLECTIVES[question.collective])}"
            )
        cluster = topology.build(sheet, asked["cards"], domain=question.domain)
        case = next(candidates(question, cluster, untimed, Layouts())).case
    algorithm = find(case.collective, case.algorithm)
    pieces = f"{case.pieces} {algorithm.piece if case.pieces != 1 else algorithm.piece[:-1]}"
    title = (
        f"{case.collective} by {case.algorithm} ×{case.channels}, {pieces}, on {case.cards:,} cards of {case.fabric}"
    )
    return title, algorithm.build(cluster, case.channels, case.pieces)


def _check(subject: Subject, depth: int, *, all_timings: bool) -> _Found:
    from math import inf

    from ringsim.values import ValuesError

    found = _Found()
    try:
        found.pairs, found.fifo = subject.prove(depth, inf if all_timings else ORDER_S)
        found.proved = True
        found.wrong = str(found.fifo.deadlock or "")
    except ValuesError as error:
        found.wrong = str(error)
    return found


_LEFT_OUT = f"not checked: would take more than {ORDER_S:.0f} seconds; --all-timings does it, and so do fewer cards"


def _show(subject: Subject, found: _Found, depth: int, spent: float) -> None:
    echo(subject.title, bold=True)
    echo(subject.size)
    if found.proved:
        echo(f"values    right: each of {subject.ranks:,} ranks ends with what it should, each contribution once")
        pairs = found.pairs
        echo("timing    " + (_LEFT_OUT if pairs is None else f"any: waits order all {pairs:,} pairs that disagree"))
    if found.fifo is not None and found.fine:
        slots = "slot is" if found.fifo.smallest == 1 else "slots are"
        echo(f"buffers   {depth} slots for each connection never stand still; {found.fifo.smallest} {slots} enough")
    if found.fifo is not None and not found.fine:
        echo(f"buffers   {depth} slots for each connection stand still; {found.fifo.smallest} slots would do")
    for limit in subject.limits:
        echo(f"runtime   {limit}")
    echo("right" if found.fine else f"WRONG: {found.wrong}", bold=True)
    echo(f"checked in {_seconds(spent)}")


def _seconds(spent: float) -> str:
    return f"{spent * 1e3:.1f}ms" if spent < 1 else f"{spent:.1f}s"


def _document(subject: Subject, found: _Found, depth: int, spent: float) -> dict[str, Any]:
    return {
        "schedule": subject.title, "ranks": subject.ranks, **subject.figures,
        "right": found.fine, "wrong": found.wrong or None, "values": found.proved,
        "any_timing": None if found.pairs is None else True, "pairs": found.pairs,
        "fifo_depth": depth, "fifo_deadlock": None if found.fifo is None else found.fifo.deadlock is not None,
        "fifo_smallest": found.fifo and found.fifo.smallest,
        **({"limits": list(subject.limits)} if subject.schedule is None else {}), "wall_s": spent,
    }  # fmt: skip
