"""MSCCL's XML, read with the tolerance that files in the wild need.

Files of older tools lack sizes, places and counts (github:Azure/msccl#26, #37), and some have attributes that only their
own tool knows. So what is missing is worked out and what is not known is passed over; what cannot be right is refused.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from ringsim.fabric.errors import show, suggest
from ringsim.formats.msccl.algo import (
    BUFFERS,
    KINDS,
    PROTOCOLS,
    READS,
    RECEIVES,
    SENDS,
    STORES,
    Algo,
    Block,
    Gpu,
    Step,
)
from ringsim.schedule_file import ScheduleFileError

#: Larger numbers are a slip of the keyboard.
MOST = 2**63
#: Steps that are kept in memory, chunks of a buffer, and chunks that all steps move together.
MOST_STEPS, MOST_CHUNKS, MOST_MOVES = 1_000_000, 10_000_000, 50_000_000

#: Elements, and what each stands in.
_INSIDE = {"algo": None, "gpu": "algo", "tb": "gpu", "step": "tb"}

_Attributes = dict[str, str]


def read(path: str | Path) -> Algo:
    """Read an algorithm.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ScheduleFileError
        If there is no such file or it holds no algorithm; the message says the line and what would be right.
    """
    reader = _Reader(str(path))
    try:
        reader.parse(Path(path).read_bytes())
    except OSError as error:
        raise ScheduleFileError(f"{path}: {error.strerror}; name an existing MSCCL XML file") from None
    except expat.ExpatError as error:
        wrong = expat.errors.messages[error.code]
        raise ScheduleFileError(
            f"{path}: line {error.lineno}, column {error.offset + 1}: {wrong}; repair the XML there"
        ) from None
    return reader.algo()


class _Reader:
    """Takes elements one after the other; says the line of what is wrong."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.line = 0
        self.head: _Attributes | None = None
        #: Attributes, line and blocks of each gpu by number.
        self.gpus: dict[int, tuple[_Attributes, int, dict[int, Block]]] = {}
        self._open: list[str] = []
        self._block: tuple[int, _Attributes, int, list[Step]] | None = None
        self._lines: list[int] = []
        self.steps = self.moves = 0

    def parse(self, text: bytes) -> None:
        parser = expat.ParserCreate()

        def start(name: str, attributes: _Attributes) -> None:
            self.line = parser.CurrentLineNumber
            self._start(name, attributes)

        def doctype(*_: Any) -> NoReturn:
            self.line = parser.CurrentLineNumber
            self.refuse("has a DOCTYPE, which MSCCL files do not; leave it out")

        parser.StartElementHandler = start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = doctype
        parser.Parse(text, True)

    def refuse(self, what: str, line: int | None = None) -> NoReturn:
        raise ScheduleFileError(f"{self.origin}: line {line or self.line}: {what}")

    def _start(self, name: str, attributes: _Attributes) -> None:
        inside = self._open[-1] if self._open else None
        if name not in _INSIDE or inside != _INSIDE[name]:
            where = f" inside <{inside}>" if inside else ""
            self.refuse(f"<{name}>{where}: an MSCCL file is <algo>, <gpu>, <tb> and <step> inside each other")
        self._open.append(name)
        if name == "algo":
            self.head = attributes
        elif name == "gpu":
            number = self.whole(name, attributes, "id", 0)
            if number in self.gpus:
                self.refuse(f"gpu: id = {number}: there is one already, on line {self.gpus[number][1]}")
            self.gpus[number] = attributes, self.line, {}
        elif name == "tb":
            number = self.whole(name, attributes, "id", 0)
            if number in self._blocks():
                self.refuse(f"tb: id = {number}: there is one already on this gpu")
            self._block = number, attributes, self.line, []
        else:
            self._step(attributes)

    def _end(self, name: str) -> None:
        self._open.pop()
        if name == "tb":
            assert self._block
            number, attributes, line, steps = self._block
            send, receive = (self.whole(name, attributes, key, -1, usual=-1, line=line) for key in ("send", "recv"))
            channel = self.whole(name, attributes, "chan", 0, usual=0, line=line)
            self._blocks()[number] = Block(number, send, receive, channel, tuple(steps))
            for step in steps:
                for kinds, peer, key in ((SENDS, send, "send"), (RECEIVES, receive, "recv")):
                    if step.kind in kinds and peer < 0:
                        self.refuse(f'tb: {key} = {peer}: has a step "{step.kind}"; say which gpu', line)

    def _blocks(self) -> dict[int, Block]:
        return self.gpus[next(reversed(self.gpus))][2]

    def _step(self, said: _Attributes) -> None:
        assert self._block
        steps = self._block[3]
        if self.whole("step", said, "s", 0, usual=len(steps)) != len(steps):
            self.refuse(f"step: s = {said['s']}: the steps of a tb are numbered in order; write {len(steps)}")
        kind = self.word("step", said, "type", KINDS)
        source, target = (self.word("step", said, key, BUFFERS, "i") for key in ("srcbuf", "dstbuf"))
        read = kind in READS
        kept = kind in STORES
        self.steps += 1
        size = self.whole("step", said, "cnt", 0 if kind == "nop" else 1, usual=1)
        self.moves += size
        for many, most, what in ((self.steps, MOST_STEPS, "steps"), (self.moves, MOST_MOVES, "chunks in its steps")):
            if many > most:
                self.refuse(f"has more than {most:,} {what}; fewer gpus, channels or chunks show the same")
        steps.append(
            Step(
                kind, source, self.whole("step", said, "srcoff", 0 if read else -1, usual=None if read else -1),
                target, self.whole("step", said, "dstoff", 0 if kept else -1, usual=None if kept else -1),
                size,
                self.whole("step", said, "depid", -1, usual=-1), self.whole("step", said, "deps", -1, usual=-1),
                self.whole("step", said, "hasdep", 0, usual=0) > 0,
            )
        )  # fmt: skip

    def whole(
        self,
        element: str,
        said: _Attributes,
        key: str,
        least: int,
        *,
        usual: int | None = None,
        line: int | None = None,
    ) -> int:
        """A whole number, `usual` where nothing is said."""
        text = said.get(key)
        if text is None and usual is not None:
            return usual
        right = f"write a whole number, at least {least}"
        if text is None:
            self.refuse(f"{element} has no {key}; {right}", line)
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number < MOST:
            self.refuse(f"{element}: {key} = {show(text)}: {right}", line)
        return number

    def word(self, element: str, said: _Attributes, key: str, known: tuple[str, ...], usual: str | None = None) -> str:
        """One of a few words, `usual` where nothing is said."""
        text = said.get(key, usual)
        if text is None:
            self.refuse(f"{element} has no {key}; one of {', '.join(known)}")
        if text not in known:
            self.refuse(f"{element}: {key} = {show(text)}: {suggest(text, known)}")
        return text

    def algo(self) -> Algo:
        """All of it, checked."""
        self.line = 1
        said = self.head
        assert said is not None  # no XML without a root, and no other root
        ranks = self.whole("algo", said, "ngpus", 1, usual=max(len(self.gpus), 1))
        if sorted(self.gpus) != list(range(ranks)):
            self.refuse(f"algo: ngpus = {ranks}: there are {len(self.gpus)} gpus; number them from 0 to {ranks - 1}")
        gpus = []
        for number in range(ranks):
            attributes, self.line, blocks = self.gpus[number]
            sizes = [self.whole("gpu", attributes, key, 0, usual=0) for key in ("i_chunks", "o_chunks", "s_chunks")]
            inputs, outputs, scratch = sizes
            gpu = Gpu(inputs, outputs, scratch, tuple(blocks[block] for block in sorted(blocks)))
            self._check(number, gpu, ranks)
            gpus.append(gpu)
        self.line = 1
        whole = max(1, *(size for gpu in gpus for size in (gpu.inputs, gpu.outputs)))
        chunks = self.whole("algo", said, "nchunksperloop", 1, usual=whole)
        if chunks * ranks > MOST_CHUNKS:
            self.refuse(f"algo: nchunksperloop = {chunks}: at most {MOST_CHUNKS // ranks:,} on {ranks} gpus")
        collective = said.get("coll", "")
        apart = any(gpu.inputs and gpu.outputs for gpu in gpus)
        in_place = bool(self.whole("algo", said, "inplace", 0, usual=int(collective == "allreduce" or not apart)))
        channels = 1 + max((block.channel for gpu in gpus for block in gpu.blocks), default=0)
        return Algo(
            name=said.get("name", Path(self.origin).stem),
            protocol=self.word("algo", said, "proto", PROTOCOLS, "Simple"),
            collective=collective,
            channels=max(self.whole("algo", said, "nchannels", 1, usual=1), channels),
            chunks=chunks,
            in_place=in_place,
            out_of_place=bool(self.whole("algo", said, "outofplace", 0, usual=int(not in_place))),
            min_bytes=self.whole("algo", said, "minBytes", 0, usual=0),
            max_bytes=self.whole("algo", said, "maxBytes", 0, usual=0),
            gpus=tuple(gpus),
        )

    def _check(self, number: int, gpu: Gpu, ranks: int) -> None:
        """Refuse peers, waits and chunks that do not exist."""
        sizes = {"i": gpu.inputs, "o": gpu.outputs, "s": gpu.scratch}
        blocks = {block.id: block for block in gpu.blocks}
        ends: set[tuple[str, int, int]] = set()
        for block in gpu.blocks:
            where = f"gpu {number}, tb {block.id}"
            for key, peer in (("send", block.send), ("recv", block.receive)):
                if peer >= ranks or peer == number:
                    self.refuse(f"{where}: {key} = {peer}: write another gpu, from 0 to {ranks - 1}, or -1 for none")
                if peer >= 0 and (key, peer, block.channel) in ends:
                    self.refuse(
                        f"{where}: {key} = {peer}: another tb does that on channel {block.channel}; "
                        "give each a channel of its own, messages of one come in one order"
                    )
                ends.add((key, peer, block.channel))
            for s, step in enumerate(block.steps):
                self._check_step(f"{where}, step {s}", step, blocks, sizes)

    def _check_step(self, where: str, step: Step, blocks: dict[int, Block], sizes: dict[str, int]) -> None:
        if step.waits_block >= 0:
            other = blocks.get(step.waits_block)
            if other is None:
                self.refuse(f"{where}: depid = {step.waits_block}: there is no such tb on this gpu")
            if not 0 <= step.waits_step < len(other.steps):
                self.refuse(f"{where}: deps = {step.waits_step}: tb {other.id} has steps 0 to {len(other.steps) - 1}")
        outside: Callable[[str, int], bool] = lambda buffer, offset: offset + step.size > sizes[buffer]  # noqa: E731
        for used, buffer, offset, key in (
            (step.kind in READS, step.source, step.source_offset, "srcoff"),
            (step.kind in STORES, step.target, step.target_offset, "dstoff"),
        ):
            if used and outside(buffer, offset):
                self.refuse(f"{where}: {key} = {offset}, cnt = {step.size}: buffer {buffer} has {sizes[buffer]} chunks")
