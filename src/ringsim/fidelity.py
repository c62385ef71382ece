"""How true a compressed sum is: the codec at work on gradients, through the very schedule that is timed.

Cards may be many and vectors long, so the beginning of a vector stands for all of it: a few units of the schedule, on one
channel and in one piece. How many elements depends on the number of cards and on nothing else, so that algorithms can be
compared; what a sum goes through on its way is the same. That ranks agree is checked bit for bit.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ringsim.catalogue import find
from ringsim.codecs import Codec, Floats, parse
from ringsim.collectives import CollectiveError
from ringsim.compression.growth import settled
from ringsim.gradients import sample
from ringsim.result import Case, Result
from ringsim.topology import Topology
from ringsim.values.coded import all_reduce

#: Elements that are summed: the most of one rank, of all ranks together, and the fewest of one that say anything.
LONGEST, SAMPLED, FEWEST = 1 << 15, 1 << 27, 1 << 13

#: Elements of a unit, so that blocks with a scale of their own are whole.
WIDTH = 512

#: Elements of a vector that is encoded alone.
ALONE = 1 << 20

#: Firings that are gone through within a moment.
MOST_FIRINGS = 3_000_000


#: Whoever compares codecs or algorithms asks for the same gradients again.
_sample = lru_cache(maxsize=1)(sample)


@dataclass(frozen=True)
class Fidelity:
    """What came out.

    Attributes
    ----------
    error : float
        Norm of the difference from the exact sum over the norm of that, on the first rank; infinite where the sum
        overflows the type in which it is added. Of one step: what error feedback sends later is missing.
    agree : bool
        Whether all ranks ended with the same, bit for bit.
    ranks, elements : int
        Of what was summed.
    """

    error: float
    agree: bool
    ranks: int
    elements: int


def measure(case: Case, topology: Topology, *, seed: int = 0) -> Fidelity | None:
    """Sum sampled gradients as a case does; None where that would take long.

    Parameters
    ----------
    case : Case
        With a codec.
    topology : Topology
    seed : int
        Of the gradients, and of what rounds at random.
    """
    return through(parse(case.compress), case.algorithm, topology, count=case.count, seed=seed)


def told(result: Result, found: Fidelity | None) -> Result:
    """Add to a result what was found of its sum; nobody can write an infinite error down, so there it has none."""
    if found is None:
        return result
    error = found.error if math.isfinite(found.error) else None
    return replace(result, error=error, error_elements=found.elements, agree=found.agree)


def sampled(codec: Codec, ranks: int, count: int | None = None) -> int | None:
    """Elements that stand for a vector of `count`; None if so few as can be summed within a moment do not.

    Parameters
    ----------
    codec : Codec
    ranks : int
    count : int or None
        None for as many as can be summed: then the sample is the vector.
    """
    n = min(LONGEST, SAMPLED // ranks, count or LONGEST)
    short = n < (count or n)
    return None if n < min(FEWEST, count or FEWEST) or (short and not codec.samples) else n


def through(
    codec: Codec,
    name: str,
    topology: Topology,
    *,
    vectors: Floats | None = None,
    count: int | None = None,
    seed: int = 0,
) -> Fidelity | None:
    """Sum gradients by an all-reduce's algorithm; None where it has no place or would take long.

    Parameters
    ----------
    codec : Codec
    name : str
        Of the algorithm, as `ringsim.catalogue.find` knows it.
    topology : Topology
    vectors : float32 array, shape ``[ranks, n]``, or None
        Gradients to sum, all of them; None for a sample of as many as are needed.
    count : int or None
        Elements of the vector that a sample stands for.
    seed : int
    """
    algorithm = find("all-reduce", name)
    try:
        if algorithm.rows(topology, 1) > MOST_FIRINGS:
            return None
        schedule = algorithm.build(topology, 1, 1)
    except CollectiveError:
        return None
    if schedule.transfers > MOST_FIRINGS:
        return None
    units = None
    if vectors is None:
        n = sampled(codec, schedule.ranks, count)
        if n is None:
            return None
        units = None if n == count else max(1, min(schedule.units, n // WIDTH))
        vectors = _sample(n, schedule.ranks, seed)
    exact = vectors.sum(axis=0, dtype=np.float64)
    state = settled(codec.init(vectors.shape[1], messages=schedule.ranks, seed=seed))
    sums, _ = all_reduce(schedule, vectors, codec, state, units=units)
    error = float(np.linalg.norm(sums[0] - exact) / (np.linalg.norm(exact) or 1.0))
    if not math.isfinite(error):
        error = math.inf  # short floats have overflowed
    agree = bool((sums.view(np.uint32) == sums[0].view(np.uint32)).all())
    return Fidelity(error, agree, schedule.ranks, vectors.shape[1])


@dataclass(frozen=True)
class OnTheWire:
    """One vector and its code.

    Attributes
    ----------
    elements : int
    declared : int or None
        Bytes that the codec says a code has; None where that depends on values.
    produced : int
        Bytes that it has.
    error : float
        Norm of what is lost over the norm of the vector.
    """

    elements: int
    declared: int | None
    produced: int
    error: float

    @property
    def ratio(self) -> float:
        """Bytes of float32 for one byte of code."""
        return 4 * self.elements / self.produced


def on_the_wire(codec: Codec, vectors: Floats | None = None, seed: int = 0) -> OnTheWire:
    """Encode the first of some vectors, shape ``[ranks, n]``, or a sampled gradient."""
    vector = sample(ALONE, 1, seed) if vectors is None else vectors[:1]
    n = vector.shape[1]
    code, _ = codec.encode(vector, settled(codec.init(n, seed=seed)))
    error = float(np.linalg.norm(codec.decode(code) - vector) / (np.linalg.norm(vector) or 1.0))
    declared = codec.wire_bytes(n) if codec.sized else None
    return OnTheWire(n, declared, code.nbytes, error)


class GradientFileError(ValueError):
    """A file that holds no gradients; the message says what would be right."""


def read_gradients(path: str, ranks: int) -> Floats:
    """Read gradients, shape ``[ranks, n]``, that `numpy.save` has written.

    Raises
    ------
    GradientFileError
        If it holds anything else.
    """
    try:
        found = np.load(Path(path), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = getattr(error, "strerror", None) or "no array"
        raise GradientFileError(f"{path}: {why}; write one with numpy.save") from None
    shape = getattr(found, "shape", "no array")
    if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != ranks or not found.size:
        raise GradientFileError(
            f"{path}: {shape}; floats of shape ({ranks}, n) are needed, one row for each of {ranks} cards"
        )
    if found.dtype.kind != "f":
        raise GradientFileError(f"{path}: {found.dtype}; gradients are floats")
    with np.errstate(over="ignore"):
        small = np.isfinite(found).all() and np.abs(found).sum(axis=0).max() < np.finfo(np.float32).max
    if np.isfinite(found).all() and not small:
        raise GradientFileError(f"{path}: sums of these are beyond float32; scale them")
    if not np.isfinite(found).all():
        raise GradientFileError(f"{path}: some are no finite numbers, and those cannot be encoded")
    return np.ascontiguousarray(found, np.float32)
