"""What ``ringsim verify`` proves: a schedule of ours, or an algorithm of MSCCL's, with what has to be known of either."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringsim.cli.errors import BadFile

if TYPE_CHECKING:
    from ringsim.schedule import Schedule
    from ringsim.values import Fifo


@dataclass(frozen=True)
class Subject:
    """What is to be proved.

    Attributes
    ----------
    title : str
    ranks : int
    sends, kept, rounds : float
        Units that are sent and units that are kept somewhere, and firings of the longest row: what a proof takes.
    figures : dict
        Its size, for programs.
    size : str
        The same for people.
    prove : (depth, patience) → pairs and fifo
        Raises ValuesError.
    schedule : Schedule or None
        None where it is MSCCL's.
    limits : list of str
        Limits of MSCCL's runtime that are exceeded.
    """

    title: str
    ranks: int
    sends: float
    kept: float
    rounds: float
    figures: dict[str, int]
    size: str
    prove: "Callable[[int, float], tuple[int | None, Fifo]]"
    schedule: "Schedule | None" = None
    limits: tuple[str, ...] = ()


def of_schedule(title: str, schedule: "Schedule") -> Subject:
    """Take a schedule."""
    from ringsim.values import fifo, prove

    # As floats, for a file may say anything.
    sends = float((schedule.span.astype(float) * schedule.count * ~schedule.joins).sum())
    apart = (schedule.begins >= 0).all() and (schedule.ends >= 0).all()
    kept = 0.0 if apart else float(schedule.ranks) * schedule.units
    return Subject(
        title, schedule.ranks, sends, kept, float(schedule.count.max(initial=0)),
        {"units": schedule.units, "rows": schedule.rows, "firings": schedule.transfers},
        f"schedule  {schedule.rows:,} rows, {schedule.transfers:,} firings, {schedule.units:,} units",
        lambda depth, patience: (prove(schedule, patience=patience).pairs, fifo(schedule, depth)), schedule,
    )  # fmt: skip


def of_msccl(path: str) -> Subject:
    """Read a file of MSCCL's."""
    from ringsim.formats import msccl

    algo = msccl.read(path)
    blocks = [block for gpu in algo.gpus for block in gpu.blocks]
    # A send is read, kept in a buffer, taken from there and stored.
    sends = 4.0 * sum(step.size for block in blocks for step in block.steps)
    kept, longest = (
        float(len(algo.gpus) + len(blocks)) * algo.chunks,
        max((len(block.steps) for block in blocks), default=0),
    )

    def prove(depth: int, patience: float) -> "tuple[int | None, Fifo]":
        try:
            proved = msccl.prove(algo, depth=depth, patience=patience)
        except msccl.MscclError as error:
            raise BadFile(f"{path}: {error}") from None
        return proved.pairs, proved.fifo

    return Subject(
        path, len(algo.gpus), sends, kept, float(longest),
        {"units": algo.chunks, "blocks": len(blocks), "steps": algo.steps},
        f"{algo.collective:<9} {len(blocks):,} thread blocks, {algo.steps:,} steps, {algo.chunks:,} chunks", prove,
        limits=tuple(algo.limits()),
    )  # fmt: skip
