"""Answers of the tuner on disk, each under a hash of everything that it depends on, the program itself included.

A table that is asked for again, or with a few sizes more, costs nothing. Files are JSON, one an answer, written whole
or not at all; one that cannot be read counts as missing, and a cache that cannot be written is no reason to fail.
"""

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

import ringsim


@cache
def program() -> str:
    """SHA-256, in hex, of ringsim's own sources: what another version found out is not asked for."""
    found = hashlib.sha256()
    for path in sorted(Path(ringsim.__file__).parent.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


class Store:
    """A folder of answers.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @staticmethod
    def usual() -> "Store":
        """The one in the user's cache directory; RINGSIM_CACHE names another place."""
        return Store(Path(os.environ.get("RINGSIM_CACHE") or platformdirs.user_cache_path("ringsim", False)) / "tuned")

    def get(self, inputs: dict[str, Any]) -> Any:
        """Return the answer to these inputs, or None."""
        if self._folder is None:
            return None
        try:
            kept = json.loads(self._path(inputs).read_text(encoding="utf-8"))
            return kept["answer"] if kept["inputs"] == json.loads(json.dumps(inputs)) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def put(self, inputs: dict[str, Any], answer: Any) -> None:
        """Keep an answer."""
        if self._folder is None:
            return
        path = self._path(inputs)
        half = path.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            half.write_text(json.dumps({"inputs": inputs, "answer": answer}), encoding="utf-8")
            half.replace(path)
        except OSError:
            with suppress(OSError):  # where the folder is none, there is nothing to take away either
                half.unlink()

    def _path(self, inputs: dict[str, Any]) -> Path:
        assert self._folder is not None
        content = json.dumps(inputs | {"program": program()}, sort_keys=True)
        return self._folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
