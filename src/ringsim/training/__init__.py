"""Real data-parallel training of a small network, to see what a codec does to it."""

from ringsim.training.data import TASKS, Task, TrainingError
from ringsim.training.optimizers import RATES, Adam, Sgd, optimizer
from ringsim.training.train import Epoch, Setup, Step, train

__all__ = ["RATES", "TASKS", "Adam", "Epoch", "Setup", "Sgd", "Step", "Task", "TrainingError", "optimizer", "train"]
