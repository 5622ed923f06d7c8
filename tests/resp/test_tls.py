"""Clients that come by TLS, and bounds that change while clients are connected."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from epaxos.net.certificates import RenewedCredentials, TlsFiles, accept_any, read_server_credentials
from epaxos.net.mutual_tls import TlsListening
from epaxos.resp.patience import LEAVE_S
from tests.defaults import default_limits
from tests.net.lab import until
from tests.resp.lab import LONG, Server, SocketCase, encode, take
from tests.transport.certificates import Authority

reactor: Any = the_reactor


class TlsTests(SocketCase):
    def listen(self) -> Any:
        self.folder = Path(self.mktemp())
        self.authority = Authority(self.folder)
        own = self.authority.issue()
        credentials = RenewedCredentials(
            TlsFiles(self.authority.root, own, own),
            accept_any,
            self.fail,
            lambda credentials: None,
            lambda files: read_server_credentials(files, "optional"),
        )
        endpoint = TlsListening(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"), credentials)
        return self.successResultOf(endpoint.listen(self.factory))

    def secured(self, plain: socket.socket, shows: Path | None = None) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.authority.root))
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does
        if shows is not None:
            context.load_cert_chain(shows)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    @inlineCallbacks
    def test_long_replies_and_the_name(self) -> Any:
        self.serve()
        for shows, name in ((self.authority.issue("alice"), "alice"), (None, "")):
            connection, plain = yield self.connect()
            self.assertTrue(connection.session.is_greeting)
            client = yield deferToThread(self.secured, plain, shows)
            self.sockets.append(client)
            client.sendall(encode("GET small", *["GET big"] * 3))
            whole = yield deferToThread(take, client, b"$1\r\ns\r\n", *[LONG] * 3)
            self.assertTrue(whole)
            self.assertFalse(connection.session.is_greeting)
            self.assertEqual(connection.session.certificate_user, name)

    @inlineCallbacks
    def test_who_does_not_get_through_with_the_handshake(self) -> Any:
        """Is cut off, though idle clients are not; one that has is idle as long as it likes."""
        self.serve()
        done, plain = yield self.connect()
        client = yield deferToThread(self.secured, plain)
        self.sockets.append(client)
        yield until(lambda: not done.session.is_greeting)
        late, _ = yield self.connect()
        self.clock.pump([1] * round(1.5 * LEAVE_S))
        yield until(lambda: late not in self.factory.connections)
        self.clock.pump([1] * round(1.5 * LEAVE_S))
        self.assertIn(done, self.factory.connections)

    @inlineCallbacks
    def test_who_speaks_no_tls_is_told_to_the_log(self) -> Any:
        self.serve()
        connection, plain = yield self.connect()
        plain.sendall(encode("PING"))
        yield until(lambda: connection not in self.factory.connections)
        self.assertEqual(self.said("it does not speak TLS"), 1)


class LimitsTests(SynchronousTestCase):
    def test_they_change_while_clients_are_connected(self) -> None:
        server = Server()
        connection, _ = server.connect()
        limits = default_limits(clients_max=1, timeout_s=5.0)
        server.factory.use_limits(limits)
        self.assertEqual(server.factory.shared.settings["maxclients"], "1")
        self.assertEqual(server.factory.shared.settings["timeout"], "5")
        _, refused = server.connect()
        self.assertIn(b"max number of clients reached", refused.value())
        server.clock.pump([0.5] * 20)
        self.assertTrue(connection.is_leaving, "it is idle for too long")

    def test_no_bound_any_more(self) -> None:
        server = Server(default_limits(timeout_s=5.0))
        connection, _ = server.connect()
        server.factory.use_limits(default_limits(timeout_s=0.0))
        server.clock.pump([0.5] * 20)
        self.assertFalse(connection.is_leaving)
        self.assertEqual(server.clock.getDelayedCalls(), [])
