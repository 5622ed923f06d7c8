"""One replica, as the client sees it: a connection that is kept up, and whether it serves."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from epaxos.client.commands import is_of_replica
from epaxos.client.connection import Connection, Word, connect
from epaxos.client.errors import ClientError, LostError, ReplyError, is_unavailable
from epaxos.client.nearest import Distance
from epaxos.client.pauses import PAUSE_HURRIED_MAX_S, Pauses
from epaxos.client.places import Place

__all__ = ["Contact", "Manner", "Watcher"]

CONNECT_S = 5.0
"""The seconds that connecting, with TLS and the password, may take."""
PING_S = 5.0
"""The seconds between two measurements of the round trip time."""
STEADY_S = 10.0
"""The pauses begin again with the shortest one for a replica that has served for this time."""
PROBE = ("EXISTS", "")
"""A read of one key takes no instance, and asks a majority: a replica that answers it serves."""
REFUSALS = {"NOAUTH", "WRONGPASS", "DENIED"}
"""The codes of errors with which a replica refuses this client, whatever it asks."""


@dataclass(frozen=True)
class Manner:
    """How replicas are asked.  `clock`: IReactorTime; `suspect_s`: the silence after which one is left."""

    clock: Any
    random: Random
    password: str
    suspect_s: float


class Watcher(Protocol):
    """Who is told about contacts."""

    def on_change(self) -> None:
        """Whether one of them serves, or how near it is, has changed."""

    def on_greeting(self, contact: Contact, commands: Any, members: Any) -> None:
        """Its answers to `COMMAND` and `EPAXOS MEMBERS`; either may be a ReplyError."""

    def is_needed(self) -> bool:
        """Whether calls wait for any replica."""


class Contact:
    """Connects to a replica, again and again, until `stop`.

    `is_ready`: it has shown that it serves, and can be asked.  `why`: why it is not ready.  `refusal`: the
    error with which it refuses this client, if it does.
    """

    def __init__(self, place: Place, manner: Manner, watcher: Watcher, is_learned: bool = False) -> None:
        self.place = place
        self.is_learned = is_learned
        self.distance = Distance()
        self.is_ready = False
        self.refusal: ReplyError | None = None
        self.why = "not connected yet"
        self._manner = manner
        self._watcher = watcher
        self._pauses = Pauses(manner.random)
        self._connection: Connection | None = None
        self._service: Deferred[None] = Deferred()
        self._timer: Any = None
        self._life: Deferred[None] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Begin to connect."""
        self._life = Deferred.fromCoroutine(self._live())

    def stop(self) -> Deferred[None]:
        """Connect no more.  Fires when the connection is closed."""
        assert self._life is not None
        self._is_stopped = True
        self._life.addErrback(_trap_cancelled)
        self._life.cancel()
        return self._life

    def ask(self, *command: Word) -> Deferred[Any]:
        """Send a command to the replica, which is ready.  Fails with ReplyError or LostError."""
        assert self._connection is not None
        return self._connection.ask(*command)

    def shun(self, why: str) -> None:
        """Take the replica to serve nobody, until it shows that it does.  The connection stays."""
        if self.is_ready and not self._service.called:
            self.why = why
            self._service.callback(None)

    def hurry(self) -> None:
        """Shorten a pause that began when nobody was waiting."""
        if self._timer is not None:
            left_s = self._timer.getTime() - self._manner.clock.seconds()
            if left_s > PAUSE_HURRIED_MAX_S:
                self._timer.reset(PAUSE_HURRIED_MAX_S)

    async def _live(self) -> None:
        while not self._is_stopped:  # an endpoint that is cancelled may fail with an error of its own
            try:
                await self._serve(await self._connected())
            except ClientError as error:
                if not self._is_stopped:
                    self._on_failure(error)
                    await self._pause()

    def _connected(self) -> Deferred[Connection]:
        manner = self._manner
        connected = connect(self.place.endpoint, manner.password, manner.suspect_s, manner.clock)
        return connected.addTimeout(CONNECT_S, manner.clock, _too_late).addErrback(_as_lost)

    def _on_failure(self, error: ClientError) -> None:
        self.why = str(error)
        self.refusal = error if isinstance(error, ReplyError) and _is_refusal(error) else None
        self._watcher.on_change()

    async def _serve(self, connection: Connection) -> None:
        """Be ready whenever the replica shows that it serves.  Raises ClientError at the end."""
        self._connection = connection
        connection.closed.addCallback(self._on_closed)
        pings = LoopingCall(self._ping, connection)
        pings.clock = self._manner.clock
        try:
            await self._greet(connection)
            pings.start(PING_S, now=False)
            while True:
                await _probe(connection)
                await self._be_ready()
                await self._pause()
        finally:
            if pings.running:
                pings.stop()
            self._connection = None
            connection.abort()
            await connection.closed

    async def _greet(self, connection: Connection) -> None:
        """Measure the first round trip, and ask what the client wants to know of the cluster.

        Raises LostError for a server of Redis: its data are those of somebody else.
        """
        began = self._manner.clock.seconds()
        ping = connection.ask("PING")
        commands = connection.ask("COMMAND").addErrback(_as_value)
        members = connection.ask("EPAXOS", "MEMBERS").addErrback(_as_value)
        self._measure(await ping, began)
        table, named = await commands, await members
        if not is_of_replica(table):
            raise LostError("it is no replica, but a server of Redis")
        self._watcher.on_greeting(self, table, named)

    async def _be_ready(self) -> None:
        """Returns when the replica is shunned.  Raises LostError when the connection is closed."""
        self._service = Deferred()
        self.refusal = None
        self.is_ready = True
        began = self._manner.clock.seconds()
        self._watcher.on_change()
        try:
            await self._service
        finally:
            self.is_ready = False
            if self._manner.clock.seconds() - began >= STEADY_S:
                self._pauses.reset()
            self._watcher.on_change()

    def _on_closed(self, _: None) -> None:
        if self.is_ready and not self._service.called:
            self._service.errback(LostError("the connection was lost"))

    def _ping(self, connection: Connection) -> Deferred[None] | None:
        """Measure, unless an answer would wait for those of commands before."""
        if not connection.is_idle:
            return None
        began = self._manner.clock.seconds()
        return connection.ask("PING").addCallback(self._measure, began).addErrback(_as_value)

    def _measure(self, reply: Any, began: float) -> None:
        self.distance.add(self._manner.clock.seconds() - began)
        if self.is_ready:
            self._watcher.on_change()

    def _pause(self) -> Deferred[None]:
        woken: Deferred[None] = Deferred(self._forget_timer)
        pause_s = self._pauses.take(self._watcher.is_needed())
        self._timer = self._manner.clock.callLater(pause_s, self._wake, woken)
        return woken

    def _wake(self, woken: Deferred[None]) -> None:
        self._timer = None
        woken.callback(None)

    def _forget_timer(self, _: Deferred[None]) -> None:
        self._timer.cancel()
        self._timer = None


async def _probe(connection: Connection) -> None:
    """Returns when the replica shows that it serves.  Raises ClientError if it does not."""
    try:
        await connection.ask(*PROBE)
    except ReplyError as error:  # a state machine without this command says so, and serves
        if is_unavailable(error) or _is_refusal(error):
            raise


def _is_refusal(error: ReplyError) -> bool:
    return error.code in REFUSALS or str(error).startswith("ERR AUTH ")


def _as_value(failure: Failure) -> Any:
    """An answer that may be an error."""
    return failure.value if isinstance(failure.value, ClientError) else failure


def _too_late(result: object, timeout_s: float) -> Any:
    raise LostError(f"it cannot be reached within {timeout_s:g} s")


def _as_lost(failure: Failure) -> Any:
    """Whatever an endpoint, a resolver or a TLS library raises."""
    if isinstance(failure.value, (ClientError, CancelledError)):
        return failure
    raise LostError(failure.getErrorMessage() or str(failure.type))


def _trap_cancelled(failure: Failure) -> Failure | None:
    return None if isinstance(failure.value, CancelledError) else failure
