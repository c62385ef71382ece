"""What a gradient compressor is: real encoding of real arrays, with its size, its cost and how codes may be combined.

A codec knows no topology and no time. Every array has messages along its first axis: ``[messages, n]`` are so many
vectors, of several ranks or several chunks, each encoded on its own. State is a value that comes in and goes out.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Elements of a vector, or the sides of the tensor that it is when it is read row by row.
Shape = int | tuple[int, ...]

#: How codes of several ranks may become one.
#: *linear*: codes are summed as they are, by any schedule.
#: *quantiser*: whoever adds decodes, adds and encodes again.
#: *sparsifier*: codes have indices of their own; they are gathered, or merged and grow.
Combine = Literal["linear", "quantiser", "sparsifier"]


class CodecError(ValueError):
    """A codec that does not exist or cannot do what is asked; the message says what would be right."""


class Passes(NamedTuple):
    """How often the vector (`raw`, in its own type) and the code go through the card's memory."""

    raw: float = 0.0
    code: float = 0.0


#: What costs nothing.
FREE = Passes()


@dataclass(frozen=True)
class Cost:
    """What encoding and decoding cost, in passes over card memory: the roofline of a fused kernel.

    Attributes
    ----------
    encode : Passes
        From a vector to its code.
    decode : Passes
        From a code to a vector that overwrites what was there.
    add : Passes
        From a code into a sum: read, add, write.
    between : Passes
        Work between two rounds, for codecs that have several.
    """

    encode: Passes = FREE
    decode: Passes = FREE
    add: Passes = FREE
    between: Passes = FREE


@dataclass(frozen=True, eq=False)
class Code:
    """What goes on the wire.

    Attributes
    ----------
    n : int
        Elements of the vector that each message stands for.
    parts : tuple of array, shape ``[messages, ...]``
        Packed: the bytes of these arrays are the bytes on the wire.
    known : tuple
        What a receiver knows without being sent it: the seed that all ranks share, the sides of a matrix.
    """

    n: int
    parts: tuple[NDArray[Any], ...]
    known: tuple[Any, ...] = ()

    @property
    def messages(self) -> int:
        """How many there are."""
        return len(self.parts[0])

    @property
    def nbytes(self) -> int:
        """Bytes on the wire, all messages together."""
        return sum(part.nbytes for part in self.parts)


@dataclass(frozen=True, eq=False)
class State:
    """What a codec remembers from one step to the next.

    Attributes
    ----------
    seed : int
    step : int
        Times that something was encoded.
    kept : mapping of arrays
        Such as the residual of error feedback, shape ``[messages, n]``, or PowerSGD's last factor.
    inner : tuple of State
        Of the codecs that this one is put together from.
    """

    seed: int = 0
    step: int = 0
    kept: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    inner: tuple["State", ...] = ()

    def rng(self) -> np.random.Generator:
        """A generator that depends on seed and step only."""
        return np.random.default_rng([self.seed, self.step])

    def after(self, **kept: NDArray[Any]) -> "State":
        """One step on, with these arrays instead of those of the same names."""
        return replace(self, step=self.step + 1, kept={**self.kept, **kept})


class Summed(NamedTuple):
    """What a linear codec's rounds end with.

    Attributes
    ----------
    total : array, shape ``[messages, n]``
        The sum over all ranks, decoded: the same for every rank.
    own : array, shape ``[messages, n]``
        What this rank has put into it; all ranks' add up to `total`.
    state : State
    """

    total: Floats
    own: Floats
    state: State


#: Yields what is to be summed over ranks, shape ``[messages, m]``, and is sent the sum in the same type.
Rounds = Generator[NDArray[Any], NDArray[Any], Summed]


class Codec(ABC):
    """A gradient compressor.

    Attributes
    ----------
    spec : str
        As `parse` reads it, with every parameter written out: ``topk:0.01``.
    combine : Combine
    cost : Cost
    pieces : bool
        Whether a piece of the vector can be encoded without the rest, so that encoding overlaps with sending.
    rounds : int
        Sums over all ranks, one after the other, that one all-reduce takes.
    first : bool
        Whether each rank encodes its whole vector, with what it remembers, before anything is combined, as error feedback
        does; codes of sums are then made by `hop`.
    whole : bool
        Whether a rank must have encoded his whole vector before he sends anything: with `first`, or not in `pieces`.
    merges : bool
        Of sparsifiers: whether lists of several ranks may be merged on their way, because what they hold adds up.
    sized : bool
        Whether the number of elements alone says how many bytes a code has.
    samples : bool
        Whether the error of a few thousand elements is that of many: not where a code is fitted to the whole vector.
    """

    @property
    @abstractmethod
    def spec(self) -> str:
        """As `parse` reads it."""

    @property
    @abstractmethod
    def combine(self) -> Combine:
        """How codes of several ranks may become one."""

    @property
    @abstractmethod
    def cost(self) -> Cost:
        """Passes over card memory."""

    @property
    def pieces(self) -> bool:
        """Whether a piece can be encoded without the rest."""
        return True

    @property
    def rounds(self) -> int:
        """Sums over all ranks that one all-reduce takes."""
        return 1

    @property
    def first(self) -> bool:
        """Whether each rank encodes its whole vector before anything is combined."""
        return False

    @property
    def whole(self) -> bool:
        """Whether a rank encodes his whole vector before he sends anything."""
        return self.first or not self.pieces

    @property
    def merges(self) -> bool:
        """Whether lists may be merged on their way."""
        return self.combine == "sparsifier"

    @property
    def sized(self) -> bool:
        """Whether the number of elements says how many bytes a code has."""
        return True

    @property
    def samples(self) -> bool:
        """Whether the error of a sample is that of the whole."""
        return True

    @property
    def hop(self) -> "Codec":
        """The codec that encodes sums on their way: without memory."""
        return self

    def init(self, shape: Shape, *, messages: int = 1, seed: int = 0) -> State:
        """State before the first step.

        Parameters
        ----------
        shape : Shape
            Of each message.
        messages : int
        seed : int
        """
        del shape, messages
        return State(seed=seed)

    @abstractmethod
    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Encode messages, shape ``[messages, n]``."""

    @abstractmethod
    def decode(self, code: Code) -> Floats:
        """Return what a code stands for, shape ``[messages, n]``."""

    @abstractmethod
    def wire_bytes(self, shape: Shape) -> int:
        """Bytes of the code of one float32 message, all rounds together."""

    def round_bytes(self, shape: Shape, width: int = 4) -> tuple[int, ...]:
        """Bytes of each round; for float32, whose width is 4, they add up to `wire_bytes`.

        Where a code holds elements of the vector as they are, they have as many bytes as there: `width`.
        """
        del width
        return (self.wire_bytes(shape),)

    def sum_rounds(self, x: Floats, state: State) -> Rounds:
        """Take part in a sum of codes, for linear codecs: a generator, one for each rank.

        Raises
        ------
        CodecError
            If codes of this codec do not sum.
        """
        del x, state
        raise CodecError(f"{self.spec}: codes of a {self.combine} do not sum")


def code_bytes(codec: Codec, shapes: Sequence[Shape], width: int) -> tuple[int, ...]:
    """Bytes of each round of a vector's code, all its tensors together.

    Small tensors may need fewer rounds than large ones: they are done first.

    Parameters
    ----------
    codec : Codec
    shapes : sequence of Shape
        Tensors that the vector is made of; each has a code of its own.
    width : int
        Bytes of an element.
    """
    rounds = (codec.round_bytes(shape, width) for shape in shapes)
    return tuple(sum(parts) for parts in zip_longest(*rounds, fillvalue=0))


def elements(shape: Shape) -> int:
    """Elements of a shape."""
    return shape if isinstance(shape, int) else math.prod(shape)
