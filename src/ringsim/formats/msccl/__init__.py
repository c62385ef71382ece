"""MSCCL's XML: what a schedule says, as the thread blocks and steps that real gpus can run, and back.

Microsoft's MSCCL and AMD's RCCL run such files. `write` makes one of a schedule, `read` takes any, `to_schedule` turns it
into a schedule that can be timed, and `prove` shows whether its gpus end with the right data on any timing.
"""

from pathlib import Path

from ringsim.fabric.errors import suggest
from ringsim.formats.msccl.algo import PROTOCOLS, Algo, MscclError
from ringsim.formats.msccl.files import read
from ringsim.formats.msccl.lowering import lower
from ringsim.formats.msccl.printing import print_xml
from ringsim.formats.msccl.proof import Verdict, prove
from ringsim.formats.msccl.timing import to_schedule
from ringsim.schedule import Schedule

__all__ = ["PROTOCOLS", "Algo", "MscclError", "Verdict", "prove", "read", "to_schedule", "write"]

#: Seconds, roughly, that looking at other timings of what is written may take.
PATIENCE_S = 60.0


def write(
    schedule: Schedule, path: str | Path, *, name: str, proto: str = "Simple", min_bytes: int = 0, max_bytes: int = 0
) -> list[str]:
    """Write a schedule as an MSCCL file, once it has been proved to do on gpus what the schedule does.

    Parameters
    ----------
    schedule : Schedule
        An all-reduce, all-gather or reduce-scatter of gpus, not of switches.
    path : str or Path
    name : str
        What the library calls it.
    proto : str
        NCCL's protocol: ``Simple``, ``LL`` or ``LL128``.
    min_bytes, max_bytes : int
        Sizes for which the library is to use it; 0 at the upper end is no limit, as RCCL reads it.

    Returns
    -------
    notes : list of str
        Limits of the runtime that are exceeded, and what was not checked.

    Raises
    ------
    MscclError
        If MSCCL cannot say it; the message says what would do.
    ValuesError
        If the schedule, or what becomes of it, is wrong.
    OSError
        If the file cannot be written.
    """
    if proto not in PROTOCOLS:
        raise MscclError(f"proto = {proto!r}: {suggest(proto, PROTOCOLS)}")
    if min_bytes < 0 or (max_bytes != 0 and max_bytes < min_bytes):
        raise MscclError(
            f"min_bytes = {min_bytes}, max_bytes = {max_bytes}: at least 0, and the upper end not below, or 0 for none"
        )
    algo = lower(schedule, name, proto, (min_bytes, max_bytes))
    proved = prove(algo, patience=PATIENCE_S)
    notes = algo.limits()
    if proved.pairs is None:
        notes.append("too long to look at other timings than one; ringsim verify --all-timings does")
    with Path(path).open("w", encoding="utf-8") as file:
        file.writelines(print_xml(algo))
    return notes
