"""Two ways to run a program, kept apart on purpose: what they agree on is what ringsim says."""

from collections.abc import Callable
from typing import Literal

from ringsim.program import Program
from ringsim.trace import Trace

EngineName = Literal["compiled", "reference"]
ENGINES: tuple[EngineName, ...] = ("compiled", "reference")


def run(
    program: Program, engine: EngineName = "compiled", *, jump: bool = True,
    progress: Callable[[int], None] | None = None, notice: Callable[[str], None] | None = None,
) -> Trace:  # fmt: skip
    """Run a program on the engine of that name, importing (and compiling) only that one.

    Raises
    ------
    ProgramError
        If rows wait for each other for ever.
    """
    if engine == "reference":
        from ringsim.engines import reference

        return reference.simulate(program, progress=progress)
    from ringsim.engines import compiled

    return compiled.simulate(program, jump=jump, progress=progress, notice=notice)
