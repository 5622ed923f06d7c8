"""One connection to the Redis port of one replica."""

from __future__ import annotations

from collections import deque
from typing import Any, cast

import hiredis
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

__all__ = ["Connection", "connect"]


class Connection(Protocol):
    """Sends commands and receives their replies in order; several commands may be in flight.

    `closed` fires once the connection is closed.
    """

    def __init__(self) -> None:
        self.closed: Deferred[None] = Deferred()
        self._reader = hiredis.Reader()
        self._asked: deque[Deferred[Any]] = deque()

    def ask(self, *command: str | bytes) -> Deferred[Any]:
        """Send a command.  Fires with the reply: None, int, bytes or list.

        Fails with hiredis.ReplyError for an error reply, and with the reason when the connection is lost
        before the reply.
        """
        reply: Deferred[Any] = Deferred()
        self._asked.append(reply)
        assert self.transport is not None
        self.transport.write(hiredis.pack_command(cast(Any, command)))
        return reply

    def close(self) -> None:
        """Close the connection."""
        assert self.transport is not None
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        self._reader.feed(data)
        while self._asked and (reply := self._reader.gets()) is not False:
            asked = self._asked.popleft()
            if isinstance(reply, hiredis.ReplyError):
                asked.errback(reply)
            else:
                asked.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        asked, self._asked = self._asked, deque()
        for reply in asked:
            reply.errback(reason)
        self.closed.callback(None)


def connect(endpoint: IStreamClientEndpoint, password: str = "") -> Deferred[Connection]:
    """A connection to the Redis port behind `endpoint`, which has given the password, if there is one.

    Fails with hiredis.ReplyError when the password is refused.
    """
    connected = cast("Deferred[Connection]", endpoint.connect(Factory.forProtocol(Connection)))
    return connected.addCallback(_authenticate, password) if password else connected


def _authenticate(connection: Connection, password: str) -> Deferred[Connection]:
    return connection.ask("AUTH", password).addCallbacks(
        _keep, _close, callbackArgs=(connection,), errbackArgs=(connection,)
    )


def _keep(reply: object, connection: Connection) -> Connection:
    return connection


def _close(failure: Failure, connection: Connection) -> Failure:
    connection.close()
    return failure
