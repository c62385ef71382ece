"""What an MSCCL file says, as values: gpus, their thread blocks, and the steps that each block takes one after the other.

Sources: the parser and the interpreter that run such files, github:ROCm/rccl src/misc/msccl/msccl_parser.cc
@4bb0b4a3 and src/device/msccl_kernel_impl.h @011110de, and files of Azure/msccl-scheduler and ROCm/rccl.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

#: Steps that receive, send, add what the gpu has to what came, and store what comes out.
RECEIVES = frozenset({"r", "rcs", "rrc", "rrs", "rrcs"})
SENDS = frozenset({"s", "rcs", "rrs", "rrcs"})
ADDS = frozenset({"rrc", "rrs", "rrcs", "re"})
STORES = frozenset({"r", "rcs", "rrc", "rrcs", "re", "cpy"})
#: Steps that move data inside a gpu.
LOCAL = frozenset({"re", "cpy"})
#: Steps that read what the gpu has, rather than only what came.
READS = frozenset({"s", "rrc", "rrs", "rrcs", "re", "cpy"})
KINDS = ("s", "r", "rcs", "rrc", "rrs", "rrcs", "re", "cpy", "nop")
BUFFERS = ("i", "o", "s")
PROTOCOLS = ("Simple", "LL", "LL128")

#: What the runtime has room for (msccl_struct.h of RCCL; Azure's executor has 256 steps).
MOST_BLOCKS, MOST_BLOCK_STEPS, MOST_COUNT, MOST_CHANNELS = 64, 64, 71, 32


class MscclError(ValueError):
    """What MSCCL cannot say, or ringsim cannot say of what MSCCL does; the message says what would do."""


class Step(NamedTuple):
    """One step of a thread block.

    Attributes
    ----------
    kind : str
        One of `KINDS`: send, receive, receive and send on, …; ``rrs`` adds and sends on without storing; ``re`` adds and
        ``cpy`` copies inside the gpu; ``nop`` is there to wait for one thing more.
    source, target : str
        Buffers, one of `BUFFERS`: input, output, scratch. A receiving step has its own chunks in `source`, if it adds.
    source_offset, target_offset, size : int
        First chunks, and how many.
    waits_block, waits_step : int
        A step of another block of this gpu that has to be over; −1 for none.
    awaited : bool
        Whether another step waits for this one.
    """

    kind: str
    source: str
    source_offset: int
    target: str
    target_offset: int
    size: int = 1
    waits_block: int = -1
    waits_step: int = -1
    awaited: bool = False


class Block(NamedTuple):
    """A thread block: at most one gpu to send to, one to receive from, −1 for none, and one channel for both."""

    id: int
    send: int
    receive: int
    channel: int
    steps: tuple[Step, ...]


class Gpu(NamedTuple):
    """A gpu: chunks of its buffers, and its blocks in the order of their numbers."""

    inputs: int
    outputs: int
    scratch: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Algo:
    """An algorithm.

    Attributes
    ----------
    name, protocol, collective : str
        `protocol` is one of `PROTOCOLS`, `collective` in MSCCL's words: ``allreduce``, ``allgather``, …
    channels, chunks : int
        `chunks` make up the vector; in an all-to-all that of one gpu.
    in_place, out_of_place : bool
        For which of the two it may be used.
    min_bytes, max_bytes : int
        Sizes it is meant for.
    gpus : tuple of Gpu
    """

    name: str
    protocol: str
    collective: str
    channels: int
    chunks: int
    in_place: bool
    out_of_place: bool
    min_bytes: int
    max_bytes: int
    gpus: tuple[Gpu, ...]

    @property
    def steps(self) -> int:
        """Steps of all blocks together."""
        return sum(len(block.steps) for gpu in self.gpus for block in gpu.blocks)

    def limits(self) -> list[str]:
        """Say which of the runtime's limits are exceeded."""
        blocks = [block for gpu in self.gpus for block in gpu.blocks]
        return list(
            _beyond(
                (max((len(gpu.blocks) for gpu in self.gpus), default=0), MOST_BLOCKS, "thread blocks on a gpu"),
                (max((len(block.steps) for block in blocks), default=0), MOST_BLOCK_STEPS, "steps in a thread block"),
                (
                    max((step.size for block in blocks for step in block.steps), default=0),
                    MOST_COUNT,
                    "chunks in a step",
                ),
                (self.channels, MOST_CHANNELS, "channels"),
            )
        )


def _beyond(*figures: tuple[int, int, str]) -> Iterator[str]:
    for has, most, what in figures:
        if has > most:
            yield f"has {has:,} {what}; MSCCL's runtime takes at most {most}"


def name(gpu: int, block: int, step: int) -> str:
    """Name a step for a message."""
    return f"gpu {gpu}, tb {block}, step {step}"
