"""The codecs in PyTorch, for `codec_cost.py`: what they cost on a real card can only be measured where they run on one.

A version takes its parameters from ringsim's own codec and makes the same code: one message, one tensor for each part.
On a CPU it is the same byte for byte, products of matrices excepted; a GPU may round the last place differently, because
it divides by multiplying. None of it is tuned: plain tensor operations, as training code has them, and what
`torch.compile` makes of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from codec_cost_blocks import Call, Chance, Floating, OneBit, Parts, Version, Whole, padded
from ringsim.codecs import Codec, CodecError
from ringsim.codecs.blocks import Fp8, Int
from ringsim.codecs.casts import Bf16, Fp16
from ringsim.codecs.lowrank import PowerSgd
from ringsim.codecs.sign import Sign
from ringsim.codecs.sparse import RandomK, Threshold, TopK, kept
from ringsim.codecs.stochastic import Qsgd, TernGrad

# -- number formats ----------------------------------------------------------------------------------------------


class Cast(Version):
    """Another format, saturating."""

    def encode(self, x: Tensor) -> Parts:
        """Clip what is finite, and cast."""
        dtype = torch.float16 if isinstance(self.codec, Fp16) else torch.bfloat16
        largest = torch.finfo(dtype).max
        return (torch.where(x.isfinite(), x.clamp(-largest, largest), x).to(dtype),)

    def decode(self, *parts: Tensor) -> Tensor:
        """Cast back."""
        return parts[0].float()


# -- sparsifiers -------------------------------------------------------------------------------------------------


class Sparse(Version):
    """Values, and where they belong."""

    def where(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """Values and indices of a code."""
        return parts[0], parts[1]

    def decode(self, *parts: Tensor) -> Tensor:
        """Zeros where nothing was kept."""
        values, indices = self.where(*parts)
        return torch.zeros(self.n, device=values.device).scatter_(0, indices.long(), values)

    def add(self, total: Tensor, *parts: Tensor) -> Tensor:
        """Touch nothing else."""
        values, indices = self.where(*parts)
        return total.index_add_(0, indices, values)


class Largest(Sparse):
    """The largest magnitudes, in the order of their indices."""

    def encode(self, x: Tensor) -> Parts:
        """Choose; of equal magnitudes at the border it takes any, where ringsim takes the first."""
        indices = torch.topk(x.abs(), kept(self.codec.density, self.n), sorted=False).indices.sort().values
        return x[indices], indices.int()


class Above(Sparse):
    """What exceeds a multiple of the root mean square."""

    def encode(self, x: Tensor) -> Parts:
        """Compare; how many there are must come back to the processor before memory for them can be found."""
        norm = torch.linalg.vector_norm(x, dtype=torch.float64)
        limit = (self.codec.threshold * norm / self.n**0.5).float()
        indices = (x.abs() > limit).nonzero().view(-1)
        return x[indices], indices.int(), torch.full((1,), len(indices), dtype=torch.int32, device=x.device)


@dataclass(eq=False)
class Chosen(Sparse):
    """A choice that every rank knows.

    Attributes
    ----------
    choice : callable
        From n, k and a device to k indices, rising; a test brings ringsim's own.
    """

    choice: Callable[[int, int, torch.device], Tensor] = lambda n, k, device: spread(n, k, device)

    def encode(self, x: Tensor) -> Parts:
        """Take the chosen ones."""
        return (x[self.choice(self.n, kept(self.codec.density, self.n), x.device)],)

    def where(self, *parts: Tensor) -> tuple[Tensor, Tensor]:
        """The receiver makes the same choice."""
        return parts[0], self.choice(self.n, len(parts[0]), parts[0].device)


def spread(n: int, k: int, device: torch.device, seed: int = 1) -> Tensor:
    """Choose k of n by hashing 0 to k − 1, so that both sides do it alike and in time that grows with k.

    With 0, 1, 2 ... added to sorted numbers none comes twice. Not quite all choices are as likely; they cost the same.
    """
    bits = torch.arange(k, device=device) + (seed << 20)
    for factor in (0x7FEB352D, 0x846CA68B):
        bits = ((bits ^ (bits >> 16)) * factor) & 0xFFFFFFFF
    return (bits % (n - k + 1)).sort().values + torch.arange(k, device=device)


# -- low rank ----------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Thin(Version):
    """Two thin matrices, in two rounds."""

    def __post_init__(self) -> None:
        """Begin with ringsim's Q."""
        sides = self.codec.sides(self.n)
        if sides is None:
            raise CodecError(f"{self.codec.spec}: sends {self.n} elements as they are; give it a larger vector")
        self.rows, self.columns = sides
        self.start = torch.from_numpy(self.codec.init(self.n).kept["q"][0])

    def encode(self, x: Tensor) -> Parts:
        """Both rounds, alone."""
        return self.second(x, self.first(x))

    def first(self, x: Tensor) -> Tensor:
        """P."""
        return self.matrix(x) @ self.start.to(x.device)

    def second(self, x: Tensor, p: Tensor) -> Parts:
        """P orthonormal, by QR as PyTorch's own hook has it, and Q."""
        directions = torch.linalg.qr(p).Q
        # Qᵀ and not Q is what is made: on a CPU the other product, of the same numbers, takes ten times as long.
        return directions, (directions.T @ self.matrix(x)).T.contiguous()

    def decode(self, *parts: Tensor) -> Tensor:
        """Multiply."""
        p, q = parts
        return (p @ q.T).view(-1)[: self.n]

    def matrix(self, x: Tensor) -> Tensor:
        """The vector as a matrix, zeros behind the end."""
        return padded(x, self.rows * self.columns).view(self.rows, self.columns)

    def calls(self, x: Tensor) -> dict[str, Call]:
        """Encoding is the first round; what is between the rounds makes the second."""
        self.start = self.start.to(x.device)  # before the clock starts
        rounds: dict[str, Call] = {"encode": (self.first, (x,)), "between": (self.second, (x, self.first(x)))}
        return rounds | {name: call for name, call in super().calls(x).items() if name != "encode"}


# -- all of them -------------------------------------------------------------------------------------------------

VERSIONS: dict[type[Codec], type[Version]] = {
    Fp16: Cast, Bf16: Cast, Fp8: Floating, Int: Whole, Qsgd: Chance, TernGrad: Chance, Sign: OneBit,
    TopK: Largest, Threshold: Above, RandomK: Chosen, PowerSgd: Thin,
}  # fmt: skip


def version(codec: Codec, n: int) -> Version:
    """Make the PyTorch version of a codec for vectors of `n`.

    Raises
    ------
    CodecError
        If there is none.
    """
    if type(codec) not in VERSIONS:
        names = ", ".join(kind.__name__ for kind in VERSIONS)
        raise CodecError(f"{codec.spec}: has no PyTorch version; there are {names}")
    return VERSIONS[type(codec)](codec, n)
