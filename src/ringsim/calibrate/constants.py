"""What calibration may move: seven constants, of which a log is asked for five at most.

Each stands for one thing that happens and moves all numbers of the data sheet that are about it by the same amount, so
that what the library's authors state about differences between protocols and algorithms stays as it is.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ringsim.fabric import Fabric
from ringsim.fabric.errors import suggest
from ringsim.question import StudyError

#: More would fit any curve.
MOST = 5

#: A constant becomes at most so many times as large, or as small.
FURTHEST = 20.0

#: One unit in which a time is looked for, in seconds; that of a factor is its logarithm.
UNIT = 10e-6


def _protocols(sheet: Fabric, last: str, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Keys of protocols that end in `last` and state something, those of single algorithms included."""
    wanted = set(sheet.protocols if names is None else names)
    found = [key for key in sheet.sources if key.startswith("protocol.") and key.endswith(f".{last}")]
    return tuple(key for key in found if key.split(".")[1] in wanted and math.isfinite(value_of(sheet, key)))


def _bulk(sheet: Fabric) -> tuple[str, ...]:
    """The protocol for large messages, the one with the fewest bytes on the wire, where there are others."""
    if len(sheet.protocols) == 1:
        return ()
    return (min(sheet.protocols, key=lambda name: sheet.protocols[name].base.wire),)


@dataclass(frozen=True)
class Constant:
    """One thing that may be found anew.

    Attributes
    ----------
    name : str
    about : str
        What it stands for.
    keys : callable
        Which numbers of a data sheet it moves.
    adds : bool
        Whether it adds a time to them; otherwise it multiplies them.
    within, across : bool
        Whether a log of one node, or of several, is asked for it unless the user says otherwise.
    """

    name: str
    about: str
    keys: Callable[[Fabric], tuple[str, ...]]
    adds: bool = False
    within: bool = False
    across: bool = False

    def moves(self, sheet: Fabric) -> bool:
        """Whether the data sheet has anything that it could move: nothing becomes more by being multiplied."""
        keys = self.keys(sheet)
        return bool(keys) and (self.adds or any(value_of(sheet, key) for key in keys))

    def bounds(self, sheet: Fabric) -> tuple[float, float]:
        """Least and most that it may be, in the units of the search."""
        values = [value_of(sheet, key) for key in self.keys(sheet)]
        if self.adds:
            return -max(values) / UNIT - 1e-9, math.inf
        ceiling = -math.log(max(values)) if self.keys(sheet)[0].endswith(".efficiency") else math.inf
        # The search wants room on both sides of where it begins.
        return -math.log(FURTHEST), max(min(math.log(FURTHEST), ceiling), 1e-6)


CONSTANTS: dict[str, Constant] = {
    constant.name: constant
    for constant in (
        Constant(
            "startup", "before the first step, every protocol", lambda s: _protocols(s, "startup"),
            adds=True, within=True, across=True,
        ),
        Constant(
            "links", "what payload reaches of the links in a node", lambda s: ("domain.efficiency",),
            within=True, across=True,
        ),
        Constant(
            "step", "software of a step in a node, which keeps a channel busy as long",
            lambda s: _protocols(s, "step_scale_up") + _protocols(s, "slice_overhead"), within=True, across=True,
        ),
        Constant(
            "limit", "most that a protocol for small messages carries in a node",
            lambda s: _protocols(s, "limit_scale_up"), within=True,
        ),
        Constant(
            "bulk", "before the first step, the protocol for large messages alone: filling whole buffers",
            lambda s: _protocols(s, "startup", _bulk(s)), adds=True, within=True,
        ),
        Constant("nic", "what payload reaches of a NIC", lambda s: ("nic.efficiency",), across=True),
        Constant(
            "step-network", "software of a step between nodes", lambda s: _protocols(s, "step_network"), across=True,
        ),
    )
}  # fmt: skip


def chosen(sheet: Fabric, *, several_nodes: bool, names: Sequence[str] = ()) -> tuple[Constant, ...]:
    """Constants to look for: those that are named, or what a log of one node or several can tell, if the sheet has them.

    Raises
    ------
    StudyError
        If there is no such constant, the sheet has none of its keys, or too many are asked for.
    """
    if not names:
        wanted = [c for c in CONSTANTS.values() if (c.across if several_nodes else c.within)]
        return tuple(c for c in wanted if c.moves(sheet))
    found = list[Constant]()
    for name in dict.fromkeys(names):
        if name not in CONSTANTS:
            raise StudyError(f"fit = {name}: there is no constant of this name; {suggest(name, CONSTANTS)}")
        constant = CONSTANTS[name]
        if not constant.moves(sheet):
            raise StudyError(f"fit = {name}: {sheet.name} has nothing of the kind; leave it out")
        if name in ("nic", "step-network") and not several_nodes:
            raise StudyError(f"fit = {name}: all logs are of one node, which say nothing about it; leave it out")
        found.append(constant)
    if len(found) > MOST:
        raise StudyError(f"fit = {','.join(names)}: {len(found)} constants; name {MOST} at most")
    return tuple(found)


def value_of(sheet: Fabric, key: str) -> float:
    """Number behind a key of a file, in SI."""
    *table, last = key.split(".")
    if table[0] == "protocol":
        holder: object = sheet.protocol(table[1], table[2] if len(table) == 3 else "")
    else:
        holder = getattr(sheet, table[0])
    return float(getattr(holder, last))


def words_of(key: str, value: float) -> str:
    """Write a number as a file would, with six digits."""
    last = key.rpartition(".")[2]
    if last.startswith("limit"):
        return f"{value / 1e9:.6g}GB/s"
    return f"{value:.6g}" if last == "efficiency" else f"{value * 1e6:.6g}us"


def moved(sheet: Fabric, constants: Sequence[Constant], at: Sequence[float]) -> dict[str, str]:
    """New values of all keys, in the words of a file.

    Parameters
    ----------
    sheet : Fabric
        As it was.
    constants : sequence of Constant
    at : sequence of float
        Where each is: a time in units of `UNIT`, or the logarithm of a factor.
    """
    values: dict[str, float] = {}
    for constant, x in zip(constants, at, strict=True):
        for key in constant.keys(sheet):
            value = values.get(key, value_of(sheet, key))
            value = max(0.0, value + x * UNIT) if constant.adds else value * math.exp(x)
            values[key] = min(value, 1.0) if key.endswith(".efficiency") else value
    return {key: words_of(key, value) for key, value in values.items()}
