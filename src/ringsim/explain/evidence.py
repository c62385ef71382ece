"""Sentences that say what was seen in a run and speaks for a cause, each with the numbers it stands on."""

import numpy as np
from numpy.typing import NDArray

from ringsim.explain import naming
from ringsim.explain.subject import Subject
from ringsim.report import WORDS
from ringsim.topology import (
    CARD_NIC,
    CORE_SPINE,
    DOWN,
    LANE,
    LEAF_LEAF,
    LEAF_NIC,
    LEAF_SPINE,
    LINK,
    LINK_KINDS,
    NIC_CARD,
    NIC_LEAF,
    SPINE_CORE,
    SPINE_LEAF,
    UP,
)
from ringsim.units import format_rate, format_time
from ringsim.writing import share

#: Kinds of links that people buy together.
SCALE_UP, HOST, PORTS = (UP, DOWN, LANE), (CARD_NIC, NIC_CARD), (NIC_LEAF, LEAF_NIC)
TRUNKS = (LEAF_SPINE, SPINE_LEAF, SPINE_CORE, CORE_SPINE, LEAF_LEAF)

#: Parts of the time that a codec takes.
CODING = ("encoding and decoding", "waiting for a card's memory")

#: Busy parts of links that differ by less than this are the same to whoever reads them.
ALIKE = 5e-4


def of_kinds(subject: Subject, kinds: tuple[int, ...]) -> NDArray[np.int64]:
    """Links of some kinds."""
    return np.flatnonzero(np.isin(subject.topology.kind, kinds))


def used(subject: Subject, kinds: tuple[int, ...]) -> bool:
    """Whether anything was sent over links of these kinds."""
    return bool(subject.busy[of_kinds(subject, kinds)].any())


def busiest(subject: Subject, kinds: tuple[int, ...]) -> str:
    """Say which link of some kinds was busiest, and how many were as busy."""
    links = of_kinds(subject, kinds)
    top = int(links[subject.busy[links].argmax()])
    alike = int((subject.busy[links] >= subject.busy[top] - ALIKE).sum()) - 1
    others = f", {alike:,} more as much" if alike else ""
    return (
        f"the busiest of the {WORDS[LINK_KINDS[subject.topology.kind[top]]]}, {naming.link(subject.topology, top)}, "
        f"is kept busy {share(float(subject.busy[top]))} of the time{others}"
    )


def trunks(subject: Subject) -> str:
    """Compare the cables between switches with the ports of NICs."""
    down, up = subject.topology.ports
    ports = f"a leaf has {down} ports down and {up} up, {down / up:.3g}:1; " if down > up > 0 else ""
    nics = subject.busy[of_kinds(subject, PORTS)].max(initial=0.0)
    return f"{ports}{busiest(subject, TRUNKS)}, NIC ports {share(float(nics))} at most"


def hashed(subject: Subject) -> str:
    """Compare the busiest cable between switches with the others."""
    links = of_kinds(subject, TRUNKS)
    mean = float(subject.busy[links].mean())
    return f"a hash keeps each connection on one cable: {busiest(subject, TRUNKS)}, the average one {share(mean)}"


def everything(subject: Subject) -> str:
    """Say how busy the busiest link of each kind is."""
    kinds = {
        "scale-up links": SCALE_UP,
        "NIC ports": PORTS,
        "cables between switches": TRUNKS,
        "host links": HOST,
        "links": (LINK,),
    }
    tops = {name: subject.busy[of_kinds(subject, group)].max(initial=0.0) for name, group in kinds.items()}
    busy = ", ".join(f"{name} {share(float(top))}" for name, top in tops.items() if top)
    return f"kept busy, the busiest of each: {busy}"


def channels(subject: Subject, most: int) -> str:
    """Count links that carry nothing."""
    found = []
    for kinds, names in ((SCALE_UP, "scale-up links"), (PORTS, "NIC ports")):
        links = of_kinds(subject, kinds)
        busy = int((subject.busy[links] > 0).sum())
        if len(links):
            found.append(f"{busy:,} of the {len(links):,} {names}")
    count = subject.case.channels
    return (
        f"{count} of {most} possible channels {'uses' if count == 1 else 'use'} {' and '.join(found)}, the others idle"
    )


def latency(subject: Subject) -> str:
    """Count the messages that follow one another, and say what each costs beside sending."""
    path = subject.path
    messages = int((path.delivered & subject.rows.sends[path.row]).sum())
    spent = path.taking("latency of links", "software steps")
    sending = path.taking("sending", "gap between messages", "waiting for shared links") / path.total.sum()
    each = f"{format_time(spent / max(1, messages))} of latency and software"
    chain = f"1 message, {each}" if messages == 1 else f"{messages:,} messages one after the other, each {each}"
    return f"{chain}; sending is {share(float(sending))} of the time"


def limits(subject: Subject, stated: dict[str, float]) -> str:
    """Name what the protocol carries at most."""
    rates = ", ".join(f"{name} = {format_rate(rate)}" for name, rate in stated.items())
    sending = subject.path.taking("sending", "waiting for shared links") / subject.path.total.sum()
    return f"{subject.case.protocol} has limits of its own ({rates}); sending is {share(float(sending))} of the time"


def gap(subject: Subject) -> str:
    """Compare the gap between messages with what they take to send."""
    program, pause = subject.program, subject.protocol.message_gap
    short = paused(subject)
    assert program.padding is not None
    longest = float(((program.bytes - program.padding) / program.top_rate())[short].max(initial=0.0))
    sent = format_time(longest) if longest >= 1e-9 else "1ns"
    return (
        f"a card sends a message to other nodes every {format_time(pause)} at most, and {int(short.sum()):,} connections "
        f"have messages that would take {sent} or less"
    )


def paused(subject: Subject) -> NDArray[np.bool_]:
    """Rows whose messages are shorter than the gap between two of them."""
    padding = subject.program.padding
    return subject.rows.sends & (padding > 0) if padding is not None else np.zeros(subject.program.rows, bool)


def memory(subject: Subject) -> str:
    """Say how busy the memories of cards are with encoding and decoding."""
    busy = subject.busy[subject.program.memory :]
    part = subject.path.taking(*CODING) / subject.path.total.sum()
    rate = format_rate(subject.sheet.card.memory_bandwidth)
    return (
        f"the busiest memory of a card, at {rate}, encodes and decodes {share(float(busy.max()))} of the time, and the "
        f"critical path waits for it {share(float(part))}"
    )


def codec(subject: Subject) -> str:
    """Say what the codec makes of the vector, and what of the sum."""
    best, part = subject.answer.best, subject.path.taking(*CODING) / subject.path.total.sum()
    error = "" if best.error is None else f", and the sum is off by {share(best.error)}"
    work = f"{share(float(part))} of the time" if subject.rows.works.any() else "free"
    return f"{best.case.compress}: {best.ratio:,.4g} bytes become one; encoding and decoding are {work}{error}"


def reducing(subject: Subject) -> str:
    """Say how much of the critical path is spent on adding."""
    part = subject.path.taking("reducing") / subject.path.total.sum()
    rate = format_rate(subject.protocol.reduce_bandwidth)
    return f"adding what arrived takes {share(float(part))} of the time, at {rate}"


def slow(subject: Subject, links: NDArray[np.int64], typical: NDArray[np.float64]) -> str:
    """Say which link is slower than most of its kind, the busiest of several."""
    topology = subject.topology
    first = int(np.lexsort((topology.bandwidth[links] / typical, -subject.busy[links]))[0])
    worst = int(links[first])
    own, busy = format_rate(float(topology.bandwidth[worst])), float(subject.busy[worst])
    does = f"it is kept busy {share(busy)} of the time" if busy else "what would go over it goes another way"
    siblings = int((topology.kind == topology.kind[worst]).sum()) - 1
    more = f"; {len(links):,} links are slower than most" if len(links) > 2 else ""
    return (
        f"{naming.link(topology, worst)} has {own}, most of its {siblings:,} siblings {format_rate(float(typical[first]))} "
        f"or more; {does}{more}"
    )
