"""The status port: `GET /status` shows the state of the replica as JSON.

No request changes the replica, and the bodies of requests are not kept.  Who may see the state is decided as
for clients: by protected mode, or by the password (HTTP basic authentication, any user).
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from epaxos.interfaces import IClients
from epaxos.net.door import Door, is_local

__all__ = ["few_at_a_time", "status_site"]

CONNECTIONS_MAX = 32
"""The most connections to the status port.  A further one is closed at once, to spare descriptors."""
TEXT = "text/plain; charset=utf-8"
DENIAL = (
    "refused by protected mode, because no password is set: only clients on the replica's own host are"
    " answered; set requirepass, or protected_mode = no, in [security]\n"
)
NO_PASSWORD = "the password is needed: requirepass, by HTTP basic authentication, with any user name\n"
INDEX = "A replica of an epaxos cluster.\n\nGET /status   its state, as JSON\n"


def _answer(request: Request, code: int, content_type: str, text: str) -> bytes:
    """Set the status code and the headers of the answer, and return its body."""
    body = text.encode()
    request.setResponseCode(code)
    request.setHeader(b"content-type", content_type.encode())
    request.setHeader(b"content-length", str(len(body)).encode())
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return body


class _Page(Resource):
    """A page without children, for GET and HEAD only."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        return _NotFound()

    def render(self, request: Request) -> bytes | int:
        if request.method in (b"GET", b"HEAD"):
            return self.show(request)
        request.setHeader(b"allow", b"GET, HEAD")
        return _answer(request, http.NOT_ALLOWED, TEXT, "only GET and HEAD are served\n")

    def show(self, request: Request) -> bytes | int:
        """Return the body, or NOT_DONE_YET when it comes later."""
        raise NotImplementedError


class _NotFound(_Page):
    """The answer for every address that does not exist, whatever the method."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return _answer(request, http.NOT_FOUND, TEXT, "not found; see /\n")


class _Index(_Page):
    """The page that lists all pages."""

    def show(self, request: Request) -> bytes:
        return _answer(request, http.OK, TEXT, INDEX)


class _Status(_Page):
    """The state of the replica at this moment."""

    _log = Logger()

    def __init__(self, clients: IClients, door: Door) -> None:
        super().__init__()
        self._clients = clients
        self._door = door

    def show(self, request: Request) -> bytes | int:
        if self._door.is_for_this_host and not is_local(request.getClientAddress()):
            return _answer(request, http.FORBIDDEN, TEXT, DENIAL)
        if self._door.has_password and not self._door.opens_to(request.getPassword()):
            request.setHeader(b"www-authenticate", b'Basic realm="epaxos", charset="UTF-8"')
            return _answer(request, http.UNAUTHORIZED, TEXT, NO_PASSWORD)
        return self._tell(request)

    def _tell(self, request: Request) -> int:
        gone: list[Failure] = []
        status: Deferred[dict[str, Any]] = self._clients.status()
        request.notifyFinish().addErrback(self._give_up, status, gone)
        body = status.addCallbacks(
            self._shown, self._failed, callbackArgs=(request,), errbackArgs=(request, gone)
        )
        body.addCallback(self._finish, request, gone)
        return NOT_DONE_YET

    @staticmethod
    def _give_up(failure: Failure, status: Deferred[dict[str, Any]], gone: list[Failure]) -> None:
        """Cancel `status`, because the client has left."""
        gone.append(failure)
        status.cancel()

    def _finish(self, body: bytes, request: Request, gone: list[Failure]) -> None:
        if not gone:
            request.write(body)
            request.finish()

    def _shown(self, status: dict[str, Any], request: Request) -> bytes:
        return _answer(request, http.OK, "application/json", json.dumps(status) + "\n")

    def _failed(self, failure: Failure, request: Request, gone: list[Failure]) -> bytes:
        if gone and failure.check(CancelledError):
            return b""
        self._log.failure("the status cannot be told", failure)
        text = "the status cannot be told, see the log of the replica\n"
        return _answer(request, http.INTERNAL_SERVER_ERROR, TEXT, text)


class _BodilessRequest(Request):
    """A request whose body is dropped while it arrives, so that it takes neither memory nor disk."""

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        """Drop the data."""


class _QuietSite(Site):
    """A site that does not log requests, because monitoring asks every second."""

    noisy = False

    def log(self, request: http.Request) -> None:
        """Do not log the request."""


def status_site(clients: IClients, reactor: Any, door: Door | None = None) -> Site:
    """The factory of the status port of the replica behind `clients`.

    `door`: who may see the state; None: everybody.
    """
    root = _Index()
    root.putChild(b"", root)
    root.putChild(b"status", _Status(clients, door or Door()))
    return _QuietSite(root, requestFactory=_BodilessRequest, reactor=reactor)


class _Few(WrappingFactory):
    """Closes connections beyond CONNECTIONS_MAX."""

    noisy = False

    def logPrefix(self) -> str:
        """The name that the log has for the port."""
        return "status port"

    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper | None:  # type: ignore[override]
        if len(self.protocols) >= CONNECTIONS_MAX:
            return None
        wrapper: ProtocolWrapper = super().buildProtocol(addr)
        return wrapper


def few_at_a_time(site: Site) -> WrappingFactory:
    """The factory `site`, bounded to CONNECTIONS_MAX connections at a time."""
    return _Few(site)
