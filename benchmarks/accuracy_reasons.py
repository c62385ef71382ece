"""Why simulated times are off: what docs/accuracy.md says about it in words, and the tables that show it.

The words are a judgement and stay until somebody judges again; every figure in a table comes from `results/accuracy.csv`.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from ringsim.units import format_size
from ringsim.validation import BANDS, Point, System
from ringsim.validation.errors import SINGLE

Points = Mapping[str, Sequence[Point]]

KIB, MIB = 1024, 1024**2

REASONS = """## Why

**Launch mode.** What the logs of 8 cards, or 16 dies, show beyond the simulation at small sizes:"""

LAUNCH_AFTER = """The start-up in the fabric files is NCCL's `baseLat`, which is none of these modes, and HCCL's 10
us. Kernels of their own in a CUDA graph start sooner, a thread that drives eight cards later. If every launch mode
and library had one start-up, the median of what its systems show, the median error up to 64 KiB would be {after:.1%}
in place of {before:.1%}, and {left} systems in place of {over} above twice the target. That is what it could do at
best: it is found on the rows that it is judged on, and it is not in the model. It makes a few systems worse, and what
it leaves is mostly the library: ABCI ran NCCL 2.8.4, whose excess on 8 cards grows to 23 us at 64 KiB, near what the
tree in LL128 takes here, and Summit older ones still; p5 over EFA and a pair over RoCE have the wrong latency of the
network."""

MIDDLE_BEFORE = """**The middle, 1 to 64 MiB.** Here machines of the same hardware agree with each other and not with
the simulation, so this is the model's own error. 8 x A100:"""

MIDDLE_AFTER = """The column "lat + bytes/bw" is NCCL's own formula for this size, ring and Simple, without a
simulation. Two things are missing. A chunk is cut into two slices here and nothing holds a sender back, so the
latency of a step hides behind the sending of the next, and time is the larger of the two where NCCL's formula adds
them. And measured times are longer than that formula, too: NCCL's limits per channel, the number of channels and
threads that it opens for a size, and its loops over buffers of 4 MiB are not in the model. Up to 1 MiB LL wins for
too long for the same reason: it has all its channels from the first byte on."""

TWO_BEFORE = """**Two cards.** A pair never reaches what eight cards do, on any NVLink; the simulation gives both the
same. Largest size measured:"""

TWO_AFTER = """Nothing in the published constants explains it. A limit per channel with fewer channels for two ranks
would; a log with NCCL_DEBUG=INFO of a pair would decide it."""

NETWORK = """**Networks.** What is known of them is least. For EFA the only published latency is the 75 us that its
plug-in states to NCCL for p4d and p5 (35 for later ones): it fits p4de and is twice too long for p5. NVLSTree,
with which p5 exceeds the rate of its NICs as a ring would use them, is not modelled. RoCE's efficiency is that of the 910B,
0.8, and MI325X nodes reach 0.875. One card and one NIC on GKE measure 32 GB/s of 50, and 33 us where NCCL's constants give
14. How many NICs an ABCI node has is not printed; 8 are assumed, and above 1 MiB its clusters show far fewer.
CoreWeave's 387 GB/s of bus bandwidth are what rings reach over 8 NICs of 48.5 GB/s, so SHARP, which the simulation
prefers, was most likely not used: a log that names the algorithm would decide it.

**Old libraries.** Summit ran NCCL 2.3 and 2.4, whose constants were not at hand. Its ring follows the newer ones; its
tree has about 75 us more from the first point on.

**HCCL.** Large messages follow from the lanes alone. Below, hccl_test on 910B has a floor of 43 us and outliers to
259 us that no model of a network explains; on 910C (time of kernels) the start-up of 10 us is three times what the
whole operation takes, and between 4 and 32 MiB the library changes algorithm, to its loss. Two dies of a package have
a link of their own, which is left out."""


def reasons(systems: Sequence[System], points: Points) -> Iterator[str]:
    """Paragraphs and tables, each reason with its evidence."""
    yield REASONS
    yield _launch(systems, points)
    yield LAUNCH_AFTER.format(**_with_modes(systems, points))
    yield MIDDLE_BEFORE
    yield _middle(points)
    yield MIDDLE_AFTER
    yield TWO_BEFORE
    yield _pairs(points)
    yield TWO_AFTER
    yield NETWORK


def table(head: str, rows: Sequence[Sequence[str]]) -> str:
    """Write a table; `head` has its columns between bars, those of numbers with a colon after them."""
    names = [name.strip() for name in head.split("|")]
    rule = ["---:" if name.endswith(":") else "---" for name in names]
    lines = [[name.removesuffix(":") for name in names], rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _launch(systems: Sequence[System], points: Points) -> str:
    """Measured less simulated time of single nodes of 8 cards and 16 dies, up to 4 KiB."""
    rows = []
    for system in systems:
        if system.clusters not in (((8, 1),), ((16, 1),)):
            continue
        small = [p for p in points[system.name] if p.measured_us is not None and p.bytes <= 4 * KIB]
        if small:
            over = [(p.measured_us or 0.0) - p.simulated_us for p in small]
            rows.append((system.launch, system.name, f"{system.library} {system.version}", f"{median(over):+.1f}"))
    return table("launch | system | library | measured less simulated, us (median to 4 KiB):", sorted(rows))


def _with_modes(systems: Sequence[System], points: Points) -> dict[str, float]:
    """Errors up to 64 KiB as they are, and with one start-up for each launch mode and library."""
    small = {
        system: own
        for system in systems
        if system.used_for == "test"
        and (own := [p for p in points[system.name] if p.measured_us is not None and p.bytes <= 64 * KIB])
    }
    excess = {s: median((p.measured_us or 0.0) - p.simulated_us for p in own) for s, own in small.items()}
    before, after = [], []
    for system, own in small.items():
        mode = median(over for s, over in excess.items() if (s.launch, s.library) == (system.launch, system.library))
        before.append(median(abs(p.error) for p in own))
        after.append(median(abs((p.simulated_us + mode) / (p.measured_us or 1.0) - 1) for p in own))
    most = SINGLE * BANDS[0].target
    return {
        "before": median(before), "after": median(after), "over": sum(one > most for one in before),
        "left": sum(one > most for one in after),
    }  # fmt: skip


def _middle(points: Points) -> str:
    """Three logs of 8 x A100 beside simulation and NCCL's formula."""
    names = ("a100x8-superbench", "a100x8-aic", "a100x8-abci")
    rows = []
    for size in (2**k * MIB for k in range(-2, 10)):
        measured, found = [], None
        for name in names:
            own = [p for p in points[name] if p.bytes == size and p.measured_us is not None]
            measured.append(f"{median(p.measured_us or 0.0 for p in own):.0f}" if own else "-")
            found = own[0] if own else found
        assert found is not None
        # baseLat 8.4 and 14 steps of hwLat 3.4 us; 14/8 of the vector at 240 GB/s
        formula = 8.4 + 14 * 3.4 + 14 / 8 * size / 240e3
        simulated = f"{found.simulated_us:.0f} ({found.algorithm} {found.protocol})"
        rows.append((format_size(size), *measured, simulated, f"{formula:.0f}"))
    return table(f"size: | {' | '.join(name + ', us:' for name in names)} | simulated, us: | lat + bytes/bw, us:", rows)


def _pairs(points: Points) -> str:
    """Bus bandwidth of two cards at the largest size."""
    rows = []
    for name in ("a100x2-aic", "a800", "h800", "h200x2-aic", "b200x2-aic", "gb200x2-aic", "b300x2-aic"):
        own = [p for p in points[name] if p.cards == 2 and p.measured_us is not None]
        last = max(own, key=lambda p: p.bytes)
        rate = [last.bytes / time / 1e3 for time in (last.measured_us or 0.0, last.simulated_us)]
        rows.append((name, format_size(last.bytes), f"{rate[0]:.0f}", f"{rate[1]:.0f}", f"{rate[0] / rate[1]:.2f}"))
    return table("system | size: | measured, GB/s: | simulated, GB/s: | ratio:", rows)
