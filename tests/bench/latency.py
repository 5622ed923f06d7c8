"""One client, one command outstanding: how long it waits, beside a bare Twisted TCP echo.

`python -m tests.bench.latency PORT` is that echo.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from tests.bench.load import KEYS, VALUE_BYTES, command
from tests.bench.processes import MEMORY, cluster, free_ports, python, started, wait_for_port
from tests.bench.results import Result, Row, Table
from tests.bench.session import Session

__all__ = ["Latency", "echo", "latencies", "one_client"]

GOAL = 4.0


def latencies(port: int, reply_bytes: int, count: int, pause_s: float = 0.0) -> list[float]:
    """The round trips, in microseconds, of SETs of random keys, one after the other, with pauses between."""
    random = Random(port)
    value = b"v" * VALUE_BYTES
    asked = [command(b"SET", b"key:%012d" % random.randrange(KEYS), value) for _ in range(count)]
    found = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in asked:
            expected = reply_bytes or len(request)
            if pause_s:
                time.sleep(pause_s)
            begin = time.perf_counter()
            connection.sendall(request)
            received = len(connection.recv(4096))
            while received < expected:
                received += len(connection.recv(4096))
            found.append((time.perf_counter() - begin) * 1e6)
    return found


class Latency:
    """What one client waits at several ports, `count` commands a run."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._found: dict[str, list[float]] = {}

    def runs(self, ports: Mapping[str, Sequence[int]], echo_port: int) -> dict[str, Callable[[], float]]:
        """For `Session.alternate`: the median of each, at the first of its ports, and of "echo"."""
        runs: dict[str, Callable[[], float]] = {
            name: partial(self._measure, name, of[0], len(b"+OK\r\n")) for name, of in ports.items()
        }
        runs["echo"] = partial(self._measure, "echo", echo_port, 0)
        return runs

    def _measure(self, name: str, port: int, reply_bytes: int) -> float:
        found = latencies(port, reply_bytes, self.count)
        self._found.setdefault(name, []).extend(found)
        return median(found)

    def cells(self, name: str) -> list[str]:
        """Median and p99 of all runs but the first."""
        found = self._found[name][self.count :]
        return [f"{median(found):,.0f}", f"{quantiles(found, n=100)[98]:,.0f}"]

    @staticmethod
    def row(build: str, own: list[float], echoes: list[float]) -> Row:
        """Ours in memory against the echo."""
        work = f"{build}one client, one SET outstanding, in memory: median"
        return Session.row(work, "a Twisted TCP echo", "us", own, echoes, GOAL, at_most=True)


@contextmanager
def echo(folder: Path) -> Iterator[int]:
    """A bare Twisted TCP echo in a process, and its port."""
    (port,) = free_ports(1)
    with started(python("latency", port), folder / "echo.log") as process:
        wait_for_port(port, process)
        yield port


def one_client(session: Session, available: dict[str, str]) -> Result:
    """The median against the echo's."""
    result = Result("One client, one command outstanding")
    waits = Latency(1000 if session.quick else 4000)
    with cluster(3, MEMORY) as memory, cluster(3) as leveldb, echo(session.folder) as echo_port:
        ports = {"memory": memory.redis_ports, "LevelDB": leveldb.redis_ports}
        figures = session.alternate("latency", waits.runs(ports, echo_port))
    result.rows.append(waits.row("", figures["memory"], figures["echo"]))
    names = {
        "echo": "Twisted TCP echo",
        "memory": "three replicas, memory",
        "LevelDB": "three replicas, LevelDB, sync",
    }
    result.tables.append(
        Table(
            "Round trips of one client, microseconds",
            ["", "median", "p99"],
            [[shown, *waits.cells(name)] for name, shown in names.items()],
        )
    )
    result.settings.append(f"{waits.count} commands a run, the same blocking client on all sides.")
    return result


class _Echo(Protocol):
    transport: Any

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


def _echo(port: int) -> None:
    from twisted.internet import reactor

    loop: Any = reactor
    loop.listenTCP(port, Factory.forProtocol(_Echo), interface="127.0.0.1")
    loop.run()


if __name__ == "__main__":
    _echo(int(sys.argv[1]))
