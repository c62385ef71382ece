"""What encoding and decoding really cost: PyTorch versions of the codecs, timed beside a copy of the same memory.

Command::

    pip install 'ringsim[gpu]'
    python benchmarks/codec_cost.py               # on a GPU where there is one, else on the CPU

ringsim reckons a codec's cost as passes over the card's memory (`Codec.cost`), as if each step were one kernel that
waits for nothing but memory. The script tells how far off that is. For each codec and operation (encode, decode, add to
a sum, and what PowerSGD does between its two rounds), as PyTorch runs it (`eager`) and as `torch.compile` does:

* *rate*: bytes that a plain copy reads and writes in a second, timed in turn with the operation.
* *measured passes*: seconds × rate / bytes of the vector.
* *reckoned passes*: ``cost.raw + cost.code × bytes of the code / bytes of the vector``; in seconds, times bytes of the
  vector / rate.
* *ratio*: measured over reckoned. 1 is a kernel at the roofline, 3 one that takes three times as long.

The vector is normally distributed. Before anything is timed, the version's error has to be that of ringsim's own codec.
Times are medians with their spread, the interquartile range over the median. Rows about other hardware, sizes or threads
stay in the table. On a GPU take a ``--size`` well above its second cache, such as 256M; ``CUDA_VISIBLE_DEVICES=`` hides it.
On a CPU a copy also fetches the lines that it writes, so what writes little can come out below 1.
"""

import csv
import ctypes
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ringsim.codecs import Codec, CodecError, Passes, parse
from ringsim.units import UnitError, format_size, parse_size
from sweep import RESULTS

try:
    import torch

    from codec_cost_torch import version
except ModuleNotFoundError as missing:
    if missing.name != "torch":
        raise
    torch = None

if TYPE_CHECKING:
    from codec_cost_blocks import Call, Version

CODECS = (
    "fp16", "bf16", "fp8", "int8", "int4", "qsgd:7", "terngrad", "sign", "topk:0.01", "threshold:2.576", "randomk:0.01",
    "powersgd:4",
)  # fmt: skip
#: One row of the table has these; what a row is about, then its figures.
KEY = ("hardware", "torch", "threads", "vector_bytes", "codec", "operation")
#: Seconds that one timing takes at least: below, starting a kernel and looking at the clock would show.
LEAST = 0.01

Row = dict[str, Any]


# -- timing ------------------------------------------------------------------------------------------------------


def spent(call: "Call", times: int) -> float:
    """Seconds of one of so many calls, until the device is done."""
    function, arguments = call
    finish()
    began = time.perf_counter()
    for _ in range(times):
        function(*arguments)
    finish()
    return (time.perf_counter() - began) / times


def finish() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_turn(repeats: int, *calls: "Call") -> list[list[float]]:
    """Seconds of each call, `repeats` times, one after the other, so that all meet the same machine; warmed up."""
    spends = [(call, max(1, round(LEAST / min(spent(call, 1) for _ in range(3))))) for call in calls]
    rounds = [[spent(call, times) for call, times in spends] for _ in range(repeats)]
    return [list(column) for column in zip(*rounds, strict=True)]


def spread(seconds: list[float]) -> float:
    """Interquartile range over the median."""
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return float((high - low) / middle)


def keep_memory() -> None:
    """Keep freed memory, as PyTorch does on a GPU.

    A CPU's operating system would else take every large array back and clear it anew for the next call, which takes
    longer than a copy. Only glibc can be told; elsewhere the figures contain it.
    """
    if platform.libc_ver()[0] == "glibc":
        libc, trim_threshold, mmap_max = ctypes.CDLL(None), -1, -4
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)


# -- what is timed -----------------------------------------------------------------------------------------------


def compiler() -> str | None:
    """Try `torch.compile`, and say in one line why it does not work, if so."""
    try:
        torch.compile(lambda x: x + 1)(torch.ones(8, device=device()))
    except Exception as error:  # a missing compiler, Triton or header shows itself in many ways
        return brief(error)
    return None


def brief(error: Exception) -> str:
    """First line of an error."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def compiled(call: "Call") -> "Call":
    """The same, compiled afresh: what other codecs have compiled would count towards the limit of variants."""
    torch.compiler.reset()
    function, arguments = call
    return torch.compile(function, dynamic=False), arguments


def plain(call: "Call") -> "Call":
    """The same."""
    return call


def check(codec: Codec, made: "Version", x: "torch.Tensor", prepare: Callable[["Call"], "Call"]) -> float:
    """Relative error of ringsim's own codec, which a version must have: of a wrong code no time is worth anything.

    Raises
    ------
    ClickException
        If it has another.
    """
    vector = x.cpu().numpy()[None]
    code, _ = codec.encode(vector, codec.init(vector.shape[1]))
    right = float(np.linalg.norm(codec.decode(code)[0] - vector[0]) / np.linalg.norm(vector))
    encode, arguments = prepare((made.encode, (x,)))
    decode, parts = prepare((made.decode, encode(*arguments)))
    found = float((decode(*parts) - x).norm() / x.norm())
    if not abs(found - right) <= 0.01 * right:
        raise click.ClickException(
            f"{codec.spec}, {prepare.__name__}: relative error {found:.6g}, ringsim's is {right:.6g}"
        )
    return right


def rows(codec: Codec, x: "torch.Tensor", repeats: int, compile_too: bool) -> Iterator[Row]:
    """Time one codec's operations."""
    made = version(codec, x.numel())
    error = check(codec, made, x, plain)
    if compile_too:
        try:
            check(codec, made, x, compiled)
        except click.ClickException:
            raise
        except Exception as reason:  # such as 8-bit floats on a card that has none
            click.echo(f"{codec.spec}: torch.compile is left out: {brief(reason)}")
            compile_too = False
    raw = x.numel() * x.element_size()
    code = sum(part.numel() * part.element_size() for part in made.encode(x))
    copy: Call = (torch.empty_like(x).copy_, (x,))
    for operation, call in made.calls(x).items():
        passes: Passes = getattr(codec.cost, operation)
        reckoned = passes.raw + passes.code * code / raw
        calls = {"eager": call} | ({"compiled": compiled(call)} if compile_too else {})
        copies, *timings = in_turn(repeats, copy, *calls.values())
        rate = 2 * raw / statistics.median(copies)
        row: Row = {
            "hardware": hardware(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "vector_bytes": raw,
            "codec": codec.spec,
            "operation": operation,
            "code_bytes": code,
            "relative_error": error,
            "repeats": repeats,
            "rate_GBps": rate / 1e9,
            "rate_spread": spread(copies),
            "reckoned_passes": reckoned,
            "reckoned_ms": reckoned * raw / rate * 1e3,
        }
        for name in ("eager", "compiled"):
            row |= dict.fromkeys((f"{name}_{what}" for what in ("ms", "spread", "GBps", "passes", "ratio")), "")
        for name, seconds in zip(calls, timings, strict=True):
            middle = statistics.median(seconds)
            row |= {
                f"{name}_ms": middle * 1e3,
                f"{name}_spread": spread(seconds),
                f"{name}_GBps": raw / middle / 1e9,
                f"{name}_passes": middle * rate / raw,
                f"{name}_ratio": middle * rate / raw / reckoned,
            }
        yield row


# -- the table ---------------------------------------------------------------------------------------------------


def device() -> str:
    """Where to run."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def hardware() -> str:
    """Name of the GPU or of the processor."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    name, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores"


def merge(path: Path, new: Row) -> None:
    """Put a row into the table in place of the one about the same, at once or not at all."""
    new = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in new.items()}
    old: list[Row] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            old = [row for row in csv.DictReader(file) if set(row) == set(new)]
    table = {tuple(row[k] for k in KEY): row for row in [*old, new]}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(new), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.values())
    beside.replace(path)


def line(row: Row) -> str:
    """One row to read."""
    says = f"{row['codec']:16} {row['operation']:8} reckoned {row['reckoned_passes']:6.3f} passes"
    for name in ("eager", "compiled"):
        if row[f"{name}_ms"] != "":
            figures = f"{row[f'{name}_ms']:9.3f} ms ±{row[f'{name}_spread']:4.0%} {row[f'{name}_GBps']:8.2f} GB/s"
            says += f"   {name} {figures} ×{row[f'{name}_ratio']:7.2f}"
    return says


def size_in_bytes(context: click.Context, parameter: click.Parameter, text: str) -> int:
    """Read a size."""
    try:
        size = parse_size(text)
    except UnitError as error:
        raise click.BadParameter(str(error)) from None
    if size % 4 or size < 2**16:
        raise click.BadParameter(f"{text}: whole float32 numbers, at least 64K; less is done before a clock moves")
    return size


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--codecs", default=",".join(CODECS), show_default=True, help="Which, with commas between them.")
@click.option("--size", default="64M", show_default=True, callback=size_in_bytes, help="Bytes of the float32 vector.")
@click.option("--repeats", type=click.IntRange(3), default=9, show_default=True, help="Timings of each.")
@click.option("--threads", type=click.IntRange(1), help="Of the CPU; on a busy one, fewer are steadier.")
@click.option("--eager-only", is_flag=True, help="Leave torch.compile out, which takes most of the time.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, metavar="FOLDER",
              show_default="benchmarks/results", help="Where codec_cost.csv is.")  # fmt: skip
def main(codecs: str, size: int, repeats: int, threads: int | None, eager_only: bool, out: Path) -> None:
    if torch is None:
        raise click.UsageError("PyTorch is missing; install it with: pip install 'ringsim[gpu]'")
    try:
        chosen = [parse(spec) for spec in codecs.split(",")]
        for codec in chosen:
            version(codec, size // 4)
    except CodecError as error:
        raise click.UsageError(str(error)) from None
    keep_memory()
    torch.manual_seed(1)
    if threads:
        torch.set_num_threads(threads)
    why_not = "not wanted" if eager_only else compiler()
    where = f"{hardware()}, PyTorch {torch.__version__}, {format_size(size)} of float32"
    click.echo(where if why_not is None else f"{where}; torch.compile is left out: {why_not}")
    x = torch.from_numpy(np.random.default_rng(1).standard_normal(size // 4, np.float32)).to(device())
    path = out / "codec_cost.csv"
    try:
        for codec in chosen:
            for row in rows(codec, x, repeats, why_not is None):
                merge(path, row)
                click.echo(line(row))
    except KeyboardInterrupt:
        click.echo(f"\nstopped; {path} has what was timed", err=True)
        sys.exit(130)
    click.echo(path)


if __name__ == "__main__":
    main()
