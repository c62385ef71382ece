"""PowerSGD: a gradient as the product of two thin matrices, which add up over ranks."""

import math
from dataclasses import dataclass

import numpy as np

from ringsim.codecs.carrier import Carrier
from ringsim.codecs.casts import Cast
from ringsim.codecs.codec import (
    Code,
    CodecError,
    Cost,
    Floats,
    Passes,
    Rounds,
    Shape,
    State,
    Summed,
    elements,
)
from ringsim.codecs.tiles import check


@dataclass(frozen=True)
class PowerSgd(Carrier):
    """One step of a power iteration, begun where the last one ended.

    T. Vogels, S. P. Karimireddy, M. Jaggi, "PowerSGD: Practical Low-Rank Gradient Compression for Distributed
    Optimization", 2019, arXiv:1905.13727.

    With M the gradient, rows × columns: ``P = M Q``, summed over ranks; P̂ = P with orthonormal columns; ``Q = Mᵀ P̂``,
    summed; decoded ``P̂ Qᵀ``. Q is the next step's start; the first is normally distributed, from the seed, which must be
    the same on every rank. Bound: P̂ P̂ᵀ is a projection, so the error is at most ‖M‖ and at least that of the best
    approximation of this rank, to which it comes down while M stays the same.

    A shape of several sides is a matrix of the first by the product of the rest, as a layer's weights are. Where only n
    is known it is nearly square, ⌈√n⌉ columns, as in PyTorch's batched hook. What has one side only (biases), or would not
    get smaller, is sent as it is, in one round: so does the paper.

    Parameters
    ----------
    rank : int
        Columns of the factors.
    """

    rank: int
    combine = "linear"
    rounds = 2
    pieces = False
    samples = False
    #: The products with M read it once each; P̂ is P read and written, orthogonalised in the cache (a few megabytes).
    #: Decoding writes the vector from the factors. Thin products are bound by memory: 2r operations for 4 bytes.
    cost = Cost(encode=Passes(1, 1), between=Passes(1, 2), decode=Passes(1, 1), add=Passes(2, 1))

    @property
    def spec(self) -> str:
        """Such as ``powersgd:4``."""
        return f"powersgd:{self.rank}"

    def sides(self, shape: Shape) -> tuple[int, int] | None:
        """Rows and columns of the matrix, or None for what is sent as it is."""
        n = elements(shape)
        if n == 0 or (isinstance(shape, tuple) and len(shape) < 2):
            return None
        columns = math.isqrt(n - 1) + 1 if isinstance(shape, int) else n // shape[0]
        rows = -(-n // columns)
        return None if self.rank * (rows + columns) >= n else (rows, columns)

    def init(self, shape: Shape, *, messages: int = 1, seed: int = 0) -> State:
        """Begin with the same normally distributed Q for all messages and all ranks."""
        state = State(seed)
        if (sides := self.sides(shape)) is None:
            return state
        q = state.rng().standard_normal((sides[1], self.rank), np.float32)
        return State(seed, kept={"q": np.tile(q, (messages, 1, 1))})

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Both rounds, of one rank."""
        check(x, self.spec)
        if "q" not in state.kept:
            return Code(x.shape[1], (x.copy(),)), state.after()
        q = state.kept["q"]
        matrix = self._matrix(x, q)
        directions = self._orthonormal(self._times(matrix, q))
        own = self._times(matrix.swapaxes(1, 2), directions)
        floats = np.concatenate([directions.reshape(len(x), -1), own], axis=1)
        return Code(x.shape[1], (floats,), matrix.shape[1:]), state.after(q=own.reshape(q.shape))

    def decode(self, code: Code) -> Floats:
        """Multiply the factors."""
        (floats,) = code.parts
        if not code.known:
            return floats.copy()
        rows, columns = code.known
        split = rows * self.rank
        return self._product(floats[:, :split], floats[:, split:], code.n, columns)

    def payload(self, shape: Shape) -> int:
        """Elements of both factors."""
        sides = self.sides(shape)
        return elements(shape) if sides is None else self.rank * sum(sides)

    def wire_bytes(self, shape: Shape) -> int:
        """Four bytes each."""
        return 4 * self.payload(shape)

    def round_bytes(self, shape: Shape, width: int = 4) -> tuple[int, ...]:
        """P, then Q; or the vector."""
        sides = self.sides(shape)
        return (width * elements(shape),) if sides is None else tuple(width * self.rank * side for side in sides)

    def rounds_in(self, x: Floats, state: State, wire: Cast) -> Rounds:
        """P, then Q, cast on the wire."""
        check(x, self.spec)
        if "q" not in state.kept:
            whole, _ = wire.encode(x, State())
            total = yield whole.parts[0]
            return Summed(wire.decode(Code(whole.n, (total,))), wire.decode(whole), state.after())
        q = state.kept["q"]
        matrix = self._matrix(x, q)
        p, _ = wire.encode(self._times(matrix, q), State())
        total = yield p.parts[0]
        directions = self._orthonormal(wire.decode(Code(p.n, (total,))))
        own, _ = wire.encode(self._times(matrix.swapaxes(1, 2), directions), State())
        total = yield own.parts[0]
        ours, mine = (wire.decode(Code(own.n, (factor,))) for factor in (total, own.parts[0]))
        n, columns = x.shape[1], q.shape[1]
        return Summed(
            self._product(directions, ours, n, columns),
            self._product(directions, mine, n, columns),
            state.after(q=ours.reshape(q.shape)),
        )

    def _matrix(self, x: Floats, q: Floats) -> Floats:
        """Messages as matrices, zeros behind the end; a view where none are needed."""
        messages, columns, rank = q.shape
        rows = -(-x.shape[1] // columns)
        if messages != len(x) or rank != self.rank:
            raise CodecError(
                f"{self.spec}: the state is for {messages} messages and rank {rank}, the vectors are {list(x.shape)}; "
                "call init with the same shape and number of messages"
            )
        if short := rows * columns - x.shape[1]:
            x = np.pad(x, ((0, 0), (0, short)))
        return x.reshape(messages, rows, columns)

    def _times(self, matrix: Floats, thin: Floats) -> Floats:
        """A factor, flat, shape ``[messages, m]``."""
        with np.errstate(over="ignore", invalid="ignore"):
            factor = matrix @ thin
        if not np.isfinite(factor).all():
            raise CodecError(f"{self.spec}: products of such large numbers overflow float32; scale the vector down")
        return factor.reshape(len(factor), -1)

    def _orthonormal(self, factors: Floats) -> Floats:
        """Orthonormal columns that span those of P, shape ``[messages, rows, rank]``, by Householder's QR.

        Where P has fewer independent columns, as zeros have, it fills up with others; Gram–Schmidt would divide by zero.
        """
        return np.linalg.qr(factors.reshape(len(factors), -1, self.rank)).Q

    def _product(self, p: Floats, q: Floats, n: int, columns: int) -> Floats:
        """P̂ Qᵀ without what is behind the end, shape ``[messages, n]``."""
        p = p.reshape(len(p), -1, self.rank)
        whole = p @ q.reshape(len(q), columns, self.rank).swapaxes(1, 2)
        return np.ascontiguousarray(whole.reshape(len(p), -1)[:, :n])
