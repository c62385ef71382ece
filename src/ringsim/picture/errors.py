"""What can go wrong with a picture, worded for whoever asked for it."""


class PictureError(ValueError):
    """A picture that cannot be drawn as asked; the message says what can."""


class NoMatplotlib(ImportError):  # noqa: N818 - what is wrong, in two words
    """Pictures need matplotlib, which is an optional part of the installation."""

    def __init__(self) -> None:
        super().__init__("pictures need matplotlib: pip install 'ringsim[plot]'")
