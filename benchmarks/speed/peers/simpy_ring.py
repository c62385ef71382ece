"""Ring all-reduce in SimPy, a process for every card: what one writes first, and the baseline of issue and README.

Two ways. `events` is the leanest that still has a process per card: timeouts, and an event where a card has to wait.
`store` is how the SimPy documentation teaches it: a link is a Resource, an inbox is a Store. Both take the alpha-beta
times of every message one by one, and both end at 2(p−1)(alpha + bytes/bandwidth).

Prints one line of JSON: simulated seconds, messages, wall and processor seconds of the simulation alone.

    python simpy_ring.py events 1024 65536 300e9 3.875e-6    # how, cards, bytes a message, bytes/s, seconds
"""

import json
import sys
import time
from collections.abc import Generator
from typing import Any

import simpy

Process = Generator[simpy.Event, Any, None]


def events(env: simpy.Environment, cards: int, steps: int, send: float, latency: float) -> None:
    """Count what has come in; whoever finds too little waits for an event that the next delivery sets off."""
    arrived, gate = [0] * cards, [env.event() for _ in range(cards)]

    def card(i: int) -> Process:
        to = (i + 1) % cards

        def deliver(_: simpy.Event) -> None:
            arrived[to] += 1
            if not gate[to].triggered:
                gate[to].succeed()

        for step in range(steps):
            if arrived[i] < step:
                gate[i] = env.event()
                yield gate[i]
            yield env.timeout(send)
            # A delivery is a timeout with a callback: no process is needed to carry it.
            env.timeout(latency).callbacks.append(deliver)

    for i in range(cards):
        env.process(card(i))


def store(env: simpy.Environment, cards: int, steps: int, send: float, latency: float) -> None:
    """A Resource for each link and a Store for each inbox."""
    links = [simpy.Resource(env) for _ in range(cards)]
    inboxes = [simpy.Store(env) for _ in range(cards)]

    def deliver(to: int, message: int) -> Process:
        yield env.timeout(latency)
        yield inboxes[to].put(message)

    def card(i: int) -> Process:
        for step in range(steps):
            if step:
                yield inboxes[i].get()
            with links[i].request() as mine:
                yield mine
                yield env.timeout(send)
            env.process(deliver((i + 1) % cards, step))

    for i in range(cards):
        env.process(card(i))


def simulate(how: str, cards: int, bytes: float, bandwidth: float, latency: float) -> dict[str, float]:
    """Run one all-reduce."""
    wall, cpu = time.perf_counter(), time.process_time()
    env, steps = simpy.Environment(), 2 * (cards - 1)
    {"events": events, "store": store}[how](env, cards, steps, bytes / bandwidth, latency)
    env.run()
    return {
        "time_s": env.now,
        "messages": cards * steps,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }


if __name__ == "__main__":
    how, cards, *numbers = sys.argv[1:]
    print(json.dumps(simulate(how, int(cards), *map(float, numbers))))
