"""Who is refused, and what the two sides say to each other."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.transport.handshake import (
    HANDSHAKE_BYTES_MAX,
    VERSION,
    WHOEVER,
    PeerIdentity,
    Refused,
    accept,
    check_answer,
    examine,
    greet,
    refuse,
)
from epaxos.transport.introductions import WIRE, Accepted, Introduction
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.codec import WireError
from tests.builds import plain_only

HERE = PeerIdentity("home", 1, Epoch.first(3))


def hello(**changes: Any) -> bytes:
    """What replica 0 says to replica 1, with changes."""
    fields: dict[str, Any] = {
        "protocol": "epaxos",
        "version": VERSION,
        "cluster": "home",
        "replicas": 3,
        "sender": 0,
        "receiver": 1,
    }
    return wire.Hello(**{**fields, **changes}).SerializeToString()


JOINS = {"introduction": wire.Introduction(uid=1, process=1, joins=True)}


class GreetingTests(SynchronousTestCase):
    def test_the_right_one_is_known_by_its_id(self) -> None:
        for sender in (0, 2):
            greeting = greet(PeerIdentity("home", sender, Epoch.first(3)), 1)
            self.assertEqual(examine(HERE, greeting), (sender, 1, None))
        self.assertEqual(greet(PeerIdentity("home", 0, Epoch.first(3)), 1), hello())

    def test_who_is_refused(self) -> None:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"version": VERSION + 1}, "protocol version 2, here it is 1"),
            ({"version": VERSION + 1, "cluster": "away"}, "protocol version"),
            ({"cluster": "away"}, "cluster 'away', here it is 'home'"),
            ({"cluster": "\x1b[2J\n"}, r"cluster '\x1b[2J\n'"),
            ({"replicas": 5}, "a cluster of 5 replicas, here it has 3"),
            ({"receiver": 2}, "looking for replica 2, here is 1"),
            ({"sender": 1}, "the dialler says that it is replica 1"),
            ({"sender": 3}, "no replica 3"),
            ({"sender": 2**31, **JOINS}, "replica 2147483648, and the highest number is 2147483647"),
            ({"sender": WHOEVER, **JOINS}, "replica 4294967295, and the highest"),
        ]
        for changes, text in cases:
            refusal = self.assertRaises(Refused, examine, HERE, hello(**changes))
            self.assertIn(text, str(refusal))

    def test_who_is_not_even_answered(self) -> None:
        nowhere = {"introduction": wire.Introduction(uid=1, process=1, address="tcp:a\x1b[2J")}
        for greeting in (
            b"",
            b"\xff\xff",
            hello(protocol="raft"),
            b"\x0a\x01\xff",
            hello(**nowhere),
        ):
            self.assertRaises(WireError, examine, HERE, greeting)

    @plain_only  # a compiled epoch takes nothing but a tuple of members
    def test_a_greeting_fits_its_bound(self) -> None:
        longest = PeerIdentity("é" * 127, 2**31, Epoch(0, range(2**32 - 1)))  # type: ignore[arg-type]
        who = Introduction(2**64 - 1, 2**64 - 1, 2**128 - 1, 2**63 - 1, True, WIRE, True, "é" * 128)
        self.assertLess(len(greet(longest, 2**32 - 2, who)), HANDSHAKE_BYTES_MAX)
        self.assertLess(
            len(refuse("x" * 200, 7, Accepted(who, 2**63, 2**64 - 1, 2**31))), HANDSHAKE_BYTES_MAX
        )


class AnswerTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        check_answer(accept())

    def test_refused_with_the_reason(self) -> None:
        cases = [
            (refuse("wrong cluster"), "wrong cluster"),
            (refuse("\x1b[2J\n"), r"\x1b[2J\n"),
            (refuse(""), "no reason given"),
            (refuse("é" * 5000), r"\xe9" * 200),
        ]
        for answer, text in cases:
            self.assertLess(len(answer), HANDSHAKE_BYTES_MAX)
            self.assertEqual(str(self.assertRaises(Refused, check_answer, answer)), text)

    def test_no_answer(self) -> None:
        for answer in (b"", b"\xff", wire.Answer(protocol="raft", accepted=True).SerializeToString()):
            self.assertRaises(WireError, check_answer, answer)


class IdentityTests(SynchronousTestCase):
    def test_who_cannot_be(self) -> None:
        cases = [("", 0, 1), ("x" * 256, 0, 1), ("home", 3, 3), ("home", -1, 3), ("home", 0, 0)]
        for cluster, replica, n in cases:
            self.assertRaises(ValueError, PeerIdentity, cluster, replica, Epoch(0, tuple(range(n))))
