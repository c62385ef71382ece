"""``ringsim algorithms``: what there is to choose from, collective by collective."""

import click

from ringsim import __version__
from ringsim.cli.options import Command
from ringsim.cli.screen import dump, echo

#: Of the JSON object below.
SCHEMA = 1


@click.command(cls=Command, example="ringsim algorithms")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def algorithms(*, as_json: bool) -> None:
    """List the algorithms of every collective; those that `auto` tries are marked."""
    from ringsim.collectives import COLLECTIVES

    if as_json:
        listed = {
            collective: [
                {"name": name, "auto": how.auto, "pieces": how.piece, "about": how.about} for name, how in known.items()
            ]
            for collective, known in COLLECTIVES.items()
        }
        dump({"schema": SCHEMA, "ringsim_version": __version__, "collectives": listed})
        return
    widest = max(len(name) for known in COLLECTIVES.values() for name in known)
    for collective, known in COLLECTIVES.items():
        echo(collective, bold=True)
        for name, how in known.items():
            echo(f"{'*' if how.auto else ' '} {name:<{widest}}  {how.about}")
    echo("")
    echo("* tried by `--algorithm auto`; `--algorithm all` tries all that a cluster has room for", dim=True)
