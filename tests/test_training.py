"""Real workers, real codecs: gradients are right, ranks agree, and the known facts about compression show themselves."""

import math
import sys
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from ringsim.codecs import parse
from ringsim.training import RATES, TASKS, Adam, Epoch, Setup, Sgd, Step, Task, TrainingError, optimizer, train
from ringsim.training.net import Floats, Net, Tensors
from ringsim.training.optimizers import NAMES, one_bit, start
from ringsim.training.reducing import Compressed, plain, ratio, schedule

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def digits() -> dict[int, Task]:
    pytest.importorskip("sklearn")
    return {seed: TASKS["digits"](seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def steep() -> dict[int, Task]:
    return {seed: TASKS["ill-conditioned"](seed) for seed in SEEDS}


@cache
def run(task: Task, seed: int, name: str, spec: str, epochs: int, warm_up: int, through: str) -> tuple[Epoch, ...]:
    setup = Setup(
        optimizer(name, RATES[task.name, name], spec), epochs=epochs, warm_up=warm_up, through=through, seed=seed
    )
    return train(task, setup, None if spec == "none" else parse(spec))


def ends(
    tasks: dict[int, Task], name: str, spec: str, *, epochs: int = 10, warm_up: int = 0, through: str = "one-shot"
) -> list[Epoch]:
    """Last epoch of each seed, with the tuned rate."""
    return [run(task, seed, name, spec, epochs, warm_up, through)[-1] for seed, task in tasks.items()]


def losses(found: list[Epoch]) -> list[float]:
    return [epoch.loss for epoch in found]


# -- the parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", [Net((5, 7, 6, 3), "cross-entropy"), Net((5, 4, 1), "squares"), Net((5, 1), "squares")])
def test_gradients_are_the_slopes_of_the_loss(net: Net) -> None:
    rng = np.random.default_rng(1)
    weights = tuple(rng.standard_normal(shape) for shape in net.shapes)
    x = rng.standard_normal((2, 9, 5))
    y = rng.integers(0, 3, (2, 9)) if net.loss == "cross-entropy" else rng.standard_normal((2, 9))
    found = net.gradients(weights, x, y)
    assert [g.shape for g in found] == [(2, *shape) for shape in net.shapes]
    for k, weight in enumerate(weights):
        for place in list(np.ndindex(weight.shape))[::5]:
            sides = []
            for by in (1e-5, -1e-5):
                moved = weight.copy()
                moved[place] += by
                changed = (*weights[:k], moved, *weights[k + 1 :])
                sides.append([net.evaluate(changed, x[w], y[w])[0] for w in (0, 1)])
            slope = (np.array(sides[0]) - np.array(sides[1])) / 2e-5
            assert found[k][(slice(None), *place)] == pytest.approx(slope, abs=1e-7, rel=1e-5)


def test_the_mean_of_workers_gradients_is_the_gradient_of_all_their_examples(digits: dict[int, Task]) -> None:
    task = digits[0]
    weights = task.net.init(0)
    several = task.net.gradients(weights, task.x[:128].reshape(8, 16, -1), task.y[:128].reshape(8, 16))
    whole = task.net.gradients(weights, task.x[None, :128], task.y[None, :128])
    for mean, one in zip(plain(several), whole, strict=True):
        assert mean == pytest.approx(one[0], abs=1e-6)


def test_momentum_and_adam_step_as_their_papers_say() -> None:
    weights, gradient = (np.array([1.0], np.float32),), (np.array([0.5], np.float32),)
    memory = start(weights)
    sgd = Sgd(0.1, momentum=0.9)
    one, memory = sgd.update(weights, gradient, memory, compressed=False)
    two, _ = sgd.update(one, gradient, memory, compressed=False)
    assert one[0] == pytest.approx([1 - 0.05])
    assert two[0] == pytest.approx([1 - 0.05 - 0.1 * (0.9 * 0.5 + 0.5)])
    one, _ = Adam(0.1).update(weights, gradient, start(weights), compressed=False)
    assert one[0] == pytest.approx([0.9])  # the first step is the rate, whatever the gradient


def test_one_bit_adam_sends_momentum_and_keeps_the_second_moment() -> None:
    adam, weights = Adam(0.01, freeze=True), (np.zeros(3, np.float32),)
    _, memory = adam.update(weights, (np.ones(3, np.float32),), start(weights), compressed=False)
    mine = (np.full((2, 3), 2.0, np.float32),)
    assert adam.message(mine, memory, compressed=False) is mine
    sent = adam.message(mine, memory, compressed=True)
    assert sent[0] == pytest.approx(np.full((2, 3), 0.9 * 0.1 + 0.1 * 2))
    _, after = adam.update(weights, plain(sent), memory, compressed=True)
    assert (after.second[0] == memory.second[0]).all()
    assert (after.first[0] == plain(sent)[0]).all()


def test_the_ill_conditioned_problem_is_as_steep_as_it_says(steep: dict[int, Task]) -> None:
    task = steep[0]
    values = np.linalg.eigvalsh(task.x.T.astype(float) @ task.x / len(task.x))
    assert values[-1] / values[0] == pytest.approx(1e4, rel=0.5)
    with_bias = np.hstack([task.x, np.ones((len(task.x), 1))]).astype(float)
    best = np.linalg.lstsq(with_bias, task.y, rcond=None)[0]
    weights = (best[:-1, None].astype(np.float32), best[-1:].astype(np.float32))
    assert task.net.evaluate(weights, task.x, task.y)[0] == pytest.approx(task.floor, rel=1e-4)


@pytest.mark.parametrize("spec", ["identity", "int8", "topk:0.1", "powersgd:2", "error_feedback(topk:0.1)", "dgc:0.1"])
def test_codecs_go_through_the_schedule_with_a_state_for_each_tensor(spec: str) -> None:
    rng = np.random.default_rng(3)
    shapes = ((6, 4), (4,), (4, 1), (1,))
    reduce = Compressed(parse(spec), schedule(4, "one-shot"))
    states = reduce.init(shapes, seed=5)
    messages = tuple(rng.standard_normal((4, *shape)).astype(np.float32) for shape in shapes)
    for step in range(1, 3):
        means, states = reduce(messages, states)
        assert [mean.shape for mean in means] == list(shapes)
        assert [state.step for state in states] == [step] * 4
    if spec == "identity":
        for mean, message in zip(means, messages, strict=True):
            assert mean == pytest.approx(message.mean(axis=0), abs=1e-6)


@pytest.mark.parametrize("spec", ["powersgd:2", "error_feedback(powersgd:2)"])
def test_powersgd_sends_what_is_no_matrix_as_it_is(spec: str) -> None:
    rng = np.random.default_rng(6)
    codec, shapes = parse(spec), ((64, 32), (128,), (128, 1), (1, 128), (1,))
    reduce = Compressed(codec, schedule(4, "one-shot"))
    messages = tuple(rng.standard_normal((4, *shape)).astype(np.float32) for shape in shapes)
    means, _ = reduce(messages, reduce.init(shapes, seed=0))
    lost = [float(np.abs(mean - message.mean(axis=0)).max()) for mean, message in zip(means, messages, strict=True)]
    assert lost[0] > 0.1
    assert max(lost[1:]) < 1e-6
    assert ratio(codec, shapes[1:]) == 1
    assert ratio(codec, shapes[:1]) == 64 * 32 / (2 * (64 + 32))


# -- the loop ----------------------------------------------------------------------------------------------


def test_the_seed_decides_everything(steep: dict[int, Task]) -> None:
    setup, codec = Setup(Sgd(0.5), epochs=2, seed=4), parse("error_feedback(qsgd:7)")
    once, again = train(steep[0], setup, codec), train(steep[0], setup, codec)
    assert once == again
    assert train(steep[0], replace(setup, seed=5), codec) != once


def test_identity_trains_as_no_codec_does(steep: dict[int, Task]) -> None:
    setup = Setup(Sgd(0.5), epochs=3)
    without, through = train(steep[0], setup), train(steep[0], setup, parse("identity"))
    assert [e.loss for e in through] == pytest.approx([e.loss for e in without], rel=1e-4)


def test_nothing_is_compressed_in_the_warm_up(steep: dict[int, Task]) -> None:
    setup = Setup(Sgd(0.5), epochs=4, warm_up=2)
    without, warmed = train(steep[0], setup), train(steep[0], setup, parse("sign"))
    assert warmed[:3] == without[:3]
    assert warmed[3] != without[3]


def test_workers_see_shares_of_their_own(steep: dict[int, Task]) -> None:
    seen: list[Step] = []
    train(steep[0], Setup(Sgd(0.5), epochs=1), watch=seen.append)
    assert [step.step for step in seen] == list(range(32))
    assert seen[0].gradients[0].shape == (8, 128, 1)
    assert len(np.unique(seen[0].gradients[0][:, :, 0], axis=0)) == 8


def test_a_run_that_diverges_ends(steep: dict[int, Task]) -> None:
    found = train(steep[0], Setup(Sgd(30.0), epochs=20))
    assert found[-1].loss == math.inf
    assert len(found) < 5
    assert all(math.isfinite(epoch.loss) for epoch in found[:-1])


@pytest.mark.parametrize("rate", [1e6, 1e37])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spec", ["none", "int8", "fp16", "error_feedback(topk:0.1)", "sign", "powersgd:2"])
def test_a_senseless_rate_ends_without_warnings_and_without_nan(
    digits: dict[int, Task], steep: dict[int, Task], spec: str, name: str, rate: float
) -> None:
    codec = None if spec == "none" else parse(spec)
    for task in (digits[0], steep[0]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = train(task, Setup(optimizer(name, rate, spec), epochs=2, batch=64), codec)
        assert found[-1].loss > found[0].loss
        assert not any(math.isnan(epoch.loss) for epoch in found)


def test_what_a_codec_blows_up_ends_before_it_overflows(digits: dict[int, Task]) -> None:
    """What QSGD with one level loses is more than there was, so what error feedback remembers grows from step to step.

    Gradients of the digits are bounded and do not tell.
    """
    found = train(digits[0], Setup(Sgd(1e-3), epochs=20), parse("error_feedback(qsgd:1)"))
    assert found[-1].loss == math.inf
    assert len(found) < 20


def test_a_gradient_that_is_no_number_ends_a_run_wherever_it_is(steep: dict[int, Task]) -> None:
    """Python's max() skips NaN unless it comes first."""
    task = steep[0]
    spoilt = task.y.copy()
    spoilt[:] = np.nan
    assert train(replace(task, y=spoilt), Setup(Sgd(0.5), epochs=2))[-1].loss == math.inf

    class Odd(Net):
        def gradients(self, weights: Tensors, x: Floats, y: NDArray[np.float32]) -> Tensors:
            first, last = super().gradients(weights, x, y)
            return first, np.full_like(last, np.nan)

    found = train(replace(task, net=Odd(task.net.sizes, task.net.loss)), Setup(Sgd(0.5), epochs=2))
    assert (found[-1].epoch, found[-1].steps, found[-1].loss) == (1, 0, math.inf)


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        ({"workers": 1}, "workers = 1: data-parallel training has at least 2"),
        ({"workers": 2000}, "workers = 2000: 4096 examples are enough for 256 workers with a batch of 16 each"),
        ({"warm_up": 31}, "warm-up = 31: between 0 and 30 epochs"),
        ({"through": "best"}, "through = best: one of ring, tree"),
        ({"through": "in-switch"}, "through = in-switch: hccs has no switch that adds"),
        ({"batch": 0}, "batch = 0: at least 1 example"),
        ({"batch": 2049}, "batch = 2049: 4096 examples are at most 2048 for 2 workers"),
        ({"seed": -1}, "seed = -1: 0 or more"),
        ({"epochs": 0}, "epochs = 0: at least 1"),
    ],
)
def test_what_cannot_be_trained_is_refused(steep: dict[int, Task], setup: dict[str, object], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        train(steep[0], Setup(Sgd(0.5), **setup), parse("int8"))  # type: ignore[arg-type]


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(TrainingError, match=r"pip install 'ringsim\[train\]', or --task ill-conditioned"):
        TASKS["digits"](0)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(TrainingError, match="optimizer = rmsprop: one of sgd, momentum, adam"):
        optimizer("rmsprop", 0.1)


def test_momentum_is_in_the_codec_or_in_the_optimizer_and_not_in_both() -> None:
    assert optimizer("momentum", 0.1, "dgc:0.01:0:0.9") == Sgd(0.1, momentum=0.0)
    assert optimizer("momentum", 0.1, "chain(dgc:0.01:0:0.0,int8:256)") == Sgd(0.1, momentum=0.9)
    assert optimizer("momentum", 0.1, "topk:0.01") == optimizer("momentum", 0.1) == Sgd(0.1, momentum=0.9)
    with pytest.raises(TrainingError, match=r"it has a momentum of 0\.9 of its own, and sgd is not to have one"):
        optimizer("sgd", 0.1, "chain(dgc:0.01:0:0.9,int8:256)")


@pytest.mark.parametrize(
    ("spec", "signs"),
    [
        ("sign", True), ("sign:2048", True), ("error_feedback(sign:2048)", True), ("chain(topk:0.01,sign:2048)", True),
        ("int8:256", False), ("design.codecs:make", False), ("signals:make", False), ("mine.sign:make", False),
    ],
)  # fmt: skip
def test_codes_of_one_bit_make_adam_one_bit_adam(spec: str, signs: bool) -> None:
    assert one_bit(spec) is signs
    assert optimizer("adam", 0.1, spec) == Adam(0.1, freeze=signs)


# -- the known facts ---------------------------------------------------------------------------------------


def test_int8_is_nearly_free(digits: dict[int, Task]) -> None:
    """Eight bits cost nothing that can be seen."""
    without, int8 = ends(digits, "sgd", "none"), ends(digits, "sgd", "int8")
    assert losses(int8) == pytest.approx(losses(without), rel=0.05)
    assert [e.accuracy for e in int8] == pytest.approx([e.accuracy for e in without], abs=0.01)


def test_top_k_lags_without_error_feedback_and_converges_with_it(digits: dict[int, Task]) -> None:
    without = losses(ends(digits, "sgd", "none"))
    bare = losses(ends(digits, "sgd", "topk:0.01"))
    fed = losses(ends(digits, "sgd", "error_feedback(topk:0.01)"))
    for seed in SEEDS:
        assert bare[seed] > 4 * without[seed]
        assert fed[seed] < 1.3 * without[seed]


def test_top_k_stalls_where_directions_are_flat_and_does_not_with_error_feedback(steep: dict[int, Task]) -> None:
    """Noise in steep directions hides flat ones, which are never sent, however long it is trained."""
    without = losses(ends(steep, "sgd", "none", epochs=12))
    early = losses(ends(steep, "sgd", "topk:0.01", epochs=6))
    bare = losses(ends(steep, "sgd", "topk:0.01", epochs=12))
    fed = losses(ends(steep, "sgd", "error_feedback(topk:0.01)", epochs=12))
    for seed in SEEDS:
        assert bare[seed] > 2.5 * without[seed]
        assert bare[seed] > 0.9 * early[seed]
        assert fed[seed] < 1.5 * without[seed]


def test_error_feedback_beside_momentum_diverges_and_dgc_does_not(digits: dict[int, Task]) -> None:
    """What has waited for many steps and then meets the momentum is too much at once: Lin et al. 2018, section 3.2."""
    fed = ends(digits, "momentum", "error_feedback(topk:0.01)")
    dgc = ends(digits, "momentum", "dgc:0.01:0:0.9")
    for seed in SEEDS:
        assert fed[seed].loss > 3  # guessing has ln 10 = 2.3
        assert dgc[seed].loss < 0.8
        assert (dgc[seed].accuracy or 0) > 0.8


def test_one_bit_needs_error_feedback(digits: dict[int, Task]) -> None:
    bare = losses(ends(digits, "sgd", "sign"))
    fed = losses(ends(digits, "sgd", "error_feedback(sign)"))
    for seed in SEEDS:
        assert bare[seed] > 1.3 * fed[seed]


def test_one_bit_adam_needs_a_warm_up(digits: dict[int, Task]) -> None:
    """The second moment that it goes on with is what the warm-up has seen (Tang et al. 2021)."""
    without = ends(digits, "adam", "none")
    cold = ends(digits, "adam", "error_feedback(sign)")
    warm = ends(digits, "adam", "error_feedback(sign)", warm_up=4)
    for seed in SEEDS:
        assert cold[seed].loss > 10 * warm[seed].loss
        assert warm[seed].loss < 3 * without[seed].loss
        assert (warm[seed].accuracy or 0) > 0.96


def test_one_bit_without_warm_up_and_error_feedback_is_worse_than_with_both(digits: dict[int, Task]) -> None:
    neither = losses(ends(digits, "adam", "sign"))
    both = losses(ends(digits, "adam", "error_feedback(sign)", warm_up=4))
    for seed in SEEDS:
        assert neither[seed] > 3 * both[seed]


def test_sums_that_are_encoded_again_lose_what_nobody_remembers(digits: dict[int, Task]) -> None:
    once = losses(ends(digits, "sgd", "error_feedback(sign)"))
    again = losses(ends(digits, "sgd", "error_feedback(sign)", through="two-shot"))
    for seed in SEEDS:
        assert again[seed] > 1.15 * once[seed]
