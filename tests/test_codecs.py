"""Codecs on arrays small enough to be encoded by hand, and what is written wrongly."""

import csv
import importlib
import sys
from itertools import pairwise
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner

from ringsim.codecs import CODECS, Code, CodecError, Passes, State, parse
from ringsim.codecs.choosing import kept, largest
from ringsim.codecs.dgc import WARM_UP
from ringsim.codecs.packing import Bits, Trits


def floats(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def encode(spec: str, x: np.ndarray, seed: int = 0) -> Code:
    codec = parse(spec)
    return codec.encode(x, codec.init(x.shape[1], messages=len(x), seed=seed))[0]


def through(spec: str, x: np.ndarray) -> np.ndarray:
    return parse(spec).decode(encode(spec, x))


# --- how they are written -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("int8", "int8:256"), ("int4:32", "int4:32"), ("fp8", "fp8:e4m3:256"), ("fp8:64", "fp8:e4m3:64"),
        ("fp8:e5m2", "fp8:e5m2:256"), ("qsgd:7", "qsgd:7:512"), ("terngrad:64", "terngrad:64"), ("sign", "sign:2048"),
        ("topk:1e-3", "topk:0.001"), ("topk:.5", "topk:0.5"), ("threshold:3", "threshold:3.0"),
        ("dgc:0.001:400", "dgc:0.001:400:0.9"), ("chain( topk:0.01 , int8 )", "chain(topk:0.01,int8:256)"),
        ("error_feedback(chain(powersgd:4,fp16))", "error_feedback(chain(powersgd:4,fp16))"),
    ],
)  # fmt: skip
def test_parameters_are_written_out(short, full):
    assert parse(short).spec == full


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("", "there is no codec ''; there are identity, fp16"),
        ("int9", "there is no codec 'int9'"),
        ("INT8", "there is no codec 'INT8'"),
        ("int8:0", r"int8:0: '0' is no whole number from 1 to 2147483647; write int8\[:BLOCK\], such as int8:256"),
        ("int8:-4", "'-4' is no whole number"),
        ("int8:²", "'²' is no whole number"),
        ("int8:4:4", r"int8:4:4: write int8\[:BLOCK\]"),
        ("fp16:3", "fp16:3: write fp16"),
        ("fp8:e3m4", "'e3m4' is no format: e4m3 or e5m2"),
        ("fp8:e4m3:16:16", "fp8:e4m3:16:16: write fp8"),
        ("qsgd", "qsgd: write qsgd:LEVELS"),
        ("qsgd:200", "'200' is no whole number from 1 to 127"),
        ("topk", "topk: write topk:DENSITY, such as topk:0.01"),
        ("topk:0", "'0' is no density above 0 and at most 1"),
        ("topk:1.5", "'1.5' is no density"),
        ("topk:nan", "'nan' is no density"),
        ("topk:1%", "'1%' is no density"),
        ("topk(0.01)", "write topk:DENSITY, such as topk:0.01"),
        ("threshold:-1", "'-1' is no positive number"),
        ("threshold:inf", "'inf' is no positive number"),
        ("dgc:0.1:10:1", "'1' is no momentum from 0 to below 1"),
        ("powersgd:0", "'0' is no whole number"),
        ("chain", r"write chain\(CODEC,CODEC\)"),
        ("chain()", "there is no codec ''"),
        ("chain(topk:0.1", r"write chain\(CODEC,CODEC\)"),
        ("chain(topk:0.1,int8))", "parentheses do not match"),
        ("chain(topk:0.1)(int8)", "parentheses do not match"),
        ("chain((topk:0.1,int8)", "parentheses do not match"),
        ("chain(topk:0.1)int8", r"write chain\(CODEC,CODEC\)"),
        ("chain:2(topk:0.1,int8)", r"write chain\(CODEC,CODEC\)"),
        ("chain(topk:0.1)", "a chain has two members"),
        ("error_feedback(int8,int4)", r"write error_feedback\(CODEC\)"),
        ("error_feedback(int9)", "there is no codec 'int9'"),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_is_refused_with_what_would_be_right(wrong, says):
    with pytest.raises(CodecError, match=says) as found:
        parse(wrong)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("senseless", "instead"),
    [
        ("chain(int8,topk:0.1)", "chain(topk:0.1,int8:256)"),
        ("chain(fp16,int8)", "chain(topk:0.01,fp16)"),
        ("chain(identity,fp16)", "chain(topk:0.01,fp16)"),
        ("chain(chain(topk:0.1,fp16),int8)", "chain(topk:0.01,int8:256)"),
        ("chain(topk:0.1,powersgd:4)", None),
        ("chain(topk:0.1,topk:0.1)", None),
        ("chain(topk:0.1,identity)", None),
        ("chain(topk:0.1,error_feedback(int8))", "error_feedback(chain(topk:0.1,int8:256))"),
        ("chain(topk:0.1,fp16,int8)", "chain(topk:0.1,fp16)"),
        ("chain(powersgd:4,int8)", "chain(powersgd:4,fp16)"),
        ("chain(error_feedback(topk:0.1),int8)", "error_feedback(chain(topk:0.1,int8:256))"),
        ("error_feedback(identity)", None),
        ("error_feedback(dgc:0.1)", "dgc:0.1:0:0.9"),
        ("error_feedback(chain(dgc:0.1,fp16))", "chain(dgc:0.1:0:0.9,fp16)"),
        ("error_feedback(error_feedback(int8))", "error_feedback(int8:256)"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_alternative_can_be_parsed(senseless, instead):
    with pytest.raises(CodecError) as found:
        parse(senseless)
    if instead is None:
        assert "one of fp16, bf16" in str(found.value) or "leave error_feedback out" in str(found.value)
    else:
        assert instead in str(found.value)
        parse(instead)


def test_usage_and_example_name_their_codec():
    for name, entry in CODECS.items():
        assert entry.usage.startswith(name)
        assert entry.wraps == ("(" in entry.example)


# --- packing --------------------------------------------------------------------------------------------


def test_bits_are_packed_from_the_lowest():
    numbers = np.array([[1, 2, 3, 0, 7]], np.uint8)
    # 1 + 2·8 + 3·64 + 0·512 + 7·4096 = 209 + 28672
    assert Bits(3).pack(numbers).tolist() == [[209, 112]]
    assert Bits(4).pack(numbers).tolist() == [[0x21, 0x03, 0x07]]
    assert Bits(1).pack(numbers & 1).tolist() == [[0b10101]]
    assert Bits(8).pack(numbers).tolist() == numbers.tolist()


def test_five_trits_are_a_byte():
    # 2 + 1·3 + 0·9 + 2·27 + 1·81 = 140, then 2 + 2·3 = 8; the most is 2·121 = 242
    assert Trits().pack(np.array([[2, 1, 0, 2, 1, 2, 2]], np.uint8)).tolist() == [[140, 8]]
    assert Trits().pack(np.full((1, 5), 2, np.uint8)).tolist() == [[242]]


@pytest.mark.parametrize("packing", [*map(Bits, range(1, 9)), Trits()], ids=str)
def test_packing_comes_back_and_is_as_small_as_it_says(packing):
    rng = np.random.default_rng(0)
    most = 3 if isinstance(packing, Trits) else 2**packing.bits
    for n in (0, 1, 4, 5, 7, 8, 9, 40, 101):
        numbers = rng.integers(0, most, (3, n), np.uint8)
        numbers[0] = most - 1
        packed = packing.pack(numbers)
        assert packed.shape == (3, packing.size(n))
        assert packing.unpack(packed, n).tolist() == numbers.tolist()
        bits = 1.6 if isinstance(packing, Trits) else packing.bits
        assert packing.size(n) == -(-round(n * bits * 10) // 80)
    # Cut at a group, the parts side by side are the whole.
    numbers = rng.integers(0, most, (2, 10 * packing.group), np.uint8)
    cut = 3 * packing.group
    parts = packing.pack(numbers[:, :cut]), packing.pack(numbers[:, cut:])
    assert np.concatenate(parts, axis=1).tolist() == packing.pack(numbers).tolist()


# --- casts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "dtype", "most"), [("fp16", np.float16, 65504.0), ("bf16", ml_dtypes.bfloat16, 3.3895313892515355e38)]
)
def test_casts_are_the_librarys_bit_for_bit(spec, dtype, most):
    # Every finite number of the format, what lies half-way between two, and its neighbours.
    ends = {"fp16": 0x7C00, "bf16": 0x7F80}
    numbers = np.arange(ends[spec], dtype=np.uint16).view(dtype).astype(np.float32)
    middles = numbers[1:] / 2 + numbers[:-1] / 2
    near = [np.nextafter(middles, np.float32(end)) for end in (0, np.inf)]
    x = np.concatenate([numbers, middles, *near])
    x = np.concatenate([x, -x, np.random.default_rng(0).integers(0, 2**32, 10**6, np.uint32).view(np.float32)])
    x = x[np.isfinite(x)]
    x = x[np.abs(x) <= most][None]
    code = encode(spec, x)
    assert code.parts[0].dtype == dtype
    assert np.array_equal(code.parts[0].view(np.uint16), x.astype(dtype).view(np.uint16))


def test_casts_saturate_and_leave_infinity_alone():
    x = floats([65519, 65520, 1e9, -1e9, np.inf, -np.inf, 1])
    assert through("fp16", x).tolist() == [[65504, 65504, 65504, -65504, np.inf, -np.inf, 1]]
    most = float(np.array(0x7F7F, np.uint16).view(ml_dtypes.bfloat16))
    assert through("bf16", floats([3.4e38, -3.4e38, np.inf])).tolist() == [[most, -most, np.inf]]


def test_ties_go_to_the_even_one():
    # Half precision has 10 bits of mantissa, bf16 has 7.
    assert through("fp16", floats([1 + 2**-11, 1 + 3 * 2**-11])).tolist() == [[1, 1 + 2**-9]]
    assert through("bf16", floats([1 + 2**-8, 1 + 3 * 2**-8])).tolist() == [[1, 1 + 2**-6]]


# --- blocks ---------------------------------------------------------------------------------------------


def test_int8_by_hand():
    code = encode("int8:3", floats([127, -63.4, 0.5, -2, 1, 0, 5]))
    numbers, scales = code.parts
    # Steps of 1, 2/127 and 5/127; half to even.
    assert numbers.view(np.int8).tolist() == [[127, -63, 0, -127, 64, 0, 127]]
    assert scales[0].tolist() == pytest.approx([1, 2 / 127, 5 / 127])
    assert parse("int8:3").decode(code)[0].tolist() == pytest.approx([127, -63, 0, -2, 128 / 127, 0, 5])


def test_int4_by_hand():
    code = encode("int4:4", floats([7, -7, 3.4, -1, 14]))
    # 7, −7, 3, −1 and 7 in two's complement are 7, 9, 3, F and 7; the first of two is the low half.
    assert code.parts[0].tolist() == [[0x97, 0xF3, 0x07]]
    assert code.parts[1].tolist() == [[1, 2]]
    assert parse("int4:4").decode(code).tolist() == [[7, -7, 3, -1, 14]]


def test_fp8_by_hand():
    # 448 is E4M3's largest; it has steps of 32 from 256 on and of 2**-9 near zero. E5M2 has 8192 from 32768 on.
    assert through("fp8:e4m3:4", floats([448, 300, 1, -0.003])).tolist() == [[448, 288, 1, -(2**-8)]]
    assert through("fp8:e5m2:2", floats([57344, 44000])).tolist() == [[57344, 40960]]
    code = encode("fp8:e4m3:2", floats([2, 1, 0, 0]))
    assert code.parts[1].tolist() == [[np.float32(2 / 448), 0]]
    assert code.parts[0].view(ml_dtypes.float8_e4m3fn).astype(float).tolist() == [[448, 224, 0, 0]]


def test_each_message_has_scales_of_its_own():
    assert encode("int8:2", floats([1, 0, 127], [254, 0, 0])).parts[1].shape == (2, 2)
    assert through("int8:2", floats([127, 3, 0], [254, 3, 0])).tolist() == [[127, 3, 0], [254, 4, 0]]


# --- by chance ------------------------------------------------------------------------------------------


def test_qsgd_by_hand():
    # Norm 5, five levels: 3 and −4 are levels themselves and no chance is left.
    codec, x = parse("qsgd:5:2"), floats([3, -4, 0, 0])
    code = encode("qsgd:5:2", x)
    assert codec.packing == Bits(4)
    # 5 + 3 = 8 and 5 − 4 = 1, then twice 5
    assert code.parts[0].tolist() == [[0x18, 0x55]]
    assert code.parts[1].tolist() == [[5, 0]]
    assert codec.decode(code)[0].tolist() == pytest.approx([3, -4, 0, 0])


def test_qsgd_goes_to_either_neighbour_with_the_odds_of_its_place():
    # 1/√(1 + 1) of two levels is 1.414: to 1 with odds 0.586, to 2 with 0.414.
    x = np.ones((20_000, 2), np.float32)
    decoded = through("qsgd:2:2", x) / np.float32(2**0.5 / 2)
    assert set(np.unique(decoded.round(3)).tolist()) == {1, 2}
    assert (decoded > 1.5).mean() == pytest.approx(2**0.5 - 1, abs=4.5 * 0.5 / 200)


def test_the_largest_is_never_rounded_up():
    # Alone in its bucket each is level 127 exactly, and what is drawn rounds to 1 in float32 once in 250,000 times.
    assert (through("qsgd:127:1", np.ones((1, 2**21), np.float32)) == 1).all()


@pytest.mark.parametrize(("levels", "bits"), [(1, 2), (3, 3), (4, 4), (7, 4), (8, 5), (127, 8)])
def test_qsgd_takes_as_many_bits_as_its_numbers_need(levels, bits):
    assert parse(f"qsgd:{levels}").wire_bytes(512) == 64 * bits + 4


def test_terngrad_by_hand():
    # All alike: each is the scale or nothing but certain. A zero stays zero.
    assert through("terngrad", floats([2, -2, 2])).tolist() == [[2, -2, 2]]
    assert through("terngrad:2", floats([2, -2, 0, 0, 0, 3])).tolist() == [[2, -2, 0, 0, 0, pytest.approx(3)]]
    # One element among 100: σ is 0.1 of it, and it is clipped to 2.5 σ.
    x = np.zeros((1, 100), np.float32)
    x[0, 7] = -8
    assert through("terngrad", x)[0, 7] == pytest.approx(-2)
    # A bucket that is not full has no more elements than it has.
    assert through("terngrad:300", x)[0, 7] == pytest.approx(-2)


# --- signs ----------------------------------------------------------------------------------------------


def test_signs_by_hand():
    code = encode("sign:4", floats([1, -2, 0, -5, 3]))
    assert code.parts[0].tolist() == [[0b01010]]
    assert code.parts[1].tolist() == [[2, 3]]
    assert parse("sign:4").decode(code).tolist() == [[2, -2, 2, -2, 3]]


def test_signs_of_a_sum_are_a_majority_vote_in_which_scales_are_weights():
    codec = parse("sign")
    votes = floats([1, 1, -1], [1, -1, -1], [-1, 1, -1])
    assert np.sign(through("sign", codec.decode(encode("sign", votes)).sum(axis=0)[None])).tolist() == [[1, 1, -1]]
    loud = floats([1, 1, -1], [1, -1, -1], [-9, 9, 9])
    assert np.sign(through("sign", codec.decode(encode("sign", loud)).sum(axis=0)[None])).tolist() == [[-1, 1, 1]]


# --- sparse ---------------------------------------------------------------------------------------------


def test_density_is_taken_as_it_is_written_and_rounded_up():
    assert [kept(0.01, n) for n in (0, 1, 100, 101, 700)] == [0, 1, 1, 2, 7]
    assert kept(0.07, 100) == 7  # 0.07 · 100 is 7.000000000000001 in floating point
    assert kept(1.0, 9) == 9


def test_topk_by_hand():
    code = encode("topk:0.4", floats([1, -5, 2, 4, 0], [0, 0, 0, 0, -1]))
    assert code.parts[1].dtype == np.int32
    assert code.parts[1].tolist() == [[1, 3], [0, 4]]
    assert code.parts[0].tolist() == [[-5, 4], [0, -1]]
    assert parse("topk:0.4").decode(code).tolist() == [[0, -5, 0, 4, 0], [0, 0, 0, 0, -1]]


def test_of_equal_magnitudes_the_lowest_indices_are_kept():
    x = floats([1, -2, 2, 2, -3, 2])
    assert [largest(x, k)[0].tolist() for k in range(7)] == [
        [], [4], [1, 4], [1, 2, 4], [1, 2, 3, 4], [1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5],
    ]  # fmt: skip
    assert largest(floats([-0.0, 0.0, 0.0]), 2).tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", ["normal", "few values", "constant", "zeros", "one bin"])
def test_long_vectors_are_chosen_from_as_by_sorting(kind):
    n, rng = 150_001, np.random.default_rng(3)
    x = {
        "normal": rng.standard_normal(n),
        "few values": rng.integers(-4, 5, n),
        "constant": np.full(n, -2.5),
        "zeros": np.zeros(n),
        "one bin": 1 + rng.random(n) * 2**-9,
    }[kind].astype(np.float32)
    for k in (1, 1500, n - 1):
        # By magnitude, then by index.
        order = np.lexsort((np.arange(n), -np.abs(x)))
        assert np.array_equal(largest(x[None], k)[0], np.sort(order[:k]))


def test_threshold_by_hand():
    # Root mean square 2: of 1, 1, 1, 1 and 4, one exceeds it; and none of two that are alike.
    codec, x = parse("threshold:1"), floats([1, 1, -4, 1, 1], [2, 2, 2, 2, 2], [-3, 0, 0, 0, 4])
    code, _ = codec.encode(x, State())
    assert code.parts[2].tolist() == [[1], [0], [2]]
    assert code.parts[1].tolist() == [[2, 0], [0, 0], [0, 4]]
    assert code.parts[0].tolist() == [[-4, 0], [0, 0], [-3, 4]]
    assert codec.decode(code).tolist() == [[0, 0, -4, 0, 0], [0] * 5, [-3, 0, 0, 0, 4]]


def test_randomk_sends_values_alone_and_all_messages_choose_alike():
    codec, x = parse("randomk:0.3"), np.arange(1, 21, dtype=np.float32).reshape(2, 10)
    code, state = codec.encode(x, codec.init(10, messages=2, seed=4))
    assert [part.shape for part in code.parts] == [(2, 3)]
    assert np.array_equal(code.parts[0][1], code.parts[0][0] + 10)
    assert code.known == (4, 0)
    decoded = codec.decode(code)
    assert np.array_equal(decoded[decoded != 0], x[decoded != 0])
    assert (decoded != 0).sum(axis=1).tolist() == [3, 3]
    assert codec.encode(x, state)[0].known == (4, 1)


# --- DGC ------------------------------------------------------------------------------------------------


def test_dgc_by_hand():
    codec = parse("dgc:0.5:0:0.5")
    state = codec.init(4)
    code, state = codec.encode(floats([4, 1, 2, 3]), state)
    assert codec.decode(code).tolist() == [[4, 0, 0, 3]]
    # What was sent is forgotten in both; the rest keeps its momentum.
    assert state.kept["u"].tolist() == [[0, 1, 2, 0]]
    assert state.kept["v"].tolist() == [[0, 1, 2, 0]]
    code, state = codec.encode(floats([1, 1, 1, 0]), state)
    # u = 0.5 u + g = 1, 1.5, 2, 0; v = v + u = 1, 2.5, 4, 0
    assert codec.decode(code).tolist() == [[0, 2.5, 4, 0]]
    assert state.kept["u"].tolist() == [[1, 0, 0, 0]]
    assert state.kept["v"].tolist() == [[1, 0, 0, 0]]


def test_dgc_warms_up_by_quarters_of_its_steps():
    codec = parse("dgc:0.001:8")
    x = np.random.default_rng(0).standard_normal((1, 4096), np.float32)
    state, sizes = codec.init(4096), []
    for _ in range(10):
        code, state = codec.encode(x, state)
        sizes.append(code.nbytes // 8)
    assert WARM_UP == (0.25, 0.0625, 0.015625, 0.00390625)
    assert sizes == [1024, 1024, 256, 256, 64, 64, 16, 16, 5, 5]
    assert code.nbytes == codec.wire_bytes(4096)
    assert [parse("dgc:0.1:4").at(step).density for step in range(6)] == [0.25, 0.1, 0.1, 0.1, 0.1, 0.1]
    assert [parse("dgc:0.001:3").at(step).density for step in range(4)] == [0.25, 0.0625, 0.015625, 0.001]


def test_sums_of_dgc_have_no_memory():
    assert parse("dgc:0.01").hop == parse("topk:0.01")
    assert parse("chain(dgc:0.01,int8)").hop == parse("chain(topk:0.01,int8)")
    assert parse("chain(dgc:0.01,int8)").first
    assert parse("error_feedback(chain(topk:0.01,int8))").hop == parse("chain(topk:0.01,int8)")
    assert not parse("chain(topk:0.01,int8)").first


# --- PowerSGD -------------------------------------------------------------------------------------------


def low_rank(rows: int, columns: int, rank: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    product = rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))
    return product.astype(np.float32).reshape(1, -1)


@pytest.mark.parametrize(("shape", "rank"), [((30, 40), 3), ((40, 5, 8), 2), (1200, 4)])
def test_powersgd_is_exact_where_the_rank_suffices(shape, rank):
    codec = parse(f"powersgd:{rank}")
    rows, columns = codec.sides(shape)
    n = 1200
    x = low_rank(rows, columns, rank)[:, :n]
    if rows * columns > n:  # what is behind the end is zero, so the matrix' last row must be
        x[0, (rows - 1) * columns :] = 0
    code, _ = codec.encode(x, codec.init(shape))
    np.testing.assert_allclose(codec.decode(code), x, atol=2e-5 * np.abs(x).max())


def test_powersgd_comes_down_to_the_best_of_its_rank():
    codec, x = parse("powersgd:2"), np.random.default_rng(1).standard_normal((1, 600), np.float32)
    matrix = x.reshape(20, 30).astype(float)
    best = np.sqrt((np.linalg.svd(matrix, compute_uv=False)[2:] ** 2).sum())
    state, errors = codec.init((20, 30)), []
    for _ in range(60):
        code, state = codec.encode(x, state)
        errors.append(np.linalg.norm(codec.decode(code) - x))
    assert all(best * (1 - 1e-6) <= error <= np.linalg.norm(x) for error in errors)
    assert errors[0] > 1.02 * best
    assert errors[-1] == pytest.approx(best, rel=2e-3)
    assert all(after <= before * (1 + 1e-5) for before, after in pairwise(errors))


def test_powersgd_has_matrices_of_the_layers_shape_or_nearly_square_ones():
    codec = parse("powersgd:4")
    assert codec.sides((64, 32, 3, 3)) == (64, 288)
    assert codec.round_bytes((64, 32, 3, 3)) == (4 * 4 * 64, 4 * 4 * 288)
    assert codec.sides(10_000) == (100, 100)
    assert codec.sides(10_001) == (100, 101)  # 101 columns, and 100 rows hold them all
    assert codec.sides(10_101) == (101, 101)
    assert codec.init((64, 32, 3, 3), messages=2).kept["q"].shape == (2, 288, 4)


@pytest.mark.parametrize("shape", [(5000,), 16, (4, 4), (1, 5000)])
def test_powersgd_sends_as_it_is_what_is_no_matrix_or_would_not_shrink(shape):
    codec = parse("powersgd:4")
    n = shape if isinstance(shape, int) else int(np.prod(shape))
    x = np.random.default_rng(0).standard_normal((2, n), np.float32)
    code, state = codec.encode(x, codec.init(shape, messages=2))
    assert codec.round_bytes(shape) == (4 * n,)
    assert code.nbytes == 8 * n
    assert np.array_equal(codec.decode(code), x)
    assert state.step == 1


def test_ranks_that_start_alike_sum_to_a_projection_of_the_sum():
    codec = parse("powersgd:3")
    # Each rank's matrix has rank 1 and the sum has rank 3, which it takes.
    x = np.concatenate([low_rank(12, 20, 1, seed) for seed in range(3)])
    ranks = [codec.sum_rounds(x[k : k + 1], codec.init((12, 20), seed=9)) for k in range(3)]
    p = sum(next(rank) for rank in ranks)
    assert p.shape == (1, 12 * 3)
    q = sum(rank.send(p) for rank in ranks)
    assert q.shape == (1, 20 * 3)
    for rank in ranks:
        with pytest.raises(StopIteration) as end:
            rank.send(q)
        np.testing.assert_allclose(end.value.value.total[0], x.sum(axis=0), atol=1e-4)


def test_zeros_are_a_matrix_too():
    assert not through("powersgd:4", np.zeros((2, 1000), np.float32)).any()


# --- wrappers -------------------------------------------------------------------------------------------


def test_a_chain_encodes_the_floats_and_leaves_the_rest():
    x = floats([1, -127, 2, 63, 0])
    code = encode("chain(topk:0.4,int8)", x)
    numbers, scales, indices = code.parts
    assert numbers.view(np.int8).tolist() == [[-127, 63]]
    assert scales.tolist() == [[1]]
    assert indices.tolist() == [[1, 3]]
    assert code.nbytes == 2 + 4 + 8 == parse("chain(topk:0.4,int8)").wire_bytes(5)
    assert parse("chain(topk:0.4,int8)").decode(code).tolist() == [[0, -127, 0, 63, 0]]


@pytest.mark.parametrize(
    ("spec", "combine", "rounds"),
    [
        ("chain(topk:0.1,fp16)", "sparsifier", 1), ("chain(randomk:0.1,fp16)", "linear", 1),
        ("chain(randomk:0.1,int8)", "sparsifier", 1), ("chain(powersgd:2,bf16)", "linear", 2),
        ("error_feedback(int8)", "quantiser", 1), ("error_feedback(powersgd:2)", "linear", 2),
    ],
)  # fmt: skip
def test_how_wrapped_codes_combine(spec, combine, rounds):
    assert (parse(spec).combine, parse(spec).rounds) == (combine, rounds)


def test_a_chain_with_powersgd_halves_both_rounds():
    n = 10_000
    assert parse("chain(powersgd:4,fp16)").round_bytes(n) == tuple(
        size // 2 for size in parse("powersgd:4").round_bytes(n)
    )


def test_error_feedback_by_hand():
    codec = parse("error_feedback(topk:0.3)")
    code, state = codec.encode(floats([3, 2, 1]), codec.init(3))
    assert codec.decode(code).tolist() == [[3, 0, 0]]
    assert state.kept["residual"].tolist() == [[0, 2, 1]]
    code, state = codec.encode(floats([3, 2, 1]), state)
    assert codec.decode(code).tolist() == [[0, 4, 0]]
    assert state.kept["residual"].tolist() == [[3, 0, 2]]
    assert state.step == state.inner[0].step == 2


def test_costs_of_wrappers_are_those_of_what_they_wrap_and_their_own():
    plain = parse("topk:0.01").cost
    assert parse("error_feedback(topk:0.01)").cost.encode == Passes(plain.encode.raw + 2, plain.encode.code)
    assert parse("error_feedback(topk:0.01)").cost.add == plain.add
    # With fp16 a code has 6 bytes instead of 8; its 4 bytes of floats are read and 2 of halves written.
    chain = parse("chain(topk:0.01,fp16)").cost
    assert chain.encode.raw == plain.encode.raw
    assert chain.encode.code == pytest.approx((8 * plain.encode.code + 4 + 2) / 6)
    assert chain.decode.code == pytest.approx((8 * plain.decode.code + 4 + 2) / 6)


def test_what_is_known_is_not_on_the_wire():
    assert Code(4, (np.zeros((2, 3), np.float32),), known=(1, 2, 3)).nbytes == 24


# --- against the papers ---------------------------------------------------------------------------------

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def scripts():
    """Load the scripts as Python does when one is run: with their own folder first on the path."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield {name: importlib.import_module(name) for name in ("codec_table", "codec_speed")}
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in ("codec_table", "codec_speed"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("spec", "percent", "off"),
    [
        ("topk:0.0039", 0.78, 0.005), ("topk:0.0156", 3.12, 0.005),
        ("powersgd:2", 0.74, 0.005), ("powersgd:7", 2.36, 0.005),
        ("sign", 3.12, 0.06),  # our scales, four bytes for 2,048 bits
    ],
)  # fmt: skip
def test_volumes_on_resnet_18_are_the_published_ones(scripts, spec, percent, off):
    (row,) = [row for row in scripts["codec_table"].sizes() if row["codec"] == parse(spec).spec]
    assert row["elements"] == 11_173_962
    assert 100 / row["ratio"] == pytest.approx(percent, abs=off)


@pytest.mark.parametrize("name", ["codec_table", "codec_speed"])
def test_the_benchmarks_run_and_their_tables_are_of_these_codecs(scripts, name, tmp_path):
    result = CliRunner().invoke(scripts[name].main, ["--quick", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output

    def read(folder: Path) -> list[dict[str, str]]:
        with (folder / f"{name}.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    kept, now = read(BENCHMARKS / "results"), read(tmp_path)
    assert list(kept[0]) == list(now[0])
    column = {"codec_table": "codec", "codec_speed": "what"}[name]
    assert [row[column] for row in kept] == [row[column] for row in now]


def test_the_kept_table_is_what_the_codecs_make(scripts):
    """Errors of normal vectors, encoded again."""
    table = scripts["codec_table"]
    with (BENCHMARKS / "results" / "codec_table.csv").open(encoding="utf-8") as file:
        rows = {(row["codec"], row["values"]): row for row in csv.DictReader(file)}
    x = table.vectors(1024)["student-t3"]
    for spec in ("int8", "sign", "topk:0.01", "chain(topk:0.01,int8)"):
        codec = parse(spec)
        code = encode(spec, x)
        row = rows[codec.spec, "student-t3"]
        assert int(row["wire_bytes"]) == code.nbytes
        assert float(row["error"]) == pytest.approx(table.error(x, codec.decode(code)), rel=1e-3)
