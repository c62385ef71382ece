"""Files that real libraries read and write: schedules as MSCCL XML, and what NCCL's and HCCL's tuners are told.

Schedules of others and of our own are loaded by one function here, whatever they are written in.
"""

from pathlib import Path

from ringsim.formats import msccl
from ringsim.formats.errors import TunerFileError
from ringsim.schedule import Schedule
from ringsim.schedule_file import ScheduleFileError, load_schedule
from ringsim.values import StuckError, ValuesError
from ringsim.values.events import waves

__all__ = ["TunerFileError", "is_msccl", "load_schedule_file"]


def is_msccl(path: str | Path) -> bool:
    """Whether a file is MSCCL XML by its name."""
    return Path(path).suffix.casefold() == ".xml"


def load_schedule_file(path: str | Path) -> Schedule:
    """Read a schedule that can be timed: MSCCL XML where the name ends in ``.xml``, else our JSON.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ScheduleFileError
        If there is no such file, it holds no schedule, or one that never ends or moves a chunk where another belongs.
    """
    if not is_msccl(path):
        return load_schedule(path)
    algo = msccl.read(path)
    try:
        schedule = msccl.to_schedule(algo)
        # A step may receive late what its sender has to send early. Buffers allow that, handshakes do not.
        return schedule if _ends(schedule) else msccl.to_schedule(algo, handshakes=False)
    except (msccl.MscclError, ValuesError) as error:
        raise ScheduleFileError(f"{path}: {error}") from None


def _ends(schedule: Schedule) -> bool:
    """Whether no rows wait in a circle."""
    try:
        for _ in waves(schedule):
            pass
    except StuckError:
        return False
    return True
