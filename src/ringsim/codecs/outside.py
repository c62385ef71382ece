"""Codecs that somebody else wrote: ``package.module:factory``, and parameters behind it, wherever a codec is named."""

import sys
from importlib import import_module
from importlib.util import find_spec

from ringsim.codecs.codec import Codec, CodecError


def is_module(name: str) -> bool:
    """Whether a name can be that of a module: it has dots, or there is one."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    if len(parts) > 1:
        return True
    # A slip such as random:0.01 is no module of Python's own.
    return name not in sys.stdlib_module_names and name != "__main__" and find_spec(name) is not None


def load(spec: str) -> Codec:
    """Import a module and let a callable in it make a codec.

    Parameters
    ----------
    spec : str
        ``package.module:factory`` or ``package.module:factory:PARAMETER:…``; parameters are given as text.

    Raises
    ------
    CodecError
        If there is no such module or callable, or it makes something else than a codec that is called what it was asked
        for by: results name their codec, and whoever reads them asks for it again.
    """
    module, _, rest = spec.partition(":")
    name, *parameters = rest.split(":")
    if not name:
        raise CodecError(f"{spec}: write package.module:factory, what makes the codec behind where it is")
    try:
        found = import_module(module)
    except ImportError as error:
        raise CodecError(f"{spec}: {error}; install it, or put its folder into PYTHONPATH") from error
    except (Exception, SystemExit) as error:  # whatever runs there is not ours
        raise CodecError(f"{spec}: importing {module} fails: {type(error).__name__}: {error}") from error
    try:
        make = getattr(found, name)
    except AttributeError as error:
        raise CodecError(f"{spec}: {module} has no {name}") from error
    try:
        codec = make(*parameters)
    except CodecError:
        raise
    except (Exception, SystemExit) as error:
        raise CodecError(f"{spec}: {type(error).__name__}: {error}") from error
    if not isinstance(codec, Codec):
        raise CodecError(f"{spec}: makes a {type(codec).__name__}, and a ringsim.codecs.Codec is needed")
    if codec.spec != spec:
        raise CodecError(f"{spec}: its spec is {codec.spec!r}; let it be {spec!r}, by which it is found again")
    return codec
