"""Codecs that somebody else wrote: found by their module, used like any other, refused in words."""

from pathlib import Path

import pytest

import ringsim
from ringsim.codecs import CodecError, parse

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

text = str
'''


@pytest.fixture(autouse=True)
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_theirs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_it_is_timed_and_summed_like_any_other() -> None:
    result = ringsim.run("hccs", 8, size="1M", compress="mine_of_theirs:Rounded:0.0001")
    assert (result.ratio, result.agree) == (2, True)
    assert result.error is not None
    assert 0 < result.error < 0.1
    assert parse(result.case.compress).spec == result.case.compress
    remembering = ringsim.run("hccs", 8, size="1M", compress="error_feedback(mine_of_theirs:Rounded:0.0001)")
    assert remembering.ratio == 2


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
    ],
)
def test_what_is_wrong_is_said(spec: str, said: str) -> None:
    with pytest.raises(CodecError, match=said):
        parse(spec)
