"""Codecs that somebody else wrote: found by their module, used like any other, refused in words."""

from pathlib import Path

import pytest

import ringsim
from ringsim.codecs import CodecError, foreign, parse
from ringsim.engines import run
from ringsim.question import Question
from ringsim.study import answer
from ringsim.tune.store import Store
from ringsim.tune.table import tune

MODULE = '''
from ringsim.codecs import Code, Codec, Cost, Passes, elements
import numpy as np

class Rounded(Codec):
    """Whole multiples of a step, as int16."""
    combine = "quantiser"
    cost = Cost(Passes(1, 1), Passes(1, 1), Passes(2, 1))

    def __init__(self, step="0.001"):
        self.step = float(step)

    @property
    def spec(self):
        return "mine_of_theirs:Rounded" + ("" if self.step == 0.001 else f":{self.step}")

    def encode(self, x, state):
        return Code(x.shape[1], (np.rint(x / np.float32(self.step)).astype(np.int16),)), state.after()

    def decode(self, code):
        return code.parts[0].astype(np.float32) * np.float32(self.step)

    def wire_bytes(self, shape):
        return 2 * elements(shape)

def other():
    return Rounded()

def broken(number):
    raise ValueError(f"{number} is too many")

def gone():
    raise SystemExit(3)

class Free(Rounded):
    cost = Cost(encode=Passes(1, 1))
    spec = "mine_of_theirs:Free"

class FreeList(Free):
    combine = "sparsifier"
    spec = "mine_of_theirs:FreeList"

text = str
'''


@pytest.fixture(autouse=True)
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_theirs.py").write_text(MODULE)
    (tmp_path / "broken_of_theirs.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_it_is_timed_and_summed_like_any_other() -> None:
    result = ringsim.run("hccs", 8, size="1M", compress="mine_of_theirs:Rounded:0.0001")
    assert (result.ratio, result.agree) == (2, True)
    assert result.error is not None
    assert 0 < result.error < 0.1
    assert parse(result.case.compress).spec == result.case.compress
    remembering = ringsim.run("hccs", 8, size="1M", compress="error_feedback(mine_of_theirs:Rounded:0.0001)")
    assert remembering.ratio == 2


@pytest.mark.parametrize("spec", ["mine_of_theirs:Free", "mine_of_theirs:FreeList"])
@pytest.mark.parametrize("algorithm", ["ring", "gather-ring"])
def test_where_decoding_is_free_the_last_chunk_is_copied_out(spec: str, algorithm: str) -> None:
    """As without a codec: rows that encode are finished with what they do."""
    question = Question("nvlink3", 8, size="64M", algorithm=algorithm, protocol="Simple", compress=spec)
    program = answer(question).program()
    assert program.closing is not None
    assert len(program.closing) == program.rows
    assert program.closing.max() > 0
    assert run(program).time == pytest.approx(run(program, "reference").time, rel=1e-9)


def test_answers_about_a_foreign_codec_are_not_kept(tmp_path: Path) -> None:
    """Under the same name it may be another one tomorrow."""
    assert [foreign(spec) for spec in ("int8", "chain(topk:0.01,int8:64)", "error_feedback(mine_of_theirs:Free)")] == [
        False, False, True,
    ]  # fmt: skip
    tune(
        Question("hccs", 4, size="1M", compress="mine_of_theirs:Rounded"),
        [2**20],
        among=("ring",),
        store=Store(tmp_path),
    )
    assert not list((tmp_path / "kept").glob("*"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("no.such.place:Rounded", "No module named"),
        ("mine_of_theirs:Missing", "mine_of_theirs has no Missing"),
        ("mine_of_theirs:", "write package.module:factory"),
        ("mine_of_theirs:broken:3", "3 is too many"),
        ("mine_of_theirs:Rounded:1:2", "positional argument"),
        ("mine_of_theirs:text:x", "makes a str, and a ringsim.codecs.Codec is needed"),
        ("mine_of_theirs:other", "by which it is found again"),
        ("intt8:256", "did you mean int8:256"),
        ("random:0.01", "did you mean randomk:0.01"),
        ("__main__:x", "there is no codec"),
        ("mine_of_theirs:gone", "SystemExit"),
        ("broken_of_theirs:x", "importing broken_of_theirs fails: RuntimeError: not today"),
    ],
)
def test_what_is_wrong_is_said(spec: str, said: str) -> None:
    with pytest.raises(CodecError, match=said):
        parse(spec)
