"""What the tuner exports is what libraries read, and means what the table says."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from ringsim import formats
from ringsim.cli import main
from ringsim.collectives import COLLECTIVES
from ringsim.formats import hccl_tuner, msccl, nccl_tuner
from ringsim.question import Question, StudyError
from ringsim.study import answer, cluster
from ringsim.tune import export
from ringsim.tune.table import Table, sizes, tune
from ringsim.values import prove

SIZES = sizes(2**16, 2**28, 64, "float")


def tuned(fabric: str, cards: int = 16, among: tuple[str, ...] = (), **options: object) -> Table:
    return tune(Question(fabric, cards, **options), SIZES, among=among)  # type: ignore[arg-type]


def test_nccl_reads_what_is_best_of_what_it_has(tmp_path: Path) -> None:
    question = Question("nvlink4", 16)
    among = export.nccl_algorithms(question, cluster(question))
    assert set(among) == {"ring", "tree", "in-switch"}
    table, path = tuned("nvlink4", among=among), tmp_path / "nccl.csv"
    export.write_nccl(table, path)
    rules = nccl_tuner.read(path)
    assert rules[0].min_bytes == SIZES[0]
    assert rules[-1].max_bytes == SIZES[-1]
    assert all(a.max_bytes + 1 == b.min_bytes for a, b in itertools.pairwise(rules))
    for size in SIZES:
        rule = next(r for r in rules if r.min_bytes <= size <= r.max_bytes)
        assert (rule.collective, rule.nodes, rule.ranks) == ("allreduce", 2, 16)
        name = {"nvls": "in-switch"}.get(rule.algorithm, rule.algorithm)
        protocol = {"ll": "LL", "ll128": "LL128", "simple": "Simple"}[rule.protocol]
        by_hand = min(answer(Question("nvlink4", 16, size, algorithm=name)).best.time_us or 0.0 for name in among)
        mine = next(row.tuned.best for row in table.rows if row.tuned.bytes == size)
        assert (mine.case.algorithm, mine.case.protocol) == (name, protocol)
        assert mine.time_us is not None
        assert mine.time_us <= by_hand
        assert rule.channels in (-1, mine.case.channels)


def test_hccl_reads_what_is_best_of_what_it_has(tmp_path: Path) -> None:
    question = Question("hccs", 8)
    among = export.hccl_algorithms(question, cluster(question))
    assert set(among) == {"one-shot", "two-shot", "nhr", "hierarchical-nhr"}
    path = tmp_path / "hccl.json"
    export.write_hccl(tuned("hccs", 8, among), path)
    rules = hccl_tuner.read(path)
    assert [rule.template for rule in rules] == ["meshoneshot", "meshtwoshot"]
    assert (rules[0].match.min_bytes, rules[-1].match.max_bytes) == (SIZES[0], SIZES[-1])
    assert {(rule.match.min_ranks, rule.match.max_servers) for rule in rules} == {(8, 1)}


def test_what_a_library_has_no_words_for_is_refused() -> None:
    for collective, fabric, ask in (
        ("all-reduce", "hccs", export.nccl_algorithms), ("all-to-all", "nvlink4", export.nccl_algorithms),
        ("broadcast", "hccs", export.hccl_algorithms),
    ):  # fmt: skip
        question = Question(fabric, 16, collective=collective)
        with pytest.raises(StudyError, match=r"tuner knows no .*; try --"):
            ask(question, cluster(question))


def test_switches_that_add_between_nodes_alone_are_collnet() -> None:
    question = Question("nvlink3", 16)
    assert export._nccl("all-reduce", "in-switch", "Simple", cluster(question)) == (
        "allreduce",
        "collnet_direct",
        "simple",
    )


@pytest.mark.parametrize("fabric", ["hccs", "nvlink3"])
def test_an_exported_plan_read_back_is_right_and_takes_as_long(fabric: str, tmp_path: Path) -> None:
    among = tuple(name for name in COLLECTIVES["all-reduce"] if name not in ("in-switch", "ring", "tree"))
    table = tuned(fabric, among=among)
    written = list(export.write_msccl(table, tmp_path))
    assert len(written) == len(table.rows)
    for row, (path, notes, refused) in zip(table.rows, written, strict=True):
        assert notes is not None, refused
        algo = msccl.read(path)
        assert (algo.min_bytes, algo.max_bytes) == (row.low, row.high)
        prove(formats.load_schedule_file(path))
        assert msccl.prove(algo)
        best = row.tuned.best
        again = answer(Question(fabric, 16, best.case.bytes, algorithm=str(path), protocol=best.case.protocol)).best
        assert again.time_us == pytest.approx(best.time_us, rel=1e-9), path


def test_ranks_in_the_exported_order_sit_as_the_plan_wants() -> None:
    table = tuned("hccs", 64, placement="shuffle:5", among=("ring", "hierarchical-halving-doubling"))
    order = export.order(table)
    assert sorted(order) == list(range(64))
    assert table.topology.placement is not None
    assert (table.topology.placement[order] == np.arange(64)).all()
    assert export.order(tuned("hccs", 16, ("ring",))) == list(range(16))


def test_a_shuffled_ring_of_servers_gets_the_order_of_its_cables() -> None:
    import networkx as nx

    ring = nx.cycle_graph(8)
    nx.set_edge_attributes(ring, 1e9, "bandwidth")
    nx.set_edge_attributes(ring, 1e-6, "latency")
    nx.set_node_attributes(ring, {i: (i * 3) % 8 for i in ring}, "rank")
    table = tune(Question(None, None, graph=ring), [2**26], among=("ring",))
    order = export.order(table)
    places = {(i * 3) % 8: i for i in range(8)}
    seats = [places[rank] for rank in order]
    assert {(b - a) % 8 for a, b in zip(seats, seats[1:] + seats[:1], strict=True)} in ({1}, {7})
    assert table.rows[0].tuned.gain > 1.5


def test_the_command_writes_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("n.csv", "x", "o.txt", "h.json")]
    arguments = ["tune", "--fabric", "nvlink4", "--cards", "8", "-b", "64K", "-e", "4M", "-f", "64", "--quiet"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--nccl", str(files[0]), "--msccl", str(files[1]), "--order", str(files[2]),
              "--hccl", str(files[3])])  # fmt: skip
    assert end.value.code == 0, capsys.readouterr().err
    assert nccl_tuner.read(files[0])
    assert hccl_tuner.read(files[3])
    assert files[2].read_text().split() == list(map(str, range(8)))
    assert len(list(files[1].glob("*.xml"))) == 2


def test_the_command_refuses_before_it_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for option, target, what in (
        ("--nccl", tmp_path / "no" / "n.csv", "cannot be written"), ("--order", tmp_path, "cannot be written"),
        ("--msccl", tmp_path / "file" / "x", "Not a directory; name a folder"),
        ("--nccl", tmp_path / "n.csv", "NCCL's tuner knows no all-reduce with hccl"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as end:
            main(["tune", "--fabric", "hccs", "--cards", "8", "-b", "64K", "-e", "64K", option, str(target)])
        assert end.value.code == 2
        shown = capsys.readouterr()
        assert what in shown.err
        assert not shown.out
