"""How small each codec makes a vector, and how wrong: normally distributed numbers, and heavy tails.

Command::

    python benchmarks/codec_table.py

Vectors of 2**20 elements, which PowerSGD takes for matrices of 1,024 by 1,024. Gradients lie between the two kinds:
Student's t with three degrees of freedom has the few large elements that sparse codecs live on, and on which
a block's scale is wasted. Neither has the low rank that PowerSGD lives on; a third kind has: a product of rank 8 with
a tenth of noise.

``error`` is ‖x − decoded‖ / ‖x‖. ``mean_error`` is the same for the mean of 30 steps that encode one and the same vector
with error feedback: it falls as 1/steps where the error is below 1, and not at all, or up, where it is not. DGC stands
here without momentum, with which it sends more than it is given.

Rows of the kind ``resnet18-cifar`` are sizes alone, layer by layer, of the network for which the literature tells volumes.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ringsim.codecs import Codec, Floats, elements, parse

HELP = """Example: python benchmarks/codec_table.py --out /tmp/codecs

Encode and decode vectors of 2**20 elements with every codec; write ratios and errors.
"""

RESULTS = Path(__file__).parent / "results"
SPECS = (
    "fp16", "bf16", "fp8:e4m3", "fp8:e5m2", "int8", "int4", "qsgd:127", "qsgd:7", "qsgd:1", "terngrad", "terngrad:512",
    "sign", "topk:0.01", "topk:0.001", "threshold:3", "randomk:0.01", "dgc:0.001:0:0", "powersgd:2", "powersgd:4",
    "powersgd:8", "chain(topk:0.01,int8)", "chain(topk:0.01,sign)", "chain(powersgd:4,fp16)",
)  # fmt: skip
STEPS = 30

#: Codecs of which volumes are published for this network.
PUBLISHED = ("topk:0.0039", "topk:0.0156", "dgc:0.001:0:0", "sign", "powersgd:2", "powersgd:7")
#: Convolutions of ResNet-18 as it is built for CIFAR-10: channels out and in, side of the kernel, how many.
CONVOLUTIONS = (
    (64, 3, 3, 1), (64, 64, 3, 4), (128, 64, 3, 1), (128, 128, 3, 3), (128, 64, 1, 1), (256, 128, 3, 1),
    (256, 256, 3, 3), (256, 128, 1, 1), (512, 256, 3, 1), (512, 512, 3, 3), (512, 256, 1, 1),
)  # fmt: skip


def vectors(side: int, seed: int = 1) -> dict[str, Floats]:
    """One vector of each kind, shape ``[1, side * side]``."""
    rng = np.random.default_rng(seed)
    thin = [rng.standard_normal((side, 8)) for _ in range(2)]
    product = thin[0] @ thin[1].T / 8**0.5
    kinds = {
        "normal": rng.standard_normal(side**2),
        "student-t3": rng.standard_t(3, side**2),
        "low-rank": product + 0.1 * rng.standard_normal((side, side)),
    }
    return {kind: x.reshape(1, -1).astype(np.float32) for kind, x in kinds.items()}


def error(wanted: Floats, found: Floats) -> float:
    """Relative error, by Euclidean norms."""
    return float(np.linalg.norm((found - wanted).astype(float)) / np.linalg.norm(wanted.astype(float)))


def mean_error(codec: Codec, x: Floats, steps: int) -> float:
    """Relative error of the mean of what is sent when `x` is wanted again and again."""
    if not codec.first:  # DGC remembers by itself
        codec = parse(f"error_feedback({codec.spec})")
    state, sent = codec.init(x.shape[1]), np.zeros(x.shape)
    for _ in range(steps):
        code, state = codec.encode(x, state)
        sent += codec.decode(code)
    return error(x, (sent / steps).astype(np.float32))


def measure(side: int, steps: int) -> list[dict[str, Any]]:
    """Rows of the table."""
    rows = []
    for spec in SPECS:
        codec = parse(spec)
        for kind, x in vectors(side).items():
            code, _ = codec.encode(x, codec.init(x.shape[1]))
            rows.append({
                "codec": codec.spec, "values": kind, "elements": x.shape[1], "wire_bytes": code.nbytes,
                "ratio": x.nbytes / code.nbytes, "error": error(x, codec.decode(code)), "steps": steps,
                "mean_error": mean_error(codec, x, steps),
            })  # fmt: skip
    return rows


def resnet18() -> list[tuple[int, ...]]:
    """Shapes of the network's tensors: each convolution with the two vectors of its normalisation, and the classifier."""
    shapes: list[tuple[int, ...]] = [(10, 512), (10,)]
    for out, into, side, count in CONVOLUTIONS:
        shapes += [(out, into, side, side), (out,), (out,)] * count
    return shapes


def sizes() -> list[dict[str, Any]]:
    """Rows of sizes, each tensor a message of its own."""
    shapes = resnet18()
    n = sum(map(elements, shapes))
    rows = []
    for codec in map(parse, PUBLISHED):
        sent = sum(map(codec.wire_bytes, shapes))
        rows.append({
            "codec": codec.spec, "values": "resnet18-cifar", "elements": n, "wire_bytes": sent, "ratio": 4 * n / sent,
            "error": "", "steps": "", "mean_error": "",
        })  # fmt: skip
    return rows


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table, floats short enough to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()})
    click.echo(path)


@click.command(help=HELP)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    metavar="FOLDER",
    show_default="benchmarks/results",
    help="Where the table goes.",
)
@click.option("--quick", is_flag=True, help="Vectors of 2**12 elements, to see that everything runs.")
def main(out: Path, quick: bool) -> None:
    write(out / "codec_table.csv", measure(64 if quick else 1024, 3 if quick else STEPS) + sizes())


if __name__ == "__main__":
    main()
