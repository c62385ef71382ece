"""Times of compressed all-reduces against sums that can be done by hand."""

import numpy as np
import pytest

import ringsim
from ringsim import fabric, topology
from ringsim.catalogue import find
from ringsim.codecs import Codec, CodecError, Cost, Passes, parse
from ringsim.compression import compressed, permitted, refusal
from ringsim.compression.growth import unions
from ringsim.engines import run
from ringsim.program import Program, price
from ringsim.question import Question, StudyError
from ringsim.study import answer
from ringsim.topology import Topology

SIZE = float(1 << 20)


class Made(Codec):
    """A codec of known bytes and costs; nothing here encodes."""

    spec, combine, cost, pieces = "made", "linear", Cost(), True

    def __init__(self, combine: str, code: float, pieces: bool = True, **passes: Passes) -> None:
        self.combine, self.code, self.cost, self.pieces = combine, code, Cost(**passes), pieces  # type: ignore[assignment]

    def encode(self, x, state):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def decode(self, code):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def wire_bytes(self, shape) -> int:  # type: ignore[no-untyped-def]
        return int(self.code)


@pytest.fixture(scope="module")
def four() -> Topology:
    return topology.build(fabric.load("hccs"), 4)


def laid(where: Topology, codec: Codec, name: str, chunks: int = 1) -> Program:
    schedule = find("all-reduce", name).build(where, 1, chunks)
    protocol = where.fabric.protocol("hccl", name)
    return compressed(schedule, where, protocol, codec, (int(SIZE / 4),), SIZE)


def plain(where: Topology, name: str, size: float) -> float:
    schedule = find("all-reduce", name).build(where, 1, 1)
    return run(price(schedule, where, where.fabric.protocol("hccl", name), size)).time


def seconds(where: Topology, bytes: float) -> float:
    return bytes / where.fabric.card.memory_bandwidth


def message(where: Topology, bytes: float) -> float:
    """One message over one lane, from its first byte to its arrival."""
    domain, protocol = where.fabric.domain, where.fabric.protocol("hccl")
    return bytes / (domain.lane_bandwidth * domain.efficiency) + domain.latency + protocol.step_scale_up


def test_a_linear_codec_of_whole_vectors_works_before_and_after(four: Topology) -> None:
    codec = Made("linear", SIZE / 8, pieces=False, encode=Passes(2, 1), decode=Passes(1, 3))
    expected = plain(four, "two-shot", SIZE / 8) + seconds(four, 3 * SIZE + 4 * SIZE / 8)
    assert run(laid(four, codec, "two-shot")).time == pytest.approx(expected, rel=1e-12)


def test_a_linear_codec_of_pieces_works_while_others_travel(four: Topology) -> None:
    whole, pieces = (
        Made("linear", SIZE / 2, pieces=p, encode=Passes(1, 1), decode=Passes(1, 1)) for p in (False, True)
    )
    for name, chunks in (("tree", 64), ("ring", 1)):
        slow, quick = (run(laid(four, codec, name, chunks)).time for codec in (whole, pieces))
        assert quick < slow, name
    # The same work is done: each rank encodes and decodes its vector once.
    for codec in (whole, pieces):
        load = laid(four, codec, "tree", 64).load()[-4:]
        assert load == pytest.approx(2 * (SIZE + SIZE / 2))


def test_rounds_are_calls_one_after_the_other(four: Topology) -> None:
    codec = parse("powersgd:4")
    first, second = codec.round_bytes(int(SIZE / 4))
    expected = plain(four, "ring", first) + plain(four, "ring", second)
    passes = [codec.cost.encode, codec.cost.between, codec.cost.decode]
    work = sum(seconds(four, one.raw * SIZE + one.code * (first + second)) for one in passes)
    assert run(laid(four, codec, "ring")).time == pytest.approx(expected + work, rel=1e-12)


def test_a_quantiser_in_two_steps(four: Topology) -> None:
    """Encode three quarters, send, add three codes at once, encode the sum, send it, decode what comes."""
    code = SIZE / 4
    codec = Made("quantiser", code, encode=Passes(1, 1), add=Passes(2, 1), decode=Passes(1, 1))
    expected = (
        four.fabric.protocol("hccl").startup
        + 0.75 * seconds(four, SIZE + code)
        + message(four, code / 4)
        + 0.75 * seconds(four, 2 * SIZE + code)
        + 0.25 * seconds(four, SIZE + code)
        + message(four, code / 4)
        + 0.75 * seconds(four, SIZE + code)
    )
    # While the sum is on its way its owner decodes it himself, which is over before the others' sums arrive.
    assert 0.25 * seconds(four, SIZE + code) < message(four, code / 4)
    for engine in ("compiled", "reference"):
        assert run(laid(four, codec, "two-shot"), engine).time == pytest.approx(expected, rel=1e-12)


def test_a_quantiser_around_a_ring(four: Topology) -> None:
    """A chunk is encoded, sent and added three times; its sum is encoded once and passed on as it is."""
    code = SIZE / 4
    codec = Made("quantiser", code, encode=Passes(1, 1), add=Passes(2, 1), decode=Passes(1, 1))
    encode, add = seconds(four, (SIZE + code) / 4), seconds(four, (2 * SIZE + code) / 4)
    startup, decode = four.fabric.protocol("hccl").startup, encode
    expected = startup + 4 * encode + 3 * add + 6 * message(four, code / 4) + decode
    for engine in ("compiled", "reference"):
        assert run(laid(four, codec, "ring"), engine).time == pytest.approx(expected, rel=1e-12)


def test_gathering_adds_every_code(four: Topology) -> None:
    """Encode, send to everybody; meanwhile write zeros and add one's own; then add three that come at once."""
    code = SIZE / 2
    codec = Made("quantiser", code, encode=Passes(1, 1), add=Passes(2, 1))
    on_the_way, meanwhile = message(four, code), seconds(four, SIZE + 2 * SIZE + code)
    assert meanwhile < on_the_way
    expected = (
        four.fabric.protocol("hccl").startup
        + seconds(four, SIZE + code)
        + on_the_way
        + 3 * seconds(four, 2 * SIZE + code)
    )
    assert run(laid(four, codec, "gather-direct")).time == pytest.approx(expected, rel=1e-12)


def test_sparse_sums_grow_as_counted() -> None:
    """Around a ring of two each sends half of his list, then half of the union."""
    where, codec = topology.build(fabric.load("hccs"), 2), parse("topk:0.05")
    program = laid(where, codec, "ring")
    union = unions(codec, 2)
    code = codec.wire_bytes(int(SIZE / 4))
    assert 1 < union[1] < 2
    assert program.wire_bytes == pytest.approx(2 * code * (0.5 + 0.5 * union[1]))


def test_merging_reads_both_lists_and_writes_their_union() -> None:
    """Each of two encodes his list, merges half of it with half of the other's, and decodes half a union at a time."""
    where, codec = topology.build(fabric.load("hccs"), 2), parse("topk:0.05")
    code, union = codec.wire_bytes(int(SIZE / 4)), unions(codec, 2)[1]
    encode, decode = codec.cost.encode, codec.cost.decode
    expected = (
        encode.raw * SIZE + encode.code * code
        + (1 + 1 + union) * code / 2
        + decode.raw * SIZE + decode.code * union * code
    )  # fmt: skip
    assert laid(where, codec, "ring").load()[-2:] == pytest.approx(expected, rel=1e-12)


def test_what_meets_at_one_place_is_merged_one_after_the_other(four: Topology) -> None:
    """In two steps the owner of a quarter gets three lists at once: the second meets a union of two, the third of three."""
    codec = parse("topk:0.05")
    code, known = codec.wire_bytes(int(SIZE / 4)), unions(codec, 4)
    encode, decode = codec.cost.encode, codec.cost.decode
    merging = sum(1 + known[k] + known[k + 1] for k in range(3)) * code / 4
    rest = encode.raw * SIZE + encode.code * code + decode.raw * SIZE + decode.code * known[3] * code
    assert laid(four, codec, "two-shot").load()[-4:] == pytest.approx(rest + merging, rel=1e-12)


def test_rounded_values_are_gathered_and_not_merged() -> None:
    for spec in ("chain(topk:0.01,int8)", "error_feedback(chain(topk:0.01,fp16))", "chain(randomk:0.01,int8)"):
        assert all(name.startswith("gather-") for name in permitted(parse(spec))), spec
        with pytest.raises(StudyError, match="are rounded, and their sums would have to be rounded again"):
            answer(Question("hccs", 8, size="1M", algorithm="ring", compress=spec))
    assert "ring" in permitted(parse("chain(randomk:0.01,fp16)")), "the same places on every rank, added as they are"


def test_one_scale_for_the_vector_is_found_before_anything_is_sent(four: Topology) -> None:
    """TernGrad with one scale reads all of the vector first; with buckets a quarter is enough to begin."""
    first, later = (run(laid(four, parse(spec), "ring")).time for spec in ("terngrad:512", "terngrad"))
    assert later - first > 0.75 * seconds(four, SIZE)


@pytest.mark.parametrize(("dtype", "width"), [("float", 4), ("bfloat16", 2), ("half", 2)])
def test_what_a_code_holds_of_the_vector_has_the_type_of_the_vector(dtype: str, width: int) -> None:
    """Values that are kept, factors, and the vector itself; indices, scales and numbers of a few bits stay."""
    n = 1 << 16
    expected = {
        "identity": width * n, "topk:0.25": (width + 4) * n // 4, "randomk:0.25": width * n // 4,
        "powersgd:2": width * 2 * (256 + 256), "dgc:0.25": (width + 4) * n // 4, "int8": n + n // 64, "fp16": 2 * n,
        "chain(topk:0.25,fp16)": 6 * n // 4, "chain(powersgd:2,fp16)": 2 * 2 * (256 + 256),
        "error_feedback(topk:0.25)": (width + 4) * n // 4,
    }  # fmt: skip
    for spec, code in expected.items():
        result = ringsim.run("hccs", 8, size=width * n, dtype=dtype, compress=spec)
        assert result.code_bytes == code, spec


@pytest.mark.parametrize("fabric", ["hccs", "nvlink3", "nvlink4"])
@pytest.mark.parametrize("dtype", ["float", "bfloat16"])
@pytest.mark.parametrize("algorithm", ["auto", "ring", "tree"])
def test_a_codec_that_changes_nothing_costs_nothing(fabric: str, dtype: str, algorithm: str) -> None:
    """To the last bit, also where a library copies the last chunk out of a buffer: nobody decodes it then."""
    for size in ("64K", "64M"):
        plain, same = (
            ringsim.run(fabric, 16, size=size, dtype=dtype, algorithm=algorithm, compress=spec)
            for spec in ("none", "identity")
        )
        assert (same.time_us, same.case.protocol) == (plain.time_us, plain.case.protocol)


def test_codes_are_cut_into_as_many_pieces_as_vectors_of_their_size() -> None:
    """A code of few bytes in the chunks of the vector that it stands for would be all steps and no bytes."""

    def pieces(size: int, **how: str) -> int:
        return ringsim.run("hccs", 64, size=size, algorithm="tree", **how).case.pieces

    assert pieces(64 << 20, compress="randomk:0.015625") == pieces(1 << 20) < pieces(64 << 20)


def test_short_vectors_are_summed_whole_and_long_ones_by_a_sample_that_does_not_depend_on_the_algorithm() -> None:
    from ringsim.fidelity import LONGEST

    for algorithm in ("ring", "tree", "two-shot", "gather-ring"):
        long = ringsim.run("hccs", 8, size=64 << 20, algorithm=algorithm, compress="int8")
        short = ringsim.run("hccs", 8, size=4000, algorithm=algorithm, compress="int8")
        assert (long.error_elements, short.error_elements) == (LONGEST, 1000)
    # A low rank fits a part better than the whole, so a part says nothing.
    assert ringsim.run("hccs", 8, size=64 << 20, compress="powersgd:4").error is None
    assert ringsim.run("hccs", 8, size=4 * LONGEST, compress="powersgd:4").error_elements == LONGEST


def test_unions_are_real() -> None:
    """More than one list and fewer than all of them, ever slower, and never more than there is."""
    for spec in ("topk:0.01", "error_feedback(topk:0.05)", "threshold:3"):
        found = np.array(unions(parse(spec), 64))
        assert found[0] == pytest.approx(1, abs=0.3), spec
        steps = np.diff(found)
        assert (steps >= 0).all()
        assert steps[:8].mean() > steps[-8:].mean(), spec
        assert found[-1] < 64
    assert unions(parse("topk:0.05"), 64)[-1] <= 20


def test_a_switch_adds_numbers_and_no_codes() -> None:
    nvls = topology.build(fabric.load("nvlink4"), 8)
    for spec, right in (("fp16", True), ("powersgd:4", True), ("int8", False), ("topk:0.01", False)):
        assert ("in-switch" in permitted(parse(spec))) is right
        question = Question("nvlink4", 8, size="1M", algorithm="in-switch", compress=spec)
        if right:
            assert answer(question).best.time_us
        else:
            with pytest.raises(StudyError, match="a switch adds numbers and cannot decode"):
                answer(question)
    assert nvls.scale_up_reduces


def test_codes_that_add_up_are_not_gathered() -> None:
    assert not [name for name in permitted(parse("fp16")) if name.startswith("gather")]
    assert "nothing needs to be gathered" in refusal(parse("fp16"), find("all-reduce", "gather-ring"), "gather-ring")
    with pytest.raises(StudyError, match="nothing needs to be gathered"):
        answer(Question("hccs", 8, size="1M", algorithm="gather-ring", compress="fp16"))
    with pytest.raises(StudyError, match="no codes to gather"):
        answer(Question("hccs", 8, size="1M", algorithm="gather-ring"))


def test_sums_that_grow_in_too_many_steps_are_refused(monkeypatch: pytest.MonkeyPatch, four: Topology) -> None:
    monkeypatch.setattr("ringsim.compression.MOST_GROWING", 10)
    with pytest.raises(CodecError, match="gather-ring gathers codes instead"):
        laid(four, parse("topk:0.01"), "ring")


def test_a_faster_memory_helps_and_a_slower_one_hurts() -> None:
    times = [
        ringsim.run("hccs", 64, size="64M", compress="int8", changes=[f"card.memory_bandwidth={rate}TB/s"]).time_us
        for rate in (0.5, 1, 4, 1000)
    ]
    assert times == sorted(times, reverse=True)
    free = ringsim.run("hccs", 64, size=round((64 << 20) * 65 / 256), algorithm="tree", chunks=64).time_us
    exact = ringsim.run(
        "hccs", 64, size="64M", algorithm="tree", chunks=64, compress="int8", changes=["card.memory_bandwidth=1e6TB/s"]
    ).time_us
    assert exact == pytest.approx(free, rel=1e-4), "with a memory that takes no time only the bytes count"


def test_results_say_what_the_codec_did() -> None:
    result = ringsim.run("hccs", 16, size="4M", compress="int8")
    assert result.case.compress == "int8:256"
    assert result.ratio == pytest.approx(256 / 65)
    assert result.code_bytes == parse("int8").wire_bytes(1 << 20)
    assert result.codec_us > 0
    assert result.agree is True
    assert result.error is not None
    assert 0.001 < result.error < 0.1
    assert ringsim.run("hccs", 16, size="4M").ratio == 1


def test_no_result_of_an_uncompressed_case_changes_its_name() -> None:
    """Rows of older tables are found again."""
    one = ringsim.run("hccs", 8, size="1M").case
    assert one.compress == ""
    assert ringsim.run("hccs", 8, size="1M", compress="none").case.id() == one.id()
    assert ringsim.run("hccs", 8, size="1M", compress="fp16").case.id() != one.id()


def test_models_are_all_their_tensors() -> None:
    result = ringsim.run("hccs", 64, model="resnet-50", dtype="bfloat16", compress="powersgd:4")
    assert result.case.count == 25_557_032
    assert result.case.bytes == 2 * 25_557_032
    square = ringsim.run("hccs", 64, size=2 * 25_557_032, dtype="bfloat16", compress="powersgd:4")
    assert result.code_bytes > 5 * square.code_bytes, "many small tensors are harder to compress than one large square"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compress": "int9"}, "there is no codec"),
        ({"compress": "topk"}, "topk:DENSITY"),
        ({"compress": "int8", "collective": "all-gather"}, "for an all-reduce"),
        ({"compress": "int8", "dtype": "int32"}, "one of half, bfloat16, float"),
        ({"model": "gpt-9"}, "one of"),
    ],
)
def test_what_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        ringsim.run("hccs", 8, **options)


def test_a_gap_longer_than_the_way_does_not_delay_what_is_larger_than_it() -> None:
    """Grown codes fill the gap between messages themselves, and then arrive as late as their way is long."""
    times = []
    for gap in ("0us", "12us"):
        changes = [f"protocol.hccl.message_gap={gap}"]
        found = ringsim.run("hccs", 16, size="64M", compress="topk:0.1", algorithm="ring", rings=1, changes=changes)
        times.append(found.time_us)
    assert times[0] == times[1]


def test_a_threshold_that_nothing_reaches_is_no_error() -> None:
    assert ringsim.run("hccs", 4, size="1M", compress="threshold:1e30").time_us
