"""The status port: what it answers to good, bad and hostile requests."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from io import BytesIO
from typing import Any
from urllib.request import urlopen

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail, inlineCallbacks, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from epaxos.admin.page import WRONG_MAX
from epaxos.admin.status import status_site
from epaxos.interfaces import IClients
from epaxos.net.door import Door, Secret

STATUS = {"id": 1, "cluster": "c", "committed": [1, 2, 3], "digest": "ab"}


@implementer(IClients)
class Clients:
    """A replica that tells the status that the test gives."""

    def __init__(self, status: Deferred[dict[str, Any]]) -> None:
        self._status = status
        self.digests: list[bool] = []
        """For each status that was asked for, whether it was with a digest."""

    def check(self, *_: Any) -> None:
        raise AssertionError("the status port runs no command")

    submit = is_valid_shape = is_read = databases = commands = keyspace = check

    def status(self, digest: bool = False) -> Deferred[dict[str, Any]]:
        self.digests.append(digest)
        return self._status


class Answer:
    """An HTTP answer, taken apart."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.code = int(lines[0].split()[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }


class HttpTests(SynchronousTestCase):
    def connect(self, status: Deferred[dict[str, Any]] | None = None) -> tuple[Any, StringTransport]:
        site = status_site(Clients(succeed(dict(STATUS)) if status is None else status), Clock())
        channel = site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        return channel, transport

    def ask(self, request: str, body: bytes = b"", status: Deferred[dict[str, Any]] | None = None) -> Answer:
        channel, transport = self.connect(status)
        channel.dataReceived(f"{request} HTTP/1.1\r\nHost: x\r\n".encode())
        if body:
            channel.dataReceived(f"Content-Length: {len(body)}\r\n".encode())
        channel.dataReceived(b"\r\n" + body)
        return Answer(transport.value())

    def test_status_is_json_that_nobody_keeps(self) -> None:
        answer = self.ask("GET /status")
        self.assertEqual(answer.code, 200)
        self.assertEqual(json.loads(answer.body), STATUS)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        self.assertEqual(int(answer.headers["content-length"]), len(answer.body))

    def test_the_digest_is_made_for_those_who_ask(self) -> None:
        clients = Clients(succeed(dict(STATUS)))
        channel = status_site(clients, Clock()).buildProtocol(None)
        channel.makeConnection(StringTransport())
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        for path in (
            "/status",
            "/status?digest",
            "/status?digest=1&pretty",
            "/status?digests",
            "/status?x=digest",
        ):
            channel.dataReceived(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.assertEqual(clients.digests, [False, True, True, False, False])

    def test_what_is_answered_to_what(self) -> None:
        for request, code, text in (
            ("GET /", 200, "GET /status"),
            ("GET /status?pretty=1", 200, '"id": 1'),
            ("GET /nothing", 404, "not found"),
            ("GET /status/more", 404, "not found"),
            ("POST /nothing", 404, "not found"),
            ("POST /status", 405, "only GET"),
            ("DELETE /status", 405, "only GET"),
            ("POST /", 405, "only GET"),
            ("BREW /status", 405, "only GET"),
            ("POST /status/more", 404, "not found"),
        ):
            answer = self.ask(request)
            self.assertEqual(answer.code, code, request)
            self.assertIn(text, answer.body.decode(), request)

    def test_not_allowed_says_what_is(self) -> None:
        self.assertEqual(self.ask("POST /status").headers["allow"], "GET, HEAD")

    def test_head_has_the_headers_alone(self) -> None:
        answer = self.ask("HEAD /status")
        self.assertEqual((answer.code, answer.body), (200, b""))
        self.assertEqual(answer.headers["content-type"], "application/json")

    def test_a_status_that_fails_is_logged_and_said(self) -> None:
        answer = self.ask("GET /status", status=fail(RuntimeError("no status")))
        self.assertEqual(answer.code, 500)
        self.assertNotIn(b"Traceback", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_status_may_come_later(self) -> None:
        status: Deferred[dict[str, Any]] = Deferred()
        channel, transport = self.connect(status)
        channel.dataReceived(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(transport.value(), b"")
        status.callback(dict(STATUS))
        self.assertEqual(json.loads(Answer(transport.value()).body), STATUS)

    def test_who_asked_may_have_gone(self) -> None:
        status: Deferred[dict[str, Any]] = Deferred()
        channel, _ = self.connect(status)
        channel.dataReceived(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(status.called, "nobody waits for it, so it is given up")
        status.callback(dict(STATUS))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_what_is_given_up_elsewhere_is_a_failure(self) -> None:
        answer = self.ask("GET /status", status=fail(CancelledError()))
        self.assertEqual(answer.code, 500)
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_two_requests_on_one_connection(self) -> None:
        channel, transport = self.connect()
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        self.assertEqual(transport.value().count(b"HTTP/1.1 200"), 2)

    def test_a_body_is_let_go_as_it_comes(self) -> None:
        """A huge upload takes no memory and no temporary file."""
        received: list[Any] = []
        site = status_site(Clients(succeed(dict(STATUS))), Clock())
        made = site.requestFactory
        site.requestFactory = lambda *given: received.append(made(*given)) or received[-1]
        channel = site.buildProtocol(None)
        channel.makeConnection(StringTransport())
        channel.dataReceived(b"GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n")
        for _ in range(50):
            channel.dataReceived(b"x" * 65536)
        self.assertIsInstance(received[0].content, BytesIO)
        self.assertEqual(received[0].content.getvalue(), b"")
        channel.connectionLost(Failure(ConnectionDone()))

    def test_bytes_that_are_no_http(self) -> None:
        for data in (
            b"*1\r\n$4\r\nPING\r\n",
            b"\0" * 100000,
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000,
        ):
            channel, transport = self.connect()
            channel.dataReceived(data)
            self.assertTrue(transport.disconnecting, data[:20])
            self.assertNotIn(b"Traceback", transport.value())


class DoorTests(SynchronousTestCase):
    """Who may see the state: as for clients."""

    def ask(self, door: Door, address: Any, *headers: str, path: str = "/status", token: str = "") -> Answer:
        clients = Clients(succeed(dict(STATUS)))
        channel = status_site(clients, Clock(), door, token=Secret(token)).buildProtocol(address)
        transport = StringTransport(peerAddress=address)
        channel.makeConnection(transport)
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        lines = [f"GET {path} HTTP/1.1", "Host: x", *headers]
        channel.dataReceived("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
        return Answer(transport.value())

    def test_protected_mode(self) -> None:
        local, elsewhere = IPv4Address("TCP", "127.0.0.1", 1), IPv4Address("TCP", "10.0.0.9", 1)
        for door, address, code in (
            (Door(is_protected=True), local, 200),
            (Door(is_protected=True), UNIXAddress(b"/s"), 200),
            (Door(is_protected=True), elsewhere, 403),
            (Door(is_protected=False), elsewhere, 200),
            (Door("x", is_protected=True), elsewhere, 401),
            (Door("x", is_protected=True), local, 401),
        ):
            answer = self.ask(door, address)
            self.assertEqual(answer.code, code, f"{vars(door)} {address}")
            self.assertEqual(answer.body.count(b"\n"), 1)
            self.assertEqual(b"committed" in answer.body, code == 200)
        refused = self.ask(Door(is_protected=True), elsewhere)
        self.assertIn(b"protected mode", refused.body)
        self.assertEqual(refused.headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(self.ask(Door(is_protected=True), elsewhere, path="/").code, 200)

    def test_the_password(self) -> None:
        door = Door("caf\u00e9:x")
        for given, code in (
            ("anybody:caf\u00e9:x", 200),
            (":caf\u00e9:x", 200),
            ("anybody:caf\u00e9", 401),
            ("anybody:", 401),
            ("caf\u00e9:x", 401),
            ("", 401),
        ):
            header = f"Authorization: Basic {b64encode(given.encode()).decode()}"
            answer = self.ask(door, IPv4Address("TCP", "10.0.0.9", 1), header)
            self.assertEqual(answer.code, code, given)
        for header in ("Authorization: Basic", "Authorization: Basic =", "Authorization: Bearer x", "X: y"):
            answer = self.ask(door, IPv4Address("TCP", "10.0.0.9", 1), header)
            self.assertEqual(answer.code, 401, header)
            self.assertTrue(answer.headers["www-authenticate"].startswith('Basic realm="epaxos"'))
            self.assertIn(b"requirepass", answer.body)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_who_guesses_waits(self) -> None:
        """Whatever is right: else one could guess as fast as one asks."""
        clock = Clock()
        site = status_site(Clients(succeed(dict(STATUS))), clock, Door("right"), token=Secret("open"))

        def ask(host: str, *headers: str) -> int:
            channel = site.buildProtocol(address := IPv4Address("TCP", host, 1))
            channel.makeConnection(transport := StringTransport(peerAddress=address))
            lines = ["GET /status HTTP/1.1", "Host: x", *headers, "", ""]
            channel.dataReceived("\r\n".join(lines).encode())
            channel.connectionLost(Failure(ConnectionDone()))
            return Answer(transport.value()).code

        right = f"Authorization: Basic {b64encode(b'me:right').decode()}"
        for number in range(WRONG_MAX):
            self.assertEqual(ask("10.0.0.9", f"Authorization: Bearer {number}"), 401)
        self.assertEqual([ask("10.0.0.9", right), ask("10.0.0.9", "Authorization: Bearer open")], [429, 429])
        self.assertEqual([ask("10.0.0.8", right), ask("10.0.0.9")], [200, 401])
        clock.advance(1)
        self.assertEqual(ask("10.0.0.9", right), 200)

    def test_the_token(self) -> None:
        """It lets everybody in; where there is no password, clients of the host need none."""
        local, elsewhere = IPv4Address("TCP", "127.0.0.1", 1), IPv4Address("TCP", "10.0.0.9", 1)
        basic = f"Authorization: Basic {b64encode(b'me:open').decode()}"
        for door in (Door(), Door(is_protected=True)):
            for address, header, code in (
                (local, "X: y", 200),
                (elsewhere, "Authorization: Bearer open", 200),
                (elsewhere, "Authorization: bearer  open", 200),
                (elsewhere, basic, 200),
                (elsewhere, "X: y", 401),
                (elsewhere, "Authorization: Bearer", 401),
                (elsewhere, "Authorization: Bearer opens", 401),
                (elsewhere, "Authorization: open", 401),
            ):
                for path in ("/status", "/metrics"):
                    answer = self.ask(door, address, header, path=path, token="open")
                    self.assertEqual(answer.code, code, (header, path))
                if code == 401:
                    self.assertIn(b"status_token", answer.body)
                    self.assertIn("Bearer", answer.headers["www-authenticate"])
                self.assertEqual(self.ask(door, address, path="/healthz", token="open").code, 200)

    def test_the_token_beside_a_password(self) -> None:
        """Either of the two."""
        door = Door("sesame")
        for header, code in (
            ("Authorization: Bearer open", 200),
            ("Authorization: Bearer sesame", 401),
            (f"Authorization: Basic {b64encode(b':sesame').decode()}", 200),
            ("X: y", 401),
        ):
            answer = self.ask(door, IPv4Address("TCP", "127.0.0.1", 1), header, token="open")
            self.assertEqual(answer.code, code, header)


class RealSocketTests(TestCase):
    @inlineCallbacks
    def test_over_a_socket(self) -> Any:
        from twisted.internet import reactor

        site = status_site(Clients(succeed(dict(STATUS))), reactor)
        port = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
        self.addCleanup(port.stopListening)
        url = f"http://127.0.0.1:{port.getHost().port}/status"
        answer = yield deferToThread(urlopen, url, timeout=10)
        with answer:
            self.assertEqual(answer.status, 200)
            self.assertEqual(json.load(answer), STATUS)

    @inlineCallbacks
    def test_who_asked_goes(self) -> Any:
        from twisted.internet import reactor

        given_up: Deferred[None] = Deferred()
        status: Deferred[dict[str, Any]] = Deferred(lambda _: given_up.callback(None))
        port = yield TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            status_site(Clients(status), reactor)
        )
        self.addCleanup(port.stopListening)
        with socket.create_connection(("127.0.0.1", port.getHost().port), timeout=10) as client:
            client.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        yield given_up.addTimeout(30, reactor)
