"""The log of a replica: its file is rotated when it is long, and reopened when somebody has moved it.

A replica does not stop because its log cannot be written: a line is lost, and the next one is tried.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.logger import ILogObserver, LogLevelFilterPredicate
from twisted.python.logfile import LogFile

from epaxos.config.log import Levels
from epaxos.config.settings import Log
from epaxos.service.log_lines import log_observer, set_levels

__all__ = ["ReplicaLog", "begin", "choose", "use_levels"]


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
    """The log of this process in the file `path`, which is opened when `begin` is called; "": on stdout.

    `log`: what its lines are.
    """

    def __init__(self, path: str, log: Log | None = None) -> None:
        self.path = path
        self._log = log or Log()
        self._file: _File | None = None
        self._predicate = LogLevelFilterPredicate()

    def open(self) -> ILogObserver:
        """The observer that twistd logs to.  Ends the process with one line if the file cannot be opened."""
        if not self.path:
            return log_observer(sys.stdout, self._log, self._predicate)
        try:
            file: Any = _File.fromFullPath(self.path, rotateLength=LOG_BYTES_MAX, maxRotatedFiles=LOGS_MAX)
        except OSError as error:
            sys.exit(f"epaxos: the log {self.path} cannot be opened: {error.strerror}")
        self._file = file
        return log_observer(file, self._log, self._predicate)

    def use_levels(self, levels: Levels) -> None:
        """The log has these levels from now on."""
        set_levels(self._predicate, levels)

    def reopen(self) -> None:
        """Continue in a file of this name, which is made when it is missing.  Raises OSError."""
        if self._file is not None:
            self._file.reopen()

    def rotate(self) -> None:
        """Rename the file to `path.1`, and begin another.  Raises OSError."""
        if self._file is not None:
            self._file.rotate()


_logs: list[ReplicaLog] = []


def choose(path: str, log: Log | None = None) -> tuple[ReplicaLog, str]:
    """The log in this file, and the value of twistd's option `logger`: the dotted name of `begin`.

    `path` and `log`: see ReplicaLog.
    """
    chosen = ReplicaLog(path, log)
    _logs[:] = [chosen]
    return chosen, f"{__name__}.begin"


def use_levels(levels: Levels) -> None:
    """The log that was chosen, if one was, has these levels from now on."""
    for log in _logs:
        log.use_levels(levels)


def begin() -> ILogObserver:
    """Open the log that was chosen."""
    return _logs[0].open()
