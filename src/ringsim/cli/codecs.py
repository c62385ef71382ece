"""``ringsim codecs``: which gradient compressors there are, how they are written, and what they cost."""

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from ringsim import __version__
from ringsim.cli.options import Command
from ringsim.cli.screen import dump, echo

if TYPE_CHECKING:
    from ringsim.codecs import Codec, Passes

#: Of the JSON object below.
SCHEMA = 2

#: Elements of the vector whose code is measured.
ELEMENTS = 1 << 20

#: Columns of a terminal that everything fits.
WIDTH = 120

#: How codes become a sum, in a word; lists that cannot be merged are gathered.
SUMS = {"linear": "add up", "quantiser": "again", "sparsifier": "merged"}


@click.command(cls=Command, example="ringsim codecs")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def codecs(*, as_json: bool) -> None:
    """List the gradient codecs that `--compress` takes.

    `ratio` is bytes of float32 for one byte of code, for a vector of a million elements. `encode` (work between rounds
    included), `decode` and `add` are what goes through a card's memory, in bytes for one byte of the vector. `codes`
    says how they become a sum: they `add up`, are decoded and encoded `again` wherever something is added, are `merged`
    lists, or can only be `gathered`.
    """
    from ringsim.codecs import CODECS, parse

    listed = [
        {"name": name, "usage": entry.usage, "example": entry.example} | _figures(parse(entry.example))
        for name, entry in CODECS.items()
    ]
    if as_json:
        dump({"schema": SCHEMA, "ringsim_version": __version__, "elements": ELEMENTS, "codecs": listed})
        return
    _show(listed)


def _figures(codec: "Codec") -> dict[str, Any]:
    """What a codec makes of a vector, and what that costs."""
    from ringsim.fidelity import on_the_wire

    raw, timed = 4 * ELEMENTS, codec.wire_bytes(ELEMENTS)

    def passes(cost: "Passes") -> float:
        return cost.raw + cost.code * timed / raw

    cost = codec.cost
    return {
        "combine": codec.combine,
        "merges": codec.merges,
        "sized": codec.sized,
        "ratio": raw / timed if codec.sized else on_the_wire(codec).ratio,
        "timed_ratio": raw / timed,
        "encode_passes": passes(cost.encode),
        "decode_passes": passes(cost.decode),
        "between_passes": passes(cost.between),
        # Codes that add up are added as numbers are, which costs nothing here (docs/design.md).
        "add_passes": 0.0 if codec.combine == "linear" else passes(cost.add),
        "about": (type(codec).__doc__ or "").strip().splitlines()[0].replace("`", ""),
    }


def _show(listed: list[dict[str, Any]]) -> None:
    from ringsim.writing import columns

    cells = [("write", "such as", "ratio", "encode", "decode", "add", "codes")]
    for one in listed:
        work = (one["encode_passes"] + one["between_passes"], one["decode_passes"], one["add_passes"])
        passes = (f"{part:.2f}" for part in work)
        ratio = f"{'' if one['sized'] else '~'}{one['ratio']:.4g}"
        gathered = one["combine"] == "sparsifier" and not one["merges"]
        cells.append((one["usage"], one["example"], ratio, *passes, "gathered" if gathered else SUMS[one["combine"]]))
    head, *rows = columns(cells, (0, 1, 6))
    echo(head, dim=True)
    for row in rows:
        echo(row)
    for one in listed:
        if not one["sized"]:
            echo(
                f"~ of a sampled gradient, for the values decide; times are reckoned with {one['timed_ratio']:.4g}, "
                "that of normally distributed ones",
                dim=True,
            )
    echo("")
    broad = max(len(one["name"]) for one in listed) + 2
    for one in listed:
        for i, part in enumerate(wrap(one["about"], WIDTH - broad)):
            echo(f"{'' if i else one['name']:<{broad}}{part}")
