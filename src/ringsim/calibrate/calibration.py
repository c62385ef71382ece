"""The whole of it: points, fit, errors before and after, and whether what was not shown is predicted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ringsim.calibrate.constants import chosen
from ringsim.calibrate.errors import Errors, by_band
from ringsim.calibrate.fitting import Fit, fit
from ringsim.calibrate.points import Point, points_of
from ringsim.calibrate.simulating import Bench, Floats, times_of
from ringsim.fabric import Fabric
from ringsim.formats.perf import PerfLog
from ringsim.result import Result

#: Part of the sizes that is kept back.
KEPT_BACK = 0.2

#: Called with what is being done, the looks done and how many there may be.
Steps = Callable[[str, int, int], None]


@dataclass(frozen=True)
class HoldOut:
    """What a fit without some of the sizes predicts for them.

    Attributes
    ----------
    seed : int
    sizes : tuple of int
        Bytes that were kept back.
    errors : tuple of Errors
        Of these alone.
    """

    seed: int
    sizes: tuple[int, ...]
    errors: tuple[Errors, ...]


@dataclass(frozen=True)
class Calibration:
    """What came out.

    Attributes
    ----------
    logs : tuple of PerfLog
    was, sheet : Fabric
        The data sheet as it was, and with the constants that were found.
    points : tuple of Point
    nodes : int
        The most that a log is of.
    fit : Fit
    before, after : float array, shape ``[points]``, us
        Simulated times.
    plans : tuple of Result
        How, after; one for each point.
    hold_out : HoldOut or None
        None where there are too few sizes to keep some back.
    """

    logs: tuple[PerfLog, ...]
    was: Fabric
    sheet: Fabric
    points: tuple[Point, ...]
    nodes: int
    fit: Fit
    before: Floats
    after: Floats
    plans: tuple[Result, ...]
    hold_out: HoldOut | None


def calibrate(
    logs: Sequence[PerfLog], fabric: str, *, network: str | None = None, cards: Sequence[int] = (),
    names: Sequence[str] = (), seed: int = 0, steps: Steps | None = None,
) -> Calibration:  # fmt: skip
    """Find constants of a fabric anew from logs of one cluster.

    Parameters
    ----------
    logs : sequence of PerfLog
        From `ringsim.formats.perf.read`; runs on different numbers of cards may be among them.
    fabric, network : str
        What to begin with, as `ringsim.fabric.load` takes them.
    cards : sequence of int
        Of each log, or one number for all, where they do not say it themselves.
    names : sequence of str
        Of `CONSTANTS`; none for those that logs of this kind can tell.
    seed : int
        Of the sizes that are kept back.
    steps : callable or None

    Raises
    ------
    PerfLogError
        A log does not fit.
    FabricError, TopologyError, StudyError
        The fabric, the cluster or the question does not.
    """
    bench = Bench(fabric, network)
    points = points_of(logs, bench.sheet, cards)
    nodes = max(bench.nodes(*setting) for setting in {(point.cards, point.domain) for point in points})
    constants = chosen(bench.sheet, several_nodes=nodes > 1, names=names)

    def said(what: str) -> Callable[[int, int], None] | None:
        return None if steps is None else lambda done, many: steps(what, done, many)

    found = fit(bench, points, constants, said("fitting"))
    plans = tuple(bench.plans(points, found.changes))
    kept, sizes = split(points, seed, len(constants))
    held = None
    if sizes:
        rest = [point for point, back in zip(points, kept, strict=True) if not back]
        back = [point for point, back in zip(points, kept, strict=True) if back]
        blind = fit(bench, rest, constants, said("fitting without a fifth of the sizes"))
        held = HoldOut(seed, sizes, by_band(back, bench.times(back, blind.changes)))
    return Calibration(
        tuple(logs), bench.sheet, bench.changed(found.changes), points, nodes, found,
        bench.times(points, {}), times_of(plans), plans, held,
    )  # fmt: skip


def split(points: Sequence[Point], seed: int, constants: int) -> tuple[list[bool], tuple[int, ...]]:
    """Choose at random a fifth of the sizes, with all measurements of each, to be kept back.

    Returns
    -------
    kept : list of bool
        For each point whether it is kept back.
    sizes : tuple of int
        Bytes that are; none where too few would be left.
    """
    # Two logs of the same cluster ask the same: what one is to predict must not be read from the other.
    asked = sorted({point.question for point in points}, key=lambda one: (one[0], one[1] or 0, one[2]))
    many = max(1, round(KEPT_BACK * len(asked)))
    back = {asked[i] for i in np.random.default_rng(seed).choice(len(asked), many, replace=False)}
    if len(asked) - many <= constants:
        return [False] * len(points), ()
    return [point.question in back for point in points], tuple(sorted(size for *_, size in back))
