"""Names of algorithms as they are asked for; what libraries write comes later."""


class SelectionError(ValueError):
    """A word that names no algorithm."""


def resolve(text: str, collective: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Plain names only."""
    if text not in known:
        raise SelectionError(f"{text}: one of {', '.join(('auto', 'all', *known))}")
    return (text,)
