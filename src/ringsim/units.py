"""Units: the one place where ``64M``, ``200Gb/s`` and ``1.5us`` turn into SI numbers, and back.

Half of all wrong answers about a network are a factor of 8 (bits read as bytes), of 2 (both directions
read as one) or of 1.07 (GB read as GiB). So the model itself only ever sees plain SI numbers (bytes,
bytes per second, seconds) and every number that a person writes passes through here, where a missing or
ambiguous unit is refused with a sentence that says what to write instead of being guessed.

Arithmetic is done on exact fractions and rounded to a float once, so that ``0.18us`` is the float nearest
to 0.18e-6 and sums of constants in a fabric file come out as the person who wrote them expects.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

__all__ = [
    "UnitError",
    "format_rate",
    "format_size",
    "format_time",
    "parse_number",
    "parse_rate",
    "parse_size",
    "parse_time",
]

# Exponents stop at three digits and mantissas at forty: a larger one is a typing mistake, and an exact
# fraction made from "1e999999999" would take minutes and gigabytes before anybody could say so.
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?)\s*(.*)", re.S)
_NOT_FINITE = re.compile(r"\s*[+-]?(nan|inf(inity)?)(?![A-Za-z])", re.I)

_DECIMAL = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}

# nccl-tests reads 64M as 64 * 1024 * 1024, and people paste its command lines; hence bare letters are
# binary while a spelled-out MB is decimal as the SI says.
_SIZES: dict[str, int] = {"": 1, "B": 1}
_SIZES |= {letter: 1024**power for power, letter in enumerate("KMGTP", start=1)}
_SIZES |= {letter.lower(): factor for letter, factor in list(_SIZES.items()) if letter in "KMGTP"}
_SIZES |= {f"{prefix}B": factor for prefix, factor in (_DECIMAL | _BINARY).items()}
_SIZES["kB"] = 1000

_RATES: dict[str, Fraction] = {}
for _prefix, _factor in (_DECIMAL | _BINARY | {"k": 1000}).items():
    for _ending in ("B/s", "Bps"):
        _RATES[_prefix + _ending] = Fraction(_factor)
    for _ending in ("b/s", "bps", "bit/s"):
        _RATES[_prefix + _ending] = Fraction(_factor, 8)

_TIMES: dict[str, Fraction] = {
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # MICRO SIGN, what a keyboard types
    "μs": Fraction(1, 10**6),  # GREEK SMALL LETTER MU, what documents contain
    "ns": Fraction(1, 10**9),
}

# Byte counts end up in 64-bit integer arrays.
_MAX_SIZE = 2**63 - 1

_SIZE_EXAMPLES = "write bytes such as 8, 64M or 1G (powers of 1024), 1GiB, or 1GB (powers of 1000)"
_RATE_EXAMPLES = "write a rate such as 25GB/s (bytes) or 200Gb/s (bits)"
_TIME_EXAMPLES = "write a time such as 1.5us, 7ms, 300ns or 2s"
_NUMBER_EXAMPLES = "write a number such as 0.92 or a ratio such as 18.3/28"


class UnitError(ValueError):
    """A text that is not the quantity it should be.

    Parameters
    ----------
    text : str
        What was written.
    wrong : str
        What is wrong with it.
    right : str
        What would be right.
    """

    def __init__(self, text: str, wrong: str, right: str) -> None:
        # The three parts stay the arguments so that the error survives pickling between processes and
        # so that a file reader can put its own "FILE: key = value" in front.
        super().__init__(text, wrong, right)
        self.text = text
        self.wrong = wrong
        self.right = right

    def __str__(self) -> str:
        return f"{self.text or '(empty)'}: {self.wrong}; {self.right}"


def _split(text: str, what: str, right: str) -> tuple[Fraction, str]:
    """Split a text into its exact number and the unit behind it."""
    if _NOT_FINITE.match(text):
        raise UnitError(text, f"{what} must be finite", right)
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise UnitError(text, f"not {what}: it does not start with a number", right)
    return Fraction(found[1]), found[2].rstrip()


def _float(value: Fraction, text: str, what: str, right: str) -> float:
    """Round once, and refuse what a float cannot hold (a positive number must not become 0 or inf)."""
    try:
        rounded = float(value)
    except OverflowError:
        raise UnitError(text, f"{what} this large cannot be represented", right) from None
    if rounded == 0.0 and value != 0:
        raise UnitError(text, f"{what} this small cannot be represented", right)
    return rounded


def parse_size(text: str) -> int:
    """Read a number of bytes.

    Bare ``K``, ``M``, ``G``, ``T``, ``P`` are powers of 1024, as on the command line of nccl-tests
    (https://github.com/NVIDIA/nccl-tests); ``KiB`` and so on say the same in full; ``KB`` and so on are
    powers of 1000.

    Parameters
    ----------
    text : str
        For example ``"8"``, ``"64M"``, ``"1.5G"``, ``"1GiB"``, ``"1GB"``.

    Returns
    -------
    int
        Bytes, at least 1.

    Raises
    ------
    UnitError
        If the unit is unknown, if the number is zero, negative, NaN or infinite, or if it is not a whole
        number of bytes.
    """
    number, unit = _split(text, "a size", _SIZE_EXAMPLES)
    if unit not in _SIZES:
        if re.fullmatch(r"[KkMGTP]?i?(b|bit|bits)", unit):
            wrong = f"{unit!r} is bits, and sizes are in bytes"
        elif unit in _RATES:
            wrong = "a size, but this is a rate"
        else:
            wrong = f"unknown unit {unit!r}"
        raise UnitError(text, wrong, _SIZE_EXAMPLES)
    value = number * _SIZES[unit]
    if value <= 0:
        raise UnitError(text, "a size must be larger than zero", _SIZE_EXAMPLES)
    if value.denominator != 1:
        raise UnitError(text, "not a whole number of bytes", _SIZE_EXAMPLES)
    if value > _MAX_SIZE:
        raise UnitError(text, "larger than 2^63 - 1 bytes", _SIZE_EXAMPLES)
    return int(value)


def parse_rate(text: str) -> float:
    """Read a data rate; ``b`` is bits and ``B`` is bytes, and one of them must be written.

    Parameters
    ----------
    text : str
        For example ``"25GB/s"``, ``"200Gb/s"``, ``"200Gbps"``, ``"1GiB/s"``.

    Returns
    -------
    float
        Bytes per second, larger than zero and finite.

    Raises
    ------
    UnitError
        If the unit is missing or unknown, or the number is zero, negative, NaN or infinite.
    """
    number, unit = _split(text, "a rate", _RATE_EXAMPLES)
    if unit not in _RATES:
        if not unit:
            wrong = "a rate needs a unit: bits or bytes?"
        elif f"{unit}/s" in _RATES:
            wrong = f"{unit!r} is an amount, not a rate: the '/s' is missing"
        elif f"{unit.removesuffix('/s')}b/s" in _RATES:
            wrong = f"{unit!r} does not say bits or bytes"
        else:
            wrong = f"unknown unit {unit!r}"
        raise UnitError(text, wrong, _RATE_EXAMPLES)
    if number <= 0:
        raise UnitError(text, "a rate must be larger than zero", _RATE_EXAMPLES)
    return _float(number * _RATES[unit], text, "a rate", _RATE_EXAMPLES)


def parse_time(text: str) -> float:
    """Read a time.

    Parameters
    ----------
    text : str
        For example ``"1.5us"``, ``"7ms"``, ``"2s"``, ``"300ns"``.

    Returns
    -------
    float
        Seconds, zero or larger, finite.

    Raises
    ------
    UnitError
        If the unit is missing or unknown, or the number is negative, NaN or infinite.
    """
    number, unit = _split(text, "a time", _TIME_EXAMPLES)
    if unit not in _TIMES:
        raise UnitError(text, f"unknown unit {unit!r}" if unit else "a time needs a unit", _TIME_EXAMPLES)
    if number < 0:
        raise UnitError(text, "a time must not be negative", _TIME_EXAMPLES)
    return _float(number * _TIMES[unit], text, "a time", _TIME_EXAMPLES)


def parse_number(text: str) -> float:
    """Read a plain number or a ratio of two.

    Ratios exist so that a file can show where an efficiency comes from: ``18.3/28`` says more than 0.6536.

    Parameters
    ----------
    text : str
        For example ``"0.92"``, ``"18.3/28"``.

    Returns
    -------
    float
        The number; its sign and range are for the caller to judge. Always finite.

    Raises
    ------
    UnitError
        If it is not a number, is NaN or infinite, has a unit, or divides by zero.
    """
    upper, slash, lower = text.partition("/")
    number, unit = _split(upper, "a number", _NUMBER_EXAMPLES)
    if not unit and slash:
        divisor, unit = _split(lower, "a number", _NUMBER_EXAMPLES)
        if divisor == 0:
            raise UnitError(text, "division by zero", _NUMBER_EXAMPLES)
        number /= divisor
    if unit:
        raise UnitError(text, f"a plain number, but {unit!r} follows it", _NUMBER_EXAMPLES)
    return _float(number, text, "a number", _NUMBER_EXAMPLES)


def _short(value: float) -> str:
    """Four significant digits without an exponent where people can do without one."""
    return f"{value:.0f}" if abs(value) >= 9999.5 else f"{value:.4g}"


def format_size(size: int) -> str:
    """Write a number of bytes for people.

    Parameters
    ----------
    size : int
        Bytes, zero or larger.

    Returns
    -------
    str
        ``"1GiB"``, ``"25MB"``, ``"1.5KiB"``: exact (``parse_size`` gives the same number back) when three
        decimals are enough, otherwise rounded with its trailing zeros kept (``"1.000MiB"``).
    """
    exact: list[tuple[str, str]] = []
    for prefixes in (_BINARY, _DECIMAL):
        prefix, factor = max(
            ((p, f) for p, f in ({"": 1} | prefixes).items() if f <= max(size, 1)), key=lambda item: item[1]
        )
        if size * 1000 % factor == 0:
            exact.append((f"{size / factor:.3f}".rstrip("0").rstrip("."), f"{prefix}B"))
    if exact:
        # Of 512000B = 500KiB = 512KB the shorter number is the one that was meant; binary wins a tie.
        number, unit = min(exact, key=lambda pair: len(pair[0]))
        return number + unit
    prefix, factor = max(((p, f) for p, f in _BINARY.items() if f <= size), key=lambda item: item[1])
    return f"{size / factor:#.4g}".rstrip(".") + f"{prefix}B"


def format_rate(rate: float) -> str:
    """Write a data rate for people, in decimal units as data sheets do.

    Parameters
    ----------
    rate : float
        Bytes per second; infinity is "no limit".

    Returns
    -------
    str
        ``"25GB/s"``, ``"370.8GB/s"``, ``"inf"``: four significant digits, so what a data sheet prints
        comes back from `parse_rate` unchanged.
    """
    if not math.isfinite(rate):
        return str(rate)
    prefix, factor = "", 1
    for candidate, size in _DECIMAL.items():
        if size <= abs(rate):
            prefix, factor = candidate, size
    return f"{_short(rate / factor)}{prefix}B/s"


def format_time(time: float) -> str:
    """Write a time for people.

    Parameters
    ----------
    time : float
        Seconds.

    Returns
    -------
    str
        ``"1.5us"``, ``"91.23us"``, ``"2s"``, ``"0s"``: four significant digits.
    """
    if time == 0 or not math.isfinite(time):
        return "0s" if time == 0 else str(time)
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        # 0.9995 and not 1: 999.97us would otherwise be rounded to "1000us".
        if abs(time) >= 0.9995 * size:
            return f"{_short(time / size)}{unit}"
    return f"{_short(time / 1e-9)}ns"
