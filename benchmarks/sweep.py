"""Questions in, rows of a CSV out: what the parameter sweeps share, so that an interrupted one can go on.

The table is append-only. Each simulated case is one line, written and flushed before the next begins, so
Ctrl-C or a crash loses at most the case under way. A rerun reads the table first and simulates only what it
lacks; a line cut short by a crash is taken off, and rows of other versions or other data sheets are dropped.

A row is `Result.row()` with three columns before it: `question_id`, the key, which is known before anything
is simulated; `series`, what the sweep calls the cluster; and the version. `id` is that of the best case.
"""

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import click

from ringsim import __version__, study
from ringsim import fabric as fabrics
from ringsim.fabric import FabricError
from ringsim.study import Question, StudyError
from ringsim.topology import TopologyError
from ringsim.units import UnitError

#: A row as read back: numbers where they are numbers.
Row = dict[str, Any]

RESULTS = Path(__file__).parent / "results"

_WORDS = {
    "question_id", "series", "version", "id", "fabric", "network", "fingerprint", "collective", "algorithm",
    "protocol", "dtype", "engine", "jump", "placement", "changed", "compress", "model", "agree", "bottleneck", "busiest",
}  # fmt: skip


@lru_cache
def _fingerprint(fabric: str, network: str | None, changes: tuple[str, ...]) -> str:
    return fabrics.load(fabric, network=network, changes=changes).fingerprint()


def fingerprint(question: Question) -> str:
    """SHA-256 of every number of the question's data sheet, changes included."""
    assert isinstance(question.fabric, str)  # the sweeps ask by name, so that a question can be written down
    return _fingerprint(question.fabric, question.network, tuple(question.changes))


def question_id(question: Question) -> str:
    """First 16 hex digits of the SHA-256 of a question, the numbers of its fabric and the version."""
    content = asdict(question) | {"fingerprint": fingerprint(question), "version": __version__}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def read(path: Path) -> list[Row]:
    """Rows of a table, numbers as numbers; what was left empty is None."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: _value(key, text) for key, text in row.items()}
            for row in csv.DictReader(file)
        ]  # fmt: skip


def _value(key: str, text: str) -> Any:
    if key in _WORDS:
        return text
    if not text:
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


class Table:
    """The rows of one sweep: in memory by `question_id`, on disk as CSV.

    Attributes
    ----------
    path : Path
    rows : dict
        From `question_id` to row.
    simulated, dropped : int
        Questions that had to be simulated; rows that no longer hold and were removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        self.simulated = self.dropped = 0
        if path.exists():
            _take_off_the_rest(path)
            for row in read(path):
                if "question_id" not in row:
                    raise click.ClickException(f"{path}: no column question_id; not a table of this sweep")
                self.rows[row["question_id"]] = row

    def ask(self, series: str, question: Question) -> Row:
        """Return the row that answers a question, from the table or, where it lacks it, from a simulation."""
        key = question_id(question)
        if key not in self.rows:
            best = study.answer(question).best
            self.simulated += 1
            self.append({"question_id": key, "series": series, "version": __version__} | best.row())
        return self.rows[key]

    def keep(self, current: set[str]) -> None:
        """Drop rows of other versions, and of data sheets whose fingerprint is not a `current` one."""
        self.keep_only(
            key
            for key, row in self.rows.items()
            if row["version"] == __version__ and row["fingerprint"] in current
        )  # fmt: skip

    def keep_only(self, questions: Iterable[str]) -> None:
        """Drop rows that answer none of these questions, by their ids."""
        wanted = set(questions)
        kept = {key: row for key, row in self.rows.items() if key in wanted}
        self.dropped += len(self.rows) - len(kept)
        if len(kept) < len(self.rows):
            self.rows = kept
            beside = self.path.with_suffix(".tmp")
            with beside.open("w", newline="", encoding="utf-8") as file:
                if kept:
                    writer = csv.DictWriter(file, list(next(iter(kept.values()))), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(kept.values())
            beside.replace(self.path)  # at once or not at all: Ctrl-C here must not cost the table

    def append(self, row: Row) -> None:
        """Write one row at the end, and keep it."""
        if self.rows and set(next(iter(self.rows.values()))) != set(row):
            # Written by a ringsim that knew fewer columns.
            self.dropped += len(self.rows)
            self.rows = {}
            self.path.unlink()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            new = file.tell() == 0
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)
        self.rows[row["question_id"]] = row


def _take_off_the_rest(path: Path) -> None:
    """Cut the table after its last whole line."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with path.open("r+b") as file:
            file.truncate(end)


@contextmanager
def progress(items: Iterable[Any], label: str) -> Iterator[Iterable[Any]]:
    """Show a bar on a terminal and nothing in a pipe."""
    items = list(items)
    terminal = sys.stderr.isatty()
    with click.progressbar(items, label=label, file=sys.stderr) if terminal else nullcontext(items) as bar:
        yield bar


def grid(table: Table, questions: Iterable[tuple[str, Question]], label: str) -> None:
    """Ask every question that the table cannot answer yet."""
    missing = [(series, q) for series, q in questions if question_id(q) not in table.rows]
    with progress(missing, label) as bar:
        for series, question in bar:
            table.ask(series, question)


def sizes(first: int, last: int, factor: int) -> list[int]:
    """Geometric row of sizes in bytes, both ends included where they are whole factors apart."""
    row = [first]
    while row[-1] * factor <= last:
        row.append(row[-1] * factor)
    return row


def bisect(ask: Callable[[str, int], Row], low: int, high: int, within: float = 1.01) -> float | None:
    """Find the size at which ring overtakes tree, in bytes; None where there is no such size between the two.

    Halves the interval on a log scale until its ends are `within` of each other and takes the zero of the
    straight line between them, good to three digits: over so short a way both times are nearly straight.

    Parameters
    ----------
    ask : (algorithm, size) → row
    low, high : int
        Where tree is known, or hoped, to win and to lose.
    within : float
        Ratio of the last interval's ends.
    """

    def lead(size: int) -> float:
        return ask("ring", size)["time_us"] - ask("tree", size)["time_us"]

    left, right = lead(low), lead(high)
    if left <= 0 or right >= 0:
        return None
    while high / low > within:
        # Whole elements of 4 bytes: what a vector of floats can be.
        middle = round((low * high) ** 0.5 / 4) * 4
        if middle in (low, high):
            break
        gap = lead(middle)
        low, left, high, right = (middle, gap, high, right) if gap > 0 else (low, left, middle, gap)
    return low + (high - low) * left / (left - right)


def options(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a script its options and its manners: errors without a traceback, exit code 130 after Ctrl-C.

    Parameters
    ----------
    name : str
        Of the table and of the picture, without ending.
    """

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            default=RESULTS,
            metavar="FOLDER",
            show_default="benchmarks/results",
            help="Where the table and the picture are.",
        )
        @click.option("--quick", is_flag=True, help="A few of the sweep's cases, to try it out.")
        @click.option("--plot-only", is_flag=True, help="Simulate nothing: draw what the table holds.")
        @wraps(body)
        def command(out: Path, **given: Any) -> None:
            path = out / f"{name}.csv"
            if given["plot_only"] and not path.exists():
                raise click.ClickException(f"{path}: no such table; run without --plot-only to fill it")
            table = Table(path)
            try:
                body(table, out / f"{name}.png", **given)
            except KeyboardInterrupt:
                click.echo(f"\nstopped; {path} keeps its {len(table.rows)} cases, run again to go on", err=True)
                raise SystemExit(130) from None
            except (FabricError, StudyError, TopologyError, UnitError) as error:
                raise click.ClickException(str(error)) from None
            if table.dropped:
                click.echo(f"{table.dropped} rows of another version or data sheet dropped", err=True)
            click.echo(f"{path}: {len(table.rows)} cases, {table.simulated} of them simulated now")

        return command

    return decorate
