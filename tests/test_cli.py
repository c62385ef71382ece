"""The command line as its readers meet it: people in front of a table, programs behind a pipe."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ringsim
from ringsim import report, topology
from ringsim.candidates import MEMORY
from ringsim.cli import cli, main
from ringsim.cli.screen import Progress
from ringsim.cli.sheet import cluster
from ringsim.collectives import ALGORITHMS, COLLECTIVES
from ringsim.result import Result
from ringsim.study import Answer, Question, answer

SMALL = ["run", "--fabric", "hccs", "--cards", "16", "--size", "1M"]
ESCAPE = "\x1b["


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line that has to succeed and return its standard output."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(args)
        out, err = capsys.readouterr()
        assert stop.value.code == 0, err
        # Nothing but the remark that something had to be compiled, and that only where it had to be.
        assert all(line.startswith("ringsim: compiling") for line in err.splitlines())
        return str(out)

    return run


def process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ringsim.cli import main; main()", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | env)


def rows(text: str) -> list[list[str]]:
    """Take the table's rows apart into cells, the mark of the best in front."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if "(elements)" in line) + 1
    table = []
    for line in lines[start:]:
        if not re.match(r"[* ] +\d|\d", line):
            break
        table.append(line.replace("≥ ", "≥").split())
    return table


# -- run ---------------------------------------------------------------------------------------------------


def test_table_has_the_columns_of_nccl_tests_and_the_numbers_of_the_result(say: Any) -> None:
    text = say(*SMALL, "--algorithm", "ring", "--rings", "8", "--dtype", "half")
    names = ["size", "count", "type", "algorithm", "protocol", "time", "algbw", "busbw", "bound", "reached"]
    assert names in [line.split() for line in text.splitlines()]
    assert "(B) (elements) ×channels (us) (GB/s) (GB/s) (us)" in " ".join(text.split())
    found = ringsim.run("hccs", cards=16, size="1M", algorithm="ring", rings=8, dtype="half")
    assert found.time_us
    assert found.reached
    assert rows(text) == [
        [
            "1048576", "524288", "half", "ring", "×8", "hccl", f"{found.time_us:.2f}",
            f"{found.algbw_GBps:.2f}", f"{found.busbw_GBps:.2f}", f"{found.bound_us:.2f}",
            f"{found.reached:.1%}",
        ]
    ]  # fmt: skip


def test_header_states_every_assumption(say: Any) -> None:
    text = say(*SMALL, "--algorithm", "ring")
    for part in (
        "1MiB (262,144 × float) on 16 cards",
        "hccs: Huawei Ascend 910B",
        "2 nodes of 8 Ascend 910B; 192 directed links",
        "7 lanes a card at 18.3GB/s each way, 65.4% of the nominal 28GB/s; 500ns a hop",
        "roce-200g: rails, 8 leaves of 64 ports, 32 spines; non-blocking; 250ns a switch",
        "20GB/s each way, 80.0% of the nominal 25GB/s; 27.2GB/s to the card; 625ns a side",
        "spread: a switch's cables to the tier above act as one trunk (planned or adaptive paths)",
        "ring on 8 channels, 1 slice",
        "hccl: start 10us; step 2.5us in a node, 7us between nodes; no wire overhead",
        "a card sends a message to other nodes every 1us at most",
        "max-min: connections share every link fairly",
        "bytes are a fluid; reducing is free; no back-pressure",
        "compiled: 3,840 transfers",
    ):
        assert part in text
    assert "changed" not in text
    assert "seed" not in text
    hashed = say(*SMALL, "--set", "network.routing=hash", "--seed", "7")
    assert "hash: a connection keeps one path, chosen by its ends, its channel and seed 7" in hashed


def test_header_of_a_protocol_that_reserves(say: Any) -> None:
    text = say("run", "--fabric", "nvlink4", "--cards", "16", "--size", "1M", "--protocol", "LL128")
    assert "LL128: start 14us" in text
    assert "wire overhead 6.7%" in text
    assert "reserved: a channel keeps its part of a scale-up link" in text


def test_header_lines_fit_a_terminal_of_100_columns(say: Any) -> None:
    for fabric in ringsim.available():
        text = say("run", "--fabric", fabric, "--cards", "16", "--size", "1G", "--algorithm", "ring")
        assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("roce-400g-torus", "spread: the cables between two nodes act as one trunk"),
        ("ib-hdr-dragonfly", "spread: connections take the cables between two groups in turn"),
    ],
)
def test_header_says_what_spreading_is_in_each_network(say: Any, network: str, words: str) -> None:
    line = f"routing    {words}"
    assert line in say(*SMALL, "--cards", "64", "--network", network, "--set", "network.routing=spread").splitlines()
    assert len(line) <= 100


def test_header_says_what_is_unusual_about_the_cluster(say: Any) -> None:
    alone = say(*SMALL, "--cards", "8")
    assert "not used: one scale-up domain holds every card" in alone
    assert "between nodes" not in alone
    uneven = say(*SMALL, "--cards", "14", "--set", "network.oversubscription=2")
    assert "2 nodes of 8 Ascend 910B, the last of 6;" in uneven
    assert "oversubscribed 2:1" in uneven
    other = say(*SMALL, "--domain", "4", "--network", "ib-ndr")
    assert "4 nodes of 4 Ascend 910B" in other
    assert "the fabric's own domain holds 8" in other
    assert "ib-ndr: rails" in other
    # Four ports: two down and two up, so that 32 nodes need 8 x 16 leaves.
    narrow = say(*SMALL, "--cards", "256", "--size", "4K", "--algorithm", "tree", "--set", "network.radix=4")
    assert "128 leaves of 4 ports" in narrow
    assert "each spine stands for a further non-blocking tier" in narrow


def test_changes_are_shown_with_what_they_replaced(say: Any) -> None:
    text = say(*SMALL, "--set", "nic.bandwidth=50GB/s", "--set", "protocol.hccl.channel_cap=9GB/s")
    assert "changed    nic.bandwidth=50GB/s (was 25GB/s)\n" in text
    assert "           protocol.hccl.channel_cap=9GB/s (was inf)\n" in text
    assert "40GB/s each way, 80.0% of the nominal 50GB/s" in text
    assert "at most 9GB/s each" in text


def test_auto_marks_the_fastest_candidate(say: Any) -> None:
    table = rows(say("run", "--fabric", "nvlink4", "--cards", "16", "--size", "64M"))
    assert len(table) == 12  # two algorithms, one or all channels, three protocols
    assert [row[0] == "*" for row in table] == [True] + [False] * 11
    simulated = [float(row[-5]) for row in table if row[-1] != "-"]
    assert simulated == sorted(simulated)
    assert len(simulated) >= 2


def test_a_candidate_that_was_not_simulated_shows_its_floor_and_why(say: Any) -> None:
    text = say("run", "--fabric", "hccs", "--cards", "16", "--size", "1G")
    skipped = [row for row in rows(text) if row[-1] == "-"]
    assert skipped
    for row in skipped:
        assert row[-5].startswith("≥")
        assert row[-4:-2] == ["-", "-"]
    assert "≥ not simulated: its busiest link alone takes longer than the fastest candidate" in text
    assert "not simulated" not in say(*SMALL, "--algorithm", "ring", "--rings", "1")


OVERSUBSCRIBED = ["--set", "network.kind=leaf-spine", "--set", "network.radix=4"]
OVERSUBSCRIBED += ["--set", "network.oversubscription=3"]


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        (["--size", "8"], "limited by latency: even the busiest of the"),
        (["--size", "1G", "--algorithm", "ring"], "limited by scale-up lanes: the busiest is sending"),
        (["--size", "1G", "--set", "nic.bandwidth=1GB/s"], "limited by NIC ports (nic→leaf): the busiest"),
        (
            ["--size", "1G", "--algorithm", "ring", *OVERSUBSCRIBED],
            "limited by trunks between",
        ),
    ],
)
def test_last_line_says_what_limits_the_run(say: Any, more: list[str], verdict: str) -> None:
    assert say(*SMALL, *more).splitlines()[-1].startswith(verdict)


def test_quiet_leaves_the_table_and_the_verdict(say: Any) -> None:
    quiet, whole = say(*SMALL, "--quiet"), say(*SMALL)
    assert whole.endswith(quiet)
    assert quiet.split()[0] == "size"


def test_options_reach_the_simulation(say: Any) -> None:
    result = json.loads(
        say(
            *SMALL, "--json", "--algorithm", "ring", "--rings", "3", "--slices", "4", "--protocol", "hccl",
            "--engine", "reference", "--no-jump", "--seed", "-5", "--domain", "4", "--network", "ib-ndr",
        )
    )  # fmt: skip
    case = result["case"]
    assert [case[key] for key in ("channels", "pieces", "engine", "jump", "seed", "domain", "network")] == [
        3, 4, "reference", False, -5, 4, "ib-ndr",
    ]  # fmt: skip
    tree = json.loads(say(*SMALL, "--json", "--algorithm", "tree", "--chunks", "7"))
    assert (tree["case"]["algorithm"], tree["case"]["pieces"]) == ("tree", 7)
    one = json.loads(say(*SMALL, "--json", "--domain", "all", "--set", "domain.kind=switch"))
    assert (one["case"]["nodes"], one["case"]["domain"]) == (1, 16)


def test_no_jump_is_said(say: Any) -> None:
    assert "none jumped or folded (--no-jump)" in say(*SMALL, "--no-jump")
    jumped = say("run", "--fabric", "nvlink4", "--cards", "64", "--algorithm", "ring", "--protocol", "Simple")
    assert re.search(r"transfers, \d\d\.\d% jumped as steady state", jumped)


def test_a_file_of_one_s_own(say: Any, tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "topologies" / "hccs.toml").read_text("utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace('name = "hccs"', 'name = "mine"'), "utf-8")
    shipped, copy = (json.loads(say(*SMALL, "--json", "--fabric", name)) for name in ("hccs", str(mine)))
    assert copy["case"]["fabric"] == "mine"
    assert copy["result"]["time_us"] == shipped["result"]["time_us"]
    assert copy["case"]["fingerprint"] == shipped["case"]["fingerprint"]


# -- JSON --------------------------------------------------------------------------------------------------


def test_json_is_one_object_with_units_in_its_keys(say: Any) -> None:
    found = json.loads(say(*SMALL, "--json"))
    assert found["schema"] == 1
    assert found["ringsim_version"] == ringsim.__version__
    assert {"id", "fabric", "cards", "nodes", "algorithm", "channels", "bytes"} <= found["case"].keys()
    assert {
        "time_us", "algbw_GBps", "busbw_GBps", "bound_us", "transfers", "transfers_jumped", "wire_bytes",
        "bottleneck", "wall_s",
    } <= found["result"].keys()  # fmt: skip
    assert (found["case"]["cards"], found["case"]["nodes"], found["case"]["bytes"]) == (16, 2, 2**20)
    times = [one["result"]["time_us"] for one in found["candidates"]]
    assert found["result"]["time_us"] == min(time for time in times if time is not None)


def test_output_goes_to_the_file(say: Any, tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("x" * 100_000)
    assert "limited by" in say(*SMALL, "--output", str(target))
    assert json.loads(target.read_text("utf-8"))["case"]["cards"] == 16
    target.unlink()
    assert say(*SMALL, "--json", "--output", str(target)) == ""
    assert json.loads(target.read_text("utf-8"))["case"]["cards"] == 16


# -- terminals and pipes -----------------------------------------------------------------------------------


def test_a_pipe_gets_no_colours_and_no_progress() -> None:
    done = process(*SMALL)
    assert done.returncode == 0
    assert ESCAPE not in done.stdout
    assert "\r" not in done.stdout + done.stderr
    assert re.fullmatch(r"(ringsim: compiling .*\n)?", done.stderr)


def test_ascii_where_the_encoding_knows_no_more() -> None:
    done = process(*SMALL, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "262,144 x float" in done.stdout
    assert "tree x" in done.stdout


class Terminal(io.StringIO):
    """Standard error as a person sees it."""

    def isatty(self) -> bool:
        return True


def colored(monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(SystemExit):
        main(args)
    return terminal.getvalue()


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert ESCAPE in colored(monkeypatch, "topo", "list")
    assert f"{ESCAPE}1m* " in colored(monkeypatch, *SMALL)  # the best row is bold
    monkeypatch.setenv("NO_COLOR", "1")
    assert ESCAPE not in colored(monkeypatch, "topo", "list")
    assert ESCAPE not in colored(monkeypatch, *SMALL)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert ESCAPE not in colored(monkeypatch, "topo", "list")


@pytest.fixture
def small() -> Answer:
    return answer(Question("hccs", 16, size="1M"))


def shown(monkeypatch: pytest.MonkeyPatch, best: Result, screen: io.StringIO, **options: bool) -> str:
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(**options)
    for done in 0, 25, 50, 100:
        progress(best.case, done, 100)
    progress.clear()
    return screen.getvalue()


def test_progress_on_a_terminal_is_one_line_that_goes_away(small: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = shown(monkeypatch, small.best, Terminal()).split("\r")
    assert [re.findall(r"\d+%", part) for part in parts] == [[], ["0%"], ["25%"], ["50%"], [], []]
    assert "25 of 100 transfers" in parts[2]
    assert parts[-2].strip() == parts[-1] == ""
    assert len(parts[-2]) == len(parts[-3])


def test_progress_elsewhere_is_silent(small: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, small.best, io.StringIO()) == ""
    assert shown(monkeypatch, small.best, Terminal(), enabled=False) == ""


def test_a_short_run_shows_no_progress(small: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("time.monotonic", lambda: 0.5)
    monkeypatch.setattr(sys, "stderr", screen)
    Progress()(small.best.case, 50, 100)
    assert screen.getvalue() == ""


def test_compiling_is_said_once_and_not_if_quiet(
    small: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compiling(_: Question, *, progress: object, notice: Any) -> Answer:
        for _again in range(2):
            if notice:
                notice("compiling the engine")
        return small

    monkeypatch.setattr("ringsim.study.answer", compiling)
    for more, message in ([], "ringsim: compiling the engine\n"), (["--quiet"], ""):
        with pytest.raises(SystemExit):
            main([*SMALL, *more])
        assert capsys.readouterr().err == message


# -- report ------------------------------------------------------------------------------------------------


def test_a_percentage_is_0_or_100_only_where_that_is_true(small: Answer) -> None:
    def verdict(busy: float) -> str:
        return report.verdict(replace(small, best=replace(small.best, busy=busy, bottleneck="lane"))).text

    assert "sending 100.0% of" in verdict(1.0)
    assert "sending >99.9% of" in verdict(0.99999)
    assert "sending <0.1% of" in verdict(0.00001)


def test_every_kind_of_link_has_a_word() -> None:
    assert set(report.WORDS) == {*topology.LINK_KINDS, MEMORY}


# -- topo --------------------------------------------------------------------------------------------------


def test_topo_list_names_every_fabric_and_network(say: Any) -> None:
    text = say("topo", "list")
    for name in ringsim.available():
        sheet = ringsim.load(name)
        line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        assert line.split()[1:3] == [sheet.domain.kind, str(sheet.domain.size)]
        assert sheet.network.name in line
        assert line.endswith(sheet.title)
    assert "392GB/s" in text
    assert "roce-400g" in text
    found = json.loads(say("topo", "list", "--json"))
    assert [fabric["name"] for fabric in found["fabrics"]] == ringsim.available()
    assert found["fabrics"][0]["datasheet_bandwidth_GBps"] == 392
    assert {"ib-hdr", "ib-ndr", "roce-200g", "roce-400g"} <= {net["name"] for net in found["networks"]}


@pytest.mark.parametrize("name", ringsim.available())
def test_topo_show_prints_every_number_with_its_source(say: Any, name: str) -> None:
    sheet = ringsim.load(name)
    text, found = say("topo", "show", name), json.loads(say("topo", "show", name, "--json"))
    assert sheet.sources.keys() <= found["values"].keys()
    for key, source in sheet.sources.items():
        assert source in text
        assert found["values"][key]["source"] == source
    for protocol in sheet.protocols:
        assert f"\nprotocol.{protocol}\n" in text
    assert found["fingerprint"] == sheet.fingerprint()
    lane = found["values"]["domain.lane_bandwidth"]
    assert (lane["value"], lane["unit"]) == (sheet.domain.lane_bandwidth, "B/s")
    assert found["values"][f"protocol.{next(iter(sheet.protocols))}.channel_cap"]["value"] is None
    assert "cluster" not in found


def test_topo_show_of_a_torus(say: Any, tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "topologies" / "hccs.toml").read_text("utf-8")
    for old, new in (
        ('kind = "full-mesh"', 'kind = "torus"\nshape = [[4, 4], "mine"]'), ("size = [8,", "size = [16,"),
        ("lanes = [7,", "lanes = [4,"), ("392GB/s", "224GB/s"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "torus.toml").write_text(text, "utf-8")
    shown = say("topo", "show", str(tmp_path / "torus.toml"), "--cards", "32")
    assert re.search(r"^  shape +4×4 +mine$", shown, re.M)
    assert re.search(r"^    lane +128$", shown, re.M)
    run = say(*SMALL, "--fabric", str(tmp_path / "torus.toml"), "--cards", "32")
    assert "4×4 torus, 4 lanes a card" in run


def test_topo_show_counts_a_cluster(say: Any) -> None:
    text = say("topo", "show", "hccs", "--cards", "1024")
    for line in (
        r"cards +1,024", r"nodes +128", r"leaf switches +32", r"spine switches +32",
        r"directed links +11,328", r"  lane +7,168", r"  nic→leaf +1,024",
        r"links between the two cards farthest apart +6",
    ):  # fmt: skip
        assert re.search(f"^  {line}$", text, re.M)
    found = json.loads(say("topo", "show", "nvlink4", "--cards", "64", "--network", "ib-hdr", "--json"))
    assert found["cluster"]["scale_up_switches"] == 8
    assert found["cluster"]["links"]["card→switch"] == 64
    assert found["values"]["network.name"]["value"] == "ib-hdr"


def farthest(built: topology.Topology) -> float:
    """Search the graph for the two cards that are farthest apart, and count the links between them.

    Traffic inside a node stays there, and traffic between nodes passes no third card.
    """
    import networkx as nx

    graph = built.graph()
    most = 0.0
    for a in range(built.cards):
        for b in range(built.cards):
            others = set(range(built.cards)) - {a, b}
            if a // built.group == b // built.group:
                inside = {v for v in graph if graph.nodes[v]["kind"] in ("card", "switch")}
                most = max(most, nx.shortest_path_length(graph.subgraph(inside), a, b))
            else:
                most = max(most, nx.shortest_path_length(graph.subgraph(set(graph) - others), a, b))
    return most


@pytest.mark.parametrize(
    ("name", "cards", "domain", "changes"),
    [
        ("hccs", 8, None, []), ("hccs", 16, None, []), ("hccs", 9, None, []), ("nvlink4", 8, None, []),
        ("nvlink4", 12, None, []), ("nvlink4", 6, 1, []), ("hccs", 6, 1, ["network.radix=4"]),
        ("nvlink4", 12, 4, ["network.kind=leaf-spine"]),
        ("hccs", 12, 4, ["network.kind=leaf-spine", "network.radix=6"]),
        ("hccs", 7, None, ["domain.kind=ring", "domain.size=7", "domain.lanes=2"]),
    ],
)  # fmt: skip
def test_diameter_is_that_of_the_graph(name: str, cards: int, domain: int | None, changes: list[str]) -> None:
    built = topology.build(ringsim.load(name, changes=changes), cards, domain=domain)
    assert cluster(built)["diameter_links"] == farthest(built)


# -- help, version, completion, start-up -------------------------------------------------------------------


def test_version(say: Any) -> None:
    assert say("--version") == f"ringsim {ringsim.__version__}\n"


@pytest.mark.parametrize("command", [[], ["run"], ["topo"], ["topo", "list"], ["topo", "show"]])
def test_help_begins_with_an_example(say: Any, command: list[str]) -> None:
    first, *rest = say(*command, "--help").splitlines()
    assert first.startswith("Example: ringsim ")
    assert " ".join(["Usage: ringsim", *command]) in rest[1]
    assert not any("Traceback" in line for line in rest)


def test_the_examples_work(say: Any) -> None:
    topo: Any = cli.commands["topo"]
    for command in topo.commands.values():
        assert say(*command.example.split()[1:])


def test_help_names_the_collectives_and_where_the_algorithms_are(say: Any) -> None:
    text = " ".join(say("run", "--help").split())
    others = [name for name in COLLECTIVES if name != "all-reduce"]
    assert f"Or {', '.join(others)}".replace(" ", "") in text.replace(" ", "")
    assert "ringsim algorithms" in text


@pytest.mark.parametrize("command", [[], ["topo"]])
def test_a_group_alone_shows_its_help_as_an_error(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(command)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert "Usage: ringsim" in err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("run --fabric nv", ["nvlink3", "nvlink3-a800", "nvlink4", "nvlink4-h800", "nvlink5"]),
        ("run --network roce-2", ["roce-200g"]),
        ("run --algorithm ", ["auto", *ALGORITHMS]),
        ("run --engine r", ["reference"]),
        ("run --dtype b", ["bfloat16"]),
        ("topo show h", ["hccs", "hccs-910c"]),
        ("to", ["topo"]),
    ],
)
def test_completion(typed: str, offered: list[str]) -> None:
    words = f"ringsim {typed}"
    done = process(_RINGSIM_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert [line.split(",")[1] for line in done.stdout.splitlines()] == offered


HEAVY = {"numpy", "numba", "networkx", "simpy"}
LOOK = """
import sys
import time
from ringsim.cli import main
try:
    main()
finally:
    print(sorted({"numpy", "numba", "networkx", "simpy"} & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "args",
    [
        "--help", "--version", "run --help", "topo list", "topo show hccs", "topo show nvlink4 --json",
        "run --fabric hcss --cards 8",
    ],
)  # fmt: skip
def test_what_simulates_nothing_imports_nothing_heavy(args: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOOK, *args.split()], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_run_needs_neither_networkx_nor_simpy() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK, *SMALL], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "['numba', 'numpy']"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
@pytest.mark.parametrize("long", [("--engine", "reference", "--cards", "256"), ("--no-jump", "--cards", "8192")])
def test_ctrl_c_stops_a_long_run_at_once(long: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "ringsim", "run", "--fabric", "hccs", "--algorithm", "ring", *long]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(4)  # far into the run; how long it takes to get there does not matter
        assert process.poll() is None, "the run was too short to be interrupted"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "interrupted"
    assert out == ""


# -- algorithms, graphs and pictures ---------------------------------------------------------------------------


def test_every_algorithm_is_listed_with_what_it_is(say: Any) -> None:
    text = say("algorithms")
    listed = json.loads(say("algorithms", "--json"))["collectives"]
    for collective, known in COLLECTIVES.items():
        assert collective in text.splitlines()
        assert [entry["name"] for entry in listed[collective]] == list(known)
        for name, how in known.items():
            assert how.about
            assert f"{'*' if how.auto else ' '} {name} " in text


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Four cards in a ring, one cable of which is entered one way."""
    path = tmp_path / "four.json"
    pairs = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2), (3, 0)]
    links = [{"source": a, "target": b, "bandwidth": "25GB/s", "latency": "1us"} for a, b in pairs]
    path.write_text(json.dumps({"directed": True, "nodes": [{"id": i} for i in range(4)], "links": links}))
    return path


def test_a_graph_is_run_checked_and_drawn(say: Any, graph: Path, tmp_path: Path) -> None:
    found = json.loads(say("run", "--graph", str(graph), "--algorithm", "ring", "--size", "1M", "--json"))
    # Round the ring from 0 to 3 and back over the one-way cable: 6 steps of 1us and a quarter of a MiB at 25 GB/s.
    assert found["result"]["time_us"] == pytest.approx(6 * (1 + 2**18 / 25e3))
    assert found["case"]["cards"] == 4
    assert "a one-way link" in say("topo", "check", str(graph))
    assert "directed links" in say("topo", "show", str(graph))
    picture = tmp_path / "four.svg"
    say("run", "--graph", str(graph), "--size", "1M", "--quiet", "--picture", str(picture))
    assert picture.read_text().startswith("<?xml")


def test_checking_finds_nothing_wrong_with_what_is_shipped(say: Any) -> None:
    for fabric in ringsim.available():
        assert "error" not in say("topo", "check", fabric, "--cards", "32")


def test_what_cannot_reach_is_an_error_with_its_own_exit_code(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = json.loads(graph.read_text())
    lost["links"] = [link for link in lost["links"] if 3 not in (link["source"], link["target"])]
    graph.write_text(json.dumps(lost))
    with pytest.raises(SystemExit) as stop:
        main(["topo", "check", str(graph)])
    assert stop.value.code == 1
    assert "cannot be reached" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["run", "--graph", str(graph)])
    assert stop.value.code == 3


def test_on_a_graph_only_protocols_can_be_changed(graph: Path, say: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["run", "--graph", str(graph), "--fabric", "hccs", "--size", "1M", "--quiet"]
    assert say(*asked) != say(*asked, "--set", "protocol.hccl.startup=1ms")
    with pytest.raises(SystemExit) as stop:
        main([*asked, "--set", "network.routing=hash"])
    assert stop.value.code == 2
    assert "a graph takes only the fabric's protocols" in capsys.readouterr().err


def test_ctrl_c_as_a_compiled_function_returns_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python then says that it returned with an exception set; any other such error is a bug and stays one."""

    def late(*_: object, **__: object) -> None:
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()

    def broken(*_: object, **__: object) -> None:
        raise SystemError("of another kind")

    monkeypatch.setattr("ringsim.cli.cli.main", late)
    with pytest.raises(SystemExit) as end:
        main(["run"])
    assert end.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"
    monkeypatch.setattr("ringsim.cli.cli.main", broken)
    with pytest.raises(SystemError, match="of another kind"):
        main(["run"])
