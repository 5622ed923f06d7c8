"""The receiving side of the TCP transport: greetings, frames, strangers."""

from __future__ import annotations

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import Waiting
from epaxos.transport.handshake import PeerIdentity, greet
from epaxos.wire.codec import encode
from epaxos.wire.frames import pack
from tests.transport.lab import (
    ID,
    LogCase,
    TransportLab,
    ok,
)


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
        self.assertIn("3 others are in their handshake", self.warnings[0])
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
