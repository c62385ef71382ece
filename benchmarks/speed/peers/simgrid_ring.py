"""Ring all-reduce with SimGrid's Python bindings: the same engine as the C++ program, driven by Python actors.

Runs in the Python that the distribution's bindings belong to, so it needs nothing else. Prints the same line of JSON.

    /usr/bin/python3 simgrid_ring.py 128 65536 300e9 3.875e-6    # cards, bytes a message, bytes/s, seconds
"""

import json
import sys
import time

from simgrid import Actor, Engine, LinkInRoute, Mailbox, NetZone


def main() -> None:
    """Build the switch, run one all-reduce, print."""
    cards = int(sys.argv[1])
    bytes, bandwidth, latency = map(float, sys.argv[2:5])
    engine = Engine(["simgrid_ring", "--log=root.thresh:warning"])
    for setting in (
        "network/model:CM02", "network/TCP-gamma:0", "network/crosstraffic:0",
        "network/latency-factor:1", "network/bandwidth-factor:1", "network/weight-S:0",
    ):  # fmt: skip
        Engine.set_config(setting)
    zone = NetZone.create_star_zone("switch")
    hosts = []
    for i in range(cards):
        host = zone.create_host(str(i), 1e9)
        up = zone.create_link(f"up{i}", bandwidth).set_latency(latency).seal()
        down = zone.create_link(f"down{i}", bandwidth).set_latency(0).seal()
        zone.add_route(host.netpoint, None, None, None, [LinkInRoute(up)], False)
        zone.add_route(None, host.netpoint, None, None, [LinkInRoute(down)], False)
        hosts.append(host)
    zone.seal()
    steps = 2 * (cards - 1)

    def card(i: int) -> None:
        inbox, outbox = Mailbox.by_name(str(i)), Mailbox.by_name(str((i + 1) % cards))
        for _ in range(steps):
            sending = outbox.put_async(0, int(bytes))
            inbox.get()
            sending.wait()

    wall, cpu = time.perf_counter(), time.process_time()
    for i, host in enumerate(hosts):
        Actor.create(str(i), host, card, i)
    engine.run()
    found = {
        "time_s": engine.clock,
        "messages": cards * steps,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
