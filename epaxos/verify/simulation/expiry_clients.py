"""Clients of keys with deadlines: they set them with SET PX, change them, and look whether they are still
there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from epaxos.interfaces import CommandError, IClients, Outcome, Unavailable
from epaxos.verify.judges.expiry import ExpiryJudge
from epaxos.verify.judges.history import Operation
from epaxos.verify.simulation.asking import RETRY_US, Asking, Servers, Words
from epaxos.verify.simulation.clock import Event, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload
from epaxos.verify.trace import Trace

__all__ = ["ExpiryClient"]

_KEYS = 1
_OPERATIONS = 30
_LAST_OPERATIONS = 2
_NEAR_THE_END = 0.5
"""How often a client waits until about the newest deadline."""
_TOGETHER_US = (1000, 20_000, 200_000)
"""Clients that wait for the same moment come within one of these times: about that of a round trip, so that
one writes a key while another one has it removed."""
_LOOKS_AGAIN = 0.6
"""How often a client that finds nothing looks at once at another replica, too."""
_LONELY = 0.1
"""How often it sets a key that nobody touches any more."""
_STAYS = 0.5
"""How often a client goes on at the same replica."""


class ExpiryClient:
    """One client.  It sends one command after the other, each once, to any replica.

    `lives_ms`: how long keys live.  `is_trusted(replica)`: whether that replica has a clock to be trusted.
    """

    def __init__(
        self,
        number: int,
        workload: Workload,
        seed: int,
        time: VirtualTime,
        servers: Servers,
        judge: ExpiryJudge,
        trace: Trace,
        violated: Callable[[str], None],
        is_trusted: Callable[[int], bool],
    ) -> None:
        self._number = number
        self._workload = workload
        self._dice = Dice(seed, "expiry client", number)
        self._time = time
        self._servers = servers
        self._judge = judge
        self._trace = trace
        self._violated = violated
        self._is_trusted = is_trusted
        self._home = number % servers.n
        self._left = _OPERATIONS
        self._count = 0
        self._waiting: Operation | None = None
        self._asking: Asking | None = None
        self._planned: Event | None = None
        self._ends = False
        self.lonely: list[bytes] = []
        """Keys with a deadline that nobody touches after they were set."""
        self._soon()

    @property
    def finished(self) -> bool:
        """Whether all its commands have ended."""
        return self._left <= 0 and self._waiting is None

    def come_to_an_end(self) -> None:
        """The faults are over: at most two more commands, and those soon."""
        self._left = min(self._left, _LAST_OPERATIONS)
        self._ends = True
        if self._planned is not None:
            self._planned.cancel()
            self._soon()

    def __str__(self) -> str:
        return f"the client {self._number} of deadlines waits for {self._waiting}"

    def _soon(self) -> None:
        """Go on after a part of the time that keys live, or when the newest deadline comes."""
        if self._left <= 0:
            return
        dice, now, end = self._dice, self._time.now, self._judge.end_us
        if not self._ends and end > now and dice.chance(_NEAR_THE_END):
            error = self._judge.error_us
            begin = max(now, end + dice.pick((-error // 4, error // 4, error, error * 5 // 4, 2 * error)))
            begin += dice.below(dice.pick(_TOGETHER_US))
        elif self._ends:
            begin = now
        else:
            begin = now + dice.below(self._workload.lives_ms[0] * 250 + 1)
        self._planned = self._time.at(begin, self._next)

    def _command(self) -> Words:
        dice = self._dice
        key = b"e%d" % dice.below(_KEYS)
        life = b"%d" % dice.pick(self._workload.lives_ms)
        if dice.chance(_LONELY):
            self.lonely.append(b"z%d.%d" % (self._number, self._count))
            return (b"SET", self.lonely[-1], b"v", b"PX", life)
        kind = dice.pick_weighted((("set", 8), ("get", 16), ("expire", 3), ("persist", 5), ("delete", 1)))
        if kind == "set":
            value = b"v%d.%d" % (self._number, self._count)
            return (b"SET", key, value, b"PX", life) if dice.chance(0.8) else (b"SET", key, value)
        if kind == "expire":
            return (b"PEXPIRE", key, life)
        return ({"get": b"GET", "persist": b"PERSIST", "delete": b"DEL"}[kind], key)

    def _next(self) -> None:
        self._planned = None
        if not self._dice.chance(_STAYS):
            self._home = self._dice.below(self._servers.n)
        self._left -= 1
        self._count += 1
        self._send(self._command())

    def _send(self, words: Words) -> None:
        asked: list[Operation] = []
        asking = Asking(self._time, self._workload.patience_us, partial(self._lost, asked))
        replica = asking.begin(self._servers, self._home, partial(self._hand_in, asked))
        if replica is None:
            self._time.after(RETRY_US, partial(self._send, words))
            return
        self._asking = asking
        self._home = replica
        name = f"e{self._number}.{self._count}"
        trusted = self._is_trusted(replica)
        self._waiting = self._judge.call(name, words, self._time.now, replica, trusted)
        asked.append(self._waiting)
        self._trace.note(f"client {self._number} of deadlines", f"asks {self._waiting}")

    def _hand_in(self, asked: list[Operation], clients: IClients) -> None:
        (operation,) = asked
        words = tuple(operation.command)
        try:
            clients.check(words)
        except CommandError as error:
            self._on_done(operation, [error])
            return
        clients.submit([words], partial(self._on_done, operation), sum(map(len, words)))

    def _on_done(self, operation: Operation, outcome: Outcome) -> None:
        if operation is not self._waiting:
            return
        now = self._time.now
        if isinstance(outcome, Unavailable):
            self._judge.give_up(operation, outcome.may_have_run, now)
        elif isinstance(outcome[0], CommandError):
            refused = str(outcome[0]).startswith("CLOCKSKEW")
            if not refused:
                self._violated(f"Expiry: {operation} is answered with {outcome[0]}")
            self._judge.give_up(operation, False, now)
        else:
            self._judge.answer(operation, outcome[0], now, self._is_trusted(operation.replica))
            if operation.command[0] == b"GET" and outcome[0] is None and self._dice.chance(_LOOKS_AGAIN):
                self._look_again(operation)
                return
        self._end(operation)

    def _look_again(self, operation: Operation) -> None:
        self._stop_waiting(operation)
        self._home = (
            operation.replica + self._dice.between(1, max(1, self._servers.n - 1))
        ) % self._servers.n
        self._count += 1
        self._send((b"GET", operation.command[1]))

    def _lost(self, asked: list[Operation]) -> None:
        self._judge.give_up(asked[0], True, self._time.now)
        self._home = (self._home + 1) % self._servers.n
        self._end(asked[0])

    def _stop_waiting(self, operation: Operation) -> None:
        self._trace.note(f"client {self._number} of deadlines", f"has {operation}")
        self._waiting = None
        if self._asking is not None:
            self._asking.end()

    def _end(self, operation: Operation) -> None:
        self._stop_waiting(operation)
        self._soon()
