"""A study of convergence for people, and the same as one JSON object."""

import math
from typing import Any

from ringsim import __version__
from ringsim.gradients import model
from ringsim.report import LABEL, Line
from ringsim.training.clock import batch
from ringsim.training.converge import Run, Study
from ringsim.units import format_size, format_time
from ringsim.writing import columns, micro

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 1

HEADINGS = ("compress", "epochs", "loss", "accuracy", "all-reduce", "step", "to target", "gain")
UNITS = ("", "", "", "", "(us)", "(us)", "(s)", "")


def page(study: Study, *, quiet: bool = False) -> list[Line]:
    """Lay out the table; without what was assumed if `quiet`."""
    blank = Line("", "blank")
    lines = columns([HEADINGS, UNITS, *(_cells(study, run) for run in study.runs)], left=(0,))
    return [
        *([] if quiet else [*header(study), blank]),
        *(Line(line, "heading" if i < 2 else "row") for i, line in enumerate(lines)),
        blank,
        verdict(study),
        Line("one seed: an epoch sooner or later is chance, the time of a step is not", "note"),
    ]


def header(study: Study) -> list[Line]:
    """Say what was trained, and whose clock it has."""
    plan, first = study.plan, study.runs[0]
    case, large = first.step.result.case, model(str(plan.question.model))
    load, units, steps = plan.load, batch(large, plan.load), first.epochs[1].steps
    peak = load.peak or large.flops * units / first.step.compute / load.mfu
    hides = f"up to {load.overlap:.0%}" if load.overlap else "none"
    usual = f" ({large.batch_source})" if load.batch is None else ""
    facts = [
        ("stand-in", f"a small model learns, with real codecs; {large.name}, which is not trained, sets the clock"),
        ("learns", f"{plan.task} on {plan.workers} workers, {plan.batch} examples each: {steps} steps an epoch"),
        ("optimiser", f"{plan.optimizer}, rate {plan.learning_rate():g}, tuned without compression; seed {plan.seed}"
         if plan.rate is None else f"{plan.optimizer}, rate {plan.rate:g}; seed {plan.seed}"),
        ("codes", f"of every tensor and worker, through a real {plan.algorithm} all-reduce"),
        ("clock", f"{large.name}, {large.parameters:,} parameters, gradients of {format_size(case.bytes)} ({case.dtype}) "
         f"on {case.cards:,} cards of {case.fabric}"),
        ("compute", f"{units:,} {large.unit} on each card{usual}"),
        ("", f"at {load.mfu:.0%} of {peak / 1e12:g} TFLOPS: {format_time(first.step.compute)} a step; {hides} of it hides "
         "the all-reduce"),
    ]  # fmt: skip
    if plan.warm_up:
        facts.insert(4, ("warm-up", f"{plan.warm_up} epochs without compression"))
    title = f"convergence with compression, ringsim {__version__}"
    return [Line(title, "title"), *(Line(f"{label:<{LABEL}}{text}", "label") for label, text in facts)]


def _cells(study: Study, run: Run) -> tuple[str, ...]:
    last, seconds, gain = run.epochs[-1], study.seconds_to_target(run), study.gain(run)
    return (
        run.compress,
        str(last.epoch),
        "diverged" if run.diverged else f"{last.loss:.4f}",
        "-" if last.accuracy is None else f"{last.accuracy:.1%}",
        micro(run.step.all_reduce),
        micro(run.step.seconds),
        "never" if seconds is None else f"{seconds:.1f}",
        "-" if gain is None else f"{gain:.2f}x",
    )


def verdict(study: Study) -> Line:
    """Which run is first at the target, and which never get there."""
    reached = [run for run in study.runs if study.seconds_to_target(run) is not None]
    fastest = min(reached, key=lambda run: study.seconds_to_target(run) or math.inf)
    never = [run.compress for run in study.runs if run not in reached]
    loss = f"loss {study.target:.4f}, which training without compression has after {study.target_epoch} epochs"
    if fastest is study.runs[0]:
        said = f"{loss}: no codec gets there sooner"
    else:
        said = f"{loss}: {fastest.compress} is there first, {study.gain(fastest) or 1:.2f} times as soon"
    return Line(said + (f"; never there: {', '.join(never)}" if never else ""), "verdict")


def document(study: Study) -> dict[str, Any]:
    """Build the object that ``--json`` prints; what is not finite is null."""
    plan, first = study.plan, study.runs[0].step
    case, large = first.result.case, model(str(plan.question.model))
    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "fabric": case.fabric, "cards": case.cards, "model": large.name, "parameters": large.parameters,
        "bytes": case.bytes, "dtype": case.dtype, "unit": large.unit, "batch_per_card": batch(large, plan.load),
        "mfu": plan.load.mfu, "overlap": plan.load.overlap, "compute_us": first.compute * 1e6,
        "task": plan.task, "optimizer": plan.optimizer, "rate": plan.learning_rate(), "workers": plan.workers,
        "batch": plan.batch, "warm_up_epochs": plan.warm_up, "algorithm": plan.algorithm, "seed": plan.seed,
        "target_loss": study.target if math.isfinite(study.target) else None, "target_epoch": study.target_epoch,
        "runs": [_run(study, run) for run in study.runs],
    }  # fmt: skip


def _run(study: Study, run: Run) -> dict[str, Any]:
    return {
        "compress": run.compress,
        "diverged": run.diverged,
        "all_reduce_us": run.step.all_reduce * 1e6,
        "hidden_us": run.step.hidden * 1e6,
        "step_us": run.step.seconds * 1e6,
        "all_reduce_algorithm": run.step.result.case.algorithm,
        "seconds_to_target": study.seconds_to_target(run),
        "gain": study.gain(run),
        "epochs": [
            {
                "epoch": epoch.epoch, "steps": epoch.steps, "loss": epoch.loss if math.isfinite(epoch.loss) else None,
                "accuracy": epoch.accuracy, "time_s": run.seconds(epoch),
            }
            for epoch in run.epochs
        ],
    }  # fmt: skip
