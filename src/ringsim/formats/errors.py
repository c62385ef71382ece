"""What a tuner's file can be refused with; a schedule's file has an error of its own."""

from ringsim.fabric.errors import FileError


class TunerFileError(FileError):
    """A file that a tuner would not take, or would take for something else; the message says where."""
