"""What holds for every codec: a new one is tested by being listed in `CODECS` and having its paper's bound written here.

Each name's example is tried, and variants of it that go other ways: odd blocks, other widths of bits, chains.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from ringsim.codecs import CODECS, Code, Codec, CodecError, State, parse, tiles

EXAMPLES = [entry.example for entry in CODECS.values()]
VARIANTS = [
    "fp8:e5m2:64", "int8:7", "int4:5", "int4:1000", "qsgd:1:3", "qsgd:20:64", "qsgd:127", "terngrad:7", "sign:3",
    "topk:0.3", "topk:1", "threshold:0.5", "randomk:0.5", "dgc:0.1:0:0", "powersgd:1",
    "chain(topk:0.1,sign:8)", "chain(threshold:1,int4)", "chain(randomk:0.2,bf16)", "chain(randomk:0.2,int8)",
    "chain(dgc:0.1,fp16)", "chain(powersgd:2,fp16)", "error_feedback(sign:8)", "error_feedback(randomk:0.2)",
    "error_feedback(chain(powersgd:1,bf16))", "error_feedback(powersgd:2)", "error_feedback(fp16)",
]  # fmt: skip
SPECS = EXAMPLES + VARIANTS
LINEAR = [spec for spec in SPECS if parse(spec).combine == "linear"]
#: Of these the size depends on the values.
VARIABLE = ("threshold", "chain(threshold")
#: Codes of these depend on chance, and on the draws of the messages before.
DRAWN = ("qsgd", "terngrad")

LENGTHS = (0, 1, 2, 3, 5, 7, 8, 9, 17, 255, 256, 257, 1000, 2049, 4097)
every = pytest.mark.parametrize("spec", SPECS)


def vectors(messages: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, messages, n]).standard_normal((messages, n), np.float32)


def once(codec: Codec, x: np.ndarray, seed: int = 3) -> tuple[Code, np.ndarray]:
    code, _ = codec.encode(x, codec.init(x.shape[1], messages=len(x), seed=seed))
    return code, codec.decode(code)


def same(a: Code, b: Code) -> bool:
    return a.n == b.n and a.known == b.known and all(map(np.array_equal, a.parts, b.parts))


def frozen(state: State) -> State:
    """The same with arrays that cannot be written to."""
    for array in state.kept.values():
        array.flags.writeable = False
    for inner in state.inner:
        frozen(inner)
    return state


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODECS)
def test_each_name_has_an_example_that_parses_to_itself(name):
    codec = parse(CODECS[name].example)
    assert codec.spec == CODECS[name].example
    assert codec.spec.startswith(name)


@every
def test_a_spec_reads_back(spec):
    codec = parse(spec)
    assert parse(codec.spec) == codec
    assert parse(codec.spec).spec == codec.spec
    assert parse(f"  {spec.replace(',', ' , ')} ") == codec
    assert hash(codec) == hash(parse(spec))


@every
def test_every_codec_states_what_it_costs(spec):
    codec = parse(spec)
    assert codec.combine in ("linear", "quantiser", "sparsifier")
    cost = codec.cost
    passes = [value for kind in (cost.encode, cost.decode, cost.add, cost.between) for value in kind]
    assert all(math.isfinite(value) and value >= 0 for value in passes)
    assert (sum(passes) == 0) == (spec == "identity")
    if spec != "identity":
        assert sum(cost.encode) >= 1
        assert sum(cost.add) > 0
    assert (sum(cost.between) > 0) == (codec.rounds > 1)


# --- sizes ----------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("messages", [1, 3])
def test_bytes_are_what_was_declared(spec, messages):
    codec = parse(spec)
    for n in LENGTHS:
        code, decoded = once(codec, vectors(messages, n))
        assert code.n == n
        assert code.messages == messages
        assert decoded.shape == (messages, n)
        assert decoded.dtype == np.float32
        assert all(len(part) == messages for part in code.parts)
        assert sum(codec.round_bytes(n)) == codec.wire_bytes(n)
        if not spec.startswith(VARIABLE):
            assert code.nbytes == messages * codec.wire_bytes(n), n


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.startswith("threshold")])
@pytest.mark.parametrize("n", [1000, 200_000])
def test_a_variable_size_is_declared_for_normal_vectors_and_true_in_the_code(spec, n):
    codec = parse(spec)
    x = vectors(4, n)
    rms = np.sqrt((x.astype(float) ** 2).mean(axis=1, keepdims=True))
    count = (np.abs(x) > codec.threshold * rms).sum(axis=1)
    code, _ = once(codec, x)
    assert code.nbytes == 4 * (4 + 8 * count.max())
    share = math.erfc(codec.threshold / math.sqrt(2))
    for i in range(4):
        alone, _ = once(codec, x[i : i + 1])
        assert alone.nbytes == 4 + 8 * count[i]
        assert abs(alone.nbytes - codec.wire_bytes(n)) <= 8 * (5 * math.sqrt(n * share * (1 - share)) + 1)


# --- errors ---------------------------------------------------------------------------------------------

#: Rounding of float32 that is not the code's doing, relative to the largest magnitude.
ULP = 2.0**-23
TINY = float(np.finfo(np.float32).tiny)


def in_blocks(x: np.ndarray, block: int, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `of` makes of each block, for each element; in float64."""
    pieces = [x[:, start : start + block] for start in range(0, x.shape[1], block)]
    return np.concatenate([x[:, :0], *(np.broadcast_to(of(piece), piece.shape) for piece in pieces)], axis=1)


def top(x: np.ndarray) -> np.ndarray:
    return np.abs(x).max(axis=1, keepdims=True)


def norm(x: np.ndarray) -> np.ndarray:
    return np.sqrt((x**2).sum(axis=1, keepdims=True))


def int_bound(codec, x):
    step = in_blocks(x, codec.block, top) / codec.levels
    return step * (0.5 + codec.levels * 2 * ULP) + codec.levels * TINY


def fp8_bound(codec, x):
    largest, half, smallest = {"e4m3": (448, 2**-4, 2**-10), "e5m2": (57344, 2**-3, 2**-17)}[codec.format]
    step = in_blocks(x, codec.block, top) / largest
    return np.maximum(half * np.abs(x), step * smallest) * (1 + 4 * ULP) + largest * TINY


def qsgd_bound(codec, x):
    length = in_blocks(x, codec.bucket, norm)
    return length / codec.levels + length * 4 * ULP + TINY


def terngrad_scale(codec, x):
    return in_blocks(
        x, codec.bucket or max(1, x.shape[1]), lambda p: np.minimum(top(p), 2.5 * norm(p) / p.shape[1] ** 0.5)
    )


def terngrad_bound(codec, x):
    scale = terngrad_scale(codec, x)
    return np.maximum(scale, np.abs(x)) * (1 + 4 * ULP) + TINY


def sign_bound(codec, x):
    return np.abs(x) + in_blocks(x, codec.block, lambda p: np.abs(p).mean(axis=1, keepdims=True)) * (1 + 4 * ULP) + TINY


def threshold_bound(codec, x):
    return codec.threshold * norm(x) / max(1, x.shape[1]) ** 0.5 * (1 + 4 * ULP) + 0 * x + TINY


#: The most that an element may be off, shape of `x`: as each codec's docstring has it.
ELEMENT: dict[str, Callable] = {
    "identity": lambda codec, x: 0 * x,
    "fp16": lambda codec, x: np.maximum(np.maximum(np.abs(x) * 2**-11, 2**-25), np.abs(x) - 65504),
    "bf16": lambda codec, x: np.maximum(np.abs(x) * 2**-8, 2.0**-134),
    "fp8": fp8_bound, "int8": int_bound, "int4": int_bound, "qsgd": qsgd_bound, "terngrad": terngrad_bound,
    "sign": sign_bound, "threshold": threshold_bound,
    # What is sent is exact and what is not is lost.
    "topk": lambda codec, x: np.abs(x), "randomk": lambda codec, x: np.abs(x), "dgc": lambda codec, x: np.abs(x),
}  # fmt: skip


def kept_bound(codec, x):
    k = codec.payload(x.shape[1])
    return (1 - k / max(1, x.shape[1])) * norm(x)[:, 0] ** 2


def low_rank_bound(codec, x):
    return norm(x)[:, 0] ** 2 if codec.sides(x.shape[1]) else np.zeros(len(x))


def sign_square(codec, x):
    return sum(
        ((piece**2).sum(axis=1) - np.abs(piece).sum(axis=1) ** 2 / piece.shape[1])
        for piece in (x[:, start : start + codec.block] for start in range(0, x.shape[1], codec.block))
    ) + np.zeros(len(x))


def chain_bound(codec, x):
    """No more than what the outer loses and what the inner loses of what is left."""
    (whole, _), name = once(codec.outer, x.astype(np.float32)), base(codec.inner)
    floats = whole.parts[0].astype(float)
    lost = (
        square_bound(codec.inner, floats) if name in SQUARE else (ELEMENT[name](codec.inner, floats) ** 2).sum(axis=1)
    )
    return (np.sqrt(square_bound(codec.outer, x)) + np.sqrt(lost)) ** 2


#: The most that a message's squared error may be.
SQUARE: dict[str, Callable] = {
    "topk": kept_bound, "dgc": kept_bound, "powersgd": low_rank_bound, "sign": sign_square, "chain": chain_bound,
    "threshold": lambda codec, x: min(1, codec.threshold**2) * norm(x)[:, 0] ** 2,
    "randomk": lambda codec, x: norm(x)[:, 0] ** 2,
    "error_feedback": lambda codec, x: square_bound(codec.codec, x),
}  # fmt: skip


def base(codec: Codec) -> str:
    return codec.spec.partition("(")[0].partition(":")[0]


def square_bound(codec: Codec, x: np.ndarray) -> np.ndarray:
    name = base(codec)
    return SQUARE[name](codec, x) if name in SQUARE else (ELEMENT[name](codec, x) ** 2).sum(axis=1)


def shapes_of_values(n: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((2, n), np.float32)
    yield "normal", x
    yield "heavy tails", rng.standard_t(3, (2, n)).astype(np.float32)
    yield "zeros", np.zeros_like(x)
    yield "constant", np.full_like(x, -0.37)
    yield "one of all", np.where(np.arange(n) == n // 2, np.float32(5), np.float32(0))[None].repeat(2, axis=0)
    yield "many scales", (x * 10.0 ** rng.uniform(-20, 15, x.shape)).astype(np.float32)
    yield "tiny", (x * 1e-39).astype(np.float32)
    yield "huge", np.clip(x.astype(float) * 3e38, -3.4e38, 3.4e38).astype(np.float32)
    yield "largest", np.full_like(x, np.finfo(np.float32).max)


def is_matrix(codec: Codec, n: int) -> bool:
    inner = codec.codec if base(codec) == "error_feedback" else codec
    return inner.sides(n) is not None


def test_every_name_has_a_bound():
    assert set(ELEMENT) | set(SQUARE) == set(CODECS), "write down the bound of the codec's paper"


@pytest.mark.parametrize(
    "spec", [spec for spec in SPECS if "powersgd" not in spec or ("fp16" not in spec and "bf16" not in spec)]
)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 257, 1000])
def test_the_error_is_within_the_papers_bound(spec, n):
    codec = parse(spec)
    for name, x in shapes_of_values(n):
        if "powersgd" in spec and is_matrix(codec, n) and name in ("huge", "largest"):
            # Products of matrices overflow, and say so.
            with pytest.raises(CodecError, match="overflow float32; scale the vector down"):
                once(codec, x)
            continue
        _, decoded = once(codec, x)
        wide = x.astype(float)
        error = decoded.astype(float) - wide
        # Where the code itself holds float32 numbers, results are rounded to them: in scales, sums and products.
        slack = 8 * ULP * top(wide) + n * TINY if n else 0
        if base(codec) in ELEMENT:
            exact = base(codec) in ("identity", "fp16", "bf16")
            limit = ELEMENT[base(codec)](codec, wide)
            assert (np.abs(error) <= limit + (0 if exact else slack)).all(), name
        square = np.sqrt(square_bound(codec, wide).clip(0))
        assert (norm(error)[:, 0] <= square * (1 + 8 * ULP) + np.sqrt(n) * np.max(slack, initial=0)).all(), name


@pytest.mark.parametrize("spec", ["sign:3", "sign:2048"])
def test_the_error_of_signs_is_exactly_the_papers(spec):
    codec, x = parse(spec), vectors(3, 1000)
    error = norm(once(codec, x)[1].astype(float) - x)[:, 0] ** 2
    np.testing.assert_allclose(error, sign_square(codec, x.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("spec", ["topk:0.01", "topk:0.3", "dgc:0.001:0:0.9"])
def test_no_other_choice_of_as_many_loses_less(spec):
    codec, x = parse(spec), vectors(3, 5000)
    lost = norm(once(codec, x)[1].astype(float) - x)[:, 0] ** 2
    smallest = np.sort(x.astype(float) ** 2, axis=1)[:, : 5000 - codec.payload(5000)].sum(axis=1)
    np.testing.assert_allclose(lost, smallest, rtol=1e-12)


# --- chance ---------------------------------------------------------------------------------------------

#: What many codes are on average, for those that depend on the seed: the paper's expectation.
MEAN: dict[str, Callable] = {
    "qsgd": lambda codec, x: x,
    "terngrad": lambda codec, x: np.clip(x, -terngrad_scale(codec, x), terngrad_scale(codec, x)),
    "randomk": lambda codec, x: x * codec.payload(x.shape[1]) / x.shape[1],
}
#: And the expected squared error of their mean, or more.
VARIANCE: dict[str, Callable] = {
    "qsgd": lambda codec, x: sum(
        min(piece.size / codec.levels**2, piece.size**0.5 / codec.levels) * (piece**2).sum()
        for piece in (x[:, start : start + codec.bucket] for start in range(0, x.shape[1], codec.bucket))
    ),
    "terngrad": lambda codec, x: (
        np.abs(MEAN["terngrad"](codec, x)) * (terngrad_scale(codec, x) - np.abs(MEAN["terngrad"](codec, x)))
    ).sum(),
    "randomk": lambda codec, x: (1 - codec.payload(x.shape[1]) / x.shape[1]) * (x**2).sum(),
}
#: PowerSGD begins at random and is no unbiased estimate.
BIASED = ("powersgd",)
TRIALS = 3000


def by_chance(spec: str) -> bool:
    codec, x = parse(spec), vectors(1, 500)
    return not np.array_equal(once(codec, x, 1)[1], once(codec, x, 2)[1])


@pytest.mark.parametrize("spec", [spec for spec in SPECS if "(" not in spec])
def test_what_depends_on_the_seed_has_the_papers_mean_and_variance(spec):
    codec = parse(spec)
    if not by_chance(spec):
        assert base(codec) not in MEAN or spec.startswith("topk:1")
        return
    if base(codec) in BIASED:
        return
    x = vectors(1, 48)
    x[0, 0] = 6  # far out, so that TernGrad clips
    found = np.concatenate([once(codec, x, seed)[1] for seed in range(TRIALS)]).astype(float)
    mean = MEAN[base(codec)](codec, x.astype(float))
    deviation = found.std(axis=0)
    still = deviation < 1e-7
    np.testing.assert_allclose(found.mean(axis=0)[still], mean[0, still], rtol=1e-5, atol=1e-7)
    assert not still.all()
    z = (found.mean(axis=0) - mean[0])[~still] / deviation[~still] * math.sqrt(TRIALS)
    # 48 standard normal numbers: beyond 4.5 once in 3,000 tries, and their mean square beyond 1.8 as rarely.
    assert np.abs(z).max() < 4.5
    assert (z**2).mean() < 1.8
    around = x if base(codec) == "randomk" else mean
    squares = ((found - around) ** 2).sum(axis=1)
    limit = VARIANCE[base(codec)](codec, x.astype(float))
    doubt = 4.5 * squares.std() / math.sqrt(TRIALS)
    assert squares.mean() <= limit + doubt
    if base(codec) != "qsgd":  # where the paper has the variance itself, not a bound
        assert squares.mean() >= limit - doubt


# --- state ----------------------------------------------------------------------------------------------


@every
def test_the_same_state_gives_the_same_code_and_nothing_is_written_to(spec):
    codec, x = parse(spec), vectors(3, 1000)
    x.flags.writeable = False
    state = frozen(codec.init(1000, messages=3, seed=11))
    for step in range(3):
        assert state.step == step
        (a, after), (b, again) = codec.encode(x, state), codec.encode(x, state)
        assert same(a, b)
        for part in a.parts:
            part.flags.writeable = False
        first = codec.decode(a)
        first_bits = first.copy()
        assert np.array_equal(codec.decode(a), first)
        first += 1  # what is decoded is the caller's own
        assert np.array_equal(codec.decode(a), first_bits)
        assert str(after) == str(again)
        state = frozen(after)


@every
def test_seeds_reproduce(spec):
    codec, x = parse(spec), vectors(2, 1000)
    assert same(once(codec, x, seed=5)[0], once(codec, x, seed=5)[0])


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.startswith((*DRAWN, "randomk"))])
def test_what_is_drawn_depends_on_seed_and_step(spec):
    codec, x = parse(spec), vectors(1, 1000)
    first, state = codec.encode(x, codec.init(1000, seed=5))
    second, _ = codec.encode(x, state)
    assert not np.array_equal(codec.decode(first), codec.decode(second))
    assert not np.array_equal(codec.decode(first), once(codec, x, seed=6)[1])


@every
def test_messages_do_not_depend_on_each_other(spec):
    codec, x = parse(spec), vectors(3, 1000)
    if spec.startswith(DRAWN):
        together = once(codec, np.repeat(x[:1], 2, axis=0))[1]
        assert not np.array_equal(*together), "ranks' errors are alike and do not average out"
        return
    together = once(codec, x)[1]
    alone = np.concatenate([once(codec, x[i : i + 1])[1] for i in range(3)])
    assert np.array_equal(together, alone)


@every
def test_a_part_of_an_array_is_as_good_as_a_copy(spec):
    codec, wide = parse(spec), vectors(3, 3000)
    part = wide[::2, 500:1500]
    assert same(once(codec, part)[0], once(codec, part.copy())[0])
    apart = wide[:, ::3]
    assert same(once(codec, apart)[0], once(codec, apart.copy())[0])


@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.startswith(DRAWN)])
def test_tiles_do_not_show(spec, monkeypatch):
    codec, x = parse(spec), vectors(2, 3001)
    x[:, 100:400] = x[:, 100:101]  # ties across tiles
    whole = once(codec, x)[0]
    monkeypatch.setattr(tiles, "TILE", 64)
    monkeypatch.setattr("ringsim.codecs.choosing.TILE", 64)
    assert same(once(codec, x)[0], whole)


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_through_casts_and_nowhere_else(spec, bad):
    codec, x = parse(spec), vectors(2, 300)
    x[1, 123] = bad
    if spec in ("identity", "fp16", "bf16"):
        decoded = once(codec, x)[1]
        np.testing.assert_equal(decoded[1, 123], np.float32(bad))
        assert np.isfinite(np.delete(decoded.ravel(), 423)).all()
    else:
        with pytest.raises(CodecError, match=r"element 123 of message 1 is -?(nan|inf)"):
            once(codec, x)


@every
def test_other_types_shapes_and_states_are_refused(spec):
    codec = parse(spec)
    state = codec.init(100, messages=2)
    for wrong in (np.zeros((2, 100)), np.zeros(100, np.float32)):
        with pytest.raises(CodecError, match="takes float32 of shape"):
            codec.encode(wrong, state)
    if state.kept or any(inner.kept for inner in state.inner):
        with pytest.raises(CodecError, match="call init with the same shape"):
            codec.encode(np.zeros((3, 100), np.float32), state)


# --- sums -----------------------------------------------------------------------------------------------

#: Half a unit of the last place of what is summed on the wire.
UNIT = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def sum_over_ranks(codec: Codec, x: np.ndarray, states: list[State]) -> tuple[list, list[int], float]:
    """Sum every round over ranks, each with one message: results, bytes of a rank's rounds, unit of the wire."""
    ranks = [codec.sum_rounds(x[k : k + 1], states[k]) for k in range(len(x))]
    payloads, sizes, unit = [next(rank) for rank in ranks], [], 0.0
    while True:
        total = payloads[0]
        for payload in payloads[1:]:
            total = total + payload
        assert total.dtype == payloads[0].dtype
        sizes.append(payloads[0].nbytes)
        unit = max(unit, UNIT[str(total.dtype)])
        payloads, done = [], []
        for rank in ranks:
            try:
                payloads.append(rank.send(total.copy()))
            except StopIteration as end:
                done.append(end.value)
        if done:
            assert not payloads, "ranks disagree about the number of rounds"
            return done, sizes, unit


@pytest.mark.parametrize("spec", [spec for spec in LINEAR if "(" not in spec and parse(spec).rounds == 1])
@pytest.mark.parametrize("ranks", [2, 9])
def test_codes_of_linear_codecs_add_up(spec, ranks):
    codec, x = parse(spec), vectors(ranks, 1000)
    codes = [once(codec, x[k : k + 1])[0] for k in range(ranks)]
    total = codes[0].parts[0]
    for code in codes[1:]:
        total = total + code.parts[0]
    of_sum = codec.decode(replace(codes[0], parts=(total,)))
    decoded = np.concatenate([codec.decode(code) for code in codes]).astype(float)
    # Each of the additions rounds a number that is no larger than the sum of magnitudes.
    limit = (ranks - 1) * UNIT[str(total.dtype)] * np.abs(decoded).sum(axis=0) * 1.01
    assert (np.abs(of_sum[0] - decoded.sum(axis=0)) <= limit).all()


def starting(state: State) -> Iterator[np.ndarray]:
    """What ranks must have in common to begin with: PowerSGD's factor."""
    if "q" in state.kept:
        yield state.kept["q"]
    for inner in state.inner:
        yield from starting(inner)


@pytest.mark.parametrize("spec", LINEAR)
@pytest.mark.parametrize("n", [1, 2, 16, 17, 1000])
def test_sums_in_rounds_agree_and_say_who_put_in_what(spec, n):
    codec, ranks = parse(spec), 5
    states = [frozen(codec.init(n, seed=7)) for _ in range(ranks)]
    for step in range(3):
        x = vectors(ranks, n, step)
        x.flags.writeable = False
        done, sizes, unit = sum_over_ranks(codec, x, states)
        assert tuple(sizes) == codec.round_bytes(n)
        assert all(np.array_equal(one.total, done[0].total) for one in done)
        assert done[0].total.shape == done[0].own.shape == (1, n)
        own = np.concatenate([one.own for one in done]).astype(float)
        limit = ranks * (unit + 4 * ULP) * norm(own).sum() + ranks * 2.0**-25 * math.sqrt(n)
        assert np.linalg.norm(own.sum(axis=0) - done[0].total[0]) <= limit
        states = [frozen(one.state) for one in done]
        assert {state.step for state in states} == {step + 1}
        starts = [list(starting(state)) for state in states]
        assert all(np.array_equal(a, b) for start in starts for a, b in zip(starts[0], start, strict=True))


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec not in LINEAR])
def test_others_refuse_to_sum(spec):
    codec = parse(spec)
    with pytest.raises(CodecError, match=f"codes of a {codec.combine} do not sum"):
        next(codec.sum_rounds(vectors(1, 10), codec.init(10)))


@pytest.mark.parametrize("spec", LINEAR)
def test_a_sum_of_one_rank_is_encoding_and_decoding(spec):
    codec, x = parse(spec), vectors(1, 1000)
    state = codec.init(1000, seed=7)
    (done,), _, _ = sum_over_ranks(codec, x, [state])
    code, after = codec.encode(x, state)
    # Encoded at once, the first factor is cast as it is sent; in rounds, before it is made orthonormal.
    unit = 2.0**-8 if "bf16" in spec else 2.0**-11 if "fp16" in spec else 8 * ULP
    assert norm(codec.decode(code) - done.total)[0, 0] <= 8 * unit * norm(x)[0, 0]
    assert np.array_equal(done.own, done.total)
    assert after.step == done.state.step


# --- error feedback -------------------------------------------------------------------------------------


def remembering(spec: str) -> Codec | None:
    try:
        return parse(f"error_feedback({spec})")
    except CodecError:
        return None


@every
def test_error_feedback_loses_nothing(spec):
    codec = remembering(spec)
    if codec is None:
        assert spec == "identity" or parse(spec).first
        return
    state, wanted, sent = codec.init(300, messages=2, seed=1), np.zeros((2, 300)), np.zeros((2, 300))
    limit = 0.0
    for step in range(12):
        x = vectors(2, 300, step)
        code, after = codec.encode(x, state)
        decoded = codec.decode(code)
        wanted, sent = wanted + x, sent + decoded
        # Two sums in float32 each step: each rounds a number of that size.
        limit += 2 * ULP * (np.abs(x) + np.abs(state.kept["residual"]) + np.abs(decoded)).max()
        state = after
        assert np.abs(sent + state.kept["residual"] - wanted).max() <= limit
    assert codec.first
    assert codec.hop == parse(spec).hop


@pytest.mark.parametrize("spec", [spec for spec in LINEAR if spec != "identity" and "error" not in spec])
def test_error_feedback_of_sums_loses_nothing_either(spec):
    codec, ranks = parse(f"error_feedback({spec})"), 4
    states = [codec.init(300, seed=1) for _ in range(ranks)]
    wanted, own = np.zeros((ranks, 300)), np.zeros((ranks, 300))
    for step in range(12):
        x = vectors(ranks, 300, step)
        done, _, _ = sum_over_ranks(codec, x, states)
        states = [one.state for one in done]
        wanted, own = wanted + x, own + np.concatenate([one.own for one in done])
        residual = np.concatenate([state.kept["residual"] for state in states])
        assert np.abs(own + residual - wanted).max() <= (step + 1) * 16 * ULP * max(1, np.abs(residual).max())


@pytest.mark.parametrize("spec", ["dgc:0.1:0:0", "chain(dgc:0.1:0:0,fp16)", "dgc:0.05:8:0"])
def test_dgc_without_momentum_is_error_feedback(spec):
    codec = parse(spec)
    state, wanted, sent = codec.init(300, messages=2), np.zeros((2, 300)), np.zeros((2, 300))
    for step in range(12):
        x = vectors(2, 300, step)
        code, state = codec.encode(x, state)
        wanted, sent = wanted + x, sent + codec.decode(code)
        v = (state.inner[0] if state.inner else state).kept["v"]
        # What fp16 rounds away from the values that are sent is not remembered.
        limit = (step + 1) * (16 * ULP + (2.0**-11 if "fp16" in spec else 0) * 8)
        assert np.abs(sent + v - wanted).max() <= limit
