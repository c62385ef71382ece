"""Steps get their numbers, their chunks and their words: what MSCCL's XML says of them."""

import numpy as np

from ringsim.formats.msccl.algo import Block, Gpu, Step
from ringsim.formats.msccl.plan import Deps, Order, Plan
from ringsim.schedule import Ints
from ringsim.values.waits import Bools


def gpus(plan: Plan, onward: Ints, forgets: Ints, order: Order, deps: Deps) -> tuple[Gpu, ...]:
    """Write out the blocks of all gpus.

    Parameters
    ----------
    plan : Plan
    onward : int array, shape ``[runs]``
        The run as which each is sent on in the same step, −1 where it is not.
    forgets : int array
        Runs that are added and sent on without being stored.
    order : Order
    deps : Deps
    """
    found = plan.found
    steps = _Steps(plan, onward, forgets)
    stands = np.flatnonzero(order.block >= 0)
    stands = stands[np.lexsort((order.place[stands], order.block[stands]))]
    blocks = int(order.block.max(initial=-1)) + 1

    # A step with several waits has a `nop` before it for each but the last, and these are counted.
    many = np.bincount(deps.waiting, minlength=len(order.block))
    begins = np.searchsorted(order.block[stands], np.arange(blocks + 1))
    ends = np.cumsum(np.maximum(many, 1)[stands])
    number = np.full(len(order.block), -1)
    number[stands] = ends - 1 - np.concatenate([[0], ends])[begins[order.block[stands]]]

    block_gpu = plan.gpu[stands[begins[:-1]]]
    block_id = np.arange(blocks) - np.searchsorted(block_gpu, block_gpu)
    awaited = np.zeros(len(order.block), bool)
    awaited[deps.awaited] = True
    by_waiting = np.lexsort((order.place[deps.awaited], order.block[deps.awaited], deps.waiting))
    offsets = np.searchsorted(deps.waiting[by_waiting], np.arange(len(order.block) + 1)).tolist()
    on = deps.awaited[by_waiting]
    waits = list(zip(block_id[order.block[on]].tolist(), number[on].tolist(), strict=True))

    gpu_blocks: list[list[Block]] = [[] for _ in range(found.schedule.ranks)]
    said, nodes = awaited.tolist(), stands.tolist()
    for b, (low, high) in enumerate(zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True)):
        listed = list[Step]()
        for node in nodes[low:high]:
            here = waits[offsets[node] : offsets[node + 1]] or [(-1, -1)]
            listed += [Step("nop", "i", -1, "o", -1, 0, *wait) for wait in here[:-1]]
            listed.append(Step(*steps.data(node), *here[-1], said[node]))
        gpu_blocks[int(block_gpu[b])].append(Block(int(block_id[b]), *steps.ends(nodes[low:high]), tuple(listed)))
    size = found.schedule.units
    inputs, outputs = (0, size) if steps.main == "o" else (size, 0)
    return tuple(Gpu(inputs, outputs, steps.scratch[gpu], tuple(listed)) for gpu, listed in enumerate(gpu_blocks))


class _Steps:
    """What each step does."""

    def __init__(self, plan: Plan, onward: Ints, forgets: Ints) -> None:
        found = plan.found
        self.main = "o" if found.collective == "allgather" else "i"
        self.runs, self.aside, self.packs = len(found), plan.apart.run.tolist(), plan.packs.tolist()
        came_as = np.full(len(found), -1)
        came_as[onward[onward >= 0]] = np.flatnonzero(onward >= 0)
        stores = np.ones(len(found), bool)
        stores[forgets] = False
        put, used = _offsets(found.target, found.count, plan.apart.here, np.zeros(found.schedule.ranks, np.int64))
        packed, used = _offsets(found.source, found.count, found.packed, used)
        columns = (found.start, found.count, found.size[found.event], found.adds, put, packed, came_as, stores)
        self.start, self.count, self.size, self.adds, self.put, self.packed, self.came_as, self.stores = (
            column.tolist() for column in columns
        )
        self.scratch = used.tolist()
        self.channel = found.schedule.channel[found.row].tolist()
        self.source, self.target = found.source.tolist(), found.target.tolist()

    def data(self, node: int) -> tuple[str, str, int, str, int, int]:
        """Kind, source buffer and offset, target buffer and offset, and count."""
        main, runs = self.main, self.runs
        if node < runs:
            come = self.came_as[node]
            kind = "s" if come < 0 else "rcs" if not self.adds[come] else "rrcs" if self.stores[come] else "rrs"
            source = ("s", self.packed[node]) if self.packed[node] >= 0 else (main, self.start[node])
            # Where a message goes is said by the step that receives it; others say it here, too.
            target = ("s", self.put[node]) if kind == "s" and self.put[node] >= 0 else (main, self.start[node])
            return kind, *source, *target, self.size[node]
        if node < 2 * runs:
            run = node - runs
            here = main, self.start[run]
            if self.put[run] >= 0:
                return "r", *here, "s", self.put[run], self.size[run]
            return "rrc" if self.adds[run] else "r", *here, *here, self.count[run]
        if node < 2 * runs + len(self.aside):
            run = self.aside[node - 2 * runs]
            return "re" if self.adds[run] else "cpy", "s", self.put[run], main, self.start[run], self.count[run]
        run = self.packs[node - 2 * runs - len(self.aside)]
        return "cpy", main, self.start[run], "s", self.packed[run], self.count[run]

    def ends(self, nodes: list[int]) -> tuple[int, int, int]:
        """Gpu that a block sends to, gpu that it receives from, and channel."""
        send, receive, channel = -1, -1, 0
        for node in nodes:
            run = node % self.runs if node < 2 * self.runs else -1
            if node < self.runs:
                send, channel = self.target[run], self.channel[run]
                receive = self.source[self.came_as[run]] if self.came_as[run] >= 0 else receive
            elif run >= 0:
                receive, channel = self.source[run], self.channel[run]
        return send, receive, channel


def _offsets(gpu: Ints, count: Ints, here: Bools, used: Ints) -> tuple[Ints, Ints]:
    """First scratch chunk of each run that is `here`, −1 for others, and the chunks that are then used on each gpu."""
    offset = np.full(len(gpu), -1)
    order = np.flatnonzero(here)
    order = order[np.argsort(gpu[order], kind="stable")]
    new = np.bincount(gpu[order], weights=count[order], minlength=len(used)).astype(np.int64)
    begins = np.cumsum(new) - new
    offset[order] = np.cumsum(count[order]) - count[order] - begins[gpu[order]] + used[gpu[order]]
    return offset, used + new
