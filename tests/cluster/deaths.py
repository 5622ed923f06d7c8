"""Measures how long clients of the other replicas wait when a replica dies: real processes, killed or stopped
under load.

    python -m tests.cluster.deaths --n 3 --deaths 9 --signal KILL

The replicas die in turn.  Each is up again and has caught up before the next one dies.
"""

from __future__ import annotations

import argparse
import signal
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import NamedTuple

from tests.cluster.harness import Cluster, wait_until

__all__ = ["HOT", "SEPARATE", "Death", "die"]

HOT = "hot"
"""Every client of every replica increments one key: each command interferes with all others."""
SEPARATE = "separate"
"""Every client increments a key of its own: no command interferes with another."""
SETTLED_S = 0.7
"""How long clients work before a death."""
WATCHED_S = 1.0
"""How long they work after it, at least; longer while one of them waits."""
PATIENCE_S = 20.0


class Counting(Thread):
    """A client of one replica that increments `key`, one command after the other.

    `longest` is its longest wait since `forget`, as (seconds, when it began).
    """

    def __init__(self, replica: int, port: int, key: str) -> None:
        super().__init__(daemon=True)
        self.replica = replica
        self.answers = 0
        self.errors: list[str] = []
        self.longest = (0.0, 0.0)
        self._asked_at = time.monotonic()
        self._stopped = Event()
        self._request = f"*2\r\n$4\r\nINCR\r\n${len(key)}\r\n{key}\r\n".encode()
        self._port = port

    def run(self) -> None:
        """See Thread.  Ends when the replica closes the connection."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S) as connection:
            while not self._stopped.is_set():
                self._asked_at = time.monotonic()
                try:
                    connection.sendall(self._request)
                    answer = connection.recv(4096)
                except OSError as error:
                    answer = str(error).encode()
                if not answer.startswith(b":"):
                    self.errors.append(answer.decode().strip() or "closed")
                    return
                self.longest = max(self.longest, (time.monotonic() - self._asked_at, self._asked_at))
                self.answers += 1

    def forget(self) -> None:
        """Forget the longest wait so far."""
        self.longest = (0.0, 0.0)

    def waits_s(self) -> float:
        """The longest wait, including the one that goes on."""
        return max(self.longest[0], time.monotonic() - self._asked_at)

    def stop(self) -> None:
        """End after the current command."""
        self._stopped.set()


class Death(NamedTuple):
    """The effect of a death on clients of the other replicas: the longest wait of all, the longest for each
    replica, and the longest before the death."""

    victim: int
    longest_s: float
    by_replica: dict[int, float]
    before_s: float


@contextmanager
def _counting(cluster: Cluster, load: str, clients: int) -> Iterator[list[Counting]]:
    threads = [
        Counting(replica, port, "hot" if load == HOT else f"key {replica} {number}")
        for replica, port in enumerate(cluster.redis_ports)
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join(PATIENCE_S)


def die(
    cluster: Cluster, victim: int, load: str, number: signal.Signals = signal.SIGKILL, clients: int = 2
) -> Death:
    """Send the signal to `victim` while clients of all replicas count.  At the end it is up and has caught
    up.

    Raises AssertionError when a client of another replica gets an error.
    """
    with _counting(cluster, load, clients) as threads:
        survivors = [thread for thread in threads if thread.replica != victim]
        wait_until("all clients count", lambda: all(thread.answers > 5 for thread in threads))
        for thread in survivors:
            thread.forget()
        time.sleep(SETTLED_S)
        before_s = max(thread.waits_s() for thread in survivors)
        for thread in survivors:
            thread.forget()
        answers = [thread.answers for thread in survivors]
        cluster.signal(number, victim)
        died_at = time.monotonic()
        time.sleep(WATCHED_S)
        wait_until(
            "the survivors' clients go on",
            lambda: all(
                thread.errors or (thread.answers > before + 3 and thread._asked_at > died_at + WATCHED_S)
                for thread, before in zip(survivors, answers)
            ),
        )
        for thread in survivors:
            thread.stop()
        if number == signal.SIGSTOP:
            cluster.signal(signal.SIGCONT, victim)
    if number == signal.SIGKILL:
        cluster.processes.pop(victim).wait()
        cluster.start(victim)
    errors = [error for thread in survivors for error in thread.errors]
    assert not errors, errors
    by_replica: dict[int, float] = {}
    for thread in survivors:
        by_replica[thread.replica] = max(by_replica.get(thread.replica, 0.0), thread.longest[0])
    cluster.ready()
    cluster.equal_digests()
    return Death(victim, max(by_replica.values()), by_replica, before_s)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the longest wait of each death, and their median and maximum."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster.deaths",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--n", type=int, default=3, help="how many replicas (%(default)s)")
    parser.add_argument(
        "--transport", default="tcp", choices=("tcp", "udp"), help="between replicas (%(default)s)"
    )
    parser.add_argument("--deaths", type=int, default=9, help="how many deaths, in turn (%(default)s)")
    parser.add_argument("--clients", type=int, default=2, help="of each replica (%(default)s)")
    parser.add_argument(
        "--signal", default="KILL", choices=("KILL", "STOP"), help="how a replica dies (%(default)s)"
    )
    parser.add_argument(
        "--load",
        default=HOT,
        choices=(HOT, SEPARATE),
        help="clients increment one key, or each its own (%(default)s)",
    )
    options = parser.parse_args(arguments)
    with Cluster(options.n, transport=options.transport).start().ready() as cluster:
        deaths = []
        for count in range(options.deaths):
            number = signal.Signals[f"SIG{options.signal}"]
            death = die(cluster, count % options.n, options.load, number, options.clients)
            deaths.append(death)
            waits = "  ".join(f"{id}: {1000 * wait:4.0f}" for id, wait in death.by_replica.items())
            print(
                f"replica {death.victim} dies: {1000 * death.longest_s:4.0f} ms ({waits};"
                f" before {1000 * death.before_s:.0f})",
                flush=True,
            )
        waits_s = [death.longest_s for death in deaths]
        print(
            f"n={options.n} {options.transport} SIG{options.signal} {options.load}:"
            f" median {1000 * statistics.median(waits_s):.0f} ms, longest {1000 * max(waits_s):.0f} ms"
        )


if __name__ == "__main__":
    main()
