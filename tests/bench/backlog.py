"""A backlog: how long the execution of a million committed commands takes, and that it is linear; and how
long a replica that was down needs for what it missed."""

from __future__ import annotations

import gc
import socket
import time
from operator import ge
from random import Random
from threading import Event, Thread
from time import process_time
from typing import NamedTuple

from epaxos.execution.executor import Executor
from epaxos.interfaces import Ready
from epaxos.protocol.values.epoch import Epoch
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.bench.load import KEYS, VALUE_BYTES, command
from tests.bench.processes import BenchCluster, wait_for
from tests.bench.results import Plot, Result, Table
from tests.bench.session import Session
from tests.execution import histories
from tests.execution.histories import Decided

__all__ = ["backlog"]

COMMANDS_PER_BATCH = 100
COMMANDS = 1_000_000
LIMIT = 256
"""As `node.EXECUTED_PER_TURN`."""


def _with_payload(decided: Decided, machine: KeyValueStore) -> Decided:
    """The same instance with SETs of its keys, as many as a batch has."""
    keys = decided.batch.writes
    value = b"v" * VALUE_BYTES
    commands = [[b"SET", key, value] for key in keys * (COMMANDS_PER_BATCH // len(keys))]
    return Decided(decided.id, machine.batch(commands), decided.deps)


class Spent(NamedTuple):
    """Seconds to take the commits, to order them once the first instance has come, and to apply them."""

    commit: float
    order: float
    apply: float


def _measure(commands: int, one_key: bool) -> Spent:
    machine = KeyValueStore()
    keys, key_space = (1, 1) if one_key else (COMMANDS_PER_BATCH, KEYS)
    history = histories.backlog(
        3, commands // COMMANDS_PER_BATCH, keys, key_space, Random(1), blocker="prefix"
    )
    first, *blocked = [_with_payload(decided, machine) for decided in history]
    gc.collect()
    executor = Executor(Epoch.first(3))
    begin = process_time()
    for decided in blocked:
        executor.commit(*decided)
    committed = process_time()
    executor.commit(*first)
    done, applying = 0, 0.0
    while executor.busy:
        ran = executor.run(LIMIT)
        ordered = process_time()
        machine.apply([Ready(id, batch, False) for id, batch in ran])
        applying += process_time() - ordered
        done += len(ran)
    end = process_time()
    assert done == len(history), (done, len(history))
    return Spent(committed - begin, end - committed - applying, applying)


# -- what a replica missed

MISSED = 200_000
MISSED_BYTES = 500
MISSED_PIPELINE = 100
BESIDE_PER_S = 20_000
SLOW_TIMERS = "\n[timing]\nheartbeat_s = 5\nresend_s = 5\nsuspect_after_s = 20\nrecover_after_s = 30\n"


def _sets(client: socket.socket, first: int, count: int) -> None:
    """So many SETs of keys of their own, in one pipeline that is answered."""
    value = b"v" * MISSED_BYTES
    client.sendall(b"".join(command(b"SET", b"key:%09d" % (first + n), value) for n in range(count)))
    answered = 0
    while answered < count:
        answers = client.recv(1 << 16)
        if not answers or b"-" in answers:
            raise RuntimeError(f"SET is answered with {answers!r}")
        answered += answers.count(b"\n")


class Beside(Thread):
    """Sends `rate` SETs a second to one replica, if it can, until `end` is called."""

    def __init__(self, port: int, rate: float) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._rate = rate
        self._ended = Event()
        self.sent = 0

    def run(self) -> None:
        """See Thread."""
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", self._port)) as client:
            while not self._ended.is_set():
                ahead_s = self.sent / self._rate - (time.monotonic() - begin)
                if ahead_s > 0:
                    self._ended.wait(ahead_s)
                _sets(client, 10**8 + self.sent % KEYS, MISSED_PIPELINE)
                self.sent += MISSED_PIPELINE

    def end(self) -> None:
        """Send no more."""
        self._ended.set()
        self.join()


def catch_up(missed: int, beside_per_s: float = 0, settings: str = "") -> tuple[float, float]:
    """Seconds from the start of the process until replica 2 of three has executed what the others had when
    it was started; and how many SETs a second they did beside it."""
    with BenchCluster(3, settings) as replicas:
        replicas.start().ready()
        replicas.kill(2)
        with socket.create_connection(("127.0.0.1", replicas.redis_ports[0])) as client:
            for first in range(0, missed, MISSED_PIPELINE):
                _sets(client, first, MISSED_PIPELINE)
        time.sleep(2)
        load = [Beside(replicas.redis_ports[id], beside_per_s / 2) for id in (0, 1) if beside_per_s]
        for thread in load:
            thread.start()
        time.sleep(bool(load))
        wanted = [max(pair) for pair in zip(*(replicas.status(id)["executed"] for id in (0, 1)))]
        sent = sum(thread.sent for thread in load)
        begin = time.monotonic()
        replicas.start(2)

        def caught_up() -> bool:
            time.sleep(0.05)
            status = replicas.try_status(2)
            return status is not None and all(map(ge, status["executed"], wanted))

        wait_for("what was missed is executed", caught_up, 300)
        seconds = time.monotonic() - begin
        rate = (sum(thread.sent for thread in load) - sent) / seconds
        for thread in load:
            thread.end()
        return seconds, rate


def missed_commands(session: Session) -> Table:
    """Idle, beside load, and with timers that are of no help."""
    missed = MISSED // 10 if session.quick else MISSED
    table = Table(
        f"Replica 2 is killed, misses {missed:,} SETs of {MISSED_BYTES} bytes, and is started again",
        ["at the others meanwhile", "heartbeat_s and resend_s", "seconds", "SET/s at the others"],
    )
    for beside in (0, BESIDE_PER_S):
        for settings, timers in (("", "default"), (SLOW_TIMERS, "5")):
            session.say(f"{missed} missed commands, {beside} SET/s beside, timers {timers}")
            seconds, rate = catch_up(missed, beside, settings)
            load = f"{beside:,} SET/s" if beside else "nothing"
            table.lines.append([load, timers, f"{seconds:.2f}", f"{rate:,.0f}"])
    return table


def backlog(session: Session, available: dict[str, str]) -> Result:
    """Random keys and one key, at a quarter, a half and all of the size."""
    result = Result("Execution of a backlog")
    largest = COMMANDS // 10 if session.quick else COMMANDS
    sizes = [largest // 4, largest // 2, largest]
    table = Table(
        f"Commands behind one missing instance, {COMMANDS_PER_BATCH} a batch, executed when it comes",
        ["commands", "keys", "commit, s", "order, s", "apply, s", "us a command"],
    )
    series: dict[str, list[float | None]] = {"random keys": [], "one key": []}
    for size in sizes:
        for name in series:
            session.say(f"backlog of {size} commands, {name}")
            spent = _measure(size, name == "one key")
            each = sum(spent) / size * 1e6
            table.lines.append([f"{size:,}", name, *(f"{part:.3f}" for part in spent), f"{each:.3f}"])
            series[name].append(sum(spent))
    result.tables.append(table)
    result.plots.append(
        Plot(
            "backlog",
            "Execution of a backlog of committed commands",
            "seconds",
            [f"{size:,} commands" for size in sizes],
            series,
        )
    )
    result.settings.append("In one process, processor time; executor and key-value store, no disk.")
    result.tables.append(missed_commands(session))
    return result
