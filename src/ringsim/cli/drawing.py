"""Pictures from the command line: refused before the work if they cannot be written, and said where they went."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ringsim.cli.screen import check_writable

if TYPE_CHECKING:
    from ringsim.study import Answer
    from ringsim.topology import Topology


@contextmanager
def _explained() -> Iterator[None]:
    from ringsim.picture import NoMatplotlib, PictureError

    try:
        yield
    except (PictureError, NoMatplotlib) as error:
        raise click.ClickException(str(error)) from None


def check_picture(path: str) -> None:
    """Refuse a picture that could not be drawn or written, before the work that it is to show."""
    from ringsim.picture import check_target

    with _explained():
        check_writable(str(check_target(path)), "picture")


def draw_topology(topology: "Topology", path: str) -> None:
    """Draw a cluster."""
    from ringsim.picture import draw

    with _explained():
        draw(topology, path)


def draw_run(found: "Answer", path: str) -> None:
    """Draw a cluster as busy as the best candidate keeps it."""
    from ringsim.picture import draw, load_of
    from ringsim.units import format_size

    best = found.best
    seconds = (best.time_us or 0.0) / 1e6
    title = (
        f"{best.case.collective} of {format_size(best.case.bytes)} on {best.case.cards:,} cards of {best.case.fabric}: "
        f"{best.case.algorithm} \u00d7{best.case.channels}"
    )
    with _explained():
        draw(found.topology, path, load=load_of(found.program(), seconds)[: found.topology.links], title=title)
