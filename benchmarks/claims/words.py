"""How the page about the article's claims writes times, shares, factors and tables."""

from collections.abc import Sequence


def time(us: float) -> str:
    """Three digits and a unit: ``29.1 us``, ``7.84 ms``; nobody measures less than ten nanoseconds."""
    if 0 < us < 0.01:
        return "<0.01 us"
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        # As written: 999.6 us are 1.00 ms.
        if float(f"{us:.3g}") >= size:
            return f"{_three(us / size)} {unit}"
    return f"{_three(us)} us"


def _three(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return f"{rounded:.0f}" if rounded >= 100 else f"{rounded:.1f}" if rounded >= 10 else f"{rounded:.2f}"


def percent(part: float) -> str:
    """A share with one digit, whole per cent from 10 on, and no 100 % of less than the whole."""
    if part and part < 0.001:
        return "<0.1%"
    if 0.995 <= part < 1:
        return ">99%"
    return f"{part:.0%}" if part >= 0.0995 else f"{part:.1%}"


def times(ratio: float) -> str:
    """A factor: ``4.2 times``."""
    return f"{ratio:.0f} times" if ratio >= 9.95 else f"{ratio:.2f} times" if ratio < 1.995 else f"{ratio:.1f} times"


def table(head: str, rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; `head` has its columns between bars, those of numbers with a colon after them."""
    names = [name.strip() for name in head.split("|")]
    rule = ["---:" if name.endswith(":") else "---" for name in names]
    lines = [[name.removesuffix(":") for name in names], rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def listed(algorithms: str) -> str:
    """Names with ``+`` between them as a sentence has them."""
    *most, last = algorithms.split("+")
    return f"{', '.join(most)} and {last}" if most else last
