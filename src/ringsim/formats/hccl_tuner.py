"""The file that tells HCCL's example tuner plug-in which algorithm to use when: JSON, a list of rules for each collective.

HCCL loads the plug-in by HCCL_TUNER_PLUGIN and that the file by HCCL_TUNER_CONFIG_FILE. It takes the first rule that fits a
call and gives the algorithm that the rule names (engine, executor, template) the rule's cost; the algorithm with the least
cost runs. A file with one mistake is not used at all, and only the log says so.

Source: github:hicann/hccl examples/06_tuner_plugin/plugin.cpp @c89b5698 and README.md @3122691155.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from ringsim.fabric.errors import show, suggest
from ringsim.formats.errors import TunerFileError

VERSION = 1
COLLECTIVES = ("allreduce", "allgather", "broadcast", "reduce", "reduce_scatter", "scatter", "alltoall", "alltoallv")
ENGINES = ("aicpu", "ccums", "ccusched", "aiv", "dpu")
EXECUTORS = ("sole", "sequence", "parallel", "pipeline", "concur")
#: Templates of one level; an algorithm of several levels has theirs in one word, such as meshconcurnhr.
TEMPLATES = (
    "mesh", "mesh2die", "meshoneshot", "meshtwoshot", "meshconcur", "meshmultilink", "meshchunk", "meshchunktwoshot",
    "nhr", "nhrmultilink",
)  # fmt: skip
#: What else is in the names of HCCL's algorithms (src/ops/*/executor), behind templates or alone.
ENDINGS = ("aicpureduce", "pcie", "ubx", "uboe")
DATA_TYPES = (
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "fp16", "float16", "fp32", "float32",
    "fp64", "float64", "bfp16", "bfloat16",
)  # fmt: skip

MOST_NUMBER, MOST_BYTES = 2**32 - 1, 2**64 - 1
MOST_RULES, MOST_IN_ALL, MOST_FILE, MOST_NAME = 2000, 5000, 4 * 1024 * 1024, 63

#: Executor and template of our algorithms, by collective: what HCCL has of them (see the names in its selectors).
WORDS = {
    "all-reduce": {
        "one-shot": ("sole", "meshoneshot"), "two-shot": ("sole", "meshtwoshot"), "nhr": ("sole", "nhr"),
        "hierarchical-nhr": ("sequence", "meshconcurnhr"),
    },
    "all-gather": {
        "direct": ("sole", "mesh"), "nhr": ("sole", "nhr"), "hierarchical-nhr": ("sequence", "meshconcurnhr"),
    },
    "reduce-scatter": {
        "direct": ("sole", "mesh"), "nhr": ("sole", "nhr"), "hierarchical-nhr": ("sequence", "meshconcurnhr"),
    },
}  # fmt: skip
_SPELLED = {"reduce-scatter": "reduce_scatter"}


@dataclass(frozen=True)
class Match:
    """Calls that a rule is for; ends are included, and None is any.

    Attributes
    ----------
    min_ranks, max_ranks, min_bytes, max_bytes : int
        A rule has to say these.
    data_type, comm_name : str or None
        One of `DATA_TYPES`; part of the communicator's name.
    min_npus_per_server, … : int or None
    buffer_size : int or None
        Bytes of the communicator's buffer, exactly.
    """

    min_ranks: int
    max_ranks: int
    min_bytes: int
    max_bytes: int
    data_type: str | None = None
    comm_name: str | None = None
    min_npus_per_server: int | None = None
    max_npus_per_server: int | None = None
    min_servers: int | None = None
    max_servers: int | None = None
    min_pods: int | None = None
    max_pods: int | None = None
    min_super_pods: int | None = None
    max_super_pods: int | None = None
    buffer_size: int | None = None


_CONDITIONS = tuple(field.name for field in fields(Match))
_RANGES = tuple(name.removeprefix("min_") for name in _CONDITIONS if name.startswith("min_"))


@dataclass(frozen=True)
class Rule:
    """One rule, in the words of the file.

    Attributes
    ----------
    collective : str
    match : Match
    engine, executor, template : str
        Which algorithm.
    cost : float
        What HCCL is to believe that it costs; 0 is the best there is.
    """

    collective: str
    match: Match
    engine: str
    executor: str
    template: str
    cost: float = 0.0


def spoken(collective: str, algorithm: str) -> tuple[str, str, str] | None:
    """Say one of our algorithms in HCCL's words: collective, executor and template; None where HCCL has no such thing."""
    words = WORDS.get(collective, {}).get(algorithm)
    return None if words is None else (_SPELLED.get(collective, collective.replace("-", "")), *words)


def write(rules: Iterable[Rule], path: str | Path, *, comments: Sequence[str] = ()) -> None:
    """Write rules to a file.

    Parameters
    ----------
    rules : iterable of Rule
        The first of a collective that fits a call is used.
    path : str or Path
    comments : sequence of str
        Lines for people; the plug-in passes over what it does not know at the top.

    Raises
    ------
    TunerFileError
        If the plug-in would not take a rule, or it can never be used.
    OSError
        If the file cannot be written.
    """
    rules = list(rules)
    by_collective: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        match = {name: getattr(rule.match, name) for name in _CONDITIONS if getattr(rule.match, name) is not None}
        said = {"match": match, "engine": rule.engine, "executor": rule.executor, "template": rule.template}
        by_collective.setdefault(rule.collective, []).append(said | {"cost": rule.cost})
    document = {"version": VERSION, "op_types": {name: {"rules": said} for name, said in by_collective.items()}}
    text = json.dumps(({"comment": list(comments)} if comments else {}) | document, indent=2) + "\n"
    _rules(str(path), json.loads(text), len(text.encode()))
    Path(path).write_text(text, encoding="utf-8")


def read(path: str | Path) -> list[Rule]:
    """Read the rules of a file.

    Raises
    ------
    TunerFileError
        If there is no such file, or the plug-in would not take it; the message says file and key, and what would be right.
    """
    try:
        text = Path(path).read_text("utf-8")
        document = json.loads(text, object_pairs_hook=_once)
    except OSError as error:
        raise TunerFileError(f"{path}: {error.strerror}; name an existing file of an HCCL tuner plug-in") from None
    except json.JSONDecodeError as error:
        raise TunerFileError(
            f"{path}: line {error.lineno}, column {error.colno}: {error.msg}; repair the JSON there"
        ) from None
    except UnicodeDecodeError as error:
        raise TunerFileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except ValueError as error:
        raise TunerFileError(f"{path}: {error}; leave one of them out") from None
    except RecursionError:
        raise TunerFileError(f"{path}: too many brackets inside each other; a tuner's file needs six") from None
    return _rules(str(path), document, len(text.encode()))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found


def _refuse(where: str, value: object, right: str) -> NoReturn:
    raise TunerFileError(f"{where} = {show(value)}: {right}")


def _rules(path: str, document: object, size: int) -> list[Rule]:
    if size > MOST_FILE:
        raise TunerFileError(f"{path}: has {size:,} bytes; the plug-in reads {MOST_FILE:,} at most")
    if not isinstance(document, dict):
        raise TunerFileError(f'{path}: holds {show(document)}; write {{"version": 1, "op_types": {{...}}}}')
    version = document.get("version", "(missing)")
    if version != VERSION or isinstance(version, bool):
        _refuse(f"{path}: version", version, f"write {VERSION}, the only one there is")
    op_types = document.get("op_types", "(missing)")
    if not isinstance(op_types, dict):
        _refuse(f"{path}: op_types", op_types, 'write {"allreduce": {"rules": [...]}}')
    found = list[Rule]()
    for collective, said in op_types.items():
        where = f"{path}: op_types.{collective}"
        if collective not in COLLECTIVES:
            raise TunerFileError(f"{where}: no collective of HCCL; {suggest(collective, COLLECTIVES)}")
        rules = said.get("rules", "(missing)") if isinstance(said, dict) else said
        if not isinstance(rules, list) or not 1 <= len(rules) <= MOST_RULES:
            value = f"{len(rules)} rules" if isinstance(rules, list) else rules
            _refuse(f"{where}.rules", value, f"write a list of 1 to {MOST_RULES} rules")
        here = [_rule(f"{where}.rules[{number}]", collective, rule) for number, rule in enumerate(rules)]
        _apart(f"{where}.rules", here)
        found += here
    if len(found) > MOST_IN_ALL:
        raise TunerFileError(f"{path}: has {len(found)} rules; the plug-in takes {MOST_IN_ALL} at most")
    return found


def _rule(where: str, collective: str, said: object) -> Rule:
    if not isinstance(said, dict):
        _refuse(where, said, 'write an object with "match", "engine", "executor", "template" and "cost"')
    keys = ("match", "engine", "executor", "template", "cost")
    for key in said:
        if key not in (*keys, "args"):
            raise TunerFileError(f"{where}: there is no key {key!r}; {suggest(key, keys)}")
    for key in keys:
        if key not in said:
            raise TunerFileError(f"{where}: has no {key}; a rule says {', '.join(keys)}")
    for key, known in (("engine", ENGINES), ("executor", EXECUTORS)):
        if said[key] not in known:
            _refuse(f"{where}.{key}", said[key], suggest(str(said[key]), known))
    template, cost = said["template"], said["cost"]
    parts = sorted((*TEMPLATES, *ENDINGS), key=len, reverse=True)
    if not isinstance(template, str) or not re.fullmatch(f"(?:{'|'.join(parts)})+", template):
        _refuse(f"{where}.template", template, f"{suggest(str(template), TEMPLATES)}, or several in one word")
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost < math.inf:
        _refuse(f"{where}.cost", cost, "write a number, at least 0; 0 is the best")
    return Rule(
        collective, _match(f"{where}.match", said["match"]), said["engine"], said["executor"], template, float(cost)
    )


def _match(where: str, said: object) -> Match:
    if not isinstance(said, dict):
        _refuse(where, said, 'write {"min_ranks": ..., "max_ranks": ..., "min_bytes": ..., "max_bytes": ...}')
    for key, value in said.items():
        if key not in _CONDITIONS:
            raise TunerFileError(f"{where}: there is no condition {key!r}; {suggest(key, _CONDITIONS)}")
        if key == "data_type":
            if value not in DATA_TYPES:
                _refuse(f"{where}.{key}", value, suggest(str(value), DATA_TYPES))
        elif key == "comm_name":
            if not isinstance(value, str) or not 0 < len(value.encode()) <= MOST_NAME:
                _refuse(f"{where}.{key}", value, f"write 1 to {MOST_NAME} characters")
        else:
            most = MOST_BYTES if key in ("min_bytes", "max_bytes", "buffer_size") else MOST_NUMBER
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                _refuse(f"{where}.{key}", value, f"write a whole number from 0 to {most}")
    for name in _CONDITIONS[:4]:
        if name not in said:
            raise TunerFileError(f"{where}: has no {name}; a rule says {', '.join(_CONDITIONS[:4])}")
    for name in _RANGES:
        low, high = said.get(f"min_{name}"), said.get(f"max_{name}")
        if low is not None and high is not None and low > high:
            _refuse(f"{where}.max_{name}", high, f"at least {low}, the min_{name}")
    return Match(**said)


def _apart(where: str, rules: list[Rule]) -> None:
    """Refuse rules for the same calls whose bytes overlap, and rules that are never used: the first that fits is."""
    for number, rule in enumerate(rules):
        for before, other in enumerate(rules[:number]):
            mine, its = rule.match, other.match
            meet = mine.min_bytes <= its.max_bytes and its.min_bytes <= mine.max_bytes
            same = all(
                getattr(mine, name) == getattr(its, name)
                for name in _CONDITIONS
                if name not in ("min_bytes", "max_bytes")
            )
            if (meet and same) or _covers(its, mine):
                free = f"begin at {its.max_bytes + 1}" if its.max_bytes < mine.max_bytes else "leave it out"
                _refuse(
                    f"{where}[{number}].match", f"{mine.min_bytes} to {mine.max_bytes} bytes",
                    f"rules[{before}] comes first with {its.min_bytes} to {its.max_bytes} bytes for the same calls; {free}",
                )  # fmt: skip


def _covers(other: Match, one: Match) -> bool:
    """Whether all that fits `one` fits `other`."""
    for name in ("data_type", "buffer_size"):
        if getattr(other, name) not in (None, getattr(one, name)):
            return False
    if other.comm_name is not None and (one.comm_name is None or other.comm_name not in one.comm_name):
        return False
    for name in _RANGES:
        most = MOST_BYTES if name == "bytes" else MOST_NUMBER
        (low, high), (its_low, its_high) = (
            (getattr(match, f"min_{name}") or 0, most if (end := getattr(match, f"max_{name}")) is None else end)
            for match in (one, other)
        )
        if low < its_low or high > its_high:
            return False
    return True
