"""MSCCL's XML: what is written does on gpus what the schedule does and takes as long, and what others wrote is read.

The judge is a small interpreter of the XML itself, below. It knows nothing of schedules: thread blocks go on whenever they
can, in random order, and connections hold as many messages as they have slots.
"""

import random
import re
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laws.clusters import KINDS, cluster
from ringsim.cli import main
from ringsim.collectives import COLLECTIVES, CollectiveError
from ringsim.collectives.sketch import Sketch
from ringsim.engines import run
from ringsim.formats import load_schedule_file, msccl
from ringsim.formats.msccl.formula import formula
from ringsim.formats.msccl.lowering import lower
from ringsim.formats.msccl.printing import print_xml
from ringsim.program import price
from ringsim.schedule import Schedule
from ringsim.schedule_file import ScheduleFileError, save
from ringsim.topology import Topology
from ringsim.values import ValuesError, prove

SAMPLES = sorted((Path(__file__).parents[2] / "shared/samples/msccl_xml").glob("*.xml"))
samples = pytest.mark.parametrize("path", SAMPLES or [None], ids=lambda path: path.stem if path else "none")

ALL_REDUCES = {name: how for name, how in COLLECTIVES["all-reduce"].items() if not how.adds_in_switch}


@pytest.fixture(autouse=True)
def _samples_are_there(request: pytest.FixtureRequest) -> None:
    if "path" in request.fixturenames and not SAMPLES:
        pytest.skip("no samples on this machine")


# --- a machine that runs the XML ----------------------------------------------------------------------------


class WrongError(AssertionError):
    """Somebody ends with something else, or uses what was never there."""


class StandsStillError(AssertionError):
    """Nobody can go on."""


class Machine:
    """Runs a file once. A value is a count of contributions: of which gpu, and of which of its chunks."""

    def __init__(self, root: ET.Element, *, depth: int, seed: int, in_place: bool) -> None:
        self.random, self.depth, self.in_place = random.Random(seed), depth, in_place
        self.collective, self.chunks = root.attrib["coll"], int(root.attrib["nchunksperloop"])
        self.gpus = {int(gpu.attrib["id"]): gpu for gpu in root}
        self.each = self.chunks // len(self.gpus)
        self.memory = {gpu: self._memory(gpu, int(node.attrib["s_chunks"])) for gpu, node in self.gpus.items()}
        self.fifo: dict[tuple[int, int, int], deque[list[Any]]] = defaultdict(deque)
        self.finished: Counter[tuple[int, int]] = Counter()

    def _memory(self, gpu: int, scratch: int) -> dict[str, list[Any]]:
        mine = [Counter({(gpu, chunk): 1}) for chunk in range(self.chunks)]
        nothing: list[Any] = [None] * self.chunks
        here = slice(gpu * self.each, (gpu + 1) * self.each)
        if self.collective == "allgather":
            whole = [value if here.start <= i < here.stop else None for i, value in enumerate(mine)]
            memory = {"i": mine[: self.each], "o": whole if self.in_place else nothing}
            # Chunk 0 of a gpu's input is what stands at its place of the output.
            memory["i"] = mine[here]
        elif self.in_place:
            memory = {"i": mine, "o": mine}
        else:
            memory = {"i": mine, "o": nothing}
        return memory | {"s": [None] * scratch}

    def run(self) -> None:
        """Let all blocks run, and look at what everybody ends with."""
        blocks = {
            (gpu, int(block.attrib["id"])): self._block(gpu, block) for gpu, node in self.gpus.items() for block in node
        }
        ready, waiting = list(blocks), defaultdict[Any, list[Any]](list)
        while ready:
            nth = self.random.randrange(len(ready))
            ready[nth], ready[-1] = ready[-1], ready[nth]
            which = ready.pop()
            for kind, key in blocks[which]:
                if kind == "waits":
                    waiting[key].append(which)
                    break
                ready += waiting.pop(key, [])
                if kind == "goes on":
                    ready.append(which)
                    break
        if waiting:
            raise StandsStillError(dict(waiting))
        for gpu in self.gpus:
            self._check(gpu)

    def _block(self, gpu: int, block: ET.Element) -> Iterator[tuple[str, Any]]:
        """Step after step; yields what it waits for, and what others may have waited for."""
        me, channel = (gpu, int(block.attrib["id"])), int(block.attrib["chan"])
        come = (int(block.attrib["recv"]), gpu, channel)
        out = (gpu, int(block.attrib["send"]), channel)
        for number, step in enumerate(block):
            said = step.attrib
            other = (gpu, int(said["depid"]))
            while other[1] >= 0 and self.finished[other] <= int(said["deps"]):
                yield "waits", ("step", other)
            kind, many = said["type"], int(said["cnt"])
            value: list[Any] = []
            if kind.startswith("r") and kind != "re":
                while not self.fifo[come]:
                    yield "waits", ("message", come)
                value = self.fifo[come].popleft()
                yield "frees", ("slot", come)
                assert len(value) == many
            # Reading, adding and storing take time, and others are at work meanwhile.
            yield "goes on", None
            if kind in ("s", "re", "cpy", "rrc", "rrs", "rrcs"):
                own = self._read(gpu, said["srcbuf"], int(said["srcoff"]), many)
                value = [a + b for a, b in zip(own, value, strict=True)] if value else own
            if kind == "re":
                there = self._read(gpu, said["dstbuf"], int(said["dstoff"]), many)
                value = [a + b for a, b in zip(value, there, strict=True)]
            yield "goes on", None
            if kind in ("r", "rcs", "rrc", "rrcs", "re", "cpy"):
                start = int(said["dstoff"])
                self.memory[gpu][said["dstbuf"]][start : start + many] = value
            if kind in ("s", "rcs", "rrs", "rrcs"):
                while len(self.fifo[out]) >= self.depth:
                    yield "waits", ("slot", out)
                self.fifo[out].append(value)
                yield "frees", ("message", out)
            self.finished[me] = number + 1
            yield "frees", ("step", me)

    def _read(self, gpu: int, buffer: str, start: int, many: int) -> list[Any]:
        found = self.memory[gpu][buffer][start : start + many]
        if len(found) < many or None in found:
            raise WrongError(f"gpu {gpu} reads {buffer}[{start}], which nobody has written")
        return found

    def _check(self, gpu: int) -> None:
        ranks, each = range(len(self.gpus)), self.each
        buffer = self.memory[gpu]["o"]
        if self.collective == "alltoall":
            right = [Counter({(rank, gpu * each + k): 1}) for rank in ranks for k in range(each)]
        elif self.collective == "allgather":
            right = [Counter({(rank, rank * each + k): 1}) for rank in ranks for k in range(each)]
        else:
            right = [Counter({(rank, chunk): 1 for rank in ranks}) for chunk in range(self.chunks)]
        if self.collective == "reducescatter":
            here = slice(gpu * each, (gpu + 1) * each)
            right, buffer = right[here], buffer[here] if self.in_place else buffer[:each]
        for chunk, (is_, ought) in enumerate(zip(buffer, right, strict=True)):
            if is_ != ought:
                raise WrongError(f"gpu {gpu} ends with {is_} in chunk {chunk}")


def play(path: Path, *, depth: int = 8, seeds: range = range(2)) -> None:
    """Run a file several times, in place and out of place as it says it may be."""
    root = ET.parse(path).getroot()
    modes = [place for place, key in ((True, "inplace"), (False, "outofplace")) if root.attrib[key] == "1"]
    assert modes
    for seed in seeds:
        for in_place in modes:
            Machine(root, depth=depth, seed=seed, in_place=in_place).run()


# --- what others wrote --------------------------------------------------------------------------------------


@samples
def test_samples_run_and_are_proved(path: Path) -> None:
    play(path, depth=1)
    algo = msccl.read(path)
    found = msccl.prove(algo)
    assert found.pairs is not None
    assert found.fifo.smallest == 1
    assert algo.limits() == []


@samples
def test_samples_become_schedules(path: Path) -> None:
    found = load_schedule_file(path)
    proof = prove(found)
    kinds = Counter(step.attrib["type"] for step in ET.parse(path).getroot().iter("step"))
    sends = kinds["s"] + kinds["rcs"] + kinds["rrs"] + kinds["rrcs"]
    moves = int(found.count[~found.joins].sum())
    # A message that several blocks add from is as many messages here.
    assert moves == sends if kinds["re"] <= sends else moves > sends
    assert proof.firings == found.transfers


@samples
def test_samples_survive_writing(path: Path, tmp_path: Path) -> None:
    algo = msccl.read(path)
    (tmp_path / "again.xml").write_text("".join(print_xml(algo)), "utf-8")
    assert msccl.read(tmp_path / "again.xml") == algo


# --- what we write ------------------------------------------------------------------------------------------


def laid(
    kind: str, cards: int, name: str, pieces: int = 2, collective: str = "all-reduce"
) -> tuple[Topology, Schedule]:
    """An algorithm on a cluster, or a skip where the cluster has no room for it."""
    where, how = cluster(kind, cards), COLLECTIVES[collective][name]
    return where, how.build(where, how.channels(where), pieces)


def written(schedule: Schedule, path: Path) -> msccl.Algo:
    msccl.write(schedule, path, name="ours", proto="LL", min_bytes=8, max_bytes=1 << 30)
    return msccl.read(path)


def seconds(schedule: Schedule, where: Topology, collective: str, name: str) -> float:
    protocol = where.fabric.protocol(list(where.fabric.protocols)[-1], name)
    program = price(schedule, where, protocol, 1e5, allotted=COLLECTIVES[collective][name].allotted)
    return run(program).time


#: Every number of cards on a mesh and on the narrowest cluster, every third on each other kind, and some larger ones.
WHERE = [
    *(
        (kind, cards)
        for cards in range(2, 9)
        for n, kind in enumerate(KINDS)
        if kind in ("mesh", "narrow") or (n + cards) % 3 == 0
    ),
    *((kind, 16) for kind in ("narrow", "torus-node")),
]


@pytest.mark.parametrize(("kind", "cards"), [case for case in WHERE if case[0] != "torus-node" or case[1] % 8 == 0])
def test_a_round_trip_is_right_and_takes_no_other_time(kind: str, cards: int) -> None:
    for name in ALL_REDUCES:
        try:
            where, schedule = laid(kind, cards, name, 3 if cards in (3, 6) else 2 if cards <= 8 else 1)
        except CollectiveError:
            continue
        algo = lower(schedule, name, "LL", (0, 0))
        back = msccl.to_schedule(algo)
        prove(back)
        assert msccl.prove(algo).pairs is not None
        first, second = (seconds(each, where, "all-reduce", name) for each in (schedule, back))
        assert second == pytest.approx(first, rel=1e-9, abs=0), f"{name} on {cards} cards of {kind}"


@pytest.mark.parametrize(
    ("kind", "cards"), [("mesh", 2), ("mesh", 4), ("narrow", 3), ("narrow", 8), ("dragonfly", 5), ("dragonfly", 7)]
)
def test_what_is_written_runs(kind: str, cards: int, tmp_path: Path) -> None:
    for name in ALL_REDUCES:
        try:
            _, schedule = laid(kind, cards, name)
        except CollectiveError:
            continue
        path = tmp_path / f"{name}.xml"
        algo = written(schedule, path)
        assert (algo.protocol, algo.min_bytes, algo.max_bytes, algo.collective) == ("LL", 8, 1 << 30, "allreduce")
        fewest = msccl.prove(algo).fifo.smallest
        play(path, depth=fewest)
        if fewest > 1:
            with pytest.raises(StandsStillError):
                play(path, depth=fewest - 1, seeds=range(1))


@pytest.mark.parametrize("collective", ["all-gather", "reduce-scatter"])
@pytest.mark.parametrize(("kind", "cards"), [("mesh", 4), ("narrow", 8), ("switch", 6), ("dual-plane", 8)])
def test_halves_run_and_take_no_other_time(kind: str, cards: int, collective: str, tmp_path: Path) -> None:
    done = 0
    for name in COLLECTIVES[collective]:
        try:
            where, schedule = laid(kind, cards, name, 2, collective)
        except CollectiveError:
            continue
        algo = written(schedule, tmp_path / f"{name}.xml")
        play(tmp_path / f"{name}.xml")
        back = msccl.to_schedule(algo)
        prove(back)
        first, second = (seconds(each, where, collective, name) for each in (schedule, back))
        assert second == pytest.approx(first, rel=1e-9, abs=0), name
        done += 1
    assert done >= 5


def test_a_ring_comes_back_as_its_rows(tmp_path: Path) -> None:
    where, schedule = laid("mesh", 8, "ring")
    back = msccl.to_schedule(written(schedule, tmp_path / "ring.xml"))
    assert (back.rows, back.units, back.channels) == (schedule.rows, schedule.units, schedule.channels) == (56, 112, 7)
    order = np.lexsort((schedule.target, schedule.source, schedule.channel))
    again = np.lexsort((back.target, back.source, back.channel))
    for column in ("source", "target", "channel", "count", "reduces", "span", "inner"):
        assert (getattr(back, column)[again] == getattr(schedule, column)[order]).all(), column
    which, first = (
        each.carried(rows[[0, 0]], np.array([0, 27]))[1] for each, rows in ((schedule, order), (back, again))
    )
    assert (which == first).all()
    assert where.cards == 8


@given(st.data())
def test_a_formula_says_what_it_was_found_from(data: st.DataObject) -> None:
    """Rows of any schedule, and whatever else."""
    whole = st.integers(0, 5)
    modulus, inner, count = (data.draw(st.integers(1, most)) for most in (7, 3, 12))
    span = data.draw(st.integers(1, modulus))
    base, first, stride, pitch = (data.draw(whole) for _ in range(4))
    firing, nth = np.arange(count)[:, None], np.arange(span)
    blocks = (first + stride * (firing // inner) + pitch * nth) % modulus
    units = base + blocks * inner + firing % inner
    if data.draw(st.booleans()):  # something else
        units[data.draw(st.integers(0, count - 1))] += data.draw(whole)
    shape = tuple((units[0] - units[0, 0]).tolist())
    same = (units - units[:, :1] == units[0] - units[0, 0]).all()
    found = formula(units[:, 0], shape, int(units.max()) + 1) if same else None
    if found is not None:
        b, f, s, m, i, p = found
        assert (b + (f + s * (firing // i) + p * nth) % m * i + firing % i == units).all()
        assert 0 <= b <= int(units.max()) + 1 - m * i


def kinds(algo: msccl.Algo) -> Counter[str]:
    return Counter(step.kind for gpu in algo.gpus for block in gpu.blocks for step in block.steps)


def test_rings_are_fused_as_msccl_does_it(tmp_path: Path) -> None:
    _, schedule = laid("mesh", 8, "ring", 1)
    algo = written(schedule, tmp_path / "ring.xml")
    rings = 7 * 8
    assert kinds(algo) == {"s": rings, "rrs": 6 * rings, "rrcs": rings, "rcs": 6 * rings, "r": rings}
    assert all(len(gpu.blocks) == 7 and gpu.scratch == 0 for gpu in algo.gpus)


def test_who_meets_is_added_one_by_one(tmp_path: Path) -> None:
    _, schedule = laid("mesh", 4, "two-shot", 1)
    algo = written(schedule, tmp_path / "mesh.xml")
    found = kinds(algo)
    # Each owner gets three parts at once, and every card three sums.
    assert (found["re"], found["s"], found["r"]) == (4 * 3, 4 * 6, 4 * 6)
    assert all(gpu.scratch == 3 for gpu in algo.gpus)


def test_what_does_not_lie_together_is_packed(tmp_path: Path) -> None:
    _, schedule = laid("mesh", 8, "nhr", 1)
    algo = written(schedule, tmp_path / "nhr.xml")
    found = kinds(algo)
    moves = ~schedule.joins
    # A firing is a message, whatever it carries.
    assert found["s"] + found["rcs"] + found["rrs"] + found["rrcs"] == schedule.count[moves].sum()
    assert found["cpy"] > 0


def test_limits_are_told_and_exceeded_all_the_same(tmp_path: Path) -> None:
    _, schedule = laid("mesh", 16, "ring", 4)
    notes = msccl.write(schedule, tmp_path / "long.xml", name="long")
    assert notes == ["has 124 steps in a thread block; MSCCL's runtime takes at most 64"]
    assert msccl.read(tmp_path / "long.xml").limits() == notes


# --- what is wrong is found ---------------------------------------------------------------------------------


def broken(root: ET.Element, random_: random.Random) -> str:
    """Change one thing in a file."""
    steps = [step for step in root.iter("step") if step.attrib["type"] != "nop"]
    step = random_.choice(steps)
    waits = any(each.attrib["depid"] != "-1" for each in root.iter("step"))
    what = random_.choice(["late", "kind", "swap", *(["forget", "early"] if waits else [])])
    if what == "forget":
        step = random_.choice([each for each in root.iter("step") if each.attrib["depid"] != "-1"] or steps)
        step.attrib.update(depid="-1", deps="-1")
    elif what == "early":
        step = random_.choice([each for each in root.iter("step") if each.attrib["depid"] != "-1"] or steps)
        step.attrib["deps"] = str(max(int(step.attrib["deps"]) - 1, 0))
    elif what == "late":
        block = random_.choice([block for block in root.iter("tb") if len(block) > 1] or list(root.iter("tb")))
        block[-1].attrib.update(depid=block.attrib["id"], deps="0")
    elif what == "kind":
        other = {
            "r": "rrc",
            "rrc": "r",
            "rcs": "rrcs",
            "rrcs": "rrs",
            "rrs": "rrcs",
            "re": "cpy",
            "cpy": "re",
            "s": "s",
        }
        step.attrib["type"] = other[step.attrib["type"]]
    else:
        block = random_.choice([block for block in root.iter("tb") if len(block) > 1] or list(root.iter("tb")))
        nth = random_.randrange(max(len(block) - 1, 1))
        if len(block) > 1:
            block[nth], block[nth + 1] = block[nth + 1], block[nth]
        for number, each in enumerate(block):
            each.attrib["s"] = str(number)
    return what


@pytest.mark.parametrize(
    ("name", "cards"), [("ring", 3), ("tree", 4), ("two-shot", 3), ("recursive-doubling", 4), ("nb", 5)]
)
def test_what_is_proved_runs_on_any_timing(name: str, cards: int, tmp_path: Path) -> None:
    _, schedule = laid("switch", cards, name, 2)
    path = tmp_path / "broken.xml"
    verdicts: Counter[bool] = Counter()
    seen_wrong = 0
    written(schedule, path)
    good = path.read_text("utf-8")
    for seed in range(24):
        path.write_text(good, "utf-8")
        tree = ET.parse(path)
        broken(tree.getroot(), random.Random(f"{name} {seed}"))
        tree.write(path)
        try:
            fewest = msccl.prove(msccl.read(path)).fifo.smallest
        except ValuesError:
            verdicts[False] += 1
            try:
                play(path, seeds=range(6))
            except AssertionError:
                seen_wrong += 1
            continue
        verdicts[True] += 1
        play(path, depth=fewest, seeds=range(6))
    # Not everything that may go wrong does within six runs, but most of it.
    assert verdicts[False] >= 5
    assert seen_wrong >= verdicts[False] / 2


def document(*blocks: str, gpus: int = 2, chunks: int = 1, scratch: int = 0, **head: str) -> str:
    """A file with these blocks on each of the gpus; GPU and PEER stand for their numbers."""
    said = {"name": "x", "proto": "Simple", "nchannels": "4", "nchunksperloop": str(chunks), "ngpus": str(gpus)}
    said |= {"coll": "allreduce", "inplace": "1", "outofplace": "0", "minBytes": "0", "maxBytes": "0"} | head
    lines = ["<algo " + " ".join(f'{key}="{value}"' for key, value in said.items() if value != "-") + ">"]
    for gpu in range(gpus):
        lines.append(f'<gpu id="{gpu}" i_chunks="{chunks}" o_chunks="{chunks}" s_chunks="{scratch}">')
        lines += [block.replace("GPU", str(gpu)).replace("PEER", str(1 - gpu)) for block in blocks]
        lines.append("</gpu>")
    return "\n".join([*lines, "</algo>"])


def tb(number: int, *steps: str, send: str = "-1", receive: str = "-1", channel: int = 0) -> str:
    """A block; a step is ``kind source target`` and perhaps ``block.step`` for what it waits for."""
    lines = [f'<tb id="{number}" send="{send}" recv="{receive}" chan="{channel}">']
    for s, step in enumerate(steps):
        kind, source, target, *wait = step.split()
        block, _, other = (wait or ["-1.-1"])[0].partition(".")
        lines.append(
            f'<step s="{s}" type="{kind}" srcbuf="{source[0]}" srcoff="{source[1:]}" dstbuf="{target[0]}" '
            f'dstoff="{target[1:]}" cnt="1" depid="{block}" deps="{other}" hasdep="1"/>'
        )
    return "\n".join([*lines, "</tb>"])


SEND, TAKE = tb(0, "s i0 i0", send="PEER"), tb(1, "rrc i0 i0 0.0", receive="PEER")


def told(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.xml"
    path.write_text(text, "utf-8")
    return path


def test_two_gpus_that_swap(tmp_path: Path) -> None:
    path = told(tmp_path, document(SEND, TAKE))
    play(path)
    assert msccl.prove(msccl.read(path)).fifo.smallest == 1
    # The peer's chunk is read before it is added to, but a schedule has one event for both.
    assert load_schedule_file(path).transfers == 2


@pytest.mark.parametrize(
    ("blocks", "head", "message"),
    [
        (  # nothing says that it is sent before it is added to
            [SEND, tb(1, "rrc i0 i0", receive="PEER")], {},
            "gpu 0, unit 0: gpu 0, tb 0, step 0, which reads it, and gpu 0, tb 1, step 0, which overwrites it, "
            "meet there and nothing orders them",
        ),
        (  # stored nowhere
            [SEND, tb(1, "r i0 s0 0.0", receive="PEER")], {"scratch": 1},
            "gpu 0, unit 0: the contribution of gpu 1 is missing; nothing is ever sent there",
        ),
        (  # overwritten
            [SEND, tb(1, "r i0 i0 0.0", receive="PEER")], {},
            "gpu 0, unit 0: the contribution of gpu 0 is missing in what gpu 1, tb 0, step 0 copies",
        ),
        (  # two blocks add at once
            [
                SEND, tb(1, "rrc i0 i0 0.0", receive="PEER"), tb(2, "s i0 i0", send="PEER", channel=1),
                tb(3, "r i0 s0", "re s0 i0 2.0", receive="PEER", channel=1),
            ], {"scratch": 1},
            "gpu 0, unit 0: the contribution of gpu 1 is counted 2 times since gpu 0, tb 3, step 1 adds it again",
        ),
        ([SEND], {}, "gpu 0 sends 1 times to gpu 1 on channel 0, which receives 0 times"),
        (
            [tb(0, "s i0 i0 1.0", send="PEER"), tb(1, "rrc i0 i0 0.0", receive="PEER")], {},
            "gpu 0, tb 0, step 0 never happens: it waits in a circle for gpu 0, tb 1, step 0",
        ),
        (
            [tb(0, "s i0 i0", send="PEER"), tb(1, "rrc i1 i1 0.0", receive="PEER")], {"chunks": 2},
            "gpu 0, tb 1, step 0 adds unit 0 to unit 1",
        ),
        (
            [tb(0, "s i0 i0", send="PEER"), tb(1, "r i1 i1 0.0", receive="PEER")], {"chunks": 2},
            "gpu 0, tb 1, step 0 puts unit 0 where unit 1 belongs",
        ),
        (
            [SEND, tb(1, "r i0 s0", receive="PEER"), tb(2, "re s1 i0")], {"scratch": 2},
            "gpu 0, tb 2, step 0 reads scratch chunk 1, into which nothing has been put",
        ),
        (  # out of place, and what lies in the output is not the input
            [tb(0, "s i0 i0", send="PEER"), tb(1, "rrc o0 o0", receive="PEER")], {"inplace": "0", "outofplace": "1"},
            "gpu 0, tb 1, step 0 reads chunk 0 of an output into which nothing has been put",
        ),
        (
            [tb(0, "s i0 i0", send="PEER"), tb(1, "r i0 o0", receive="PEER")], {"inplace": "0", "outofplace": "1"},
            "gpu 0, unit 0: the contribution of gpu 0 is missing in what gpu 1, tb 0, step 0 copies",
        ),
    ],
)  # fmt: skip
def test_wrong_files_are_told_why(blocks: list[str], head: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = told(tmp_path, document(*blocks, **head))
    # Both gpus do the same, and either may be named.
    either = re.escape(message).replace(re.escape("gpu 0"), "gpu [01]").replace(re.escape("gpu 1"), "gpu [01]")
    with pytest.raises(ValuesError, match=f"^{either}$"):
        msccl.prove(msccl.read(path))


def test_both_ways_of_placing_are_proved(tmp_path: Path) -> None:
    """Right in place, and out of place it forgets to put anything into the output."""
    blocks = [SEND, TAKE]
    path = told(tmp_path, document(*blocks, outofplace="1"))
    with pytest.raises(
        ValuesError, match=r"^gpu 0, unit 0: the contribution of gpu 0 is missing in what gpu 0, when all"
    ):
        msccl.prove(msccl.read(path))


def test_two_that_add_at_once_lose_a_sum(tmp_path: Path) -> None:
    """A schedule may have two REDUCEs meet, gpus must not."""
    text = ['<algo coll="allreduce" nchunksperloop="1">']
    for gpu in range(3):
        text.append(f'<gpu id="{gpu}" i_chunks="1">')
        others = [other for other in range(3) if other != gpu]
        for nth, other in enumerate(others):
            text.append(tb(nth, "s i0 i0", send=str(other)))
        for nth, other in enumerate(others):
            text.append(tb(2 + nth, "nop i0 o0 0.0", "rrc i0 i0 1.0", receive=str(other)))
        text.append("</gpu>")
    path = told(tmp_path, "\n".join([*text, "</algo>"]))
    with pytest.raises(ValuesError, match=r"^gpu 0, unit 0: the contribution of gpu \d is missing in what"):
        msccl.prove(msccl.read(path))


def test_a_receiver_that_comes_late_is_no_circle(tmp_path: Path) -> None:
    """Buffers let a message wait; as a handshake that would be a circle, so it is timed without."""
    first = tb(0, "s i0 i0", send="PEER")
    second = tb(1, "s i1 i1 0.0", send="PEER", channel=1)
    late = tb(2, "rrc i0 i0 3.0", receive="PEER")
    early = tb(3, "rrc i1 i1 1.0", receive="PEER", channel=1)
    path = told(tmp_path, document(first, second, late, early, chunks=2))
    play(path)
    assert msccl.prove(msccl.read(path)).pairs is not None
    assert load_schedule_file(path).transfers == 4
    assert run(price_bare(load_schedule_file(path))).time > 0


def price_bare(schedule: Schedule) -> Any:
    where = cluster("switch", schedule.ranks)
    return price(schedule, where, where.fabric.protocol("Simple", "ring"), 1e6)


# --- reading ------------------------------------------------------------------------------------------------


def test_what_older_tools_leave_out_is_worked_out(tmp_path: Path) -> None:
    missing = dict.fromkeys(
        ("ngpus", "inplace", "outofplace", "minBytes", "maxBytes", "nchannels", "proto", "name"), "-"
    )
    path = told(tmp_path, document(SEND, TAKE, **missing).replace(' cnt="1"', "").replace(' hasdep="1"', ""))
    algo = msccl.read(path)
    assert (algo.name, algo.protocol, algo.channels, algo.in_place, algo.out_of_place) == (
        "x",
        "Simple",
        1,
        True,
        False,
    )
    assert len(algo.gpus) == 2
    msccl.prove(algo)


GOOD = document(SEND, TAKE)
COLL = "coll = {!r}: ringsim reads allreduce, allgather, reducescatter and alltoall"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</algo>", "", "line 18, column 1: no element found; repair the XML there"),
        ("<algo ", "<!DOCTYPE algo><algo ", "line 1: has a DOCTYPE, which MSCCL files do not; leave it out"),
        ("<algo ", "<schedule ", "line 1: <schedule>: an MSCCL file is <algo>, <gpu>, <tb> and <step> inside each other"),
        ('type="s"', 'type="send"', "line 4: step: type = send: available: cpy, nop, r, rcs, re, rrc, rrcs, rrs, s"),
        ('srcbuf="i"', 'srcbuf="x"', "line 4: step: srcbuf = x: available: i, o, s"),
        ('srcoff="0"', 'srcoff="-1"', "line 4: step: srcoff = -1: write a whole number, at least 0"),
        ('srcoff="0"', 'srcoff="1"', "line 2: gpu 0, tb 0, step 0: srcoff = 1, cnt = 1: buffer i has 1 chunks"),
        ('cnt="1"', 'cnt="many"', "line 4: step: cnt = many: write a whole number, at least 1"),
        ('<step s="0"', '<step s="3"', "line 4: step: s = 3: the steps of a tb are numbered in order; write 0"),
        ('send="1"', 'send="-1"', 'line 3: tb: send = -1: has a step "s"; say which gpu'),
        ('send="1"', 'send="2"', "line 2: gpu 0, tb 0: send = 2: write another gpu, from 0 to 1, or -1 for none"),
        ('send="1"', 'send="0"', "line 2: gpu 0, tb 0: send = 0: write another gpu, from 0 to 1, or -1 for none"),
        ('<tb id="1"', '<tb id="0"', "line 6: tb: id = 0: there is one already on this gpu"),
        ('depid="0"', 'depid="7"', "line 2: gpu 0, tb 1, step 0: depid = 7: there is no such tb on this gpu"),
        ('deps="0"', 'deps="5"', "line 2: gpu 0, tb 1, step 0: deps = 5: tb 0 has steps 0 to 0"),
        ('ngpus="2"', 'ngpus="3"', "line 1: algo: ngpus = 3: there are 2 gpus; number them from 0 to 2"),
        ('<gpu id="1"', '<gpu id="0"', "line 10: gpu: id = 0: there is one already, on line 2"),
        ('proto="Simple"', 'proto="XY"', "line 1: algo: proto = XY: available: LL, LL128, Simple"),
        ('coll="allreduce"', 'coll="broadcast"', COLL.format("broadcast")),
        ('coll="allreduce"', 'coll="allgather"', "nchunksperloop = 1: allgather on 2 gpus; a multiple of 2 would do"),
        (
            '<tb id="1" send="-1" recv="1" chan="0">',
            '<tb id="1" send="-1" recv="1" chan="0"></tb><tb id="2" send="-1" recv="1" chan="0">',
            "line 2: gpu 0, tb 2: recv = 1: another tb does that on channel 0; "
            "give each a channel of its own, messages of one come in one order",
        ),
    ],
)  # fmt: skip
def test_files_that_cannot_be_right(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = told(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ScheduleFileError) as caught:
        load_schedule_file(path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_gpu_alone_has_nothing_to_do(tmp_path: Path) -> None:
    path = told(tmp_path, document(gpus=1))
    assert load_schedule_file(path).rows == 0
    assert msccl.prove(msccl.read(path)).pairs == 0
    with pytest.raises(
        ValuesError, match=r"^gpu 0, unit 0: the contribution of gpu 1 is missing; nothing is ever sent there$"
    ):
        msccl.prove(msccl.read(told(tmp_path, document())))


def test_files_that_are_out_of_all_reason(tmp_path: Path) -> None:
    for old, new, message in (
        ('nchunksperloop="1"', 'nchunksperloop="99999999"', "nchunksperloop = 99999999: at most 5,000,000 on 2 gpus"),
        ('cnt="1"', 'cnt="99999999"', "line 4: has more than 50,000,000 chunks in its steps; fewer"),
        ('i_chunks="1"', 'i_chunks="2"', "step 0 uses chunk 1 of i; by nchunksperloop there are not so many"),
    ):  # fmt: skip
        text = GOOD.replace(old, new, 1)
        text = text.replace('srcoff="0"', 'srcoff="1"', 1) if "i_chunks" in new else text
        with pytest.raises(ScheduleFileError) as caught:
            load_schedule_file(told(tmp_path, text))
        assert message in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    for path, wrong in ((tmp_path / "no.xml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ScheduleFileError, match=f"{wrong}; name an existing MSCCL XML file$"):
            msccl.read(path)


def test_what_ringsim_cannot_say_is_refused_with_the_step(tmp_path: Path) -> None:
    again = tb(1, "r i0 s0", "re s0 i0 0.0", "r i1 s0", "re s0 i1 0.1", receive="PEER")
    path = told(tmp_path, document(tb(0, "s i0 i0", "s i1 i1", send="PEER"), again, chunks=2, scratch=1))
    play(path)
    prove(load_schedule_file(path))  # for times it does not matter where things lie
    with pytest.raises(
        msccl.MscclError, match=r"^gpu [01], tb 1, step 2 puts unit 1 into scratch chunk 0, where unit 0 was"
    ):
        msccl.prove(msccl.read(path))


def test_one_function_reads_both(tmp_path: Path) -> None:
    _, schedule = laid("mesh", 4, "ring")
    save(schedule, tmp_path / "ring.json")
    written(schedule, tmp_path / "ring.XML")
    found = [load_schedule_file(tmp_path / name) for name in ("ring.json", "ring.XML")]
    assert [each.transfers for each in found] == [schedule.transfers] * 2
    with pytest.raises(
        ScheduleFileError, match=r"x\.xml: gpu 0 sends 1 times to gpu 1 on channel 0, which receives 0 times$"
    ):
        load_schedule_file(told(tmp_path, document(SEND)))


# --- what cannot be written ---------------------------------------------------------------------------------


def refused(schedule: Schedule, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(msccl.MscclError) as caught:
        msccl.write(schedule, tmp_path / "no.xml", name="no", **options)
    assert not (tmp_path / "no.xml").exists()
    return str(caught.value)


def test_what_msccl_cannot_say_is_refused(tmp_path: Path) -> None:
    _, in_switch = laid("switch", 4, "in-switch")
    assert refused(in_switch, tmp_path).startswith("the schedule adds in switches; MSCCL's steps run on gpus")
    for collective, name in (("broadcast", "ring"), ("all-to-all", "direct"), ("reduce", "tree")):
        _, schedule = laid("switch", 4, name, 2, collective)
        assert refused(schedule, tmp_path) == (
            "MSCCL files are written for all-reduce, all-gather and reduce-scatter; name one of these"
        )
    _, ring = laid("switch", 4, "ring")
    assert refused(ring, tmp_path, proto="ll").startswith("proto = 'll': did you mean 'LL'?")
    assert refused(ring, tmp_path, min_bytes=9, max_bytes=8).startswith("min_bytes = 9, max_bytes = 8: at least 0")
    long = replace(ring, count=ring.count * 10**6, reduces=ring.reduces)
    assert re.match(
        r"the file would have [\d,]+ steps, 1,000,000 are the most; use fewer cards", refused(long, tmp_path)
    )


def test_unequal_shares_are_refused(tmp_path: Path) -> None:
    owner = np.array([0, 0, 1])
    sketch = Sketch(2, 3, begins=owner)
    sketch.send(
        np.array([0, 1]), np.array([1, 0]), base=np.array([0, 2]), modulus=np.array([2, 1]), span=np.array([2, 1])
    )
    schedule = sketch.schedule()
    prove(schedule)
    assert refused(schedule, tmp_path).startswith("ranks own 1 to 2 units; MSCCL gives each the same")


def test_waits_of_others_are_refused(tmp_path: Path) -> None:
    """Rank 2 sends to rank 3, and neither can know when rank 1 has what rank 0 sent."""
    ranks = np.arange(4)
    sketch = Sketch(4, 4, begins=ranks)
    rows = sketch.send(ranks[:, None], ranks, base=ranks[:, None])
    sketch.wait(rows[2, 3], rows[0, 1])
    schedule = sketch.schedule()
    prove(schedule)
    last = refused(schedule, tmp_path)
    assert last == "row 8 waits for row 0, which neither end of it sends or is sent; MSCCL has no such wait"


def test_a_wrong_schedule_is_not_written(tmp_path: Path) -> None:
    _, ring = laid("switch", 4, "ring")
    wrong = replace(ring, reduces=ring.reduces - 1)
    with pytest.raises(ValuesError, match="missing"):
        msccl.write(wrong, tmp_path / "no.xml", name="no")
    assert not (tmp_path / "no.xml").exists()


# --- the command line ---------------------------------------------------------------------------------------


def verify(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["verify", *map(str, args)])
    return stop.value.code, *capsys.readouterr()


def test_verify_takes_xml(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = told(tmp_path, GOOD)
    code, out, err = verify(capsys, path)
    assert (code, err) == (0, "")
    assert out.splitlines()[:-1] == [
        str(path),
        "allreduce 4 thread blocks, 4 steps, 1 chunks",
        "values    right: each of 2 ranks ends with what it should, each contribution once",
        "timing    any: waits order all 10 pairs that disagree",
        "buffers   8 slots for each connection never stand still; 1 slot is enough",
        "right",
    ]
    code, out, _ = verify(capsys, told(tmp_path, document(SEND, tb(1, "rrc i0 i0", receive="PEER"))))
    assert code == 1
    assert "WRONG: gpu 1, unit 0: gpu 1, tb 0, step 0, which reads it, and gpu 1, tb 1, step 0," in out
    code, out, err = verify(capsys, told(tmp_path, GOOD.replace('type="s"', 'type="x"')))
    assert (code, out) == (3, "")
    assert "x.xml: line 4: step: type = x:" in err
    code, _, err = verify(capsys, told(tmp_path, GOOD.replace('coll="allreduce"', 'coll="gather"')))
    assert code == 3
    assert "x.xml: coll = 'gather': ringsim reads" in err


def test_what_the_page_shows_is_what_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[1] / "docs/schedule.md").read_text("utf-8")
    command, shown = re.search(
        r"```console\n\$ ringsim verify (.*?)\n```.*?```\n(mesh\.xml.*?)```", page, re.S
    ).groups()  # type: ignore[union-attr]
    monkeypatch.chdir(tmp_path)
    assert verify(capsys, *command.split())[0] == 0
    code, out, _ = verify(capsys, "mesh.xml")
    assert (code, out.splitlines()[:-1]) == (0, shown.splitlines()[:-1])


def test_verify_writes_xml_and_takes_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "ring.xml"
    args = ["--algorithm", "ring", "--fabric", "hccs", "--cards", "16", "--rings", "1", "--slices", "4"]
    code, out, err = verify(capsys, *args, "--save", path)
    assert code == 0
    assert out.startswith("all-reduce by ring")
    assert f"{path}: has 124 steps in a thread block; MSCCL's runtime takes at most 64" in err
    code, out, _ = verify(capsys, path, "--json")
    assert code == 0
    assert '"limits": [' in out
    code, out, _ = verify(capsys, path, "--depth", "2")
    assert code == 1
    assert "buffers   2 slots for each connection stand still; 4 slots would do" in out
    assert "runtime   has 124 steps in a thread block; MSCCL's runtime takes at most 64" in out
    code, _, err = verify(capsys, *args[:1], "in-switch", "--fabric", "nvlink4", "--cards", "8", "--save", path)
    assert code == 2
    assert f"save = {path}: the schedule adds in switches" in err
