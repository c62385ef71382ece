"""Imports run one way, and heavy packages are loaded in one place each; an arrow that turns round is seen here first.

Read from the sources, so imports inside functions and for type checkers count like any others. The package's own
``__init__`` is left out: its names are loaded late and lead everywhere.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ringsim

ROOT = Path(ringsim.__file__).parent

#: From the top of the house to its foundations. A module may import those of lower layers, and of its own wing.
LAYERS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"training", "break_even", "calibrate", "validation"},
    {"tune"},
    {"explain"},
    {"report", "picture"},
    {"codec_words"},
    {"writing"},
    {"study"},
    {"fidelity"},
    {"race"},
    {"candidates"},
    {"memory"},
    {"question"},
    {"engines"},
    {"result", "trace", "bounds"},
    {"compression"},
    {"program"},
    {"catalogue"},
    {"formats"},
    {"collectives", "values", "schedule_file"},
    {"topology"},
    {"selection"},
    {"fabric", "schedule", "codecs", "gradients"},
    {"units", "bands"},
]
LEVEL = {wing: level for level, layer in enumerate(LAYERS) for wing in layer}

#: Folders whose modules may import each other.
WINGS = {
    "calibrate",
    "break_even",
    "cli",
    "codecs",
    "collectives",
    "compression",
    "engines",
    "explain",
    "fabric",
    "formats",
    "gradients",
    "picture",
    "topology",
    "training",
    "tune",
    "values",
    "validation",
}

#: Where a package may be imported, as beginnings of module names.
HOMES = {
    "simpy": ("engines.reference",),
    "click": ("cli",),
    "networkx": ("topology",),
    "numba": ("engines.compiled",),
    "llvmlite": ("engines.compiled",),
    "platformdirs": ("engines.compiled", "tune.store"),
    "psutil": ("memory",),
    "ml_dtypes": ("codecs",),
    "sklearn": ("training.data",),
    "scipy": ("calibrate.fitting",),
    "matplotlib": ("picture", "training", "break_even.picture"),
    "PIL": ("picture.page",),
}
#: What the files about files and units do without, so that help and completion answer at once.
LIGHT = ("units", "fabric", "result", "cli")


def module_of(path: Path) -> str:
    """Name below ``ringsim``: ``engines.compiled.fold``; a package's ``__init__`` is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, ``from ringsim import fabric`` as ``ringsim.fabric``."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full"
            assert node.module
            if node.module.partition(".")[0] != "ringsim":
                yield node.lineno, node.module
                continue
            for alias in node.names:
                below = f"{node.module}.{alias.name}".removeprefix("ringsim.")
                yield node.lineno, f"ringsim.{below}" if below in MODULES else node.module


def inside(module: str) -> Iterator[tuple[int, str]]:
    """Line and name below ``ringsim`` of every module of the house that a module imports."""
    for line, name in imports(module):
        if name.partition(".")[0] == "ringsim":
            yield line, name.removeprefix("ringsim").removeprefix(".")


EVERY = pytest.mark.parametrize("module", [m for m in MODULES if m])


def test_every_module_has_its_place() -> None:
    assert {module.partition(".")[0] for module in MODULES} - {""} == set(LEVEL)
    assert sum(map(len, LAYERS)) == len(LEVEL)


@EVERY
def test_imports_run_one_way(module: str) -> None:
    wing = module.partition(".")[0]
    for line, other in inside(module):
        if not other:  # ringsim itself: its version
            continue
        place = other.partition(".")[0]
        where = f"{MODULES[module]}:{line}: {module} imports {other}"
        if place == wing:
            assert wing in WINGS or module == other, where
        else:
            assert LEVEL[place] > LEVEL[wing], f"{where}, which is not below it"


@EVERY
def test_only_the_version_comes_from_the_package_itself(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    for names in re.findall(r"^\s*from ringsim import (.+)$", text, re.M):
        for name in names.split(","):
            assert name.split(" as ")[0].strip() in {"__version__", *MODULES}, f"{module}: {names}"


@EVERY
def test_heavy_packages_stay_in_their_homes(module: str) -> None:
    for line, name in imports(module):
        package = name.partition(".")[0]
        if package in HOMES:
            homes = HOMES[package]
            assert any(module == home or module.startswith(f"{home}.") for home in homes), f"{module}:{line}: {name}"
        if package == "numpy":
            assert module.partition(".")[0] not in LIGHT, f"{module}:{line}: {name}"


def test_every_home_is_lived_in() -> None:
    """A list that names what nobody imports checks nothing."""
    used = {name.partition(".")[0] for module in MODULES for _, name in imports(module)}
    assert set(HOMES) <= used


def test_the_two_engines_never_meet() -> None:
    reference, compiled = "engines.reference", "engines.compiled"
    sides = {m: {other for _, other in inside(m)} for m in MODULES if m.startswith((reference, compiled))}
    assert reference in sides
    assert len(sides) > 5
    for module, found in sides.items():
        other = compiled if module == reference else reference
        assert not [name for name in found if name.startswith(other)], module
        # The front of the wing chooses between them; it is no way round.
        assert "engines" not in found, module


def test_the_front_of_the_engines_imports_each_only_when_it_runs() -> None:
    tree = ast.parse(MODULES["engines"].read_text(encoding="utf-8"))
    early = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert not {"reference", "compiled"} & set(early)


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    graph = {
        module: {other for _, other in inside(module) if other and other != module} for module in MODULES if module
    }
    # A package's front gathers its own modules, and a module may ask its package for a neighbour: no circle of layers.
    graph = {m: {o for o in found if not m.startswith(f"{o}.")} for m, found in graph.items()}
    done: set[str] = set()
    while len(done) < len(graph):
        free = {module for module, found in graph.items() if module not in done and found <= done}
        assert free, f"a circle among {sorted(set(graph) - done)}"
        done |= free


def test_what_the_reader_would_overlook_is_seen() -> None:
    """Imports inside functions and behind TYPE_CHECKING are among those that are checked."""
    assert "ringsim.engines.compiled" in {name for _, name in imports("engines")}
    assert "networkx" in {name for _, name in imports("topology.base")}
