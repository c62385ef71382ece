"""The JSON that nccl-tests (``-J``) and rccl-tests (``-Z json``) write.

nccl-tests writes one object as it goes, so what is left of a run that was stopped has no end: its results are read one by
one as far as they go. rccl-tests writes a list with a record for every measurement.

Source of the forms: github:NVIDIA/nccl-tests src/util.cu @0fdb00a3 and github:ROCm/rccl-tests.
"""

import json
import re
from typing import Any

from ringsim.fabric.errors import show
from ringsim.formats.perf.log import Header, PerfLog, PerfLogError, Row, launched

#: Bandwidths and times have six decimals.
_ROUNDING = 5e-7, 5e-7

#: No size, time or rate is larger.
_MOST = 10**18


def read(text: str, path: str) -> PerfLog:
    """Read a report; `checked` is yet to be asked whether it makes sense."""
    left_out = list[str]()
    try:
        document = json.loads(text)
    except RecursionError:
        raise PerfLogError(f"{path}: too many brackets inside each other; give what the benchmark wrote") from None
    except json.JSONDecodeError as error:
        document = _salvaged(text)
        if not document:
            where = f"{path}: line {error.lineno}, column {error.colno}"
            raise PerfLogError(f"{where}: {error.msg}; give the whole JSON of a benchmark") from None
        left_out.append(f"line {error.lineno}: the JSON breaks off; what stands before is used")
    if isinstance(document, list):
        return _rccl(document, text, path, tuple(left_out))
    return _nccl(document, text, path, tuple(left_out))


def _salvaged(text: str) -> Any:
    """Read the complete part of a JSON that breaks off: records of a list, or the settings and results of an object."""
    if text.lstrip().startswith("["):
        return _records(text, text.index("[") + 1)
    results = re.search(r'"results"\s*:\s*\[', text)
    config = re.search(r'"config"\s*:\s*(?=\{)', text)
    document: dict[str, Any] = {"results": _records(text, results.end()) if results else []}
    if config:
        try:
            document["config"] = json.JSONDecoder().raw_decode(text, config.end())[0]
        except json.JSONDecodeError:
            return None
    return document if document["results"] else None


def _records(text: str, at: int) -> list[Any]:
    found, decoder = list[Any](), json.JSONDecoder()
    while at < len(text):
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
        try:
            record, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            break
        found.append(record)
    return found


def _line(text: str, nth: int, key: str) -> int:
    """Line of the *nth* record, found by the key that each has once."""
    for i, found in enumerate(re.finditer(rf'"{key}"\s*:', text)):
        if i == nth:
            return text.count("\n", 0, found.start()) + 1
    return 1


def _nccl(document: Any, text: str, path: str, left_out: tuple[str, ...]) -> PerfLog:
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list):
        raise PerfLogError(f"{path}: results = {show(results)}: not a list; give what all_reduce_perf -J wrote")
    config = document.get("config", {})
    config = config if isinstance(config, dict) else {}
    rows = list[Row]()
    for nth, result in enumerate(results):
        line = _line(text, nth, "size")
        where = f"{path}: line {line}: results[{nth}]"
        for place in ("out_of_place", "in_place"):
            if not isinstance(result, dict):
                raise PerfLogError(f"{where} = {show(result)}: not an object; give what all_reduce_perf -J wrote")
            found = result.get(place)
            if found is None:
                continue
            if isinstance(found, dict) and "cpu_time" in found:
                raise PerfLogError(f"{where}: times of the CPU; run the benchmark without -C")
            rows.append(
                Row(
                    int(_number(where, result, "size")), int(_number(where, result, "count")),
                    str(result.get("type", "")), _number(f"{where}.{place}", found, "time"),
                    _number(f"{where}.{place}", found, "alg_bw"), _number(f"{where}.{place}", found, "bus_bw"),
                    place == "in_place", _wrong(found.get("nwrong")), line, _ROUNDING,
                )
            )  # fmt: skip
    return PerfLog(path, _header(document, config), tuple(rows), left_out)


def _header(document: dict[str, Any], config: dict[str, Any]) -> Header:
    devices = [item for item in config.get("devices") or () if isinstance(item, dict)]
    processes = {(item.get("hostname"), item.get("pid")) for item in devices}
    threads, gpus = _maybe(config, "nthreads"), _maybe(config, "ngpus")
    each = (threads or 1) * (gpus or 1)
    # The benchmark writes one device for each process, however many it drives.
    ranks = len(processes) * each if devices else None
    args = document.get("args")
    program = re.search(r"\b(\w+_perf)\b", str(args[0])) if isinstance(args, list) and args else None
    return Header(
        tool="nccl-tests",
        program=program[1] if program else "",
        version=str(document.get("nccl_version", "")),
        ranks=ranks,
        nodes=len({host for host, _ in processes}) if devices else None,
        devices=tuple(dict.fromkeys(str(item.get("device_info", "")) for item in devices)),
        threads=threads,
        gpus=gpus,
        launch=launched(len(processes), ranks, gpus) if ranks else "",
        graph=bool(config.get("graph")),
    )


def _rccl(document: list[Any], text: str, path: str, left_out: tuple[str, ...]) -> PerfLog:
    rows = list[Row]()
    header = Header("rccl-tests")
    for nth, record in enumerate(document):
        line = _line(text, nth, "size")
        where = f"{path}: line {line}: [{nth}]"
        if not isinstance(record, dict):
            raise PerfLogError(f"{where} = {show(record)}: not an object; give what rccl-tests wrote")
        here = Header(
            "rccl-tests", program=str(record.get("name", "")), ranks=int(_number(where, record, "ranks")),
            nodes=_maybe(record, "nodes"), gpus=_maybe(record, "gpusPerRank"),
        )  # fmt: skip
        if rows and here != header:
            raise PerfLogError(f"{where}: another run than [{nth - 1}]; give each run as a file of its own")
        header = here
        rows.append(
            Row(
                int(_number(where, record, "size")), None, str(record.get("type", "")), _number(where, record, "time"),
                _number(where, record, "algBw"), _number(where, record, "busBw"), bool(record.get("inPlace")),
                _wrong(record.get("wrong")), line, _ROUNDING,
            )
        )  # fmt: skip
    return PerfLog(path, header, tuple(rows), left_out)


def _number(where: str, record: Any, key: str) -> float:
    value = record.get(key) if isinstance(record, dict) else None
    # Compared and not converted: a whole number may be longer than a float can be. Nothing is true of NaN.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_MOST < value < _MOST:
        raise PerfLogError(f"{where}.{key} = {show(value)}: not a number; give what the benchmark wrote")
    return float(value)


def _maybe(record: dict[str, Any], key: str) -> int | None:
    """A count that may be missing."""
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST else None


def _wrong(value: object) -> int | None:
    """Elements that were wrong; a text where rccl-tests writes one, and ``N/A`` or null where nobody looked."""
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return None
