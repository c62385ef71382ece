"""Tables that line up, times without their units and parts of a whole, for everything that prints."""

from collections.abc import Sequence


def micro(seconds: float) -> str:
    """Write a time in microseconds, without its unit."""
    time = seconds * 1e6
    return f"{time:.2f}" if time < 1e4 else f"{time:.1f}"


def columns(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Line up cells, those of the columns `left` on their left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def share(part: float) -> str:
    """Write a part of a whole as a percentage, which reads 0% and 100% only where that is true."""
    text = f"{part:.1%}"
    if text == "0.0%" and part > 0:
        return "<0.1%"
    if text == "100.0%" and part < 1 - 1e-9:
        return ">99.9%"
    return "0.0%" if text == "-0.0%" else text
