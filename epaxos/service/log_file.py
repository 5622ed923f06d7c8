"""The file of a replica's log: begun anew when it is long, opened again when somebody moved it.

A log that cannot be written is no reason to stop: a line is lost then, and the next one is tried.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.logger import FileLogObserver, textFileLogObserver
from twisted.python.logfile import LogFile

__all__ = ["ReplicaLog", "begin", "choose"]


LOG_BYTES_MAX = 1_000_000
"""A file of the log that has as many bytes makes room for the next one."""
LOGS_MAX = 20
"""Older files that are kept: a log must not fill the disk that the replica needs."""


class _File(LogFile):
    """twistd's own, but that nothing closes it for good, and that every text can be written."""

    def write(self, data: str | bytes) -> None:
        """See LogFile.  Raises OSError."""
        if self._file.closed:  # it was moved, and the next one could not be opened
            self._openFile()
        super().write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)

    def reopen(self) -> None:
        """See LogFile.  Raises OSError, and then goes on with the one that is open."""
        old = self._file
        self._openFile()
        old.close()


class ReplicaLog:
    """The log of this process in the file `path`, which is opened when `begin` is called."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: _File | None = None

    def open(self) -> FileLogObserver:
        """What twistd begins to log to.  Ends the process with one line when the file cannot be opened."""
        try:
            file: Any = _File.fromFullPath(self.path, rotateLength=LOG_BYTES_MAX, maxRotatedFiles=LOGS_MAX)
        except OSError as error:
            sys.exit(f"epaxos: the log {self.path} cannot be opened: {error.strerror}")
        self._file = file
        return textFileLogObserver(file)

    def reopen(self) -> None:
        """Go on in a file of this name, which is made when it is missing.  Raises OSError."""
        if self._file is not None:
            self._file.reopen()

    def rotate(self) -> None:
        """Give the file the name `path.1`, and begin another.  Raises OSError."""
        if self._file is not None:
            self._file.rotate()


_logs: list[ReplicaLog] = []


def choose(path: str) -> tuple[ReplicaLog, str]:
    """The log in this file, and what twistd's option `logger` has to be, which is only a name."""
    log = ReplicaLog(path)
    _logs[:] = [log]
    return log, f"{__name__}.begin"


def begin() -> FileLogObserver:
    """Open the log that was chosen."""
    return _logs[0].open()
