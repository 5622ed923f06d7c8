"""The UDP transport on a reactor in the hands of the test, and on real sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import ITransport
from epaxos.protocol.values.control import Control, Founded, Standing, Written
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import NUMBER_LIMIT, InstanceId
from epaxos.protocol.values.messages import AcceptOK, Batch, Conflict, Fetch, Message, PreAccept, ValidateOK
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX, Piece, StateAsk, StateOffer
from epaxos.transport.datagrams import (
    ANSWER,
    CONTROL,
    DATAGRAM_BYTES_LIMIT,
    HEADER_BYTES,
    HELLO,
    LONG_MESSAGE_BYTES_MAX,
    DatagramReader,
    DatagramWriter,
    body_bytes_max,
    piece_bytes_max,
)
from epaxos.transport.handshake import PeerIdentity, accept, check_answer, greet, refuse
from epaxos.transport.introductions import Accepted, Refusal, Refused
from epaxos.transport.udp import UdpSettings, UdpTransport
from epaxos.transport.udp_address import UdpAddress
from epaxos.transport.udp_socket import DATAGRAMS_PER_TURN
from epaxos.wire.codec import encode
from epaxos.wire.control import encode_control
from tests.defaults import default_udp
from tests.transport.lab import Heard, introduction, membership, myself

THREE = Epoch.first(3)
HERE = UdpAddress("10.0.0.1", 7000)
PEERS = {0: UdpAddress("10.0.0.0", 7000), 2: UdpAddress("10.0.0.2", 7000)}
SETTINGS = default_udp(datagram_bytes_max=1200, buffer_bytes=65_536, heard_within_s=1.0)


def ok(ballot: int = 0) -> Message:
    return AcceptOK(InstanceId(0, 1), ballot)


def big(payload_bytes: int) -> Message:
    return PreAccept(InstanceId(0, 1), Batch((b"k",), (), bytes(payload_bytes), 1), (0, 0, 0))


class Handle:
    """A socket that grants of what is asked for no more than `granted`."""

    def __init__(self, granted: int) -> None:
        self.granted = granted
        self.asked: dict[int, int] = {}

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.asked[option] = value

    def getsockopt(self, level: int, option: int) -> int:
        return min(self.granted, self.asked[option])


class Port:
    """What `listenUDP` gives."""

    def __init__(self, protocol: Any, max_packet_size: int, granted: int) -> None:
        self.protocol = protocol
        self.max_packet_size = max_packet_size
        self.maxThroughput = 1000
        self.handle = Handle(granted)
        self.written: list[tuple[bytes, tuple[str, int]]] = []
        self.error: Exception | None = None
        self.open = True

    def getHandle(self) -> Handle:
        return self.handle

    def getHost(self) -> str:
        return "here"

    def write(self, datagram: bytes, address: tuple[str, int]) -> None:
        assert self.open
        if self.error is not None:
            raise self.error
        self.written.append((datagram, address))

    def stopListening(self) -> Deferred[None]:
        self.open = False
        return succeed(None)


class Reactor(Clock):
    """A clock with one UDP port."""

    port: Port
    granted = 65_536
    error: Exception | None = None

    def listenUDP(self, port: int, protocol: Any, interface: str, maxPacketSize: int) -> Port:
        if self.error is not None:
            raise self.error
        self.listening = (interface, port)
        self.port = Port(protocol, maxPacketSize, self.granted)
        protocol.transport = self.port
        return self.port


class Case(SynchronousTestCase):
    """Replica 1 of 3, started; `received` is what was handed up, `said` its log."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.received: list[tuple[int, list[Message]]] = []
        self.said: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)
        self.transport = self.make()

    def observe(self, event: LogEvent) -> None:
        if event["log_namespace"].startswith("epaxos"):
            self.said.append(formatEvent(event))

    def make(self, settings: UdpSettings = SETTINGS) -> UdpTransport:
        transport = UdpTransport(
            PeerIdentity("home", 1, THREE),
            HERE,
            lambda number, address: PEERS[number],
            session=1,
            reactor=self.reactor,
            settings=settings,
        )
        self.heard = Heard()
        transport.introduce(myself(1), self.heard, 1.0)
        return transport

    def writer(self, sender: int, receiver: int = 1) -> DatagramWriter:
        """What makes the datagrams of a replica."""
        writer = DatagramWriter(PeerIdentity("home", sender, THREE), 100 + sender, 1, 1200)
        writer.address(0, 100 + receiver)
        return writer

    def hello(self, sender: int, receiver: int = 1, **changes: Any) -> bytes:
        """The greeting of a replica."""
        who = introduction(sender, **changes)
        body = greet(PeerIdentity("home", sender, THREE), receiver, who)
        (datagram,) = self.writers[sender].write_one(body, HELLO)
        return datagram

    def answer(self, sender: int, body: bytes | None = None, **changes: Any) -> bytes:
        """The answer of a replica to our greeting."""
        if body is None:
            body = accept(Accepted(introduction(sender, **changes)))
        (datagram,) = self.writers[sender].write_one(body, ANSWER)
        return datagram

    def start(self) -> None:
        """Start, and greet both others as they greet us; a second later nothing of it is left."""
        self.open()
        for peer, address in PEERS.items():
            self.arrive(self.hello(peer), address)
            self.arrive(self.answer(peer), address)
        self.reactor.advance(1)
        self.reactor.advance(0.01)
        self.reactor.port.written.clear()
        self.before = self.transport.counters()

    def open(self) -> None:
        self.writers = {peer: self.writer(peer) for peer in PEERS}
        self.before = dict.fromkeys(self.transport.counters(), 0)

        def receive(sender: int, epoch: int, messages: Sequence[Message]) -> None:
            self.received.append((sender, list(messages)))

        self.successResultOf(self.transport.start(receive))

    def arrive(self, datagram: bytes, address: tuple[str, int]) -> None:
        self.reactor.port.protocol.datagramReceived(datagram, address)

    def datagram(self, *messages: Message, sender: int = 0) -> bytes:
        (datagram,) = self.writers[sender].write(map(encode, messages))
        return datagram

    def count(self, name: str) -> int:
        """How much it has grown since the others have greeted."""
        return self.transport.counters()[name] - self.before[name]


class LifeTests(Case):
    def test_interface(self) -> None:
        verifyObject(ITransport, self.transport)
        self.assertLess(self.transport.batch_bytes_max or 0, 1200)

    def test_start_and_stop(self) -> None:
        self.assertIsNone(self.transport.address)
        self.start()
        self.assertEqual(self.transport.address, "here")
        self.assertEqual(self.reactor.listening, ("10.0.0.1", 7000))
        self.assertGreater(self.reactor.port.max_packet_size, DATAGRAM_BYTES_LIMIT)
        self.arrive(self.datagram(ok()), PEERS[0])
        for _ in range(2):
            self.successResultOf(self.transport.stop())
        self.assertFalse(self.reactor.port.open)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.transport.send(0, [(0, ok())])
        self.assertEqual(self.count("messages_dropped"), 1)

    def test_stop_before_start(self) -> None:
        self.successResultOf(self.transport.stop())

    def test_a_port_that_is_taken(self) -> None:
        self.reactor.error = CannotListenError("10.0.0.1", 7000, OSError(98, "Address already in use"))
        failed = self.transport.start(lambda sender, epoch, messages: None)
        self.assertIs(self.failureResultOf(failed).value, self.reactor.error)
        self.successResultOf(self.transport.stop())

    def test_buffers(self) -> None:
        """As large as it gets; when that is not large enough, it is said."""
        self.start()
        asked = self.reactor.port.handle.asked
        self.assertEqual(asked, {socket.SO_RCVBUF: 65_536, socket.SO_SNDBUF: 65_536})
        self.assertFalse([line for line in self.said if "receive buffer" in line])
        self.reactor.granted = 1000
        self.transport = self.make()
        self.start()
        (line,) = [line for line in self.said if "receive buffer" in line]
        self.assertIn("1000 bytes, not 65536", line)


class SendTests(Case):
    def written(self) -> list[tuple[bytes, tuple[str, int]]]:
        written, self.reactor.port.written = self.reactor.port.written, []
        return written

    def test_messages_for_one_peer_share_a_datagram(self) -> None:
        self.start()
        self.transport.send(0, [(0, ok(1)), (2, ok(2)), (0, ok(3))])
        (to_0, address_0), (to_2, address_2) = self.written()
        self.assertEqual((address_0, address_2), (PEERS[0], PEERS[2]))
        self.assertEqual(to_0[HEADER_BYTES:], encode(ok(1)) + encode(ok(3)))
        self.assertEqual(to_2[HEADER_BYTES:], encode(ok(2)))
        self.assertEqual((self.count("datagrams_sent"), self.count("bytes_sent")), (2, len(to_0) + len(to_2)))

    def test_many_messages_go_in_several(self) -> None:
        self.start()
        self.transport.send(0, [(0, big(500))] * 5)
        datagrams = [datagram for datagram, _ in self.written()]
        self.assertEqual(len(datagrams), 3)
        self.assertLessEqual(max(map(len, datagrams)), 1200)

    def test_long_lists_arrive(self) -> None:
        """Messages whose length nobody bounds are put together again at the other side."""
        ids = tuple(InstanceId(k % 3, 2**40 + k) for k in range(2000))
        messages = [
            Fetch(ids),
            ok(1),
            ValidateOK(InstanceId(0, 1), 4, tuple(Conflict(id, False) for id in ids)),
        ]
        self.start()
        self.transport.send(0, [(2, message) for message in messages])
        self.assertGreater(len(self.reactor.port.written), 20)
        received: list[Message] = []
        other = UdpTransport(
            PeerIdentity("home", 2, THREE),
            PEERS[2],
            lambda number, address: {0: PEERS[0], 1: HERE}[number],
            session=1,
            reactor=self.reactor,
            settings=default_udp(),
        )
        written = self.written()
        other.introduce(myself(2), Heard(), 1.0)
        other.start(lambda sender, epoch, messages: received.extend(messages))
        self.writers[1] = self.writer(1, 2)
        self.arrive(self.hello(1, 2), HERE)
        for datagram, _ in written:
            self.arrive(datagram, HERE)
        self.assertEqual(received, messages)

    def test_an_id_that_is_no_other_replica(self) -> None:
        """The message is dropped and counted; the others leave."""
        self.start()
        self.transport.send(0, [(7, ok()), (2, ok(1)), (1, ok())])
        self.assertEqual(len(self.written()), 1)
        self.assertEqual(self.count("messages_dropped"), 2)

    def test_too_long(self) -> None:
        self.start()
        self.transport.send(0, [(0, big(LONG_MESSAGE_BYTES_MAX)), (0, ok())])
        self.assertEqual(len(self.written()), 1)
        self.assertEqual(self.count("messages_dropped"), 1)
        self.assertIn("PreAccept: a message of 4000", self.said[-1])

    def test_what_the_system_does_not_send_is_lost(self) -> None:
        self.start()
        for error, said in (
            (OSError(errno.EWOULDBLOCK, "Resource temporarily unavailable"), "temporarily unavailable"),
            (OSError(errno.ENOBUFS, "No buffer space available"), "No buffer space"),
            (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
            (MessageLengthError("message too long"), "too long"),
        ):
            self.reactor.port.error = error
            before = self.count("datagrams_unsent")
            for _ in range(3):
                self.transport.send(0, [(0, ok())])
            self.assertEqual(self.count("datagrams_unsent"), before + 3)
            self.assertIn("to replica 0: a datagram is lost", self.said[-1])
            self.assertIn(said, self.said[-1])
        self.assertEqual(len([line for line in self.said if "is lost" in line]), 4)
        self.reactor.port.error = None
        self.transport.send(0, [(0, ok())])
        self.assertEqual(self.count("datagrams_sent"), 1)


class ReceiveTests(Case):
    def test_messages_are_handed_up(self) -> None:
        self.start()
        self.arrive(self.datagram(ok(1), ok(2)), PEERS[0])
        self.arrive(self.datagram(ok(3), sender=2), PEERS[2])
        self.assertEqual(self.received, [(0, [ok(1), ok(2)]), (2, [ok(3)])])
        self.assertEqual((self.count("datagrams_received"), self.count("datagrams_refused")), (2, 0))

    def test_doubles_and_gaps_are_counted(self) -> None:
        self.start()
        writer = self.writers[0]
        datagrams = [datagram for ballot in range(5) for datagram in writer.write([encode(ok(ballot))])]
        for index in (0, 3, 3, 1):
            self.arrive(datagrams[index], PEERS[0])
        self.assertEqual(len(self.received), 4)
        self.assertEqual((self.count("datagrams_lost"), self.count("datagrams_doubled")), (1, 1))

    def test_connected_is_who_was_heard_of_just_now(self) -> None:
        self.start()
        self.assertFalse(self.transport.is_connected(0))
        self.arrive(self.datagram(ok()), PEERS[0])
        self.reactor.advance(1)
        self.assertTrue(self.transport.is_connected(0))
        self.assertFalse(self.transport.is_connected(2))
        self.assertFalse(self.transport.is_connected(1))
        self.reactor.advance(0.01)
        self.assertFalse(self.transport.is_connected(0))

    def test_strangers(self) -> None:
        """Counted and dropped, whatever they say; no answer, and few lines in the log."""
        self.start()
        good = self.datagram(ok())
        for number in range(1000):
            for address in ((f"10.9.{number // 250}.{number % 250}", 7000), ("10.0.0.0", 8000 + number)):
                self.arrive(good, address)
        self.assertEqual((self.count("datagrams_refused"), self.count("datagrams_received")), (2000, 0))
        self.assertEqual((self.received, self.reactor.port.written), ([], []))
        self.assertLess(len([line for line in self.said if line.startswith("from")]), 102)

    def test_what_does_not_fit_its_address(self) -> None:
        self.start()
        for datagram, said in (
            (b"", "0 bytes"),
            (b"\0" * 100, "not a datagram of a replica"),
            (self.hello(2), "from replica 2, but at this address is replica 0"),
            (self.datagram(ok()) + b"\xff", "not a frame"),
            (self.datagram(AcceptOK(InstanceId(5, 1), 0)), "an instance of replica 5"),
        ):
            self.arrive(datagram, PEERS[0])
            self.assertIn("from replica 0: a datagram is refused: ", self.said[-1])
            self.assertIn(said, self.said[-1])
        self.arrive(self.datagram(ok(), sender=2), PEERS[0])  # as while a replica restarts: no warning
        self.assertNotIn("greeting", self.said[-1])
        self.assertEqual((self.received, self.count("datagrams_refused")), ([], 6))
        self.assertFalse(self.transport.is_connected(0))

    def test_a_flood_leaves_turns_to_others(self) -> None:
        """After so many datagrams of one turn the port reads no more, until the next."""
        self.start()
        port = self.reactor.port
        for _ in range(3):
            for _ in range(DATAGRAMS_PER_TURN - 1):
                self.arrive(b"", ("10.9.9.9", 1))
            self.assertEqual(port.maxThroughput, 1000)
            self.arrive(b"", ("10.9.9.9", 1))
            self.assertEqual(port.maxThroughput, 0)
            self.reactor.advance(0)
            self.assertEqual(port.maxThroughput, 1000)
        self.arrive(b"", ("10.9.9.9", 1))
        self.reactor.advance(0)
        self.assertEqual(port.maxThroughput, 1000)


class GreetingTests(Case):
    def kinds(self) -> list[tuple[int, int]]:
        """What was written since the last call: to whom, and which kind."""
        written, self.reactor.port.written = self.reactor.port.written, []
        places = {address: id for id, address in PEERS.items()}
        return [(places[UdpAddress(*address)], datagram[32]) for datagram, address in written]

    def test_again_every_second_until_it_is_answered(self) -> None:
        self.open()
        self.assertEqual(self.kinds(), [(0, HELLO), (2, HELLO)])
        self.reactor.advance(1)
        self.assertEqual(self.kinds(), [(0, HELLO), (2, HELLO)])
        self.arrive(self.answer(0), PEERS[0])
        self.reactor.advance(1)
        self.assertEqual(self.kinds(), [(0, CONTROL), (2, HELLO)])

    def test_nothing_is_sent_or_taken_before(self) -> None:
        self.open()
        self.kinds()
        self.transport.send(0, [(0, ok())])
        self.assertFalse(self.transport.send_control(0, Written(1)))
        self.arrive(self.datagram(ok()), PEERS[0])
        self.assertEqual((self.kinds(), self.received), ([], []))
        self.assertEqual(self.count("datagrams_refused"), 1)
        self.assertFalse(self.transport.is_connected(0))
        self.arrive(self.hello(0), PEERS[0])
        self.assertEqual(self.kinds(), [(0, ANSWER), (0, HELLO)])
        self.arrive(self.datagram(ok()), PEERS[0])
        self.assertEqual(self.received, [(0, [ok()])])
        self.transport.send(0, [(0, ok())])
        self.assertEqual(self.kinds(), [])
        self.arrive(self.answer(0), PEERS[0])
        self.transport.send(0, [(0, ok())])
        self.assertEqual(self.kinds(), [(0, 0)])
        self.assertEqual([number for number, _ in self.heard.met], [0, 0])

    def test_a_process_that_is_new_is_greeted_anew(self) -> None:
        self.start()
        self.arrive(self.hello(0), PEERS[0])
        self.assertEqual(self.kinds(), [(0, ANSWER)], "the same process, whose answer was lost")
        self.arrive(self.hello(0, process=999), PEERS[0])
        self.assertEqual(self.kinds(), [(0, ANSWER), (0, HELLO)])
        self.transport.send(0, [(0, ok())])
        self.assertEqual(self.kinds(), [])
        self.arrive(self.answer(0), PEERS[0])
        self.transport.send(0, [(0, ok())])
        self.assertEqual(self.kinds(), [], "the answer was late: of the process that is gone")
        self.arrive(self.answer(0, process=999), PEERS[0])
        self.transport.send(0, [(0, ok())])
        self.assertEqual(self.kinds(), [(0, 0)])

    def test_who_is_refused_is_told(self) -> None:
        """A wiped folder, whose uid the header of the answer has."""
        self.transport.introduce(myself(1, membership=membership()), self.heard, 1.0)
        self.open()
        self.kinds()
        self.writers[0] = DatagramWriter(PeerIdentity("home", 0, THREE), 555, 1, 1200)
        self.arrive(self.hello(0, uid=555), PEERS[0])
        ((datagram, _),) = self.reactor.port.written
        reader = DatagramReader(PeerIdentity("home", 0, THREE), 555)
        kind, _, _, body = reader.read(datagram)
        self.assertEqual(kind, ANSWER)
        refusal = self.assertRaises(Refused, check_answer, body)
        self.assertEqual(refusal.kind, Refusal.WIPED)
        self.assertFalse(self.transport.is_connected(0))
        self.assertEqual(self.heard.met, [])

    def test_a_replica_that_is_refused_hears_why_it_is_wrong(self) -> None:
        self.open()
        self.arrive(self.answer(0, refuse("no", Refusal.OTHER, Accepted(introduction(0)))), PEERS[0])
        self.assertEqual(self.heard.wrong, [])
        self.arrive(self.answer(0, refuse("no", Refusal.WIPED, Accepted(introduction(0)))), PEERS[0])
        (line,) = self.heard.wrong
        self.assertIn("replica 1 was here before under another uid, says replica 0", line)

    def test_silence_is_told(self) -> None:
        self.start()
        self.assertEqual(self.heard.lost, [])
        self.reactor.advance(1)
        self.assertEqual(self.heard.lost, [0, 2])

    def test_a_datagram_of_an_older_version(self) -> None:
        self.start()
        datagram = self.datagram(ok())
        self.arrive(datagram[:4] + b"\x01" + datagram[5:], PEERS[0])
        self.assertIn("over UDP, stop all replicas, then start all with the same version", self.said[-1])

    def test_control_messages(self) -> None:
        self.start()
        self.assertTrue(self.transport.send_control(0, Founded(membership())))
        for control in (Founded(membership()), Written(50)):
            (datagram,) = self.writers[0].write_one(encode_control(control), CONTROL)
            self.arrive(datagram, PEERS[0])
        self.assertEqual(self.heard.controls, [(0, Founded(membership()))])
        self.arrive(self.hello(0, process=3, written=49), PEERS[0])
        self.assertIn("at write 49, and has said that it was at write 50", self.said[-1])

    def test_a_control_message_of_a_later_version(self) -> None:
        self.start()
        (datagram,) = self.writers[0].write_one(b"\xa2\x06\x02ab", CONTROL)
        self.arrive(datagram, PEERS[0])
        self.assertEqual((self.count("datagrams_refused"), self.heard.controls), (1, []))
        self.arrive(self.datagram(ok()), PEERS[0])
        self.assertEqual(self.received, [(0, [ok()])])


class TransferTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.got: list[tuple[int, Control]] = []
        self.start()
        self.transport._control = lambda sender, control: self.got.append((sender, control))
        self.reactor.port.written.clear()

    def sent(self, control: Control) -> list[bytes]:
        """The datagrams in which it is sent to replica 0."""
        self.assertTrue(self.transport.send_control(0, control))
        written, self.reactor.port.written = self.reactor.port.written, []
        return [datagram for datagram, _ in written]

    def test_a_piece_fits_in_one_datagram(self) -> None:
        """With the largest numbers that it may have, whatever the longest datagram is."""
        limit = NUMBER_LIMIT - 1
        for datagram_bytes in (1200, 60_000, 65_507):
            size = piece_bytes_max(datagram_bytes)
            piece = encode_control(Piece(limit, True, limit - size, bytes(size)))
            self.assertLessEqual(len(piece), body_bytes_max(datagram_bytes))
            self.assertLessEqual(size, PIECE_BYTES_MAX)
        size = self.transport.piece_bytes_max
        self.assertEqual(size, piece_bytes_max(SETTINGS.datagram_bytes_max))
        self.assertEqual(len(self.sent(Piece(limit, True, limit - size, bytes(size)))), 1)

    def test_a_long_offer_comes_in_several(self) -> None:
        offer = StateOffer(
            membership()._replace(number=1),
            InstanceId(0, 1),
            membership(),
            (0, 0, 0),
            tuple(InstanceId(1, 2 * slot) for slot in range(1, 5000)),
            (),
        )
        sent = self.sent(offer)
        self.assertGreater(len(sent), 5)
        datagrams = list(self.writers[0].write_one(encode_control(offer), CONTROL))
        for datagram in (*datagrams[1:], datagrams[0]):
            self.arrive(datagram, PEERS[0])
        self.assertEqual(self.got, [(0, offer)])

    def test_what_is_too_long_is_dropped(self) -> None:
        ids = tuple(InstanceId(1, NUMBER_LIMIT - slot) for slot in range(1, LONG_MESSAGE_BYTES_MAX // 9))
        offer = StateOffer(
            membership()._replace(number=1), InstanceId(0, 1), membership(), (0, 0, 0), ids, ()
        )
        self.assertFalse(self.transport.send_control(0, offer))
        self.assertEqual(self.reactor.port.written, [])
        self.assertIn("bytes is dropped", self.said[-1])

    def test_to_a_version_that_knows_of_no_transfer(self) -> None:
        self.arrive(self.hello(0), PEERS[0])
        self.assertTrue(self.transport.speaks_epochs(0))
        self.arrive(self.hello(0, wire=2), PEERS[0])
        self.assertFalse(self.transport.send_control(0, StateAsk(1)))
        self.assertTrue(self.transport.send_control(0, Standing(1, 1)))
        self.assertFalse(self.transport.speaks_epochs(0))

    def test_nothing_waits(self) -> None:
        self.assertEqual([self.transport.backlog_bytes(replica) for replica in (0, 2, 9)], [0, 0, 0])
