"""The table that Huawei's hccl_test prints.

``data_size(Bytes): | aveg_time(us): | alg_bandwidth(GB/s): | check_result:``, with "aveg" as the program spells it and
"avg" as its manual does. It does not say how many ranks there were; the command line that started it does, where the log
has it.

Source of the forms: hiascend.com, CANN 8.5 HCCL performance tester, and hccl_opbase_rootinfo_base.cc of the toolkit.
"""

import math
import re
from collections.abc import Sequence

from ringsim.formats.perf.log import WIDTHS, Header, PerfLog, PerfLogError, Row

_COLUMNS = {"data_size(bytes)": "size", "aveg_time(us)": "time", "avg_time(us)": "time",
            "alg_bandwidth(gb/s)": "algbw", "check_result": "check"}  # fmt: skip
_USUAL = ("size", "time", "algbw", "check")
_WRONG = {"success": 0, "failed": 1, "null": None}
_COMMAND = re.compile(r"(?P<launch>.*?)\b(?P<program>[a-z_]{1,40}_test)(?P<rest>\s.*)")


def is_hccl(lines: Sequence[str]) -> bool:
    """Whether a log has such a table, even without its heading."""
    return any("data_size(Bytes)" in line or _row(line, _USUAL) is not None for line in lines)


def read(lines: Sequence[str], path: str) -> PerfLog:
    """Read a log; `checked` is yet to be asked whether it makes sense."""
    columns: Sequence[str] = _USUAL
    header = _header(lines, path)
    dtype = re.search(r"\s-(?:d|-datatype)[ =]?(\w+)", next(filter(_command, lines), ""))
    known = dtype[1] if dtype and dtype[1] in WIDTHS else ""
    rows, left_out = list[Row](), list[str]()
    for number, line in enumerate(lines, start=1):
        if "data_size(Bytes)" in line:
            named = [_COLUMNS.get(cell.strip().rstrip(":").casefold(), "") for cell in line.strip(" |").split("|")]
            missing = [name for name in _USUAL[:3] if name not in named]
            if missing:
                raise PerfLogError(f"{path}: line {number}: no column of {missing[0]}; give the table as it is printed")
            columns = named
        elif (found := _row(line, columns)) is not None:
            size = int(found["size"])
            width = WIDTHS.get(known)
            rounding = _rounding(found["time"]), _rounding(found["algbw"])
            rows.append(
                Row(size, size // width if width else None, known, float(found["time"]), float(found["algbw"]), math.nan,
                    False, _WRONG[found.get("check", "NULL").casefold()], number, rounding)
            )  # fmt: skip
        elif re.match(r"\s*\d+\s*\|", line):
            left_out.append(f"line {number}: the row of {line.split('|')[0].strip()} bytes breaks off")
    return PerfLog(path, header, tuple(rows), tuple(left_out))


def _row(line: str, columns: Sequence[str]) -> dict[str, str] | None:
    """Take the cells of a row apart; None where it is none. A rank that found a mistake says so before its cells."""
    cells = [cell.strip() for cell in line.strip(" |\r\n").rpartition(", ")[2].split("|")]
    found = dict(zip(columns, cells, strict=False))
    numbers = all(re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", found.get(name, "")) for name in ("time", "algbw"))
    whole = len(cells) == len(columns) and numbers and re.fullmatch("[0-9]{1,18}", found["size"])
    return found if whole and found.get("check", "NULL").casefold() in _WRONG else None


def _rounding(word: str) -> float:
    """Half of the last digit that is printed."""
    return float(0.5 * 10.0 ** -len(word.partition(".")[2]))


def _command(line: str) -> re.Match[str] | None:
    found = _COMMAND.search(line)
    return found if found and re.search(r"\s-[bepdn]\b", found["rest"]) else None


def _header(lines: Sequence[str], path: str) -> Header:
    """Read the command line, if there is one: mpirun's -n counts ranks, the test's own -p those of a server."""
    for line in lines:
        if not (command := _command(line)):
            continue
        ranks = re.search(r"\s-(?:n|np)\s+([0-9]{1,9})\b", command["launch"])
        each = re.search(r"\s-p\s*([0-9]{1,9})\b", command["rest"])
        total = int(ranks[1]) if ranks else None
        nodes = None
        if total and each:
            if not int(each[1]) or total % int(each[1]):
                raise PerfLogError(
                    f"{path}: {total} ranks, {each[1]} on each server: that is no whole number of servers"
                )
            nodes = total // int(each[1])
        return Header("hccl_test", program=command["program"], ranks=total, nodes=nodes, launch="process per card")
    return Header("hccl_test", launch="process per card")
