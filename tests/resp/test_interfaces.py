"""The classes keep the interfaces that cross the borders inside of the frontend."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.resp.interfaces import IClient, IClientConnection, IServer
from tests.resp.lab import Server


class InterfaceTests(SynchronousTestCase):
    def test_the_connection(self) -> None:
        connection, _ = Server().connect()
        for interface in (IClient, IClientConnection, IProtocol, IPushProducer, IHalfCloseableProtocol):
            self.assertTrue(verifyObject(interface, connection))

    def test_the_server(self) -> None:
        server = Server()
        self.assertTrue(verifyObject(IServer, server.factory.shared))
        connection, _ = server.connect()
        self.assertIs(connection.server, server.factory.shared)
