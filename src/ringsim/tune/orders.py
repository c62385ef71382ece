"""Ranks in an order that suits the network: what a plan may ask for besides an algorithm.

A library lays its rings and trees over ranks as they come. Where ranks sit in no good order, telling it another one is
often worth more than any algorithm: cards of a node next to each other, on every node in the order of their rails.
"""

from dataclasses import replace

from ringsim.question import Question
from ringsim.race import Track
from ringsim.tune.search import Order


def orders_of(question: Question, track: Track) -> list[Order]:
    """Orders to try: the first is the one that is there, the second, if it is another, card after card.

    Parameters
    ----------
    question : Question
        With the placement as it is.
    track : Track
    """
    found = [Order(question, track)]
    if track.topology.placement is not None:
        straight = replace(track.topology, placement=None)
        fresh = Track(straight, timer=track.timer, progress=track.progress, notice=track.notice)
        found.append(Order(replace(question, placement="ordered"), fresh))
    return found
