"""Changes to a data sheet that scale what an all-reduce waits for, or take away what its bytes cost."""

from collections.abc import Iterator
from functools import lru_cache

from ringsim import fabric as fabrics
from ringsim.fabric import Fabric, Protocol

#: Constants of a protocol that are times of software, but for its start-up; and those that are rates.
STEPS = ("step_scale_up", "step_network", "send_overhead", "slice_overhead", "message_gap")
LIMITS = ("channel_cap", "limit_scale_up", "limit_network", "reduce_bandwidth", "copy_bandwidth")
_RATES = ("domain.lane_bandwidth", "nic.bandwidth", "nic.host_bandwidth")


@lru_cache
def sheet(fabric: str) -> Fabric:
    """The data sheet of a shipped fabric as it is."""
    return fabrics.load(fabric)


def waiting(fabric: str, startup: float = 1.0, steps: float = 1.0, links: float = 1.0) -> tuple[str, ...]:
    """Changes that multiply everything that does not depend on bytes.

    Parameters
    ----------
    fabric : str
    startup : float
        Factor of every protocol's start-up.
    steps : float
        Of its software steps, overheads, and gaps between messages.
    links : float
        Of the latencies of links, switches and NICs.
    """
    factors = {"startup": startup} | dict.fromkeys(STEPS, steps)
    own = sheet(fabric)
    values = {
        f"{place}.{key}": (getattr(protocol, key), factor)
        for place, protocol in _protocols(own)
        for key, factor in factors.items()
    }
    values |= {"domain.latency": (own.domain.latency, links), "nic.latency": (own.nic.latency, links)}
    values["network.switch_latency"] = own.network.switch_latency, links
    return tuple(f"{key}={v * factor * 1e6:.9g}us" for key, (v, factor) in values.items() if v and factor != 1)


def unlimited(fabric: str) -> tuple[str, ...]:
    """Changes that make every link and every limit so fast that bytes cost nothing."""
    found = [f"{key}=1e9GB/s" for key in _RATES]
    for place, protocol in _protocols(sheet(fabric)):
        found += [f"{place}.{key}=inf" for key in LIMITS if getattr(protocol, key) != float("inf")]
    return tuple(found)


def _protocols(fabric: Fabric) -> Iterator[tuple[str, Protocol]]:
    """Every table of protocol constants, by the place that a change names."""
    for name, family in fabric.protocols.items():
        yield f"protocol.{name}", family.base
        for algorithm, own in family.overrides.items():
            yield f"protocol.{name}.{algorithm}", own
