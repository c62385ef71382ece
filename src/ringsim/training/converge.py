"""Train with and without codecs, with the clock of a large model on a simulated cluster."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ringsim.question import Question
from ringsim.training.clock import Load, StepTime, step_seconds
from ringsim.training.data import TASKS
from ringsim.training.outcome import Run, Study
from ringsim.training.plan import Plan
from ringsim.training.reducing import ratio, schedule
from ringsim.training.train import train

#: What a step of a question with a load takes.
Clock = Callable[[Question, Load], StepTime]

#: The loss to reach is what training without compression has after this part of its epochs.
TARGET = 2 / 3


def converge(plan: Plan, *, steps: Callable[[int, int, str], None] | None = None, clock: Clock = step_seconds) -> Study:
    """Train without compression and with every codec.

    Parameters
    ----------
    plan : Plan
    steps : callable or None
        Called with pieces of work done, pieces in all, and what is being done.
    clock : callable
        Says what a step takes.

    Raises
    ------
    TrainingError
        The plan is wrong, or scikit-learn is missing.
    StudyError, FabricError, TopologyError
        The question is.
    """
    codecs = plan.entrants()
    setups = {spec: plan.setup(spec).checked() for spec in codecs}
    plan.load.checked()
    task = TASKS[plan.task](plan.seed)
    each = setups["none"].steps(task)
    if len(codecs) > 1:
        schedule(plan.workers, plan.through)
    total, done = len(codecs) * (1 + plan.epochs), 0

    def tell(ahead: int, what: str) -> None:
        if steps is not None:
            steps(done + ahead, total, what)

    # Every clock before any training: what cannot be simulated is then said at once.
    clocks: dict[str, StepTime] = {}
    for spec in codecs:
        tell(0, f"simulating {spec}")
        clocks[spec] = clock(replace(plan.question, compress=spec), plan.load)
        done += 1
    runs: list[Run] = []
    for spec, codec in codecs.items():
        tell(0, f"training {spec}")
        epochs = train(task, setups[spec], codec, progress=partial(tell, what=f"training {spec}"))
        warm = 0 if codec is None else plan.warm_up * each
        saved = 1.0 if codec is None else ratio(codec, task.net.shapes)
        runs.append(Run(spec, epochs, clocks[spec], clocks["none"], warm, saved))
        done += plan.epochs
    return Study(plan, tuple(runs), each, _target(runs[0]))


def _target(first: Run) -> float | None:
    """Loss to reach, if there is one."""
    last = len(first.epochs) - 1
    wanted = first.epochs[round(TARGET * last)].loss
    return None if first.diverged or not wanted < first.epochs[0].loss else wanted
