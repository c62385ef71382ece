"""Published configurations of four models, and the tensors that each implies, in the order of a forward pass.

Only what is trained is a tensor: running means of batch normalisation are no gradients. A weight is written as PyTorch
stores it, output side first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Tensor(NamedTuple):
    """One trained tensor."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ResNet:
    """A residual network of bottleneck blocks (He et al. 2016), with the stride in the 3 × 3 convolution.

    Attributes
    ----------
    blocks : tuple of int
        In each stage; a stage halves the picture and doubles the channels, the first one does neither.
    width, expansion : int
        Channels inside the first stage's blocks, and how many times as many leave a block.
    classes, image : int
        Outputs, and pixels along a side.
    """

    blocks: tuple[int, ...]
    width: int = 64
    expansion: int = 4
    classes: int = 1000
    image: int = 224

    def layers(self) -> Iterator[tuple[str, tuple[int, ...], int]]:
        """Name and shape of each convolution and of the last layer, and at how many places its weights are used."""
        side, inside = self.image // 2, self.width
        yield "conv1", (inside, 3, 7, 7), side**2
        side, channels = side // 2, inside  # a pooling layer
        for stage, blocks in enumerate(self.blocks):
            wide = self.width * 2**stage
            for block in range(blocks):
                name, before = f"layer{stage + 1}.{block}", side
                side = side // 2 if stage and not block else side
                yield f"{name}.conv1", (wide, channels, 1, 1), before**2
                yield f"{name}.conv2", (wide, wide, 3, 3), side**2
                yield f"{name}.conv3", (wide * self.expansion, wide, 1, 1), side**2
                if not block:
                    yield f"{name}.shortcut", (wide * self.expansion, channels, 1, 1), side**2
                channels = wide * self.expansion
        yield "fc", (self.classes, channels), 1

    def tensors(self) -> Iterator[Tensor]:
        """Each convolution is followed by scale and shift of its batch normalisation."""
        for name, shape, _ in self.layers():
            yield Tensor(f"{name}.weight", shape)
            if len(shape) == 2:
                yield Tensor(f"{name}.bias", shape[:1])
            else:
                yield Tensor(f"{name}.norm.weight", shape[:1])
                yield Tensor(f"{name}.norm.bias", shape[:1])


@dataclass(frozen=True)
class Bert:
    """An encoder with its pooler and without a head for any task (Devlin et al. 2019)."""

    hidden: int
    depth: int
    inner: int
    words: int
    positions: int = 512
    kinds: int = 2

    def tensors(self) -> Iterator[Tensor]:
        """Embeddings, blocks, pooler."""
        for name, rows in (("word", self.words), ("position", self.positions), ("kind", self.kinds)):
            yield Tensor(f"embedding.{name}", (rows, self.hidden))
        yield from _norm("embedding.norm", self.hidden)
        for k in range(self.depth):
            for name in ("query", "key", "value", "output"):
                yield from _linear(f"{k}.attention.{name}", self.hidden, self.hidden)
            yield from _norm(f"{k}.attention.norm", self.hidden)
            yield from _linear(f"{k}.up", self.inner, self.hidden)
            yield from _linear(f"{k}.down", self.hidden, self.inner)
            yield from _norm(f"{k}.norm", self.hidden)
        yield from _linear("pooler", self.hidden, self.hidden)


@dataclass(frozen=True)
class NeoX:
    """A decoder whose attention and feed-forward part are side by side (Black et al. 2022); two embeddings, not tied."""

    hidden: int
    depth: int
    inner: int
    words: int

    def tensors(self) -> Iterator[Tensor]:
        """Input embedding, blocks, last norm, output embedding."""
        yield Tensor("embedding", (self.words, self.hidden))
        for k in range(self.depth):
            yield from _norm(f"{k}.attention.norm", self.hidden)
            yield from _norm(f"{k}.norm", self.hidden)
            yield from _linear(f"{k}.attention.query_key_value", 3 * self.hidden, self.hidden)
            yield from _linear(f"{k}.attention.output", self.hidden, self.hidden)
            yield from _linear(f"{k}.up", self.inner, self.hidden)
            yield from _linear(f"{k}.down", self.hidden, self.inner)
        yield from _norm("norm", self.hidden)
        yield Tensor("output", (self.words, self.hidden))


@dataclass(frozen=True)
class Llama:
    """A decoder with gated feed-forward, shared keys and values, and no bias anywhere (Dubey et al. 2024)."""

    hidden: int
    depth: int
    inner: int
    words: int
    heads: int
    shared: int

    def tensors(self) -> Iterator[Tensor]:
        """Input embedding, blocks, last norm, output embedding; `shared` heads of keys and values serve all `heads`."""
        narrow = self.hidden // self.heads * self.shared
        yield Tensor("embedding", (self.words, self.hidden))
        for k in range(self.depth):
            for name, out in (("query", self.hidden), ("key", narrow), ("value", narrow), ("output", self.hidden)):
                yield Tensor(f"{k}.attention.{name}", (out, self.hidden))
            for name in ("gate", "up"):
                yield Tensor(f"{k}.{name}", (self.inner, self.hidden))
            yield Tensor(f"{k}.down", (self.hidden, self.inner))
            yield Tensor(f"{k}.attention.norm", (self.hidden,))
            yield Tensor(f"{k}.norm", (self.hidden,))
        yield Tensor("norm", (self.hidden,))
        yield Tensor("output", (self.words, self.hidden))


def _linear(name: str, out: int, into: int) -> Iterator[Tensor]:
    yield Tensor(f"{name}.weight", (out, into))
    yield Tensor(f"{name}.bias", (out,))


def _norm(name: str, width: int) -> Iterator[Tensor]:
    yield Tensor(f"{name}.weight", (width,))
    yield Tensor(f"{name}.bias", (width,))
