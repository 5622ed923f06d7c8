"""What the pages of the status port have in common: how they answer, and whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from epaxos.net.door import Door, Secret, is_local
from epaxos.net.tls import shown_certificate

__all__ = [
    "DENIAL",
    "NO_PASSWORD",
    "NO_TOKEN",
    "TEXT",
    "GuardedPage",
    "NotFound",
    "Page",
    "StatusDoor",
    "answer",
]

TEXT = "text/plain; charset=utf-8"
DENIAL = (
    "refused by protected mode, because neither a token nor a password is set: only clients on the replica's"
    " own host are answered; set status_token, requirepass, or protected_mode = no, in [security]\n"
)
NO_PASSWORD = "the password is needed: requirepass, by HTTP basic authentication, with any user name\n"
TOO_MANY = "too many wrong passwords: wait for a second\n"
WRONG_MAX = 16
"""Wrong passwords or tokens of one address in a second."""
NO_TOKEN = (
    "the token is needed: status_token, as Authorization: Bearer TOKEN, or as the password of HTTP basic"
    " authentication, with any user name\n"
)
_BASIC = b'Basic realm="epaxos", charset="UTF-8"'
_BEARER = b"bearer "


def answer(request: Request, code: int, content_type: str, text: str | bytes) -> bytes:
    """Set the status code and the headers of the answer, and return its body."""
    body = text.encode() if isinstance(text, str) else text
    request.setResponseCode(code)
    request.setHeader(b"content-type", content_type.encode())
    request.setHeader(b"content-length", str(len(body)).encode())
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return body


class Page(Resource):
    """A page without children, for GET and HEAD only."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        return NotFound()

    def render(self, request: Request) -> bytes | int:
        if request.method in (b"GET", b"HEAD"):
            return self.show(request)
        request.setHeader(b"allow", b"GET, HEAD")
        return answer(request, http.NOT_ALLOWED, TEXT, "only GET and HEAD are served\n")

    def show(self, request: Request) -> bytes | int:
        """Return the body, or NOT_DONE_YET when it comes later."""
        raise NotImplementedError


class NotFound(Page):
    """The answer for every address that does not exist, whatever the method."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return answer(request, http.NOT_FOUND, TEXT, "not found; see /\n")


class StatusDoor:
    """Who may see the state.  `door`: the rule for clients.

    A client certificate or the token lets everybody in.  Without them it is as for clients; where there is
    no password, a token has to be known by those who are not on this host.  Who has given WRONG_MAX wrong
    ones in a second, waits for the next one (`seconds()`), whatever is right.
    """

    def __init__(self, door: Door, token: Secret, seconds: Callable[[], float]) -> None:
        self._door = door
        self._token = token
        self._seconds = seconds
        self._second = 0
        self._wrong: Counter[str] = Counter()

    def refusal(self, request: Request) -> bytes | None:
        """The body of the answer to one who may not see the state; None for one who may."""
        host, given = str(getattr(request.getClientAddress(), "host", "")), bool(_given(request))
        if given and self._has_guessed(host):
            return answer(request, HTTPStatus.TOO_MANY_REQUESTS, TEXT, TOO_MANY)
        body = self._refusal(request)
        if given and body is not None:
            self._wrong[host] += 1
        return body

    def _has_guessed(self, host: str) -> bool:
        second = int(self._seconds())
        if second != self._second:
            self._second = second
            self._wrong.clear()
        return self._wrong[host] >= WRONG_MAX

    def _refusal(self, request: Request) -> bytes | None:
        door, token = self._door, self._token
        if shown_certificate(_transport_of(request)) is not None or token.is_known_by(_given(request)):
            return None
        if door.has_password:
            is_right = door.opens_to(request.getPassword())
            return None if is_right else _unauthorized(request, NO_PASSWORD, _BASIC)
        if is_local(request.getClientAddress()):
            return None
        if token.is_set:
            return _unauthorized(request, NO_TOKEN, _BASIC, b'Bearer realm="epaxos"')
        return answer(request, http.FORBIDDEN, TEXT, DENIAL) if door.is_for_this_host else None


def _transport_of(request: Request) -> object:
    return getattr(request.channel, "transport", None)


def _given(request: Request) -> bytes:
    """What may be the token."""
    header = request.getHeader(b"authorization") or b""
    assert isinstance(header, bytes)
    return header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else request.getPassword()


def _unauthorized(request: Request, text: str, *challenges: bytes) -> bytes:
    """A browser asks its user for what the first challenge wants."""
    body = answer(request, http.UNAUTHORIZED, TEXT, text)
    request.responseHeaders.setRawHeaders(b"www-authenticate", challenges)
    return body


class GuardedPage(Page):
    """A page for those whom `door` lets in."""

    def __init__(self, door: StatusDoor) -> None:
        super().__init__()
        self._door = door

    def show(self, request: Request) -> bytes | int:
        refusal = self._door.refusal(request)
        return self.tell(request) if refusal is None else refusal

    def tell(self, request: Request) -> bytes | int:
        """As `show`, to one who may see the page."""
        raise NotImplementedError
