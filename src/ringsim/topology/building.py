"""From a question to a cluster: how many cards, in domains of what size, and whether this fabric can hold them."""

from operator import index

from ringsim.fabric import Fabric
from ringsim.topology.cluster import Cluster
from ringsim.topology.kinds import MOST_CARDS, TopologyError


def build(fabric: Fabric, cards: int, *, domain: int | str | None = None, seed: int = 0) -> Cluster:
    """Lay out `cards` cards of a fabric.

    Parameters
    ----------
    fabric : Fabric
    cards : int
        At least 2.
    domain : int, "all" or None
        Cards per scale-up domain instead of the fabric's; ``"all"`` puts every card in one.
    seed : int
        For networks that hash flows onto paths.

    Raises
    ------
    TopologyError
        If this fabric's domain or network cannot hold that many cards.
    """
    cards = _whole("cards", cards)
    if not 2 <= cards <= MOST_CARDS:
        raise TopologyError(f"cards = {cards}: all-reduce needs between 2 and {MOST_CARDS:,} cards")
    if isinstance(domain, str) and domain != "all":
        raise TopologyError(f"domain = {domain}: a number of cards, or 'all' for one domain that holds every card")
    sheet = fabric.domain
    group = sheet.size if domain is None else cards if isinstance(domain, str) else _whole("domain", domain)
    if group < 1:
        raise TopologyError(f"domain = {group}: a scale-up domain holds at least 1 card")
    group = min(group, cards)
    instead = "`--set domain.kind=switch` gives the idealised switch that could"
    if sheet.kind == "full-mesh" and group > sheet.lanes + 1:
        raise TopologyError(
            f"domain = {group}: a full mesh with {sheet.lanes} lanes a card joins at most {sheet.lanes + 1} cards; "
            f"{instead}"
        )
    if sheet.kind in ("ring", "torus") and len(sheet.shape) > 1 and (group != sheet.size or cards % group):
        raise TopologyError(
            f"cards = {cards}, domain = {group}: a torus of {'x'.join(map(str, sheet.shape))} is whole or nothing; "
            f"ask for a multiple of {sheet.size} cards"
        )
    found = Cluster(fabric, cards, group, seed)
    _ = found.network  # a network that cannot hold them says so here
    return found


def _whole(name: str, value: int) -> int:
    """Read a whole number, NumPy's included."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise TopologyError(f"{name} = {value}: a whole number of cards")
