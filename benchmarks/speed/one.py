"""One experiment in a process of its own, so that its time and its peak memory are its own.

Reads a JSON object: `fabric`, `cards`, and the other fields of `Question`; `graph` asks for the NetworkX topology to be
built too. Prints one: seconds of each phase, and what came out.
"""

import json
import sys
import time

began = time.perf_counter()


def main() -> None:
    """Do what `scale.py` asks for."""
    asked = json.loads(sys.argv[1])
    from ringsim import fabric, study, topology
    from ringsim.engines import compiled  # noqa: F401 - loading Numba is a phase of its own

    loaded = time.perf_counter()
    edges = 0
    if asked.pop("graph"):
        cluster = topology.build(fabric.load(asked["fabric"]), asked["cards"], domain=asked.get("domain"))
        edges = cluster.graph().number_of_edges()
    drawn = time.perf_counter()
    best = study.answer(study.Question(**asked)).best
    ended = time.perf_counter()
    print(
        json.dumps(
            {
                "load_s": loaded - began, "graph_s": drawn - loaded, "answer_s": ended - drawn, "graph_edges": edges,
                "algorithm": best.case.algorithm, "channels": best.case.channels, "time_us": best.time_us,
                "transfers": best.transfers, "simulated": best.transfers_simulated, "jumped": best.transfers_jumped,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
