"""``ringsim calibrate``: a fabric's constants anew, from the log of a benchmark on one's own cluster."""

from pathlib import Path

import click

from ringsim.cli.errors import explained
from ringsim.cli.options import FABRIC, NETWORK, Command, Whole
from ringsim.cli.screen import Progress, check_writable, dump, show


@click.command(cls=Command, example="ringsim calibrate all_reduce_perf.log --fabric nvlink3 --output mine.toml")
@click.argument("logs", metavar="LOG…", nargs=-1, required=True)
@click.option(
    "--fabric",
    type=FABRIC,
    help="What to begin with: a shipped fabric or a TOML file. Default: the one whose card the logs name.",
)
@click.option("--network", type=NETWORK, help="Another network under the same cards.")
@click.option(
    "--cards",
    type=Whole("cards", "write a number such as 8"),
    multiple=True,
    help="Ranks, where a log does not say how many (hccl_test); once for all, or once for each log.",
)
@click.option(
    "--fit",
    "fitted",
    metavar="NAME,…",
    help="Constants to find, five at most, of startup, links, step, limit, bulk, nic, step-network. "
    "Default: those that logs of one node, or of several, can tell.",
)
@click.option(
    "--seed",
    type=Whole("seed", "write a number such as 7"),
    default=0,
    show_default=True,
    help="Of the sizes that are kept back to be predicted.",
)
@click.option(
    "--output", metavar="FILE", help="The fabric file to write. Default: the first log's name, here, as .toml."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the tables.")
@click.option("--quiet", is_flag=True, help="No header and no progress.")
def calibrate(
    *, logs: tuple[str, ...], fabric: str | None, network: str | None, cards: tuple[int, ...], fitted: str | None,
    seed: int, output: str | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Fit a fabric's constants to what your cluster measured, and write a fabric file.

    Reads what all_reduce_perf of nccl-tests or rccl-tests prints or writes as JSON, and what hccl_test prints. Finds at
    most five constants for which simulated times come nearest to measured ones; says how far they are off before and
    after, which sizes fit badly, and how well a fifth of the sizes is predicted from the others.
    """
    target = _target(output, logs[0])
    progress = Progress(enabled=not quiet)
    with explained(fabric, network):
        from ringsim.formats.perf import read

        read_logs = [read(log) for log in logs]

        from ringsim.calibrate import calibrate as calibrated
        from ringsim.calibrate import fabric_file, guess

        start = fabric or guess(read_logs)
        if start is None:
            raise click.UsageError("Missing option '--fabric': the logs name no card that just one shipped fabric has")
        names = tuple(name.strip() for name in fitted.split(",")) if fitted else ()
        try:
            found = calibrated(
                read_logs, start, network=network, cards=cards, names=names, seed=seed,
                steps=lambda what, done, many: progress.step(done, many, what),
            )  # fmt: skip
        finally:
            progress.clear()
        text = fabric_file(found, target.stem, network)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise click.ClickException(f"output = {target}: cannot be written: {reason}; name another file") from None
    if as_json:
        from ringsim.calibrate.page import document

        dump(document(found, str(target)))
    else:
        from ringsim.calibrate.page import page

        show(page(found, quiet=quiet))
    if not quiet:
        click.echo(f"ringsim: written to {target}; use it with --fabric {_path(target)}", err=True)


def _target(output: str | None, log: str) -> Path:
    """Where to write: what was asked for, or a file here of the log's name that is none yet, or was written here before."""
    if output is not None:
        return check_writable(output, "output")
    target = check_writable(f"{Path(log).stem or 'calibrated'}.toml", "output")
    from ringsim.calibrate.writing import MARK

    try:
        own = not target.exists() or target.read_text("utf-8", "replace").startswith(MARK)
    except OSError:
        own = False
    if not own:
        raise click.ClickException(f"output = {target}: is there already; name a file with --output")
    return target


def _path(target: Path) -> str:
    """The name as --fabric takes it for that of a file."""
    return str(target) if target.suffix == ".toml" or target.parent != Path() else f"./{target}"
