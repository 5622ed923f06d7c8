"""The clients of a run: which commands they submit, to which replica, and what they do without an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from epaxos.interfaces import IClients, Outcome, Reply, Unavailable
from epaxos.verify.judges.history import History, NamedCommand, Operation
from epaxos.verify.simulation.asking import RETRY_US, Servers, Words, connect_first
from epaxos.verify.simulation.clock import Event, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload
from epaxos.verify.trace import Trace

__all__ = ["Client", "commands_of"]

_RETRIES = 0.3
_LAST_OPERATIONS = 2


def _key(dice: Dice, workload: Workload) -> bytes:
    """The hot key in 40 percent of all cases, otherwise any key."""
    return b"k%d" % (0 if dice.chance(0.4) else dice.below(workload.keys))


def _write(dice: Dice, workload: Workload, value: bytes) -> Words:
    return (dice.pick((b"SET", b"SET", b"GETSET")), _key(dice, workload), value)


def _read(dice: Dice, workload: Workload, value: bytes) -> Words:
    """A read: commands of one key are read without an instance, MGET with one."""
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
    """The commands that a client submits next.  No other command of the run writes the same values."""
    count = dice.between(2, 4) if dice.below(100) < workload.pipelined else 1
    return [
        _KINDS[dice.pick_weighted(workload.weights)](dice, workload, f"{name}{'abcd'[i]}".encode())
        for i in range(count)
    ]


class Client:
    """One client.  It submits one set of commands after the other; after a failure it goes to the next
    replica, sometimes with the same commands.

    `violated(text)` is called when a replica breaks the contract of IClients.  With a `script` the client
    submits only that, when told to, until it is answered; otherwise `commands_of` makes its commands.
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
        self._script_left = bool(script)
        self._commands_of = commands_of
        self._left = 0 if script else workload.operations
        self._count = 0
        self._waiting: list[Operation] = []
        self._patience: Event | None = None
        self._plan_next()

    @property
    def finished(self) -> bool:
        """Whether all its commands have ended."""
        return self._left <= 0 and not self._waiting and not self._script_left

    @property
    def waiting(self) -> Sequence[Operation]:
        """The operations whose answers it waits for."""
        return self._waiting

    def come_to_an_end(self) -> None:
        """The faults are over: submit at most two more sets of commands."""
        self._left = min(self._left, _LAST_OPERATIONS)

    def _plan_next(self) -> None:
        """Submit the next commands soon, or at the next of the moments that all clients share."""
        if self._left <= 0:
            return
        zealous = self._dice.below(100) < self._workload.zeal
        begin = max(self._time.now, self._begin)
        if not self._workload.errands and (not zealous or self._count == 0):
            begin = next((moment for moment in self._workload.moments if moment > begin), begin)
        self._time.at(begin + self._dice.below(self._workload.think_us + 1), self._next)

    def _next(self) -> None:
        """Submit new commands."""
        self._left -= 1
        self._count += 1
        words = self._commands_of(self._dice, self._workload, f"c{self._number}.{self._count}")
        leaves = self._dice.below(100) < self._workload.leaving
        self.submit(words, self._home)
        if leaves and self._waiting:
            self._trace.note(f"client {self._number}", "leaves")
            self._end([])

    def submit(self, words: Sequence[Words], replica: int) -> None:
        """Submit commands to the first replica that is up, from `replica` on."""
        operations: list[Operation] = []
        hand_in, lost = partial(self._hand_in, operations), partial(self._lost, operations)
        found = connect_first(self._servers, replica, hand_in, lost)
        if found is None:
            self._time.after(RETRY_US, partial(self.submit, words, replica))
            return
        self._home = found
        for i, command in enumerate(words):
            name = f"c{self._number}.{self._count}{'abcdefghijklmnopqrstuvwxyz'[i % 26]}"
            operations.append(self._history.call(name, command, self._time.now, self._home))
            self._trace.note(f"client {self._number}", f"asks {operations[-1]}")
        self._waiting = operations
        self._patience = self._time.after(self._workload.patience_us, lost)

    def _hand_in(self, operations: list[Operation], clients: IClients) -> None:
        """The commands reach the replica."""
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
            return  # the client gave them up before
        if isinstance(outcome, Unavailable):
            self._give_up(operations, outcome.may_have_run)
            return
        if len(outcome) != len(operations):
            self._violated(f"{len(outcome)} replies for {len(operations)} commands: {operations[0]}")
        self._end(outcome)

    def _lost(self, operations: list[Operation]) -> None:
        """The process ended, or the client has waited for too long."""
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
            self._time.after(RETRY_US, partial(self.submit, words, self._home))
        elif self._left > 0 and self._dice.chance(_RETRIES):
            self._left -= 1
            self._count += 1
            self.submit(words, self._home)
        else:
            self._plan_next()

    def _end(self, replies: Sequence[Reply]) -> None:
        """The client has the replies; empty: it leaves without them."""
        operations = self._waiting
        self._script_left = False
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
