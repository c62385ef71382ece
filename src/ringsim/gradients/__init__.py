"""Gradients to compress: the tensors of well-known models, and values as real training makes them."""

from ringsim.gradients.configs import Tensor
from ringsim.gradients.models import MODELS, GradientError, Model, model, shapes
from ringsim.gradients.sample import sample

__all__ = ["MODELS", "GradientError", "Model", "Tensor", "model", "sample", "shapes"]
