"""On which card each rank sits, where that is not rank after rank.

Job starters deal ranks out as they like, and a library that trusts their order pays for it. What an algorithm calls
rank 0 to p − 1 is laid over the cards in this order; those that look at the network itself do not mind.
"""

import json
import re
from collections.abc import Iterable
from operator import index
from pathlib import Path

import numpy as np

from ringsim.topology.kinds import Ints, TopologyError

_RIGHT = "shuffle:SEED, round-robin, ordered, tour, or a file with the card of each rank in turn"


def placed(written: "str | Iterable[int]", cards: int, group: int) -> Ints | None:
    """Read a placement.

    Parameters
    ----------
    written : str or iterable of int
        ``"shuffle:7"`` (drawn with that seed), ``"round-robin"`` (rank *r* on node *r* mod nodes), ``"ordered"``
        (rank is card), the path of a text or JSON file with the card of each rank in turn, or those numbers themselves.
    cards, group : int
        Of the cluster, and of each of its nodes.

    Returns
    -------
    int64 array, shape ``[cards]``, or None
        Card of each rank; None where rank is card.

    Raises
    ------
    TopologyError
        If it is no permutation of the cards.
    """
    found = _read(written, cards, group)
    return None if (found == np.arange(cards)).all() else found


def _read(written: "str | Iterable[int]", cards: int, group: int) -> Ints:
    if not isinstance(written, str):
        return _permutation("placement", list(written), cards)
    if drawn := re.fullmatch(r"shuffle:(\d{1,18})", written):
        return np.random.default_rng(int(drawn[1])).permutation(cards)
    if written == "ordered":
        return np.arange(cards)
    if written == "round-robin":
        return np.argsort(np.arange(cards) % group, kind="stable")
    if written.startswith("shuffle") or not Path(written).is_file():
        raise TopologyError(f"placement = {written}: no such file and no such word; write {_RIGHT}")
    return _permutation(f"placement = {written}", _numbers(written), cards)


def _numbers(path: str) -> list[int]:
    """Read numbers from a JSON list, or from text between spaces, commas and line ends."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        return [int(word) for word in re.split(r"[\s,]+", text) if word]
    except (ValueError, RecursionError, OSError) as error:
        raise TopologyError(f"placement = {path}: not a list of cards: {error}; write {_RIGHT}") from None


def _permutation(what: str, numbers: list[int], cards: int) -> Ints:
    right = f"name each card from 0 to {cards - 1} once"
    if len(numbers) != cards:
        raise TopologyError(f"{what}: {len(numbers)} cards, and there are {cards}; {right}")
    seen: dict[int, int] = {}
    for rank, number in enumerate(numbers):
        try:
            card = -1 if isinstance(number, bool) else index(number)
        except TypeError:
            card = -1
        if not 0 <= card < cards:
            raise TopologyError(f"{what}: rank {rank} on {number}: not a card; {right}")
        if card in seen:
            raise TopologyError(f"{what}: card {card} has ranks {seen[card]} and {rank}; {right}")
        seen[card] = rank
    return np.array(list(seen), np.int64)
