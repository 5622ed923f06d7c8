"""Removing files of a state without holding up those who wait for the same disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from epaxos.storage.gil import let_loop_run
from epaxos.storage.state.names import bytes_freed

__all__ = ["remove_in_steps"]

CUT_BYTES = 8 << 20
"""A file is cut by this many bytes at a time, because the file system makes others wait while it frees
them."""


def remove_in_steps(path: Path) -> None:
    """Remove a file, a long one in steps; of a file that has another name only this one.  Raises OSError."""
    with suppress(FileNotFoundError):
        size = bytes_freed(path)
        while size > CUT_BYTES:
            size -= CUT_BYTES
            os.truncate(path, size)
            let_loop_run()
        path.unlink()
