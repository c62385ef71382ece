"""One experiment: the frozen inputs with a hash of their content, and one flat row of outputs with units in the names."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ringsim import __version__

#: Of the JSON objects below; changes when a key changes its meaning or goes.
SCHEMA = 1

#: Busbw of one algbw, by collective, on so many ranks (nccl-tests, PERFORMANCE.md).
BUSBW: dict[str, Callable[[int], float]] = {
    "all-reduce": lambda p: 2 * (p - 1) / p,
    "reduce-scatter": lambda p: (p - 1) / p,
    "all-gather": lambda p: (p - 1) / p,
    "all-to-all": lambda p: (p - 1) / p,
    "broadcast": lambda p: 1.0,
    "reduce": lambda p: 1.0,
}


@dataclass(frozen=True)
class Case:
    """Everything that decides the result of one simulation.

    Attributes
    ----------
    fabric, network : str
        Names, for people; `fingerprint` is what counts.
    fingerprint : str
        SHA-256 of every number of the fabric, changes included.
    cards, domain, nodes : int
        Ranks, cards per scale-up domain, and domains.
    collective, algorithm, protocol : str
    channels, pieces : int
        Rings or chains side by side; slices of a ring's chunk or chunks of a tree's share.
    bytes, count : int
        Of the vector on each rank, and its elements.
    dtype, engine : str
    jump : bool
    seed : int
    placement : str
        Where ranks sit, in words, if rank is not card; `fingerprint` is what counts.
    changed : tuple of str
        ``key=value (was old)`` for each number that differs from the fabric file.
    compress : str
        The codec, with all its parameters; empty for none.
    model : str
        Whose gradients the vector is, which decides the shapes that a codec sees; empty for a vector of no shape.
    """

    fabric: str
    network: str
    fingerprint: str
    cards: int
    domain: int
    nodes: int
    collective: str
    algorithm: str
    protocol: str
    channels: int
    pieces: int
    bytes: int
    count: int
    dtype: str
    engine: str
    jump: bool
    seed: int
    placement: str = ""
    changed: tuple[str, ...] = ()
    compress: str = ""
    model: str = ""

    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the inputs and the version: the same inputs, the same row."""
        names = {"fabric", "network", "placement", "changed"}  # what they stand for is in the fingerprint
        content = {key: value for key, value in asdict(self).items() if key not in names} | {"version": __version__}
        for key in ("compress", "model"):  # the rows of those who use neither keep their names
            if not content[key]:
                del content[key]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Result:
    """What one case came to.

    Attributes
    ----------
    case : Case
    time_us : float or None
        Seconds·1e6 from the call until the last rank has the last byte of the sum. None where the case was not simulated
        because `floor_us` already lies above a better candidate's time.
    floor_us : float
        What this algorithm, with these channels and this protocol, cannot beat: its busiest link or connection alone.
    bound_us : float
        What no algorithm can beat on this cluster.
    transfers, transfers_simulated, transfers_jumped, transfers_folded, events : int
        Firings in all; worked out one by one; carried over by the steady state; of rows for which a row in the same
        situation was worked out; moments the engine looked at.
    wire_bytes : float
        Bytes that left a sender, all firings together.
    code_bytes : float
        Of the vector of one rank when it is encoded; without a codec those of the vector.
    codec_us : float
        Microseconds for which the busiest card's memory is encoding and decoding, if nothing else holds it up.
    error : float or None
        Of the sum over all ranks that the codec leaves, against the exact one: the norm of the difference over the norm.
        On sampled gradients, through this very schedule. None where it was not measured.
    error_elements : int or None
        Elements of the gradients on which that was measured, the vector or the beginning of one.
    agree : bool or None
        Whether all ranks end with the same numbers, bit for bit.
    bottleneck : str
        The kind of link that limits the run, or ``latency``.
    busy : float
        Part of the time in which the busiest link or connection is sending.
    busiest : str
        Its kind of link.
    wall_s : float
        Seconds it took to simulate, compilation aside.
    """

    case: Case
    time_us: float | None
    floor_us: float
    bound_us: float
    transfers: int
    transfers_simulated: int
    transfers_jumped: int
    transfers_folded: int
    events: int
    wire_bytes: float
    bottleneck: str
    busy: float
    busiest: str
    wall_s: float
    code_bytes: float = 0.0
    codec_us: float = 0.0
    error: float | None = None
    error_elements: int | None = None
    agree: bool | None = None

    @property
    def ratio(self) -> float:
        """Bytes of the vector for one byte of its code."""
        return self.case.bytes / self.code_bytes if self.code_bytes else 1.0

    @property
    def algbw_GBps(self) -> float | None:
        """Bytes of the vector per second, GB/s (1e9), as nccl-tests defines it."""
        return self.case.bytes / self.time_us / 1e3 if self.time_us else None

    @property
    def busbw_GBps(self) -> float | None:
        """Algbw times the collective's factor, GB/s: what the links of a card carry (nccl-tests, PERFORMANCE.md)."""
        p = self.case.cards
        return self.algbw_GBps * BUSBW[self.case.collective](p) if self.algbw_GBps else None

    @property
    def reached(self) -> float | None:
        """The bound as a part of the time, 0 to 1."""
        return self.bound_us / self.time_us if self.time_us else None

    def row(self) -> dict[str, Any]:
        """Inputs and outputs in one flat row, for CSV."""
        case = asdict(self.case) | {"changed": " ".join(self.case.changed)}
        return {"id": self.case.id()} | case | self.outputs()

    def outputs(self) -> dict[str, Any]:
        """Outputs alone, derived ones included."""
        keep = asdict(self)
        del keep["case"]
        derived = {"algbw_GBps": self.algbw_GBps, "busbw_GBps": self.busbw_GBps, "reached": self.reached}
        derived["ratio"] = self.ratio
        return {"time_us": keep.pop("time_us")} | derived | keep


def to_json(best: Result, candidates: tuple[Result, ...]) -> dict[str, Any]:
    """Build the object that ``ringsim run --json`` prints; more than one candidate are listed after the best."""

    def one(result: Result) -> dict[str, Any]:
        return {"case": asdict(result.case) | {"id": result.case.id()}, "result": result.outputs()}

    document = {"schema": SCHEMA, "ringsim_version": __version__} | one(best)
    if len(candidates) > 1:
        document["candidates"] = [one(candidate) for candidate in candidates]
    return document
