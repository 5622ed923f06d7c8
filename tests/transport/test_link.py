"""The sending side: when a link dials, and in which state it is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.internet.error import ConnectError, ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.net.quiet_log import Complaints
from epaxos.protocol.values.epoch import Epoch
from epaxos.transport.handshake import PeerIdentity, refuse
from epaxos.transport.link import Link, LinkState
from epaxos.transport.presence import Presence
from epaxos.wire.codec import encode
from epaxos.wire.frames import pack
from tests.transport.lab import (
    SETTINGS,
    LogCase,
    ManualEndpoint,
    TransportLab,
    connect,
    ok,
)

AGAIN = "trying again until it answers"


class StateTests(LogCase):
    """The picture in `link.py`, way by way."""

    def state(self, lab: TransportLab) -> LinkState:
        return lab.transport._links[1].state

    def test_there_and_back(self) -> None:
        lab = TransportLab(0, 2)
        self.assertIs(self.state(lab), LinkState.CONNECTING)
        lab.endpoints[1].fail()
        self.assertIs(self.state(lab), LinkState.WAITING)
        lab.clock.advance(0.1)
        self.assertIs(self.state(lab), LinkState.CONNECTING)
        wire = lab.endpoints[1].succeed()
        self.assertIs(self.state(lab), LinkState.GREETING)
        wire.receive(pack([refuse("no")], 1024))
        self.assertIs(self.state(lab), LinkState.WAITING)
        lab.clock.advance(0.2)
        wire = lab.link(1)
        self.assertIs(self.state(lab), LinkState.ACCEPTED)
        wire.lose()
        self.assertIs(self.state(lab), LinkState.WAITING, "lost soon after it was accepted")
        lab.clock.advance(3)
        wire = lab.link(1)
        lab.clock.advance(10)
        wire.lose()
        self.assertIs(self.state(lab), LinkState.CONNECTING, "lost later: dialled at once")

    def test_stopped_in_every_state(self) -> None:
        ways: list[Callable[[TransportLab], object]] = [
            lambda lab: None,
            lambda lab: lab.endpoints[1].fail(),
            lambda lab: lab.endpoints[1].succeed(),
            lambda lab: lab.link(1),
        ]
        for way in ways:
            lab = TransportLab(0, 2)
            way(lab)
            self.successResultOf(lab.transport.stop())
            lab.transport._links[1].dial()
            lab.clock.advance(60)
            self.assertIs(self.state(lab), LinkState.STOPPED)
            self.assertFalse(lab.transport.is_connected(1))

    def test_before_it_is_asked(self) -> None:
        link = Link(
            PeerIdentity("home", 0, Epoch.first(2)),
            1,
            ManualEndpoint(),
            Presence(Clock(), 1, lambda is_there: None),
            complaints=Complaints(Logger(), Clock()),
            clock=Clock(),
            random=Random(1),
            settings=SETTINGS,
        )
        self.assertIs(link.state, LinkState.IDLE)
        self.assertFalse(link.send([b"x"]))


class DialTests(LogCase):
    def test_connected_once_accepted(self) -> None:
        lab = TransportLab()
        self.assertFalse(lab.transport.is_connected(0))
        wire = lab.link(0)
        self.assertTrue(lab.transport.is_connected(0))
        self.assertFalse(lab.transport.is_connected(2))
        self.assertFalse(lab.transport.is_connected(1))
        self.assertFalse(lab.transport.is_connected(7))
        wire.lose()
        self.assertFalse(lab.transport.is_connected(0))

    def test_the_wait_doubles_up_to_its_bound(self) -> None:
        lab = TransportLab(0, 2)
        waits: list[float] = []
        for _ in range(12):
            lab.endpoints[1].fail()
            (redial,) = lab.clock.getDelayedCalls()
            waits.append(redial.getTime() - lab.clock.seconds())
            lab.clock.advance(waits[-1])
        for failures, wait in enumerate(waits):
            full = min(3.0, 0.1 * 2**failures)
            self.assertTrue(full / 2 <= wait <= full, f"{wait} after {failures} failures")
        self.assertEqual(len({round(wait / 3, 6) for wait in waits[-5:]}), 5)
        self.assertEqual(self.warnings[0].count("cannot connect"), 1)
        self.assertEqual(len(self.warnings), 1)

    def test_why_it_failed_is_told_without_a_traceback(self) -> None:
        """A connection that ends before it is made is told by Twisted as a Failure within a ConnectError."""
        for why, told in (
            (ConnectionRefusedError(), "Connection was refused by other side"),
            (ConnectError(104, "reset"), "An error occurred while connecting: 104: reset"),
            (ConnectError(string=Failure(ConnectionDone())), "Connection was closed cleanly"),
        ):
            self.warnings.clear()
            TransportLab(0, 2).endpoints[1].fail(why)
            self.assertEqual(self.warnings, [f"to replica 1: cannot connect: {told}; {AGAIN}"])

    def test_a_connection_that_lasted_forgives_earlier_failures(self) -> None:
        for lasted_s, soon in ((0.0, False), (10.0, True)):
            lab = TransportLab(0, 2)
            for _ in range(8):
                lab.endpoints[1].fail()
                lab.clock.advance(3)
            wire = lab.link(1)
            lab.clock.advance(lasted_s)
            wire.lose()
            lab.clock.advance(0.1)
            self.assertEqual(lab.endpoints[1].waiting, soon)

    def test_a_connection_that_is_lost_is_made_again_at_once(self) -> None:
        """And later and later when it ends soon, but not so late that silence shows a failure."""
        lab = TransportLab(0, 2)
        wire = lab.link(1)
        lab.clock.advance(0.5)
        wire.lose()
        self.assertTrue(lab.endpoints[1].waiting)
        waits: list[float] = []
        for _ in range(8):
            lab.link(1).lose()
            (redial,) = (call for call in lab.clock.getDelayedCalls() if call.func.__name__ == "dial")
            waits.append(redial.getTime() - lab.clock.seconds())
            lab.clock.advance(waits[-1])
        for endings, wait in enumerate(waits):
            full = min(0.5, 0.1 * 2**endings)
            self.assertTrue(full / 2 <= wait <= full, f"{wait} after {endings} short connections")

    def test_a_killed_replica_is_told_at_once(self) -> None:
        """Its connections end, and the next attempt is refused."""
        lab = TransportLab(0, 3)
        wire, theirs = lab.link(1), lab.peer(1)
        lab.link(2)
        self.assertEqual(lab.connections, [(1, True), (2, True)])
        lab.clock.advance(10)
        wire.lose()
        theirs.lose()
        self.assertEqual(len(lab.connections), 2)
        lab.endpoints[1].fail()
        self.assertEqual(lab.connections[2:], [(1, False)])
        lab.peer(1)
        self.assertEqual(lab.connections[3:], [(1, True)])

    def test_an_attempt_that_is_accepted_and_closed_is_as_good_as_refused(self) -> None:
        """A relay accepts before it finds nobody behind it."""
        lab = TransportLab(0, 2)
        wire, theirs = lab.link(1), lab.peer(1)
        lab.clock.advance(10)
        theirs.lose()
        wire.lose()
        lab.endpoints[1].succeed().lose()
        self.assertEqual(lab.connections, [(1, True), (1, False)])

    def test_a_replica_that_connects_anew_is_not_lost(self) -> None:
        lab = TransportLab(0, 2)
        lab.link(1)
        theirs = lab.peer(1)
        for _ in range(10):
            again = lab.peer(1)
            self.assertEqual(theirs.closed, "aborted")
            theirs = again
            lab.clock.advance(1)
        self.assertEqual(lab.connections, [(1, True)])

    def test_the_own_end_tells_nothing_of_others(self) -> None:
        lab = TransportLab(0, 2)
        lab.link(1), lab.peer(1)
        self.successResultOf(lab.transport.stop())
        self.assertEqual(lab.connections, [(1, True)])
        self.assertEqual(lab.clock.getDelayedCalls(), [])

    def test_an_attempt_that_takes_too_long(self) -> None:
        lab = TransportLab(0, 2)
        lab.clock.advance(5)
        self.assertFalse(lab.endpoints[1].waiting)
        self.assertIn(f"to replica 1: cannot connect: no connection within 5 s; {AGAIN}", self.warnings)
        lab.clock.advance(0.1)
        self.assertEqual(lab.endpoints[1].attempts, 2)

    def test_an_endpoint_that_connects_after_all(self) -> None:
        """An attempt that was given up never greets, and is closed at the end."""
        lab = TransportLab(0, 2)
        late = lab.endpoints[1].factory
        lab.clock.advance(5)
        lab.clock.advance(0.1)
        wire = connect(late)
        assert wire is not None
        self.assertEqual(wire.writes, [])
        current = lab.link(1)
        wire.lose()
        self.assertTrue(lab.transport.is_connected(1))
        again = connect(late)
        assert again is not None
        self.successResultOf(lab.transport.stop())
        self.assertEqual((again.closed, current.closed), ("flushed", "flushed"))

    def test_no_answer(self) -> None:
        """Connecting and greeting share one deadline."""
        lab = TransportLab(0, 2)
        lab.clock.advance(3)
        wire = lab.endpoints[1].succeed()
        lab.clock.advance(2)
        self.assertEqual(wire.closed, "aborted")
        self.assertIn("no answer to the greeting within 5 s", self.warnings[0])
        lab.clock.advance(0.1)
        self.assertTrue(lab.endpoints[1].waiting)

    def test_accepted_in_time_the_deadline_is_off(self) -> None:
        lab = TransportLab(0, 2)
        wire = lab.link(1)
        lab.clock.advance(1000)
        self.assertIsNone(wire.closed)

    def test_wrong_answers(self) -> None:
        cases = [
            (pack([refuse("cluster 'home', here it is 'away'")], 1024), "refused: cluster 'home'"),
            (b"-ERR unknown command\r\n", "this is no message of a replica; it looks like a Redis reply"),
            (pack([b"\xff\xff"], 1024), "not an answer to a greeting"),
            (pack([b""], 1024), "not an answer to a greeting"),
            (pack([b""], 1024) * 2, "it spoke on a connection"),
        ]
        for answer, text in cases:
            self.warnings.clear()
            lab = TransportLab(0, 2)
            wire = lab.endpoints[1].succeed()
            wire.receive(answer)
            self.assertEqual(wire.closed, "aborted")
            self.assertFalse(lab.transport.is_connected(1))
            self.assertEqual(len(self.warnings), 1)
            self.assertIn(f"to replica 1: connection closed: {text}", self.warnings[0])
            lab.clock.advance(0.1)
            self.assertTrue(lab.endpoints[1].waiting)

    def test_the_same_refusal_is_logged_once(self) -> None:
        lab = TransportLab(0, 2)
        for _ in range(10):
            lab.endpoints[1].succeed().receive(pack([refuse("no")], 1024))
            lab.clock.advance(3)
        self.assertEqual(self.warnings, ["to replica 1: connection closed: refused: no"])

    def test_closed_before_the_answer(self) -> None:
        lab = TransportLab(0, 2)
        lab.endpoints[1].succeed().lose()
        self.assertIn("closed before the greeting was answered", self.warnings[0])

    def test_an_answer_in_pieces(self) -> None:
        lab = TransportLab(0, 2)
        wire = lab.endpoints[1].succeed()
        for byte in pack([b"\x0a\x06epaxos\x10\x01"], 1024):
            self.assertFalse(lab.transport.is_connected(1))
            wire.receive(bytes([byte]))
        self.assertTrue(lab.transport.is_connected(1))

    def test_an_accepted_connection_is_for_sending_only(self) -> None:
        lab = TransportLab(0, 2)
        wire = lab.link(1)
        wire.receive(pack([encode(ok())], 1024))
        self.assertEqual(wire.closed, "aborted")
        self.assertEqual(lab.received, [])

    def test_a_replica_that_connects_is_dialled_at_once(self) -> None:
        lab = TransportLab(0, 2)
        for _ in range(8):
            lab.endpoints[1].fail()
            lab.clock.advance(3)
        lab.endpoints[1].fail()
        self.assertFalse(lab.endpoints[1].waiting)
        lab.peer(1)
        self.assertTrue(lab.endpoints[1].waiting)
        lab.link(1)
        self.assertTrue(lab.transport.is_connected(1))
