"""Models whose gradients are worth compressing: their tensors, and what a step of training costs a card.

Nothing is downloaded: tensors follow from the published configuration (`ringsim.gradients.configs`), and tests hold the
number of parameters against the published one.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ringsim.gradients.configs import Bert, Llama, NeoX, ResNet, Tensor


class GradientError(ValueError):
    """A model that is not known, or gradients that cannot be made; the message says what would be right."""


@dataclass(frozen=True)
class Model:
    """One model as far as all-reduce is concerned.

    Attributes
    ----------
    name : str
    config : object
        Yields its `tensors`.
    source : str
        Of the configuration.
    unit : str
        What a batch counts: images or tokens.
    batch : int
        Units that a card works on in one step, if nobody says otherwise.
    batch_source : str
    """

    name: str
    config: ResNet | Bert | NeoX | Llama
    source: str
    unit: str
    batch: int
    batch_source: str

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """In the order of a forward pass."""
        return tuple(self.config.tensors())

    @cached_property
    def parameters(self) -> int:
        """How many numbers are trained, which is as many as a gradient has."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @cached_property
    def flops(self) -> float:
        """Floating-point operations of one image or token, forward and backward.

        Backward costs twice what forward does, and a multiplication with its addition counts as two: 6 for each
        parameter and token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1), which leaves the attention's own products
        out. A convolution uses its weights at every place of the picture.
        """
        if isinstance(self.config, ResNet):
            return 6.0 * sum(math.prod(shape) * places for _, shape, places in self.config.layers())
        return 6.0 * self.parameters


def _models(models: Iterable[Model]) -> dict[str, Model]:
    return {model.name: model for model in models}


#: Every model, by name.
MODELS: dict[str, Model] = _models((
    Model(
        "resnet-50", ResNet((3, 4, 6, 3)), "He et al. 2016, arXiv 1512.03385, table 1; stride as in torchvision",
        "images", 32, "32 images on each of 256 GPUs: Goyal et al. 2017, arXiv 1706.02677",
    ),
    Model(
        "bert-large", Bert(hidden=1024, depth=24, inner=4096, words=30522),
        "Devlin et al. 2019, arXiv 1810.04805; uncased",
        "tokens", 64 * 128,
        "64 K sequences of 128 tokens on 1,024 V100: github:microsoft/DeepSpeedExamples training/bing_bert",
    ),
    Model(
        "gpt-neox-20b", NeoX(hidden=6144, depth=44, inner=24576, words=50432),
        "Black et al. 2022, arXiv 2204.06745, table 1",
        "tokens", 2048, "one context; 1,024 cards then take 2.1 M tokens, of 3.15 M in arXiv 2204.06745",
    ),
    Model(
        "llama-3-8b", Llama(hidden=4096, depth=32, inner=14336, words=128256, heads=32, shared=8),
        "Dubey et al. 2024, arXiv 2407.21783, table 3",
        "tokens", 8192, "one context; 1,024 cards then take 8 M tokens, as arXiv 2407.21783 does for most of the training",
    ),
))  # fmt: skip


def model(name: str) -> Model:
    """Look a model up.

    Raises
    ------
    GradientError
    """
    if name not in MODELS:
        raise GradientError(f"model = {name}: there is no model of this name; one of {', '.join(MODELS)}")
    return MODELS[name]


def shapes(name: str) -> tuple[tuple[int, ...], ...]:
    """Shape of every tensor of a model, in the order of a forward pass.

    Raises
    ------
    GradientError
    """
    return tuple(tensor.shape for tensor in model(name).tensors)
