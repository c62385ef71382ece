"""Ranks in an order that suits the network: what a plan may ask for besides an algorithm.

A library lays its rings and trees over ranks as they come. Where ranks sit in no good order, telling it another one is
often worth more than any algorithm: cards of a node next to each other, on every node in the order of their rails.
"""

from contextlib import suppress
from dataclasses import replace

from ringsim.collectives import CollectiveError
from ringsim.collectives.tour import along
from ringsim.question import Question
from ringsim.race import Track
from ringsim.schedule import Ints
from ringsim.topology import GraphTopology
from ringsim.tune.search import Order


def orders_of(question: Question, track: Track) -> list[Order]:
    """Orders to try: the one that is there, card after card if that is another, and along a tour of a graph.

    Parameters
    ----------
    question : Question
        With the placement as it is.
    track : Track
    """
    topology, found = track.topology, [Order(question, track)]
    if topology.placement is not None:
        found.append(_other(found[0], "ordered", None))
    if isinstance(topology, GraphTopology):
        with suppress(CollectiveError):  # too many cards to look for a tour
            found.append(_other(found[0], "tour", along(topology)))
    return found


def _other(order: Order, placement: str, cards: Ints | None) -> Order:
    """Ranks in another order, with layouts and results of its own."""
    topology = replace(order.track.topology, placement=cards)
    return Order(replace(order.question, placement=placement), Track(topology, notice=order.track.notice))
