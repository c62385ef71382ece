"""From ``chain(topk:0.01,int8)`` to a codec, and the list of all there are, written by hand."""

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from ringsim.codecs.blocks import Fp8, Int
from ringsim.codecs.casts import Bf16, Fp16, Identity
from ringsim.codecs.codec import Codec, CodecError
from ringsim.codecs.dgc import Dgc
from ringsim.codecs.feedback import error_feedback
from ringsim.codecs.lowrank import PowerSgd
from ringsim.codecs.outside import is_module, load
from ringsim.codecs.sign import Sign
from ringsim.codecs.sparse import RandomK, Threshold, TopK
from ringsim.codecs.stochastic import Qsgd, TernGrad
from ringsim.codecs.wrap import chain


@dataclass(frozen=True)
class Entry:
    """How a name becomes a codec.

    Attributes
    ----------
    build : callable
        Takes the parameters as text, and raises `ValueError` or `TypeError` where they are not right.
    usage : str
        How it is written.
    example : str
        One that can be parsed.
    wraps : bool
        Whether its parameters are codecs, in parentheses.
    """

    build: Callable[..., Codec]
    usage: str
    example: str
    wraps: bool = False

    def __call__(self, *parameters: str) -> Codec:
        """Build it.

        Raises
        ------
        CodecError
            If the parameters are not right: says how it is written.
        """
        try:
            return self.build(*parameters)
        except CodecError:
            raise
        except (ValueError, TypeError) as error:
            name = self.usage.partition("(" if self.wraps else ":")[0].partition("[")[0]
            given = f"{name}({','.join(parameters)})" if self.wraps else ":".join((name, *parameters))
            why = f"{error}; " if isinstance(error, ValueError) else ""
            raise CodecError(f"{given}: {why}write {self.usage}, such as {self.example}") from error


def _whole(text: str, least: int = 1, most: int = 2**31 - 1) -> int:
    """Read a whole number within limits."""
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"{text!r} is no whole number from {least} to {most}")
    return int(text)


def _number(text: str, what: str, right: Callable[[float], bool]) -> float:
    """Read a number that must be `what`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not right(value):
        raise ValueError(f"{text!r} is no {what}")
    return value


def _density(text: str) -> float:
    return _number(text, "density above 0 and at most 1", lambda value: 0 < value <= 1)


def _fp8(*parameters: str) -> Fp8:
    """A format, a block, or both."""
    form, *block = parameters if parameters and not parameters[0].isdigit() else ("e4m3", *parameters)
    if form not in ("e4m3", "e5m2"):
        raise ValueError(f"{form!r} is no format: e4m3 or e5m2")
    if len(block) > 1:
        raise TypeError
    return Fp8(form, *map(_whole, block))


#: Every codec. A new one is listed here, and every law of `tests/laws/test_codecs.py` runs on its example.
CODECS: dict[str, Entry] = {
    "identity": Entry(lambda: Identity(), "identity", "identity"),
    "fp16": Entry(lambda: Fp16(), "fp16", "fp16"),
    "bf16": Entry(lambda: Bf16(), "bf16", "bf16"),
    "fp8": Entry(_fp8, "fp8[:e4m3|e5m2][:BLOCK]", "fp8:e4m3:256"),
    "int8": Entry(lambda block="256": Int(8, _whole(block)), "int8[:BLOCK]", "int8:256"),
    "int4": Entry(lambda block="256": Int(4, _whole(block)), "int4[:BLOCK]", "int4:256"),
    "qsgd": Entry(
        lambda levels, bucket="512": Qsgd(_whole(levels, 1, 127), _whole(bucket)), "qsgd:LEVELS[:BUCKET]", "qsgd:7:512"
    ),
    "terngrad": Entry(lambda *bucket: TernGrad(*map(_whole, bucket)), "terngrad[:BUCKET]", "terngrad"),
    "sign": Entry(lambda block="2048": Sign(_whole(block)), "sign[:BLOCK]", "sign:2048"),
    "topk": Entry(lambda density: TopK(_density(density)), "topk:DENSITY", "topk:0.01"),
    "threshold": Entry(
        lambda times: Threshold(_number(times, "positive number", lambda value: 0 < value < math.inf)),
        "threshold:TIMES_RMS", "threshold:3.0",
    ),
    "randomk": Entry(lambda density: RandomK(_density(density)), "randomk:DENSITY", "randomk:0.01"),
    "dgc": Entry(
        lambda density, steps="0", momentum="0.9": Dgc(
            _density(density), _whole(steps, 0),
            _number(momentum, "momentum from 0 to below 1", lambda value: 0 <= value < 1),
        ),
        "dgc:DENSITY[:WARMUP_STEPS[:MOMENTUM]]", "dgc:0.001:0:0.9",
    ),
    "powersgd": Entry(lambda rank: PowerSgd(_whole(rank)), "powersgd:RANK", "powersgd:4"),
    "chain": Entry(
        lambda *specs: chain(*map(parse, specs)), "chain(CODEC,CODEC)", "chain(topk:0.01,int8:256)", wraps=True
    ),
    "error_feedback": Entry(
        lambda spec: error_feedback(parse(spec)), "error_feedback(CODEC)", "error_feedback(topk:0.01)", wraps=True
    ),
}  # fmt: skip


def parse(spec: str) -> Codec:
    """Read a codec.

    Parameters
    ----------
    spec : str
        A name and its parameters, ``topk:0.01``, or one around others, ``error_feedback(chain(topk:0.01,int8))``; or
        ``package.module:factory`` for a codec that is not among `CODECS`.

    Raises
    ------
    CodecError
        On anything else; says what would be right.
    """
    text = "".join(spec.split())
    head, opened, rest = text.partition("(")
    name, *parameters = head.split(":")
    if name not in CODECS and parameters and is_module(name):
        return load(text)
    if name not in CODECS:
        right = _nearest(text, name)
        meant = f"did you mean {right}? " if right else ""
        raise CodecError(f"{spec or '(empty)'}: there is no codec {name!r}; {meant}there are {', '.join(CODECS)}")
    entry = CODECS[name]
    if not entry.wraps:
        if opened:
            raise CodecError(f"{spec}: write {entry.usage}, such as {entry.example}")
        return entry(*parameters)
    if parameters or not opened or not rest.endswith(")"):
        raise CodecError(f"{spec}: write {entry.usage}, such as {entry.example}")
    return entry(*_members(rest[:-1], spec))


def foreign(spec: str) -> bool:
    """Whether a codec that can be parsed is, or is made of, one of somebody else's."""
    names = (part.partition(":")[0] for part in re.split(r"[(),]", "".join(spec.split())))
    return any(name and name not in CODECS for name in names)


def _members(text: str, spec: str) -> list[str]:
    """Cut at the commas that are in no parentheses."""
    members, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            break
        if letter == "," and not depth:
            members.append("")
        else:
            members[-1] += letter
    if depth:
        raise CodecError(f"{spec}: its parentheses do not match")
    return members


def _nearest(text: str, name: str) -> str | None:
    """What was probably meant by a codec of an unknown name: with its parameters where they are right, else an example."""
    found = difflib.get_close_matches(name.casefold(), CODECS, n=1)
    if not found:
        return None
    right = found[0] + text.removeprefix(name)
    try:
        parse(right)
    except CodecError:
        return CODECS[found[0]].example
    return right
