"""``ringsim validate``: simulated times beside published measurements, and how far they are apart."""

from collections.abc import Iterable

import click

from ringsim.cli.errors import explained
from ringsim.cli.options import Command, Name
from ringsim.cli.screen import Progress, check_writable, dump, show

#: Exit code where a target is missed and that was asked.
WRONG = 1


def _systems() -> Iterable[str]:
    from ringsim.validation import load

    return [system.name for system in load()]


@click.command(cls=Command, example="ringsim validate --system a100x8-abci")
@click.option("--system", type=Name("system", _systems), help="One system, with each of its points. Default: all.")
@click.option("--assert", "strict", is_flag=True, help="Exit with 1 where a target is missed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--output", metavar="FILE", help="Write the JSON object to a file; with --json, print nothing.")
@click.option("--quiet", is_flag=True, help="No header and no progress.")
def validate(*, system: str | None, strict: bool, as_json: bool, output: str | None, quiet: bool) -> int:
    """Compare ringsim with what was measured on real machines.

    Simulates every published measurement that comes with ringsim and says, for each system and band of sizes, how far
    the time is off: the median, the worst, and to which side. Below that, by how much machines of the same hardware
    differ among themselves, and what of the targets is reached: by the libraries that have constants of their own, and
    with kernels of others, which have none.
    """
    target = None if output is None else check_writable(output, "output")
    progress = Progress(enabled=not quiet)
    with explained(None):
        from ringsim.fabric.errors import suggest
        from ringsim.validation import load, simulate

        systems = load()
        if system is not None:
            names = [one.name for one in systems]
            if system not in names:
                raise click.ClickException(
                    f"system = {system}: there is no system of this name; {suggest(system, names)}"
                )
            systems = tuple(one for one in systems if one.name == system)
        points = {}
        try:
            for done, one in enumerate(systems):
                progress.step(done, len(systems), f"simulating {one.name}")
                points[one.name] = simulate(one)
        finally:
            progress.clear()
    if as_json or target is not None:
        from ringsim.validation.page import document

        dump(document(systems, points), target)
    if not as_json:
        from ringsim.validation.page import page

        show(page(systems, points, quiet=quiet))
    if not strict:
        return 0
    from ringsim.validation.page import reached

    return 0 if reached(systems, points) else WRONG
