"""``ringsim compress-check``: a codec on real arrays through real schedules: bytes, error, and whether ranks agree."""

from typing import TYPE_CHECKING, Any

import click

from ringsim import __version__
from ringsim.cli.errors import BadFile, explained
from ringsim.cli.options import CARDS, DOMAIN, FABRIC, Command, Name, Whole, once
from ringsim.cli.screen import Progress, dump, echo

if TYPE_CHECKING:
    from ringsim.codecs import Codec, Floats
    from ringsim.fidelity import Fidelity, OnTheWire

#: Of the JSON object below.
SCHEMA = 1

#: The verdict that bytes are other than declared, or that ranks disagree.
WRONG = 1

#: Algorithms that are looked at unless one is named, of those that the codec permits.
USUAL = ("ring", "tree", "hierarchical-two-shot", "gather-ring")


@click.command(cls=Command, example="ringsim compress-check --codec int8 --cards 64")
@click.option(
    "--codec", metavar="CODEC", required=True, multiple=True, callback=once,
    help="As `--compress` takes it (see `ringsim codecs`).",
)  # fmt: skip
@click.option(
    "--cards", type=CARDS, required=True, help="Ranks, one on each card; the error is shown from 2 up to them."
)
@click.option("--fabric", type=FABRIC, default="hccs", show_default=True, help="Where algorithms are laid.")
@click.option("--domain", type=DOMAIN, help="Cards in a scale-up domain, instead of the fabric's.")
@click.option("--algorithm", type=Name("algorithm"), help="One algorithm instead of the usual ones.")
@click.option("--gradients", metavar="FILE.npy", help="Your own: an array of shape [cards, n], one row a rank.")
@click.option(
    "--seed", type=Whole("seed", "write a number such as 7"), default=0, show_default=True,
    help="Of sampled gradients, and of what rounds at random.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def compress_check(
    *, codec: str, cards: int, fabric: str, domain: int | str | None, algorithm: str | None, gradients: str | None,
    seed: int, as_json: bool,
) -> int:  # fmt: skip
    """Run a codec on gradients through real schedules: bytes, error of the sum, agreement of ranks.

    Gradients are sampled with the tails and the likeness between workers that were measured in training, or your own.
    The error is the norm of the difference from the exact sum over the norm of that. Exits with 1 if codes have other
    bytes than declared or if ranks end with different numbers.
    """
    from ringsim import fabric as fabrics
    from ringsim.codecs import CodecError, parse
    from ringsim.compression import permitted
    from ringsim.fidelity import GradientFileError, on_the_wire, read_gradients
    from ringsim.question import StudyError

    with explained(fabric, None):
        if codec == "none":
            raise StudyError("codec = none: there is nothing to check; name one of `ringsim codecs`")
        try:
            chosen = parse(codec)
        except CodecError as error:
            raise StudyError(f"codec = {error}") from None
        sheet = fabrics.load(fabric)
        allowed = permitted(chosen)
        names = tuple(name for name in USUAL if name in allowed) if algorithm is None else (algorithm,)
        if algorithm is not None and algorithm not in allowed:
            raise StudyError(f"algorithm = {algorithm}: {chosen.spec} permits {', '.join(allowed)}")
        try:
            own = None if gradients is None else read_gradients(gradients, cards)
        except GradientFileError as error:
            raise BadFile(str(error)) from None
        wire = on_the_wire(chosen, own, seed)
        progress, rows = Progress(enabled=not as_json), []
        counts = [cards] if own is not None else _counts(cards)
        try:
            for i, many in enumerate(counts):
                progress.step(i, len(counts), f"{many} cards")
                rows.append(_row(chosen, names, sheet, many, domain, own, seed))
        finally:
            progress.clear()
        if all(one is None for _, found in rows for one in found.values()):
            # Of nothing that was summed nobody may say that ranks agree about it.
            raise StudyError(
                f"algorithm = {', '.join(names)}: no place on {fabric} with {', '.join(map(str, counts))} cards, or too "
                "long to go through; `ringsim run` says which"
            )
    agree = all(one.agree for _, found in rows for one in found.values() if one is not None)
    finite = all(one.error < float("inf") for _, found in rows for one in found.values() if one is not None)
    fine = agree and finite and wire.declared in (None, wire.produced)
    if as_json:
        dump(_document(chosen, wire, rows, agree))
    else:
        _show(chosen, wire, names, rows, agree, sampled=own is None)
    return 0 if fine else WRONG


def _counts(cards: int) -> list[int]:
    """2, 4, 8, … and what was asked."""
    return sorted({cards, *(1 << i for i in range(1, cards.bit_length()))})


def _row(
    codec: "Codec",
    names: tuple[str, ...],
    sheet: Any,
    cards: int,
    domain: int | str | None,
    own: "Floats | None",
    seed: int,
) -> "tuple[int, dict[str, Fidelity | None]]":
    from ringsim import topology
    from ringsim.fidelity import through

    where = topology.build(sheet, cards, domain=domain)
    return cards, {name: through(codec, name, where, vectors=own, seed=seed) for name in names}


def _show(
    codec: "Codec", wire: "OnTheWire", names: tuple[str, ...], rows: "list[tuple[int, dict[str, Fidelity | None]]]",
    agree: bool, *, sampled: bool,
) -> None:  # fmt: skip

    from ringsim.writing import columns, share

    words = {"linear": "linear: codes add up", "quantiser": "a quantiser", "sparsifier": "a sparsifier"}
    echo(f"{codec.spec}, {words[codec.combine]}, ringsim {__version__}", bold=True)
    of = "one sampled gradient" if sampled else "the first gradient"
    said = "as declared" if wire.declared == wire.produced else f"declared {wire.declared}"
    if wire.declared is None:
        said = f"on {of}"
    echo(f"wire      {wire.elements:,} float32 become {wire.produced:,} bytes, {said}: {wire.ratio:,.4g} : 1")
    if wire.declared is None:
        reckoned = codec.wire_bytes(wire.elements)
        echo(
            f"timed as  {reckoned:,} bytes, {4 * wire.elements / reckoned:,.4g} : 1: the values decide, and times are "
            "reckoned for normally distributed ones"
        )
    echo(f"alone     {share(wire.error)} error on {of}")
    if codec.first:
        echo("one step  is what errors are of; error feedback sends the rest later")
    cells = [("cards", *names)]
    for cards, found in rows:
        cells.append((str(cards), *("-" if one is None else share(one.error) for one in found.values())))
    echo("")
    head, *lines = columns(cells, ())
    echo("error of the sum, by algorithm" + (", on sampled gradients" if sampled else ""), bold=True)
    echo(head, dim=True)
    for line in lines:
        echo(line)
    echo("")
    echo("all ranks agree bit for bit" if agree else "RANKS DISAGREE", bold=True)
    if any(one is not None and one.error == float("inf") for _, found in rows for one in found.values()):
        echo(f"OVERFLOW: sums are too large for {codec.spec}; divide gradients by the number of cards first", bold=True)


def _document(
    codec: "Codec", wire: "OnTheWire", rows: "list[tuple[int, dict[str, Fidelity | None]]]", agree: bool
) -> dict[str, Any]:
    errors = [
        {"cards": cards, "algorithm": name, "error": one.error if one.error < float("inf") else None,
         "agree": one.agree, "elements": one.elements}
        for cards, found in rows for name, one in found.items() if one is not None
    ]  # fmt: skip
    return {"schema": SCHEMA, "ringsim_version": __version__, "codec": codec.spec, "combine": codec.combine,
            "one_step": codec.first,
            "wire": {"elements": wire.elements, "declared_bytes": wire.declared, "produced_bytes": wire.produced,
                     "timed_bytes": codec.wire_bytes(wire.elements), "ratio": wire.ratio, "error": wire.error},
            "sums": errors, "agree": agree}  # fmt: skip
