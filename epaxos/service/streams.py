"""The standard streams of a replica's process."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["make_streams_usable", "print_long"]


def make_streams_usable() -> None:
    """Make sure that everything can be printed, and that no file of ours becomes a standard stream.

    A character that the encoding of a stream does not have is escaped, because a UnicodeEncodeError
    would replace the line that the character is in.  A descriptor from 0 to 2 that is closed is opened
    on /dev/null, because otherwise the next file that is opened would get the lines meant for people.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w")  # noqa: SIM115  # for the life of the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        with suppress(Exception):  # a test runner's stream cannot be changed
            stream.reconfigure(errors="backslashreplace")


def print_long(text: str) -> None:
    """Print a text on stdout whose reader may leave before its end, as in `… | head`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)  # Python flushes the rest at the end of the process
        os.close(null)
