"""One connection to the Redis port of one replica."""

from __future__ import annotations

from collections import deque
from typing import Any, Union, cast

import hiredis
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from epaxos.client.errors import LostError, ReplyError
from epaxos.client.silence import Silence

__all__ = ["Connection", "Word", "connect"]

Word = Union[bytes, str, int, float]
"""A word of a command.  Text is sent as UTF-8, a number in decimal."""


class Connection(Protocol):
    """Sends commands and receives their replies in order; several commands may be in flight.

    `closed` fires once the connection is closed, before the commands that are not answered fail.  The
    connection is cut when a reply is owed and nothing comes for `silence_s` by the time of `clock`
    (IReactorTime); None: it waits forever.
    """

    def __init__(self, silence_s: float | None = None, clock: Any = None) -> None:
        self.closed: Deferred[None] = Deferred()
        self._reader = hiredis.Reader(replyError=cast(Any, ReplyError))
        self._asked: deque[tuple[Deferred[Any], int]] = deque()
        self._silence = None if silence_s is None else Silence(clock, silence_s, self._on_silence)
        self._lost: str | None = None
        self._why = ""

    @property
    def is_idle(self) -> bool:
        """Whether every command is answered."""
        return not self._asked

    def ask(self, *command: Word) -> Deferred[Any]:
        """Send a command.  Fires with the reply: None, int, bytes or list.

        Fails with ReplyError for an error reply, and with LostError when the connection is lost before the
        reply.  A Deferred that is cancelled does not take the command back.
        """
        if self._lost is not None:
            return fail(LostError(self._lost))
        reply: Deferred[Any] = Deferred()
        data = hiredis.pack_command(cast(Any, command))
        self._asked.append((reply, len(data)))
        if self._silence is not None:
            self._silence.sent(len(data))
        assert self.transport is not None
        self.transport.write(data)
        return reply

    def close(self) -> None:
        """Close the connection when everything is sent."""
        assert self.transport is not None
        self.transport.loseConnection()

    def abort(self, why: str = "") -> None:
        """Close the connection at once.  `why`: what those are told who wait for replies."""
        self._why = self._why or why
        transport = cast(Any, self.transport)
        transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        replies: list[Any] = []
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if len(replies) == len(self._asked):  # else all replies from now on were those of others
                    self.abort(str(reply) if isinstance(reply, ReplyError) else "it answers unasked")
                    break
                replies.append(reply)
        except hiredis.ProtocolError:
            self.abort("it does not speak the Redis protocol")
        waiting = [self._asked.popleft() for _ in replies]
        if self._silence is not None:
            self._silence.heard(sum(size for _, size in waiting))
        for (asked, _), reply in zip(waiting, replies):
            if isinstance(reply, ReplyError):
                asked.errback(reply)
            else:
                asked.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        self._lost = self._why or reason.getErrorMessage()
        if self._silence is not None:
            self._silence.stop()
        asked, self._asked = self._asked, deque()
        self.closed.callback(None)
        for reply, _ in asked:
            reply.errback(LostError(self._lost))

    def _on_silence(self) -> None:
        self.abort("it did not answer in time")


class _Connections(Factory):
    """Makes one connection."""

    noisy = False

    def __init__(self, silence_s: float | None, clock: Any) -> None:
        self._arguments = (silence_s, clock)

    def buildProtocol(self, address: IAddress | None) -> Connection:
        """See Factory."""
        return Connection(*self._arguments)


def connect(
    endpoint: IStreamClientEndpoint, password: str = "", silence_s: float | None = None, clock: Any = None
) -> Deferred[Connection]:
    """A connection to the Redis port behind `endpoint`, which has given the password, if there is one.

    Fails with ReplyError when the password is refused.  `silence_s`, `clock`: see Connection.
    """
    connected = cast("Deferred[Connection]", endpoint.connect(_Connections(silence_s, clock)))
    return connected.addCallback(_authenticate, password) if password else connected


def _authenticate(connection: Connection, password: str) -> Deferred[Connection]:
    return connection.ask("AUTH", password).addCallbacks(
        _keep, _close, callbackArgs=(connection,), errbackArgs=(connection,)
    )


def _keep(reply: object, connection: Connection) -> Connection:
    return connection


def _close(failure: Failure, connection: Connection) -> Deferred[Any]:
    connection.abort()
    return connection.closed.addCallback(lambda _: failure)
