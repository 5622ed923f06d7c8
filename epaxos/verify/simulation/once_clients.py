"""Clients that number their commands, and send each again, at one replica after the other, until it is
answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from epaxos.interfaces import CommandError, IClients, Outcome, Reply, Unavailable
from epaxos.verify.judges.once import OnceJudge
from epaxos.verify.simulation.asking import RETRY_US, Servers, Words
from epaxos.verify.simulation.clock import Event, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload
from epaxos.verify.trace import Trace

__all__ = ["OnceClient"]

_TWO_REPLICAS = 0.3
"""How often commands go to two replicas at a time."""
_ACKNOWLEDGES = 0.6
"""How often a client acknowledges what it has."""
_ASKS_AGAIN = 0.4
"""How often it asks for a reply once more that it has and has not acknowledged."""
_LATE = 0.4
"""How often the network brings commands once more behind their acknowledgement."""
_LAST_OPERATIONS = 2
_KEYS = (b"o0", b"o1")
"""Nobody else touches them."""


class OnceClient:
    """One client.  It begins a session, counts keys up under numbers, ends the session, and is refused then.

    `violated(text)` is called when a reply is wrong in itself; `judge` hears of all others.
    """

    def __init__(
        self,
        number: int,
        workload: Workload,
        seed: int,
        time: VirtualTime,
        servers: Servers,
        judge: OnceJudge,
        trace: Trace,
        violated: Callable[[str], None],
    ) -> None:
        self._number = number
        self._workload = workload
        self._dice = Dice(seed, "once client", number)
        self._time = time
        self._servers = servers
        self._judge = judge
        self._trace = trace
        self._violated = violated
        self._home = number % servers.n
        self._left = workload.operations
        self._session = b""
        self._last = self._acked = 0
        self._keys: dict[int, bytes] = {}
        self._words: Sequence[Words] = ()
        self._sent: Sequence[Words] = ()
        self._then: Callable[[Sequence[Reply]], None] = self._begun
        self._patience: Event | None = None
        self.finished = False
        self.begun = 0
        """The sessions that it may have begun."""
        self._soon(partial(self._ask, [(b"EPAXOS", b"SESSION")], self._begun))

    def come_to_an_end(self) -> None:
        """The faults are over: at most two more sets of commands."""
        self._left = min(self._left, _LAST_OPERATIONS)

    def __str__(self) -> str:
        return (
            f"the numbering client {self._number} asks {[b' '.join(words).decode() for words in self._words]}"
        )

    # -- asking, until there is an answer

    def _soon(self, call: Callable[[], None]) -> None:
        """Call at one of the moments that all clients share, or just now."""
        begin = self._time.now
        if self._dice.below(100) >= self._workload.zeal:
            begin = next((moment for moment in self._workload.moments if moment > begin), begin)
        self._time.at(begin + self._dice.below(self._workload.think_us + 1), call)

    def _ask(self, words: Sequence[Words], then: Callable[[Sequence[Reply]], None]) -> None:
        self._words, self._then = words, then
        self._send()

    def _send(self) -> None:
        """Send the commands to the next replica that is up, sometimes to another one, too."""
        words, n = self._words, self._servers.n
        self._trace.note(f"client {self._number} with numbers", str(self))
        wanted = 2 if self._dice.chance(_TWO_REPLICAS) else 1
        for step in range(n):
            replica = (self._home + step) % n
            if self._servers.connect(replica, partial(self._hand_in, words), partial(self._lost, words)):
                wanted -= 1
                if not wanted:
                    break
        self._patience = self._time.after(self._workload.patience_us, partial(self._lost, words))

    def _hand_in(self, words: Sequence[Words], clients: IClients) -> None:
        self.begun += (b"EPAXOS", b"SESSION") in words
        for command in words:
            clients.check(command)
        done = partial(self._on_done, words)
        clients.submit(words, done, sum(len(word) for command in words for word in command))

    def _on_done(self, words: Sequence[Words], outcome: Outcome) -> None:
        if isinstance(outcome, Unavailable):
            self._lost(words)
            return
        is_current = words is self._words
        for command, reply in zip(words, outcome):
            if command[1] == b"ONCE" and int(command[3]) in self._keys:
                self._judge.answer(self._number, int(command[3]), reply, is_late=not is_current)
        if is_current:
            self._words = ()
            self._stop_waiting()
            self._sent = words
            self._then(outcome)

    def _lost(self, words: Sequence[Words]) -> None:
        """A replica did not answer these commands: ask another one."""
        if words is self._words and words:
            self._stop_waiting()
            self._words = [*words]  # answers to the attempt before are late
            self._home = (self._home + 1) % self._servers.n
            self._time.after(RETRY_US, partial(self._send_again, self._words))

    def _send_again(self, words: Sequence[Words]) -> None:
        if words is self._words:
            self._send()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()

    # -- a session from its beginning to its end

    def _begun(self, replies: Sequence[Reply]) -> None:
        (id,) = replies
        if not isinstance(id, bytes) or len(id) != 32:
            self._violated(f"Once: the beginning of a session is answered with {id!r}")
            return
        self._session = id
        self._soon(self._next)

    def _next(self) -> None:
        """Ask for new numbers, and perhaps for an old one."""
        if self._left <= 0:
            self._ask([(b"EPAXOS", b"SESSION", b"END", self._session)], self._ended)
            return
        self._left -= 1
        numbers = list(range(self._last + 1, self._last + 1 + self._dice.between(1, 3)))
        for number in numbers:
            self._keys[number] = self._dice.pick(_KEYS)
            self._judge.ask(self._number, number, self._keys[number])
        if self._last > self._acked and self._dice.chance(_ASKS_AGAIN):
            numbers.insert(0, self._dice.between(self._acked + 1, self._last))
        self._last = numbers[-1]
        self._ask([self._numbered(number) for number in numbers], self._answered)

    def _numbered(self, number: int) -> Words:
        key = self._keys[number]
        return b"EPAXOS", b"ONCE", self._session, b"%d" % number, b"%d" % self._acked, b"INCR", key

    def _answered(self, replies: Sequence[Reply]) -> None:
        if self._dice.chance(_ACKNOWLEDGES):
            self._acked = self._last
        if self._dice.chance(_LATE):
            delay = self._dice.below(self._workload.patience_us)
            replica = self._dice.below(self._servers.n)
            self._time.after(delay, partial(self._send_late, [*self._sent], replica))
        self._soon(self._next)

    def _send_late(self, words: Sequence[Words], replica: int) -> None:
        self._servers.connect(replica, partial(self._hand_in, words), _ignore)

    def _ended(self, replies: Sequence[Reply]) -> None:
        """The session has ended: a number of it runs nothing any more."""
        number = self._last + 1
        words = (b"EPAXOS", b"ONCE", self._session, b"%d" % number, b"0", b"INCR", _KEYS[0])
        self._ask([words], self._refused)

    def _refused(self, replies: Sequence[Reply]) -> None:
        (reply,) = replies
        if not isinstance(reply, CommandError) or not str(reply).startswith("NOSESSION "):
            self._violated(f"Once: a number of a session that has ended is answered with {reply!r}")
        self.finished = True


def _ignore() -> None:
    """Nobody waits for what comes late."""
