"""What is asked to examine the article's claims: which clusters, sizes, algorithms and changes of constants.

Apart from the page so that it can be read whole: what a number on docs/article_claims.md means is decided here. Nothing
is simulated; `Ask` answers a question with a row of the table, and the search for a factor only asks.
"""

from collections.abc import Callable, Iterator
from typing import Any

from claims.changes import sheet, unlimited, waiting
from ringsim.break_even import GOOD
from ringsim.collectives import ALGORITHMS
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
    "auto", "hierarchical-recursive-doubling", "hierarchical-one-shot-3", "hierarchical-two-shot-3", "in-switch",
)  # fmt: skip

#: Up to so many cards everybody can send to everybody, in a node or between nodes.
ALL_PAIRS, PAIRED = 256, ("one-shot", "hierarchical-one-shot", "hierarchical-one-shot-2")

#: Every algorithm but those with a row for each pair of cards, which take longest to price and are nobody's best between
#: nodes.
EVERY = joined(*(name for name in ALGORITHMS if name not in ("one-shot", "two-shot")))

#: In a single domain every hierarchy is a two-shot.
ONE_DOMAIN = joined("one-shot", "two-shot", "tree")

#: What remains if something costs nothing: columns of the page, and what is changed.
FREE = {
    "no start-up": waiting(FAST, startup=0),
    "no software steps": waiting(FAST, steps=0),
    "neither": waiting(FAST, startup=0, steps=0),
    "bytes alone": waiting(FAST, 0, 0, 0),
    "no bytes": unlimited(FAST),
}


def small(size: int, algorithm: str = EVERY, changes: tuple[str, ...] = (), domain: str | None = None) -> Question:
    """One all-reduce of a thousand A100; `domain` is ``"all"`` for one NVLink domain of them."""
    return Question(FAST, CARDS, size, algorithm=algorithm, changes=changes, domain=domain)


def growing(fabric: str, cards: int, domain: str | None = None) -> Question:
    """Eight bytes on so many cards."""
    names = ONE_DOMAIN if domain else joined(*FEW_STEPS, *(PAIRED if cards <= ALL_PAIRS else ()))
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
    ask: Ask, size: int, scaled: Callable[[float], tuple[str, ...]], algorithm: str = EVERY, domain: str | None = None
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

#: What is tried beyond ring and tree: without codes where all algorithms would take too long, and with codes.
MORE = joined("hierarchical-two-shot-2", "hierarchical-two-shot-3")
MANY = joined("hierarchical-two-shot-3", "hierarchical-nhr", "in-switch")
CODED = {CARDS: MORE, SCALES[1]: joined("hierarchical-two-shot-3", "hierarchical-nhr"), SCALES[2]: "hierarchical-nhr"}

#: Two domains of 768 and 256 dies whose rings share NICs take minutes, so there a library's default is its tree.
UNEVEN = "hccs-910c"

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
        One of `WAYS`; ``topology`` and ``both`` without a library's defaults, which `best` adds.
    codec : str
        Of the two ways that compress.
    changes, placement
        As in `Question`.
    """
    large, coded = cards > CARDS, way in ("compression", "both")
    # Around large rings the errors of codes add up to more than anybody accepts.
    default = "tree" if fabric == UNEVEN or (large and coded) else "auto"
    if large and (fabric == UNEVEN or (way == "compression" and (cards > SCALES[1] or fabric not in (SLOW, FAST)))):
        return None
    # NCCL's protocol for large messages is quickest with so many bytes, and the others take as long to try.
    simple = large and way in ("topology", "both") and "Simple" in sheet(fabric).protocols
    every = MORE if fabric == UNEVEN or placement else EVERY
    algorithm = {
        "one ring": "ring", "neither": default, "topology": MANY if large else every, "compression": default,
        "both": CODED.get(cards, ""),
    }[way]  # fmt: skip
    return Question(
        fabric, cards, algorithm=algorithm, rings=1 if way == "one ring" else None, model=MODEL, dtype=DTYPE,
        protocol="Simple" if simple else "auto", compress=codec if coded else "none", changes=changes, placement=placement,
    )  # fmt: skip


def best(ask: Ask, fabric: str, cards: int, way: str, **more: Any) -> Row | None:
    """The row of a way to do it; None where it is not asked.

    Whoever looks for more keeps the default where that is faster. Of codes rather one that leaves a true sum counts.
    """
    tried = {"topology": ("neither", "topology"), "both": ("compression", "both")}.get(way, (way,))
    rows = [ask(q) for one in tried if (q := step(fabric, cards, one, **more)) is not None]
    return min(rows, key=lambda row: (not true(row), row["time_us"]), default=None)


def row_of(ask: Ask, fabric: str, cards: int, way: str, **more: Any) -> Row:
    """The row of a way that is always asked there."""
    row = best(ask, fabric, cards, way, **more)
    assert row is not None, (fabric, cards, way)
    return row


def true(row: Row) -> bool:
    """Whether a sum is as good as exact, as far as that is known: on large clusters it is not measured."""
    return row["error"] is None or row["error"] < GOOD


#: What is uncertain about hccs and can be asked again: words, changes and placement.
DEALT = "ranks are dealt out to the nodes in turn"
DOUBTS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "all is as it is": ((), None),
    "a step between nodes takes 60 us, as HCCL's own choice of algorithms reckons": (
        ("protocol.hccl.step_network=60us",), None,
    ),
    "encoding and decoding cost twice as much": (
        (f"card.memory_bandwidth={sheet(SLOW).card.memory_bandwidth / 2:.9g}B/s",), None,
    ),
    DEALT: ((), "round-robin"),
}  # fmt: skip


def everything() -> Iterator[Question]:
    """Every question but those that a search comes upon, clusters together."""
    for size in SIZES:
        yield from (small(size, algorithm) for algorithm in ("ring", "tree", EVERY))
        yield from (small(size, EVERY, changes) for changes in FREE.values())
    yield small(SIZES[-1], "tree", FREE["bytes alone"])
    yield from (small(size, ONE_DOMAIN, (), "all") for size in SIZES)
    yield from (growing(FAST, cards, "all") for cards in one_domain_cards())
    yield from (growing(fabric, cards) for fabric in (SLOW, FAST) for cards in GROWING)
    for fabric in FABRICS:
        asked = [step(fabric, cards, way) for cards in SCALES for way in WAYS]
        if fabric in (SLOW, FAST):
            asked += [step(fabric, CARDS, way, codec) for codec in CODECS[1:] for way in ("compression", "both")]
        if fabric == SLOW:
            asked += [step(SLOW, cards, "neither") for cards in ROUND]
            asked += [step(SLOW, CARDS, way, CODEC, *doubt) for doubt in DOUBTS.values() for way in WAYS[1:]]
        yield from (question for question in asked if question is not None)
