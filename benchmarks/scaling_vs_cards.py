"""Number of cards: what becomes of the latency and the bandwidth of ring and tree from 8 cards to 30,000.

Command::

    python benchmarks/scaling_vs_cards.py

The picture's left panel shows the time of a 1 KiB all-reduce, which is latency alone; the right one the bus
bandwidth of 1 GiB. Two clusters as they are built, and for comparison what a brochure promises when it speaks
of NVLink and a thousand cards in one breath: every card on one NVLink switch (``--domain all``), which nobody
can buy.

Found: a ring's latency grows with the cards, 7.6 ms on hccs and 1.8 ms on nvlink3 with 1,024 of them, 221
and 52 ms with 30,000; a tree's with their logarithm, 174 and 91 µs, then 267 and 147 µs. Even the
idealised NVLink takes 24 µs for 1,024 cards. With 1 GiB a ring on nvlink3 holds its 188 GB/s to 512
cards, as long as its two slices of a chunk take longer to send than a step to start; 162 are left with
1,024 cards and 31 with 30,000. On hccs, where each chunk is sent whole and waits for its step, it falls
from 146 (16 cards) to 97 and 9. A tree keeps 158 to 161 GB/s on nvlink3 and 136 to 138 on hccs from 128
cards on, whatever their number.
"""

from pathlib import Path

import click

from plots import COLOURS, LINES, cards_axis, figure, label_ends, save, time_axis
from ringsim.study import Question
from sweep import Row, Table, fingerprint, grid, options

HELP = """Example: python benchmarks/scaling_vs_cards.py --out /tmp/sweep

Sweep the number of cards for a small and a large vector, ring and tree, and draw both. Goes on where an
interrupted run stopped.
"""

CLUSTERS = {"hccs": ("hccs", None), "nvlink3": ("nvlink3", None), "nvlink3, one domain": ("nvlink3", "all")}
CARDS = (*(2**k for k in range(3, 11)), 2048, 4096, 8192, 16384, 30000)
SMALL, LARGE = 2**10, 2**30


def questions(quick: bool) -> list[tuple[str, Question]]:
    return [
        (series, Question(fabric, cards, size, algorithm=algorithm, domain=domain))
        for series, (fabric, domain) in CLUSTERS.items()
        for size in (SMALL, LARGE)
        for algorithm in LINES
        for cards in ((8, 64) if quick else CARDS)
    ]


def plot(rows: list[Row], picture: Path) -> None:
    fig, (left, right) = figure(2)
    cards = [row["cards"] for row in rows]
    for axes, size, value in ((left, SMALL, "time_us"), (right, LARGE, "busbw_GBps")):
        axes.set_xscale("log", base=2)
        cards_axis(axes.xaxis, cards)
        axes.set_xlabel("cards")
        if value == "time_us":
            axes.set_yscale("log")
        ends = []
        for series in CLUSTERS:
            for algorithm, look in LINES.items():
                own = [
                    row for row in rows
                    if (row["series"], row["algorithm"], row["bytes"]) == (series, algorithm, size)
                ]  # fmt: skip
                own.sort(key=lambda row: row["cards"])
                if own:
                    colour = COLOURS[series]
                    axes.plot([row["cards"] for row in own], [row[value] for row in own], color=colour, **look)
                    ends.append((own[-1]["cards"], own[-1][value], f"{series}: {algorithm}", colour))
        if value == "time_us":
            time_axis(axes.yaxis)
        else:
            axes.set_ylim(bottom=0)
        label_ends(axes, ends)
    left.set_title("Latency: time of 1 KiB")
    left.set_ylabel("time of one all-reduce")
    right.set_title("Bandwidth: 1 GiB")
    right.set_ylabel("bus bandwidth, GB/s")
    save(fig, picture)


@click.command(help=HELP)
@options("scaling_vs_cards")
def main(table: Table, picture: Path, quick: bool, plot_only: bool) -> None:
    if not plot_only:
        table.keep({fingerprint(question) for _, question in questions(quick=False)})
        grid(table, questions(quick), "scaling_vs_cards")
    plot(list(table.rows.values()), picture)


if __name__ == "__main__":
    main()
