"""Which keys a fabric file may have, and what each of them may hold.

The form of the files as data: a new key is one line in a table here, and reading, ``--set`` and the tests then know
it. Each key is looked at by itself; what several mean together is the business of `ringsim.fabric.checks`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ringsim.fabric.errors import show, suggest
from ringsim.units import UnitError, parse_number, parse_rate, parse_size, parse_time

#: Algorithms whose constants a protocol may state separately, as NCCL's own tables do: those of `ringsim.collectives`,
#: which this layer cannot ask (a test compares the two).
ALGORITHMS = (
    "ring", "tree", "bidirectional-ring", "tour-ring", "forest", "torus-ring", "swing", "halving-doubling",
    "recursive-doubling", "one-shot", "two-shot", "nhr", "nb", "hierarchical-ring", "hierarchical-halving-doubling",
    "hierarchical-recursive-doubling", "hierarchical-nhr", "hierarchical-nb", "hierarchical-swing",
    "hierarchical-one-shot", "hierarchical-one-shot-2", "hierarchical-one-shot-3",
    "hierarchical-two-shot", "hierarchical-two-shot-2", "hierarchical-two-shot-3", "pipeline", "ahc",
    "in-switch", "direct", "halving", "doubling", "scatter-all-gather", "reduce-scatter-gather", "pairwise",
)  # fmt: skip

Value = str | int | float | tuple[int, ...]


@dataclass(frozen=True)
class Kind:
    """What a key may hold.

    Parameters
    ----------
    parse : callable
        From what TOML (or the command line, as text) gave to the checked SI value; raises `UnitError`.
    sourced : bool
        True for numbers, which come as ``[value, "source"]``; False for names, kinds and titles.
    default : str or None
        What an absent key means; None if the key must be there.
    fixed : str
        Why the key cannot be changed after loading and what to do instead; empty if it can be.
    """

    parse: Callable[[object], Value]
    sourced: bool = True
    default: str | None = None
    fixed: str = ""


# --- what a value may be ------------------------------------------------------------------------------


def _text_of(raw: object, right: str) -> str:
    """Demand a text: numbers without a unit mean nothing here, and true is not 1."""
    if isinstance(raw, bool):
        raise UnitError(show(raw), "a yes or no, not a quantity", right)
    if isinstance(raw, (int, float)):
        raise UnitError(show(raw), "a number without a unit", right)
    if not isinstance(raw, str):
        raise UnitError(show(raw), "not a text in quotes", right)
    return raw


def _size(raw: object) -> Value:
    return parse_size(_text_of(raw, 'write a size such as "80GB" or "64GiB"'))


def _rate(raw: object) -> Value:
    return parse_rate(_text_of(raw, 'write a rate such as "25GB/s" or "200Gb/s"'))


def _limit(raw: object) -> Value:
    """Read a rate that may be missing: inf means that nothing limits it."""
    if raw in ("inf", math.inf) and not isinstance(raw, bool):
        return math.inf
    return parse_rate(_text_of(raw, 'write a rate such as "25GB/s", or "inf" for no limit'))


def _time(raw: object) -> Value:
    return parse_time(_text_of(raw, 'write a time such as "1.5us"'))


def _plain(raw: object, right: str) -> float:
    """Read a number that has no unit, written as a number or as a ratio in quotes."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise UnitError(show(raw), "not a number", right)
    if isinstance(raw, str):
        return parse_number(raw)
    try:
        value = float(raw)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise UnitError(show(raw), "must be finite", right)
    return value


def _between(low: float, high: float, right: str, *, low_allowed: bool) -> Callable[[object], Value]:
    def parse(raw: object) -> Value:
        value = _plain(raw, right)
        if value > high or value < low or (value == low and not low_allowed):
            raise UnitError(show(raw), "out of range", right)
        return value

    return parse


_positive = _between(0, math.inf, "must be larger than 0", low_allowed=False)
_at_least_one = _between(1, math.inf, "must be 1 or larger", low_allowed=True)
_efficiency = _between(0, 1, 'must be larger than 0 and at most 1, for example 0.8 or "20.0/25"', low_allowed=False)


def _count(low: int) -> Callable[[object], Value]:
    right = f"write a whole number, {low} or larger"

    def parse(raw: object) -> Value:
        if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", raw):
            raw = int(raw)
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise UnitError(show(raw), "not a whole number", right)
        if raw < low:
            raise UnitError(show(raw), "too small", right)
        if raw > 10**9:
            # Far beyond any machine, and small enough for every product of counts to stay an exact float.
            raise UnitError(show(raw), "too large", f"write a whole number from {low} to 1000000000")
        return raw

    return parse


def _sides_of(least: int) -> Callable[[object], Value]:
    """Read the sides of a torus: [4, 4] in a file, 4x4 on the command line, [] or none for no sides."""
    right = (
        f"write the sides, each {least} or larger, as [4, 4] in a file or 4x4 on the command line; none for no sides"
    )

    def parse(raw: object) -> Value:
        if isinstance(raw, str):
            raw = [] if raw == "none" else raw.lower().split("x")
        if not isinstance(raw, list):
            raise UnitError(show(raw), "not a list of sides", right)
        sides = []
        for side in raw:
            try:
                value = _count(least)(side)
            except UnitError as error:
                raise UnitError(show(raw), f"the side {show(side)} is {error.wrong}", right) from None
            assert isinstance(value, int)
            sides.append(value)
        return tuple(sides)

    return parse


def _choice(*words: str) -> Callable[[object], Value]:
    right = "one of " + ", ".join(words)

    def parse(raw: object) -> Value:
        if isinstance(raw, list):
            raise UnitError(show(raw), "kinds and names are plain texts without a source", right)
        if not isinstance(raw, str):
            raise UnitError(show(raw), "not a text in quotes", right)
        if raw not in words:
            raise UnitError(raw, "unknown", suggest(raw, words))
        return raw

    return parse


def _yes(raw: object) -> Value:
    """Read true or false: in a file as TOML has them, on the command line as words."""
    if isinstance(raw, str) and raw in ("true", "false"):
        return raw == "true"
    if not isinstance(raw, bool):
        raise UnitError(show(raw), "neither true nor false", "write true or false")
    return raw


def _words(raw: object) -> Value:
    right = "write a short text in quotes"
    if isinstance(raw, list):
        raise UnitError(show(raw), "kinds and names are plain texts without a source", right)
    if not isinstance(raw, str):
        raise UnitError(show(raw), "not a text in quotes", right)
    if not raw.strip():
        raise UnitError(raw, "empty", right)
    return raw


# --- which keys there are -----------------------------------------------------------------------------

_COPY = "copy the file and edit it to give it another name"

FABRIC_KEYS: dict[str, Kind] = {
    "name": Kind(_words, sourced=False, fixed=_COPY),
    "title": Kind(_words, sourced=False, fixed=_COPY),
    "card.name": Kind(_words, sourced=False, fixed=_COPY),
    "card.fp16_tflops": Kind(_positive),
    "card.memory": Kind(_size),
    "card.memory_bandwidth": Kind(_rate),
    "card.watts": Kind(_positive, default=""),
    "card.price_usd": Kind(_positive, default=""),
    "domain.kind": Kind(_choice("switch", "full-mesh", "ring", "torus"), sourced=False),
    "domain.size": Kind(_count(1)),
    "domain.server": Kind(_count(1), default=""),
    "domain.shape": Kind(_sides_of(2), default=""),
    "domain.lanes": Kind(_count(1)),
    "domain.lane_bandwidth": Kind(_rate),
    "domain.datasheet_bandwidth": Kind(
        _rate, fixed="it only checks other keys: change domain.lanes or domain.lane_bandwidth"
    ),
    "domain.efficiency": Kind(_efficiency),
    "domain.latency": Kind(_time),
    "domain.reduces": Kind(_yes, default=""),
}

#: What each kind of network needs to be told, and what it may be told, beside what all of them have.
NETWORK_USES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rail-leaf-spine": (("oversubscription",), ()),
    "leaf-spine": (("oversubscription",), ()),
    "fat-tree": (("oversubscription", "spine_oversubscription", "wiring"), ("spine_radix",)),
    "dual-plane": (("oversubscription", "planes"), ()),
    "torus": (("links",), ("shape",)),
    "dragonfly": (("nics_per_switch", "group_switches", "global_links"), ("groups",)),
}

NETWORK_KEYS: dict[str, Kind] = {
    "nic.line_rate": Kind(_rate, fixed="it only checks another key: change nic.bandwidth"),
    "nic.bandwidth": Kind(_rate),
    "nic.efficiency": Kind(_efficiency),
    "nic.host_bandwidth": Kind(_rate),
    "nic.latency": Kind(_time),
    "network.name": Kind(_words, sourced=False, fixed=_COPY),
    "network.title": Kind(_words, sourced=False, fixed=_COPY),
    "network.kind": Kind(_choice(*NETWORK_USES), sourced=False),
    # A switch with one port connects nothing, and half its ports go down and half up.
    "network.radix": Kind(_count(2)),
    "network.oversubscription": Kind(_at_least_one, default=""),
    "network.spine_radix": Kind(_count(2), default=""),
    "network.spine_oversubscription": Kind(_at_least_one, default=""),
    "network.wiring": Kind(_choice("rails", "plain"), sourced=False, default=""),
    "network.planes": Kind(_count(1), default=""),
    "network.shape": Kind(_sides_of(1), default=""),
    "network.links": Kind(_count(1), default=""),
    "network.nics_per_switch": Kind(_count(1), default=""),
    "network.group_switches": Kind(_count(1), default=""),
    "network.global_links": Kind(_count(1), default=""),
    "network.groups": Kind(_count(1), default=""),
    "network.switch_latency": Kind(_time),
    "network.routing": Kind(_choice("spread", "hash"), sourced=False),
    "network.reduces": Kind(_yes, default=""),
}

PROTOCOL_KEYS: dict[str, Kind] = {
    "startup": Kind(_time),
    "step_scale_up": Kind(_time),
    "step_network": Kind(_time),
    "wire": Kind(_at_least_one),
    "slices": Kind(_count(1)),
    "share": Kind(_choice("reserved", "max-min"), sourced=False),
    "channel_cap": Kind(_limit, default="inf"),
    "limit_scale_up": Kind(_limit, default="inf"),
    "limit_network": Kind(_limit, default="inf"),
    "send_overhead": Kind(_time, default="0us"),
    "slice_overhead": Kind(_time, default="0us"),
    "message_gap": Kind(_time, default="0us"),
    "reduce_bandwidth": Kind(_limit, default="inf"),
    "channels": Kind(_count(1), default=""),
    "copy_bandwidth": Kind(_limit, default="inf"),
}

PROTOCOL_NAME = re.compile(r"[A-Za-z0-9_-]+")


def known_keys(protocols: Iterable[str], *, fabric: bool = True, network: bool = True) -> dict[str, Kind]:
    """List every key that may occur, in the order in which files are written.

    Parameters
    ----------
    protocols : iterable of str
        The names of the protocols that the file describes.
    fabric, network : bool
        Whether the keys of a fabric file and those of a network file are wanted.
    """
    keys = dict(FABRIC_KEYS) if fabric else {}
    if network:
        keys |= NETWORK_KEYS
    if fabric:
        for name in protocols:
            for place in (name, *(f"{name}.{algorithm}" for algorithm in ALGORITHMS)):
                keys |= {f"protocol.{place}.{key}": kind for key, kind in PROTOCOL_KEYS.items()}
    return keys


def is_override(key: str) -> bool:
    """Tell whether a key belongs to one algorithm of a protocol, where every key is optional."""
    return key.startswith("protocol.") and key.count(".") == 3
