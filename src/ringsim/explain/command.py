"""A question as the command line that asks it."""

import shlex
from collections.abc import Iterator
from dataclasses import fields

from ringsim.question import Question
from ringsim.units import UnitError, format_size, parse_size

#: What a command line begins with.
FIRST = ("fabric", "cards", "graph")


def command(question: Question) -> str | None:
    """Write the ``ringsim run`` that gives the answer to a question; None where only Python can ask it.

    A graph or a fabric that is an object, or a list of cards, has no name on a command line.
    """
    words = ["ringsim", "run"]
    for name, value in _given(question):
        if not isinstance(value, (str, int)):
            return None
        words += [f"--{name}", str(value)]
    words += [] if question.jump else ["--no-jump"]
    words += [word for change in question.changes for word in ("--set", change)]
    return shlex.join(words)


def _given(question: Question) -> Iterator[tuple[str, object]]:
    """Fields that are not what they are by default, the size as people write it unless a model has one."""
    for field in sorted(fields(question), key=lambda field: field.name not in FIRST):
        value = getattr(question, field.name)
        if field.name == "size":
            if question.model is None:
                yield "size", _size(parse_size(str(value)))
        elif value is None or field.name in ("jump", "changes"):
            continue
        elif not (isinstance(value, (str, int)) and value == field.default):
            yield field.name, value


def _size(exact: int) -> str:
    """Write bytes as people do, where that is read back as it is."""
    text = format_size(exact)
    try:
        return text if parse_size(text) == exact else str(exact)
    except UnitError:
        return str(exact)
