"""New bases under load: what a client waits while one begins, is made, and is not; and a start after kill -9.

The load is steady (`RATE` SETs a second of random keys, whatever the replicas make of them), and one
more client of each replica, the probe, sends a SET, waits for the answer, and rests.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event, Thread

from tests.bench.load import command, told_when
from tests.bench.processes import GUARD, BenchCluster, cluster, python, wait_for
from tests.bench.results import Result, Table
from tests.bench.session import Session

__all__ = ["Waits", "bases", "percentile"]

N = 3
RATE = 40_000
KEYS = 3_000_000
VALUE = b"v" * 64
FILL_KEYS = 500
FILL_CONNECTIONS = 4
TICK_S = 0.004
UNANSWERED_MAX = 10_000
"""The load sends nothing more while this number of its commands is unanswered."""
PROBE_REST_S = 0.002
BEGINNING_S = 1.0
BASES = 2


def percentile(waits: Sequence[float], share: float) -> float:
    """The wait that this share of them does not exceed, 0 when there are none."""
    ordered = sorted(waits)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass
class Waits:
    """The waits of the probe, each with the time when it began, and when bases were made: all in seconds
    of one clock."""

    waits: list[tuple[float, float]] = field(default_factory=list)
    made: list[tuple[float, float]] = field(default_factory=list)

    def during(self, periods: Iterable[tuple[float, float]]) -> list[float]:
        """The waits that overlap any of the periods."""
        spans = list(periods)
        return [
            wait for at, wait in self.waits if any(at < end and at + wait > begin for begin, end in spans)
        ]

    def lines(self) -> list[list[str]]:
        """For a table: in the first second of a base, the whole time while one is made, and otherwise."""
        begins = [(begin, begin + BEGINNING_S) for begin, _ in self.made]
        during = self.during(self.made)
        rest = list(map(_wait, self.waits))
        for wait in during:
            rest.remove(wait)
        return [
            [name, str(len(waits)), *(f"{percentile(waits, share) * 1e3:.1f}" for share in (0.5, 0.99, 1))]
            for name, waits in (
                ("none is made", rest),
                (f"in the first {BEGINNING_S:g} s of one", self.during(begins)),
                ("while one is made", during),
            )
        ]


def _wait(one: tuple[float, float]) -> float:
    return one[1]


class _Observer:
    """Threads of this process: a probe for each replica, and one that looks for bases."""

    def __init__(self, replicas: BenchCluster) -> None:
        self._replicas = replicas
        self._ended = Event()
        self._open: dict[tuple[int, str], float] = {}
        self.found = Waits()
        self._threads = [Thread(target=self._probe, args=(port,)) for port in replicas.redis_ports]
        self._threads.append(Thread(target=self._look))
        for thread in self._threads:
            thread.start()

    def end(self) -> Waits:
        """What was found."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        now = time.monotonic()
        self.found.made += [(begin, now) for begin in self._open.values()]
        return self.found

    @property
    def finished(self) -> int:
        """How many bases were made from beginning to end."""
        return len(self.found.made)

    def _probe(self, port: int) -> None:
        request = command(b"SET", b"probe:%d" % port, VALUE)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self._ended.wait(PROBE_REST_S):
                begin = time.monotonic()
                connection.sendall(request)
                if connection.recv(100) != b"+OK\r\n":
                    raise RuntimeError("the probe was not answered as it should be")
                self.found.waits.append((begin, time.monotonic() - begin))

    def _look(self) -> None:
        """A base is made from when its file is there until that of the one before is not."""
        current = {id: self._bases(id) for id in range(N)}
        while not self._ended.wait(0.01):
            now = time.monotonic()
            for id, known in current.items():
                there = self._bases(id)
                for name in there - known:
                    self._open[id, name] = now
                for name in [name for of, name in self._open if of == id and len(there) == 1]:
                    self.found.made.append((self._open.pop((id, name)), now))
                current[id] = there

    def _bases(self, id: int) -> set[str]:
        return {path.name for path in (self._replicas.data(id) / "state").glob("*.base")}


def _fill(ports: Sequence[int], keys: int) -> None:
    """Set the keys through all ports at once."""

    def fill(port: int, first: int, last: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for begin in range(first, last, FILL_KEYS):
                pairs: list[bytes] = []
                for number in range(begin, min(last, begin + FILL_KEYS)):
                    pairs += (b"key:%012d" % number, VALUE)
                connection.sendall(command(b"MSET", *pairs))
                if connection.recv(100) != b"+OK\r\n":
                    raise RuntimeError("MSET failed")

    parts = FILL_CONNECTIONS * len(ports)
    threads = [
        Thread(target=fill, args=(ports[part % len(ports)], keys * part // parts, keys * (part + 1) // parts))
        for part in range(parts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _starts(replicas: BenchCluster) -> tuple[float, float]:
    """Kill all with -9 and start all again: seconds until the first answers a GET, and until all do."""
    replicas.kill(*range(N))
    begin = time.monotonic()
    replicas.start()
    waiting = list(replicas.redis_ports)
    answered: list[float] = []

    def some_answer() -> bool:
        for port in list(waiting):
            if _answers(port):
                waiting.remove(port)
                answered.append(time.monotonic() - begin)
        return not waiting

    wait_for("all answer", some_answer, 180)
    return answered[0], answered[-1]


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(0.2)
        try:
            client.connect(("127.0.0.1", port))
            client.sendall(command(b"GET", b"key:%012d" % 0))
            return client.recv(100).startswith(b"$64")
        except OSError:
            time.sleep(0.05)
            return False


def _observe(replicas: BenchCluster, keys: int, rate: int, count: int, limit_s: float) -> Waits:
    """Load, until every replica has made so many bases, or for as long as it may take."""
    loads = [
        subprocess.Popen(
            [*GUARD, *python("bases", port, keys, rate / N)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for port in replicas.redis_ports
    ]
    try:
        for load in loads:
            assert load.stdin is not None and load.stdout is not None
            load.stdout.readline()
        for load in loads:
            assert load.stdin is not None
            load.stdin.write(f"{time.monotonic()} {time.monotonic() + limit_s + 60}\n")
            load.stdin.flush()
        time.sleep(3)
        observer = _Observer(replicas)
        end = time.monotonic() + limit_s
        while time.monotonic() < end and observer.finished < count * N:
            time.sleep(0.1)
            for load in loads:
                if load.poll() is not None:
                    raise RuntimeError("a load has ended")
        return observer.end()
    finally:
        for load in loads:
            load.kill()
            load.wait()


def measure(
    keys: int, rate: int, count: int, limit_s: float, source: Path | None = None
) -> tuple[Waits, float, float]:
    """The waits, and the seconds until the first and the last replica answer after kill -9 of all."""
    with cluster(N, source=source) as replicas:
        _fill(replicas.redis_ports, keys)
        waits = _observe(replicas, keys, rate, count, limit_s)
        return (waits, *_starts(replicas))


def bases(session: Session, available: dict[str, str]) -> Result:
    """Three replicas on LevelDB."""
    result = Result("New bases, and a start after kill -9")
    keys = KEYS // 30 if session.quick else KEYS
    session.say(f"bases of {keys} keys")
    waits, first, last = measure(keys, RATE, 1 if session.quick else BASES, 10 if session.quick else 240)
    result.tables += [
        Table(
            f"A probe client's wait while {keys:,} keys get {RATE:,} SET/s, ms",
            ["a new base", "probes", "p50", "p99", "worst"],
            waits.lines(),
        ),
        Table(
            "Seconds from starting all three after kill -9 of all three",
            ["keys", "the first answers", "all answer", "the last, for a million keys"],
            [[f"{keys:,}", f"{first:.1f}", f"{last:.1f}", f"{last * 1e6 / keys:.2f}"]],
        ),
    ]
    result.settings.append(
        "LevelDB, 16-byte keys, 64-byte values; the load sends SETs of random keys at a steady rate; a probe"
        " at each replica sends a SET 2 ms after its last was answered; three replicas and the load share the"
        " machine, when they start too."
    )
    return result


# -- the load, one process for each port


class _Load:
    """SETs of random keys at one port, at a steady rate over a few connections."""

    def __init__(self, port: int, keys: int, rate: float) -> None:
        self._rate = rate
        self._keys = keys
        self._random = Random(port)
        self._connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        for connection in self._connections:
            connection.setblocking(False)
        self._unanswered = 0

    def run(self, begin: float, end: float) -> None:
        sent = number = 0
        while (now := time.monotonic()) < end:
            due = int((now - begin) * self._rate) - sent
            if due > 0:
                sent += due
                if self._unanswered < UNANSWERED_MAX:
                    number += 1
                    self._send(self._connections[number % len(self._connections)], due)
            self._receive()
            time.sleep(TICK_S)

    def _send(self, connection: socket.socket, count: int) -> None:
        key = self._random.randrange
        data = b"".join([_SET % key(self._keys) for _ in range(count)])
        connection.setblocking(True)
        connection.sendall(data)
        connection.setblocking(False)
        self._unanswered += count

    def _receive(self) -> None:
        for connection in self._connections:
            try:
                data = connection.recv(1 << 16)
            except BlockingIOError:
                continue
            if not data or b"-" in data:
                raise RuntimeError(f"not answered: {data[:100]!r}")
            self._unanswered -= data.count(b"+")


_SET = command(b"SET", b"key:%012d" % 0, VALUE).replace(b"key:%012d" % 0, b"key:%012d")


if __name__ == "__main__":
    _Load(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])).run(*told_when())
