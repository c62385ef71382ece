"""Ring or tree: from which size on a ring beats a double binary tree, and whether theory says the same.

Command::

    python benchmarks/ring_vs_tree.py

The picture's left panel shows the time of both on one cluster, with a circle where they cross; the right one
the crossing against the number of cards: on two real clusters, and on an idealised uniform one together with
the theory below.

Theory
------
*Uniform cluster*: p = g·m cards on one switch, in m servers of g (m a power of two), each card with B bytes/s
out and B in, the same start-up σ and the same α per hop for both algorithms, one channel, and links shared as
``reserved``: one that n connections use gives each of them B/n, busy or not.

*Ring*. Every card sends 2(p−1) chunks of S/p, each after the one before it on the ring has arrived::

    T_ring = σ + 2(p−1)·(α + S/(pB))

*Tree*. Two complementary trees carry S/2 each, in C chunks of S/(2C). Six connections leave the first card of
a server, its head: in the tree in which the server is inner, one up to the parent, two down to children and
one down its own chain; in the other tree, in which it is a leaf, one up and one down its chain. Four leave a
card inside the chain: up and down, in both trees. A hop therefore takes α + h·S/(2CB), with h = 6 next to a
head and h = 4 elsewhere. (Flat, g = 1: no chains, h = 4. Two servers: each is a root of one tree, h = 4.)
The deepest card lies L + g − 1 hops below the root, L = log2 m: L hops between servers and the first of the
chain with h = 6, the other g − 2 with h = 4. The first chunk goes all the way up and down; each later one
follows at the pace of the slowest hop::

    H      = 2·[6(L + 1) + 4(g − 2)]                          h of all hops up and down   (flat: 2·4·L)
    T_tree = σ + 2(L + g − 1)·α + [H + 6(C − 1)]·S/(2CB)                                  (flat: 4 for 6)

*Crossing*. Both are straight lines in S, so they cross once::

                2α·[(p − 1) − (L + g − 1)]
    S* = ----------------------------------------
          [H + 6(C − 1)]/(2CB) − 2(p − 1)/(pB)

The tree's lead is latency: p hops less log p. Its debt is what the pipeline does not hide. With one chunk the
debt grows with the depth, S* ≈ 4αB·p/(H − 4); with ever more chunks it tends to six halves of a vector
through the head against the ring's four, S* ≈ 2αB·p. Either way it grows about linearly with the cards.

Found: on the uniform cluster simulation and theory agree to 14 digits, from 0.36 MiB (16 cards) to 22.4
MiB (1,024) with one chunk and from 18.3 to 755 MiB with 64. On hccs a ring pays from 42.5 MiB on with 16
cards, from 791 MiB with 128 and from 7.3 GiB with 1,024, far above the usual bucket of gradients; on
nvlink3 from 95 MiB with 128 cards and from 978 MiB with 1,024, close to the uniform law with 64 chunks
though little there is uniform. With few servers the lead on nvlink3 changes hands more often. A ring also
wins in a middle range (with 32 cards from 0.49 MiB to a little above 1), because its chunks are small enough for
the cheap steps of LL where the tree's no longer are. And with two servers a tree wins again from about 50
MiB on, because it sends each byte over each NIC once and a ring nearly twice.
"""

from dataclasses import replace
from itertools import pairwise, product
from math import log2
from pathlib import Path
from typing import Any

import click

from plots import COLOURS, LINES, cards_axis, figure, label_ends, save, size_axis, time_axis
from ringsim import fabric as fabrics
from ringsim.study import Question
from sweep import Row, Table, bisect, fingerprint, grid, options, progress, sizes

HELP = """Example: python benchmarks/ring_vs_tree.py --out /tmp/sweep

Time ring and tree over size and cards, find by bisection where they cross, and draw the crossings beside
theory. Goes on where an interrupted run stopped.
"""

#: NVLink 3 with every card on one switch, and a tree's step as cheap as a ring's: same α, σ and B for both.
UNIFORM = Question(
    "nvlink3",
    0,
    domain="all",
    rings=1,
    protocol="Simple",
    # Textbooks know a step and no thread block that is busy with a slice, or copies the last one out.
    changes=(
        "protocol.Simple.tree.step_scale_up=3.375us",
        "protocol.Simple.slice_overhead=0us",
        "protocol.Simple.tree.slice_overhead=0us",
        "protocol.Simple.copy_bandwidth=inf",
    ),
)
CLUSTERS = {
    "hccs": Question("hccs", 0),
    "nvlink3": Question("nvlink3", 0),
    "uniform, 1 chunk": replace(UNIFORM, chunks=1),
    "uniform, 64 chunks": replace(UNIFORM, chunks=64),
}
CARDS = (16, 32, 64, 128, 256, 512, 1024)
SIZES = sizes(2**14, 2**34, 4)
#: Whose times are drawn, and with how many cards.
SHOWN, SHOWN_CARDS = "hccs", (16, 128, 1024)


def ask_about(cluster: Question, cards: int, algorithm: str, size: int) -> Question:
    # Slices are a ring's pieces and chunks a tree's, and a uniform ring is the plain one of the formula.
    pieces = {"slices": 1 if cluster.chunks else None} if algorithm == "ring" else {"chunks": cluster.chunks}
    return replace(cluster, cards=cards, algorithm=algorithm, size=size, **({"slices": None, "chunks": None} | pieces))


def theory(cards: int, chunks: int, size: int = 8) -> tuple[float, float, float, float]:
    """Evaluate the formulas above: seconds of ring and tree without a byte, then their seconds per byte.

    Parameters
    ----------
    cards, chunks : int
        p and C.
    size : int
        g, cards in a server.
    """
    sheet = fabrics.load(str(UNIFORM.fabric), changes=UNIFORM.changes)
    protocol = sheet.protocol(UNIFORM.protocol, "ring")
    alpha, rate = protocol.step_scale_up + sheet.domain.latency, sheet.domain.card_bandwidth
    servers = cards // size
    height = log2(servers)
    # Two servers: each is the root of one tree, so a head has four connections too.
    head = 6 if servers > 2 and size > 1 else 4
    hops = 2 * (head * (height + 1) + 4 * (size - 2)) if size > 1 else 2 * head * height
    return (
        protocol.startup + 2 * (cards - 1) * alpha,
        protocol.startup + 2 * (height + size - 1) * alpha,
        2 * (cards - 1) / (cards * rate),
        (hops + head * (chunks - 1)) / (2 * chunks * rate),
    )


def theoretical_crossing(cards: int, chunks: int, size: int = 8) -> float:
    """Evaluate S* of the uniform cluster, bytes."""
    ring, tree, ring_per_byte, tree_per_byte = theory(cards, chunks, size)
    return (ring - tree) / (tree_per_byte - ring_per_byte)


def leads(rows: list[Row], series: str, cards: int) -> list[tuple[int, float]]:
    """Size and time of ring less that of tree, µs, wherever the table has both, by size."""
    times: dict[int, dict[str, float]] = {}
    for row in rows:
        if (row["series"], row["cards"]) == (series, cards):
            times.setdefault(row["bytes"], {})[row["algorithm"]] = row["time_us"]
    return [(size, both["ring"] - both["tree"]) for size, both in sorted(times.items()) if len(both) == 2]


def brackets(rows: list[Row], series: str, cards: int) -> list[tuple[int, int, float]]:
    """List neighbouring sizes between which ring overtakes tree, and the zero of the line between them."""
    lead = leads(rows, series, cards)
    return [
        (low, high, low + (high - low) * left / (left - right))
        for (low, left), (high, right) in pairwise(lead)
        if left > 0 >= right
    ]


def seek(table: Table, series: str, cards: int) -> None:
    """Fill the table where ring overtakes tree, closer and closer."""

    def ask(algorithm: str, size: int) -> Row:
        return table.ask(series, ask_about(CLUSTERS[series], cards, algorithm, size))

    chunks = CLUSTERS[series].chunks
    if chunks is None:
        for low, high, _ in brackets(list(table.rows.values()), series, cards):
            bisect(ask, low, high)
        return
    # Theory says where to look; the simulation says whether it is there.
    near = theoretical_crossing(cards, chunks)
    for factor in (1.1, 4.0, 4.0**4):
        if bisect(ask, round(near / factor / 4) * 4, round(near * factor / 4) * 4) is not None:
            return


def plot(rows: list[Row], picture: object) -> None:
    fig, (left, right) = figure(2, height=4.8)
    _plot_times(rows, left)
    _plot_crossings(rows, right)
    save(fig, picture)


def _plot_times(rows: list[Row], axes: Any) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    largest = SIZES[0]
    for cards, colour in zip(reversed(SHOWN_CARDS), ("#6B2E00", "#D55E00", "#E69F00"), strict=True):
        for algorithm, look in LINES.items():
            own = sorted(
                (row["bytes"], row["time_us"]) for row in rows
                if (row["series"], row["cards"], row["algorithm"]) == (SHOWN, cards, algorithm)
            )  # fmt: skip
            if own:
                size, time = zip(*own, strict=True)
                name = f"{algorithm}, {cards:,} cards"
                axes.plot(size, time, color=colour, linestyle=look["linestyle"], label=name)
                largest = max(largest, size[-1])
        for low, high, zero in brackets(rows, SHOWN, cards):
            at = [
                row["time_us"]
                for row in rows
                if (row["series"], row["cards"]) == (SHOWN, cards) and row["bytes"] in (low, high)
            ]
            axes.plot(
                [zero],
                [sum(at) / len(at)],
                "o",
                color=colour,
                markersize=8,
                markerfacecolor="white",
                zorder=3,
            )
    size_axis(axes.xaxis, SIZES[0], largest)
    time_axis(axes.yaxis)
    axes.set_xlabel("size of the vector on each card")
    axes.set_ylabel("time of one all-reduce")
    axes.set_title(f"{SHOWN}: ring and tree, circles where they cross")
    axes.legend(frameon=False, loc="lower right")


def _plot_crossings(rows: list[Row], axes: Any) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    ends, everything, everyone = [], [], []
    for series, cluster in CLUSTERS.items():
        found = [
            (cards, zero)
            for cards in sorted({row["cards"] for row in rows if row["series"] == series})
            for _, _, zero in brackets(rows, series, cards)
        ]  # fmt: skip
        if not found:
            continue
        cards, zeros = zip(*found, strict=True)
        colour = COLOURS[series]
        if cluster.chunks is None:
            axes.plot(cards, zeros, color=colour, marker="o", linestyle="")
            for (p, here), (q, there) in product(found, repeat=2):
                # A line only along one branch: with few servers the lead can change hands three times.
                if q == 2 * p and max(there / here, here / there) < 16:
                    axes.plot([p, q], [here, there], color=colour)
        else:
            axes.plot(cards, [theoretical_crossing(p, cluster.chunks) for p in cards], color=colour, linewidth=1)
            axes.plot(cards, zeros, color=colour, marker="o", linestyle="", markerfacecolor="white")
        ends.append((cards[-1], zeros[-1], series, colour))
        everything += zeros
        everyone += cards
    if not ends:
        raise click.ClickException("the table holds no crossing of ring and tree; run without --plot-only")
    cards_axis(axes.xaxis, everyone)
    size_axis(axes.yaxis, min(everything) / 2, max(everything) * 2)
    axes.set_xlabel("cards")
    axes.set_ylabel("size at which ring overtakes tree")
    axes.set_title("Crossing: dots simulated, thin lines theory")
    label_ends(axes, ends)


@click.command(help=HELP)
@options("ring_vs_tree")
def main(table: Table, picture: Path, quick: bool, plot_only: bool) -> None:
    if not plot_only:
        table.keep({fingerprint(cluster) for cluster in CLUSTERS.values()})
        clusters, cards = (("hccs", "uniform, 1 chunk"), CARDS[:1]) if quick else (tuple(CLUSTERS), CARDS)
        real = [series for series in clusters if CLUSTERS[series].chunks is None]
        questions = [
            (series, ask_about(CLUSTERS[series], p, algorithm, size))
            for series in real for p in cards for algorithm in LINES for size in SIZES
        ]  # fmt: skip
        grid(table, questions, "times")
        with progress([(series, p) for series in clusters for p in cards], "crossings") as bar:
            for series, p in bar:
                seek(table, series, p)
    plot(list(table.rows.values()), picture)


if __name__ == "__main__":
    main()
