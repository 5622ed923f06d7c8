"""Clients that number their commands while real replicas are killed: each command runs exactly once.

`python -m tests.cluster.once --seconds 300` prints what happened, and exits with 1 when a count is wrong.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.cluster.harness import Cluster
from tests.cluster.kills import kill_in_turn

__all__ = ["CLIENTS", "Counted", "count"]

CLIENTS = 30
SETTINGS = "\n[limits]\nrequest_timeout_s = 1\n"
PATIENCE_S = 2.0
LAST_ANSWERS_S = 60.0
"""How long after the last kill a client goes on to ask for its last number."""


class Counted(NamedTuple):
    """What happened.  `replies`: of all clients; `sent`: how often numbers were sent; `sums`: the counter, as
    each replica has it; `wrong`: replies that are no count."""

    replies: list[int]
    sent: int
    sums: list[int]
    wrong: list[str]
    kills: int

    @property
    def is_exact(self) -> bool:
        """Whether each number was counted once, and everybody knows it."""
        numbers = len(self.replies)
        exact = sorted(self.replies) == list(range(1, numbers + 1))
        return exact and not self.wrong and set(self.sums) == {numbers}

    def __str__(self) -> str:
        return (
            f"{len(self.replies)} numbers, sent {self.sent} times, over {self.kills} kills: the counter is"
            f" {self.sums}{''.join(f'; {text}' for text in self.wrong[:5])}"
        )


class _Client:
    """One client with a session: each number is sent to one replica after the other until it is answered."""

    def __init__(self, ports: Sequence[int], first: int) -> None:
        self._replicas = [
            redis.Redis(port=port, socket_timeout=PATIENCE_S, retry=Retry(NoBackoff(), 0)) for port in ports
        ]
        self._replicas = self._replicas[first:] + self._replicas[:first]
        self.sent = 0
        self.replies: list[int] = []
        self.wrong: list[str] = []

    def _ask(self, *command: object) -> object:
        """Send the command until it is answered.  Raises redis.ResponseError when that is an error."""
        deadline = time.monotonic() + LAST_ANSWERS_S
        while True:
            self.sent += 1
            try:
                return self._replicas[0].execute_command(*command)
            except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ClusterDownError):
                self._replicas.append(self._replicas.pop(0))
                time.sleep(0.02)
                if time.monotonic() > deadline:
                    raise

    def run(self, over: threading.Event) -> None:
        """Count up until it is over, and until the last number is answered."""
        session = self._ask("EPAXOS", "SESSION")
        self.sent = number = 0
        while not over.is_set():
            number += 1
            try:
                reply = self._ask("EPAXOS", "ONCE", session, number, number - 1, "INCR", "sum")
            except redis.RedisError as error:
                self.wrong.append(f"number {number}: {error!r}")
                return
            if isinstance(reply, int):
                self.replies.append(reply)
            else:
                self.wrong.append(f"number {number}: {reply!r}")


def count(cluster: Cluster, seconds: float, clients: int = CLIENTS) -> Counted:
    """Let clients count up one key for this time, while replicas are killed."""
    over = threading.Event()
    all_clients = [_Client(cluster.redis_ports, number % cluster.n) for number in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client.run, over) for client in all_clients]
        try:
            kills = kill_in_turn(cluster, seconds)
        finally:
            over.set()
        for each in running:
            each.result()
    cluster.equal_digests(60)
    sums = [int(cluster.client(id).get("sum") or 0) for id in range(cluster.n)]
    return Counted(
        [reply for client in all_clients for reply in client.replies],
        sum(client.sent for client in all_clients),
        sums,
        [text for client in all_clients for text in client.wrong],
        kills,
    )


def main() -> int:
    """Count for a while, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.once", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="of kills (%(default)s)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="(%(default)s)")
    options = parser.parse_args()
    with Cluster(3, SETTINGS).start().ready() as cluster:
        counted = count(cluster, options.seconds, options.clients)
    print(counted)
    return 0 if counted.is_exact else 1


if __name__ == "__main__":
    sys.exit(main())
