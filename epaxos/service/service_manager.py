"""What is told to a service manager such as systemd, by datagrams to the socket that NOTIFY_SOCKET names.

It is no concern of the replica whether anybody listens there: nothing here blocks or raises, and what the
manager could not take is told again with the next line.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from twisted.logger import Logger

__all__ = ["ServiceManager"]


class ServiceManager:
    """The manager at `address`: a path, or a name in the abstract namespace behind an `@`.

    `watchdog_s`: it ends a process that does not say for this time that it lives; 0: it does not watch.
    """

    _log = Logger()

    def __init__(self, address: str, watchdog_s: float = 0) -> None:
        self.watchdog_s = watchdog_s
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._untold: dict[str, object] = {}
        self._is_lost = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ServiceManager | None:
        """The manager that started this process; None when it was started by something else."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        watchdog = environment.get("WATCHDOG_USEC", "")
        is_watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(watchdog) / 1_000_000 if is_watched and watchdog.isdecimal() else 0
        return cls(address, watchdog_s)

    def tell(self, fields: Mapping[str, object]) -> None:
        """Tell this, and what could not be told before.  For the thread of the event loop alone."""
        self._untold.update(fields)
        if self._untold and self.tell_now(self._untold):
            self._untold = {}

    def tell_now(self, fields: Mapping[str, object]) -> bool:
        """Tell this alone, from any thread.  False when it could not be told."""
        text = "\n".join(f"{name}={' '.join(str(value).split())}" for name, value in fields.items())
        try:
            self._socket.sendto(text.encode("utf-8", "backslashreplace"), self._address)
        except BlockingIOError:
            return False
        except OSError as error:
            if not self._is_lost:
                self._is_lost = True
                self._log.warn("the service manager cannot be told anything: {why}", why=error.strerror)
            return False
        self._is_lost = False
        return True

    def close(self) -> None:
        """Tell nothing more."""
        self._socket.close()
