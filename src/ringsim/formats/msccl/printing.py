"""An algorithm as MSCCL's XML, with everything that a runtime asks for."""

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from ringsim.formats.msccl.algo import Algo


def print_xml(algo: Algo) -> Iterator[str]:
    """The lines of the file; every attribute that a runtime or another tool reads is there."""
    yield (
        f'<algo name={quoteattr(algo.name)} proto={quoteattr(algo.protocol)} nchannels="{algo.channels}" '
        f'nchunksperloop="{algo.chunks}" ngpus="{len(algo.gpus)}" coll={quoteattr(algo.collective)} '
        f'inplace="{algo.in_place:d}" outofplace="{algo.out_of_place:d}" '
        f'minBytes="{algo.min_bytes}" maxBytes="{algo.max_bytes}">\n'
    )
    for number, gpu in enumerate(algo.gpus):
        yield f'  <gpu id="{number}" i_chunks="{gpu.inputs}" o_chunks="{gpu.outputs}" s_chunks="{gpu.scratch}">\n'
        for block in gpu.blocks:
            yield f'    <tb id="{block.id}" send="{block.send}" recv="{block.receive}" chan="{block.channel}">\n'
            for s, step in enumerate(block.steps):
                yield (
                    f'      <step s="{s}" type="{step.kind}" srcbuf="{step.source}" srcoff="{step.source_offset}" '
                    f'dstbuf="{step.target}" dstoff="{step.target_offset}" cnt="{step.size}" '
                    f'depid="{step.waits_block}" deps="{step.waits_step}" hasdep="{step.awaited:d}"/>\n'
                )
            yield "    </tb>\n"
        yield "  </gpu>\n"
    yield "</algo>\n"
