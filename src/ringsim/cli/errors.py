"""From whatever the layers below raise to one line for the person at the keyboard, with the exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


class BadFile(click.ClickException):
    """A fabric, a network or a graph that cannot be used: the command line was right, the file is not."""


def printable(text: str) -> str:
    """Put a message on one line, with whatever a terminal would obey rather than show written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def complain(message: str) -> None:
    """Print the one message that a failed command leaves on standard error."""
    prefix = click.style("error:", fg="red", bold=True)
    context = click.get_current_context(silent=True)
    click.echo(f"ringsim: {prefix} {printable(message)}", err=True, color=_color() if context is None else None)


def _color() -> bool | None:
    """Honour NO_COLOR where no command's context does: an error arrives after its command has ended."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def silence_stdout() -> None:
    """Give Python's last flush of standard output a place to go, so that it has nothing to complain about."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def explained(fabric: str | None, network: str | None = None, graph: str | None = None) -> Iterator[None]:
    """Turn the errors of a question about this fabric and network, or this graph, into those of a command line."""
    from ringsim.fabric import FabricError, load
    from ringsim.fabric.errors import FileError

    try:
        yield
    except FabricError as error:
        # Names were checked when the command line was read. So a file is to blame, unless the files alone are
        # fine: then it is a --set.
        if fabric is None or (graph is not None and str(error).startswith(graph)):
            raise BadFile(str(error)) from None
        try:
            load(fabric, network=network)
        except FabricError:
            raise BadFile(str(error)) from None
        raise click.ClickException(str(error)) from None
    except FileError as error:
        raise BadFile(str(error)) from None
    except ValueError as error:
        from ringsim.study import StudyError
        from ringsim.topology import TopologyError
        from ringsim.units import UnitError

        if not isinstance(error, (StudyError, TopologyError, UnitError)):
            raise
        raise click.ClickException(str(error)) from None
