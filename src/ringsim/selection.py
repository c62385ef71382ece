"""What NCCL_ALGO, NCCL_PROTO and HCCL_ALGO may hold, in the names that are used here.

So that a string from a job script can be given as it is. Both libraries take such a string as a restriction: of what it
allows the fastest is used. Upper and lower case are the same to them.

Sources: NVIDIA/nccl, user guide, "NCCL_ALGO" and "NCCL_PROTO"; mirror-cann/hccl, docs/zh/user_guide/hccl_env/HCCL_ALGO.md.
"""

import re
from collections.abc import Iterable, Mapping

from ringsim.fabric.errors import suggest


class SelectionError(ValueError):
    """A string that selects nothing; the message names the word and says what would be right."""


# --- what the libraries know --------------------------------------------------------------------------------

#: HCCL's words for what goes between servers, and the names here, by collective.
HCCL: dict[str, dict[str, str]] = {
    "all-reduce": {
        "ring": "hierarchical-ring", "H-D_R": "hierarchical-halving-doubling", "NHR": "hierarchical-nhr",
        "NB": "hierarchical-nb", "AHC": "ahc", "pipeline": "pipeline",
    },
    "reduce-scatter": {"ring": "hierarchical-ring", "NHR": "hierarchical-nhr", "NB": "hierarchical-nb"},
    "all-gather": {"ring": "hierarchical-ring", "NHR": "hierarchical-nhr", "NB": "hierarchical-nb"},
    "all-to-all": {"pairwise": "pairwise"},
}  # fmt: skip

#: NCCL's words and the names here, by collective; an empty name for what is not modelled.
NCCL: dict[str, dict[str, str]] = {
    "all-reduce": {
        "Tree": "tree", "Ring": "ring", "CollNetDirect": "in-switch", "CollNetChain": "", "NVLS": "in-switch",
        "NVLSTree": "",
    },
    "reduce-scatter": {"Ring": "ring", "CollNetDirect": "", "NVLS": "", "PAT": ""},
    "all-gather": {"Ring": "ring", "CollNetDirect": "", "NVLS": "", "PAT": ""},
    "broadcast": {"Ring": "ring"},
    "reduce": {"Ring": "ring"},
}  # fmt: skip

PROTOCOLS = ("LL", "LL128", "Simple")

_LEVEL1 = ("ring", "H-D_R", "NHR", "NHR_V1", "NB", "AHC", "pipeline", "pairwise")
_LEVEL2 = ("ring", "H-D_R", "NHR", "NB", "pipeline")
_ALGORITHMS = ("Tree", "Ring", "CollNetDirect", "CollNetChain", "NVLS", "NVLSTree", "PAT")
_FUNCTIONS = {
    "broadcast": "broadcast", "reduce": "reduce", "allgather": "all-gather", "reducescatter": "reduce-scatter",
    "allreduce": "all-reduce",
}  # fmt: skip
_OPERATORS = _FUNCTIONS | {"scatter": "scatter", "alltoall": "all-to-all"}

#: Why a word that HCCL or NCCL knows selects nothing here.
_MISSING = {
    "NHR_V1": "the older NHR, rings along the rows and columns of a square of servers, is not modelled; NHR replaces it",
    "pairwise": "HCCL has it for all-to-all only",
    "CollNetChain": "a chain inside nodes and SHARP between them is not modelled; CollNetDirect is",
    "NVLSTree": "NVLS inside nodes and trees between them is not modelled; NVLS and Tree are",
    "PAT": "not modelled; NHR has its number of steps and its bytes, without its limit on buffers",
}

_VARIABLE = re.compile(r"(?:export\s+)?(?:NCCL_ALGO|NCCL_PROTO|HCCL_ALGO)\s*=\s*(.*)", re.IGNORECASE | re.DOTALL)


# --- what is asked for --------------------------------------------------------------------------------------


def resolve(text: str, collective: str, known: Iterable[str]) -> tuple[str, ...]:
    """Algorithms that a name or a library's string allows.

    Parameters
    ----------
    text : str
        A name from `known`, ``auto`` or ``all`` for any of them, or what NCCL_ALGO or HCCL_ALGO may hold.
    collective : str
    known : iterable of str
        Names of the algorithms there are for it.

    Raises
    ------
    SelectionError
        If it allows none of them, or cannot be read.
    """
    known, bare = tuple(known), _bare(text)
    if bare.casefold() in ("auto", "all"):
        return known
    plain = _spelled(bare, known)
    if plain:
        return (plain,)
    if re.search(r"level\s*\d", bare, re.IGNORECASE) or "{" in bare:
        allowed = hccl(bare, collective)
    elif _spelled(bare, _ALGORITHMS) or re.search("[,;:^]", bare):
        allowed = nccl_algo(bare, collective)
    elif _spelled(bare, _LEVEL1):
        raise SelectionError(f"{text}: HCCL's word for what goes between servers; write level0:NA;level1:{bare}")
    else:
        raise SelectionError(
            f"{text or 'nothing'}: one of auto, all, {', '.join(known)}, or what NCCL_ALGO or HCCL_ALGO may hold, "
            f"such as ^tree or level0:NA;level1:NHR{_guess(bare, known)}"
        )
    found = tuple(name for name in allowed if name in known)
    if not found:
        raise SelectionError(
            f"{text}: that is {' or '.join(allowed)}, and for {collective} there is {', '.join(known)}"
        )
    return found


def protocols(text: str, collective: str, known: Iterable[str]) -> tuple[str, ...]:
    """Protocols that a name, ``auto`` or a string for NCCL_PROTO allows, of those that a fabric has.

    Raises
    ------
    SelectionError
        If it allows none of them, or cannot be read.
    """
    known, bare = tuple(known), _bare(text)
    if bare.casefold() == "auto":
        return known
    plain = _spelled(bare, known)
    if plain:
        return (plain,)
    if not _spelled(bare, PROTOCOLS) and not re.search("[,;:^]", bare):
        raise SelectionError(f"{text or 'nothing'}: one of auto, {', '.join(known)}{_guess(bare, known)}")
    allowed = nccl_proto(bare, collective)
    found = tuple(name for name in known if name in allowed)
    if not found:
        raise SelectionError(f"{text}: that is {' or '.join(allowed)}, and the fabric has {', '.join(known)}")
    return found


# --- HCCL ---------------------------------------------------------------------------------------------------


def hccl(text: str, collective: str) -> tuple[str, ...]:
    """Algorithms that a string for HCCL_ALGO allows; all that HCCL may choose where it says nothing.

    ``level1`` says what goes between nodes; what goes inside one follows from the hardware. ``level2`` is for several
    super-pods: it is read and changes nothing, for a cluster here is one (see `remarks`).

    Raises
    ------
    SelectionError
        If it cannot be read, or asks for what is not modelled.
    """
    names = HCCL.get(collective, {})
    word = _hccl_levels(text, collective).get("level1")
    if not names:
        raise SelectionError(f"{text}: HCCL_ALGO says nothing here about {collective}, only about {', '.join(HCCL)}")
    if word is None:
        return tuple(names.values())
    if word not in names:
        raise SelectionError(_not_here(word, collective, names))
    return (names[word],)


def remarks(text: str, collective: str) -> tuple[str, ...]:
    """Sentences about what in a selection is read and changes nothing; none for names and where all of it counts."""
    bare = _bare(text)
    said: list[str] = []
    if re.search(r"level\s*\d", bare, re.IGNORECASE):
        levels = _hccl_levels(bare, collective)
        if "level2" in levels:
            instead = "AHC covers it" if levels.get("level1") == "AHC" else "it is for several super-pods, this is one"
            said.append(f"level2:{levels['level2']} changes nothing: {instead}")
        if "level1" not in levels:
            said.append(f"HCCL_ALGO leaves {collective} open: all that HCCL may choose are tried")
    elif re.search("[,;:^]", bare):
        names = NCCL.get(collective, {})
        dropped = [word for word in _nccl_list(bare, _ALGORITHMS, collective) if word in names and not names[word]]
        said += [f"{word} is left out: {_MISSING.get(word, f'not modelled for {collective}')}" for word in dropped]
    return tuple(said)


def _hccl_levels(text: str, collective: str) -> dict[str, str]:
    """What a string says for each level of a collective, words as HCCL writes them; nothing where it says nothing."""
    bare = _bare(text)
    if "{" in bare:
        raise SelectionError(f"{text}: the form for Ascend 950 is not understood; write level0:NA;level1:NHR")
    found: dict[str, str] = {}
    parts = [part.strip() for part in bare.split("/")]
    if len(parts) > 1 and not all("=" in part for part in parts):
        raise SelectionError(
            f"{text}: with / between them each part begins with an operator, such as allreduce=level0:NA"
        )
    for part in parts:
        operator, equals, levels = part.rpartition("=")
        if equals and operator.strip().casefold() not in _OPERATORS:
            raise SelectionError(f"{operator.strip()}: no operator of HCCL; {suggest(operator.strip(), _OPERATORS)}")
        read = _levels(levels)
        if not equals or _OPERATORS[operator.strip().casefold()] == collective:
            found = read
    return found


def _levels(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    words = {"level0": ("NA",), "level1": _LEVEL1, "level2": _LEVEL2}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        level, colon, word = (side.strip() for side in part.partition(":"))
        level = level.casefold()
        if not colon or level not in words:
            raise SelectionError(
                f"{part}: no level of HCCL; write level0:NA;level1:NHR, and level2:ring for super-pods"
            )
        if level in found:
            raise SelectionError(f"{part}: {level} is there twice; write it once")
        spelled = _spelled(word, words[level])
        if not spelled and level == "level0":
            raise SelectionError(f"{part}: HCCL takes what goes inside a server from its topology; write level0:NA")
        if not spelled:
            raise SelectionError(f"{word}: no algorithm of HCCL's {level}; {suggest(word, words[level])}")
        found[level] = spelled
    if not found:
        raise SelectionError("an empty HCCL_ALGO selects nothing; write level0:NA;level1:NHR")
    return found


# --- NCCL ---------------------------------------------------------------------------------------------------


def nccl_algo(text: str, collective: str) -> tuple[str, ...]:
    """Algorithms that a string for NCCL_ALGO allows, of those that are modelled; `remarks` names the others.

    Raises
    ------
    SelectionError
        If it cannot be read, or all that it allows is not modelled or not what NCCL has for this collective.
    """
    words = _nccl_list(text, _ALGORITHMS, collective)
    names = NCCL.get(collective)
    if names is None:
        raise SelectionError(f"{text}: NCCL_ALGO does not reach {collective}; it is for {', '.join(NCCL)}")
    found = tuple(dict.fromkeys(names[word] for word in words if names.get(word)))
    if not found:
        word = words[0] if len(words) == 1 else text
        raise SelectionError(_not_here(word, collective, names))
    return found


def nccl_proto(text: str, collective: str = "all-reduce") -> tuple[str, ...]:
    """Protocols that a string for NCCL_PROTO allows.

    Raises
    ------
    SelectionError
        If it cannot be read or allows none.
    """
    found = _nccl_list(text, PROTOCOLS, collective)
    if not found:
        raise SelectionError(f"{text}: allows no protocol; some of {', '.join(PROTOCOLS)}")
    return found


def _nccl_list(text: str, words: tuple[str, ...], collective: str) -> tuple[str, ...]:
    """Words that ``list;function:list;…`` allows for a collective, the first list for all that are not named.

    A list is words with commas between them; with ^ before it, all words but those.
    """
    allowed = words
    parts = [part.strip() for part in _bare(text).split(";") if part.strip()]
    for nth, part in enumerate(parts):
        function, colon, listed = (side.strip() for side in part.rpartition(":"))
        if colon and function.casefold() not in _FUNCTIONS:
            raise SelectionError(f"{function}: no function of NCCL; {suggest(function, _FUNCTIONS)}")
        if nth and not colon:
            raise SelectionError(f"{part}: only the first list goes without a function; write allreduce:{part}")
        listed, excludes = listed.removeprefix("^"), listed.startswith("^")
        chosen = set()
        for word in filter(None, (word.strip() for word in listed.split(","))):
            spelled = _spelled(word, words)
            if word.startswith("^"):
                raise SelectionError(f"{word}: ^ goes before a whole list and excludes all of it; write {word},…")
            if not spelled:
                raise SelectionError(f"{word}: unknown to NCCL; {suggest(word, words)}")
            chosen.add(spelled)
        if not chosen:
            raise SelectionError(f"{part}: a list without words; some of {', '.join(words)}")
        if not colon or _FUNCTIONS[function.casefold()] == collective:
            allowed = tuple(word for word in words if (word in chosen) != excludes)
    return allowed


# --- words --------------------------------------------------------------------------------------------------


def _bare(text: str) -> str:
    """Drop ``export NCCL_ALGO=`` and quotes."""
    named = _VARIABLE.fullmatch(text.strip())
    return (named[1] if named else text).strip().strip("\"'").strip()


def _spelled(word: str, words: Iterable[str]) -> str | None:
    """The word as the list spells it."""
    return {known.casefold(): known for known in words}.get(word.casefold())


def _guess(word: str, words: Iterable[str]) -> str:
    guess = suggest(word, words)
    return f"; {guess.partition('?')[0]}?" if guess.startswith("did you mean") else ""


def _not_here(word: str, collective: str, names: Mapping[str, str]) -> str:
    why = _MISSING.get(word, f"allows nothing that is modelled for {collective}")
    return f"{word}: {why}; one of {', '.join(known for known, name in names.items() if name)}"
