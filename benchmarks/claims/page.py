"""The text of docs/article_claims.md: tables of what was simulated, and sentences chosen by comparing it.

Nothing here is simulated, so that a test can write the page again.
"""

from collections.abc import Sequence
from textwrap import fill

from claims.changes import sheet
from claims.gradients import second
from claims.latency import first
from claims.machines import Points, machines, trust
from claims.questions import CARDS, FAST, SIZES, SLOW, Ask, small
from ringsim.validation import BANDS, System

HEAD = """# The article's claims, in numbers

Written by `python benchmarks/article_claims.py` from `benchmarks/results/article_claims.csv`, and from
`benchmarks/results/accuracy.csv` for how far off simulation is. Every figure is simulated or reckoned from one that is,
and every verdict compares figures: no sentence stays when they turn. What is claimed:

* "NVLink3, 600 GB/s: a thousand-card all-reduce in under 7 us." ([verdict](#verdict-on-the-first-claim))
* "HCCS 2.0 with 392 GB/s needs gradient compression and topology optimisation at a thousand cards."
([verdict](#verdict-on-the-second-claim))

{rates} And a thousand cards are {nodes:,} servers, with a NIC of {nic:.0f} GB/s for each card between them."""


def text(ask: Ask, systems: Sequence[System], points: Points) -> str:
    """Write the page.

    Parameters
    ----------
    ask : callable
        Answers questions with rows of the table.
    systems : sequence of System
    points : mapping
        Measured and simulated points by system, as `accuracy.read` has them.
    """
    off = machines(systems, points)
    fast, slow = (sheet(name).domain for name in (FAST, SLOW))
    rates = (
        f"Both bandwidths count both directions: {_gb(fast.datasheet_bandwidth / 2)} and "
        f"{_gb(slow.datasheet_bandwidth / 2)} GB/s each way, of which libraries reach {_gb(fast.card_bandwidth)} and "
        f"{_gb(slow.card_bandwidth)}. They are of links inside a server of {fast.size} cards."
    )
    one = ask(small(SIZES[0]))
    assert one["cards"] == CARDS
    parts = [
        HEAD.format(rates=rates, nodes=one["nodes"], nic=sheet(FAST).nic.bandwidth / 1e9),
        *first(ask, systems, points, off),
        *second(ask, systems, off.get(BANDS[-1])),
        *trust(systems, points, off),
    ]  # fmt: skip
    whole = "\n\n".join(parts).split("\n\n")
    return "\n\n".join(map(_filled, whole)) + "\n"


def _gb(rate: float) -> str:
    return f"{rate / 1e9:.0f}"


def _filled(part: str) -> str:
    """Break lines, so that no figure makes one too long; headings, tables and pictures stay as they are."""
    if part[0] in "#|!":
        return part
    if not part.startswith("* "):
        return fill(part, 120, break_on_hyphens=False)
    items = part.removeprefix("* ").split("\n* ")
    return "\n".join(fill(f"* {item}", 120, subsequent_indent="  ", break_on_hyphens=False) for item in items)
