"""``ringsim codecs``: which gradient compressors there are, how they are written, and what they cost."""

import click

from ringsim import __version__
from ringsim.cli.options import Command
from ringsim.cli.screen import dump, echo

#: Of the JSON object below.
SCHEMA = 1

#: Elements of the vector whose code is measured.
ELEMENTS = 1 << 20


@click.command(cls=Command, example="ringsim codecs")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def codecs(*, as_json: bool) -> None:
    """List the gradient codecs that `--compress` takes.

    `ratio` is bytes of float32 for one byte of code, for a vector of a million elements. `encode`, `decode` and `add`
    are what goes through a card's memory, in bytes for one byte of the vector. `codes` says how they become a sum: they
    `add up`, are decoded and encoded `again` wherever something is added, or are `merged` or gathered.
    """
    from ringsim.codecs import CODECS, Passes, parse
    from ringsim.writing import columns

    raw = 4 * ELEMENTS
    words = {"linear": "add up", "quantiser": "again", "sparsifier": "merged"}
    listed, cells = [], list[tuple[str, ...]]()
    cells.append(("write", "", "ratio", "encode", "decode", "add", "codes", "what it is"))
    for name, entry in CODECS.items():
        codec = parse(entry.example)
        code = codec.wire_bytes(ELEMENTS)

        def passes(cost: Passes, code: int = code) -> float:
            return cost.raw + cost.code * code / raw

        about = (type(codec).__doc__ or "").strip().splitlines()[0].replace("`", "")
        cost = [passes(part) for part in (codec.cost.encode, codec.cost.decode, codec.cost.add)]
        cells.append(
            (entry.usage, entry.example if entry.usage != entry.example else "", f"{raw / code:.4g}",
             *(f"{part:.2f}" for part in cost), words[codec.combine], about)
        )  # fmt: skip
        listed.append(
            {"name": name, "usage": entry.usage, "example": entry.example, "combine": codec.combine,
             "ratio": raw / code, **dict(zip(("encode_passes", "decode_passes", "add_passes"), cost, strict=True)),
             "about": about}
        )  # fmt: skip
    if as_json:
        dump({"schema": SCHEMA, "ringsim_version": __version__, "elements": ELEMENTS, "codecs": listed})
        return
    head, *rows = columns(cells, (0, 1, 6, 7))
    echo(head, dim=True)
    for row in rows:
        echo(row)
