"""Clients that write to several keys without waiting for answers, and clients that look at these keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from epaxos.connections.order import Order
from epaxos.interfaces import IClients, Outcome, Reply, Unavailable
from epaxos.verify.judges.program_order import ProgramOrderJudge
from epaxos.verify.simulation.asking import RETRY_US, Servers, Words
from epaxos.verify.simulation.clock import VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload
from epaxos.verify.trace import Trace

__all__ = ["KEYS", "Looker", "StreamClient"]

KEYS = 3
"""The keys of each connection."""
_CHUNKS_FACTOR = 8
"""A connection sends this many times as many slices as other clients send sets of commands."""
_LAST_CHUNKS = 2
_LOOKS_TOGETHER = 0.3
"""How often a looker asks for all keys in one command."""


def _key(connection: str, place: int) -> bytes:
    return f"{connection}.{place}".encode()


class StreamClient:
    """One writer.  It sends slices of writes, one behind the other, over one connection at a time.  One that
    fails is left, and the next one has keys of its own."""

    def __init__(
        self, number: int, workload: Workload, seed: int, time: VirtualTime, servers: Servers, trace: Trace
    ) -> None:
        self._number = number
        self._workload = workload
        self._dice = Dice(seed, "stream client", number)
        self._time = time
        self._servers = servers
        self._trace = trace
        self._home = number % servers.n
        self._left = _CHUNKS_FACTOR * workload.operations
        self._generation = 0
        self._order: Order | None = None
        self._written = 0
        self._waiting = 0
        self._soon()

    @property
    def finished(self) -> bool:
        """Whether everything that it has sent is answered, and it sends no more."""
        return self._left <= 0 and not self._waiting

    @property
    def connection(self) -> str:
        """The name of the present connection, with which its keys begin."""
        return f"s{self._number}.{self._generation}"

    @property
    def connections(self) -> Sequence[str]:
        """The names of all its connections, the present one last."""
        return [f"s{self._number}.{generation}" for generation in range(self._generation + 1)]

    def come_to_an_end(self) -> None:
        """The faults are over: at most two more slices."""
        self._left = min(self._left, _LAST_CHUNKS)

    def __str__(self) -> str:
        return f"the writer {self._number} waits for {self._waiting} answers"

    def _soon(self) -> None:
        self._time.after(1 + self._dice.below(self._workload.think_us // 4 + 1), self._next)

    def _next(self) -> None:
        """Send a slice, whether or not those before it are answered."""
        if self._left <= 0:
            return
        generation = self._generation
        if not self._servers.connect(
            self._home, partial(self._hand_in, generation), partial(self._lost, generation)
        ):
            self._leave(generation)
            return
        self._left -= 1
        self._waiting += 1

    def _hand_in(self, generation: int, clients: IClients) -> None:
        """A slice reaches the replica."""
        if generation != self._generation:
            return
        if self._order is None:
            self._order = Order(clients)
        commands: list[Words] = []
        for _ in range(self._dice.pick((1, 1, 1, 2, 3))):
            self._written += 1
            key = _key(self.connection, self._written % KEYS)
            commands.append((b"SET", key, b"%d" % self._written))
        for command in commands:
            clients.check(command)
        self._trace.note(f"writer {self.connection}", f"sends up to {self._written}")
        self._order.submit(commands, partial(self._on_done, generation), 30 * len(commands))
        self._soon()

    def _on_done(self, generation: int, outcome: Outcome) -> None:
        if generation != self._generation:
            return
        self._waiting -= 1
        if isinstance(outcome, Unavailable):
            self._leave(generation)

    def _lost(self, generation: int) -> None:
        self._leave(generation)

    def _leave(self, generation: int) -> None:
        """The connection has failed: go on over another one, with other keys."""
        if generation != self._generation:
            return
        self._generation += 1
        self._order = None
        self._written = self._waiting = 0
        self._home = (self._home + 1) % self._servers.n
        if self._left > 0:
            self._time.after(RETRY_US, self._next)


class Looker:
    """Reads keys of the writers, at any replica, one after the other.  Where it sees a new number, it looks
    at once for the number before."""

    def __init__(
        self,
        number: int,
        workload: Workload,
        seed: int,
        time: VirtualTime,
        servers: Servers,
        writers: Callable[[], Sequence[StreamClient]],
        judge: ProgramOrderJudge,
    ) -> None:
        self._workload = workload
        self._dice = Dice(seed, "looker", number)
        self._time = time
        self._servers = servers
        self._writers = writers
        self._judge = judge
        self._left = _CHUNKS_FACTOR * workload.operations
        self._asked = 0
        self._follows: tuple[str, int] | None = None  # where a new number was seen
        self._soon()

    @property
    def finished(self) -> bool:
        """Whether it looks no more."""
        return self._left <= 0

    def come_to_an_end(self) -> None:
        """The faults are over: look twice more at most."""
        self._left = min(self._left, _LAST_CHUNKS)

    def __str__(self) -> str:
        return f"a looker has {self._left} looks left"

    def _soon(self) -> None:
        self._time.after(1 + self._dice.below(self._workload.think_us // 4 + 1), self._next)

    def _next(self) -> None:
        if self._left <= 0:
            return
        self._asked += 1
        connections = self._dice.pick(self._writers()).connections
        connection = connections[-1] if self._dice.chance(0.8) else self._dice.pick(connections)
        places = range(KEYS) if self._dice.chance(_LOOKS_TOGETHER) else [self._dice.below(KEYS)]
        if self._follows is not None:
            connection, seen = self._follows
            places = [seen - 1] if seen else [KEYS - 1]  # the number before stands there
            self._follows = None
        name = b"MGET" if len(places) > 1 else b"GET"
        command = (name, *(_key(connection, place) for place in places))
        done = partial(self._on_done, self._asked, connection, self._judge.seen(connection), places)
        hand_in = partial(self._hand_in, command, done)
        if not self._servers.connect(
            self._dice.below(self._servers.n), hand_in, partial(self._given_up, self._asked)
        ):
            self._time.after(RETRY_US, self._next)
            return
        self._time.after(self._workload.patience_us, partial(self._given_up, self._asked))

    def _hand_in(self, command: Words, done: Callable[[Outcome], None], clients: IClients) -> None:
        clients.check(command)
        clients.submit([command], done, 100)

    def _on_done(
        self, asked: int, connection: str, seen_before: int, places: Sequence[int], outcome: Outcome
    ) -> None:
        if not isinstance(outcome, Unavailable):
            (reply,) = outcome
            values: Sequence[Reply] = reply if isinstance(reply, list) else [reply]
            self._judge.look(connection, seen_before, dict(zip(places, values)))
            if self._judge.seen(connection) > seen_before and len(places) == 1 and asked == self._asked:
                self._follows = connection, places[0]
        self._given_up(asked)

    def _given_up(self, asked: int) -> None:
        """The look is over, with or without an answer."""
        if asked == self._asked:
            self._asked += 1
            self._left -= 1
            if self._follows is None:
                self._soon()
            else:
                self._time.after(1, self._next)
