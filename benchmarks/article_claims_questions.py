"""What is asked to examine the article's claims: which clusters, sizes, algorithms and changes of constants.

Apart from the page so that it can be read whole: what a number on docs/article_claims.md means is decided here. Nothing
is simulated here; `Ask` answers a question with a row of the table, and the search for a factor only asks.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

from ringsim import fabric as fabrics
from ringsim.fabric import Fabric, Protocol
from ringsim.study import Question
from sweep import Row

Ask = Callable[[Question], Row]

#: "A thousand-card all-reduce in under 7 us."
TARGET_US = 7.0
CARDS, SIZES = 1024, (8, 2**10, 2**16, 2**20, 2**26, 2**30)

SLOW, FAST = "hccs", "nvlink3"
FABRICS = (SLOW, FAST, "nvlink4", "nvlink3-a800", "nvlink4-h800", "infinity-fabric", "hccs-910c")

#: "Ten thousand" and "thirty thousand" as whole leaves of whole nodes on every network here: codes on clusters with a
#: ragged end take too long to simulate. Without codes the round numbers are asked as well.
SCALES = (CARDS, 10_240, 30_720)
ROUND = (10_000, 30_000)


def joined(*names: str) -> str:
    """Several algorithms of which the fastest counts, in a form that a question can hold."""
    return "+".join(names)


# -- the first claim -----------------------------------------------------------------------------------------

#: Cards of the picture, and what is tried of 8 bytes there: no more than can be laid over 30,720 cards.
GROWING = (2, 8, 16, 64, 256, *SCALES)
FEW_STEPS = (
    "auto", "hierarchical-recursive-doubling", "hierarchical-one-shot-2", "hierarchical-one-shot-3",
    "hierarchical-two-shot-3", "in-switch",
)  # fmt: skip

#: Up to so many cards everybody can send to everybody.
ALL_PAIRS = 64

#: In a single domain every hierarchy is a two-shot.
ONE_DOMAIN = joined("one-shot", "two-shot", "tree")

_STEPS = ("step_scale_up", "step_network", "send_overhead", "slice_overhead", "message_gap")
_LATENCIES = {"domain": ("latency",), "nic": ("latency",), "network": ("switch_latency",)}
_LIMITS = ("channel_cap", "limit_scale_up", "limit_network", "reduce_bandwidth", "copy_bandwidth")
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
    factors = {"startup": startup} | dict.fromkeys(_STEPS, steps)
    found = []
    for place, protocol in _protocols(sheet(fabric)):
        for key, factor in factors.items():
            value = getattr(protocol, key)
            if value and factor != 1:
                found.append(f"{place}.{key}={value * factor * 1e6!r}us")
    for part, keys in _LATENCIES.items():
        for key in keys:
            if links != 1:
                found.append(f"{part}.{key}={getattr(getattr(sheet(fabric), part), key) * links * 1e6!r}us")
    return tuple(found)


def unlimited(fabric: str) -> tuple[str, ...]:
    """Changes that make every link and every limit so fast that bytes cost nothing."""
    found = [f"{key}=1e9GB/s" for key in _RATES]
    for place, protocol in _protocols(sheet(fabric)):
        found += [f"{place}.{key}=inf" for key in _LIMITS if getattr(protocol, key) != float("inf")]
    return tuple(found)


def _protocols(fabric: Fabric) -> Iterator[tuple[str, Protocol]]:
    """Every table of protocol constants, by the place that a change names."""
    for name, family in fabric.protocols.items():
        yield f"protocol.{name}", family.base
        for algorithm, own in family.overrides.items():
            yield f"protocol.{name}.{algorithm}", own


#: Columns of what remains if something cost nothing.
FREE = {
    "start-up": waiting(FAST, startup=0),
    "software steps": waiting(FAST, steps=0),
    "both": waiting(FAST, startup=0, steps=0),
    "everything but bytes": waiting(FAST, 0, 0, 0),
    "bytes": unlimited(FAST),
}  # fmt: skip


def small(size: int, algorithm: str = "all", changes: tuple[str, ...] = (), domain: str | None = None) -> Question:
    """One all-reduce of a thousand A100; `domain` is ``"all"`` for one NVLink domain of them."""
    return Question(FAST, CARDS, size, algorithm=algorithm, changes=changes, domain=domain)


def growing(fabric: str, cards: int, domain: str | None = None) -> Question:
    """Eight bytes on so many cards."""
    names = ONE_DOMAIN if domain else joined(*FEW_STEPS, *(("one-shot",) if cards <= ALL_PAIRS else ()))
    return Question(fabric, cards, SIZES[0], algorithm=names, domain=domain)


def one_domain_cards() -> tuple[int, ...]:
    """Cards of the picture that fit into a domain that is one switch: beyond, one-shot has too many rows."""
    return tuple(cards for cards in GROWING if cards <= CARDS)


#: What is searched for: factors of start-up and of everything else that waits, given one number.
SEARCHES: dict[str, Callable[[float], tuple[str, ...]]] = {
    "everything": lambda factor: waiting(FAST, factor, factor, factor),
    "all but start-up": lambda factor: waiting(FAST, 1, factor, factor),
}


def factor(
    ask: Ask, size: int, scaled: Callable[[float], tuple[str, ...]], algorithm: str = "all", domain: str | None = None
) -> tuple[float, Row] | None:
    """Find by which factor everything that waits must shrink for an all-reduce to take `TARGET_US`.

    Time grows with the factor, nearly along a straight line while one algorithm is fastest, so the straight line between
    the ends is followed, and the end that stays is weighed half as much each time (the Illinois rule).

    Returns
    -------
    (float, Row) or None
        The factor and what is simulated with it, within half a per cent of the target; 1 where nothing need shrink, None
        where not even 0 is enough.
    """

    def at(f: float) -> Row:
        return ask(small(size, algorithm, scaled(f), domain))

    low, below = 0.0, at(0.0)["time_us"] - TARGET_US
    if below >= 0:
        return None
    high, row = 1.0, ask(small(size, algorithm, (), domain))
    above = row["time_us"] - TARGET_US
    while above > 0:
        # Four digits are more than anybody knows, and make the changes readable.
        f = float(f"{(low * above - high * below) / (above - below):.4g}")
        if f in (low, high):
            f = (low + high) / 2
        row = at(f)
        off = row["time_us"] - TARGET_US
        if abs(off) < 0.005 * TARGET_US:
            return f, row
        if off < 0:
            low, below, above = f, off, above / 2
        else:
            high, above, below = f, off, below / 2
    return high, row


# -- the second claim ----------------------------------------------------------------------------------------

MODEL, DTYPE, CODEC = "llama-3-8b", "bfloat16", "int8"
WAYS = ("one ring", "neither", "topology", "compression", "both")

#: Beyond ring and tree, with and without codes, where not everything can be tried. Most is `CODED` on 30,720 cards.
MORE = joined("hierarchical-two-shot-2", "hierarchical-two-shot-3", "hierarchical-halving-doubling", "hierarchical-nhr")
MANY = joined("hierarchical-two-shot-3", "hierarchical-nhr", "in-switch")
CODED = {CARDS: MORE, SCALES[1]: joined("hierarchical-two-shot-3", "hierarchical-nhr"), SCALES[2]: "hierarchical-nhr"}

#: Ring and tree where both can be simulated. Two domains of 768 and 256 dies that share rings take minutes.
DEFAULT = dict.fromkeys(FABRICS, "auto") | {"hccs-910c": "tree"}

#: What else a gradient could be compressed with; what a code loses is sent later with error feedback.
CODECS = (CODEC, "fp8", f"error_feedback({CODEC})", "error_feedback(topk:0.01)")


def step(
    fabric: str, cards: int, way: str, codec: str = CODEC, changes: tuple[str, ...] = (), placement: str | None = None
) -> Question | None:
    """The all-reduce of one step of training; None where it would take too long to simulate.

    Parameters
    ----------
    fabric : str
    cards : int
    way : str
        One of `WAYS`. With ``topology`` and ``both`` the library's defaults count as well: whoever tunes keeps them where
        they are faster.
    codec : str
        Of the two ways that compress.
    changes, placement
        As in `Question`.
    """
    whole = cards == CARDS or fabric != "hccs-910c"
    compress = codec if way in ("compression", "both") else "none"
    if not whole or (way == "compression" and (cards > SCALES[1] or (cards > CARDS and fabric not in (SLOW, FAST)))):
        return None
    if way == "topology":
        most = "all" if fabric != "hccs-910c" and placement is None else MORE
        algorithm = most if cards == CARDS else MANY
    else:
        algorithm = {"one ring": "ring", "both": CODED.get(cards, "")}.get(way, DEFAULT[fabric])
    return Question(
        fabric, cards, algorithm=algorithm, rings=1 if way == "one ring" else None, model=MODEL, dtype=DTYPE,
        compress=compress, changes=changes, placement=placement,
    )  # fmt: skip


def best(ask: Ask, fabric: str, cards: int, way: str, **more: object) -> Row | None:
    """The row of a way to do it, the faster one of library default and of what else was tried."""
    tried = {"topology": ("neither", "topology"), "both": ("compression", "both")}.get(way, (way,))
    questions = [step(fabric, cards, one, **more) for one in tried]  # type: ignore[arg-type]
    return min((ask(q) for q in questions if q is not None), key=lambda row: row["time_us"], default=None)


#: What is uncertain about hccs and can be asked again: words, changes and placement.
DOUBTS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "as it is": ((), None),
    "60 us for each step between nodes, as HCCL's own choice of algorithms reckons": (
        ("protocol.hccl.step_network=60us",), None,
    ),
    "encoding and decoding twice as dear": (
        (f"card.memory_bandwidth={sheet(SLOW).card.memory_bandwidth / 2!r}B/s",), None,
    ),
    "ranks dealt out to the nodes in turn": ((), "round-robin"),
}  # fmt: skip


def everything() -> Iterator[Question]:
    """Every question but those that a search comes upon, clusters together."""
    for size in SIZES:
        yield from (small(size, algorithm) for algorithm in ("ring", "tree", "all"))
        yield from (small(size, "all", changes) for changes in FREE.values())
    yield small(SIZES[-1], "tree", FREE["everything but bytes"])
    yield from (small(size, ONE_DOMAIN, (), "all") for size in SIZES)
    yield from (growing(FAST, cards, "all") for cards in one_domain_cards())
    yield from (growing(fabric, cards) for fabric in (SLOW, FAST) for cards in GROWING)
    for fabric in FABRICS:
        asked = [step(fabric, cards, way) for cards in SCALES for way in WAYS]
        if fabric in (SLOW, FAST):
            asked += [step(fabric, CARDS, way, codec) for codec in CODECS[1:] for way in ("compression", "both")]
            asked += [step(fabric, cards, "neither") for cards in ROUND]
        if fabric == SLOW:
            asked += [step(SLOW, CARDS, way, CODEC, *doubt) for doubt in DOUBTS.values() for way in WAYS[1:]]
        yield from (question for question in asked if question is not None)
