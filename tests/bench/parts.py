"""The parts of a replica alone, in one process: cost of an instance and of a command.

Times are those of this process (`process_time`), so a busy machine disturbs them little.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from random import Random
from statistics import median
from time import process_time

from epaxos.interfaces import Ready
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch, Message, PreAccept
from epaxos.protocol.values.timing import Timing
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.wire.codec import decode_frame, encode
from tests.bench.load import KEYS, VALUE_BYTES
from tests.bench.results import Result, Table
from tests.bench.session import Session

__all__ = ["Cores", "micro", "set_commands"]

BATCHES = (1, 10, 100, 1000)
FORGET_EVERY = 64


def set_commands(count: int, random: Random) -> list[list[bytes]]:
    """SETs of random keys."""
    value = b"v" * VALUE_BYTES
    return [[b"SET", b"key:%012d" % random.randrange(KEYS), value] for _ in range(count)]


class Cores:
    """n bare cores that pass messages; what they write is durable at once."""

    def __init__(self, n: int) -> None:
        self.replicas = [Replica(id, Epoch.first(n), timing=Timing(), random=Random(id)) for id in range(n)]
        self.decided = [0] * n
        self._now = 0.0
        self.tick()

    def tick(self) -> None:
        """Let a little time pass, everything executed meanwhile, and the executed be forgotten."""
        self._now += 1.0
        for replica in self.replicas:
            replica.on_executed(tuple(replica.table.committed))
            replica.tick(self._now)
        self.settle()

    def settle(self) -> None:
        """Pass on what there is until there is nothing more."""
        busy = True
        while busy:
            busy = False
            for id, replica in enumerate(self.replicas):
                while output := replica.take_output():
                    busy = True
                    self.decided[id] += len(output.decided) + len(output.decided_durably)
                    self._pass_on(id, output.messages)
                    self._pass_on(id, output.promises)
                    replica.on_durable(output)

    def _pass_on(self, sender: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        for receiver, message in outgoing:
            self.replicas[receiver].receive(sender, message)


def _core(size: int, instances: int) -> float:
    """Seconds of one instance that three cores agree on; every replica proposes."""
    cores = Cores(3)
    machine = KeyValueStore()
    random = Random(1)
    batches = [machine.batch(set_commands(size, random)) for _ in range(instances)]
    gc.collect()
    begin = process_time()
    for number, batch in enumerate(batches):
        cores.replicas[number % 3].propose(batch)
        cores.settle()
        if number % FORGET_EVERY == 0:
            cores.tick()
    spent = process_time() - begin
    assert cores.decided == [instances] * 3, cores.decided
    return spent / instances


def _timed(call: Callable[[], object], seconds: float) -> float:
    """Seconds of one call: the median of a few measurements."""
    times = 1
    while True:
        found = []
        for _ in range(5):
            begin = process_time()
            for _ in range(times):
                call()
            found.append((process_time() - begin) / times)
        if sum(found) * times >= seconds:
            return median(found)
        times *= 2


def _micro_lines(session: Session, size: int) -> list[tuple[str, float]]:
    random = Random(size)
    seconds = 0.1 if session.quick else 0.5
    machine = KeyValueStore()
    commands = set_commands(size, random)
    batch: Batch = machine.batch(commands)
    message = PreAccept(InstanceId(0, 1), batch, (0, 0, 0))
    frame = encode(message)
    ready = [Ready(InstanceId(0, 1), batch, True)]
    instances = max(300, (6_000 if session.quick else 30_000) // max(1, size // 10))
    return [
        ("core: one instance through three cores", _core(size, instances)),
        ("codec: encode PreAccept", _timed(lambda: encode(message), seconds)),
        ("codec: decode PreAccept", _timed(lambda: decode_frame(frame, Epoch.first(3)), seconds)),
        ("key-value store: batch of commands to columns", _timed(lambda: machine.batch(commands), seconds)),
        ("key-value store: apply a batch", _timed(lambda: machine.apply(ready), seconds)),
    ]


def micro(session: Session, available: dict[str, str]) -> Result:
    """Core, codec and state machine at several batch sizes."""
    result = Result("The parts alone")
    costs: dict[str, dict[int, float]] = {}
    for size in BATCHES:
        session.say(f"core, codec and state machine, {size} commands a batch")
        for name, cost in _micro_lines(session, size):
            costs.setdefault(name, {})[size] = cost
    core = costs["core: one instance through three cores"]
    result.tables += [
        Table(
            "Three cores in one process, durable at once (the work of all three, one processor)",
            ["commands a batch", "instances/s", "commands/s", "us an instance", "us a command"],
            [
                [str(size), f"{1 / cost:,.0f}", f"{size / cost:,.0f}", f"{cost * 1e6:.1f}", _us(cost / size)]
                for size, cost in core.items()
            ],
        ),
        Table(
            "Microseconds a command, by commands a batch",
            ["", *map(str, BATCHES)],
            [[name, *(_us(cost / size) for size, cost in of.items())] for name, of in costs.items()],
        ),
    ]
    result.settings.append("SETs of random keys, 16-byte values.")
    return result


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.3f}"
