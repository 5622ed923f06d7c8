"""What other members say of themselves, for the page at `/`: who sees whom.

Their status ports are asked, with the token or the password of this replica, and only while somebody looks.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

__all__ = ["MemberPlace", "Neighbours"]

ASK_S = 1.0
"""Seconds between two questions to a member that answers."""
PATIENCE_S = 3.0
"""The longest wait for an answer."""
ANSWER_MAX = 100_000
"""The most bytes of an answer that are taken."""


class MemberPlace(NamedTuple):
    """A member, and the addresses of its client and status port, as endpoints to connect to; empty where they
    are not known."""

    number: int
    client: str
    status: str
    is_here: bool


class Neighbours:
    """Asks the other members while it is started.

    `places()`: all members.  `sees`: by the number of a member that has answered last time, the numbers of
    the members that it sees.  `secret()`: what the others want to be shown as a password; empty: nothing.
    `within`: makes the endpoint that is used of that of a status port.
    """

    def __init__(
        self,
        reactor: Any,
        places: Callable[[], Sequence[MemberPlace]],
        secret: Callable[[], str],
        within: Callable[[IStreamClientEndpoint], IStreamClientEndpoint] = lambda endpoint: endpoint,
    ) -> None:
        self._reactor = reactor
        self._places = places
        self._secret = secret
        self._within = within
        self._asked: dict[int, Deferred[Any]] = {}
        self._due: IDelayedCall | None = None
        self.sees: dict[int, Sequence[int]] = {}

    def start(self) -> None:
        """Ask from now on."""
        if self._due is None:
            self._ask_all()

    def stop(self) -> None:
        """Ask no more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        for asked in list(self._asked.values()):
            asked.cancel()
        self.sees.clear()

    def _ask_all(self) -> None:
        self._due = self._reactor.callLater(ASK_S, self._ask_all)
        others = [place for place in self._places() if not place.is_here]
        for number in self.sees.keys() - {place.number for place in others}:
            del self.sees[number]
        for place in others:
            if place.status and place.number not in self._asked:
                self._ask(place)

    def _request(self) -> bytes:
        secret = self._secret()
        shown = b"Authorization: Basic " + b64encode(f":{secret}".encode()) + b"\r\n" if secret else b""
        return b"GET /status HTTP/1.0\r\n" + shown

    def _ask(self, place: MemberPlace) -> None:
        try:
            endpoint = self._within(clientFromString(self._reactor, place.status))
        except Exception:  # it is no address to connect to; Twisted may raise anything then
            self.sees.pop(place.number, None)
            return
        connected: Any = endpoint.connect(_Asking(self._request()))
        asked: Deferred[Any] = connected.addCallback(_Answer.wait)
        self._asked[place.number] = asked
        asked.addTimeout(PATIENCE_S, self._reactor)
        asked.addBoth(partial(self._on_answer, place.number))

    def _on_answer(self, number: int, answer: bytes | Failure) -> None:
        self._asked.pop(number, None)
        sees = None if isinstance(answer, Failure) else _up_in(answer, number)
        if sees is None:
            self.sees.pop(number, None)  # it is down, or does not answer this replica: what the page shows
        else:
            self.sees[number] = sees


class _Asking(Factory):
    """Makes the one connection for a request."""

    noisy = False

    def __init__(self, request: bytes) -> None:
        self._request = request

    def buildProtocol(self, addr: object) -> Protocol:
        """See IProtocolFactory."""
        return _Answer(self._request)


class _Answer(Protocol):
    """One request, and all that comes until the connection is closed."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._data = b""
        self._whole: Deferred[bytes] = Deferred(lambda _: self._give_up())

    def connectionMade(self) -> None:
        """See Protocol."""
        assert self.transport is not None
        self.transport.write(self._request + b"\r\n")

    def wait(self) -> Deferred[bytes]:
        """Fires with the answer; empty for one that is too long."""
        return self._whole

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        self._data += data
        if len(self._data) > ANSWER_MAX:
            self._give_up()

    def _give_up(self) -> None:
        self._data = b""
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol."""
        if not self._whole.called:
            self._whole.callback(self._data)


def _up_in(answer: bytes, number: int) -> Sequence[int] | None:
    """The numbers of the members that are up in an answer of this member to `GET /status`.

    None for anything else, as the answer of another one, where their addresses look alike: `127.0.0.1`.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        return None
    try:
        status = json.loads(body)
        members: Sequence[Mapping[str, Any]] = status["members"]
        if status["id"] != number:
            return None
        return [int(member["id"]) for member in members if member["up"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
