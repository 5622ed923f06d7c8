"""Locks of redis-py, and locks with FENCE, at three real replicas whose clocks differ, while they are killed.

    python -m tests.cluster.locks --minutes 5

Nobody may hold a lock while another one does, as long as TTL - clock_error_max_s has not passed; and the
numbers of FENCE grow.  The program prints what happened, and exits with 1 when a rule was broken.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock
from redis.retry import Retry

from epaxos.verify.judges.fences import FenceJudge
from tests.cluster.harness import Cluster
from tests.cluster.kills import kill_in_turn

__all__ = ["CLIENTS", "CLOCKS_S", "Fenced", "Held", "Report", "judge_fences", "judge_holders", "run"]

CLIENTS = 30
LOCKS = 5
"""Of each kind."""
TTL_S = 2.0
ERROR_S = 0.5
"""The default of clock_error_max_s."""
CLOCKS_S = (0.0, 0.2, -0.2)
"""By how much the clock of each replica is wrong."""
PATIENCE_S = 2.0
OVERSLEEPS = 0.15
"""How often a client works on beyond the time of its lock."""
SETTINGS = "\n[limits]\nrequest_timeout_s = 1\n"


class Held(NamedTuple):
    """A client surely had this lock from `since` until `until`, in seconds on the clock of this program: from
    the answer on, until it gave the lock back, or TTL - clock_error_max_s after it asked for it."""

    lock: str
    who: int
    since: float
    until: float


class Fenced(NamedTuple):
    """A lock was asked for and taken with this number."""

    lock: str
    asked: float
    answered: float
    number: int


class Report(NamedTuple):
    """What happened."""

    held: Sequence[Held]
    fenced: Sequence[Fenced]
    wrong: Sequence[str]
    refused: int
    kills: int

    def __str__(self) -> str:
        return (
            f"{len(self.held)} locks of redis-py and {len(self.fenced)} with FENCE taken over {self.kills}"
            f" kills; resources refused {self.refused} late holders{''.join(map(_line, self.wrong[:20]))}"
        )


def _line(text: str) -> str:
    return f"\nWRONG: {text}"


def judge_holders(held: Sequence[Held]) -> list[str]:
    """Each pair of clients that surely had the same lock at the same time."""
    wrong = []
    by_lock: dict[str, list[Held]] = defaultdict(list)
    for one in sorted(held, key=lambda one: one.since):
        by_lock[one.lock].append(one)
    for holders in by_lock.values():
        last = holders[0]
        for one in holders[1:]:
            if one.since < last.until:
                wrong.append(f"two hold a lock: {last} and {one}")
            last = max(last, one, key=lambda each: each.until)
    return wrong


def judge_fences(fenced: Sequence[Fenced]) -> list[str]:
    """Each number that is not above one whose holder was answered before this one asked."""
    wrong: list[str] = []
    judge = FenceJudge(wrong.append)
    for one in sorted(fenced, key=lambda one: one.answered):
        judge.answer(one.lock.encode(), round(one.asked * 1e6), round(one.answered * 1e6), one.number)
    return wrong


class _Resource:
    """What a lock with FENCE guards: it takes no number below the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self.refused = 0

    def write(self, number: int) -> None:
        with self._lock:
            if number < self._last:
                self.refused += 1
            else:
                self._last = number


class _Client:
    """One client: it takes locks, works, and gives them back, at one replica after the other."""

    def __init__(self, who: int, ports: Sequence[int], resources: dict[str, _Resource]) -> None:
        self._who = who
        self._random = random.Random(who)
        self._resources = resources
        self._replicas = [
            redis.Redis(port=port, socket_timeout=PATIENCE_S, retry=Retry(NoBackoff(), 0)) for port in ports
        ]
        for (
            replica
        ) in self._replicas:  # redis-py makes a bool of the reply to SET, and FENCE answers a number
            replica.set_response_callback("SET", lambda reply, **_: reply)
        self._home = who % len(ports)
        self.held: list[Held] = []
        self.fenced: list[Fenced] = []
        self.wrong: list[str] = []

    def run(self, over: threading.Event) -> None:
        """Go on until it is over."""
        once = self._lock_once if self._who % 2 else self._fence_once
        while not over.is_set():
            try:
                once(f"{self._random.randrange(LOCKS)}")
            except redis.RedisError:  # nobody knows whether it ran: it counts for nothing
                self._home = (self._home + 1) % len(self._replicas)
                time.sleep(0.02)

    def _work(self) -> None:
        longest = 1.5 * TTL_S if self._random.random() < OVERSLEEPS else 0.3 * TTL_S
        time.sleep(self._random.random() * longest)

    def _lock_once(self, name: str) -> None:
        lock = Lock(self._replicas[self._home], f"lock:{name}", timeout=TTL_S, blocking=False)
        asked = time.monotonic()
        if not lock.acquire():
            time.sleep(0.02)
            return
        since, sure = time.monotonic(), asked + TTL_S - ERROR_S
        self._work()
        until = time.monotonic()
        self.held.append(Held(lock.name, self._who, since, max(since, min(until, sure))))
        try:
            lock.release()
        except LockNotOwnedError:
            if time.monotonic() < sure:
                self.wrong.append(f"client {self._who} has lost {lock.name} before its time")

    def _fence_once(self, name: str) -> None:
        key, token, client = f"fenced:{name}", f"{self._who}", self._replicas[self._home]
        asked = time.monotonic()
        number = client.execute_command("SET", key, token, "NX", "PX", round(TTL_S * 1000), "FENCE")
        if number is None:
            time.sleep(0.02)
            return
        self.fenced.append(Fenced(key, asked, time.monotonic(), int(number)))
        self._work()
        self._resources[name].write(int(number))
        client.eval("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end",
            1, key, token)  # fmt: skip


def run(cluster: Cluster, seconds: float, clients: int = CLIENTS) -> Report:
    """Let clients take locks for this time, while replicas are killed."""
    over = threading.Event()
    resources = {f"{number}": _Resource() for number in range(LOCKS)}
    all_clients = [_Client(who, cluster.redis_ports, resources) for who in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client.run, over) for client in all_clients]
        try:
            kills = kill_in_turn(cluster, seconds)
        finally:
            over.set()
    for each in running:
        each.result()
    held = [one for client in all_clients for one in client.held]
    fenced = [one for client in all_clients for one in client.fenced]
    wrong = [text for client in all_clients for text in client.wrong]
    return Report(
        held, fenced, [*wrong, *judge_holders(held), *judge_fences(fenced)],
        sum(resource.refused for resource in resources.values()), kills,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Take locks for a while, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster.locks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of kills (%(default)s)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="(%(default)s)")
    options = parser.parse_args(arguments)
    with Cluster(3, SETTINGS, clocks_s=CLOCKS_S).start().ready() as cluster:
        report = run(cluster, 60 * options.minutes, options.clients)
        cluster.equal_digests(60)
    print(report)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
