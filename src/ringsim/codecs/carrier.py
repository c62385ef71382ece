"""Codecs whose codes carry floats, which another codec may encode in turn: what `chain` is made of."""

from abc import abstractmethod

from ringsim.codecs.casts import Cast, Identity
from ringsim.codecs.codec import Codec, CodecError, Floats, Rounds, Shape, State


class Carrier(Codec):
    """A codec of which the first part of the code is float32, shape ``[messages, payload(shape)]``."""

    @abstractmethod
    def payload(self, shape: Shape) -> int:
        """Floats in the code of one message, all rounds together."""

    def round_bytes(self, shape: Shape, width: int = 4) -> tuple[int, ...]:
        """One round, with floats of the vector's own type."""
        return (self.wire_bytes(shape) - (4 - width) * self.payload(shape),)

    def sum_rounds(self, x: Floats, state: State) -> Rounds:
        """Sum with payloads as they are."""
        return self.rounds_in(x, state, Identity())

    def rounds_in(self, x: Floats, state: State, wire: Cast) -> Rounds:
        """`sum_rounds` with payloads cast to another format on the wire, for linear codecs.

        Raises
        ------
        CodecError
            If codes of this codec do not sum.
        """
        del x, state, wire
        raise CodecError(f"{self.spec}: codes of a {self.combine} do not sum")
