"""ringsim: what all-reduce costs on an accelerator cluster you do not own.

>>> import ringsim
>>> result = ringsim.run("hccs", cards=1024, size="1G")
>>> print(f"{result.time_us:.0f} us, {result.busbw_GBps:.1f} GB/s")  # doctest: +SKIP

Names are loaded when they are first used, so that what needs no simulation does not wait for NumPy or Numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringsim.fabric import Fabric, FabricError, available, load
    from ringsim.result import Case, Result
    from ringsim.study import Answer, Question, StudyError, answer, run
    from ringsim.topology import Topology, TopologyError, build, findings, from_graph, load_graph
    from ringsim.units import UnitError

__version__ = "0.1.0"

_HOMES = {
    "fabric": ("Fabric", "FabricError", "available", "load"),
    "result": ("Case", "Result"),
    "study": ("Answer", "Question", "StudyError", "answer", "run"),
    "topology": ("Topology", "TopologyError", "build", "findings", "from_graph", "load_graph"),
    "units": ("UnitError",),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer", "Case", "Fabric", "FabricError", "Question", "Result", "StudyError", "Topology", "TopologyError",
    "UnitError", "answer", "available", "build", "findings", "from_graph", "load", "load_graph", "run",
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'ringsim' has no attribute {name!r}")
    return getattr(import_module(f"ringsim.{_WHERE[name]}"), name)
