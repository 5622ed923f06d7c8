"""The files of a new cluster: written whole or not at all, and only for their owner."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from epaxos.ctl.errors import CtlError

__all__ = ["write_files"]

FOLDER_MODE = 0o700


def write_files(folder: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Write the files, which only their owner may read, into the folder, which is made if it is missing.

    Without `force` nothing is written when one of them exists.  Raises CtlError.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        there = [name for name in files if os.path.lexists(folder / name)]
        if there and not force:
            raise CtlError(f"{folder / there[0]} exists; --force writes over it, and nothing was written")
        for name, content in files.items():
            _replace(folder / name, content)
    except OSError as error:
        raise CtlError(f"{error.filename or folder}: cannot be written: {error.strerror}") from None


def _replace(path: Path, content: bytes) -> None:
    """A reader sees the old content or the new one.  The file is made with mode 0600."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
