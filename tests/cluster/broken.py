"""Runs twistd with broken components: `python -m tests.cluster.broken WHAT+WHAT -n epaxos …`.

disk:        every write to the store fails from the time that a file `full` exists in the working directory
close:       the store hangs while it is closed, as on a disk that does not answer
close-hard:  as `close`, and it holds the interpreter lock
brief:       a stop, and an end after a failure, may take at most 1 s
log:         the observer of the log raises
"""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path
from typing import Any

from twisted.logger import ILogObserver, globalLogPublisher
from twisted.scripts import twistd
from zope.interface import implementer

from epaxos.service import exit_status as process
from epaxos.storage.leveldb.writer import GroupWriter

FOR_EVER_S = 3600


@implementer(ILogObserver)
class Raising:
    def __call__(self, event: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")


_write = GroupWriter.write


def write_or_fail(writer: GroupWriter, *arguments: Any) -> bool:
    if Path("full").exists():
        raise OSError(28, "No space left on device")
    return _write(writer, *arguments)


def hang(*_: object) -> None:
    time.sleep(FOR_EVER_S)


def hang_hard(*_: object) -> None:
    ctypes.PyDLL(None).sleep(FOR_EVER_S)  # as `time.sleep`, but nobody else runs meanwhile


def main() -> None:
    for what in sys.argv.pop(1).split("+"):
        if what == "brief":
            process.STOP_S_MAX = process.FAIL_S_MAX = 1.0
        elif what == "log":
            globalLogPublisher.addObserver(Raising())
        elif what == "disk":
            GroupWriter.write = write_or_fail  # type: ignore[method-assign]
        elif what == "close":
            GroupWriter.close = hang  # type: ignore[method-assign]
        elif what == "close-hard":
            GroupWriter.close = hang_hard  # type: ignore[method-assign]
    twistd.run()


if __name__ == "__main__":
    main()
