"""Three replicas, their clients and one reactor in one process, on a clock that its turns move.

`tests.bench.instructions` runs this file with another epaxos on the path.  So it uses little of it, and does
nearly the same in each run: `lockstep.py ENGINE CONNECTIONS PIPELINE COMMANDS PORT [WORK]` answers at least
COMMANDS commands of WORK, SETs unless it says otherwise, and prints how many.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

N = 3
STEP_S = 0.0002
"""How far the clock goes with each turn of the reactor."""
TURNS_MAX = 100_000
"""Turns in which a SET has to be answered."""
BEGIN_S = 1_700_000_000
COMMANDS_AT_ONCE = 1000
BLOCKS = 8
KEYS = 1_000_000
FEW_KEYS = 1_000
"""Of values with many elements."""
SCRIPT = b"""local before = redis.call('GET', KEYS[1])
local count = 0
if before then
  count = tonumber(string.match(before, '%d+')) or 0
end
redis.call('SET', KEYS[1], count + 1)
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return count
"""


class Work(NamedTuple):
    """`make`: a request of `commands` commands, which is answered by `lines` lines."""

    make: Callable[[Random], bytes]
    commands: int = 1
    lines: int = 1


def _packed(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in arguments)


def _key(random: Random, keys: int = KEYS) -> bytes:
    return b"key:%012d" % random.randrange(keys)


def _set(random: Random) -> bytes:
    return _packed(b"SET", _key(random), b"v" * 16)


def _field(random: Random) -> bytes:
    return b"%016d" % random.randrange(FEW_KEYS)


def _push_and_pop(random: Random) -> bytes:
    key = _key(random, FEW_KEYS)
    return _packed(b"LPUSH", key, b"v" * 16) + _packed(b"RPOP", key)


def _transaction(random: Random) -> bytes:
    return _packed(b"MULTI") + b"".join(_set(random) for _ in range(3)) + _packed(b"EXEC")


WORKS = {
    "SET": Work(_set),
    "SET-EX": Work(lambda random: _packed(b"SET", _key(random), b"v" * 16, b"EX", b"100")),
    "INCR": Work(lambda random: _packed(b"INCR", b"count:%d" % random.randrange(KEYS))),
    "HSET": Work(lambda random: _packed(b"HSET", _key(random, FEW_KEYS), _field(random), b"v" * 16)),
    "LPUSH": Work(lambda random: _packed(b"LPUSH", _key(random, FEW_KEYS), b"v" * 16)),
    "LPUSH-RPOP": Work(_push_and_pop, 2, 3),
    "SADD": Work(lambda random: _packed(b"SADD", _key(random, FEW_KEYS), _field(random))),
    "ZADD": Work(
        lambda random: _packed(
            b"ZADD", _key(random, FEW_KEYS), b"%d" % random.randrange(FEW_KEYS), _field(random)
        )
    ),
    "EVAL": Work(lambda random: _packed(b"EVAL", SCRIPT, b"1", _key(random), b"100")),
    "MULTI": Work(_transaction, 3, 8),
}
"""By names that a command line takes."""


class Clock:
    """The clocks of this process."""

    now = 1000.0

    def read(self) -> float:
        """As `time.monotonic`."""
        return self.now

    def read_wall(self) -> float:
        """As `time.time`: a clock that jumps beside the other one is not trusted with deadlines."""
        return BEGIN_S + self.now


class Client:
    """Sends a block of requests when the last one is answered; while it `is_patient`, also when refused."""

    def __init__(
        self, port: int, pipeline: int, random: Random, work: Work, is_patient: bool = False
    ) -> None:
        self.done = 0
        self._is_patient = is_patient
        requests = max(1, pipeline // work.commands)
        self._commands = requests * work.commands
        self._lines = requests * work.lines
        self._missing = 0
        self._turn = 0
        self._blocks = [b"".join(work.make(random) for _ in range(requests)) for _ in range(BLOCKS)]
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send()

    def _send(self) -> None:
        self._missing = self._lines
        self._turn += 1
        self.socket.sendall(self._blocks[self._turn % BLOCKS])

    def receive(self) -> None:
        """There is something to receive.  Raises RuntimeError when it is an error."""
        data = self.socket.recv(1 << 18)
        if self._is_patient and data.startswith(b"-CLUSTERDOWN"):
            self._send()
            return
        if not data or b"-" in data:
            raise RuntimeError(f"an answer is {data[:200]!r}")
        self._missing -= data.count(b"\n")
        if not self._missing:
            self.done += self._commands
            self._send()


def _start(folder: Path, engine: str, port: int) -> Any:
    """Start the replicas; the reactor, which has not to be run."""
    from twisted.internet import reactor

    from epaxos.config.example import example
    from epaxos.service import assembly
    from epaxos.service.configuration import load_and_check
    from epaxos.service.timeouts import use_steady_clock

    assembly.Random = lambda: Random(1)  # type: ignore[attr-defined, assignment, misc]
    config = folder / "cluster.ini"
    storage = "\n[storage]\nengine = memory\n" if engine == "memory" else ""
    config.write_text(example(N, port, data=str(folder / "data")) + storage)
    use_steady_clock(reactor)
    loaded = load_and_check(str(config))
    for id in range(N):
        assembly.build(loaded, id, reactor, refuse=_fail, fail=_fail, descriptors=10_000).startService()
    loop: Any = reactor
    loop.startRunning(installSignalHandlers=False)
    return loop


def _fail(*why: object) -> Exception:
    raise RuntimeError(f"a replica has failed: {why}")


def _turn_until(loop: Any, clock: Clock, is_so: Callable[[], bool], receive: Callable[[], None]) -> None:
    left = TURNS_MAX
    while not is_so():
        left -= 1
        if not left:
            raise RuntimeError("the replicas do not answer")
        clock.now += STEP_S
        loop.runUntilCurrent()
        loop.doIteration(0.0)
        receive()


def main(engine: str, connections: int, pipeline: int, commands: int, port: int, work: str = "SET") -> int:
    """Commands that were answered, by all replicas together."""
    clock = Clock()
    time.monotonic, time.time = clock.read, clock.read_wall  # before anything of epaxos is imported
    with tempfile.TemporaryDirectory() as folder:
        loop = _start(Path(folder), engine, port)
        ready = time.perf_counter() + 60
        _turn_until(loop, clock, lambda: _is_open(port, ready), lambda: None)
        clients = Clients(port, 1, 1, WORKS["SET"], is_patient=True)
        _turn_until(loop, clock, clients.are_served, lambda: clients.receive(0.001))
        clients = Clients(port, connections, pipeline, WORKS[work])
        for wanted in range(0, commands, COMMANDS_AT_ONCE):
            clients.wanted = min(commands, wanted + COMMANDS_AT_ONCE)
            _turn_until(loop, clock, clients.are_satisfied, clients.receive)
        return clients.done


class Clients:
    """`connections` to each replica."""

    def __init__(
        self, port: int, connections: int, pipeline: int, work: Work, is_patient: bool = False
    ) -> None:
        random = Random(7)
        self.wanted = 0
        self._poll = select.epoll()
        self._clients: dict[int, Client] = {}
        for number in range(N * connections):
            client = Client(port + 100 + number % N, pipeline, random, work, is_patient)
            self._clients[client.socket.fileno()] = client
            self._poll.register(client.socket, select.EPOLLIN)

    @property
    def done(self) -> int:
        """Commands that are answered."""
        return sum(client.done for client in self._clients.values())

    def are_served(self) -> bool:
        """Whether each has an answer."""
        return all(client.done for client in self._clients.values())

    def are_satisfied(self) -> bool:
        """Whether `wanted` commands are answered."""
        return self.done >= self.wanted

    def receive(self, timeout_s: float = 0.0) -> None:
        """Let those receive that have something to receive."""
        for descriptor, _ in self._poll.poll(timeout_s):
            self._clients[descriptor].receive()


def _is_open(port: int, deadline: float) -> bool:
    """Whether all ports of clients are open.  Links are made by the real time, which the turns pass."""
    if time.perf_counter() > deadline:
        raise RuntimeError("the replicas do not listen")
    for id in range(N):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port + 100 + id)):
                time.sleep(0.001)
                return False
    return True


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:6]]
    print(main(sys.argv[1], *numbers, *sys.argv[6:7]), flush=True)  # type: ignore[arg-type]
    os._exit(0)  # nothing has to be stopped
