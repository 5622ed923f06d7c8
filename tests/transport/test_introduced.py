"""Links whose two ends introduce themselves: frames with epochs, control messages, who is refused."""

from __future__ import annotations

from epaxos.protocol.values.control import Control, EpochIs, Founded, Standing, Written
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.transfer import Piece, StateAsk
from epaxos.transport.handshake import PeerIdentity, accept, check_answer, examine, greet, refuse
from epaxos.transport.introductions import Accepted, Introduction, Refusal, Refused
from epaxos.transport.link import LinkState
from epaxos.wire.codec import decode_frame, encode
from epaxos.wire.control import decode_control, encode_control
from epaxos.wire.frames import CONTROL, FrameReader, pack, pack_tagged
from tests.transport.lab import LogCase, TransportLab, Wire, introduction, membership, myself, ok

THREE = Epoch.first(3)


class Lab(TransportLab):
    """Replica 1 of 3, which introduces itself."""

    def __init__(self, written: int = 0) -> None:
        super().__init__(me=myself(1, written, membership=membership()))

    def greeted(self, sender: int, who: Introduction | None) -> Wire:
        """A connection on which `sender` has greeted."""
        wire = self.stranger()
        wire.receive(pack([greet(PeerIdentity("home", sender, THREE), 1, who)], 1024))
        return wire

    def answered(self, peer: int, answer: bytes) -> Wire:
        """A connection to `peer`, which has answered."""
        wire = self.endpoints[peer].succeed()
        wire.receive(pack([answer], 1024))
        wire.writes.clear()
        return wire

    def state(self, peer: int) -> LinkState:
        return self.transport._links[peer].state


def answer_of(wire: Wire) -> Accepted:
    (frame,) = FrameReader(1024).feed(wire.writes[-1])
    return check_answer(frame)


class IncomingTests(LogCase):
    def test_both_say_who_they_are(self) -> None:
        lab = Lab(written=9)
        wire = lab.greeted(0, introduction(0, written=4))
        self.assertEqual(answer_of(wire), Accepted(introduction(1, uuid=7, written=9)))
        self.assertEqual(lab.heard.met, [(0, introduction(0, written=4))])
        wire.receive(pack_tagged([encode_control(Written(6))], CONTROL, 500))
        wire.lose()
        wire = lab.greeted(0, introduction(0, written=6, process=3))
        self.assertEqual(answer_of(wire), Accepted(introduction(1, uuid=7, written=9), 6, 200))

    def test_a_frame_has_its_epoch(self) -> None:
        """The messages of each epoch are handed over apart, and a number that no epoch has ends it."""
        lab = Lab()
        wire = lab.greeted(0, introduction(0))
        frames = [pack_tagged([encode(ok(ballot))], epoch, 500) for ballot, epoch in ((1, 0), (2, 1), (3, 0))]
        wire.receive(b"".join(frames))
        self.assertEqual(lab.received, [(0, [ok(1)]), (0, [ok(2)]), (0, [ok(3)])])
        self.assertEqual(lab.epochs, [0, 1, 0])
        self.assertIsNone(wire.closed)
        wire.receive(pack_tagged([b""], 2**31, 500))
        self.assertEqual(wire.closed, "aborted")
        self.assertIn("a frame of epoch 2147483648", self.warnings[-1])

    def test_control_messages(self) -> None:
        lab = Lab()
        wire = lab.greeted(0, introduction(0))
        control = pack_tagged([encode_control(Founded(membership()))], CONTROL, 500)
        wire.receive(pack_tagged([encode(ok(1))], 0, 500) + control + pack_tagged([encode(ok(2))], 0, 500))
        self.assertEqual(lab.heard.controls, [(0, Founded(membership()))])
        self.assertEqual(lab.received, [(0, [ok(1)]), (0, [ok(2)])])
        wire.receive(pack_tagged([b"\xff\xff"], CONTROL, 500))
        self.assertEqual(wire.closed, "aborted")

    def test_a_control_message_of_a_later_version(self) -> None:
        """It is dropped, and what comes with it is not."""
        lab = Lab()
        wire = lab.greeted(0, introduction(0))
        later = pack_tagged([b"\xa2\x06\x02ab"], CONTROL, 500)
        wire.receive(later + pack_tagged([encode_control(Founded(membership()))], CONTROL, 500))
        self.assertEqual(lab.heard.controls, [(0, Founded(membership()))])
        self.assertIsNone(wire.closed)

    def test_who_gets_a_control_message(self) -> None:
        """What is of the first start goes to who hears of others, everything else to the node."""
        lab = Lab()
        got: list[tuple[int, Control]] = []
        lab.transport._control = lambda sender, control: got.append((sender, control))
        wire = lab.greeted(0, introduction(0))
        controls: list[Control] = [
            Standing(1, 1),
            StateAsk(4),
            Piece(1, True, 0, b"x"),
            EpochIs(membership()),
        ]
        for control in [*controls, Founded(membership()), Written(9)]:
            wire.receive(pack_tagged([encode_control(control)], CONTROL, 500))
        self.assertEqual(got, [(0, control) for control in controls])
        self.assertEqual(lab.heard.controls, [(0, Founded(membership()))])

    def test_an_older_version(self) -> None:
        """It is known by its number alone, and speaks as it always did."""
        lab = Lab()
        wire = lab.greeted(0, None)
        self.assertIsNotNone(answer_of(wire).by)
        wire.receive(pack([encode(ok(1)), encode(ok(2))], 500))
        self.assertEqual(lab.received, [(0, [ok(1), ok(2)])])
        self.assertEqual(lab.heard.met, [(0, None)])

    def test_a_wiped_folder(self) -> None:
        lab = Lab()
        wire = lab.greeted(0, introduction(0, uid=5, unfounded=True))
        refusal = self.assertRaises(Refused, answer_of, wire)
        self.assertEqual((refusal.kind, wire.closed), (Refusal.WIPED, "flushed"))
        assert refusal.told is not None
        self.assertEqual(refusal.told.by, introduction(1, uuid=7))
        self.assertEqual((lab.heard.met, lab.connections), ([], []))
        self.assertIn("from replica 0: refused: replica 0 was here before", self.warnings[-1])

    def test_two_processes(self) -> None:
        """The first goes on speaking: both are refused, and the connection of the first ends."""
        lab = Lab()
        first = lab.greeted(0, introduction(0))
        kinds = []
        for _ in range(3):
            second = lab.greeted(0, introduction(0, process=9))
            kinds.append(self.assertRaises(Refused, answer_of, second).kind)
            lab.clock.advance(0.5)
            if first.closed is None:
                first.receive(pack_tagged([encode(ok())], 0, 500))
        self.assertEqual(kinds, [Refusal.LATER, Refusal.LATER, Refusal.DOUBLED])
        self.assertEqual(first.closed, "aborted")
        again = lab.greeted(0, introduction(0))
        self.assertEqual(self.assertRaises(Refused, answer_of, again).kind, Refusal.DOUBLED)

    def test_whoever_speaks_before_the_answer(self) -> None:
        lab = Lab()
        wire = lab.stranger()
        hello = pack([greet(PeerIdentity("home", 0, THREE), 1, introduction(0))], 1024)
        wire.receive(hello + b"\0")
        self.assertEqual(wire.closed, "aborted")
        self.assertIn("it spoke before its greeting was answered", self.warnings[-1])


class OutgoingTests(LogCase):
    def test_what_is_sent(self) -> None:
        lab = Lab(written=3)
        wire = lab.endpoints[0].succeed()
        (greeting,) = FrameReader(1024).feed(wire.writes[0])
        said = examine(PeerIdentity("home", 0, THREE), greeting)
        self.assertEqual(said, (1, 0, introduction(1, uuid=7, written=3)))
        wire.receive(pack([accept(Accepted(introduction(0)))], 1024))
        wire.writes.clear()
        lab.transport.send(0, [(0, ok(1)), (0, ok(2))])
        self.assertTrue(lab.transport.send_control(0, Standing(1, 0)))
        self.assertFalse(lab.transport.send_control(2, Standing(1, 0)), "it is not connected")
        reader = FrameReader(504)
        ((epoch, frame), (tag, control)) = reader.feed_tagged(b"".join(wire.writes))
        self.assertEqual((epoch, decode_frame(frame, THREE)), (0, [ok(1), ok(2)]))
        self.assertEqual((tag, decode_control(control)), (CONTROL, Standing(1, 0)))
        self.assertEqual(lab.heard.met, [(0, introduction(0))])

    def test_its_writes_are_told_again_and_again(self) -> None:
        lab = Lab(written=3)
        wire = lab.answered(0, accept(Accepted(introduction(0))))
        lab.clock.advance(0.5)
        ((tag, control),) = FrameReader(504).feed_tagged(wire.writes[-1])
        self.assertEqual((tag, decode_control(control)), (CONTROL, Written(3)))

    def test_to_an_older_version(self) -> None:
        """As it always was, and no new kind of message."""
        lab = Lab()
        wire = lab.answered(0, accept())
        lab.transport.send(0, [(0, ok(1))])
        self.assertFalse(lab.transport.send_control(0, Standing(1, 0)))
        lab.clock.advance(1)
        self.assertEqual([lab.messages(write) for write in wire.writes], [[[ok(1)]]])
        self.assertEqual(lab.heard.met, [(0, None)])
        self.assertFalse(lab.transport._links[0].send([encode(ok())], 1), "an epoch that it does not know")

    def test_to_a_version_that_knows_of_no_transfer(self) -> None:
        """A message of a transfer would end the connection there, and it could not follow over a turn."""
        for form, may in ((2, False), (3, True)):
            lab = Lab()
            lab.answered(0, accept(Accepted(introduction(0, wire=form))))
            self.assertTrue(lab.transport.send_control(0, Standing(1, 0)))
            sent = [
                lab.transport.send_control(0, control) for control in (StateAsk(1), Piece(1, True, 0, b""))
            ]
            self.assertEqual(sent, [may, may])
            self.assertEqual(lab.transport.speaks_epochs(0), may)

    def test_what_waits_to_be_sent(self) -> None:
        lab = Lab()
        wire = lab.answered(0, accept(Accepted(introduction(0))))
        self.assertEqual([lab.transport.backlog_bytes(replica) for replica in (0, 2, 9)], [0, 0, 0])
        assert wire.producer is not None
        wire.producer.pauseProducing()
        lab.transport.send_control(0, Piece(1, True, 0, bytes(200)))
        self.assertEqual(lab.transport.backlog_bytes(0), lab.transport.counters()["send_queue_bytes"])
        self.assertGreater(lab.transport.backlog_bytes(0), 200)
        self.assertEqual(lab.transport.backlog_bytes(2), 0)

    def test_a_refusal_that_stops_it(self) -> None:
        lab = Lab()
        lab.answered(0, refuse("no", Refusal.WIPED, Accepted(introduction(0, uuid=7))))
        (line,) = lab.heard.wrong
        self.assertIn("replica 1 was here before under another uid, says replica 0", line)
        self.assertIs(self.state(lab), LinkState.WAITING)

    def state(self, lab: Lab) -> LinkState:
        return lab.state(0)

    def test_a_refusal_that_does_not(self) -> None:
        lab = Lab()
        lab.answered(0, refuse("no"))
        lab.answered(2, refuse("no", Refusal.LATER, Accepted(introduction(2))))
        self.assertEqual(lab.heard.wrong, [])

    def test_somebody_else_answers(self) -> None:
        """A wiped folder at the address: nothing is sent there."""
        lab = Lab()
        wire = lab.answered(0, accept(Accepted(introduction(0, uid=5))))
        self.assertEqual(wire.closed, "aborted")
        self.assertFalse(lab.transport.is_connected(0))
        self.assertEqual((lab.heard.met, lab.connections, lab.heard.wrong), ([], [], []))
        self.assertIn("replica 0 was here before under another uid", self.warnings[-1])
        lab.clock.advance(0.2)
        self.assertTrue(lab.endpoints[0].waiting)

    def test_a_folder_older_than_what_it_said(self) -> None:
        lab = Lab(written=3)
        lab.answered(0, accept(Accepted(introduction(0), 4, 8)))
        self.assertIn("replica 0 has heard of its write 4, and it holds 3", lab.heard.wrong[0])


class OrderTests(LogCase):
    def test_open_before_start(self) -> None:
        """Control messages and who is there are heard before the node starts; messages are dropped until
        then, and the node is told afterwards who is there."""
        lab = Lab.__new__(Lab)
        TransportLab.__init__(lab, me=myself(1, unfounded=True), opens_only=True)
        wire = lab.greeted(0, introduction(0, unfounded=True))
        wire.receive(pack_tagged([encode(ok())], 0, 500))
        wire.receive(pack_tagged([encode_control(Founded(membership()))], CONTROL, 500))
        self.assertEqual((lab.received, lab.connections), ([], []))
        self.assertEqual(lab.heard.controls, [(0, Founded(membership()))])
        lab.start()
        self.assertEqual(lab.connections, [(0, True)])
        wire.receive(pack_tagged([encode(ok())], 0, 500))
        self.assertEqual(lab.received, [(0, [ok()])])
        wire.lose()
        lab.endpoints[0].fail()
        self.assertEqual((lab.connections[1:], lab.heard.lost), ([(0, False)], [0]))
        self.successResultOf(lab.transport.stop())
        self.assertEqual(lab.clock.getDelayedCalls(), [])
