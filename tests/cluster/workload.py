"""Clients that use the cluster as applications do, through redis-py, and record all that they see.

Each client is a thread with one connection; after a failure it connects to another replica, or to the same
one.  Keys are used for a short time, so that a history consists of many small groups that are judged
separately.  All clients use the hot keys, few clients each cold key.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from threading import Event, Lock, Thread

import redis

from epaxos.interfaces import CommandError, Reply
from epaxos.verify.judges.history import Operation
from epaxos.verify.simulation.dice import Dice
from tests.cluster.harness import Cluster
from tests.cluster.load import connect
from tests.cluster.record import Recorder

__all__ = ["Client", "Counters", "Mix", "Workload", "percentile_ms", "raw_client"]

Words = tuple[bytes, ...]
HOT_LIFE = 150
"""Operations on the hot keys after which new ones take their place."""
COLD_LIFE = 60
READ_TOGETHER = 200
READ_BACK_S = 30.0
"""So long a replica may say that it has no quorum, although no fault is under way."""
RECONNECT_S = 0.1
LATENCY_BOUNDS_MS = [0.1 * 1.2**step for step in range(80)]


def raw_client(port: int, timeout_s: float, host: str = "127.0.0.1") -> redis.Redis:
    """A client that returns replies without converting them."""
    client = connect(port, timeout_s, host)
    client.response_callbacks.clear()
    return client


class Mix:
    """The commands of clients: weights of their kinds, and the share of hot keys."""

    def __init__(self, hot: float = 0.5, **weights: int) -> None:
        self.hot = hot
        self.weights = tuple(weights.items())

    @classmethod
    def everything(cls) -> Mix:
        """All kinds of commands."""
        return cls(write=30, read=35, count=12, many=10, delete=6, condition=6, size=1)


class Counters:
    """Counts outcomes of operations, and latencies in a histogram.  Many threads may use it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.called = self.answered = self.unknown = self.refused = 0
        self.latencies = [0] * (len(LATENCY_BOUNDS_MS) + 1)
        self.latency_max_ms = 0.0
        self.last_answer = time.monotonic()
        self.longest_gap_s = 0.0
        self.gaps_over_1_s = 0

    def on_answered(self, took_s: float) -> None:
        now = time.monotonic()
        with self.lock:
            self.answered += 1
            self.latencies[bisect_left(LATENCY_BOUNDS_MS, took_s * 1000)] += 1
            self.latency_max_ms = max(self.latency_max_ms, took_s * 1000)
            gap_s = now - self.last_answer
            self.last_answer = now
            self.longest_gap_s = max(self.longest_gap_s, gap_s)
            self.gaps_over_1_s += gap_s > 1

    def forget_gap(self) -> None:
        """Begin the current gap now, because no client has worked."""
        with self.lock:
            self.last_answer = time.monotonic()


def percentile_ms(latencies: Sequence[int], share: float) -> float:
    """The latency that this share of all operations does not exceed, accurate to a fifth."""
    wanted = share * sum(latencies)
    step = bisect_left(list(accumulate(latencies)), wanted)
    return LATENCY_BOUNDS_MS[min(step, len(LATENCY_BOUNDS_MS) - 1)]


class _Names:
    """The names of keys.  `stretch` makes those of one recorder differ from those of all others."""

    def __init__(self, stretch: str) -> None:
        self._stretch = stretch
        self._hot_used = 0

    def hot(self, kind: str, dice: Dice) -> bytes:
        """One of the few keys that all clients use now."""
        self._hot_used += 1  # not exact with many threads, and need not be
        number = 0 if dice.chance(0.6) else dice.below(4)
        return f"{self._stretch}:hot{self._hot_used // HOT_LIFE}:{kind}{number}".encode()

    def cold(self, kind: str, client: int, count: int, dice: Dice) -> bytes:
        """One of the many keys of this client."""
        return f"{self._stretch}:{client}.{count // COLD_LIFE}:{kind}{dice.below(12)}".encode()


class _Commands:
    """Makes the commands of a client."""

    def __init__(self, client: int, workload: Workload, dice: Dice) -> None:
        self._client = client
        self._workload = workload
        self._dice = dice
        self._count = 0
        self._kinds: dict[str, Callable[[bytes], Words]] = {
            "write": self._write,
            "read": self._read,
            "count": self._increment,
            "many": self._many,
            "delete": self._delete,
            "condition": self._condition,
            "size": self._size,
        }

    def next(self, value: bytes) -> Words:
        """The next command.  If it writes, it writes `value`, which no other command writes."""
        self._count += 1
        return self._kinds[self._dice.pick_weighted(self._workload.mix.weights)](value)

    def _key(self, kind: str = "k") -> bytes:
        names = self._workload.names
        if self._dice.chance(self._workload.mix.hot):
            return names.hot(kind, self._dice)
        # Sometimes a key of the neighbour, so that two clients use cold keys, too.
        client = self._client ^ 1 if self._dice.chance(0.2) else self._client
        return names.cold(kind, client, self._count, self._dice)

    def _write(self, value: bytes) -> Words:
        if self._dice.chance(0.2):
            return (b"APPEND", self._key("a"), value + b";")
        return (b"GETSET" if self._dice.chance(0.2) else b"SET", self._key(), value)

    def _read(self, value: bytes) -> Words:
        kind = self._dice.pick_weighted((("k", 6), ("a", 1), ("c", 1)))
        return (b"STRLEN" if kind == "a" else b"GET", self._key(kind))

    def _increment(self, value: bytes) -> Words:
        return (b"INCR", self._key("c"))

    def _many(self, value: bytes) -> Words:
        """Neighbouring keys, so that a command connects only a few groups."""
        key = self._key("m")
        keys = sorted({key[:-1] + b"%d" % self._dice.below(3), key})
        if self._dice.chance(0.5):
            return (b"MGET", *keys)
        return (b"MSET", *(part for i, key in enumerate(keys) for part in (key, value + b".%d" % i)))

    def _delete(self, value: bytes) -> Words:
        return (b"GETDEL" if self._dice.chance(0.3) else b"DEL", self._key())

    def _condition(self, value: bytes) -> Words:
        return (b"SETNX", self._key(), value)

    def _size(self, value: bytes) -> Words:
        return (b"DBSIZE",)


class Client(Thread):
    """One client.  It works while `going` is set, until `stop`."""

    def __init__(self, number: int, home: int, workload: Workload, seed: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.number = number
        self.idle = Event()
        self._home = home
        self._workload = workload
        self._dice = Dice(seed, "client", number)
        self._commands = _Commands(number, workload, self._dice)
        self._client: redis.Redis | None = None
        self._count = 0

    def run(self) -> None:
        """See Thread."""
        workload = self._workload
        while not workload.over.is_set():
            if not workload.going.is_set():
                self.idle.set()
                workload.going.wait(0.1)
                continue
            self.idle.clear()
            if self._connect():
                self._operate()
                if workload.think_s:
                    workload.over.wait(workload.think_s * 2 * self._dice.below(1000) / 1000)
        self._hang_up()

    def _connect(self) -> bool:
        """Whether there is a connection.  If not, try to make one; after a failure, wait a little and
        choose another replica."""
        if self._client is not None:
            return True
        try:
            self._client = self._workload.connect(self._home)
        except redis.exceptions.RedisError:
            self._go_elsewhere()
            return False
        return True

    def _go_elsewhere(self) -> None:
        self._hang_up()
        if self._dice.chance(0.5):
            self._home = self._dice.pick(self._workload.homes)
        self._workload.over.wait(RECONNECT_S)

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _operate(self) -> None:
        """Run and record one operation."""
        self._count += 1
        workload = self._workload
        name = f"{self.number}.{self._count}"
        words = self._commands.next(name.encode())
        recorder, counters = workload.recorder, workload.counters
        with counters.lock:
            counters.called += 1
        operation = recorder.call(name, words, self._home)
        begin = time.monotonic()
        try:
            assert self._client is not None
            reply = _as_reply(self._client.execute_command(*words))
        except redis.exceptions.RedisError as error:
            self._on_error(operation, error, time.monotonic() - begin)
        else:
            recorder.answer(operation, reply)
            counters.on_answered(time.monotonic() - begin)

    def _on_error(self, operation: Operation, error: redis.exceptions.RedisError, took_s: float) -> None:
        recorder, counters = self._workload.recorder, self._workload.counters
        down = isinstance(error, redis.exceptions.ClusterDownError)
        if isinstance(error, redis.exceptions.ResponseError) and not down:
            recorder.answer(operation, CommandError(str(error)))
            counters.on_answered(took_s)
            return
        may_have_run = not down or "may still run" in str(error)
        recorder.give_up(operation, may_have_run)
        with counters.lock:
            counters.unknown += may_have_run
            counters.refused += not may_have_run
        self._go_elsewhere()


def _as_reply(reply: object) -> Reply:
    """The reply of redis-py as the model has it."""
    return "OK" if reply == b"OK" else reply  # type: ignore[return-value]


class Workload:
    """`clients` clients for each of `homes`, where they begin; by default all replicas."""

    def __init__(
        self,
        ports: Sequence[int],
        *,
        seed: int,
        clients: int = 3,
        homes: Sequence[int] | None = None,
        mix: Mix | None = None,
        think_s: float = 0.005,
        timeout_s: float = 8.0,
        hosts: Sequence[str] | None = None,
    ) -> None:
        self.ports = ports
        self.hosts = hosts or ["127.0.0.1"] * len(ports)
        self.homes = range(len(ports)) if homes is None else homes
        self.mix = mix or Mix.everything()
        self.think_s = think_s
        self.timeout_s = timeout_s
        self.counters = Counters()
        self.going = Event()
        self.over = Event()
        self._stretch = 0
        self.begin_stretch()
        self.clients = [
            Client(number, self.homes[number % len(self.homes)], self, seed)
            for number in range(clients * len(self.homes))
        ]

    def __enter__(self) -> Workload:
        for client in self.clients:
            client.start()
        self.go()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for client in self.clients:
            client.join(30)
            assert not client.is_alive(), f"{client.name} hangs"

    def connect(self, replica: int) -> redis.Redis:
        """A client of this replica."""
        return raw_client(self.ports[replica], self.timeout_s, self.hosts[replica])

    def begin_stretch(self, keys_before: int = 0, keys_in_doubt: int = 0) -> None:
        """Begin a new record, on new keys.  Only while no client works."""
        self._stretch += 1
        self.names = _Names(f"s{self._stretch}")
        self.recorder = Recorder(keys_before, keys_in_doubt)

    def go(self) -> None:
        """Let the clients work."""
        self.counters.forget_gap()
        self.going.set()

    def pause(self, timeout_s: float = 30) -> None:
        """Wait until every client has ended its current operation, and let none begin another."""
        self.going.clear()
        for client in self.clients:
            client.idle.clear()
        for client in self.clients:
            if not client.idle.wait(timeout_s):
                raise AssertionError(f"{client.name} has waited for an answer for {timeout_s} s")

    def wait_for_more(self, count: int, timeout_s: float = 30) -> None:
        """Wait until `count` more operations were answered."""
        goal = self.counters.answered + count
        deadline = time.monotonic() + timeout_s
        while self.counters.answered < goal:
            if time.monotonic() > deadline:
                raise AssertionError(f"only {self.counters.answered - goal + count} answers in {timeout_s} s")
            time.sleep(0.02)

    def settle(self, cluster: Cluster, timeout_s: float = 60) -> None:
        """Let the clients rest, wait until all replicas are in the same state, and read keys back.

        No fault may be under way.
        """
        self.pause()
        cluster.revive()
        cluster.ready(timeout_s=timeout_s)
        cluster.equal_digests(timeout_s)
        self.read_back(self._stretch % cluster.n)

    def read_back(self, replica: int, keys_max: int = 3000) -> None:
        """Read the keys that were used last, as one more client whose operations are judged, too."""
        used: dict[bytes, None] = {}
        for operation in reversed(self.recorder.operations()):
            if len(used) >= keys_max:
                break
            if operation.command[0] != b"DBSIZE":
                used[operation.command[1]] = None
        client = self.connect(replica)
        keys = list(used)
        for start in range(0, len(keys), READ_TOGETHER):
            self._read_together(client, replica, keys[start : start + READ_TOGETHER])
        client.close()

    def _read_together(self, client: redis.Redis, replica: int, keys: list[bytes]) -> None:
        """Read all of these keys, and again those that a slow machine did not read in time."""
        deadline = time.monotonic() + READ_BACK_S
        while keys:
            operations = [
                self.recorder.call(f"back{number}.{key!r}", (b"GET", key), replica)
                for number, key in enumerate(keys)
            ]
            with client.pipeline(transaction=False) as pipeline:
                for operation in operations:
                    pipeline.execute_command(*operation.command)
                replies = pipeline.execute(raise_on_error=time.monotonic() > deadline)
            keys = []
            for operation, reply in zip(operations, replies):
                if isinstance(reply, redis.exceptions.ClusterDownError):
                    self.recorder.give_up(operation, True)
                    keys.append(operation.command[1])
                else:
                    self.recorder.answer(operation, _as_reply(reply))
