"""What may follow an option, and commands that show an example before anything else."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

# Generic for the type checker only: older releases of Click cannot subscript it.
if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType


class _Example(click.Command):
    """A command whose help begins with an example."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, then what Click writes."""
        formatter.write(f"Example: {self.example}\n\n")
        super().format_help(ctx, formatter)


class Command(_Example):
    """A command with an example."""


class Group(_Example, click.Group):
    """A group of commands with an example; alone it prints its help, as the error that it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse a group without a command."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


class DataName(_Type):
    """The name of a shipped file, or the path of one's own.

    Parameters
    ----------
    name : str
        ``fabric`` or ``network``.
    known : callable
        Lists the shipped names.
    """

    def __init__(self, name: str, known: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._known = known

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Name what --help calls the value."""
        return "NAME|FILE"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Say what there is to choose from."""
        return f"Choose one of {', '.join(self._known())}, or give the path of a TOML file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse an unknown name here; a path is left to whoever opens the file."""
        from ringsim.fabric.errors import suggest

        # The same rule as in `ringsim.fabric.load`.
        written = str(value)
        if written.endswith(".toml") or is_graph(written) or Path(written).name != written or written in self._known():
            return written
        right = f"{suggest(written, self._known())}; or give the path of a TOML file"
        raise click.ClickException(f"{self.name} = {written}: there is no {self.name} of this name; {right}")

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete a shipped name, else a path."""
        names = [CompletionItem(name) for name in self._known() if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


class Whole(_Type):
    """A whole number; its range is checked by whoever knows it.

    Parameters
    ----------
    name : str
        As it is called in messages.
    right : callable or str
        What would be right; a function where it takes an import to say so.
    words : str
        Words that may stand in place of a number, separated by spaces.
    """

    def __init__(self, name: str, right: Callable[[], str] | str, words: str = "") -> None:
        self.name = name
        self._right = right
        self._words = words.split()

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Name what --help calls the value."""
        return "|".join(["N", *self._words])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Read an int, or one of the words."""
        written = str(value)
        if written in self._words:
            return written
        # Not int(): it takes 1_000 and digits of other scripts, and raises for thousands of digits.
        if re.fullmatch("[+-]?[0-9]{1,18}", written):
            return int(written)
        wrong = "not a whole number" if not re.fullmatch("[+-]?[0-9]+", written) else "out of range"
        raise click.ClickException(f"{self.name} = {written or '(empty)'}: {wrong}; {self._what()}")

    def _what(self) -> str:
        return self._right if isinstance(self._right, str) else self._right()

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Say what would be right."""
        right = self._what()
        return right[:1].upper() + right[1:]


class Size(_Type):
    """Bytes of the vector, such as ``64M``."""

    name = "size"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Name what --help calls the value."""
        return "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read bytes."""
        from ringsim.units import UnitError, parse_size

        try:
            return parse_size(str(value))
        except UnitError as error:
            raise click.ClickException(f"size = {error}") from None


class Name(_Type):
    """A name out of a list that is too costly to import before it is needed; the study checks it.

    Parameters
    ----------
    name : str
        As it is called in messages.
    known : callable or None
        Lists the names, for completion by the shell; None where they depend on the fabric.
    """

    def __init__(self, name: str, known: Callable[[], Iterable[str]] | None = None) -> None:
        self.name = name
        self._known = known

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Name what --help calls the value."""
        return "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take anything."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete a name."""
        known = self._known() if self._known else ()
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


# -- options that several commands share -------------------------------------------------------------------


class Number(_Type):
    """A number; its range is checked by whoever knows it."""

    name = "number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Name what --help calls the value."""
        return "X"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a float."""
        written = str(value)
        if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", written):
            return float(written)
        name = param.name if param else "number"
        raise click.ClickException(f"{name} = {written or '(empty)'}: not a number; write one such as 2 or 4")


def _fabrics() -> list[str]:
    from ringsim.fabric import available

    return available()


def _networks() -> list[str]:
    from ringsim.fabric import networks

    return networks()


def _cards() -> str:
    from ringsim.topology import MOST_CARDS

    return f"all-reduce needs between 2 and {MOST_CARDS:,} cards"


def once(context: click.Context, param: click.Parameter, given: tuple[str, ...]) -> str | None:
    """Refuse an option that is given twice where only one of them could be meant; a callback for ``multiple=True``.

    Some commands take several codecs; whoever gives two to one that does not would read the last one's figures as both's.
    """
    if len(given) > 1:
        raise click.UsageError(
            f"{param.opts[0]}: given {len(given)} times ({', '.join(given)}), and {context.command.name} takes one codec; "
            "`ringsim break-even` and `ringsim converge` compare several",
            context,
        )
    return given[0] if given else None


FABRIC = DataName("fabric", _fabrics)
NETWORK = DataName("network", _networks)
CARDS = Whole("cards", _cards)
FACTOR = Number()
DOMAIN = Whole("domain", "a number of cards, or 'all' for one domain that holds every card", words="all")


#: Endings of files that hold a graph rather than a data sheet.
GRAPHS = (".graphml", ".xml", ".json")


def is_graph(name: str) -> bool:
    """Whether a name on the command line is that of a graph file."""
    return Path(name).suffix.lower() in GRAPHS
