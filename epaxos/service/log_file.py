"""The file of a replica's log: it is rotated when it is long, and reopened when somebody has moved it.

A replica does not stop because its log cannot be written: a line is lost, and the next one is tried.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.logger import FileLogObserver, textFileLogObserver
from twisted.python.logfile import LogFile

__all__ = ["ReplicaLog", "begin", "choose"]


LOG_BYTES_MAX = 1_000_000
"""The bytes after which the next file of the log is begun."""
LOGS_MAX = 20
"""The most older files that are kept, because a log must not fill the disk that the replica needs."""


class _File(LogFile):
    """A LogFile that is opened again after a failure, and to which every text can be written."""

    def write(self, data: str | bytes) -> None:
        """See LogFile.  Raises OSError."""
        if self._file.closed:  # it was moved, and the next one could not be opened
            self._openFile()
        super().write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)

    def reopen(self) -> None:
        """See LogFile.  Raises OSError; then the file that was open stays in use."""
        old = self._file
        self._openFile()
        old.close()


class ReplicaLog:
    """The log of this process in the file `path`, which is opened when `begin` is called."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: _File | None = None

    def open(self) -> FileLogObserver:
        """The observer that twistd logs to.  Ends the process with one line if the file cannot be opened."""
        try:
            file: Any = _File.fromFullPath(self.path, rotateLength=LOG_BYTES_MAX, maxRotatedFiles=LOGS_MAX)
        except OSError as error:
            sys.exit(f"epaxos: the log {self.path} cannot be opened: {error.strerror}")
        self._file = file
        return textFileLogObserver(file)

    def reopen(self) -> None:
        """Continue in a file of this name, which is made when it is missing.  Raises OSError."""
        if self._file is not None:
            self._file.reopen()

    def rotate(self) -> None:
        """Rename the file to `path.1`, and begin another.  Raises OSError."""
        if self._file is not None:
            self._file.rotate()


_logs: list[ReplicaLog] = []


def choose(path: str) -> tuple[ReplicaLog, str]:
    """The log in this file, and the value of twistd's option `logger`: the dotted name of `begin`."""
    log = ReplicaLog(path)
    _logs[:] = [log]
    return log, f"{__name__}.begin"


def begin() -> FileLogObserver:
    """Open the log that was chosen."""
    return _logs[0].open()
