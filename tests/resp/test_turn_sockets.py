"""Turns of many clients, over real sockets."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as the_reactor
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase

from tests.defaults import default_limits
from tests.net.lab import turns, until
from tests.resp.lab import (
    Server,
    encode,
)

reactor: Any = the_reactor


@inlineCallbacks
def received(client: socket.socket, size: int) -> Any:
    """So many bytes, once they are there."""
    data = bytearray()

    def take() -> bool:
        try:
            data.extend(client.recv(size - len(data)))
        except BlockingIOError:
            return False
        return len(data) >= size

    yield until(take)
    return bytes(data)


class SocketTests(TestCase):
    """Through the shared reader, on real sockets."""

    timeout = 10

    def listen(self, server: Server) -> int:
        """The port on which it does."""
        port = reactor.listenTCP(0, server.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    @inlineCallbacks
    def test_clients(self) -> Any:
        server = Server(default_limits(pipeline_commands_max=2, clients_max=3))
        port = self.listen(server)
        clients = []
        for number in range(4):
            client = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(client.close)
            client.setblocking(False)
            clients.append(client)
            yield until(lambda number=number: server.factory._accepted == number + 1)
        one, two, three, refused = clients
        self.assertIn(server.factory.shared.reader, reactor.getReaders())
        for client, commands in ((one, ["SET a 1"]), (two, ["SET b 1", "GET b"]), (three, ["GET c"])):
            client.send(encode(*commands))
        yield until(lambda: sum(server.replica.submitted) == 4)
        two.send(encode("GET d"))
        three.send(encode("GET a"))
        yield until(lambda: sum(server.replica.submitted) == 5)
        yield turns()  # the second one is not read
        self.assertEqual(sum(server.replica.submitted), 5)
        server.replica.run()
        yield until(lambda: sum(server.replica.submitted) == 6)
        server.replica.run()
        for client, answer in (
            (one, b"+OK\r\n"),
            (two, b"+OK\r\n$1\r\n1\r\n$-1\r\n"),
            (three, b"$-1\r\n$1\r\n1\r\n"),
            (refused, b"-ERR max number of clients reached\r\n"),
        ):
            self.assertEqual((yield received(client, len(answer))), answer)
            client.close()
        yield until(lambda: not server.factory.connections)
        self.assertNotIn(server.factory.shared.reader, reactor.getReaders())

    @inlineCallbacks
    def test_closed_here(self) -> Any:
        """The reader does not keep what the server closes, read or paused."""
        for limits, commands in (
            (default_limits(), ["QUIT"]),
            (default_limits(pipeline_commands_max=2), ["GET a", "GET b"]),
            (default_limits(pipeline_bytes_max=100), ["CLIENT LIST"] * 200),
        ):
            server = Server(limits)
            port = self.listen(server)
            client = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(client.close)
            yield until(lambda server=server: len(server.factory.connections) == 1)
            (connection,) = server.factory.connections
            client.send(encode(*commands))
            if len(commands) == 2:
                yield until(lambda connection=connection: connection.pipeline.is_paused)
                connection.transport.abortConnection()
            yield until(lambda server=server: not server.factory.connections)
            self.assertEqual(server.factory.shared.reader.fileno(), -1)
            self.assertNotIn(server.factory.shared.reader, reactor.getReaders())

    @inlineCallbacks
    def test_one_that_speaks_nonsense(self) -> Any:
        """Costs nobody else the connection: here a map whose key is a list."""
        server = Server()
        port = self.listen(server)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        yield until(lambda: len(server.factory.connections) == 3)
        nonsense = b"*2\r\n$1\r\naXX%1\r\n*1\r\n$1\r\nb\r\n$1\r\nc\r\n"
        for client, data in zip(clients, (encode("GET a"), encode("GET a"), nonsense)):
            client.send(data)
        yield until(lambda: len(server.factory.connections) == 2 and sum(server.replica.submitted) == 2)
        server.replica.run()
        for client in clients:
            client.close()
        yield until(lambda: not server.factory.connections)

    @inlineCallbacks
    def test_in_one_turn(self) -> Any:
        server = Server()
        port = self.listen(server)
        clients = []
        for _ in range(3):
            client = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(client.close)
            clients.append(client)
        yield until(lambda: len(server.factory.connections) == 3)
        while server.replica.submitted[-1:] != [3]:  # as a rule in the first turn
            before = sum(server.replica.submitted)
            for client in clients:
                client.send(encode("GET a"))
            yield until(lambda before=before: sum(server.replica.submitted) == before + 3)
            server.replica.run()
        for client in clients:
            client.close()
        yield until(lambda: not server.factory.connections)
