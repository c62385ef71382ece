"""The computing of a training step, under which an all-reduce can hide."""

from claims.changes import sheet
from claims.questions import CARDS, MODEL
from ringsim.gradients import model
from ringsim.training.clock import MFU
from sweep import Row

__all__ = ["BACKWARD", "BATCH", "MFU", "TOKENS", "compute_seconds", "exposed", "hidden_seconds"]

#: Of the computing of a step the backward pass, during which gradients become ready one after the other: it takes twice
#: what the forward pass does (`ringsim.gradients.Model.flops`).
BACKWARD = 2 / 3

#: Tokens of a card in a step, and of all together on a thousand cards.
TOKENS = model(MODEL).batch
BATCH = TOKENS * CARDS


def compute_seconds(fabric: str, tokens: float = TOKENS) -> float:
    """A step's computing on one card."""
    return model(MODEL).flops * tokens / (MFU * sheet(fabric).card.fp16_tflops * 1e12)


def hidden_seconds(fabric: str, cards: int) -> float:
    """Computing under which an all-reduce can hide where all cards together have `BATCH` tokens."""
    return BACKWARD * compute_seconds(fabric, BATCH / cards)


def exposed(fabric: str, row: Row) -> float:
    """Part of a step of `BATCH` tokens that is waiting for gradients, where as much of the all-reduce hides as can."""
    waits = max(0.0, row["time_us"] / 1e6 - hidden_seconds(fabric, row["cards"]))
    return waits / (compute_seconds(fabric, BATCH / row["cards"]) + waits)
