"""The verdict on the second claim, as comparisons.

"Needs" is taken at its word: an all-reduce is in the way where it takes longer than the computing that it can hide
under, so a fabric needs compression where without it the gradients of a step do not hide.
"""

from collections.abc import Iterator

from claims import questions as asked
from claims.computing import BACKWARD, BATCH, TOKENS, compute_seconds, exposed
from claims.machines import Machines
from claims.questions import CARDS, CODEC, FAST, SCALES, SLOW, WAYS, Ask, best, row_of, true
from claims.words import percent, time, times
from sweep import Row

#: Less is no difference between shared schedules (docs/design.md).
SAME = 1.005

#: Part of a step from which on it is worth a thought.
WORTH = 0.05


def verdict(ask: Ask, large: Machines | None) -> Iterator[str]:
    """Write it, line by line; `large` says how long machines take for large vectors."""
    ways = {way: row_of(ask, SLOW, CARDS, way) for way in WAYS}
    yield from _needs(ask, ways, large)
    yield _topology(ask, ways)
    yield _compression(ask, ways)
    yield _against(ask, ways)
    for cards in SCALES[1:]:
        yield _larger(ask, cards)


def _needs(ask: Ask, ways: dict[str, Row], large: Machines | None) -> Iterator[str]:
    taken, hides = ways["neither"]["time_us"] / 1e6, BACKWARD * compute_seconds(SLOW)
    where = f"at {CARDS:,} cards and {TOKENS:,} tokens a card"
    if taken > hides:
        yield (
            f"**Needed {where}.** With neither the all-reduce takes {time(taken * 1e6)}, {times(taken / hides)} the "
            f"backward pass; with both {time(ways['both']['time_us'])}."
        )
        return
    shares = [
        row["time_us"] / (row["time_us"] + compute_seconds(SLOW) * 1e6) for row in (ways["neither"], ways["both"])
    ]
    yield (
        f"**Not needed {where}{', but worth having where little overlaps' if shares[0] > WORTH else ''}.** With "
        "neither the all-reduce takes "
        f"{time(taken * 1e6)} and the backward pass {times(hides / taken)} as long. In turn with computing it is "
        f"{percent(shares[0])} of a step, with both {percent(shares[1])}."
    )
    rows = {
        words: row_of(ask, SLOW, CARDS, "neither", changes=changes, placement=placement)
        for words, (changes, placement) in asked.DOUBTS.items()
    }
    words, worst = max(rows.items(), key=lambda item: item[1]["time_us"])
    slower = 1.0 if large is None else max(1.0, large.high)
    usual = taken * slower
    most = worst["time_us"] / 1e6 * slower
    stands = "stands" if usual <= hides else "does not stand"
    yield (
        f"That {stands} if machines take {slower:.2f} times what is simulated; "
        + ("it also stands" if most <= hides else "it does not")
        + f" if on top of it {words}: {time(most * 1e6)}, and the backward pass is {time(hides * 1e6)}."
    )


def _topology(ask: Ask, ways: dict[str, Row]) -> str:
    ring, neither, topology = (ways[way]["time_us"] for way in ("one ring", "neither", "topology"))
    changes, placement = asked.DOUBTS[asked.DEALT]
    dealt = row_of(ask, SLOW, CARDS, "neither", changes=changes, placement=placement)["time_us"]
    gain = (
        f"the best algorithm gains another {1 - topology / neither:.1%}"
        if neither > topology * SAME
        else "no algorithm gains more"
    )
    return (
        f"Topology: all channels in place of one ring are {times(ring / neither)} as quick, and ranks in order "
        f"{times(dealt / neither)} as quick as dealt out in turn. Libraries do the first by themselves and job "
        f"starters mostly the second; beyond it {gain}."
    )


def _compression(ask: Ask, ways: dict[str, Row]) -> str:
    neither, both, alone = ways["neither"]["time_us"], ways["both"]["time_us"], ways["compression"]
    fed = row_of(ask, SLOW, CARDS, "both", codec=f"error_feedback({CODEC})")["time_us"]
    gain, topology = neither / alone["time_us"], neither / ways["topology"]["time_us"]
    error = "an error that is not known" if alone["error"] is None else f"{percent(alone['error'])} of error in the sum"
    more = "more" if gain > topology * SAME else "no more"
    return (
        f"Compression: {CODEC} alone makes it {times(gain)} as quick, with "
        f"{error}{'' if true(alone) else ', which is too much'}; topology as well, {times(neither / both)}; with error "
        f"feedback, {times(neither / fed)}. So beyond what libraries do by themselves compression gains {more} than "
        "topology."
    )


def _against(ask: Ask, ways: dict[str, Row]) -> str:
    fast, fast_both = (row_of(ask, FAST, CARDS, way)["time_us"] for way in ("neither", "both"))
    plain, alone, both = (
        ways["neither"]["time_us"] / fast, ways["both"]["time_us"] / fast, ways["both"]["time_us"] / fast_both
    )  # fmt: skip
    if plain <= 1:
        gap = "there is no gap to close"
    elif both <= 1:
        gap = "where both have both the gap is closed"
    else:
        how = "narrower" if both * SAME < plain else "wider" if both > plain * SAME else "as wide"
        gap = f"where both have both the gap is {how}"
    return (
        f"Against NVLink3: {SLOW} takes {plain:.2f} times as long with neither, {alone:.2f} times if it alone has "
        f"both, and {both:.2f} times if both have both. So {SLOW} with both "
        f"{'overtakes' if alone < 1 else 'does not reach'} {FAST} with neither, and {gap}."
    )


def _larger(ask: Ask, cards: int) -> str:
    """Where a batch does not grow with the cluster, so that every card has less to compute."""
    waits = {way: exposed(SLOW, row) for way in WAYS[1:] if (row := best(ask, SLOW, cards, way)) is not None}
    fast = [exposed(FAST, row_of(ask, FAST, cards, way)) for way in ("neither", "both")]
    grown = row_of(ask, SLOW, cards, "neither")["time_us"] / row_of(ask, SLOW, CARDS, "neither")["time_us"]
    parts = ", ".join(f"{way} {percent(part)}" for way, part in waits.items())
    enough = [way for way in WAYS[2:] if waits.get(way, 1.0) == 0]
    if waits["neither"] == 0:
        needs = "so neither is needed"
    elif enough:
        needs = f"so {enough[0]} {'are' if enough[0] == 'both' else 'is'} needed, and enough"
    else:
        needs = "so both are needed, and not enough"
    return (
        f"At {cards:,} cards the all-reduce takes {grown:.2f} times what it does at {CARDS:,}: with {TOKENS:,} tokens "
        f"a card {'little changes' if grown < 1.2 else 'that is what changes'}. With {BATCH / 2**20:.0f} Mi tokens on "
        f"all cards, {BATCH / cards:.0f} each, so much of a step on {SLOW} is waiting: {parts}; {needs}. On {FAST} "
        f"with neither {percent(fast[0])}, with both {percent(fast[1])}."
    )
