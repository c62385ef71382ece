"""Files for tuners: what others wrote is read, what we write comes back, and what a plug-in would misread is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringsim.collectives import COLLECTIVES
from ringsim.formats import TunerFileError, hccl_tuner, nccl_tuner

SAMPLES = Path(__file__).parents[2] / "shared/samples/tuner"
samples = pytest.mark.skipif(not SAMPLES.exists(), reason="no samples on this machine")


# --- NCCL ---------------------------------------------------------------------------------------------------


@samples
def test_nccls_own_example_is_read() -> None:
    rules = nccl_tuner.read(SAMPLES / "nccl_tuner.conf")
    assert len(rules) == 9
    assert rules[0] == nccl_tuner.Rule("allreduce", 0, 65536, "tree", "simple", 2, 1, -1, -1, 1)
    assert rules[2] == nccl_tuner.Rule("allreduce", 1048577, 4294967295, "ring", "ll128", pipe_ops=4)
    assert rules[-1] == nccl_tuner.Rule("reduce", 0, 4294967295, "tree", "simple")


NCCL = [
    nccl_tuner.Rule(
        "allreduce", 0, 65536, "tree", "ll", nodes=4, ranks=32, comment="23.4 us simulated, 1.8 times a ring"
    ),
    nccl_tuner.Rule("allreduce", 65537, 2**64 - 1, "ring", "simple", channels=8, nodes=4, ranks=32),
    nccl_tuner.Rule("allgather", 0, 1024, "ring", "ll128", registered=0),
]


def test_what_is_written_for_nccl_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "tuner.conf"
    nccl_tuner.write(NCCL, path, comments=["nvlink4, 32 cards", "x" * 300])
    assert path.read_text("utf-8").splitlines() == [
        "# nvlink4, 32 cards",
        "# " + "x" * 252,
        "# collective_type,min_bytes,max_bytes,algorithm,protocol,channels,nNodes,nRanks,numPipeOps,regBuff",
        "# 23.4 us simulated, 1.8 times a ring",
        "allreduce,0,65536,tree,ll,-1,4,32,-1,-1",
        "allreduce,65537,18446744073709551615,ring,simple,8,4,32,-1,-1",
        "allgather,0,1024,ring,ll128,-1,-1,-1,-1,0",
    ]
    assert nccl_tuner.read(path) == [replace(rule, comment="") for rule in NCCL]


LINE = "allreduce,0,65536,tree,ll,-1,4,32"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("allreduce,0,1,tree,ll", "line 1: has 5 columns; write collective_type,min_bytes,"),
        (f"{LINE},-1,-1,-1", "line 1: has 11 columns; write"),
        (f"# fine\n\n  # not fine\n{LINE}", "line 3: has 1 columns; write"),
        (f"{LINE}# so", "line 1: nRanks = 32# so: write a whole number"),
        ("all-reduce,0,1,ring,ll,1,1,1", "line 1: collective_type = all-reduce: did you mean 'allreduce'?"),
        ("alltoall,0,1,ring,ll,1,1,1", "line 1: collective_type = alltoall: "),
        ("allreduce,0,1,Ring,ll,1,1,1", "line 1: algorithm = Ring: did you mean 'ring'?"),
        ("allreduce,0,1,ring,LL128,1,1,1", "line 1: protocol = LL128: did you mean 'll128'?"),
        ("allreduce,-1,1,ring,ll,1,1,1", "line 1: min_bytes = -1: at least 0"),
        ("allreduce,4,1,ring,ll,1,1,1", "line 1: max_bytes = 1: at least 4, the min_bytes"),
        ("allreduce,0,64K,ring,ll,1,1,1", "line 1: max_bytes = 64K: write a whole number"),
        ("allreduce,0,1,ring,ll,0,1,1", "line 1: channels = 0: at least 1, or -1 for any"),
        ("allreduce,0,1,ring,ll,1,-2,1", "line 1: nNodes = -2: at least 1, or -1 for any"),
        (
            "allreduce,0,1,ring,ll,1,1,1,-1,2",
            "line 1: regBuff = 2: 1 for registered buffers, 0 for others, -1 for both",
        ),
        (
            f"{LINE}\n# next\n{LINE}",
            "line 3: min_bytes, max_bytes = 0,65536: line 1 comes first with 0,65536 for the same",
        ),
        (
            f"{LINE}\nallreduce,65536,70000,ring,simple,-1,4,32",
            "line 2: min_bytes, max_bytes = 65536,70000: line 1 comes first with 0,65536 for the same calls; begin at",
        ),
        (
            "allreduce,0,99,ring,ll,-1,-1,-1\nallreduce,8,9,tree,ll,-1,2,16",
            "line 2: min_bytes, max_bytes = 8,9: line 1 comes first with 0,99 for the same calls; leave it out",
        ),
        ("#" + "x" * 254, "line 1: has 255 characters; NCCL reads 254 at most"),
    ],
)
def test_what_nccl_would_misread_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tuner.conf"
    path.write_text(text, "utf-8")
    with pytest.raises(TunerFileError) as caught:
        nccl_tuner.read(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_rules_that_do_not_get_in_each_others_way_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "tuner.conf"
    special = nccl_tuner.Rule("allreduce", 0, 65536, "tree", "ll", ranks=16)
    general = nccl_tuner.Rule("allreduce", 0, 2**40, "ring", "simple")
    other = nccl_tuner.Rule("broadcast", 0, 2**40, "ring", "simple")
    nccl_tuner.write([special, general, other], path)
    assert nccl_tuner.read(path) == [special, general, other]


def test_wrong_rules_are_not_written_for_nccl(tmp_path: Path) -> None:
    path = tmp_path / "tuner.conf"
    for rules, message in (
        ([replace(NCCL[0], algorithm="swing")], "rule 0: algorithm = swing: "),
        ([*NCCL, NCCL[1]], "rule 3: min_bytes, max_bytes = 65537,18446744073709551615: rule 1 comes first"),
    ):
        with pytest.raises(TunerFileError) as caught:
            nccl_tuner.write(rules, path)
        assert str(caught.value).startswith(f"{path}: {message}")
    assert not path.exists()


def test_our_algorithms_in_nccls_words() -> None:
    assert nccl_tuner.spoken("all-reduce", "ring", "Simple", nodes=2) == ("allreduce", "ring", "simple")
    assert nccl_tuner.spoken("reduce-scatter", "ring", "LL128", nodes=2) == ("reducescatter", "ring", "ll128")
    assert nccl_tuner.spoken("all-reduce", "in-switch", "Simple", nodes=1) == ("allreduce", "nvls", "simple")
    sharp = nccl_tuner.spoken("all-reduce", "in-switch", "Simple", nodes=2, nvls=False)
    assert sharp == ("allreduce", "collnet_direct", "simple")
    assert nccl_tuner.spoken("all-reduce", "swing", "Simple", nodes=2) is None
    assert nccl_tuner.spoken("all-gather", "nhr", "Simple", nodes=2) is None
    assert nccl_tuner.spoken("all-to-all", "direct", "Simple", nodes=2) is None
    assert nccl_tuner.spoken("all-reduce", "ring", "hccl", nodes=2) is None


# --- HCCL ---------------------------------------------------------------------------------------------------


@samples
def test_hccls_own_example_is_read() -> None:
    rules = hccl_tuner.read(SAMPLES / "hccl_tuner_config.json")
    assert [(rule.collective, rule.template) for rule in rules] == [
        ("allreduce", "nhr"), ("allreduce", "meshoneshot"), ("allgather", "mesh"),
    ]  # fmt: skip
    assert rules[0].match == hccl_tuner.Match(8, 16, 0, 65536, data_type="fp16")
    assert {(rule.engine, rule.executor, rule.cost) for rule in rules} == {("aicpu", "sole", 0.0)}


HCCL = [
    hccl_tuner.Rule("allreduce", hccl_tuner.Match(8, 8, 0, 65535), "aicpu", "sole", "meshoneshot"),
    hccl_tuner.Rule("allreduce", hccl_tuner.Match(8, 8, 65536, 2**40), "aicpu", "sole", "meshtwoshot", 12.5),
    hccl_tuner.Rule(
        "reduce_scatter", hccl_tuner.Match(16, 64, 0, 2**40, min_servers=2, max_servers=8, comm_name="dp"),
        "aicpu", "sequence", "meshconcurnhr",
    ),
]  # fmt: skip


def test_what_is_written_for_hccl_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "tuner.json"
    hccl_tuner.write(HCCL, path, comments=["hccs, 64 cards, simulated"])
    assert hccl_tuner.read(path) == HCCL
    document = json.loads(path.read_text("utf-8"))
    assert document["version"] == 1
    assert document["comment"] == ["hccs, 64 cards, simulated"]
    assert document["op_types"]["reduce_scatter"]["rules"][0]["match"] == {
        "min_ranks": 16, "max_ranks": 64, "min_bytes": 0, "max_bytes": 2**40, "comm_name": "dp",
        "min_servers": 2, "max_servers": 8,
    }  # fmt: skip


def hccl(**changes: Any) -> dict[str, Any]:
    match = {"min_ranks": 8, "max_ranks": 8, "min_bytes": 0, "max_bytes": 9} | changes.pop("match", {})
    rule = {"match": match, "engine": "aicpu", "executor": "sole", "template": "nhr", "cost": 0} | changes
    return {key: value for key, value in rule.items() if value is not None}


RULE = "op_types.allreduce.rules[0]"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "op_types.allreduce.rules = 0 rules: write a list of 1 to 2000 rules"),
        (["nhr"], f"{RULE} = nhr: write an object with"),
        ([hccl(engine="cpu")], f"{RULE}.engine = cpu: did you mean 'aicpu'?"),
        ([hccl(executor="solo")], f"{RULE}.executor = solo: did you mean 'sole'?"),
        ([hccl(template="ring")], f"{RULE}.template = ring: available: mesh, "),
        ([hccl(template="meshconcurring")], f"{RULE}.template = meshconcurring: did you mean 'meshconcur'?"),
        ([hccl(template="")], f'{RULE}.template = "": '),
        ([hccl(cost=-1)], f"{RULE}.cost = -1: write a number, at least 0; 0 is the best"),
        ([hccl(cost=True)], f"{RULE}.cost = true: write a number"),
        ([hccl(cost=None)], f"{RULE}: has no cost; a rule says match, engine, executor, template, cost"),
        ([hccl(costs=1)], f"{RULE}: there is no key 'costs'; did you mean 'cost'?"),
        ([hccl(match={"ranks": 8})], f"{RULE}.match: there is no condition 'ranks'; "),
        ([hccl(match={"min_ranks": 9})], f"{RULE}.match.max_ranks = 8: at least 9, the min_ranks"),
        ([hccl(match={"min_bytes": 10})], f"{RULE}.match.max_bytes = 9: at least 10, the min_bytes"),
        ([hccl(match={"min_pods": 3, "max_pods": 2})], f"{RULE}.match.max_pods = 2: at least 3, the min_pods"),
        ([hccl(match={"max_ranks": 2**32})], f"{RULE}.match.max_ranks = 4294967296: write a whole number from 0"),
        ([hccl(match={"max_bytes": "1M"})], f"{RULE}.match.max_bytes = 1M: write a whole number from 0 to "),
        ([hccl(match={"min_ranks": True})], f"{RULE}.match.min_ranks = true: write a whole number"),
        ([hccl(match={"data_type": "bf16"})], f"{RULE}.match.data_type = bf16: did you mean 'bfp16'?"),
        ([hccl(match={"comm_name": ""})], f'{RULE}.match.comm_name = "": write 1 to 63 characters'),
        (
            [hccl(), hccl(match={"min_bytes": 9, "max_bytes": 99}, template="mesh")],
            "op_types.allreduce.rules[1].match = 9 to 99 bytes: rules[0] comes first with 0 to 9 bytes for the same calls; "
            "begin at 10",
        ),
        (
            [hccl(), hccl(match={"data_type": "fp16", "min_bytes": 3, "min_servers": 1})],
            "op_types.allreduce.rules[1].match = 3 to 9 bytes: rules[0] comes first with 0 to 9 bytes for the same calls; "
            "leave it out",
        ),
    ],
)  # fmt: skip
def test_what_hccl_would_not_take_is_refused(rules: list[Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "tuner.json"
    path.write_text(json.dumps({"version": 1, "op_types": {"allreduce": {"rules": rules}}}), "utf-8")
    with pytest.raises(TunerFileError) as caught:
        hccl_tuner.read(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2: "),
        ("[]", "holds []; write "),
        ('{"version": 2}', "version = 2: write 1, the only one there is"),
        ('{"version": 1}', "op_types = (missing): "),
        ('{"version": 1, "version": 1}', "'version' stands twice in one object; leave one of them out"),
        ('{"version": 1, "op_types": {"all_reduce": {}}}', "op_types.all_reduce: no collective of HCCL; did you mean"),
        ('{"version": 1, "op_types": {"allreduce": []}}', "op_types.allreduce.rules = 0 rules: "),
        ("[" * 100_000, "too many brackets inside each other"),
    ],
)  # fmt: skip
def test_files_that_are_none_of_hccls(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tuner.json"
    path.write_text(text, "utf-8")
    with pytest.raises(TunerFileError) as caught:
        hccl_tuner.read(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_wrong_rules_are_not_written_for_hccl(tmp_path: Path) -> None:
    path = tmp_path / "tuner.json"
    with pytest.raises(TunerFileError, match=r"rules\[0\]\.template = swing: "):
        hccl_tuner.write([replace(HCCL[0], template="swing")], path)
    many = [replace(HCCL[0], match=hccl_tuner.Match(8, 8, n, n)) for n in range(2001)]
    with pytest.raises(TunerFileError, match="2001 rules: write a list of 1 to 2000 rules"):
        hccl_tuner.write(many, path)
    assert not path.exists()


def test_no_such_file(tmp_path: Path) -> None:
    for read, whose in ((nccl_tuner.read, "an NCCL"), (hccl_tuner.read, "an HCCL")):
        with pytest.raises(
            TunerFileError, match=f"No such file or directory; name an existing file of {whose} tuner plug-in$"
        ):
            read(tmp_path / "no")
        (tmp_path / "latin").write_bytes(b"\xff")
        with pytest.raises(TunerFileError, match=r"byte 0 is not UTF-8; save the file as UTF-8$"):
            read(tmp_path / "latin")


def test_our_algorithms_in_hccls_words() -> None:
    assert hccl_tuner.spoken("all-reduce", "one-shot") == ("allreduce", "sole", "meshoneshot")
    assert hccl_tuner.spoken("reduce-scatter", "hierarchical-nhr") == ("reduce_scatter", "sequence", "meshconcurnhr")
    assert hccl_tuner.spoken("all-reduce", "ring") is None
    assert hccl_tuner.spoken("broadcast", "ring") is None


@pytest.mark.parametrize("words", [nccl_tuner.WORDS, hccl_tuner.WORDS])
def test_words_are_for_algorithms_that_there_are(words: dict[str, dict[str, Any]]) -> None:
    for collective, names in words.items():
        assert set(names) <= set(COLLECTIVES[collective])
