"""Why simulated times are off: what docs/accuracy.md says about it in words, and the tables that show it.

The words are a judgement and stay until somebody judges again; every figure in a table comes from `results/accuracy.csv`.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from ringsim.fabric.launch import launches
from ringsim.units import format_size
from ringsim.validation import BANDS, SINGLE, Point, System
from ringsim.validation.simulating import KERNELS, extra_of

Points = Mapping[str, Sequence[Point]]

KIB, MIB = 1024, 1024**2

SMALL = BANDS[0]

REASONS = """## Why

**Launch mode.** The start-up in the fabric files is NCCL's `baseLat`, and HCCL's 10 us: none of the ways in which a
program drives its cards. What each adds is one constant for a mode and library, in `topologies/launch/modes.toml`,
fitted on the messages up to 4 KiB of one named system, and added to the start-up of every protocol:"""

LAUNCH_AFTER = """A process that drives several cards starts their kernels one after the other, so threads and one process
cost a time for each card; that it is one for each card, and not one for all, was decided after seeing that two cards show
2 us and eight show 7. Kernels in a CUDA graph and kernel times alone start sooner than the library reckons. Without
these constants the median error of NCCL, RCCL and HCCL up to 64 KiB, on the systems that are judged there, would be
{before:.1%} in place of {after:.1%}, with {over} systems in place of {left} above twice the target. Where a source does
not say how cards were driven, nothing is added."""

MIDDLE_BEFORE = """**The middle, 1 to 64 MiB.** Here machines of the same hardware agree with each other and not with
the simulation, so this is the model's own error. 8 x A100:"""

MIDDLE_AFTER = """The column "lat + bytes/bw" is NCCL's own formula for this size, ring and Simple, without a
simulation. A slice of Simple keeps its channel busy, and the last chunk is copied out of its buffer (docs/design.md);
without these two the bias was -21 % to 16 MiB and -12 % above. What is left between 1 and 128 MiB: NCCL chooses algorithm
and protocol by its formula and the simulation by what it finds fastest, so LL128 is used for longer here; NCCL opens fewer
channels and threads for small messages, where the simulation has all of them from the first byte on; and what one version
of NCCL takes between 256 KiB and 8 MiB differs from the next by nearly a factor of two, as the columns show."""

TWO_BEFORE = """**Two cards.** A pair does not reach what eight cards do, on any NVLink. Most of the difference is the copy
of the last chunk out of its buffer, which is a larger part of a pair's time. Largest size measured:"""

TWO_AFTER = """Nothing in the published constants explains the rest. A limit per channel with fewer channels for two
ranks would; a log with NCCL_DEBUG=INFO of a pair would decide it."""

NETWORK = """**Networks.** What is known of them is least. For EFA the plug-in states 75 us to NCCL for p4d and p5, 35
for later ones. 75 fits p4de and is three times too long for p5, so p5's latency is fitted on its own small messages, where
no error is quoted. RoCE's efficiency is that of the 910B, 0.8; that of Broadcom's NICs is fitted on four nodes of MI325X
and judged on two. CoreWeave's 386.6 GB/s of bus bandwidth are what rings reach over 8 NICs of 48.5 GB/s, 388, at every
number of nodes; SHARP, which its job asked for, has no such limit, so it is compared with ring and tree. A log that
names the algorithm would decide it. ABCI's own pages say how many NICs its nodes have; see below for what is left.

**Old libraries.** Summit ran NCCL 2.3 and 2.4, whose constants were not at hand. Its ring follows the newer ones; its
tree has about 75 us more from the first point on.

**HCCL.** Large messages follow from the lanes alone. Below, hccl_test on 910B has a floor of 43 us and outliers to
259 us that no model of a network explains. Times of kernels on 910C leave nothing of the 10 us that HCCL's model has
for an operation: launch mode `kernel` takes 9.2 of them off. Two dies of a package have a link of their own, which is
left out."""


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
    """Each constant, and the median error up to 64 KiB of the systems that share it but for the one it is fitted on."""
    rows = []
    for mode in launches().modes.values():
        for library, extra in mode.extras.items():
            share = [s for s in systems if s.launch == mode.name and extra_of(s) == extra]
            own = [s for s in share if SMALL.name not in s.fit and _small(points[s.name])]
            before, after = (
                f"{median(_errors(s, points[s.name], bare) for s in own):.1%}" if own else "" for bare in (True, False)
            )
            fitted = ", ".join(s.name for s in share if s.name in extra.source) or "none, see its source"
            adds = f"{extra.time * 1e6:+.2f}{' a card' if extra.each else ''}"
            named = "kernels of others" if library == KERNELS else library
            rows.append((mode.name, named, adds, fitted, str(len(own)), before, after))
    return table("launch | library | adds, us: | fitted on | others: | their error without: | and with:", rows)


def _small(points: Sequence[Point]) -> list[Point]:
    return [p for p in points if p.measured_us is not None and p.bytes <= (SMALL.end or 0)]


def _errors(system: System, points: Sequence[Point], bare: bool) -> float:
    """Median error up to 64 KiB, with what the launch mode adds or without."""
    extra = extra_of(system) if bare else None
    return median(
        abs((p.simulated_us - (extra.of(p.cards // p.nodes) * 1e6 if extra else 0.0)) / (p.measured_us or 1.0) - 1)
        for p in _small(points)
    )


def _with_modes(systems: Sequence[System], points: Points) -> dict[str, float]:
    """Errors up to 64 KiB without what launch modes add, and with it."""
    own = [s for s in systems if not s.custom and SMALL.name not in s.fit and _small(points[s.name])]
    before, after = ([_errors(system, points[system.name], bare) for system in own] for bare in (True, False))
    most = SINGLE * SMALL.target
    return {
        "before": median(before), "after": median(after), "over": sum(one > most for one in before),
        "left": sum(one > most for one in after),
    }  # fmt: skip


def _middle(points: Points) -> str:
    """Three logs of 8 x A100 beside simulation and NCCL's formula."""
    names = ("a100x8-superbench", "a100x8-aic", "a100x8-abci")
    # The simulation of the last one is shown, which a process for each card drives.
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
