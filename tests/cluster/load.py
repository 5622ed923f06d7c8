"""Clients that write during a test, and remember which writes were acknowledged."""

from __future__ import annotations

import time
from threading import Event, Thread

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["Load", "Writer", "connect"]


class Writer(Thread):
    """A client of one replica, which sets one new key after the other and reconnects after errors.

    `acknowledged`: the numbers of the keys whose writes were acknowledged; `refused`: the errors; `gap_s`:
    the longest time without an acknowledgement.
    """

    def __init__(self, name: str, replica: int, port: int) -> None:
        super().__init__(name=name, daemon=True)
        self.replica = replica
        self.acknowledged: list[int] = []
        self.refused: list[str] = []
        self.last_at = self.started_at = time.monotonic()
        self.gap_s = 0.0
        self._port = port
        self._stopped = Event()

    def key(self, number: int) -> str:
        """The key of this client's `number`-th write."""
        return f"{self.name}:{number}"

    def run(self) -> None:
        """See Thread."""
        client: redis.Redis | None = None
        number = 0
        while not self._stopped.is_set():
            number += 1
            try:
                if client is None:
                    client = connect(self._port, timeout_s=20)
                if client.set(self.key(number), number):
                    self._on_acknowledged(number)
            except redis.exceptions.RedisError as error:
                self.refused.append(f"{type(error).__name__}: {error}")
                if client is not None:
                    client.close()
                client = None
                self._stopped.wait(0.05)
        if client is not None:
            client.close()

    def _on_acknowledged(self, number: int) -> None:
        now = time.monotonic()
        self.gap_s = max(self.gap_s, now - self.last_at)
        self.last_at = now
        self.acknowledged.append(number)

    def stop(self) -> None:
        """End after the current write."""
        self._stopped.set()


class Load:
    """`clients` writers for each replica.  `ports`: the Redis port of each replica."""

    def __init__(self, ports: dict[int, int], clients: int = 4) -> None:
        self.writers = [
            Writer(f"w{replica}-{number}", replica, port)
            for replica, port in ports.items()
            for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers:
            writer.stop()
        for writer in self.writers:
            writer.join(30)
            assert not writer.is_alive(), f"client {writer.name} hangs"

    def of(self, *replicas: int) -> list[Writer]:
        """The writers of these replicas."""
        return [writer for writer in self.writers if writer.replica in replicas]

    def longest_gap_s(self, *replicas: int) -> float:
        """The longest time that a writer of these replicas was without an acknowledgement."""
        now = time.monotonic()
        return max(max(writer.gap_s, now - writer.last_at) for writer in self.of(*replicas))

    def forget_gaps(self) -> None:
        """Forget the gaps so far."""
        for writer in self.writers:
            writer.gap_s = 0.0

    def wait_for_more(self, count: int, *replicas: int, timeout_s: float = 20) -> None:
        """Wait until each client of these replicas has `count` more acknowledgements."""
        goals = [(writer, len(writer.acknowledged) + count) for writer in self.of(*replicas)]
        deadline = time.monotonic() + timeout_s
        while any(len(writer.acknowledged) < goal for writer, goal in goals):
            if time.monotonic() > deadline:
                behind = [(w.name, goal - len(w.acknowledged), w.refused[-3:]) for w, goal in goals]
                raise AssertionError(f"no {count} more acknowledgements within {timeout_s} s: {behind}")
            time.sleep(0.02)

    def missing(self, client: redis.Redis) -> list[str]:
        """The keys of acknowledged writes whose values `client` does not read back."""
        expected = {writer.key(n): n for writer in self.writers for n in writer.acknowledged}
        keys = list(expected)
        missing = []
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            for key, value in zip(some, client.mget(some)):
                if value is None or int(value) != expected[key]:
                    missing.append(f"{key} is {value!r}")
        return missing


def connect(port: int, timeout_s: float = 20, host: str = "127.0.0.1") -> redis.Redis:
    """A client of the replica with this Redis port, which does not try again after an error."""
    return redis.Redis(
        host,
        port,
        socket_timeout=timeout_s,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )
