"""A codec made of two: the second encodes the floats that the first leaves, values that were kept or factors."""

from dataclasses import dataclass, replace

from ringsim.codecs.blockwise import Blockwise
from ringsim.codecs.carrier import Carrier
from ringsim.codecs.casts import Cast, Identity
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
)
from ringsim.codecs.feedback import ErrorFeedback
from ringsim.codecs.lowrank import PowerSgd
from ringsim.codecs.tiles import check

#: Elements of the vector for which a chain's cost is reckoned: so many that roundings of sizes do not matter.
MANY = 2**24


@dataclass(frozen=True)
class Chain(Codec):
    """`outer` encodes the vector, `inner` the floats of that code: the values that were kept, or the factors.

    Parameters
    ----------
    outer : Carrier
    inner : Codec
        A cast or a quantiser, without memory.

    Raises
    ------
    CodecError
        If the two do not go together: says why, and what would do.
    """

    outer: Carrier
    inner: Cast | Blockwise

    @property
    def spec(self) -> str:
        """Such as ``chain(topk:0.01,int8:256)``."""
        return f"chain({self.outer.spec},{self.inner.spec})"

    @property
    def combine(self) -> Combine:
        """That of `outer`; but where only floats would add up, codes of a quantiser are gathered."""
        if self.outer.combine == "linear" and self.inner.combine != "linear":
            return "sparsifier"
        return self.outer.combine

    @property
    def cost(self) -> Cost:
        """Passes of both, those of `inner` over the floats, which are a part of the code."""
        outer, inner = self.outer.cost, self.inner.cost
        floats = self.outer.payload(MANY)
        before, after, own = self.outer.wire_bytes(MANY), self.wire_bytes(MANY), self.inner.wire_bytes(floats)

        def both(of_outer: Passes, of_inner: Passes) -> Passes:
            code = of_outer.code * before + of_inner.raw * 4 * floats + of_inner.code * own
            return Passes(of_outer.raw, code / after)

        # Adding decodes the floats on the way and adds as `outer` does.
        return Cost(
            both(outer.encode, inner.encode), both(outer.decode, inner.decode), both(outer.add, inner.decode),
            both(outer.between, Passes()),
        )  # fmt: skip

    @property
    def pieces(self) -> bool:
        """As `outer`."""
        return self.outer.pieces

    @property
    def rounds(self) -> int:
        """As `outer`."""
        return self.outer.rounds

    @property
    def merges(self) -> bool:
        """Never: a sum of values that `inner` has encoded is no such value, and encoding it again loses once more."""
        return False

    @property
    def sized(self) -> bool:
        """As `outer`."""
        return self.outer.sized

    @property
    def samples(self) -> bool:
        """As `outer`."""
        return self.outer.samples

    @property
    def first(self) -> bool:
        """As `outer`."""
        return self.outer.first

    @property
    def hop(self) -> Codec:
        """The chain of what `outer` sends sums with."""
        hop = self.outer.hop
        return replace(self, outer=hop) if isinstance(hop, Carrier) else self

    def init(self, shape: Shape, *, messages: int = 1, seed: int = 0) -> State:
        """Both states."""
        return State(
            seed,
            inner=(
                self.outer.init(shape, messages=messages, seed=seed),
                self.inner.init(self.outer.payload(shape), messages=messages, seed=seed),
            ),
        )

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Encode the vector, then the floats of its code."""
        check(x, self.spec)
        whole, outer = self.outer.encode(x, state.inner[0])
        floats, inner = self.inner.encode(whole.parts[0], state.inner[1])
        known = len(floats.parts), floats.n, floats.known, whole.known
        code = Code(whole.n, (*floats.parts, *whole.parts[1:]), known)
        return code, replace(state.after(), inner=(outer, inner))

    def decode(self, code: Code) -> Floats:
        """Decode the floats, then with them the vector."""
        parts, n, of_inner, of_outer = code.known
        floats = self.inner.decode(Code(n, code.parts[:parts], of_inner))
        return self.outer.decode(Code(code.n, (floats, *code.parts[parts:]), of_outer))

    def wire_bytes(self, shape: Shape) -> int:
        """Bytes of the outer code, with floats as `inner` sends them."""
        floats = self.outer.payload(shape)
        return self.outer.wire_bytes(shape) - 4 * floats + self.inner.wire_bytes(floats)

    def round_bytes(self, shape: Shape, width: int = 4) -> tuple[int, ...]:
        """Where several rounds are summed, each is floats and nothing else; `inner` says what they are sent as."""
        del width
        if self.rounds == 1:
            return (self.wire_bytes(shape),)
        return tuple(self.inner.wire_bytes(bytes // 4) for bytes in self.outer.round_bytes(shape))

    def sum_rounds(self, x: Floats, state: State) -> Rounds:
        """As `outer`, with payloads cast."""
        if self.combine != "linear" or not isinstance(self.inner, Cast):
            return super().sum_rounds(x, state)
        return self._sum_rounds(x, state, self.inner)

    def _sum_rounds(self, x: Floats, state: State, wire: Cast) -> Rounds:
        found = yield from self.outer.rounds_in(x, state.inner[0], wire)
        return found._replace(state=replace(state.after(), inner=(found.state, state.inner[1].after())))


def chain(*codecs: Codec) -> Chain:
    """Put codecs together, the first nearest to the vector.

    Raises
    ------
    CodecError
        If they do not go together: says why, and what would do.
    """
    spec = f"chain({','.join(codec.spec for codec in codecs)})"
    if len(codecs) < 2:
        raise CodecError(f"{spec}: a chain has two members, such as chain(topk:0.01,int8)")
    outer, inner, *more = codecs
    instead = f"write {_instead(outer, inner)}"
    if isinstance(outer, ErrorFeedback) or isinstance(inner, ErrorFeedback):
        raise CodecError(f"{spec}: error feedback must know what is lost in the end; {instead}")
    if not isinstance(outer, Carrier):
        raise CodecError(
            f"{spec}: {outer.spec} leaves no floats to encode, as topk, threshold, randomk, dgc and powersgd do; {instead}"
        )
    if not _encodes_floats(inner):
        raise CodecError(
            f"{spec}: {inner.spec} cannot encode what {outer.spec} leaves, as each one of fp16, bf16, fp8, int8, int4, "
            f"qsgd, terngrad and sign can; {instead}"
        )
    if more:
        raise CodecError(f"{spec}: {inner.spec} leaves no floats to {more[0].spec}; {instead}")
    if isinstance(outer, PowerSgd) and inner.combine != "linear":
        raise CodecError(
            f"{spec}: factors are summed as they are sent, and codes of {inner.spec} do not sum; {instead}"
        )
    assert isinstance(inner, Cast | Blockwise)
    return Chain(outer, inner)


def _encodes_floats(codec: Codec) -> bool:
    """Whether a chain can end with it."""
    return isinstance(codec, Cast | Blockwise) and not isinstance(codec, Identity)


def _instead(outer: Codec, inner: Codec) -> str:
    """The chain that comes nearest to what was asked for and can be made, as it is written."""
    bare = [codec.codec if isinstance(codec, ErrorFeedback) else codec for codec in (outer, inner)]
    carriers = [codec for codec in bare if isinstance(codec, Carrier)]
    floats = [codec for codec in bare if _encodes_floats(codec)]
    first = carriers[0].spec if carriers else "topk:0.01"
    summed = bool(carriers) and isinstance(carriers[0], PowerSgd)
    fit = [codec.spec for codec in floats if codec.combine == "linear" or not summed]
    second = fit[0] if fit else "fp16" if summed else "int8"
    feeds = any(isinstance(codec, ErrorFeedback) for codec in (outer, inner)) and not (carriers and carriers[0].first)
    return f"error_feedback(chain({first},{second}))" if feeds else f"chain({first},{second})"
