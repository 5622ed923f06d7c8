"""The links between the replicas of a cluster of processes, which a test can cut, delay and make lossy.

A relay process (`tests/cluster/relay.py`) does the work, without root.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

__all__ = ["Links", "Pair", "between"]

Pair = tuple[int, int]
"""One direction of a link: from a replica, to another."""

_ROOT = Path(__file__).resolve().parents[2]


def between(some: Iterable[int], others: Iterable[int]) -> list[Pair]:
    """Both directions between each of some replicas and each of the others."""
    others = list(others)
    return [pair for a in some for b in others for pair in ((a, b), (b, a))]


class Links:
    """All links of a cluster whose replicas listen for each other on `ports`.

    May be used by several threads.
    """

    def __init__(self, ports: list[int], transport: str = "tcp") -> None:
        self.n = len(ports)
        self.transport = transport
        self._lock = Lock()
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.relay"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.ports = {
            pair: int(self._ask("open", pair=pair, target=ports[pair[1]], transport=transport))
            for pair in self.all
        }

    @property
    def all(self) -> list[Pair]:
        """Every direction of every pair."""
        return [(a, b) for a in range(self.n) for b in range(self.n) if a != b]

    def _ask(self, what: str, **order: Any) -> Any:
        with self._lock:
            assert self._relay.stdin is not None and self._relay.stdout is not None
            self._relay.stdin.write(json.dumps({"do": what, **order}).encode() + b"\n")
            self._relay.stdin.flush()
            answer = self._relay.stdout.readline()
        if not answer:
            raise AssertionError(f"the relay ended with status {self._relay.wait(5)}")
        return json.loads(answer)

    def cut(self, pairs: Iterable[Pair], how: str = "hold") -> None:
        """Let nothing through; `how`: see the relay."""
        self._ask("set", pairs=list(pairs), mode=how)

    def heal(self, pairs: Iterable[Pair] | None = None) -> None:
        """Let everything through again."""
        self._ask("set", pairs=self.all if pairs is None else list(pairs), mode="pass")

    def delay(self, pairs: Iterable[Pair], delay_ms: float, jitter_ms: float = 0) -> None:
        """Bytes in these directions take `delay_ms`, and up to `jitter_ms` longer."""
        self._ask("delay", pairs=list(pairs), delay_ms=delay_ms, jitter_ms=jitter_ms)

    def lose(self, pairs: Iterable[Pair], lost: float, doubled: float) -> None:
        """These shares of the datagrams are lost, and arrive twice."""
        self._ask("lose", pairs=list(pairs), lost=lost, doubled=doubled)

    def calm(self) -> None:
        """End all cuts, delays and losses."""
        self.heal()
        self.delay(self.all, 0)
        self.lose(self.all, 0, 0)

    def bytes_passed(self) -> dict[Pair, int]:
        """How many bytes have arrived over each link."""
        return {(sender, receiver): count for sender, receiver, count in self._ask("counters")}

    def close(self) -> None:
        """End the relay, and with it every connection between replicas."""
        assert self._relay.stdin is not None and self._relay.stdout is not None
        self._relay.stdin.close()
        self._relay.stdout.close()
        try:
            self._relay.wait(5)
        except subprocess.TimeoutExpired:
            self._relay.kill()
            self._relay.wait()
