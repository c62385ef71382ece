"""What might help: one number of the data sheet, or one choice of the plan, made better, everything else kept.

Each change is a whole question, so that what it would bring is simulated like anything else, and whoever doubts it can
ask the question himself.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ringsim.catalogue import GATHER
from ringsim.explain import evidence
from ringsim.explain.evidence import HOST, PORTS, SCALE_UP, TRUNKS, used
from ringsim.explain.subject import Subject
from ringsim.question import Question
from ringsim.units import format_rate, format_time, parse_rate, parse_time

#: Keys of a protocol that are times, and those that are limits.
TIMES = ("startup", "step_scale_up", "step_network", "send_overhead", "slice_overhead")
LIMITS = ("channel_cap", "limit_scale_up", "limit_network", "copy_bandwidth")


@dataclass(frozen=True)
class Change:
    """Something that could be better.

    Attributes
    ----------
    what : str
        In words.
    question : Question
        The one that is explained, with the change.
    evidence : str
        What was seen in the run that speaks for it.
    improves : set of int
        Kinds of links that become faster or less busy; empty for what is not about links.
    partly : bool
        Whether these are improved only somewhere, or only used better.
    """

    what: str
    question: Question
    evidence: str
    improves: frozenset[int] = frozenset()
    partly: bool = False

    def within(self, other: "Change") -> bool:
        """Whether the other change improves everything that this one does, and more."""
        if self.improves == other.improves:
            return self.partly and not other.partly
        return bool(self.improves) and self.improves < other.improves


def changes(subject: Subject) -> Iterator[Change]:
    """List what could be changed in a cluster that is laid out from a data sheet."""
    yield from more_channels(subject)
    yield from _links(subject)
    yield from _network(subject)
    yield from faster_library(subject)
    yield from coding(subject)
    lanes, nics = _doubled_lanes(subject), _doubled_nics(subject)
    if lanes and nics:
        question = changed(subject.question, lanes | nics)
        every = frozenset((*SCALE_UP, *HOST, *PORTS, *TRUNKS))
        yield Change("all links twice as fast", question, evidence.everything(subject), every)
    halved = _halved_hardware(subject) | halved_software(subject)
    if halved:
        question = changed(subject.question, halved)
        yield Change("all latencies and software steps halved", question, evidence.latency(subject))


def changed(question: Question, values: Mapping[str, str]) -> Question:
    """Change numbers of the fabric; what was changed before and is changed again is said once."""
    kept = [change for change in question.changes if change.partition("=")[0].strip() not in values]
    # A start-up that is given has what launching adds in it already.
    launch = None if any(key.endswith(".startup") for key in values) else question.launch
    return replace(question, launch=launch, changes=(*kept, *(f"{key}={value}" for key, value in values.items())))


def rate(value: float) -> str:
    """Write a rate so that it is read back as it is, or nearly."""
    text = format_rate(value)
    return text if parse_rate(text) == value else f"{value / 1e9:.12g}GB/s"


def duration(value: float) -> str:
    """Write a time so that it is read back as it is, or nearly."""
    text = format_time(value)
    return text if parse_time(text) == value else f"{value * 1e6:.12g}us"


# -- the plan ------------------------------------------------------------------------------------------------


def more_channels(subject: Subject) -> Iterator[Change]:
    """Use all channels there is room for."""
    most = subject.algorithm.channels(subject.topology)
    if subject.case.channels < most:
        question = replace(subject.question, rings=most)
        what = f"all {most} channels used"
        yield Change(what, question, evidence.channels(subject, most), frozenset(SCALE_UP), partly=True)


def faster_library(subject: Subject) -> Iterator[Change]:
    """Raise what the protocol itself carries, posts and adds at most."""
    protocol = subject.protocol
    stated = {key: getattr(protocol, key) for key in LIMITS if math.isfinite(getattr(protocol, key))}
    if stated:
        values = {_key(subject, key): rate(2 * limit) for key, limit in stated.items()}
        question = changed(subject.question, values)
        yield Change("the protocol's limits doubled", question, evidence.limits(subject, stated))
    if evidence.paused(subject).any():
        question = changed(subject.question, {_key(subject, "message_gap"): duration(protocol.message_gap / 2)})
        yield Change("twice as many messages a second", question, evidence.gap(subject))
    if math.isfinite(protocol.reduce_bandwidth) and subject.program.work.any():
        question = changed(subject.question, {_key(subject, "reduce_bandwidth"): rate(2 * protocol.reduce_bandwidth)})
        yield Change("reducing twice as fast", question, evidence.reducing(subject))


def coding(subject: Subject) -> Iterator[Change]:
    """Work faster on codes, or do without them."""
    if subject.codec is None:
        return
    if subject.rows.works.any():
        memory = {"card.memory_bandwidth": rate(2 * subject.sheet.card.memory_bandwidth)}
        yield Change("card memory twice as fast", changed(subject.question, memory), evidence.memory(subject))
    without = replace(subject.question, compress="none")
    if subject.case.algorithm.startswith(GATHER):
        # Nothing but codes is gathered to be added.
        without = replace(without, algorithm="auto", rings=None, slices=None, chunks=None)
    yield Change("no codec", without, evidence.codec(subject))


def halved_software(subject: Subject) -> dict[str, str]:
    """Halve the times that a protocol takes."""
    times = {key: getattr(subject.protocol, key) for key in TIMES}
    return {_key(subject, key): duration(time / 2) for key, time in times.items() if time}


def _key(subject: Subject, key: str) -> str:
    """Where a protocol's number has to be changed so that this algorithm sees it."""
    name, algorithm = subject.case.protocol, subject.case.algorithm.removeprefix(GATHER)
    place = f"{name}.{algorithm}" if algorithm in subject.sheet.protocols[name].overrides else name
    return f"protocol.{place}.{key}"


# -- the hardware --------------------------------------------------------------------------------------------


def _links(subject: Subject) -> Iterator[Change]:
    """Double the links inside nodes, the NICs, and what joins NICs to cards."""
    lanes, nics = _doubled_lanes(subject), _doubled_nics(subject)
    if lanes:
        seen = evidence.busiest(subject, SCALE_UP)
        yield Change("scale-up links twice as fast", changed(subject.question, lanes), seen, frozenset(SCALE_UP))
    if nics:
        bus = {"nic.host_bandwidth": rate(2 * subject.sheet.nic.host_bandwidth)}
        what = f"NICs, {'their buses ' if bus.items() <= nics.items() else ''}and the network's cables twice as fast"
        improves = frozenset((*HOST, *PORTS, *TRUNKS))
        yield Change(what, changed(subject.question, nics), evidence.busiest(subject, PORTS), improves)
        question, what = changed(subject.question, bus), "buses between cards and NICs twice as fast"
        yield Change(what, question, evidence.busiest(subject, HOST), frozenset(HOST))


def _doubled_lanes(subject: Subject) -> dict[str, str]:
    """Double what cards have inside their node; nothing where that is not used."""
    doubled = rate(2 * subject.sheet.domain.lane_bandwidth)
    return {"domain.lane_bandwidth": doubled} if used(subject, SCALE_UP) else {}


def _doubled_nics(subject: Subject) -> dict[str, str]:
    """Double what cards have between nodes, and the network with it, whose cables are as fast as NICs."""
    nic = subject.sheet.nic
    if not used(subject, PORTS):
        return {}
    values = {"nic.bandwidth": rate(2 * nic.bandwidth)}
    if nic.host_bandwidth < 2 * nic.bandwidth * nic.efficiency:
        # Otherwise the new NIC would wait for its own card.
        values["nic.host_bandwidth"] = rate(2 * nic.host_bandwidth)
    return values


def _network(subject: Subject) -> Iterator[Change]:
    """Widen what joins the switches, or spread what goes over it."""
    network = subject.sheet.network
    if not used(subject, TRUNKS):
        return
    for key, tier in (("oversubscription", "leaf"), ("spine_oversubscription", "spine")):
        over = getattr(network, key)
        if over is not None and over > 1:
            better = max(1.0, over / 2)
            question = changed(subject.question, {f"network.{key}": f"{better:.12g}"})
            what = f"cables above each {tier} from {over:.3g}:1 to {better:.3g}:1"
            yield Change(what, question, evidence.trunks(subject), frozenset(TRUNKS))
    if network.links is not None:
        # Routers need ports for them, as many again to each of their neighbours.
        ports = network.radix + 2 * len(subject.topology.network_shape) * network.links
        values = {"network.links": str(2 * network.links), "network.radix": str(ports)}
        question = changed(subject.question, values)
        yield Change("twice as many cables between neighbours", question, evidence.trunks(subject), frozenset(TRUNKS))
    if network.global_links is not None and network.nics_per_switch and network.group_switches:
        ports = network.nics_per_switch + network.group_switches - 1 + 2 * network.global_links
        values = {"network.global_links": str(2 * network.global_links)}
        if ports > network.radix:
            values["network.radix"] = str(ports)
        question = changed(subject.question, values)
        yield Change("twice as many cables between groups", question, evidence.trunks(subject), frozenset(TRUNKS))
    if network.routing == "hash":
        question = changed(subject.question, {"network.routing": "spread"})
        what = "traffic spread over equal paths"
        yield Change(what, question, evidence.hashed(subject), frozenset(TRUNKS), partly=True)


def _halved_hardware(subject: Subject) -> dict[str, str]:
    """Halve the latencies of links, switches and NICs that are in use."""
    sheet = subject.sheet
    times = {}
    if used(subject, SCALE_UP):
        times["domain.latency"] = sheet.domain.latency
    if used(subject, HOST):
        times |= {"nic.latency": sheet.nic.latency, "network.switch_latency": sheet.network.switch_latency}
    return {key: duration(time / 2) for key, time in times.items() if time}
