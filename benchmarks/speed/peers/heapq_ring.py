"""Ring all-reduce in a bare `heapq` loop: how far Python alone gets with no simulator at all in between.

Prints one line of JSON: simulated seconds, messages, wall and processor seconds of the simulation alone.

    python heapq_ring.py 1024 65536 300e9 3.875e-6    # cards, bytes a message, bytes/s, seconds
"""

import json
import sys
import time
from heapq import heappop, heappush


def simulate(cards: int, bytes: float, bandwidth: float, latency: float) -> dict[str, float]:
    """Run one all-reduce; an event is a delivery."""
    wall, cpu = time.perf_counter(), time.process_time()
    steps, send = 2 * (cards - 1), bytes / bandwidth
    # An entry is (when, receiver). Card i's message q leaves when it is free and message q − 1 has come in.
    queue = [(send + latency, i) for i in range(cards)]
    free, sent, now = [send] * cards, [1] * cards, 0.0
    while queue:
        now, sender = heappop(queue)
        i = (sender + 1) % cards
        if sent[i] < steps:
            sent[i] += 1
            free[i] = max(free[i], now) + send
            heappush(queue, (free[i] + latency, i))
    return {
        "time_s": now,
        "messages": sum(sent),
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }


if __name__ == "__main__":
    cards, *numbers = sys.argv[1:]
    print(json.dumps(simulate(int(cards), *map(float, numbers))))
