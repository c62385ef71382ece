"""The command line: a thin layer over `ringsim.study`, and the one place that knows of exit codes.

Whatever goes wrong ends here as one line on standard error that says what would be right. Nothing heavy is
imported until a command needs it, so that ``--help`` and shell completion answer at once.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from ringsim import __version__
from ringsim.cli.algorithms import algorithms
from ringsim.cli.break_even import break_even
from ringsim.cli.calibrate import calibrate
from ringsim.cli.codecs import codecs
from ringsim.cli.compress_check import compress_check
from ringsim.cli.converge import converge
from ringsim.cli.errors import BadFile, complain, silence_stdout
from ringsim.cli.explain import explain
from ringsim.cli.options import Group
from ringsim.cli.run import run
from ringsim.cli.topo import topo
from ringsim.cli.tune import tune
from ringsim.cli.validate import validate
from ringsim.cli.verify import verify

#: What scripts can rely on. 1 is left to verdicts, such as a schedule that turns out to be wrong.
FINE, USAGE, BAD_FILE, INTERRUPTED = 0, 2, 3, 130


class _PipeClosedError(Exception):
    """Standard output was closed at its other end."""


@contextmanager
def _past_click() -> Iterator[None]:
    """Carry a closed pipe past Click, which would exit with 1, and 1 is a verdict here."""
    try:
        yield
    except BrokenPipeError as error:
        raise _PipeClosedError from error


class _Root(Group):
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _past_click():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _past_click():
            return super().invoke(ctx)


@click.group(cls=_Root, example="ringsim run --fabric hccs --cards 1024")
@click.version_option(__version__, prog_name="ringsim", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Say what all-reduce costs on an accelerator cluster you do not own, and what limits it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False


cli.add_command(run)
cli.add_command(tune)
cli.add_command(explain)
cli.add_command(algorithms)
cli.add_command(break_even)
cli.add_command(calibrate)
cli.add_command(converge)
cli.add_command(codecs)
cli.add_command(compress_check)
cli.add_command(topo)
cli.add_command(validate)
cli.add_command(verify)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit.

    Parameters
    ----------
    args : sequence of str or None
        Without the program's name; None for those of this process.
    """
    sys.exit(_code(args))


def _code(args: Sequence[str] | None) -> int:
    try:
        code = cli.main(args, prog_name="ringsim", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else FINE
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        where = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        complain(message[:1].lower() + message[1:] + where)
    except click.ClickException as error:
        complain(error.format_message())
        if isinstance(error, BadFile):
            return BAD_FILE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except SystemError as error:
        # Whoever presses Ctrl-C while a compiled function returns is told that it returned with an exception set.
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except MemoryError:
        complain("not enough memory for a cluster of this size; ask for fewer cards or fewer --rings")
    except (BrokenPipeError, _PipeClosedError):
        # Whoever read our output has seen enough, as in `ringsim topo list | head -1`.
        silence_stdout()
        return FINE
    except OSError as error:
        if error.filename is not None:
            raise
        silence_stdout()
        complain(f"cannot write the output: {error.strerror or error}; redirect it to where there is room")
    return USAGE
