"""The TCP transport piece by piece, on a fake clock and fake connections."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer, IStreamServerEndpoint
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epaxos.interfaces import ITransport
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import Message
from epaxos.transport import encode_turn
from epaxos.transport.handshake import PeerIdentity
from epaxos.transport.tcp import TcpTransport
from epaxos.wire.codec import encode
from tests.builds import plain_only
from tests.defaults import default_tcp
from tests.transport.lab import (
    SETTINGS,
    LogCase,
    ManualEndpoint,
    TransportLab,
    Wire,
    big,
    ok,
)


class WholeTests(LogCase):
    def test_interface(self) -> None:
        lab = TransportLab()
        verifyObject(ITransport, lab.transport)
        verifyObject(IPushProducer, lab.link(0).producer)

    def test_alone(self) -> None:
        lab = TransportLab(0, 1)
        lab.transport.send(0, [])
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
            lambda number, address, is_member: endpoint,
            clock=Clock(),
            random=Random(1),
            settings=default_tcp(),
        )
        self.failureResultOf(transport.start(lambda sender, epoch, messages: None), CannotListenError)
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
        lab.transport.send(0, [(0, ok(1)), (2, ok(2)), (0, ok(3))])
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

        self.patch(encode_turn, "encode", counting)
        message, other = ok(1), ok(2)
        lab.transport.send(0, [(0, message), (2, message), (2, other)])
        self.assertEqual(encoded, [message, other])
        self.assertEqual(lab.messages(wires[0].writes[0]), [[message]])
        self.assertEqual(lab.messages(wires[1].writes[0]), [[message, other]])

    def test_what_finds_no_connection_is_dropped(self) -> None:
        lab = TransportLab()
        lab.transport.send(0, [(0, ok()), (2, ok())])
        wire = lab.endpoints[0].succeed()
        greeting = list(wire.writes)
        lab.transport.send(0, [(0, ok())])  # connected, not yet accepted
        self.assertEqual(wire.writes, greeting)
        self.assertEqual(lab.transport.counters()["messages_dropped"], 3)

    def test_an_id_that_is_no_other_replica(self) -> None:
        """The message is dropped and counted; the others leave."""
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send(0, [(7, ok()), (0, ok(1)), (1, ok()), (-1, ok())])
        self.assertEqual([lab.messages(write) for write in wire.writes], [[[ok(1)]]])
        self.assertEqual(lab.transport.counters()["messages_dropped"], 3)

    def test_more_than_a_frame_goes_as_several_in_one_write(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        messages = [big(300), big(301), big(302)]
        lab.transport.send(0, [(0, message) for message in messages])
        (write,) = wire.writes
        self.assertEqual(lab.messages(write), [[message] for message in messages])

    def test_a_message_that_fits_no_frame_is_dropped(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send(0, [(0, big(501)), (0, ok())])
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
        lab.transport.send(0, [(0, ok(1))])
        producer = self.pause(wire)
        in_transport = len(wire.writes[0])
        self.assertEqual(lab.transport.counters()["send_queue_bytes"], in_transport)
        lab.transport.send(0, [(0, ok(2)), (0, ok(3))])
        lab.transport.send(0, [(0, ok(4))])
        self.assertEqual(len(wire.writes), 1)
        producer.resumeProducing()
        self.assertEqual(lab.messages(wire.writes[1]), [[ok(2), ok(3)], [ok(4)]])
        self.assertEqual(lab.transport.counters()["send_queue_bytes"], 0)
        producer.resumeProducing()
        self.assertEqual(len(wire.writes), 2)

    def test_the_queue_is_bounded(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send(0, [(0, ok())])
        producer = self.pause(wire)
        for _ in range(20):
            lab.transport.send(0, [(0, big(300)), (0, ok())])
        counters = lab.transport.counters()
        self.assertLessEqual(counters["send_queue_bytes"], SETTINGS.queue_bytes_max)
        self.assertEqual(counters["messages_dropped"], 2 * (20 - 2))
        self.assertEqual([line for line in self.warnings if "wait already" in line], self.warnings)
        self.assertEqual(len(self.warnings), 1)
        producer.resumeProducing()
        self.assertEqual(len(lab.messages(wire.writes[-1])), 2)
        lab.transport.send(0, [(0, ok(9))])
        self.assertEqual(lab.messages(wire.writes[-1]), [[ok(9)]])
        sent = sum(map(len, wire.writes))
        self.assertEqual(lab.transport.counters()["bytes_sent"], sent)

    def test_what_was_written_on_resume_counts_until_it_has_left(self) -> None:
        """Or a peer that reads slowly could make queue and transport hold twice the bound."""
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send(0, [(0, ok())])
        producer = self.pause(wire)
        lab.transport.send(0, [(0, big(400)), (0, big(400))])
        producer.resumeProducing()
        self.pause(wire)
        lab.transport.send(0, [(0, big(400))])
        self.assertEqual(lab.transport.counters()["messages_dropped"], 1)

    def test_the_queue_does_not_outlive_the_connection(self) -> None:
        lab = TransportLab()
        wire = lab.link(0)
        lab.transport.send(0, [(0, ok(1))])
        self.pause(wire)
        lab.transport.send(0, [(0, ok(2))])
        wire.lose()
        self.assertFalse(lab.transport.is_connected(0))
        self.assertEqual(lab.transport.counters()["send_queue_bytes"], 0)
        lab.clock.advance(1)
        self.assertEqual(lab.link(0).writes, [])
