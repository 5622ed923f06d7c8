"""The pid file of a daemon: only a live replica of the same number keeps a daemon from starting."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from epaxos.storage.folder import is_in_use

__all__ = ["remove_stale"]


def remove_stale(path: Path, id: int, data: Path | None) -> None:
    """Remove the pid file `path` unless replica `id` is running.

    twistd would refuse to start because of an empty file, or because another process has the number now.
    `data` is the data folder of the replica; None if it has none.  Ends the process with one line when
    the replica is running, or when the file cannot be used.
    """
    try:
        try:
            text = path.read_text(errors="replace")
        except FileNotFoundError:
            if not os.access(path.parent, os.W_OK):
                sys.exit(f"epaxos: the pid file {path} cannot be written")
            return
        number = int(text) if text.strip().isdecimal() else None
        if data is not None:
            is_running = _is_in_use(data)
        else:
            is_running = number is not None and _is_replica(number, id)
        if is_running:
            who = "another process" if number is None else f"process {number}"
            sys.exit(f"epaxos: replica {id} runs already, says {path}: {who}")
        path.unlink()
    except OSError as error:
        sys.exit(f"epaxos: the pid file {path} cannot be used: {error.strerror}")


def _is_in_use(data: Path) -> bool:
    """Whether a replica has the folder open.  False for one that cannot be opened: the store says why."""
    try:
        return is_in_use(data)
    except OSError:
        return False


def _is_replica(number: int, id: int) -> bool:
    """Whether process `number` runs replica `id`, by its command line.  False where there is no /proc."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    if number == os.getpid() or b"epaxos" not in words:
        return False
    rest = words[words.index(b"epaxos") :]
    given = [b"%d" % id, b"--id=%d" % id, b"-i%d" % id]
    return any(word in given for word in rest)
