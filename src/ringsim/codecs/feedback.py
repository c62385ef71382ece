"""A codec around another that remembers what was lost, and sends it later."""

from dataclasses import dataclass, replace

import numpy as np

from ringsim.codecs.casts import Identity
from ringsim.codecs.codec import (
    Code,
    Codec,
    CodecError,
    Combine,
    Cost,
    Floats,
    Passes,
    Rounds,
    Shape,
    State,
    Summed,
    elements,
)
from ringsim.codecs.tiles import check, over


@dataclass(frozen=True)
class ErrorFeedback(Codec):
    """Remember what a code has lost and add it to the next vector: nothing is lost for good, only late.

    F. Seide et al., "1-Bit Stochastic Gradient Descent", 2014; S. P. Karimireddy, Q. Rebjock, S. Stich, M. Jaggi, "Error
    Feedback Fixes SignSGD and other Gradient Compression Schemes", 2019, arXiv:1901.09847.

    Formula: ``wanted = x + residual``, ``residual = wanted − decode(code)``. Exact: all that was sent and the residual
    add up to all that was wanted, to rounding. But the residual stays bounded only where a code loses less than there was,
    ‖x − decoded‖ < ‖x‖: QSGD with few levels in large buckets loses more, is meant to do without, and diverges with it.
    For linear codecs the residual is what this rank wanted less what it put in.

    Parameters
    ----------
    codec : Codec
    """

    codec: Codec

    @property
    def spec(self) -> str:
        """Such as ``error_feedback(topk:0.01)``."""
        return f"error_feedback({self.codec.spec})"

    @property
    def combine(self) -> Combine:
        """As without."""
        return self.codec.combine

    @property
    def cost(self) -> Cost:
        """One more read of the vector's size, the residual, and one write of the new one."""
        cost = self.codec.cost
        return replace(cost, encode=Passes(cost.encode.raw + 2, cost.encode.code))

    @property
    def pieces(self) -> bool:
        """As without."""
        return self.codec.pieces

    @property
    def rounds(self) -> int:
        """As without."""
        return self.codec.rounds

    @property
    def merges(self) -> bool:
        """As without."""
        return self.codec.merges

    @property
    def sized(self) -> bool:
        """As without."""
        return self.codec.sized

    @property
    def samples(self) -> bool:
        """As without."""
        return self.codec.samples

    @property
    def first(self) -> bool:
        """A rank remembers what it lost of its own vector."""
        return True

    @property
    def hop(self) -> Codec:
        """Sums on their way are encoded without memory."""
        return self.codec.hop

    def init(self, shape: Shape, *, messages: int = 1, seed: int = 0) -> State:
        """Nothing lost so far."""
        residual = np.zeros((messages, elements(shape)), np.float32)
        inner = self.codec.init(shape, messages=messages, seed=seed)
        return State(seed, kept={"residual": residual}, inner=(inner,))

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Encode what is wanted and keep what is lost."""
        wanted = self._wanted(x, state)
        code, inner = self.codec.encode(wanted, state.inner[0])
        return code, self._after(state, inner, wanted, self.codec.decode(code))

    def decode(self, code: Code) -> Floats:
        """As without."""
        return self.codec.decode(code)

    def wire_bytes(self, shape: Shape) -> int:
        """As without."""
        return self.codec.wire_bytes(shape)

    def round_bytes(self, shape: Shape, width: int = 4) -> tuple[int, ...]:
        """As without."""
        return self.codec.round_bytes(shape, width)

    def sum_rounds(self, x: Floats, state: State) -> Rounds:
        """Put in what is wanted and keep what of it did not get in."""
        if self.combine != "linear":
            return super().sum_rounds(x, state)
        return self._sum_rounds(x, state)

    def _sum_rounds(self, x: Floats, state: State) -> Rounds:
        wanted = self._wanted(x, state)
        found: Summed = yield from self.codec.sum_rounds(wanted, state.inner[0])
        return found._replace(state=self._after(state, found.state, wanted, found.own))

    def _wanted(self, x: Floats, state: State) -> Floats:
        check(x, self.spec)
        over(x, state.kept["residual"], self.spec)
        wanted: Floats = x + state.kept["residual"]
        return wanted

    @staticmethod
    def _after(state: State, inner: State, wanted: Floats, sent: Floats) -> State:
        return replace(state.after(residual=wanted - sent), inner=(inner,))


def error_feedback(codec: Codec) -> ErrorFeedback:
    """Give a codec a memory of what it lost.

    Raises
    ------
    CodecError
        If it has one, or loses nothing.
    """
    spec = f"error_feedback({codec.spec})"
    if isinstance(codec, Identity):
        raise CodecError(f"{spec}: identity loses nothing; leave error_feedback out")
    if codec.first:
        raise CodecError(f"{spec}: {codec.spec} remembers what it has not sent already; write {codec.spec}")
    return ErrorFeedback(codec)
