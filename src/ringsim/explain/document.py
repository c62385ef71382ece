"""An explanation for programs: the object that ``ringsim explain --json`` prints."""

from dataclasses import asdict
from typing import Any

from ringsim import __version__
from ringsim.explain import Explanation
from ringsim.explain.causes import Cause
from ringsim.explain.folding import Block, fold
from ringsim.explain.links import groups
from ringsim.explain.path import PARTS
from ringsim.explain.subject import Subject

#: Of the JSON object; changes when a key changes its meaning or goes.
SCHEMA = 1

#: Groups of links that are listed.
LINKS = 100


def document(explanation: Explanation) -> dict[str, Any]:
    """Build the object; times in microseconds, rates in GB/s (1e9), parts of a whole from 0 to 1."""
    subject = explanation.subject
    total = float(subject.path.total.sum())
    return {
        "schema": SCHEMA,
        "ringsim_version": __version__,
        "case": asdict(subject.case) | {"id": subject.case.id()},
        "time_us": subject.time_us,
        "candidates": len(subject.answer.candidates),
        "codec": _codec(subject),
        "parts": [
            {"part": name, "time_us": spent * 1e6, "share": spent / total}
            for name, spent in zip(PARTS, subject.path.total.tolist(), strict=True)
        ],
        "links": _links(subject),
        "critical_path": [_block(block) for block in fold(subject)],
        "causes": [_cause(cause) for cause in explanation.causes],
    }


def _codec(subject: Subject) -> dict[str, Any] | None:
    """What a codec makes of the vector and of the sum; None without one."""
    best = subject.answer.best
    if subject.codec is None:
        return None
    keys = ("ratio", "code_bytes", "codec_us", "error", "agree")
    return {"spec": subject.codec.spec} | {key: getattr(best, key) for key in keys}


def _links(subject: Subject) -> list[dict[str, Any]]:
    found = []
    for group, _ in zip(groups(subject), range(LINKS), strict=False):
        values = asdict(group)
        found.append(values | {"bandwidth_GBps": values.pop("bandwidth") / 1e9})
    return found


def _block(block: Block) -> dict[str, Any]:
    return {
        "times": block.times,
        "stretches": [
            {
                "first": stretch.first, "last": stretch.last, "over": stretch.over, "op": stretch.op,
                "reduces": stretch.op == "add", "delivered": stretch.delivered, "hops": stretch.hops,
                "parts_us": {
                    name: spent * 1e6 for name, spent in zip(PARTS, stretch.parts.tolist(), strict=True) if spent
                },
            }
            for stretch in block.stretches
        ],
    }  # fmt: skip


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "change": cause.change.what, "evidence": cause.change.evidence, "time_us": cause.time_us, "saved": cause.saved,
        "command": cause.command,
    }  # fmt: skip
