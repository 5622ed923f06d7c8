"""The clients of a run: what they ask for, whom, and what they do when no answer comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from epaxos.interfaces import IClients, Outcome, Reply, Unavailable
from epaxos.verify.judges.history import History, NamedCommand, Operation
from epaxos.verify.simulation.clock import Event, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload
from epaxos.verify.trace import Trace

__all__ = ["Client", "Servers", "commands_of"]

Words = tuple[bytes, ...]
_RETRY_US = 20_000
_RETRIES = 0.3
_LAST_OPERATIONS = 2


class Servers(Protocol):
    """The replicas, as clients see them."""

    @property
    def n(self) -> int: ...

    def connect(self, replica: int, call: Callable[[IClients], None], lost: Callable[[], None]) -> bool:
        """Call with the replica's service, when it has time; False when nobody listens there.

        `lost` is called when the replica goes down."""


def _key(dice: Dice, workload: Workload) -> bytes:
    """The hot key half of the time."""
    return b"k%d" % (0 if dice.chance(0.4) else dice.below(workload.keys))


def _write(dice: Dice, workload: Workload, value: bytes) -> Words:
    return (dice.pick((b"SET", b"SET", b"GETSET")), _key(dice, workload), value)


def _read(dice: Dice, workload: Workload, value: bytes) -> Words:
    """Some of them are read without an instance, and some are not."""
    return (dice.pick((b"GET", b"GET", b"STRLEN", b"EXISTS", b"EXISTS", b"MGET")), _key(dice, workload))


def _count(dice: Dice, workload: Workload, value: bytes) -> Words:
    key = b"c%d" % dice.below(2)
    return (b"INCR", key) if dice.chance(0.7) else (b"INCRBY", key, b"%d" % dice.between(-3, 9))


def _append(dice: Dice, workload: Workload, value: bytes) -> Words:
    return (b"APPEND", b"a%d" % dice.below(2), value + b";")


def _many(dice: Dice, workload: Workload, value: bytes) -> Words:
    keys = sorted({_key(dice, workload), _key(dice, workload)})
    if dice.chance(0.5):
        return (b"MGET", *keys)
    pairs = [part for i, key in enumerate(keys) for part in (key, value + b".%d" % i)]
    return (b"MSETNX" if dice.chance(0.2) else b"MSET", *pairs)


def _delete(dice: Dice, workload: Workload, value: bytes) -> Words:
    return (dice.pick((b"DEL", b"GETDEL")), _key(dice, workload))


def _condition(dice: Dice, workload: Workload, value: bytes) -> Words:
    if dice.chance(0.5):
        return (b"SETNX", _key(dice, workload), value)
    return (b"SET", _key(dice, workload), value, dice.pick((b"NX", b"XX")))


def _barrier(dice: Dice, workload: Workload, value: bytes) -> Words:
    return (b"FLUSHDB",) if dice.chance(0.2) else (b"DBSIZE",)


_KINDS: dict[str, Callable[[Dice, Workload, bytes], Words]] = {
    "write": _write,
    "read": _read,
    "count": _count,
    "append": _append,
    "many": _many,
    "delete": _delete,
    "condition": _condition,
    "barrier": _barrier,
}


def commands_of(dice: Dice, workload: Workload, name: str) -> list[Words]:
    """What a client submits next; the values in it are found nowhere else."""
    count = dice.between(2, 4) if dice.below(100) < workload.pipelined else 1
    return [
        _KINDS[dice.pick_weighted(workload.weights)](dice, workload, f"{name}{'abcd'[i]}".encode())
        for i in range(count)
    ]


class Client:
    """One client: one thing after the other, and elsewhere, sometimes the same again, when that fails.

    `violated(text)` is told what no replica may do to a client.  With a `script` it submits just that,
    when told to, until it is answered.  `commands_of` says what it submits otherwise.
    """

    def __init__(
        self,
        number: int,
        workload: Workload,
        seed: int,
        time: VirtualTime,
        servers: Servers,
        history: History,
        trace: Trace,
        violated: Callable[[str], None],
        script: Sequence[Words] = (),
        commands_of: Callable[[Dice, Workload, str], list[Words]] = commands_of,
    ) -> None:
        self._number = number
        self._workload = workload
        self._dice = Dice(seed, "client", number)
        self._time = time
        self._servers = servers
        self._history = history
        self._trace = trace
        self._violated = violated
        self._home = (workload.home + number) % servers.n
        self._begin = 0
        if number < len(workload.errands):
            self._begin, self._home = workload.errands[number]
        self._script = script
        self._commands_of = commands_of
        self._left = 0 if script else workload.operations
        self._count = 0
        self._waiting: list[Operation] = []
        self._patience: Event | None = None
        self._plan_next()

    @property
    def finished(self) -> bool:
        """Whether it has nothing more to do."""
        return self._left <= 0 and not self._waiting

    @property
    def waiting(self) -> Sequence[Operation]:
        """What it waits for."""
        return self._waiting

    def come_to_an_end(self) -> None:
        """The faults are over: only little more is to be done."""
        self._left = min(self._left, _LAST_OPERATIONS)

    def _plan_next(self) -> None:
        """The next thing soon, or when all begin again."""
        if self._left <= 0:
            return
        zealous = self._dice.below(100) < self._workload.zeal
        begin = max(self._time.now, self._begin)
        if not self._workload.errands and (not zealous or self._count == 0):
            begin = next((moment for moment in self._workload.moments if moment > begin), begin)
        self._time.at(begin + self._dice.below(self._workload.think_us + 1), self._next)

    def _next(self) -> None:
        """Submit something new."""
        self._left -= 1
        self._count += 1
        words = self._commands_of(self._dice, self._workload, f"c{self._number}.{self._count}")
        leaves = self._dice.below(100) < self._workload.leaving
        self.submit(words, self._home)
        if leaves and self._waiting:
            self._trace.note(f"client {self._number}", "leaves")
            self._end([])

    def submit(self, words: Sequence[Words], replica: int) -> None:
        """Submit commands to the first replica from `replica` on that listens."""
        for step in range(self._servers.n):
            self._home = (replica + step) % self._servers.n
            operations: list[Operation] = []
            if self._servers.connect(
                self._home, partial(self._hand_in, operations), partial(self._lost, operations)
            ):
                break
        else:
            self._time.after(_RETRY_US, partial(self.submit, words, replica))
            return
        for i, command in enumerate(words):
            name = f"c{self._number}.{self._count}{'abcdefghijklmnopqrstuvwxyz'[i % 26]}"
            operations.append(self._history.call(name, command, self._time.now, self._home))
            self._trace.note(f"client {self._number}", f"asks {operations[-1]}")
        self._waiting = operations
        self._patience = self._time.after(self._workload.patience_us, partial(self._lost, operations))

    def _hand_in(self, operations: list[Operation], clients: IClients) -> None:
        """The commands have reached the replica."""
        commands: list[NamedCommand] = [operation.command for operation in operations]
        for command in commands:
            clients.check(command)
        handed_in = False
        answered = False

        def done(outcome: Outcome) -> None:
            nonlocal answered
            if not handed_in:
                self._violated(f"{operations[0]} was answered before submit returned")
            if answered:
                self._violated(f"{operations[0]} was answered twice")
            answered = True
            self._on_done(operations, outcome)

        clients.submit(commands, done, sum(len(word) for command in commands for word in command))
        handed_in = True

    def _on_done(self, operations: list[Operation], outcome: Outcome) -> None:
        if operations is not self._waiting:
            return  # given up before
        if isinstance(outcome, Unavailable):
            self._give_up(operations, outcome.may_have_run)
            return
        if len(outcome) != len(operations):
            self._violated(f"{len(outcome)} replies for {len(operations)} commands: {operations[0]}")
        self._end(outcome)

    def _lost(self, operations: list[Operation]) -> None:
        """The replica went down, or patience has ended."""
        if operations and operations is self._waiting:
            self._give_up(operations, may_have_run=True)

    def _give_up(self, operations: list[Operation], may_have_run: bool) -> None:
        for operation in operations:
            self._history.give_up(operation, may_have_run)
            self._trace.note(f"client {self._number}", f"gives up {operation}")
        self._home = (self._home + 1) % self._servers.n
        words = self._script or [tuple(operation.command) for operation in operations]
        self._waiting = []
        self._stop_waiting()
        if self._script:
            self._count += 1
            self._time.after(_RETRY_US, partial(self.submit, words, self._home))
        elif self._left > 0 and self._dice.chance(_RETRIES):
            self._left -= 1
            self._count += 1
            self.submit(words, self._home)
        else:
            self._plan_next()

    def _end(self, replies: Sequence[Reply]) -> None:
        """The replies are there; none, when the client leaves."""
        operations = self._waiting
        if not replies:
            for operation in operations:
                self._history.give_up(operation, may_have_run=True)
        for operation, reply in zip(operations, replies):
            self._history.answer(operation, reply)
            self._trace.note(f"client {self._number}", f"has {operation}")
        self._waiting = []
        self._stop_waiting()
        self._plan_next()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
