"""WAIT tells what is certain."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.interfaces import Member
from tests.resp.lab import Server, encode_raw


class WaitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.connection, self.wire = self.server.connect()

    def ask(self, *command: bytes) -> bytes:
        self.wire.clear()
        self.connection.dataReceived(encode_raw(*command))
        return self.wire.value()

    def test_others_of_a_majority(self) -> None:
        for members, others in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (7, 3)):
            listed = [Member(number, "", "", "", "up") for number in range(members)]
            self.patch(self.connection.server, "members", lambda listed=listed: listed)
            for wanted in (b"0", b"1", b"9"):
                self.assertEqual(self.ask(b"WAIT", wanted, b"0"), b":%d\r\n" % others)

    def test_errors(self) -> None:
        for words, error in (
            ((b"x", b"0"), b"-ERR value is not an integer or out of range\r\n"),
            ((b"0", b"x"), b"-ERR timeout is not an integer or out of range\r\n"),
            ((b"0", b"-1"), b"-ERR timeout is negative\r\n"),
            ((b"0",), b"-ERR wrong number of arguments for 'wait' command\r\n"),
        ):
            self.assertEqual(self.ask(b"WAIT", *words), error)
