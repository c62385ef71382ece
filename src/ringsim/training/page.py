"""A study of convergence for people, and the same as one JSON object."""

import math
from collections.abc import Iterator
from typing import Any

from ringsim import __version__
from ringsim.gradients import model
from ringsim.report import LABEL, Line, counted
from ringsim.training.clock import batch
from ringsim.training.optimizers import RATES, one_bit
from ringsim.training.outcome import TOLERANCE, Run, Study
from ringsim.units import format_size, format_time
from ringsim.writing import columns, micro

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 2

HEADINGS = ("compress", "loss", "accuracy", "all-reduce", "step", "to target", "to target", "gain")
UNITS = ("", "", "", "(us)", "(us)", "(epochs)", "(s)", "")


def page(study: Study, *, quiet: bool = False) -> list[Line]:
    """Lay out the table; without what was assumed if `quiet`."""
    blank = Line("", "blank")
    lines = columns([HEADINGS, UNITS, *(_cells(study, run) for run in study.runs)], left=(0,))
    return [
        *([] if quiet else [*header(study), blank]),
        *(Line(line, "heading" if i < 2 else "row") for i, line in enumerate(lines)),
        blank,
        Line(verdict(study), "verdict"),
        *(Line(note, "note") for note in notes(study)),
    ]


def header(study: Study) -> list[Line]:
    """Say what was trained, and whose clock it has."""
    plan, first = study.plan, study.runs[0].step
    case, large, load = first.result.case, model(str(plan.question.model)), plan.load
    tuned = ", tuned without compression" if plan.rate is None else ""
    hides = f"up to {load.overlap:.0%}" if load.overlap else "none"
    facts = [
        ("stand-in", f"a small model learns, with real codecs; {large.name}, which is not trained, sets the clock"),
        ("learns", f"{plan.task} on {plan.workers} workers, {counted(plan.batch, 'example')} each: "
         f"{counted(study.steps, 'step')} an epoch, {counted(plan.epochs, 'epoch')}"),
        ("optimiser", f"{plan.optimizer}, rate {plan.learning_rate():g}{tuned}; seed {plan.seed}"),
        ("codes", f"of every tensor and worker, through a real {plan.through} all-reduce"),
        *([("warm-up", f"{counted(plan.warm_up, 'epoch')} without compression")] if plan.warm_up else []),
        ("clock", f"{large.name}, {large.parameters:,} parameters, gradients of {format_size(case.bytes)} ({case.dtype}) "
         f"on {case.cards:,} cards of {case.fabric}"),
        ("compute", f"{counted(batch(large, load), large.unit.removesuffix('s'))} on each card"),
        *([("", large.batch_source)] if load.batch is None else []),
        ("", f"at {load.mfu:.0%} of {first.peak / 1e12:g} TFLOPS: {format_time(first.compute)} a step; {hides} of it hides "
         "the all-reduce"),
    ]  # fmt: skip
    title = f"convergence with compression, ringsim {__version__}"
    return [Line(title, "title"), *(Line(f"{label:<{LABEL}}{text}", "label") for label, text in facts)]


def _cells(study: Study, run: Run) -> tuple[str, ...]:
    last, epochs, gain = run.epochs[-1], study.epochs_to_target(run), study.gain(run)
    seconds = study.seconds_to_target(run)
    return (
        run.compress,
        "diverged" if run.diverged else f"{last.loss:.4f}" if last.loss >= 0.001 else f"{last.loss:.3g}",
        "-" if last.accuracy is None else f"{last.accuracy:.1%}",
        micro(run.step.all_reduce),
        micro(run.step.seconds),
        f"{epochs:.1f}" if epochs is not None else "" if study.target is None else f"not within {study.plan.epochs}",
        "" if seconds is None else _three(seconds),
        "" if gain is None else f"{gain:.2f}x",
    )


def _three(value: float) -> str:
    """Write three digits of what is above 0, or all before the point."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def verdict(study: Study) -> str:
    """Which run is first at the target."""
    plan, first = study.plan, study.runs[0]
    if study.target is None:
        does = "diverges" if first.diverged else "has learnt nothing after two thirds of its epochs"
        rate, tuned = plan.learning_rate(), RATES[plan.task, plan.optimizer]
        right = f"the tuned rate is {tuned:g}" if rate != tuned else "give a smaller --rate or more --epochs"
        return f"training without compression {does} at a rate of {rate:g}, so there is no loss to reach; {right}"
    after = study.epochs_to_target(first)
    loss = f"loss {study.target:.4g}, which training without compression has after {after:.1f} epochs"
    fastest = max(study.runs, key=lambda run: study.gain(run) or 0.0)
    gain = f"{study.gain(fastest):.2f}"
    if gain == "1.00":
        return f"{loss}: no codec gets there sooner"
    return f"{loss}: {fastest.compress} is there first, {gain} times as soon"


def notes(study: Study) -> Iterator[str]:
    """Say what the table leaves open, and what may help."""
    diverged = [run for run in study.runs if run.diverged]
    missing = [run for run in study.runs if study.epochs_to_target(run) is None and study.target is not None]
    whole = [run for run in study.runs[1:] if run.ratio <= 1]
    if missing:
        yield f"not within {counted(study.plan.epochs, 'epoch')}: {_names(missing)}"
    if diverged:
        began = diverged[0].epochs[0].loss
        yield f"diverged, to end above the loss of {began:.4g} before the first step: {_names(diverged)}"
    if hint := warm_up_hint(study):
        yield hint
    if whole:
        yield f"sends these small tensors as they are, so that its loss is that of no compression: {_names(whole)}"
    if study.target is not None:
        yield (
            f"one seed: epochs to target, interpolated, within {TOLERANCE:.0%} of those of no compression count as "
            "the same in the gain"
        )


def warm_up_hint(study: Study) -> str | None:
    """What to try where codes of one bit have failed that had few epochs without compression before them, or none.

    Error feedback beside momentum is left out: what makes it diverge is no lack of a warm-up.
    """
    plan, name = study.plan, study.plan.optimizer
    longer = max(2 * plan.warm_up, math.ceil(plan.epochs / 6))
    failed = [
        run
        for run in study.runs
        if one_bit(run.compress)
        and (name == "adam" or "error_feedback" not in run.compress)
        and study.epochs_to_target(run) is None
    ]
    if study.target is None or not failed or longer > plan.epochs / 2:
        return None
    if name == "adam":
        return (
            f"1-bit Adam keeps the second moment that its warm-up has seen: try --warm-up {longer} for {_names(failed)}"
        )
    other = " or error_feedback" if name == "sgd" else ""
    return f"one bit does not say how large a gradient is: try --warm-up {longer}{other} for {_names(failed)}"


def _names(runs: list[Run]) -> str:
    return ", ".join(run.compress for run in runs)


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
        "batch": plan.batch, "epochs": plan.epochs, "steps_per_epoch": study.steps, "warm_up_epochs": plan.warm_up,
        "through": plan.through, "seed": plan.seed, "target_loss": study.target, "tolerance": TOLERANCE,
        "runs": [_run(study, run) for run in study.runs],
    }  # fmt: skip


def _run(study: Study, run: Run) -> dict[str, Any]:
    return {
        "compress": run.compress,
        "ratio": run.ratio,
        "diverged": run.diverged,
        "all_reduce_us": run.step.all_reduce * 1e6,
        "hidden_us": run.step.hidden * 1e6,
        "step_us": run.step.seconds * 1e6,
        "all_reduce_algorithm": run.step.result.case.algorithm,
        "epochs_to_target": study.epochs_to_target(run),
        "seconds_to_target": study.seconds_to_target(run),
        "gain": study.gain(run),
        "epochs": [
            {
                "epoch": epoch.epoch, "steps": epoch.steps, "loss": epoch.loss if math.isfinite(epoch.loss) else None,
                "accuracy": epoch.accuracy, "time_s": run.seconds(epoch.steps),
            }
            for epoch in run.epochs
        ],
    }  # fmt: skip
