"""A client that measures how long a replica lets others wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

import redis

__all__ = ["Probe"]

PAUSE_S = 0.001


class Probe:
    """Calls `ask` with `client` again and again while the block of its `with` statement runs.

    `longest_s` is the longest that one call took, `answers` how many have ended.  The client is closed at
    the end.
    """

    def __init__(
        self, client: redis.Redis, ask: Callable[[redis.Redis], object] = lambda client: client.ping()
    ) -> None:
        self.longest_s = 0.0
        self.answers = 0
        self._client = client
        self._ask = ask
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ended.wait(PAUSE_S):
            began = time.monotonic()
            self._ask(self._client)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.answers += 1

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._client.close()
