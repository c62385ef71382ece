"""Pictures are for people, but what they claim can be counted: cards, loads, and the name of the busiest link."""

import builtins
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ringsim.picture.page
from ringsim import fabric
from ringsim.picture import NoMatplotlib, PictureError, check_target, draw, load_of
from ringsim.picture.view import View, components
from ringsim.picture.words import busiest
from ringsim.program import Program
from ringsim.topology import CARD_NIC, LANE, LEAF_SPINE, Topology, build

SVG = "{http://www.w3.org/2000/svg}"
HASH, NARROW = "network.routing=hash", "network.radix=8"
SQUARE = ("domain.kind=torus", "domain.lanes=4", "domain.shape=4x4", "domain.size=16")
BOX = ("domain.kind=torus", "domain.lanes=6", "domain.shape=3x2x4", "domain.size=24")

#: Name, fabric, network, changes, cards, domain.
CLUSTERS: list[tuple[str, str, str | None, tuple[str, ...], int, int | str | None]] = [
    ("mesh", "hccs", None, (), 8, None),
    ("two cards", "hccs", None, (), 2, None),
    ("switch", "nvlink3", None, (), 8, None),
    ("large switch", "nvlink3", None, (), 72, "all"),
    ("ring", "nvlink3", None, ("domain.kind=ring", "domain.lanes=2"), 8, None),
    ("torus", "nvlink3", None, SQUARE, 16, None),
    ("box", "nvlink3", None, BOX, 24, None),
    ("rails", "hccs", None, (), 64, None),
    ("rails of one leaf each", "nvlink3", None, (), 24, None),
    ("rails, last node partial", "nvlink3", None, (NARROW,), 43, None),
    ("rails, blocks, hashed", "nvlink3", None, (NARROW, HASH), 133, None),
    ("plain", "nvlink3", None, (NARROW, HASH, "network.kind=leaf-spine"), 43, None),
    ("plain, many leaves", "nvlink3", None, (NARROW, "network.kind=leaf-spine"), 400, None),
    ("nodes of one card", "nvlink3", None, (NARROW,), 20, 1),
    ("fat tree", "hccs", "roce-400g-fat-tree", (NARROW, "network.spine_radix=8"), 128, None),
    ("fat tree, hashed", "hccs", "roce-400g-fat-tree", (NARROW, "network.spine_radix=8", HASH), 128, None),
    ("planes", "hccs", "roce-400g-dual-plane", ("network.radix=16", HASH), 128, None),
    ("torus of nodes", "hccs", "roce-400g-torus", (), 128, None),
    ("dragonfly", "nvlink3", "ib-hdr-dragonfly", (), 64, None),
    ("dragonfly, small groups", "nvlink3", "ib-hdr-dragonfly", ("network.nics_per_switch=4", "network.group_switches=4"),
     128, None),
]  # fmt: skip
EVERY = pytest.mark.parametrize("name", [cluster[0] for cluster in CLUSTERS])


def topology(name: str) -> Topology:
    _, sheet, network, changes, cards, domain = next(cluster for cluster in CLUSTERS if cluster[0] == name)
    return build(fabric.load(sheet, network=network, changes=changes), cards, domain=domain)


def some_load(cluster: Topology) -> Any:
    """Uneven loads; one link is busier than all others."""
    load = np.random.default_rng(7).uniform(0, 0.8, cluster.links)
    load[cluster.links // 3] = 0.93
    return load


def drawn(path: Path) -> tuple[list[str], str]:
    """Ids of an SVG, and all its words."""
    root = ET.fromstring(path.read_text("utf-8"))
    assert root.tag == f"{SVG}svg"
    ids = [element.get("id", "") for element in root.iter()]
    return ids, "\n".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))


def irregular(switches: int = 12, cards: int = 24, *, one_way: bool = False) -> Topology:
    """A line of switches, each with some cards, narrow in the middle."""
    nx = pytest.importorskip("networkx")
    graphs = pytest.importorskip("ringsim.topology.reading")
    graph = nx.DiGraph()
    for k in range(cards):
        graph.add_node(f"c{k}", kind="card", rank=k)
    pairs = [(f"c{k}", f"s{k % switches}", 50e9) for k in range(cards)]
    pairs += [(f"s{k}", f"s{k + 1}", 10e9 if k == switches // 2 else 100e9) for k in range(switches - 1)]
    for a, b, rate in pairs:
        for one, other in ((a, b), (b, a)):
            graph.add_edge(one, other, bandwidth=rate, latency=1e-6)
    for k in range(switches):
        graph.nodes[f"s{k}"]["kind"] = "switch"
    if one_way:
        graph.add_edge("s0", f"s{switches - 1}", bandwidth=5e9, latency=1e-6)
    found: Topology = graphs.from_graph(graph)
    return found


# -- every kind --------------------------------------------------------------------------------------------


@EVERY
def test_every_card_is_there_once_and_the_busiest_link_is_named(name: str, tmp_path: Path) -> None:
    cluster = topology(name)
    load = some_load(cluster)
    draw(cluster, tmp_path / "it.svg", load=load)
    ids, words = drawn(tmp_path / "it.svg")
    assert sorted(i for i in ids if re.fullmatch(r"card-\d+", i)) == sorted(f"card-{k}" for k in range(cluster.cards))
    assert busiest(View(cluster, load)) in words
    assert "93 % of the run" in words
    assert "busy part of the run" in words
    assert f"{cluster.cards:,}" in words


@pytest.mark.parametrize("name", ["mesh", "switch", "large switch", "box", "rails", "planes", "dragonfly"])
def test_without_a_run_nothing_is_said_to_be_busy(name: str, tmp_path: Path) -> None:
    draw(topology(name), tmp_path / "it.svg", title="a title <&>")
    _, words = drawn(tmp_path / "it.svg")
    assert "a title <&>" in words
    assert "busy" not in words
    assert "busiest" not in words


def test_irregular_graphs(tmp_path: Path) -> None:
    for cluster in (irregular(), irregular(60, 300), irregular(3, 4, one_way=True)):
        load = np.zeros(cluster.links)
        load[int(cluster.bandwidth.argmin())] = 0.5
        draw(cluster, tmp_path / "it.svg", load=load)
        ids, words = drawn(tmp_path / "it.svg")
        assert len({i for i in ids if i.startswith("card-")}) == cluster.cards
        assert re.search(r"busiest: switch s\d+ → switch s\d+, 50 % of the run", words)


@pytest.mark.parametrize(
    ("name", "suffix"), [("mesh", ".svg"), ("mesh", ".png"), ("rails", ".svg"), ("dragonfly", ".svg")]
)
def test_the_same_question_gives_the_same_bytes(name: str, suffix: str, tmp_path: Path) -> None:
    cluster = topology(name)
    for file in ("a", "b"):
        draw(cluster, tmp_path / f"{file}{suffix}", load=some_load(cluster))
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    for file in ("a.svg", "b.svg"):
        draw(irregular(), tmp_path / file)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_png_is_an_image_on_white(tmp_path: Path) -> None:
    draw(topology("rails"), tmp_path / "it.PNG")
    with Image.open(tmp_path / "it.PNG") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 400
        assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    assert (tmp_path / "it.PNG").stat().st_size < 200_000


# -- large -------------------------------------------------------------------------------------------------


def test_a_thousand_cards_are_all_there_and_ten_thousand_are_nodes(tmp_path: Path) -> None:
    sheet = fabric.load("hccs")
    for cards, what, count in ((1024, "card", 1024), (10_000, "node", 1250)):
        cluster = build(sheet, cards)
        draw(cluster, tmp_path / "it.svg", load=some_load(cluster))
        ids, _ = drawn(tmp_path / "it.svg")
        assert sum(i.startswith(f"{what}-") for i in ids) == count


# -- loads -------------------------------------------------------------------------------------------------


def test_load_is_bytes_over_bandwidth_over_time() -> None:
    one = np.ones(1)
    whole = np.zeros(1, np.int64)
    program = Program(
        bandwidth=np.array([10.0, 20.0, 5.0]), route_offsets=np.array([0, 2]), route_links=np.array([0, 1], np.int32),
        bytes=40 * one, count=whole + 3, reduces=whole, latency=one, work=one, overhead=one, cap=one * 99,
        after=whole - 1, dep_offsets=np.zeros(2, np.int64), dep_row=whole[:0], dep_lag=whole[:0],
    )  # fmt: skip
    assert load_of(program, 24.0).tolist() == [0.5, 0.25, 0.0]
    assert load_of(program, 6.0).tolist() == [1.0, 1.0, 0.0]
    assert load_of(program, 0.0).tolist() == [0.0, 0.0, 0.0]


def test_bundles_keep_the_most_of_each_direction_and_count_cables() -> None:
    cluster = topology("rails")
    load = np.zeros(cluster.links)
    first = int((cluster.kind == LANE).argmax())  # card 0 → card 1
    load[first], load[first + 7] = 0.5, 0.25  # and back
    view = View(cluster, load)
    lanes = list(view.bundles(np.arange(cluster.vertices[-1]), view.scale_up))
    assert len(lanes) == 8 * 28
    assert (lanes[0].a, lanes[0].b, lanes[0].there, lanes[0].back, lanes[0].link) == (0, 1, 0.5, 0.25, first)
    node = np.where(np.arange(cluster.vertices[-1]) < 64, np.arange(cluster.vertices[-1]) // 8, -1)
    leaf = np.arange(*cluster.vertices[3:5])
    node[leaf] = leaf
    cables = list(view.bundles(node))
    assert len(cables) == 64
    assert {bundle.cables for bundle in cables} == {1}
    node[leaf] = 100
    assert [bundle.cables for bundle in view.bundles(node)] == [8] * 8


def test_what_is_busy_before_the_nic_shows_behind_it() -> None:
    cluster = topology("rails")
    load = np.zeros(cluster.links)
    load[int((cluster.kind == CARD_NIC).argmax()) + 5] = 0.7
    view = View(cluster, load)
    assert busiest(view) == "busiest: card 5 to its NIC, 70 % of the run"
    bundles = [b for b in view.bundles(np.arange(cluster.vertices[-1]), view.plugs) if b.there or b.back]
    assert [(b.a, b.there, b.back) for b in bundles] == [(5, 0.7, 0.0)]


def test_ties_are_counted_and_a_trunk_is_named() -> None:
    cluster = topology("rails")
    assert busiest(View(cluster, np.zeros(cluster.links))) == "no link was used"
    load = np.where(cluster.kind == LEAF_SPINE, 0.005, 0.0)
    assert busiest(View(cluster, load)) == "busiest: leaf 0 → spine, 0.5 % of the run, and 7 like it"


def test_parts_of_a_graph_are_numbered_by_their_first_vertex() -> None:
    a, b = np.array([5, 1, 2]), np.array([1, 4, 3])
    assert components(7, a, b).tolist() == [0, 1, 2, 2, 1, 1, 3]


# -- refusals ----------------------------------------------------------------------------------------------


def test_other_files_and_wrong_loads_are_refused_in_words(tmp_path: Path) -> None:
    cluster = topology("mesh")
    for target in ("it.pdf", "it", "it.svg.gz"):
        with pytest.raises(PictureError, match=r"end its name in \.svg or \.png"):
            draw(cluster, tmp_path / target)
    assert check_target("a.SVG") == Path("a.SVG")
    with pytest.raises(PictureError, match="there are 56 links"):
        draw(cluster, tmp_path / "it.svg", load=np.zeros(3))
    for wrong in (np.nan, -0.1, 1.01):
        with pytest.raises(PictureError, match="between 0 and 1"):
            draw(cluster, tmp_path / "it.svg", load=np.full(56, wrong))
    with pytest.raises(FileNotFoundError):
        draw(cluster, tmp_path / "nowhere" / "it.svg")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NoMatplotlib, match=r"pip install 'ringsim\[plot\]'"):
        draw(topology("mesh"), tmp_path / "it.svg")


def test_the_settings_of_others_stay_as_they_are(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw(topology("mesh"), tmp_path / "it.svg")
    assert dict(mpl.rcParams) == before
    assert ringsim.picture.page.STYLE["svg.fonttype"] == "none"
