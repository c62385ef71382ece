"""Which targets are missed, by how much, why as far as is known, and what measurement would decide it.

Causes are a judgement, written here by hand and looked up by system and band; which systems miss what, and by how much,
comes out of the table. One that misses and is under no cause is listed as not explained.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from ringsim.validation import BANDS, SINGLE, Errors, System

SMALL, MIDDLE, LARGE = (band.name for band in BANDS)


@dataclass(frozen=True)
class Cause:
    """Why some systems are off in some bands.

    Attributes
    ----------
    title, why, decides : str
    places : tuple of (str, str)
        Patterns of names of systems, separated by spaces, and bands, separated by commas; the first cause that fits counts.
    """

    title: str
    why: str
    decides: str
    places: tuple[tuple[str, str], ...]


CAUSES = (
    Cause(
        "Kernels of others",
        "they have no published constants; NCCL's protocols stand in for theirs, with one start-up from one system",
        "the kernels' own profile: time of a step, channels, and the size at which they fall back to NCCL",
        (("*-trtllm *-vllm *-mscclpp", f"{SMALL},{MIDDLE},{LARGE}"),),
    ),
    Cause(
        "H200 at small sizes",
        "2 cards take 6.2 us, less than the constants of NCCL for LL give without any launch, while B200 of the same "
        "collection and version take 10.3",
        "the header of that log: the collector's newest version drives all cards by one thread, the rows say a thread each",
        (("h200x*-aic", f"{SMALL},{MIDDLE}"),),
    ),
    Cause(
        "Threads on other hosts",
        "a thread costs 0.8 us for each card with A100, and 1.1 to 1.7 with Blackwell, in front of other processors",
        "the same host with -t, with -g and with a process for each card",
        (("b200x*-aic gb200x*-aic b300x*-aic", SMALL),),
    ),
    Cause(
        "One NIC of a virtual machine",
        "a pair of cards reaches 32 GB/s of 50 and 33 us; NCCL's constants and RoCE's efficiency give 40 and 16",
        "ib_write_bw and ib_write_lat between the two machines",
        (("h200x2-roce", f"{SMALL},{MIDDLE},{LARGE}"),),
    ),
    Cause(
        "NICs of ABCI",
        "4 ports of HDR serve 8 A100 and 2 of EDR 4 V100; the logs show less, most of all with A100: 33 GB/s of 94 on 2 "
        "nodes and 16 on 8, at the largest sizes that were measured, 16 and 32 MiB",
        "the same job with NCCL_DEBUG=INFO, which prints the NICs of each channel, and whether GPUDirect was used",
        (("a100x16-abci a100x64-abci v100x8-abci v100x32-abci v100x128-abci", f"{MIDDLE},{LARGE}"),),
    ),
    Cause(
        "Old versions of NCCL",
        "ABCI ran 2.8.4, Summit 2.3 and 2.4: their constants are not those of 2.30.7 (2.12 still had 4.4 and 3.6 us where "
        "2.30.7 has 6.8 and 6.6), and V100 keep LL longer",
        "a run of a present version on the same machine, or tuning.cc of those versions",
        (("summit-* v100x*-abci a100x*-abci", SMALL),),
    ),
    Cause(
        "NVLSTree",
        "a pair of p5 reaches 487 GB/s of bus bandwidth where rings over its NICs end at 376; it is not modelled",
        "the same job with NCCL_ALGO=Tree and with NVLSTree",
        (("h100x16-p5", f"{MIDDLE},{LARGE}"),),
    ),
    Cause(
        "Two cards",
        "a pair does not reach what eight cards do; see above",
        "a log of a pair with NCCL_DEBUG=INFO: the number of its channels",
        (("*x2-aic a800", LARGE),),
    ),
    Cause(
        "HCCL's choice",
        "times jump where the library changes algorithm, at 3.7 MB with 2 dies and from 4 to 32 MiB with 16, to its loss; "
        "two dies of a package have a link of their own that is left out; hccl_test on 910B has outliers of 84, 180 and "
        "259 us",
        "the same sizes with each HCCL_ALGO, and hccl_test three times over",
        (("910*", f"{SMALL},{MIDDLE},{LARGE}"),),
    ),
    Cause(
        "The middle",
        "machines of the same hardware agree with each other and not with the simulation; see above",
        "one size with NCCL_DEBUG_SUBSYS=TUNING and each NCCL_ALGO and NCCL_PROTO: what was chosen, on how many channels",
        (("*", f"{MIDDLE},{LARGE}"),),
    ),
)


def misses(
    systems: Sequence[System], errors: Mapping[str, Sequence[Errors]]
) -> dict[Cause | None, list[tuple[System, Errors]]]:
    """Systems above the target in bands that count, by cause, in the order of the causes."""
    found: dict[Cause | None, list[tuple[System, Errors]]] = {cause: [] for cause in (*CAUSES, None)}
    for system in systems:
        for one in errors[system.name]:
            if not one.reached():
                found[_cause(system.name, one.band.name)].append((system, one))
    return {cause: rows for cause, rows in found.items() if rows}


def _cause(name: str, band: str) -> Cause | None:
    return next(
        (
            cause
            for cause in CAUSES
            for patterns, bands in cause.places
            if band in bands.split(",") and any(fnmatch(name, pattern) for pattern in patterns.split())
        ),
        None,
    )


def paragraphs(systems: Sequence[System], errors: Mapping[str, Sequence[Errors]]) -> Iterator[str]:
    """The section of the page."""
    yield "## What is missed, and what would decide it"
    yield (
        "Every system whose median is above the target, by cause; in bold those above twice the target, which no single "
        "system may be. A system may miss for more than one reason; it stands under the one that weighs most."
    )
    for cause, rows in misses(systems, errors).items():
        title = "Not explained" if cause is None else cause.title
        why = "No cause is known." if cause is None else f"{cause.why[0].upper()}{cause.why[1:]}."
        decides = "" if cause is None else f" Would decide it: {cause.decides}."
        listed = []
        for band in BANDS:
            own = [(system.name, one) for system, one in rows if one.band == band]
            if own:
                each = ", ".join(
                    f"{'**' * (not one.reached(SINGLE))}{name} {one.median:.0%}{'**' * (not one.reached(SINGLE))}"
                    for name, one in own
                )
                listed.append(f"{band.name} (target {band.target:.0%}): {each}")
        yield f"**{title}.** {why}{decides} Missed {'; '.join(listed)}."
