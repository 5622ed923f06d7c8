"""Clients of transactions, marks, hashes and scripts: each has one connection at a time, and uses it as the
frontend does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from epaxos.interfaces import CommandError, IClients, Outcome, Reply, Unavailable
from epaxos.interfaces.composites import (
    LIVES,
    UNWATCH,
    WATCH,
    Owner,
    Place,
    Transaction,
    lives_ended,
    transaction,
    unwatched,
    watched,
)
from epaxos.verify.judges.fences import FenceJudge
from epaxos.verify.judges.history import History, Operation
from epaxos.verify.simulation.asking import RETRY_US, Asking, Servers, Words
from epaxos.verify.simulation.clock import VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload
from epaxos.verify.simulation.transaction_choices import HASHES, STRINGS, Choices
from epaxos.verify.trace import Trace

__all__ = ["Lives", "TransactionClient"]

_OPERATIONS = 14
"""What each client does: one command, or a transaction with all that belongs to it."""
_LOCK = b"lock"
_LOCK_MS = b"1"
_KINDS = (("plain", 8), ("script", 5), ("transaction", 3), ("watch", 8), ("fence", 2))
_LEAVES = 0.3
"""How often a client goes to another replica though nothing is wrong."""
_GIVES_UP = 0.15
"""How often it ends what it has begun to watch, without a transaction."""
_MEDDLES = 0.4
"""How often it changes itself, over another connection, a key that it watches."""
_STAYS = 0.5
"""How often it keeps a connection that has told it that nobody knows whether its commands ran."""
_LAST = 1


class Lives(dict[tuple[int, int], bool]):
    """Of each process of each replica whether it has ended the marks of those before it."""


class _Connection:
    """A connection to one process: its mark, what it watches, and whether a mark may be left from before."""

    def __init__(self, replica: int, life: int, number: str) -> None:
        self.replica = replica
        self.life = life
        self.owner = Owner(replica, b"%d:%b" % (life, number.encode()))
        self.places: list[Place] = []
        self.is_left = False
        self.has_failed = False


class TransactionClient:
    """One client.  `violated(text)` is called when an answer is wrong in itself; the history has all others.

    Whoever gives a command up leaves its connection, or keeps it, as clients do that get CLUSTERDOWN.
    """

    def __init__(
        self,
        number: int,
        workload: Workload,
        seed: int,
        time: VirtualTime,
        servers: Servers,
        history: History,
        fences: FenceJudge,
        lives: Lives,
        trace: Trace,
        violated: Callable[[str], None],
    ) -> None:
        self._number = number
        self._workload = workload
        self._dice = Dice(seed, "transaction client", number)
        self._choices = Choices(self._dice, number)
        self._time = time
        self._servers = servers
        self._history = history
        self._fences = fences
        self._lives = lives
        self._trace = trace
        self._violated = violated
        self._home = number % servers.n
        self._left = _OPERATIONS
        self._count = self._connections = 0
        self._connection: _Connection | None = None
        self._asking: Asking | None = None
        self._planned = False
        self._looks_left = 1
        self._soon()

    @property
    def finished(self) -> bool:
        """Whether all its commands have ended."""
        return self._left <= 0 and not self._looks_left and self._asking is None and not self._planned

    def come_to_an_end(self) -> None:
        """The faults are over: do little more, and look at everything at last."""
        self._left = min(self._left, _LAST)

    def __str__(self) -> str:
        return f"the client {self._number} of transactions has {self._left} left"

    # -- what it does

    def _soon(self) -> None:
        begin = self._time.now
        if self._dice.below(100) >= self._workload.zeal:
            begin = _next_moment(self._workload, self._time.now)
        self._at(begin + self._dice.below(self._workload.think_us + 1), self._next)

    def _at(self, moment: int, call: Callable[[], None]) -> None:
        """Go on at this moment."""

        def go_on() -> None:
            self._planned = False
            call()

        self._planned = True
        self._time.at(moment, go_on)

    def _next(self) -> None:
        if self._left <= 0:
            self._look()
            return
        self._left -= 1
        if self._dice.chance(_LEAVES):
            self._leave()
        kind = self._dice.pick_weighted(_KINDS)
        if kind == "watch":
            self._watch()
        elif kind == "fence":
            self._take_fence()
        elif kind == "transaction":
            self._ask([transaction(Transaction(None, [], self._choices.queue()))], self._soon)
        else:
            self._ask([self._choices.script() if kind == "script" else self._choices.plain()], self._soon)

    def _look(self) -> None:
        """Look at everything, in one transaction."""
        if self._looks_left:
            self._looks_left -= 1
            asked = [(0, (b"GET", key)) for key in STRINGS] + [(0, (b"HGETALL", key)) for key in HASHES]
            self._ask([transaction(Transaction(None, [], asked))], self._soon)

    # -- WATCH, and what follows

    def _watch(self) -> None:
        """Watch keys, perhaps twice, read one, then EXEC or UNWATCH."""
        dice = self._dice
        keys = dice.pick_some((*STRINGS, *HASHES), dice.between(1, 2))
        then: Callable[[], None] = self._read
        if dice.chance(0.3):
            more: list[Place] = [(0, dice.pick((*STRINGS, *HASHES)))]
            then = partial(self._ask_to_watch, more, self._read)
        self._ask_to_watch([(0, key) for key in keys], then)

    def _ask_to_watch(self, places: list[Place], then: Callable[[], None]) -> None:
        connection = self._connected()
        if connection is None:
            self._at(self._time.now + RETRY_US, partial(self._ask_to_watch, places, then))
            return
        new = [place for place in places if place not in connection.places]
        if not new:
            then()
            return
        before: list[Words] = []
        if (connection.replica, connection.life) not in self._lives:
            before.append(tuple(lives_ended(connection.replica, b"%d" % connection.life)))
        if connection.is_left:
            before.append(tuple(unwatched(connection.owner)))
        connection.places += new
        self._ask([*before, watched(connection.owner, new)], partial(self._on_watched, then), watches=True)

    def _on_watched(self, then: Callable[[], None]) -> None:
        connection = self._connection
        if connection is not None:
            connection.is_left = False
            self._lives[connection.replica, connection.life] = True
        then()

    def _read(self) -> None:
        self._ask([(b"GET", self._dice.pick(STRINGS))], self._think)

    def _think(self) -> None:
        """Somebody changes what is watched, at another replica, or has time to do so."""
        connection = self._connection
        if connection is not None and connection.places and self._dice.chance(_MEDDLES):
            self._meddle(self._dice.pick(connection.places)[1])
            return
        begin = _next_moment(self._workload, self._time.now) if self._dice.chance(0.5) else self._time.now
        self._at(begin + self._dice.below(4 * self._workload.think_us + 1), self._decide)

    def _meddle(self, key: bytes) -> None:
        """Change a key over a connection of its own."""
        words = self._choices.change(key)
        asked: list[Operation] = []

        def lost() -> None:
            self._asking = None
            self._give_up(asked, may_have_run=True)
            self._decide()

        asking = Asking(self._time, self._workload.patience_us, lost)

        def done(outcome: Outcome) -> None:
            if asking.is_over:
                return
            asking.end()
            self._asking = None
            if isinstance(outcome, Unavailable):
                self._give_up(asked, outcome.may_have_run)
            else:
                self._take(asked, outcome)
            self._decide()

        replica = asking.begin(
            self._servers,
            self._dice.below(self._servers.n),
            lambda clients: clients.submit([words], done, 100),
        )
        if replica is None:
            self._decide()
        else:
            self._asking = asking
            asked.append(self._call(words, replica))

    def _decide(self) -> None:
        """End the mark, with or without a transaction; unless the connection has ended meanwhile."""
        connection = self._connection
        if connection is None or not (connection.places or connection.has_failed):
            self._soon()
            return
        owner, places = connection.owner, list(connection.places)
        has_failed, connection.has_failed = connection.has_failed, False
        connection.places.clear()
        connection.is_left = True
        if has_failed or self._dice.chance(_GIVES_UP):
            self._ask([unwatched(owner)], self._on_ended)
        else:
            self._ask([transaction(Transaction(owner, places, self._choices.queue()))], self._on_ended)

    def _on_ended(self) -> None:
        if self._connection is not None:
            self._connection.is_left = False
        self._soon()

    # -- SET with FENCE

    def _take_fence(self) -> None:
        """Take a number, or remove the key, which does not let the numbers fall."""
        if self._dice.chance(0.3):
            self._ask([(b"DEL", _LOCK)], self._soon, fence=True)
        else:
            self._ask([(b"SET", _LOCK, b"v", b"PX", _LOCK_MS, b"FENCE")], self._soon, fence=True)

    # -- asking

    def _connected(self) -> _Connection | None:
        """The connection, a new one if there is none; None while all replicas are down."""
        if self._connection is None:
            for step in range(self._servers.n):
                replica = (self._home + step) % self._servers.n
                life = self._servers.life(replica)
                if life:
                    self._connections += 1
                    self._connection = _Connection(replica, life, f"{self._number}.{self._connections}")
                    break
        return self._connection

    def _leave(self) -> None:
        """The connection ends; the frontend ends its mark, and nobody waits for that.

        The history need not know: what may still use the mark is of unknown outcome, so it may never run.
        """
        connection, self._connection = self._connection, None
        self._home = self._dice.below(self._servers.n)
        if connection is None or not (connection.places or connection.is_left):
            return
        if self._servers.life(connection.replica) != connection.life:
            return
        words = tuple(unwatched(connection.owner))
        self._servers.connect(
            connection.replica, lambda clients: clients.submit([words], _ignore, 100), _no_more
        )

    def _call(self, words: Sequence[bytes], replica: int) -> Operation:
        self._count += 1
        return self._history.call(f"x{self._number}.{self._count}", tuple(words), self._time.now, replica)

    def _ask(
        self,
        words: Sequence[Sequence[bytes]],
        then: Callable[[], None],
        watches: bool = False,
        fence: bool = False,
    ) -> None:
        """Ask at the connection; go on with `then` when everything is answered."""
        connection = self._connected()
        if connection is None or self._servers.life(connection.replica) != connection.life:
            self._connection = None
            self._at(self._time.now + RETRY_US, self._soon)
            return
        asked = [] if fence else [self._call(each, connection.replica) for each in words]
        for operation in asked:
            self._trace.note(f"client {self._number} of transactions", f"asks {operation}")
        began_us = self._time.now
        asking = Asking(self._time, self._workload.patience_us, partial(self._lost, asked))

        def done(outcome: Outcome) -> None:
            if asking.is_over:
                return
            asking.end()
            self._asking = None
            if isinstance(outcome, Unavailable):
                self._refused(asked, outcome.may_have_run, watches)
                return
            if fence and words[0][0] == b"SET":
                self._fences.answer(_LOCK, began_us, self._time.now, outcome[0])
            self._take(asked, outcome)
            then()

        def hand_in(clients: IClients) -> None:
            try:
                for each in words:
                    if each[0][:1] != b"\0":
                        clients.check(each)
            except CommandError as error:
                done([error])
                return
            clients.submit(words, done, sum(len(word) for each in words for word in each))

        self._asking = asking
        if asking.begin(self._servers, connection.replica, hand_in) != connection.replica:
            self._violated("a replica that has a life is not up")

    def _take(self, asked: Sequence[Operation], replies: Sequence[Reply]) -> None:
        for operation, reply in zip(asked, replies):
            if operation.command[0] == LIVES:
                reply = None  # how many marks have ended: nobody counts them here
            self._history.answer(operation, reply)
            self._trace.note(f"client {self._number} of transactions", f"has {operation}")

    def _refused(self, asked: Sequence[Operation], may_have_run: bool, watches: bool) -> None:
        """The replica says that it does not know, or that nothing has run."""
        self._give_up(asked, may_have_run)
        connection = self._connection
        if connection is not None and self._dice.chance(_STAYS):
            connection.has_failed = connection.has_failed or watches
        else:
            self._leave()
        self._soon()

    def _give_up(self, asked: Sequence[Operation], may_have_run: bool) -> None:
        """No transaction uses a mark of which nobody knows whether it was made, or has ended."""
        for operation in asked:
            self._history.give_up(operation, may_have_run)
            if operation.command[0] in (WATCH, UNWATCH):
                self._history.forget(operation)

    def _lost(self, asked: Sequence[Operation]) -> None:
        """The process has ended, or the client has waited for too long: it goes elsewhere."""
        self._asking = None
        self._give_up(asked, may_have_run=True)
        self._leave()
        self._soon()


def _next_moment(workload: Workload, now: int) -> int:
    """The next of those at which all clients begin."""
    return next((moment for moment in workload.moments if moment > now), now)


def _ignore(outcome: Outcome) -> None:
    """Nobody waits for it."""


def _no_more() -> None:
    """Nobody waits for it."""
