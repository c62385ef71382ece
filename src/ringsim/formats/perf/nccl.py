"""The tables that nccl-tests and rccl-tests print.

A row is printed in three parts, what it measures, out of place, in place, and NCCL's remarks may fall between them. So
parts are collected until a row is complete. Which columns there are says the heading: older versions have no ``root``,
newer ones may add columns of every iteration or a time stamp.

Source of the forms: github:NVIDIA/nccl-tests src/util.cu @0fdb00a3, and src/common.cu of versions before 2.13.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ringsim.formats.perf.log import WIDTHS, Header, PerfLog, PerfLogError, Row, launched

#: ``host:pid:tid [0] NCCL INFO …``, also where it follows a number without a space; containers are hosts of 12 hex digits.
_REMARK = re.compile(
    r"(?:\[\d{4}-[^\]]*\]\s*)?(?:[0-9a-f]{12}|^\s*\S+|[A-Za-z][\w.-]{0,64}):\d+:\d+ \[\d+\] R?NCCL [A-Z]+ .*"
)
_HEADING = re.compile(r"size\s+count\s+type\s.*time.*")
_FRONT = re.compile(rf"(?<![\w.-])([0-9]{{1,18}})\s+([0-9]{{1,18}})\s+({'|'.join(WIDTHS)})\s+([a-z]\w*)(?=\s|-|$)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,18})?(?:[eE][+-]?[0-9]{1,2})?|N/A|nan")
_DEVICE = re.compile(
    r"Rank\s+(?P<rank>[0-9]{1,9})\s+(?:Group\s+\d+\s+)?Pid\s+(?P<pid>\d+)\s+on\s+(?P<host>\S+)\s+device\s+\d+\s+"
    r"\[[^\]]*\]\s*(?P<name>.*)"
)
_OLD = ("size", "count", "type", "redop", *("time", "algbw", "busbw", "error") * 2)
_NEW = ("size", "count", "type", "redop", "root", *("time", "algbw", "busbw", "#wrong") * 2)


@dataclass
class _Part:
    """A row of which so much has been seen."""

    line: int
    front: tuple[str, ...]
    words: list[str] = field(default_factory=list)


def read(lines: Sequence[str], path: str) -> PerfLog:
    """Read a log of text; `checked` is yet to be asked whether it makes sense."""
    names: tuple[str, ...] | None = None
    part: _Part | None = None
    rows, left_out = list[Row](), list[str]()
    for number, line in enumerate(lines, start=1):
        rest = _REMARK.sub("", line)
        if heading := _HEADING.search(rest):
            names = tuple(heading[0].split())
            if "cputime" in names:
                raise PerfLogError(f"{path}: line {number}: times of the CPU; run the benchmark without -C")
            continue
        if front := _FRONT.search(rest):
            _finish(part, names, path, rows, left_out)
            part, rest = _Part(number, front.groups()), rest[front.end() :]
        elif part is None or not rest.strip() or not all(map(_NUMBER.fullmatch, rest.split())):
            continue
        for word in rest.split():
            if not _NUMBER.fullmatch(word):
                break
            part.words.append(word)
    _finish(part, names, path, rows, left_out)
    return PerfLog(path, _header(lines), tuple(rows), tuple(left_out))


def _finish(part: _Part | None, names: tuple[str, ...] | None, path: str, rows: list[Row], left_out: list[str]) -> None:
    """Turn what has been seen of a row into measurements."""
    if part is None:
        return
    found = list(_measured(part, names or _layout(part), path))
    rows += found
    wanted = 2 if names is None else names.count("time")
    if len(found) < wanted:
        have = "out of place only" if found else "no time"
        left_out.append(f"line {part.line}: the row of {part.front[0]} bytes breaks off, {have}")


def _layout(part: _Part) -> tuple[str, ...]:
    """Guess the columns of a log without a heading: the root is a whole number, and then there is one more."""
    return _NEW if len(part.words) % 4 == 1 and re.fullmatch(r"-?\d+", part.words[0]) else _OLD


def _measured(part: _Part, names: tuple[str, ...], path: str) -> Iterator[Row]:
    size, count, dtype = int(part.front[0]), int(part.front[1]), part.front[2]
    columns = names[len(part.front) :]
    begins = [i for i, name in enumerate(columns) if name == "time"]
    for nth, i in enumerate(begins):
        words = part.words[i : i + 4]
        if len(words) < 4:
            return
        if "N/A" in words[:3] or "nan" in words[:3]:
            raise PerfLogError(f"{path}: line {part.line}: {' '.join(words)}: no measurement; remove the row")
        time, algbw, busbw = map(float, words[:3])
        counted = columns[i + 3 : i + 4] == ("#wrong",) and words[3] not in ("N/A", "nan")
        wrong = int(float(words[3])) if counted else None
        rounding = _rounding(words[0]), _rounding(words[1])
        yield Row(size, count, dtype, time, algbw, busbw, nth == 1, wrong, part.line, rounding)


def _rounding(word: str) -> float:
    """Half of the last digit that is printed."""
    mantissa, _, exponent = word.casefold().partition("e")
    return float(0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))


def _header(lines: Sequence[str]) -> Header:
    """Gather what is said about the run, wherever it stands."""
    text = "\n".join(lines)
    named: dict[int, tuple[str, str, str]] = {}
    for found in map(_DEVICE.search, lines):
        if found:
            named[int(found["rank"])] = found["host"], found["pid"], found["name"].strip()
    said = {key: int(value) for key, value in re.findall(r"\b(nThreads?|nGpus|graph):? +([0-9]{1,9})\b", text)}
    threads, gpus = said.get("nThread", said.get("nThreads")), said.get("nGpus")
    ranks = max(named) + 1 if named else None
    # A line longer than the benchmark's buffer is cut: then not every rank has its own.
    whole = ranks is not None and len(named) == ranks
    processes = len({where[:2] for where in named.values()})
    program = re.search(r"Collective test starting: (\w+)", text)
    version = re.search(r"\bR?NCCL version\s*:? *(\d[\w.+-]*)", text) or re.search(r"nccl-library=(\d+)", text)
    return Header(
        tool="rccl-tests" if re.search(r"rccl|RCCL|\bROCm\b", text) else "nccl-tests",
        program=program[1] if program else "",
        version=version[1] if version else "",
        ranks=ranks,
        nodes=len({where[0] for where in named.values()}) if whole else None,
        devices=tuple(dict.fromkeys(where[2] for where in named.values())),
        threads=threads,
        gpus=gpus,
        launch=launched(processes, ranks, gpus) if whole and ranks else "",
        graph=bool(said.get("graph", 0)),
    )
