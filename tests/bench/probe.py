"""A client with one command outstanding all the time, which remembers when it waited, and how long."""

from __future__ import annotations

import socket
import time
from bisect import bisect_left
from collections.abc import Callable
from random import Random
from statistics import median
from threading import Event, Thread

from tests.bench.load import KEYS, VALUE_BYTES, command

__all__ = ["Probe", "Waits"]


class Waits:
    """Waits by the time at which they began, in order."""

    def __init__(self) -> None:
        self._begins: list[float] = []
        self._waits_s: list[float] = []

    def add(self, begin: float, wait_s: float) -> None:
        """A wait, which began after all others."""
        self._begins.append(begin)
        self._waits_s.append(wait_s)

    def longest_s(self, begin: float, end: float) -> float:
        """The longest wait of those that began between these times, or that were under way at the first.

        Raises ValueError when there is none.
        """
        first = max(0, bisect_left(self._begins, begin) - 1)
        return max(self._waits_s[first : bisect_left(self._begins, end)])

    def median_s(self) -> float:
        """What is usual."""
        return median(self._waits_s)


class Probe(Thread):
    """SETs random keys at `port`, one after the other, until `end` is called."""

    def __init__(self, port: int, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(daemon=True)
        self.waits = Waits()
        self.error: Exception | None = None
        self._port = port
        self._now = now
        self._ended = Event()

    def __enter__(self) -> Probe:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def end(self) -> Waits:
        """Send no more.  Raises what went wrong."""
        self._ended.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.waits

    def run(self) -> None:
        """See Thread."""
        try:
            self._run()
        except (OSError, RuntimeError) as error:
            self.error = error

    def _run(self) -> None:
        random = Random(self._port)
        value = b"v" * VALUE_BYTES
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self._ended.is_set():
                asked = command(b"SET", b"key:%012d" % random.randrange(KEYS), value)
                begin = self._now()
                client.sendall(asked)
                answer = client.recv(4096)
                if answer != b"+OK\r\n":
                    raise RuntimeError(f"SET is answered with {answer!r}")
                self.waits.add(begin, self._now() - begin)
