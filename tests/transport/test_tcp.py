"""The TCP transport piece by piece, on a fake clock and fake connections."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError, ConnectError, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IPushProducer, IStreamServerEndpoint
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epaxos.interfaces import ITransport
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import AcceptOK, Batch, Message, PreAccept, Waiting
from epaxos.transport import tcp
from epaxos.transport.handshake import PeerIdentity, greet, refuse
from epaxos.transport.tcp import TcpTransport
from epaxos.wire.codec import encode
from epaxos.wire.frames import pack
from tests.builds import plain_only
from tests.defaults import default_tcp
from tests.transport.lab import SETTINGS, ManualEndpoint, ManualListener, TransportLab, Wire, connect

ID = InstanceId(0, 1)


def ok(ballot: int = 0) -> Message:
    return AcceptOK(ID, ballot)


def big(size_bytes: int) -> Message:
    return PreAccept(ID, Batch((), (), bytes(size_bytes), 1), (0, 0, 0))


class LogCase(SynchronousTestCase):
    """Gathers the warnings; anything worse fails the test by itself."""

    def setUp(self) -> None:
        self.warnings: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_level") == LogLevel.warn:
            self.warnings.append(formatEvent(event))


class WholeTests(LogCase):
    def test_interface(self) -> None:
        lab = TransportLab()
        verifyObject(ITransport, lab.transport)
        verifyObject(IPushProducer, lab.link(0).producer)

    def test_the_peers_are_the_other_replicas(self) -> None:
        for peers in ({}, {0: ManualEndpoint()}, {replica: ManualEndpoint() for replica in range(3)}):
            self.assertRaises(
                ValueError,
                TcpTransport,
                PeerIdentity("home", 1, Epoch.first(3)),
                ManualListener(),
                peers,
                clock=Clock(),
                random=Random(1),
                settings=default_tcp(),
            )

    def test_alone(self) -> None:
        lab = TransportLab(0, 1)
        lab.transport.send([])
        self.successResultOf(lab.transport.stop())

    def test_start_fails_when_the_port_is_taken(self) -> None:
        @implementer(IStreamServerEndpoint)
        class Taken:
            def listen(self, factory: Any) -> Deferred[Any]:
                return fail(CannotListenError("127.0.0.1", 7000, OSError("taken")))

        endpoint = ManualEndpoint()
        transport = TcpTransport(
            PeerIdentity("home", 0, Epoch.first(2)),
            Taken(),
            {1: endpoint},
            clock=Clock(),
            random=Random(1),
            settings=default_tcp(),
        )
        self.failureResultOf(transport.start(lambda sender, messages: None), CannotListenError)
        self.assertFalse(endpoint.waiting)
        self.successResultOf(transport.stop())

    def test_stop_ends_everything_whatever_its_state(self) -> None:
        lab = TransportLab()
        linked, accepted, stranger = lab.link(0), lab.peer(0), lab.stranger()
        self.assertTrue(lab.endpoints[2].waiting)
        self.successResultOf(lab.transport.stop())
        self.assertEqual([wire.closed for wire in (linked, accepted, stranger)], ["flushed"] * 3)
        self.assertFalse(lab.endpoints[2].waiting)
        self.assertIsNone(lab.listener.factory)
        self.assertEqual(lab.clock.getDelayedCalls(), [])
        self.successResultOf(lab.transport.stop())

    def test_stop_while_waiting_to_dial_again(self) -> None:
        lab = TransportLab()
        lab.endpoints[0].fail()
        lab.endpoints[2].succeed()  # not answered yet
        self.successResultOf(lab.transport.stop())
        self.assertEqual(lab.clock.getDelayedCalls(), [])

    def test_stop_does_not_wait_for_a_peer_that_does_not_read(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        wire.loseConnection = lambda: None  # type: ignore[method-assign]  # there is something to flush, and it does not go
        stopped = lab.transport.stop()
        self.assertNoResult(stopped)
        lab.clock.advance(1)
        self.assertEqual(wire.closed, "aborted")
        self.successResultOf(stopped)


class SendTests(LogCase):
    def test_one_write_for_each_replica(self) -> None:
        lab = TransportLab()
        wires = {peer: lab.link(peer) for peer in (0, 2)}
        lab.transport.send([(0, ok(1)), (2, ok(2)), (0, ok(3))])
        self.assertEqual([lab.messages(write) for write in wires[0].writes], [[[ok(1), ok(3)]]])
        self.assertEqual([lab.messages(write) for write in wires[2].writes], [[[ok(2)]]])
        sent = sum(len(write) for wire in wires.values() for write in wire.writes)
        self.assertEqual(lab.transport.counters()["bytes_sent"], sent)

    @plain_only
    def test_a_message_is_encoded_once(self) -> None:
        lab = TransportLab()
        wires = [lab.link(peer) for peer in (0, 2)]
        encoded: list[Message] = []

        def counting(message: Message) -> bytes:
            encoded.append(message)
            return encode(message)

        self.patch(tcp, "encode", counting)
        message, other = ok(1), ok(2)
        lab.transport.send([(0, message), (2, message), (2, other)])
        self.assertEqual(encoded, [message, other])
        self.assertEqual(lab.messages(wires[0].writes[0]), [[message]])
        self.assertEqual(lab.messages(wires[1].writes[0]), [[message, other]])

    def test_what_finds_no_connection_is_dropped(self) -> None:
        lab = TransportLab()
        lab.transport.send([(0, ok()), (2, ok())])
        wire = lab.endpoints[0].succeed()
        greeting = list(wire.writes)
        lab.transport.send([(0, ok())])  # connected, not yet accepted
        self.assertEqual(wire.writes, greeting)
        self.assertEqual(lab.transport.counters()["messages_dropped"], 3)

    def test_more_than_a_frame_goes_as_several_in_one_write(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        messages = [big(300), big(301), big(302)]
        lab.transport.send([(0, message) for message in messages])
        (write,) = wire.writes
        self.assertEqual(lab.messages(write), [[message] for message in messages])

    def test_a_message_that_fits_no_frame_is_dropped(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send([(0, big(501)), (0, ok())])
        self.assertEqual(lab.messages(wire.writes[0]), [[ok()]])
        self.assertEqual(lab.transport.counters()["messages_dropped"], 1)
        self.assertIn("the limit is 500", self.warnings[0])


class BackpressureTests(LogCase):
    def pause(self, wire: Wire) -> Any:
        assert wire.producer is not None and wire.streaming
        wire.producer.pauseProducing()
        return wire.producer

    def test_while_paused_frames_wait_and_leave_in_one_write(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send([(0, ok(1))])
        producer = self.pause(wire)
        in_transport = len(wire.writes[0])
        self.assertEqual(lab.transport.counters()["send_queue_bytes"], in_transport)
        lab.transport.send([(0, ok(2)), (0, ok(3))])
        lab.transport.send([(0, ok(4))])
        self.assertEqual(len(wire.writes), 1)
        producer.resumeProducing()
        self.assertEqual(lab.messages(wire.writes[1]), [[ok(2), ok(3)], [ok(4)]])
        self.assertEqual(lab.transport.counters()["send_queue_bytes"], 0)
        producer.resumeProducing()
        self.assertEqual(len(wire.writes), 2)

    def test_the_queue_is_bounded(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send([(0, ok())])
        producer = self.pause(wire)
        for _ in range(20):
            lab.transport.send([(0, big(300)), (0, ok())])
        counters = lab.transport.counters()
        self.assertLessEqual(counters["send_queue_bytes"], SETTINGS.queue_bytes_max)
        self.assertEqual(counters["messages_dropped"], 2 * (20 - 2))
        self.assertEqual([line for line in self.warnings if "wait already" in line], self.warnings)
        self.assertEqual(len(self.warnings), 1)
        producer.resumeProducing()
        self.assertEqual(len(lab.messages(wire.writes[-1])), 2)
        lab.transport.send([(0, ok(9))])
        self.assertEqual(lab.messages(wire.writes[-1]), [[ok(9)]])
        sent = sum(map(len, wire.writes))
        self.assertEqual(lab.transport.counters()["bytes_sent"], sent)

    def test_what_was_written_on_resume_counts_until_it_has_left(self) -> None:
        """Or a peer that reads slowly could make queue and transport hold twice the bound."""
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send([(0, ok())])
        producer = self.pause(wire)
        lab.transport.send([(0, big(400)), (0, big(400))])
        producer.resumeProducing()
        self.pause(wire)
        lab.transport.send([(0, big(400))])
        self.assertEqual(lab.transport.counters()["messages_dropped"], 1)

    def test_the_queue_does_not_outlive_the_connection(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send([(0, ok(1))])
        self.pause(wire)
        lab.transport.send([(0, ok(2))])
        wire.lose()
        self.assertFalse(lab.transport.is_connected(0))
        self.assertEqual(lab.transport.counters()["send_queue_bytes"], 0)
        lab.clock.advance(1)
        self.assertEqual(lab.link(0).writes, [])


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
            (ConnectionRefusedError(), "Connection was refused by other side."),
            (ConnectError(104, "reset"), "An error occurred while connecting: 104: reset."),
            (ConnectError(string=Failure(ConnectionDone())), "Connection was closed cleanly."),
        ):
            self.warnings.clear()
            TransportLab(0, 2).endpoints[1].fail(why)
            self.assertEqual(self.warnings, [f"to replica 1: cannot connect: {told}"])

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
        self.assertIn("to replica 1: cannot connect: no connection within 5 s", self.warnings)
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
            (b"-ERR unknown command\r\n", "a frame of 759517778 bytes"),
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


class ReceiveTests(LogCase):
    def test_one_call_for_all_frames_of_a_read(self) -> None:
        lab = TransportLab()
        wire = lab.peer(2)
        first, second = pack([encode(ok(1)), encode(ok(2))], 500), pack([encode(ok(3))], 500)
        wire.receive(first + second + second[:5])
        self.assertEqual(lab.received, [(2, [ok(1), ok(2), ok(3)])])
        wire.receive(second[5:])
        self.assertEqual(lab.received[1:], [(2, [ok(3)])])

    def test_nothing_is_handed_up_for_an_incomplete_or_empty_frame(self) -> None:
        lab = TransportLab()
        wire = lab.peer(2)
        wire.receive(pack([], 500) + pack([encode(ok())], 500)[:-1])
        self.assertEqual(lab.received, [])

    def test_a_greeting_in_pieces(self) -> None:
        lab = TransportLab()
        wire = lab.stranger()
        for byte in pack([greet(PeerIdentity("home", 2, Epoch.first(3)), 1)], 1024):
            self.assertEqual(wire.writes, [])
            wire.receive(bytes([byte]))
        self.assertEqual(len(wire.writes), 1)
        wire.receive(pack([encode(ok())], 500))
        self.assertEqual(lab.received, [(2, [ok()])])

    def test_wrong_greetings_are_answered_and_refused(self) -> None:
        lab = TransportLab()
        cases = [
            (greet(PeerIdentity("away", 2, Epoch.first(3)), 1), "cluster 'away', here it is 'home'"),
            (greet(PeerIdentity("home", 2, Epoch.first(5)), 1), "a cluster of 5 replicas"),
            (greet(PeerIdentity("home", 2, Epoch.first(3)), 0), "looking for replica 0"),
            (greet(PeerIdentity("home", 1, Epoch.first(3)), 1), "it is replica 1"),
        ]
        for greeting, text in cases:
            self.warnings.clear()
            wire = lab.stranger()
            wire.receive(pack([greeting], 1024))
            (answer,) = wire.writes
            self.assertIn(text.encode(), answer)
            self.assertEqual(wire.closed, "flushed")
            self.assertEqual(len(self.warnings), 1)
            self.assertIn(text, self.warnings[0])
        self.assertEqual(lab.received, [])

    def test_garbage_is_closed_unanswered(self) -> None:
        hello = pack([greet(PeerIdentity("home", 2, Epoch.first(3)), 1)], 1024)
        for garbage in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x00\x00\x04\x01",
            pack([b"\xff\xff"], 1024),
            pack([b""], 1024),
            hello + hello,
        ):
            self.warnings.clear()
            wire = TransportLab().stranger()
            wire.receive(garbage)
            self.assertEqual((wire.closed, wire.writes), ("aborted", []))
            self.assertEqual(len(self.warnings), 1)

    def test_wrong_frames_close_the_connection(self) -> None:
        for garbage, text in (
            (b"\x00\x00\x01\xf5", "a frame of 501 bytes, 500 are allowed"),
            (pack([b"\xff\xff"], 500), "not a frame"),
            (pack([encode(Waiting(ID, 4))], 500), "4 votes in a cluster of 3"),
        ):
            self.warnings.clear()
            lab = TransportLab()
            wire = lab.peer(2)
            wire.receive(garbage)
            self.assertEqual(wire.closed, "aborted")
            self.assertEqual(self.warnings, [f"from replica 2: connection closed: {text}"])
            self.assertEqual(lab.received, [])
            lab.peer(2)

    def test_strangers_have_little_time(self) -> None:
        lab = TransportLab()
        wire = lab.stranger()
        lab.clock.advance(4)
        wire.receive(b"\x00")  # which gains no time
        lab.clock.advance(1)
        self.assertEqual(wire.closed, "aborted")
        self.assertIn("from a stranger: connection closed: no greeting within 5 s", self.warnings)

    def test_strangers_are_few(self) -> None:
        lab = TransportLab()
        strangers = [lab.stranger() for _ in range(3)]
        self.assertIsNone(lab.listener.dialled())
        self.assertIn("3 others shake hands", self.warnings[0])
        strangers[0].lose()
        lab.peer(2)  # and is none any more
        lab.stranger()
        self.assertIsNone(lab.listener.dialled())

    def test_silence(self) -> None:
        lab = TransportLab()
        wire = lab.peer(2)
        for _ in range(5):
            lab.clock.advance(29)
            self.assertIsNone(wire.closed)
            wire.receive(pack([encode(ok())], 500))
        lab.clock.advance(30)
        self.assertEqual(wire.closed, "aborted")
        self.assertEqual(self.warnings[-1], "from replica 2: connection closed: silent for 30 s")

    def test_a_newer_connection_replaces_the_older(self) -> None:
        lab = TransportLab()
        older, other = lab.peer(2), lab.peer(0)
        newer = lab.peer(2)
        self.assertEqual((older.closed, other.closed, newer.closed), ("aborted", None, None))
        newer.receive(pack([encode(ok())], 500))
        self.assertEqual(lab.received, [(2, [ok()])])
        lab.peer(2)
        self.assertEqual(newer.closed, "aborted")

    def test_bytes_are_counted(self) -> None:
        lab = TransportLab()
        wire = lab.peer(2)
        before = lab.transport.counters()["bytes_received"]
        wire.receive(b"\x00\x00\x00")
        self.assertEqual(lab.transport.counters()["bytes_received"], before + 3)
