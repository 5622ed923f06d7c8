"""The status port: `GET /status` shows the state of the replica as JSON, `GET /metrics` what it measures.

No request changes the replica, and the bodies of requests are not kept.  Who may see the state is decided by
StatusDoor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.server import NOT_DONE_YET, Request, Site

from epaxos.admin.files import FILES, FileOfPage
from epaxos.admin.live import Live, Present
from epaxos.admin.metrics import CONTENT_TYPE
from epaxos.admin.page import TEXT, GuardedPage, Page, StatusDoor, answer
from epaxos.admin.probes import Health, Readiness
from epaxos.interfaces import IClients
from epaxos.net.door import Door, Secret

__all__ = ["few_at_a_time", "status_site"]

CONNECTIONS_MAX = 32
"""The most connections to the status port.  A further one is closed at once, to spare descriptors."""
DIGEST = b"digest"
"""The query that asks for the digest of the state."""
INDEX = """\
A replica of an epaxos cluster.

GET /                a page for people, in a browser
GET /status          its state, as JSON
GET /status?digest   the same, with a digest of all data
GET /metrics         what it measures, for Prometheus
GET /healthz         200 while the process lives
GET /readyz          200 while it serves clients, else 503 and why not
"""


def _names(request: Request) -> list[bytes]:
    """The names in the query; `request.args` lacks those without a `=`."""
    return [part.partition(b"=")[0] for part in request.uri.partition(b"?")[2].split(b"&")]


class _Index(Page):
    """A page for people; for what does not ask for HTML, the list of all pages.

    `page`: that for people; None: there is none.
    """

    def __init__(self, page: Page | None) -> None:
        super().__init__()
        self._page = page

    def show(self, request: Request) -> bytes | int:
        request.setHeader(b"vary", b"accept")
        if self._page is not None and b"text/html" in (request.getHeader(b"accept") or b""):
            return self._page.show(request)
        return answer(request, http.OK, TEXT, INDEX)


class _Status(GuardedPage):
    """The state of the replica at this moment."""

    _log = Logger()

    def __init__(self, clients: IClients, door: StatusDoor) -> None:
        super().__init__(door)
        self._clients = clients

    def tell(self, request: Request) -> int:
        gone: list[Failure] = []
        status: Deferred[dict[str, Any]] = self._clients.status(DIGEST in _names(request))
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
        return answer(request, http.OK, "application/json", json.dumps(status) + "\n")

    def _failed(self, failure: Failure, request: Request, gone: list[Failure]) -> bytes:
        if gone and failure.check(CancelledError):
            return b""
        self._log.failure("the status cannot be told", failure)
        text = "the status cannot be told, see the log of the replica\n"
        return answer(request, http.INTERNAL_SERVER_ERROR, TEXT, text)


class _Metrics(GuardedPage):
    """What the replica measures."""

    def __init__(self, text: Callable[[], bytes], door: StatusDoor) -> None:
        super().__init__(door)
        self._text = text

    def tell(self, request: Request) -> bytes:
        return answer(request, http.OK, CONTENT_TYPE, self._text())


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


def status_site(
    clients: IClients,
    reactor: Any,
    door: Door | None = None,
    metrics: Callable[[], bytes] = bytes,
    present: Present | None = None,
    token: Secret | None = None,
) -> Site:
    """The factory of the status port of the replica behind `clients`.

    `door`: the rule for clients; None: everybody may.  `token`: lets see the state as well.  `metrics()`:
    what `GET /metrics` shows.  `present`: what the page for people does; None: there is no such page.
    """
    guard = StatusDoor(door or Door(), token or Secret(), reactor.seconds)
    root = _Index(None if present is None else FileOfPage("", guard))
    if present is not None:
        root.putChild(b"live", Live(present, guard))
        for address in filter(None, FILES):
            root.putChild(address.encode(), FileOfPage(address, guard))
    root.putChild(b"", root)
    root.putChild(b"status", _Status(clients, guard))
    root.putChild(b"metrics", _Metrics(metrics, guard))
    root.putChild(b"healthz", Health())
    root.putChild(b"readyz", Readiness(clients))
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
