"""Strings from job scripts: each is read as NCCL or HCCL would, and what cannot be honoured is said with what could be."""

import pytest

from ringsim.collectives import COLLECTIVES
from ringsim.selection import (
    HCCL,
    NCCL,
    SelectionError,
    hccl,
    nccl_algo,
    nccl_proto,
    protocols,
    remarks,
    resolve,
)

ALL = ("LL", "LL128", "Simple")


def test_every_name_that_a_word_stands_for_exists() -> None:
    for table in (HCCL, NCCL):
        for collective, names in table.items():
            assert set(names.values()) - {""} <= set(COLLECTIVES[collective]), collective


# -- HCCL ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "collective", "names"),
    [
        ("level0:NA;level1:NHR", "all-reduce", ("hierarchical-nhr",)),
        ("level0:NA;level1:H-D_R", "all-reduce", ("hierarchical-halving-doubling",)),
        ("LEVEL0:na; Level1:h-d_r", "all-reduce", ("hierarchical-halving-doubling",)),
        ("level0:NA;level1:NB;", "all-reduce", ("hierarchical-nb",)),
        ("level1:ring", "all-reduce", ("hierarchical-ring",)),
        ("level0:NA;level1:AHC", "all-reduce", ("ahc",)),
        ("level0:NA;level1:pipeline", "all-reduce", ("pipeline",)),
        ("level0:NA;level1:NHR;level2:ring", "all-reduce", ("hierarchical-nhr",)),
        ("level0:NA;level1:NHR", "all-gather", ("hierarchical-nhr",)),
        ("allreduce=level0:NA;level1:NB/allgather=level0:NA;level1:ring", "all-reduce", ("hierarchical-nb",)),
        ("allreduce=level0:NA;level1:NB/allgather=level0:NA;level1:ring", "all-gather", ("hierarchical-ring",)),
        ("AllReduce=level0:NA;level1:NB", "all-reduce", ("hierarchical-nb",)),
        ("alltoall=level0:NA;level1:pairwise", "all-to-all", ("pairwise",)),
        ('export HCCL_ALGO="level0:NA;level1:NHR"', "all-reduce", ("hierarchical-nhr",)),
        ("level0:NA", "reduce-scatter", ("hierarchical-ring", "hierarchical-nhr", "hierarchical-nb")),
    ],
)
def test_hccl(text: str, collective: str, names: tuple[str, ...]) -> None:
    assert hccl(text, collective) == names
    assert resolve(text, collective, COLLECTIVES[collective]) == names


def test_what_hccl_is_not_told_it_chooses_itself() -> None:
    assert hccl("allgather=level0:NA;level1:ring", "all-reduce") == tuple(HCCL["all-reduce"].values())
    assert remarks("allgather=level0:NA;level1:ring", "all-reduce") == (
        "HCCL_ALGO leaves all-reduce open: all that HCCL may choose are tried",
    )


@pytest.mark.parametrize(
    ("text", "collective", "what"),
    [
        ("level0:ring;level1:NHR", "all-reduce", r"level0:ring: .* write level0:NA"),
        ("level0:NA;level1:NHR_V1", "all-reduce", r"NHR_V1: the older NHR, .* NHR replaces it"),
        ("level0:NA;level1:pairwise", "all-reduce", r"pairwise: HCCL has it for all-to-all only; one of ring, H-D_R"),
        ("level0:NA;level1:nhrr", "all-reduce", r"nhrr: no algorithm of HCCL's level1; did you mean 'NHR'\?"),
        ("level0:NA;level1:NHR;level2:AHC", "all-reduce", r"AHC: no algorithm of HCCL's level2"),
        ("level0:NA;level3:ring", "all-reduce", r"level3:ring: no level of HCCL; write level0:NA;level1:NHR"),
        ("level0:NA;NHR", "all-reduce", r"NHR: no level of HCCL"),
        ("level1:ring;level1:NB", "all-reduce", r"level1:NB: level1 is there twice"),
        ("allreduc=level1:ring", "all-reduce", r"allreduc: no operator of HCCL; did you mean 'allreduce'\?"),
        ("allreduce=level1:ring/level1:NB", "all-reduce", r"each part begins with an operator"),
        ("allreduce=/allgather=level1:NB", "all-reduce", r"an empty HCCL_ALGO selects nothing"),
        ("allreduce:parallel{mesh,nhr}", "all-reduce", r"the form for Ascend 950 is not understood"),
        (
            "level0:NA;level1:AHC",
            "all-gather",
            r"AHC: allows nothing that is modelled for all-gather; one of ring, NHR, NB",
        ),
        ("level0:NA;level1:ring", "broadcast", r"HCCL_ALGO says nothing here about broadcast"),
    ],
)
def test_what_hccl_could_not_honour(text: str, collective: str, what: str) -> None:
    for read in (hccl, lambda text, collective: resolve(text, collective, COLLECTIVES[collective])):
        with pytest.raises(SelectionError, match=what):
            read(text, collective)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("level0:NA;level1:NHR", ()),
        ("level1:NHR;level2:ring", ("level2:ring changes nothing: it is for several super-pods, this is one",)),
        ("level1:AHC;level2:NB", ("level2:NB changes nothing: AHC covers it",)),
        ("ring", ()),
    ],
)
def test_what_changes_nothing_is_said(text: str, said: tuple[str, ...]) -> None:
    assert remarks(text, "all-reduce") == said


# -- NCCL ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "collective", "names"),
    [
        ("ring", "all-reduce", ("ring",)),
        ("Tree", "all-reduce", ("tree",)),
        ("RING,tree", "all-reduce", ("tree", "ring")),
        ("ring,", "all-reduce", ("ring",)),
        ("allreduce:tree", "all-reduce", ("tree",)),
        ("allreduce:tree", "all-gather", ("ring",)),
        ("^tree", "all-reduce", ("ring", "in-switch")),
        ("^tree", "broadcast", ("ring",)),
        ("^tree,nvls,collnetdirect", "all-reduce", ("ring",)),
        ("nvls", "all-reduce", ("in-switch",)),
        ("NVLS,CollNetDirect", "all-reduce", ("in-switch",)),
        ("nvlstree,tree", "all-reduce", ("tree",)),
        ("ring,collnetdirect;allreduce:tree,collnetdirect;broadcast:ring", "all-reduce", ("tree", "in-switch")),
        ("ring,collnetdirect;allreduce:tree,collnetdirect;broadcast:ring", "reduce", ("ring",)),
        ("ring;allreduce:^ring", "all-reduce", ("tree", "in-switch")),
        ("ring; AllReduce:tree ;", "all-reduce", ("tree",)),
        ("NCCL_ALGO=ring,tree", "all-reduce", ("tree", "ring")),
    ],
)
def test_nccl(text: str, collective: str, names: tuple[str, ...]) -> None:
    assert nccl_algo(text, collective) == names
    assert set(resolve(text, collective, COLLECTIVES[collective])) == set(names)


@pytest.mark.parametrize(
    ("text", "collective", "what"),
    [
        ("ring,tre", "all-reduce", r"tre: unknown to NCCL; did you mean 'Tree'\?"),
        ("allreduc:tree", "all-reduce", r"allreduc: no function of NCCL; did you mean 'allreduce'\?"),
        ("ring;tree", "all-reduce", r"tree: only the first list goes without a function; write allreduce:tree"),
        ("ring;allreduce:tree,^ring", "all-reduce", r"\^ring: \^ goes before a whole list"),
        ("^", "all-reduce", r"\^: a list without words"),
        ("nvlstree", "all-reduce", r"NVLSTree: NVLS inside nodes and trees between them is not modelled"),
        ("collnetchain", "all-reduce", r"CollNetChain: .* CollNetDirect is; one of Tree, Ring, CollNetDirect, NVLS"),
        ("pat", "reduce-scatter", r"PAT: not modelled; NHR has its number of steps"),
        ("^ring", "all-gather", r"\^ring: allows nothing that is modelled for all-gather; one of Ring"),
        ("allreduce:tree", "all-to-all", r"NCCL_ALGO does not reach all-to-all"),
    ],
)
def test_what_nccl_could_not_honour(text: str, collective: str, what: str) -> None:
    for read in (nccl_algo, lambda text, collective: resolve(text, collective, COLLECTIVES[collective])):
        with pytest.raises(SelectionError, match=what):
            read(text, collective)


def test_what_is_left_out_of_a_list_is_said() -> None:
    assert remarks("nvlstree,tree", "all-reduce") == (
        "NVLSTree is left out: NVLS inside nodes and trees between them is not modelled; NVLS and Tree are",
    )
    assert remarks("ring,tree", "all-reduce") == ()


# -- protocols -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("auto", ALL),
        ("simple", ("Simple",)),
        ("LL,LL128,Simple", ALL),
        ("ll128,simple", ("LL128", "Simple")),
        ("^LL", ("LL128", "Simple")),
        ("^LL128;allreduce:LL128", ("LL128",)),
        ("LL,Simple;allreduce:^LL", ("LL128", "Simple")),
        ("LL;broadcast:Simple", ("LL",)),
        ("NCCL_PROTO=^LL,LL128", ("Simple",)),
    ],
)
def test_protocols(text: str, found: tuple[str, ...]) -> None:
    assert protocols(text, "all-reduce", ALL) == found
    if text != "auto":
        assert nccl_proto(text) == found


def test_other_libraries_have_protocols_of_their_own() -> None:
    assert protocols("hccl", "all-reduce", ("hccl",)) == ("hccl",)
    assert protocols("auto", "all-reduce", ("hccl",)) == ("hccl",)


@pytest.mark.parametrize(
    ("text", "known", "what"),
    [
        ("simpel", ALL, r"simpel: one of auto, LL, LL128, Simple; did you mean 'Simple'\?"),
        ("^LL", ("hccl",), r"\^LL: that is LL128 or Simple, and the fabric has hccl"),
        ("^LL,LL128,Simple", ALL, "allows no protocol"),
        ("LL,LL256", ALL, r"LL256: unknown to NCCL; did you mean 'LL"),
        ("", ALL, "nothing: one of auto"),
    ],
)
def test_protocols_that_are_none(text: str, known: tuple[str, ...], what: str) -> None:
    with pytest.raises(SelectionError, match=what):
        protocols(text, "all-reduce", known)


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_names_from_here_are_themselves(collective: str) -> None:
    known = tuple(COLLECTIVES[collective])
    for name in known:
        assert resolve(name, collective, known) == resolve(name.upper(), collective, known) == (name,)
    assert resolve("auto", collective, known) == resolve("all", collective, known) == known


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("rng", r"rng: one of auto, all, ring, .* or what NCCL_ALGO or HCCL_ALGO may hold, .*; did you mean 'ring'\?"),
        ("", "nothing: one of auto, all"),
        ("H-D_R", r"H-D_R: HCCL's word for what goes between servers; write level0:NA;level1:H-D_R"),
    ],
)
def test_a_word_that_is_none(text: str, what: str) -> None:
    with pytest.raises(SelectionError, match=what):
        resolve(text, "all-reduce", COLLECTIVES["all-reduce"])


def test_what_is_allowed_and_not_there() -> None:
    with pytest.raises(
        SelectionError, match=r"\^tree: that is ring or in-switch, and for all-reduce there is two-shot"
    ):
        resolve("^tree", "all-reduce", ("two-shot",))
