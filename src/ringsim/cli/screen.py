"""What goes to the terminal: lines with a little colour, JSON, and a progress line that pipes never see."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ringsim.report import Line
    from ringsim.result import Case

#: Runs shorter than this show no progress, and so many seconds pass between two updates.
PATIENCE, PACE = 1.0, 0.1

_RIGHT = "name a file in a directory that you can write to"

_ASCII = str.maketrans({"→": "->", "≥": ">=", "×": "x", "µ": "u", "μ": "u", "−": "-", "–": "-", "…": "..."})


def show(lines: "Iterable[Line]") -> None:
    """Print a report."""
    from ringsim.report import LABEL

    for line in lines:
        if line.role == "label":
            echo(line.text[:LABEL], dim=True, nl=False)
            echo(line.text[LABEL:])
        else:
            echo(
                line.text,
                bold=line.role in ("title", "best", "verdict"),
                dim=line.role in ("heading", "note"),
            )


def echo(text: str, *, bold: bool = False, dim: bool = False, nl: bool = True) -> None:
    """Print on standard output, in ASCII where its encoding has no arrows; bold or dim on a terminal."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    if bold or dim:
        text = click.style(text, bold=bold or None, dim=dim or None)
    click.echo(text, nl=nl)


def dump(document: dict[str, Any], target: Path | None = None) -> None:
    """Write one JSON object to standard output, or to a file."""
    text = json.dumps(document, indent=2, allow_nan=False)
    if target is None:
        click.echo(text)
        return
    try:
        target.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(target, error, "output") from None


def check_writable(written: str, option: str) -> Path:
    """Return a file name as a path, or complain about it before, not after, the work whose result it is to hold."""
    if not written:
        raise click.ClickException(f"{option} = (empty): the name of the file is missing; {_RIGHT}")
    target = Path(written)
    existed = os.path.lexists(target)
    try:
        if existed and not target.is_file() and not target.is_dir():
            return target  # a device or a pipe: opening it might wait for a reader
        with target.open("a"):
            pass
        if not existed:
            target.unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(target, error, option) from None
    return target


def _unwritable(target: Path, error: OSError | ValueError, option: str) -> click.ClickException:
    reason = error.strerror if isinstance(error, OSError) else error
    return click.ClickException(f"{option} = {target}: cannot be written: {reason}; {_RIGHT}")


class Notice:
    """Remarks on standard error, each of them once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        """Print a remark, unless it was made before."""
        if text not in self._said:
            self._said.add(text)
            click.echo(f"ringsim: {text}", err=True)


class Progress:
    """One line on standard error that says how far a run is; nothing where that is no terminal.

    Parameters
    ----------
    enabled : bool
        False for --quiet.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._live = enabled and sys.stderr is not None and sys.stderr.isatty()
        self._shown = 0
        self._next = time.monotonic() + PATIENCE

    def __call__(self, case: "Case", done: int, total: int) -> None:
        """Show how many firings of a case are done, those that were jumped included."""
        now = time.monotonic()
        if not self._live or now < self._next or done >= total:
            return
        self._next = now + PACE
        name = f"{case.algorithm} x{case.channels} {case.protocol}"
        self._bar(name, done, total, f"{done:,} of {total:,} transfers")

    def step(self, done: int, total: int, what: str) -> None:
        """Show how many steps of a long work are done and what the next one is, at once."""
        if self._live:
            self._bar(what, done, total, f"{done:,} of {total:,}")

    def _bar(self, name: str, done: int, total: int, counted: str) -> None:
        part = done / total
        self._write(f"{name} [{'#' * round(24 * part):.<24}] {part:4.0%}  {counted}")

    def clear(self) -> None:
        """Take the line away again."""
        if self._shown:
            self._write("")
            click.echo("\r", err=True, nl=False)
            self._shown = 0

    def _write(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        click.echo("\r" + text.ljust(self._shown), err=True, nl=False)
        self._shown = len(text)
