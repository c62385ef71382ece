"""Logs of benchmarks: every form that is known, what interrupts them, and what is refused."""

import json
import math
import re
from pathlib import Path

import pytest

from ringsim.formats.perf import PerfLog, PerfLogError, Row, read

SAMPLE = Path(__file__).parents[2] / "shared/samples/nccl_tests/superbenchmark_8xA100_allreduce.log"

DEVICES = "".join(
    f"#  Rank {rank:2d} Group  0 Pid {pid:6d} on {host} device {rank % 2:2d} [0000:07:00] NVIDIA H100 80GB HBM3\n"
    for rank, pid, host in [(0, 11, "a"), (1, 12, "a"), (2, 11, "b"), (3, 12, "b")]
)
NEW = f"""# nccl-tests version 2.17.8 nccl-headers=22809 nccl-library=22809
# Collective test starting: all_reduce_perf
# nThread 1 nGpus 1 minBytes 1024 maxBytes 16777216 step: 16(factor) warmup iters: 1 iters: 20 validation: 1 graph: 0
#
# Using devices
{DEVICES}#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
        1024           256     float     sum      -1    20.48    0.05    0.08      0    20.50    0.05    0.07      0
     1048576        262144     float     sum      -1    52.43   20.00   30.00      0    50.00   20.97   31.46      2
    16777216       4194304     float     sum      -1    167.8  100.00  150.00      0    160.0  104.86  157.29      0
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 61.5
#
# Collective test concluded: all_reduce_perf
"""


def load(folder: Path, text: str, name: str = "x.log") -> PerfLog:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read(file)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(PerfLogError) as error:
        load(folder, text)
    said = str(error.value)
    assert said.startswith(str(folder / "x.log"))
    assert "\n" not in said
    return said.removeprefix(str(folder / "x.log"))


def times(log: PerfLog) -> list[tuple[int, float, bool]]:
    return [(row.bytes, row.time_us, row.in_place) for row in log.rows]


WHOLE = [
    (1024, 20.48, False), (1024, 20.5, True), (1048576, 52.43, False), (1048576, 50.0, True),
    (16777216, 167.8, False), (16777216, 160.0, True),
]  # fmt: skip


# -- what nccl-tests prints ----------------------------------------------------------------------------------


def test_the_new_form(tmp_path: Path) -> None:
    log = load(tmp_path, NEW)
    assert times(log) == WHOLE
    assert log.rows[3] == Row(1048576, 262144, "float", 50.0, 20.97, 31.46, True, 2, log.rows[2].line, (0.005, 0.005))
    assert NEW.splitlines()[log.rows[0].line - 1].split()[0] == "1024"
    assert log.left_out == ()
    header = log.header
    assert (header.tool, header.program, header.version) == ("nccl-tests", "all_reduce_perf", "22809")
    assert (header.ranks, header.nodes, header.threads, header.gpus, header.graph) == (4, 2, 1, 1, False)
    assert header.devices == ("NVIDIA H100 80GB HBM3",)
    assert header.launch == "process per card"


@pytest.mark.skipif(not SAMPLE.exists(), reason="no shared samples here")
def test_the_old_form_of_a_real_run() -> None:
    log = read(SAMPLE)
    assert len(log.rows) == 68
    assert (log.header.ranks, log.header.nodes, log.header.launch) == (8, 1, "one thread for 8 cards")
    assert log.header.devices == ("A100-SXM4-40GB",)
    last = log.rows[-1]
    assert (last.bytes, last.time_us, last.busbw, last.in_place, last.wrong) == (8 << 30, 63959, 235.03, True, None)


def test_threads_and_graphs_are_told_from_processes(tmp_path: Path) -> None:
    one = NEW.replace("Pid     12", "Pid     11").replace("on b", "on a").replace("graph: 0", "graph: 4")
    header = load(tmp_path, one.replace("nThread 1", "nThread 4")).header
    assert (header.launch, header.graph, header.nodes) == ("thread per card", True, 1)
    assert load(tmp_path, one.replace("nGpus 1", "nGpus 4")).header.launch == "one thread for 4 cards"


@pytest.mark.parametrize(
    "label",
    ["[1,0]<stdout>:", "[1,0]<stdout>: ", "0: ", " 0:", "\x1b[32m"],
    ids=["mpi", "mpi ", "srun", "srun ", "colour"],
)
def test_launchers_label_lines(tmp_path: Path, label: str) -> None:
    assert times(load(tmp_path, "".join(label + line for line in NEW.splitlines(keepends=True)))) == WHOLE


def test_rccl_says_so(tmp_path: Path) -> None:
    text = NEW.replace("# nccl-tests version 2.17.8 nccl-headers=22809 nccl-library=22809", "# rccl-tests 2.12")
    log = load(tmp_path, "rccl-tests: Version develop\n" + text.replace("# Out", "# Errors with asterisks\n# Out"))
    assert times(log) == WHOLE
    assert log.header.tool == "rccl-tests"


def test_columns_of_every_iteration_and_time_stamps(tmp_path: Path) -> None:
    each = "   1.00    2.00    3.00    4.00"
    text = f"""#       size  count  type  redop  root  time  algbw  busbw #wrong  i_min i_max i_p99 i_cv%  time  algbw  busbw #wrong  i_min i_max i_p99 i_cv% timestamp
     1048576        262144     float     sum      -1    52.43   20.00   30.00      0 {each}    50.00   20.97   31.46      0 {each}  2026-01-01 10:00:00
"""  # noqa: E501
    assert times(load(tmp_path, text)) == WHOLE[2:4]


NOISE = "node-1:3442:3461 [0] NCCL INFO Channel 00/24 :    0   1   2   3"


@pytest.mark.parametrize(
    "noise", [NOISE, NOISE.replace("node-1", "4c3719b595b1"), f"[2026-01-01 10:00:00] {NOISE}", "4096 0 1 x"]
)
@pytest.mark.parametrize("after", ["sum      -1", " 30.00      0", "52.43   20.00", "    -1    52.43"])
def test_remarks_of_other_ranks_fall_anywhere(tmp_path: Path, noise: str, after: str) -> None:
    """The parts of a row are printed one after the other, and a line of somebody else may come between."""
    if "NCCL" not in noise:
        noise = "\n" + noise  # a stranger without a mark of his own at least begins a line
    text = "".join(line.replace(after, f"{after}{noise}\n", 1) for line in NEW.splitlines(keepends=True))
    assert times(load(tmp_path, text)) == WHOLE
    assert times(load(tmp_path, NEW.replace("\n", f"\n{NOISE}\n"))) == WHOLE


@pytest.mark.parametrize("cut", range(1, 130))
def test_a_log_may_end_anywhere(tmp_path: Path, cut: int) -> None:
    """What is whole is used, what is cut off is said, and no figure that was cut is taken for another."""
    end = NEW.index("# Out of bounds") - cut
    log = load(tmp_path, NEW[:end])
    known = set(WHOLE)
    assert set(times(log)) <= known
    assert len(log.rows) >= (4 if cut < 115 else 3)
    begun = len(re.findall(r"^ +\d+ +\d+ +float +[a-z]", NEW[:end], re.M))
    assert len(log.left_out) == (len(log.rows) < 2 * begun)


def test_a_log_without_its_head(tmp_path: Path) -> None:
    rows = [line for line in NEW.splitlines() if line.startswith("  ")]
    log = load(tmp_path, "\n".join(rows))
    assert times(log) == WHOLE
    assert log.header.ranks == 4  # from busbw / algbw
    old = [line.replace("      -1 ", " ") for line in rows]
    assert times(load(tmp_path, "\n".join(old))) == WHOLE
    assert load(tmp_path, rows[0]).header.ranks is None


# -- JSON ----------------------------------------------------------------------------------------------------


def report() -> dict[str, object]:
    def of(time: float, wrong: float | None) -> dict[str, object]:
        rate = 1048576 / time * 1e-3
        return {"time": time, "alg_bw": rate, "bus_bw": rate * 1.5, "nwrong": wrong}

    devices = [{"rank": i, "pid": 7 + i, "hostname": "ab"[i // 2], "device_info": "NVIDIA H100"} for i in range(4)]
    return {
        "version": 2, "args": ["./build/all_reduce_perf", "-J", "x"], "nccl_version": 22809,
        "config": {"nthreads": 1, "ngpus": 1, "graph": 0, "devices": devices},
        "results": [
            {"size": 1048576, "count": 262144, "type": "float", "redop": "sum", "root": "    -1",
             "out_of_place": of(52.4, 0.0), "in_place": of(50.0 + i, None)} for i in range(3)
        ],
        "errors": [],
    }  # fmt: skip


@pytest.mark.parametrize("indent", [None, 2])
def test_json_of_nccl_tests(tmp_path: Path, indent: int | None) -> None:
    log = load(tmp_path, json.dumps(report(), indent=indent))
    assert [(row.time_us, row.in_place, row.wrong) for row in log.rows[:2]] == [(52.4, False, 0), (50.0, True, None)]
    assert (log.header.ranks, log.header.nodes, log.header.launch) == (4, 2, "process per card")
    assert log.header.program == "all_reduce_perf"


def test_json_that_breaks_off(tmp_path: Path) -> None:
    text = json.dumps(report())
    log = load(tmp_path, text[: text.rindex('"in_place"') + 20])
    assert len(log.rows) == 4
    assert log.header.ranks == 4
    assert "breaks off" in log.left_out[0]
    assert "give the whole JSON" in refused(tmp_path, text[: text.index('"results"') + 14])


def test_json_of_rccl_tests(tmp_path: Path) -> None:
    rate = 1048576 / 52.4 * 1e-3
    records = [
        {"numCycle": 0, "name": "AllReduce", "nodes": 2, "ranks": 4, "ranksPerNode": 2, "gpusPerRank": 1, "size": 1048576,
         "type": "float", "redop": "sum", "inPlace": i, "time": 52.4, "algBw": rate, "busBw": rate * 1.5, "wrong": wrong}
        for i, wrong in ((0, "0"), (1, "N/A"))
    ]  # fmt: skip
    log = load(tmp_path, json.dumps(records))
    assert [(row.in_place, row.wrong) for row in log.rows] == [(False, 0), (True, None)]
    assert (log.header.tool, log.header.ranks, log.header.nodes) == ("rccl-tests", 4, 2)
    assert len(load(tmp_path, json.dumps(records)[:-30]).rows) == 1
    other = [records[0], records[1] | {"ranks": 8}]
    assert "line 1: [1]: another run than [0]" in refused(tmp_path, json.dumps(other))


# -- hccl_test -----------------------------------------------------------------------------------------------

HCCL = """the minbytes is 8192, maxbytes is 67108864, iters is 20, warmup_iters is 5
data_size(Bytes): |   aveg_time(us): | alg_bandwidth(GB/s): | check_result:
8192              |     764.55    |       0.01071        | success
local rank_id 3, check result failed, 16384 | 858.80 | 0.01908 | failed
some warning without pipes
32768             |     901.10    |       0.03636        | NULL
"""


def test_the_table_of_hccl_test(tmp_path: Path) -> None:
    log = load(tmp_path, HCCL)
    assert [(row.bytes, row.time_us, row.wrong) for row in log.rows] == [
        (8192, 764.55, 0),
        (16384, 858.8, 1),
        (32768, 901.1, None),
    ]
    assert all(math.isnan(row.busbw) for row in log.rows)
    assert (log.header.tool, log.header.ranks) == ("hccl_test", None)
    manual = HCCL.replace("aveg_time", "avg_time")
    assert load(tmp_path, manual).rows == log.rows
    rows = "\n".join(line for line in HCCL.splitlines() if "|" in line and "data" not in line)
    assert [row.time_us for row in load(tmp_path, rows).rows] == [764.55, 858.8, 901.1]


def test_columns_of_hccl_test_in_another_order(tmp_path: Path) -> None:
    text = (
        "check_result: | data_size(Bytes): | avg_time(us): | alg_bandwidth(GB/s):\nsuccess | 8192 | 764.55 | 0.01071\n"
    )
    assert [(row.bytes, row.time_us) for row in load(tmp_path, text).rows] == [(8192, 764.55)]
    assert "no column of time" in refused(tmp_path, text.replace("avg_time", "time"))


def test_the_command_of_hccl_test_says_how_many(tmp_path: Path) -> None:
    command = (
        "# mpirun -f hosts -n 16 /usr/local/hccl_test/bin/all_reduce_test -p 8 -b 8K -e 64M -f 2 -n 20 -d fp32 -o sum\n"
    )
    log = load(tmp_path, command + HCCL)
    assert (log.header.ranks, log.header.nodes, log.header.program) == (16, 2, "all_reduce_test")
    assert (log.rows[0].dtype, log.rows[0].count) == ("fp32", 2048)
    assert "all_gather_test; give one of all-reduce" in refused(tmp_path, command.replace("reduce", "gather") + HCCL)
    assert "no whole number of servers" in refused(tmp_path, command.replace("-p 8", "-p 5") + HCCL)


def test_a_table_that_breaks_off(tmp_path: Path) -> None:
    log = load(tmp_path, HCCL[:-20])
    assert len(log.rows) == 2
    assert log.left_out == ("line 6: the row of 32768 bytes breaks off",)


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    52.43 ", "    5.243 ", ": line 15: 5.243 us at 20 GB/s are 104,860 bytes and not 1,048,576"),
        ("   20.97 ", "   31.46 ", ": line 15: 50 us at 31.46 GB/s are"),
        (" 262144 ", " 262143 ", ": line 15: 262143 elements of float are 1048572 bytes and not 1048576"),
        ("   30.00 ", "   15.00 ", ": line 15: busbw / algbw = 0.75, and an all-reduce of 4 ranks has 1.5"),
        ("   52.43 ", "    0.00 ", ": line 15: time 0 us"),
        ("   52.43 ", "     nan ", ": line 15: nan 20.00 30.00 0: no measurement"),
        ("all_reduce_perf", "all_gather_perf", ": is the log of all_gather_perf; give one of all-reduce"),
        ("    time   algbw", " cputime   algbw", ": line 12: times of the CPU; run the benchmark without -C"),
    ],
)  # fmt: skip
def test_a_row_that_contradicts_itself(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in NEW
    assert refused(tmp_path, NEW.replace(old, new)).startswith(said)


def test_a_run_of_one_rank(tmp_path: Path) -> None:
    """Without MPI each process measures itself."""
    text = NEW
    for rank in (1, 2, 3):
        text = text.replace(f"Rank  {rank}", "Rank  0")
    assert "ran on one rank" in refused(tmp_path, text)


@pytest.mark.parametrize("text", ["", "\n", "hello\n", "\x00\x01", "1 2 3\n", "{}", "[{}]", "[1, 2]", '{"results": 3}'])
def test_what_is_no_log(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text)


@pytest.mark.parametrize(
    "change",
    [
        {"size": "8"},
        {"size": None},
        {"out_of_place": 3},
        {"out_of_place": {"time": "nan"}},
        {"count": True},
        {"size": 10**400},
        {"size": math.inf},
        {"count": math.nan},
    ],
    ids=range(8),
)
def test_json_with_holes(tmp_path: Path, change: dict[str, object]) -> None:
    document = report()
    results = document["results"]
    assert isinstance(results, list)
    results[1] |= change
    assert ": line 1: results[1]" in refused(tmp_path, json.dumps(document))


@pytest.mark.parametrize("number", ["1e999", "9" * 400, "9" * 5000, "\u0663"])
def test_numbers_that_are_none(tmp_path: Path, number: str) -> None:
    """They end the row that they stand in, as if it had broken off there."""
    log = load(tmp_path, NEW.replace("    52.43 ", f" {number} ").replace("Rank  1", f"Rank {number}"))
    assert times(log) == [*WHOLE[:2], *WHOLE[4:]]
    assert log.left_out == ("line 15: the row of 1048576 bytes breaks off, no time",)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("missing.log", "."):
        with pytest.raises(PerfLogError, match="cannot be read"):
            read(tmp_path / name)
    with pytest.raises(PerfLogError, match="cannot be read"):
        read("a\0b")
    (tmp_path / "x.log").write_bytes(b"\xff\xfe\x80garbage\n" + NEW.encode())
    assert times(read(tmp_path / "x.log")) == WHOLE
