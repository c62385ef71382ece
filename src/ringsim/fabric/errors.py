"""The one kind of error that a fabric can cause, and the words it is made of.

Whoever typed a data sheet in has to find the place again: every complaint names the file, the key and the value and
says what would be right. A file of its own, because keys, files, checks and the finished sheet all complain.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: What stands in the place of a file name when a ``--set`` is to blame.
CHANGED = "--set"


class FileError(Exception):
    """A file, of whatever kind, that is not what it should be; the message begins with its name."""


class FabricError(Exception):
    """A fabric that cannot be used, as ``FILE: key = value: what is wrong; what would be right``."""


def show(value: object) -> str:
    """Write a TOML value on one line, as its author would recognise it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(show(item) for item in value) + "]"
    words = "{...}" if isinstance(value, dict) else str(value) if value != "" else '""'
    return words if len(words) <= 80 else words[:77] + "..."


def complain(origin: str, key: str, value: object, wrong: str, right: str) -> FabricError:
    """Make the one kind of error there is."""
    return FabricError(f"{origin}: {key} = {show(value)}: {wrong}; {right}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, if any is near enough."""
    # Upper and lower case differ in every character for difflib, and nobody means that.
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, and which there are."""
    words = sorted(known)
    guess = nearest(word, words)
    listed = f"available: {', '.join(words)}"
    return f"did you mean {guess!r}? {listed}" if guess else listed
