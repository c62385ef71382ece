"""Codes that keep few elements whole and leave the rest out: top-k, a threshold, or a random choice.

Unless all ranks choose alike their codes do not add up element by element: they are gathered, or merged and grow.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ringsim.codecs.carrier import Carrier
from ringsim.codecs.casts import Cast
from ringsim.codecs.choosing import kept, largest, scatter
from ringsim.codecs.codec import Code, Cost, Floats, Passes, Rounds, Shape, State, Summed, elements
from ringsim.codecs.tiles import LARGEST, check, tiles

#: A number that is written where its index says moves a sector of 32 bytes, in and out again: eight times its four.
SECTOR = 32


@dataclass(frozen=True)
class TopK(Carrier):
    """The share of elements with the largest magnitudes, exactly.

    A. F. Aji, K. Heafield, "Sparse Communication for Distributed Gradient Descent", 2017, arXiv:1704.05021 (kept the
    largest 1 %); S. U. Stich, J.-B. Cordonnier, M. Jaggi, "Sparsified SGD with Memory", 2018, arXiv:1809.07599.

    Code: values float32 and indices int32, in the order of indices. Bound: a squared error of at most (1 − k/n) ‖x‖², and
    no other k elements leave less. It needs error feedback: small elements would never be sent.

    Parameters
    ----------
    density : float
        Share that is kept, rounded up to whole elements.
    """

    density: float
    combine = "sparsifier"
    pieces = False
    #: Histogram of the upper bits, then collect: two reads of the vector. Candidates are written, selected and written
    #: again, about three codes. Decoding clears the vector; each code of 8 bytes then moves a sector, in and out
    #: where it is added.
    cost = Cost(Passes(2, 3), Passes(1, 1 + SECTOR / 8), Passes(0, 1 + 2 * SECTOR / 8))

    @property
    def spec(self) -> str:
        """Such as ``topk:0.01``."""
        return f"topk:{self.density}"

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Choose."""
        check(x, self.spec)
        indices = largest(x, kept(self.density, x.shape[1]))
        return Code(x.shape[1], (np.take_along_axis(x, indices, axis=1), indices)), state.after()

    def decode(self, code: Code) -> Floats:
        """Zeros where nothing was kept."""
        values, indices = code.parts
        return scatter(code.n, indices, values)

    def payload(self, shape: Shape) -> int:
        """Elements that are kept."""
        return kept(self.density, elements(shape))

    def wire_bytes(self, shape: Shape) -> int:
        """Four bytes of value and four of index for each."""
        return 8 * self.payload(shape)


@dataclass(frozen=True)
class Threshold(Carrier):
    """Elements of more than a multiple of the vector's root mean square: no selection, but nobody knows how many.

    After N. Strom, "Scalable Distributed DNN Training Using Commodity GPU Cloud Computing", Interspeech 2015, where the
    threshold is absolute; relative to the root mean square it fits every layer and every step.

    Code: values, indices, and a count int32 for each message. Bounds: an error of at most T · rms in each element; a
    squared error of at most min(1, T²) ‖x‖².

    `wire_bytes` is the size for normally distributed elements, of which erfc(T/√2) exceed T; `Code.nbytes` is the truth.
    Messages that are encoded together are padded to the longest, as an all-gather of equal sizes does on the wire.

    Parameters
    ----------
    threshold : float
        T, above zero.
    """

    threshold: float
    combine = "sparsifier"
    pieces = False
    sized = False
    #: One pass for the root mean square, one to collect; without top-k's selection. Decoding as for top-k.
    cost = replace(TopK.cost, encode=Passes(2, 1))

    @property
    def spec(self) -> str:
        """Such as ``threshold:3.0``."""
        return f"threshold:{self.threshold}"

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Compare with T times the root mean square."""
        check(x, self.spec)
        messages, n = x.shape
        squares = np.zeros(messages)
        for tile in tiles(messages, n):
            wide = x[tile.rows, tile.columns].astype(np.float64)
            squares[tile.rows] += np.einsum("ri,ri->r", wide, wide)
        limit = np.minimum(self.threshold * np.sqrt(squares / max(1, n)), LARGEST).astype(np.float32)
        found = [
            (rows + tile.rows.start, columns + tile.start)
            for tile in tiles(messages, n)
            for rows, columns in [np.nonzero(np.abs(x[tile.rows, tile.columns]) > limit[tile.rows, None])]
        ]
        rows, columns = (np.concatenate([pair[axis] for pair in found] or [np.empty(0, np.int64)]) for axis in (0, 1))
        counts = np.bincount(rows, minlength=messages)
        present = np.arange(counts.max(initial=0)) < counts[:, None]
        indices = np.zeros(present.shape, np.int32)
        indices[present] = columns
        values = np.where(present, np.take_along_axis(x, indices, axis=1), np.float32(0))
        return Code(n, (values, indices, counts[:, None].astype(np.int32))), state.after()

    def decode(self, code: Code) -> Floats:
        """Zeros where nothing was kept; what is padding is not looked at."""
        values, indices, counts = code.parts
        rows, places = np.nonzero(np.arange(values.shape[1]) < counts)
        x = np.zeros((len(values), code.n), np.float32)
        x[rows, indices[rows, places]] = values[rows, places]
        return x

    def payload(self, shape: Shape) -> int:
        """Elements that exceed it if they are normally distributed."""
        return round(elements(shape) * math.erfc(self.threshold / math.sqrt(2)))

    def wire_bytes(self, shape: Shape) -> int:
        """Eight bytes for each that is expected, and the count."""
        return 8 * self.payload(shape) + 4


@dataclass(frozen=True)
class RandomK(Carrier):
    """A random choice of elements, the same on every rank: no indices on the wire, and codes add up.

    J. Konečný, H. B. McMahan, F. X. Yu, P. Richtárik, A. T. Suresh, D. Bacon, "Federated Learning: Strategies for
    Improving Communication Efficiency", 2016, arXiv:1610.05492 (a random mask from a shared seed); S. U. Stich et al.,
    arXiv:1809.07599, as for top-k.

    Each step chooses k of n anew, from the state's seed and step, which must be the same on every rank; all messages
    have the same choice. Values are sent as they are, not times n/k: that would be unbiased, but error feedback
    wants a contraction. Bound: an expected squared error of (1 − k/n) ‖x‖², exactly; the mean is k/n of the vector.

    Parameters
    ----------
    density : float
        Share that is kept, rounded up to whole elements.
    """

    density: float
    combine = "linear"
    #: Each value of 4 bytes is fetched with its sector and written; its index is made and read. Decoding clears the
    #: vector and moves a sector for each; adding moves it in and out.
    cost = Cost(Passes(0, SECTOR / 4 + 3), Passes(1, SECTOR / 4 + 3), Passes(0, 2 * SECTOR / 4 + 3))

    @property
    def spec(self) -> str:
        """Such as ``randomk:0.01``."""
        return f"randomk:{self.density}"

    def choice(self, n: int, seed: int, step: int) -> NDArray[np.int64]:
        """Indices of this step, rising, shape ``[1, k]``: what every rank knows."""
        rng = State(seed, step).rng()
        return np.sort(rng.choice(n, kept(self.density, n), replace=False, shuffle=False))[None]

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Take the chosen ones."""
        check(x, self.spec)
        n = x.shape[1]
        values = x[:, self.choice(n, state.seed, state.step)[0]]
        return Code(n, (np.ascontiguousarray(values),), known=(state.seed, state.step)), state.after()

    def decode(self, code: Code) -> Floats:
        """Zeros where nothing was chosen."""
        (values,) = code.parts
        return scatter(code.n, self.choice(code.n, *code.known), values)

    def payload(self, shape: Shape) -> int:
        """Elements that are kept."""
        return kept(self.density, elements(shape))

    def wire_bytes(self, shape: Shape) -> int:
        """Values alone."""
        return 4 * self.payload(shape)

    def rounds_in(self, x: Floats, state: State, wire: Cast) -> Rounds:
        """One round: values are summed."""
        code, after = self.encode(x, state)
        sent, _ = wire.encode(code.parts[0], State())
        total = yield sent.parts[0]
        whole, own = (
            scatter(code.n, self.choice(code.n, *code.known), wire.decode(Code(sent.n, (values,))))
            for values in (total, sent.parts[0])
        )
        return Summed(whole, own, after)
