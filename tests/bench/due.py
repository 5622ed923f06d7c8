"""Keys that are due in the same second, and that nobody touches: how long until all are gone, and what others
wait meanwhile.

One more client of each replica, the probe, sends a SET of a key of its own, waits for the answer, and rests.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

from tests.bench.bases import percentile
from tests.bench.load import command
from tests.bench.processes import BenchCluster, cluster
from tests.bench.results import Result, Table
from tests.bench.session import Session

__all__ = ["due", "measure"]

KEYS = 1_000_000
VALUE = b"v" * 64
FILL_KEYS = 500
FILL_PER_S = 5_000
"""The rate of filling that the deadline allows for, per replica."""
USUAL_S = 15.0
"""The usual waits are those of this time before the deadline."""
GONE_WITHIN_S = 120.0
PROBE_REST_S = 0.002
_KEYS = re.compile(rb"db0:keys=(\d+)")


class _Probe(Thread):
    """Notes when each command began, and how long it took, in seconds of the clock of this host."""

    def __init__(self, port: int, ended: Event) -> None:
        super().__init__(daemon=True)
        self.waits: list[tuple[float, float]] = []
        self._port = port
        self._ended = ended

    def run(self) -> None:
        """See Thread."""
        asked = command(b"SET", b"probe:%d" % self._port, VALUE)
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self._ended.wait(PROBE_REST_S):
                begin = time.monotonic()
                connection.sendall(asked)
                if connection.recv(100) != b"+OK\r\n":
                    raise RuntimeError("the probe was not answered as it should be")
                self.waits.append((time.time(), time.monotonic() - begin))


def _fill(ports: Sequence[int], keys: int, deadline_ms: int) -> None:
    """Set the keys, all with this deadline, through all ports at once."""

    def fill(port: int, first: int, last: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            reading = connection.makefile("rb")
            for begin in range(first, last, FILL_KEYS):
                numbers = range(begin, min(last, begin + FILL_KEYS))
                at = b"%d" % deadline_ms
                connection.sendall(
                    b"".join(command(b"SET", b"key:%012d" % one, VALUE, b"PXAT", at) for one in numbers)
                )
                for _ in numbers:
                    if (line := reading.readline()) != b"+OK\r\n":
                        raise RuntimeError(f"not set: {line!r}")

    n = len(ports)
    threads = [
        Thread(target=fill, args=(port, keys * part // n, keys * (part + 1) // n))
        for part, port in enumerate(ports)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _left(port: int) -> int:
    """How many keys a replica holds, as INFO tells."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(command(b"INFO", b"keyspace"))
        found = _KEYS.search(connection.recv(4096))
    return int(found[1]) if found else 0


def _gone(replicas: BenchCluster, rest: int) -> float:
    """Wait until no replica holds more than `rest` keys; the time then, in seconds since 1970."""
    end = time.monotonic() + GONE_WITHIN_S
    while max(map(_left, replicas.redis_ports)) > rest:
        if time.monotonic() > end:
            raise TimeoutError(f"{[_left(port) for port in replicas.redis_ports]} keys are left")
        time.sleep(0.1)
    return time.time()


def measure(keys: int, source: Path | None = None) -> tuple[float, list[float], list[float]]:
    """Seconds from the deadline until all keys are gone, and the waits before it and until then."""
    with cluster(3, source=source) as replicas:
        ended = Event()
        deadline_s = time.time() + keys / FILL_PER_S / len(replicas.redis_ports) + USUAL_S + 5
        _fill(replicas.redis_ports, keys, int(deadline_s * 1000))
        assert time.time() < deadline_s - USUAL_S, "the keys were set too late"
        probes = [_Probe(port, ended) for port in replicas.redis_ports]
        for probe in probes:
            probe.start()
        time.sleep(max(0.0, deadline_s - time.time()))
        gone_s = _gone(replicas, len(probes))
        ended.set()
        for probe in probes:
            probe.join()
    waits = [one for probe in probes for one in probe.waits]
    usual = [wait for at, wait in waits if deadline_s - USUAL_S <= at < deadline_s]
    return gone_s - deadline_s, usual, [wait for at, wait in waits if deadline_s <= at < gone_s]


def due(session: Session, available: dict[str, str]) -> Result:
    """Three replicas on LevelDB."""
    keys = KEYS // 10 if session.quick else KEYS
    session.say(f"{keys} keys that are due in the same second")
    gone_s, usual, during = measure(keys)
    result = Result("Keys that are due in the same second")
    result.tables.append(
        Table(
            f"A probe client's wait while {keys:,} keys go, ms; all were gone after {gone_s:.1f} s",
            ["when", "probes", "p50", "p99", "worst"],
            [
                [
                    name,
                    str(len(waits)),
                    *(f"{percentile(waits, share) * 1e3:.1f}" for share in (0.5, 0.99, 1)),
                ]
                for name, waits in (("before", usual), ("until all are gone", during))
            ],
        )
    )
    result.settings.append(
        "LevelDB, 16-byte keys, 64-byte values, all with the same PXAT; nobody touches them; a probe at each"
        " replica sends a SET 2 ms after its last was answered."
    )
    return result
