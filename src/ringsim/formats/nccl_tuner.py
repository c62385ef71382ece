"""The file that tells NCCL's example tuner plug-in which algorithm to use when: lines of words and numbers with commas.

NCCL loads the plug-in by NCCL_TUNER_PLUGIN and that the file by NCCL_TUNER_CONFIG_FILE. It takes the first line that fits,
and a word that it does not know for ``allreduce``, ``ring`` or ``simple`` without saying so; here it is an error.

Source: github:NVIDIA/nccl plugins/tuner/example/plugin.c @35512d6f.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NoReturn

from ringsim.fabric.errors import show, suggest
from ringsim.formats.errors import TunerFileError

COLLECTIVES = ("broadcast", "reduce", "allgather", "reducescatter", "allreduce")
ALGORITHMS = ("tree", "ring", "collnet_direct", "collnet_chain", "nvls", "nvls_tree", "pat")
PROTOCOLS = ("ll", "ll128", "simple")

#: Any number of channels, nodes, ranks or pipelined operations.
ANY = -1
MOST_BYTES, MOST_NUMBER = 2**64 - 1, 2**31 - 1
#: The plug-in reads lines of this many characters, and what follows as lines of their own.
LINE = 254
NEEDED = 8

#: Words for our algorithms, by collective; `spoken` knows those for what adds in switches.
WORDS = {
    "all-reduce": {"ring": "ring", "tree": "tree"},
    "all-gather": {"ring": "ring"},
    "reduce-scatter": {"ring": "ring"},
    "broadcast": {"ring": "ring"},
    "reduce": {"ring": "ring"},
}


@dataclass(frozen=True)
class Rule:
    """One line, in the words of the file.

    Attributes
    ----------
    collective, min_bytes, max_bytes, algorithm, protocol : str, int
        For calls of this collective with this many bytes, both ends included.
    channels, nodes, ranks, pipe_ops : int
        `ANY` for any: channels to use, and how many nodes, ranks and pipelined operations the rule is for.
    registered : int
        1 for buffers that are registered, 0 for others, `ANY` for both.
    comment : str
        A line of words for people, written above the rule; not read back.
    """

    collective: str
    min_bytes: int
    max_bytes: int
    algorithm: str
    protocol: str
    channels: int = ANY
    nodes: int = ANY
    ranks: int = ANY
    pipe_ops: int = ANY
    registered: int = ANY
    comment: str = ""


#: Names of the columns, as the file's authors write them.
COLUMNS = (
    "collective_type", "min_bytes", "max_bytes", "algorithm", "protocol", "channels", "nNodes", "nRanks", "numPipeOps",
    "regBuff",
)  # fmt: skip

_WORDS = ("collective_type", "algorithm", "protocol")


def spoken(
    collective: str, algorithm: str, protocol: str, *, nodes: int, nvls: bool = True
) -> tuple[str, str, str] | None:
    """Say one of our algorithms in NCCL's words.

    Parameters
    ----------
    collective, algorithm, protocol : str
        As they are called here.
    nodes : int
    nvls : bool
        Whether the switches inside nodes add, rather than only those between them.

    Returns
    -------
    collective, algorithm, protocol : str, or None
        None where NCCL has no such algorithm or protocol.
    """
    if algorithm == "in-switch" and collective == "all-reduce":
        word: str | None = "nvls" if nvls or nodes == 1 else "collnet_direct"
    else:
        word = WORDS.get(collective, {}).get(algorithm)
    said = protocol.casefold()
    if word is None or said not in PROTOCOLS:
        return None
    return collective.replace("-", ""), word, said


def write(rules: Iterable[Rule], path: str | Path, *, comments: Sequence[str] = ()) -> None:
    """Write rules to a file.

    Parameters
    ----------
    rules : iterable of Rule
        The first that fits a call is used.
    path : str or Path
    comments : sequence of str
        Lines for people, at the top.

    Raises
    ------
    TunerFileError
        If a rule is none that NCCL would read as it is meant, or can never be used.
    OSError
        If the file cannot be written.
    """
    rules, lines = list(rules), [*_remarks(comments), f"# {','.join(COLUMNS)}"]
    for number, rule in enumerate(rules):
        _check(f"{path}: rule {number}", rule)
        line = ",".join(str(value) for value in astuple(rule)[: len(COLUMNS)])
        lines += [*_remarks([rule.comment] if rule.comment else []), line]
    _apart([(f"{path}: rule {number}", rule) for number, rule in enumerate(rules)])
    Path(path).write_text("\n".join([*lines, ""]), encoding="utf-8")


def _remarks(texts: Iterable[str]) -> list[str]:
    """Lines that the plug-in passes over: it reads as many characters at once as `LINE` says."""
    return [f"# {line}"[:LINE] for text in texts for line in text.splitlines()]


def read(path: str | Path) -> list[Rule]:
    """Read the rules of a file.

    Raises
    ------
    TunerFileError
        If there is no such file, a line is none that NCCL would read as it is meant, or can never be used; the message
        says file, line and column, and what would be right.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise TunerFileError(f"{path}: {error.strerror}; name an existing file of an NCCL tuner plug-in") from None
    except UnicodeDecodeError as error:
        raise TunerFileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    found = list[tuple[str, Rule]]()
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}: line {number}"
        if len(line.encode()) > LINE:
            raise TunerFileError(f"{where}: has {len(line.encode())} characters; NCCL reads {LINE} at most")
        if not line.strip() or line.startswith("#"):
            continue
        rule = _rule(where, [value.strip() for value in line.split(",")])
        _check(where, rule)
        found.append((where, rule))
    _apart(found)
    return [rule for _, rule in found]


def _rule(where: str, values: list[str]) -> Rule:
    if not NEEDED <= len(values) <= len(COLUMNS):
        raise TunerFileError(
            f"{where}: has {len(values)} columns; write {','.join(COLUMNS[:NEEDED])}, and if need be "
            f"{','.join(COLUMNS[NEEDED:])}; a comment has # in the first column"
        )
    numbers = list[int]()
    for column, value in zip(COLUMNS, values, strict=False):
        if column not in _WORDS:
            try:
                numbers.append(int(value))
            except ValueError:
                _refuse(where, column, value, "write a whole number")
    low, high, *more = numbers
    channels, nodes, ranks, pipe_ops, registered = [*more, ANY, ANY][:5]
    return Rule(values[0], low, high, values[3], values[4], channels, nodes, ranks, pipe_ops, registered)


def _refuse(where: str, column: str, value: object, right: str) -> NoReturn:
    raise TunerFileError(f"{where}: {column} = {show(value)}: {right}")


def _check(where: str, rule: Rule) -> None:
    """Refuse words and numbers that NCCL would take for something else."""
    for column, value, known in (
        ("collective_type", rule.collective, COLLECTIVES),
        ("algorithm", rule.algorithm, ALGORITHMS),
        ("protocol", rule.protocol, PROTOCOLS),
    ):
        if value not in known:
            _refuse(where, column, value, suggest(value, known))
    for column, number, least in (("min_bytes", rule.min_bytes, 0), ("max_bytes", rule.max_bytes, rule.min_bytes)):
        if not least <= number <= MOST_BYTES:
            _refuse(where, column, number, f"at least {least}" + (", the min_bytes" if column == "max_bytes" else ""))
    for column, number in zip(COLUMNS[5:9], (rule.channels, rule.nodes, rule.ranks, rule.pipe_ops), strict=True):
        if number != ANY and not 1 <= number <= MOST_NUMBER:
            _refuse(where, column, number, "at least 1, or -1 for any")
    if rule.registered not in (ANY, 0, 1):
        _refuse(where, "regBuff", rule.registered, "1 for registered buffers, 0 for others, -1 for both")


def _apart(rules: list[tuple[str, Rule]]) -> None:
    """Refuse ranges that overlap, and rules that are never used: the first that fits is."""
    for number, (where, rule) in enumerate(rules):
        for before, other in rules[:number]:
            if rule.collective != other.collective:
                continue
            mine, its = (_conditions(each) for each in (rule, other))
            meet = rule.min_bytes <= other.max_bytes and other.min_bytes <= rule.max_bytes
            whole = other.min_bytes <= rule.min_bytes and rule.max_bytes <= other.max_bytes
            covers = all(b in (ANY, a) for a, b in zip(mine, its, strict=True))
            if (meet and mine == its) or (whole and covers):
                earlier = before.rpartition(": ")[2]
                free = f"begin at {other.max_bytes + 1}" if other.max_bytes < rule.max_bytes else "leave it out"
                _refuse(
                    where, "min_bytes, max_bytes", f"{rule.min_bytes},{rule.max_bytes}",
                    f"{earlier} comes first with {other.min_bytes},{other.max_bytes} for the same calls; {free}",
                )  # fmt: skip


def _conditions(rule: Rule) -> tuple[int, ...]:
    return rule.nodes, rule.ranks, rule.pipe_ops, rule.registered
