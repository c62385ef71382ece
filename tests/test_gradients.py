"""Gradients to compress: as many as the published models have, and spread as real workers' are."""

import csv
import math
import statistics
from pathlib import Path

import numpy as np
import pytest

from ringsim.gradients import MODELS, GradientError, model, sample, shapes
from ringsim.gradients.sample import BETWEEN, SIGNAL, SIZE, WITHIN, tensors
from ringsim.gradients.statistics import WORKERS, measure, unions

TABLE = Path(__file__).parents[1] / "benchmarks" / "results" / "gradient_statistics.csv"

#: What torchvision states for ResNet-50, and Hugging Face for the files of the others.
PARAMETERS = {
    "resnet-50": 25_557_032,
    "bert-large": 335_141_888,
    "gpt-neox-20b": 20_554_567_680,
    "llama-3-8b": 8_030_261_248,
}


def test_every_model_has_as_many_parameters_as_published() -> None:
    assert {name: found.parameters for name, found in MODELS.items()} == PARAMETERS


@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_those_of_the_tensors(name: str) -> None:
    assert shapes(name) == tuple(tensor.shape for tensor in model(name).tensors)
    assert sum(map(math.prod, shapes(name))) == model(name).parameters
    names = [tensor.name for tensor in model(name).tensors]
    assert len(set(names)) == len(names)


def test_resnet_has_161_tensors_and_4_089_billion_multiplications() -> None:
    """Both as torchvision has them; training takes three times a forward pass, of two operations each."""
    found = model("resnet-50")
    assert len(found.tensors) == 161
    assert found.flops / 6 == pytest.approx(4.089e9, rel=1e-3)


def test_a_transformer_takes_six_operations_for_each_parameter_and_token() -> None:
    assert model("llama-3-8b").flops == 6 * PARAMETERS["llama-3-8b"]


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(GradientError, match=r"model = gpt-5: .*one of resnet-50, bert-large, gpt-neox-20b, llama-3-8b"):
        shapes("gpt-5")


@pytest.mark.parametrize("n", [1, 7, 64, 65, 1000, 1 << 14])
def test_samples_have_the_shape_that_was_asked_for(n: int) -> None:
    found = sample(n, 3, seed=5)
    assert found.shape == (3, n)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    begins = tensors(n)
    assert begins[0] == 0
    assert len(begins) <= 64
    assert (np.diff(begins) > 0).all()


def test_the_seed_decides_and_more_workers_change_nothing_for_the_first() -> None:
    few, many = sample(1000, 2, seed=1), sample(1000, 5, seed=1)
    assert (few == many[:2]).all()
    assert (sample(1000, 2, seed=2) != few).all()
    assert len(np.unique(many, axis=0)) == 5


@pytest.mark.parametrize(("n", "ranks"), [(0, 2), (5, 0)])
def test_nothing_to_draw_is_refused(n: int, ranks: int) -> None:
    with pytest.raises(GradientError, match="at least one of each"):
        sample(n, ranks)


def test_samples_have_the_spread_that_was_put_in() -> None:
    n = 1 << 18
    found = measure(np.split(sample(n, 32, seed=3), tensors(n)[1:], axis=1))
    assert found.signal == pytest.approx(SIGNAL, rel=0.1)
    assert found.between == pytest.approx(BETWEEN, rel=0.25)  # of 64 tensors
    assert found.within == pytest.approx(WITHIN, rel=0.1)
    assert found.kurtosis > 6  # a normal distribution has 3
    size = np.sqrt(np.mean(sample(n, 4, seed=3).astype(float) ** 2))
    assert size == pytest.approx(SIZE, rel=0.2)


def test_measuring_finds_what_is_known() -> None:
    rng = np.random.default_rng(0)
    common, noise = rng.standard_normal(40_000), rng.standard_normal((16, 40_000))
    found = measure([0.5 * common + noise])
    assert found.signal == pytest.approx(0.25, rel=0.05)
    assert found.kurtosis == pytest.approx(3, rel=0.05)
    assert found.between == 0
    same = np.tile(common, (8, 1))
    assert unions(same) == (1, 1, 1)
    # Workers that have nothing in common choose independently: the union of p is what p draws of 1 % leave out.
    for workers, union in zip(WORKERS, unions(rng.standard_normal((32, 40_000))), strict=True):
        assert union == pytest.approx((1 - 0.99**workers) / 0.01, rel=0.03)


@pytest.fixture(scope="module")
def table() -> list[dict[str, str]]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def middle(rows: list[dict[str, str]], series: str, column: str) -> float:
    return statistics.median(float(row[column]) for row in rows if row["series"] == series)


def test_the_constants_are_the_medians_of_the_table(table: list[dict[str, str]]) -> None:
    for column, constant in (("signal", SIGNAL), ("between", BETWEEN), ("within", WITHIN)):
        assert constant == pytest.approx(middle(table, "sgd", column), abs=0.01)


def test_top_k_of_sampled_workers_overlaps_as_that_of_real_ones(table: list[dict[str, str]]) -> None:
    """Nothing was fitted to this; independent choices would be 2.0, 3.9, 7.7, 14.9 and 27.5 times one worker's."""
    found = unions(sample(1 << 16, 32, seed=7))
    for workers, union in zip(WORKERS, found, strict=True):
        assert union == pytest.approx(middle(table, "sgd", f"union_{workers}"), rel=0.15)


def test_a_training_run_of_today_measures_the_same(table: list[dict[str, str]]) -> None:
    pytest.importorskip("sklearn")
    from ringsim.training import RATES, TASKS, Setup, Step, optimizer, train

    found = []

    def watch(step: Step) -> None:
        if step.step in (5, 10, 20):
            found.append(measure(step.gradients))

    setup = Setup(optimizer("sgd", RATES["digits", "sgd"]), workers=32, epochs=11, seed=11)
    train(TASKS["digits"](11), setup, watch=watch)
    assert len(found) == 3
    assert 0.1 < statistics.median(f.signal for f in found) < 0.6
    assert statistics.median(f.between for f in found) == pytest.approx(BETWEEN, rel=0.5)
    assert statistics.median(f.within for f in found) == pytest.approx(WITHIN, rel=0.15)
    for k, workers in enumerate(WORKERS):
        assert statistics.median(f.unions[k] for f in found) == pytest.approx(
            middle(table, "sgd", f"union_{workers}"), rel=0.15
        )
