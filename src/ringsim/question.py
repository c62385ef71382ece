"""What can be asked: every input of a simulation with its default, and the words for what is wrong with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ringsim.codecs import Codec, CodecError, Shape, code_bytes, elements, parse
from ringsim.engines import ENGINES, EngineName
from ringsim.fabric import Fabric
from ringsim.gradients import MODELS, shapes
from ringsim.units import UnitError, parse_size

#: Bytes of an element, by nccl-tests' names.
DTYPES = {
    "int8": 1, "uint8": 1, "f8e4m3": 1, "f8e5m2": 1, "half": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "float": 4, "int64": 8, "uint64": 8, "double": 8,
}  # fmt: skip

#: Types of gradients, which is what codecs encode.
FLOATS = ("half", "bfloat16", "float")

#: More slices or chunks than anybody's message has.
MOST_PIECES = 1_000_000


class StudyError(ValueError):
    """A question that cannot be answered as asked; the message says what could be."""


@dataclass(frozen=True)
class Question:
    """What to simulate, every field with the default of the command line.

    Attributes
    ----------
    fabric : str, Fabric or None
        Name of a shipped fabric, path of a TOML file, or one already loaded. With a graph it only says what software
        costs, and None says that it costs nothing.
    cards : int or None
        A graph has as many as it has.
    size : int or str
        Bytes of the vector on each rank, or text such as ``"64M"``.
    collective : str
        A key of `COLLECTIVES`.
    algorithm : str
        A name in ``COLLECTIVES[collective]``; ``"auto"`` for the faster of ring and tree, or ``"all"`` for the fastest
        there is; what NCCL_ALGO or HCCL_ALGO may hold; or a file that holds a schedule, JSON or MSCCL XML.
    rings : int or None
        Channels side by side; None for the most that do not get in each other's way.
    slices, chunks : int or None
        Pieces of a ring's chunk, or of a tree's share.
    domain : int, "all" or None
        Cards per scale-up domain instead of the fabric's.
    network : str or None
        Another scale-out network under the same cards, by name or path.
    placement : str, sequence of int or None
        On which card each rank sits, where rank is not card: ``"shuffle:SEED"``, ``"round-robin"``, a file, or the cards;
        ``"ordered"`` where a graph has them in another order, ``"tour"`` for along the best ring through the network.
    graph : str, NetworkX graph or None
        The cluster itself, as a GraphML or node-link JSON file or an object, instead of one laid out from the fabric.
    protocol : str
        One of the fabric's, ``"auto"`` for the fastest, or what NCCL_PROTO may hold.
    engine : str
        ``compiled`` or ``reference``.
    jump : bool
        Carry the steady state over whole periods.
    dtype : str
        A key of `DTYPES`.
    seed : int
        For networks that hash flows onto spines.
    changes : sequence of str
        ``KEY=VALUE`` for numbers of the fabric file.
    launch : str or None
        How a program drives its cards, a mode of `ringsim.fabric.launch`, which makes the start-up longer or shorter. None
        for the start-up that the library itself reckons with.
    compress : str
        A codec for the gradients, such as ``"int8"`` or ``"chain(topk:0.01,int8)"``; ``"none"`` for none.
    model : str or None
        A key of `MODELS`: the vector is all its gradients, and codecs see their shapes.
    """

    fabric: str | Fabric | None
    cards: int | None
    size: int | str = "1G"
    collective: str = "all-reduce"
    algorithm: str = "auto"
    rings: int | None = None
    slices: int | None = None
    chunks: int | None = None
    domain: int | str | None = None
    network: str | None = None
    placement: str | Sequence[int] | None = None
    graph: Any = None
    protocol: str = "auto"
    engine: EngineName = "compiled"
    jump: bool = True
    dtype: str = "float"
    seed: int = 0
    changes: Sequence[str] = ()
    launch: str | None = None
    compress: str = "none"
    model: str | None = None

    def checked(self, collectives: Iterable[str]) -> "Question":
        """Return the question itself if its words are known.

        Parameters
        ----------
        collectives : iterable of str
            Names of what there is.

        Raises
        ------
        StudyError
            Naming the field, what it is and what it could be.
        """
        _choice("dtype", self.dtype, DTYPES)
        _choice("engine", self.engine, ENGINES)
        _choice("collective", self.collective, collectives)
        if self.graph is None and (self.fabric is None or self.cards is None):
            raise StudyError("fabric and cards say what to build; only a graph does without them")
        if self.graph is not None:
            for name, given in (("cards", self.cards), ("domain", self.domain), ("network", self.network)):
                if given is not None:
                    raise StudyError(f"{name} = {given}: a graph says itself what it is made of; leave {name} out")
            for change in self.changes:
                if not change.startswith(("protocol.", "card.memory_bandwidth=")):
                    raise StudyError(
                        f"{change}: a graph takes only the fabric's protocols and the memory of its cards; "
                        "change protocol.… or card.memory_bandwidth, or nothing"
                    )
        if self.launch is not None and not isinstance(self.launch, str):
            raise StudyError(f"launch = {self.launch}: the name of a launch mode, such as 'threads'")
        if self.model is not None:
            _choice("model", self.model, MODELS)
        if self.codec() is not None:
            if self.collective != "all-reduce":
                raise StudyError(f"compress = {self.compress}: gradients are compressed for an all-reduce")
            _choice("dtype", self.dtype, FLOATS, "what is compressed are gradients: ")
        for name, value in (("slices", self.slices), ("chunks", self.chunks)):
            if value is not None and not 1 <= value <= MOST_PIECES:
                raise StudyError(f"{name} = {value}: between 1 and {MOST_PIECES:,}")
        return self

    def placement_words(self) -> str:
        """Say where ranks are to sit; nothing where nobody said so."""
        if self.placement is None:
            return ""
        return self.placement if isinstance(self.placement, str) else "as given"

    def codec(self) -> Codec | None:
        """Return the codec, None for none.

        Raises
        ------
        StudyError
            If there is no such codec.
        """
        if self.compress in ("none", None):
            return None
        if not isinstance(self.compress, str):
            raise StudyError(f"compress = {self.compress}: a codec is written as text, such as 'int8'")
        try:
            return parse(self.compress)
        except CodecError as error:
            raise StudyError(f"compress = {error}") from error

    def tensors(self) -> tuple[Shape, ...]:
        """Shapes of what the vector is made of."""
        return (self.payload()[1],) if self.model is None else shapes(self.model)

    def code_rounds(self) -> tuple[int, ...]:
        """Bytes of a rank's code in each round that its sum takes; without a codec those of the vector, in one."""
        codec = self.codec()
        return self.payload()[:1] if codec is None else code_bytes(codec, self.tensors(), DTYPES[self.dtype])

    def payload(self) -> tuple[int, int]:
        """Bytes of the vector on each rank, and its elements.

        Raises
        ------
        StudyError
            If the size is none, or no whole number of elements.
        """
        width = DTYPES[self.dtype]
        if self.model is not None:
            count = sum(map(elements, shapes(self.model)))
            return count * width, count
        try:
            size = parse_size(str(self.size))
        except UnitError as error:
            raise StudyError(f"size = {error}") from error
        if size % width:
            raise StudyError(f"size = {self.size}: not a whole number of {self.dtype} elements of {width} bytes")
        return size, size // width


def _choice(name: str, value: str, known: Iterable[str], why: str = "") -> None:
    known = tuple(known)
    if value not in known:
        raise StudyError(f"{name} = {value}: {why}one of {', '.join(known)}")
