"""Does compression close the gap between HCCS and NVLink3? The gradients of Llama 3 8B on 1,024 cards of each.

Command::

    python benchmarks/compression_gap.py

Without compression and with each codec on *both* fabrics: who compresses on one only compares a codec, not a fabric.
Vectors of float32 and of bfloat16; with the algorithms that libraries try by default (`auto`), and with the best of
these and two hierarchical ones. A codec takes its fastest way that leaves the error of the sum below 5 %, and where
there is none its fastest: a ring encodes 1,024 times one after the other, and errors add up. All of it again on cards
whose memory is half as fast, which doubles what every encoding and decoding costs. The answer is worked out from the
table and written to compression_gap.md beside it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from compression_tradeoff import fill
from ringsim import fabric as fabrics
from ringsim.break_even import GOOD
from ringsim.candidates import MEMORY
from ringsim.report import share
from ringsim.study import Question
from ringsim.units import format_rate
from sweep import Row, Table, fingerprint, options, question_id

HELP = """Example: python benchmarks/compression_gap.py --cards 64 --out /tmp/sweep

Say in numbers whether compression closes the gap between hccs and nvlink3. Goes on where an interrupted run stopped;
with --plot-only the answer is written from what the table holds. --quick takes ResNet-50 and three codecs.
"""

SLOW, FAST = "hccs", "nvlink3"

#: Each kind of codec, without error feedback: of those that leave a sum at once the fastest is looked for.
DEFAULT = (
    "fp16", "fp8", "int8", "int4", "sign", "topk:0.01", "chain(topk:0.01,int8)", "dgc:0.001", "randomk:0.01", "powersgd:4",
)  # fmt: skip
DTYPES = {"float": "float32", "bfloat16": "bfloat16"}
ALGORITHMS = {
    "default algorithms": ("auto",),
    "best of more algorithms": ("auto", "hierarchical-two-shot-2", "hierarchical-halving-doubling"),
}
NONE = "none"


class Setting(NamedTuple):
    """What is the same for all that are compared."""

    dtype: str
    algorithms: str
    doubled: bool

    @property
    def text(self) -> str:
        """Say it in words."""
        return f"{DTYPES[self.dtype]}, {self.algorithms}" + (", coding twice as dear" if self.doubled else "")


#: Rows of a setting by codec and fabric.
Rows = dict[tuple[str, str], Row]


def question(fabric: str, spec: str, setting: Setting, cards: int, model: str) -> Question:
    """Ask for one time; without a codec the memory does not matter."""
    changes: tuple[str, ...] = ()
    if setting.doubled and spec != NONE:
        half = fabrics.load(fabric).card.memory_bandwidth / 2
        changes = (f"card.memory_bandwidth={half!r}B/s",)
    return Question(
        fabric, cards, algorithm="+".join(ALGORITHMS[setting.algorithms]), dtype=setting.dtype, compress=spec, model=model,
        changes=changes,
    )  # fmt: skip


def settings() -> list[Setting]:
    return [Setting(dtype, name, doubled) for dtype in DTYPES for name in ALGORITHMS for doubled in (False, True)]


# -- the answer ----------------------------------------------------------------------------------------------


class Gap(NamedTuple):
    """What one setting comes to; ratios are time on hccs over time on nvlink3.

    Attributes
    ----------
    plain : float
        Neither compresses.
    one : float
        Only hccs does, with the fastest true codec.
    both : float
        Each with its own fastest true codec, or with none where that is faster.
    slow, fast : str
        Those codecs.
    """

    plain: float
    one: float
    both: float
    slow: str
    fast: str


def gap(rows: Rows, specs: Sequence[str]) -> Gap:
    """Ratios of times of what leaves the sum within `GOOD`."""

    def time(fabric: str, spec: str) -> float:
        return float(rows[spec, fabric]["time_us"])

    def fastest(fabric: str) -> str:
        true = [spec for spec in specs if spec == NONE or _error(rows[spec, fabric]) < GOOD]
        return min(true, key=lambda spec: (time(fabric, spec), _error(rows[spec, fabric])))

    slow, fast = fastest(SLOW), fastest(FAST)
    nothing = time(FAST, NONE)
    return Gap(time(SLOW, NONE) / nothing, time(SLOW, slow) / nothing, time(SLOW, slow) / time(FAST, fast), slow, fast)


def _error(row: Row) -> float:
    """Error of a sum, infinite where nobody knows; without compression there is none."""
    if not row["compress"]:
        return 0.0
    return float("inf") if row["error"] is None else float(row["error"])


def verdict(found: Gap) -> str:
    """Say it in words."""
    if found.slow == NONE:
        alone = "no codec with so small an error makes hccs faster"
    else:
        does = "is faster than" if found.one < 1 else "stays slower than"
        alone = f"hccs with {found.slow} {does} nvlink3 without compression"
    if found.both <= 1:
        both = "where both compress the gap is closed"
    elif found.both < found.plain:
        both = "where both compress the gap is narrower, and not closed"
    else:
        both = "where both compress the gap is as wide as before or wider"
    return f"{alone}; {both}"


def answer(found: dict[Setting, Rows], specs: Sequence[str], cards: int, model: str) -> Iterator[str]:
    """The text in Markdown: numbers first."""
    some = next(iter(found.values()))[NONE, SLOW]
    memory = {name: format_rate(fabrics.load(name).card.memory_bandwidth) for name in (SLOW, FAST)}
    yield f"# Does compression close the gap between {SLOW} and {FAST}?"
    yield ""
    yield (
        f"All-reduce of the gradients of {model} ({some['count']:,} elements) on {cards:,} cards of each. Made by "
        "`python benchmarks/compression_gap.py`; every number is simulated and in `compression_gap.csv`."
    )
    yield ""
    yield (
        f"Ratios are {SLOW} over {FAST}; above 1, {SLOW} is slower. True codecs leave the sum within {GOOD:.0%}: "
        "a codec takes the fastest algorithm with which it does, and where there is none the fastest."
    )
    yield ""
    yield f"| setting | nobody compresses | {SLOW} alone, its fastest true codec | both, each its fastest true codec |"
    yield "|---|---:|---:|---:|"
    gaps = {setting: gap(rows, specs) for setting, rows in found.items()}
    for setting, one in gaps.items():
        yield (
            f"| {setting.text} | {one.plain:.2f} | {one.one:.2f} ({one.slow}) "
            f"| {one.both:.2f} ({one.slow} / {one.fast}) |"
        )
    for setting, rows in found.items():
        if not setting.doubled:
            yield ""
            yield f"## {setting.text}"
            yield ""
            yield from _codecs(rows, found[setting._replace(doubled=True)], specs)
    yield ""
    yield "## Verdict"
    yield ""
    for setting, one in gaps.items():
        yield f"* {setting.text}: {verdict(one)}."
    yield ""
    yield _conclusion(list(gaps.values()))
    coded = [row for rows in found.values() for (spec, _), row in rows.items() if spec != NONE]
    limited = sum(row["bottleneck"] == MEMORY for row in coded)
    yield (
        f"The memory in which cards encode and decode, {memory[SLOW]} on {SLOW} and {memory[FAST]} on {FAST}, limits "
        f"{limited} of {len(coded)} runs with a codec. A time with a large error is no win: such a codec needs error "
        "feedback, other optimisers or more steps, which no time here counts."
    )


def _codecs(rows: Rows, doubled: Rows, specs: Sequence[str]) -> Iterator[str]:
    """A row for each codec: its error, its times on both fabrics and their ratios; then with coding twice as dear."""
    again = "coding twice as dear: "
    yield (
        f"| codec | error | {SLOW} ms | {FAST} ms | ratio | {SLOW} / plain {FAST} "
        f"| {again}{SLOW} ms | {FAST} ms | ratio | {SLOW} / plain {FAST} |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for spec in specs:
        cells = []
        for these in (rows, doubled):
            slow, fast, plain = (float(these[key]["time_us"]) for key in ((spec, SLOW), (spec, FAST), (NONE, FAST)))
            cells += [f"{slow / 1e3:.3g}", f"{fast / 1e3:.3g}", f"{slow / fast:.2f}", f"{slow / plain:.2f}"]
        error = max(_error(rows[spec, fabric]) for fabric in (SLOW, FAST))
        yield f"| {spec} | {share(error) if error < float('inf') else '-'} | {' | '.join(cells)} |"


def _conclusion(gaps: Sequence[Gap]) -> str:
    """One sentence over all settings."""
    alone, both, narrower = (
        sum(test) for test in zip(*((g.one < 1, g.both <= 1, g.both < g.plain) for g in gaps), strict=True)
    )
    word = "No" if not both else "Yes" if both == len(gaps) else "In part"
    now = f"{min(g.both for g in gaps):.2f} to {max(g.both for g in gaps):.2f}"
    was = f"{min(g.plain for g in gaps):.2f} to {max(g.plain for g in gaps):.2f}"
    return (
        f"**{word}.** {SLOW} with compression beats {FAST} without in {alone} of {len(gaps)} settings. Where both "
        f"compress, {SLOW} takes {now} times as long; where nobody does, {was} times. The gap is narrower in {narrower} of "
        f"{len(gaps)} and closed in {both}."
    )


@click.command(help=HELP)
@click.option("--cards", type=click.IntRange(min=2), default=1024, show_default=True)
@options("compression_gap")
def main(table: Table, picture: Path, cards: int, quick: bool, plot_only: bool) -> None:
    specs = (NONE, *(("fp16", "int8", "topk:0.01") if quick else DEFAULT))
    model = "resnet-50" if quick else "llama-3-8b"
    asked = {
        (setting, spec, fabric): question(fabric, spec, setting, cards, model)
        for setting in settings()
        for spec in specs
        for fabric in (SLOW, FAST)
    }
    if not plot_only:
        table.keep({fingerprint(one) for one in asked.values()})
        fill(table, [(f"{key[2]}, {key[0].text}", one) for key, one in asked.items()], "codecs", GOOD)
    found: dict[Setting, Rows] = {}
    for (setting, spec, fabric), one in asked.items():
        row = table.rows.get(question_id(one))
        if row is None:
            raise click.ClickException(f"the table lacks {spec} on {fabric} ({setting.text}); run without --plot-only")
        found.setdefault(setting, {})[spec, fabric] = row
    text = "\n".join(answer(found, specs, cards, model)) + "\n"
    target = picture.with_suffix(".md")
    target.write_text(text, encoding="utf-8")
    click.echo(text)
    click.echo(target)


if __name__ == "__main__":
    main()
