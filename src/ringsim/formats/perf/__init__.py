"""Logs of all-reduce benchmarks: what nccl-tests, rccl-tests and hccl_test print, read as measurements.

A log is written by many hands at once: the benchmark, NCCL's own remarks, other ranks, a launcher that labels lines; and
it often ends in the middle. So a reader here looks for rows wherever they are, says what it had to leave out, and holds
every row against itself (time × bandwidth = bytes), because a column that was read as another looks like a measurement.

`log` has the nouns and those checks, `nccl` reads tables of text, `reports` JSON, and `hccl` Huawei's table.
"""

import re
from pathlib import Path

from ringsim.formats.perf import hccl, nccl, reports
from ringsim.formats.perf.log import Header, PerfLog, PerfLogError, Row, checked

#: What launchers put before a line, ``[1,0]<stdout>:`` and ``0:``, and colours.
_LABEL = re.compile(r"^\s*(?:\[\d+,\d+\]<std\w+>:?|\d+:)\s?|\x1b\[[0-9;]*[A-Za-z]")

__all__ = ["Header", "PerfLog", "PerfLogError", "Row", "read"]


def read(path: str | Path) -> PerfLog:
    """Read the log of one benchmark.

    Parameters
    ----------
    path : str or Path
        Text of all_reduce_perf (old with a column ``error``, or new with ``root`` and ``#wrong``) from nccl-tests or
        rccl-tests, the JSON that either writes, or text of hccl_test.

    Raises
    ------
    PerfLogError
        If there is no such file, it has no row, or a row contradicts itself or the header; names file and line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", "replace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PerfLogError(f"{path}: cannot be read: {reason}; name the log of a benchmark") from None
    where = str(path)
    if re.match(r"\s*(\{|\[\s*\{)", text):
        return checked(reports.read(text, where))
    lines = [_LABEL.sub("", line) for line in text.splitlines()]
    return checked(hccl.read(lines, where) if hccl.is_hccl(lines) else nccl.read(lines, where))
