"""How fast this package encodes on the processor it runs on, held against copying the same array.

Command::

    python benchmarks/codec_speed.py

This says whether experiments with large gradients are bearable, nothing of what a codec costs on an accelerator: that
is reckoned from passes over card memory. There are two copies to hold against: ``np.copyto`` into an array that is
there already, and ``x.copy()``, which, as encoding does, asks the system for new memory as well. Targets are
multiples of the second. All are measured in turn and the best of each counts, in processor time, which a busy machine does
not stretch; where several cores work at once (PowerSGD's products) their times add up.
"""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from codec_table import RESULTS, write
from ringsim.codecs import CODECS, parse

HELP = """Example: python benchmarks/codec_speed.py --gib 0.25 --out /tmp/codecs

Encode and decode an array of normally distributed float32 with every codec; write seconds and multiples of a copy.
"""

#: Multiples of a copy that encoding may take.
MOST = {"fp16": 4, "bf16": 4, "int8:256": 4, "topk:0.01": 30, "powersgd:4": 30}


def seconds(work: Callable[[], Any]) -> float:
    """Processor time of something; what it returns is given back within it, as in a loop over layers."""
    began = time.process_time()
    work()
    return time.process_time() - began


def cpu() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def measure(n: int, rounds: int) -> list[dict[str, Any]]:
    """Rows of the table, for an array of `n` elements."""
    x = np.random.default_rng(0).standard_normal((1, n), np.float32)
    touched = np.zeros_like(x)
    copies = {"np.copyto(touched, x)": lambda: np.copyto(touched, x), "x.copy()": lambda: x.copy()}
    copied = dict.fromkeys(copies, float("inf"))
    rows = []
    for entry in CODECS.values():
        codec = parse(entry.example)
        state = codec.init(n)
        encoding = decoding = float("inf")
        for _ in range(rounds):
            for name, copy in copies.items():
                copied[name] = min(copied[name], seconds(copy))
            encoding = min(encoding, seconds(lambda codec=codec, state=state: codec.encode(x, state)))
            code, _ = codec.encode(x, state)
            decoding = min(decoding, seconds(lambda codec=codec, code=code: codec.decode(code)))
        rows.append(
            {"what": codec.spec, "ratio": x.nbytes / code.nbytes, "encode_cpu_s": encoding, "decode_cpu_s": decoding}
        )
        click.echo(f"{codec.spec}: {encoding:.3g} s", err=True)
    whole = [
        {"what": name, "ratio": 1.0, "encode_cpu_s": copied[name], "decode_cpu_s": copied[name]} for name in copies
    ] + rows
    for row in whole:
        most = MOST.get(row["what"])
        row |= {
            "bytes": x.nbytes, "encode_GBps": x.nbytes / row["encode_cpu_s"] / 1e9,
            "of_copyto": row["encode_cpu_s"] / copied["np.copyto(touched, x)"],
            "of_copy": row["encode_cpu_s"] / copied["x.copy()"], "most_of_copy": most or "",
            "reached": "" if most is None else row["encode_cpu_s"] <= most * copied["x.copy()"],
            "rounds": rounds, "cpu": cpu(), "cores": os.cpu_count(), "numpy": np.__version__,
        }  # fmt: skip
    return whole


@click.command(help=HELP)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    metavar="FOLDER",
    show_default="benchmarks/results",
    help="Where the table goes.",
)
@click.option(
    "--gib", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Size of the array."
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Repetitions; the best counts.")
@click.option("--quick", is_flag=True, help="A mebibyte, once, to see that everything runs.")
def main(out: Path, gib: float, rounds: int, quick: bool) -> None:
    n = 2**18 if quick else int(gib * 2**28)
    write(out / "codec_speed.csv", measure(n, 1 if quick else rounds))


if __name__ == "__main__":
    main()
