"""The parts of the client that need no socket."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.client.commands import LONG_BYTES, NAMES_MAX, SHORT_BYTES, CommandTable, Kind, check, kept_bytes
from epaxos.client.contact import Manner
from epaxos.client.contacts import Contacts
from epaxos.client.errors import UnavailableError
from epaxos.client.nearest import Distance, nearest
from epaxos.client.pauses import PAUSE_FIRST_S, PAUSE_HURRIED_MAX_S, PAUSE_MAX_S, Pauses
from epaxos.client.places import Place, place_of, places_in, places_of_members
from epaxos.client.sessions import KEPT_BYTES_MAX, Session, Sessions
from epaxos.client.silence import BYTES_PER_S, Silence
from epaxos.config.client_address import ClientAddress
from epaxos.config.example import example
from epaxos.ctl.ini import ini_of
from epaxos.ctl.members import Member
from epaxos.interfaces import CommandError, SimpleString
from epaxos.statemachines.once.replies import REPLY_BYTES_MAX, encode_reply
from epaxos.statemachines.once.sessions import KEPT_BYTES, SESSION_BYTES_MAX


class _Placed:
    def __init__(self, *round_trips_s: float) -> None:
        self.distance = Distance()
        for round_trip_s in round_trips_s:
            self.distance.add(round_trip_s)


class NearestTests(SynchronousTestCase):
    def test_the_average(self) -> None:
        self.assertEqual(_Placed(0.08).distance.mean_s, 0.08)
        self.assertAlmostEqual(_Placed(0.08, 0.04).distance.mean_s, 0.07)

    def test_the_choice(self) -> None:
        far, near, as_near, local, as_local = map(_Placed, (0.1, 0.01, 0.009, 0.0005, 0.0001))
        for ready, chosen, choice in (
            ([], None, None),
            ([], near, None),
            ([far, near], None, near),
            ([far, near], far, near),
            ([far, near], near, near),
            ([near, as_near], near, near),  # not by enough
            ([local, as_local], local, local),  # noise
            ([far], near, far),
        ):
            self.assertIs(nearest(ready, chosen), choice)


class PausesTests(SynchronousTestCase):
    def test_they_double_up_to_a_bound(self) -> None:
        pauses = Pauses(Random(1))
        expected = [min(PAUSE_FIRST_S * 2**step, PAUSE_MAX_S) for step in range(12)]
        for full in expected:
            self.assertTrue(full / 2 <= pauses.take(False) <= full)
        self.assertLessEqual(pauses.take(True), PAUSE_HURRIED_MAX_S)
        pauses.reset()
        self.assertLessEqual(pauses.take(False), PAUSE_FIRST_S)


class SessionTests(SynchronousTestCase):
    def test_what_is_acknowledged(self) -> None:
        session = Session(b"s")
        numbers = [session.begin(100) for _ in range(4)]
        self.assertEqual(numbers, [1, 2, 3, 4])
        for over, acked in ((2, 0), (4, 0), (1, 2), (3, 4)):
            session.end(over)
            self.assertEqual(session.acked, acked)

    def test_what_is_kept(self) -> None:
        """What stands behind a write that is under way is kept, whether it is over or not."""
        session = Session(b"s")
        size = KEPT_BYTES_MAX // 4
        for _ in range(4):
            self.assertTrue(session.has_room(size))
            session.begin(size)
        self.assertFalse(session.has_room(1))
        session.end(2)
        self.assertFalse(session.has_room(1))
        session.end(1)
        self.assertTrue(session.has_room(2 * size))
        self.assertFalse(session.has_room(2 * size + 1))

    def test_first_come_first_served(self) -> None:
        made: list[Deferred[bytes]] = []
        sessions = Sessions(lambda: made.append(Deferred()) or made[-1])  # type: ignore[func-returns-value]
        first, second, third = (sessions.take(SHORT_BYTES) for _ in range(3))
        self.assertEqual(len(made), 1)
        second.cancel()
        self.failureResultOf(second)
        made[0].callback(b"s")
        self.assertEqual([self.successResultOf(ticket).number for ticket in (first, third)], [1, 2])

    def test_a_session_that_cannot_be_made(self) -> None:
        made: list[Deferred[bytes]] = []
        sessions = Sessions(lambda: made.append(Deferred()) or made[-1])  # type: ignore[func-returns-value]
        waiting = [sessions.take(SHORT_BYTES), sessions.take(SHORT_BYTES)]
        made[0].errback(UnavailableError("no"))
        for ticket in waiting:
            self.failureResultOf(ticket, UnavailableError)
        sessions.take(SHORT_BYTES)
        self.assertEqual(len(made), 2)

    def test_a_session_that_is_forgotten(self) -> None:
        made: list[Deferred[bytes]] = []
        sessions = Sessions(lambda: made.append(Deferred()) or made[-1])  # type: ignore[func-returns-value]
        ticket = sessions.take(SHORT_BYTES)
        made[0].callback(b"s")
        old = self.successResultOf(ticket).session
        sessions.forget(old)
        again = sessions.take(SHORT_BYTES)
        made[1].callback(b"t")
        sessions.forget(old)  # by another write of the same session
        self.assertEqual(self.successResultOf(again)[1:], (1,))
        self.assertIsNotNone(sessions.session)


class SilenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.silent_at: list[float] = []
        self.silence = Silence(self.clock, 1.0, lambda: self.silent_at.append(self.clock.seconds()))

    def advance(self, seconds: float) -> None:
        self.clock.pump([0.01] * round(seconds * 100))

    def test_nothing_is_owed(self) -> None:
        self.advance(5)
        self.silence.sent(1)
        self.silence.heard(1)
        self.advance(5)
        self.assertEqual((self.silent_at, self.clock.getDelayedCalls()), ([], []))

    def test_no_answer(self) -> None:
        self.advance(3)
        self.silence.sent(100)
        self.advance(0.9)
        self.assertEqual(self.silent_at, [])
        self.advance(0.2)
        self.assertTrue(4 <= self.silent_at[0] < 4.05)

    def test_whatever_is_heard_counts(self) -> None:
        self.silence.sent(100)
        for _ in range(5):
            self.advance(0.8)
            self.silence.heard(0)
        self.assertEqual(self.silent_at, [])
        self.advance(1.1)
        self.assertEqual(len(self.silent_at), 1)

    def test_a_long_command_takes_its_time(self) -> None:
        self.silence.sent(3 * BYTES_PER_S)
        self.advance(3.9)
        self.assertEqual(self.silent_at, [])
        self.advance(0.2)
        self.assertEqual(len(self.silent_at), 1)

    def test_what_comes_while_this_process_stands_still(self) -> None:
        """The timer is late, and the answer lies in the socket, which is read in the next turn."""
        self.silence.sent(1)
        self.clock.callLater(9.5, self.silence.heard, 0)  # behind the timer, and before what it sets
        self.clock.advance(10)
        self.assertEqual(self.silent_at, [])
        self.advance(1.1)
        self.assertEqual(len(self.silent_at), 1)

    def test_stopped(self) -> None:
        self.silence.sent(1)
        self.silence.stop()
        self.advance(5)
        self.assertEqual((self.silent_at, self.clock.getDelayedCalls()), ([], []))


class _Refusing:
    """An endpoint at which nobody listens; `tries` counts who comes."""

    tries = 0

    def connect(self, factory: object) -> Deferred[Any]:
        self.tries += 1
        return fail(ConnectionRefusedError("nobody listens"))


class ContactsTests(SynchronousTestCase):
    def test_a_replica_is_tried_sooner_while_a_call_waits(self) -> None:
        clock, endpoint = Clock(), _Refusing()
        manner = Manner(clock, Random(1), "", 1.0)
        place = Place("a", cast(Any, endpoint))
        contacts = Contacts(clock, [place], manner, CommandTable(), learns=False)
        contacts.start()
        clock.pump([0.1] * 600)
        tries = endpoint.tries
        self.assertLess(tries, 60 / PAUSE_MAX_S * 2 + 10)
        while endpoint.tries == tries:  # a pause begins
            clock.advance(0.1)

        tries = endpoint.tries
        waiting = contacts.change()
        clock.pump([0.1] * 6)
        self.assertEqual(endpoint.tries, tries + 1)
        clock.pump([0.1] * 50)
        self.assertGreaterEqual(endpoint.tries, tries + 9)
        self.assertIn("a: nobody listens", contacts.why())

        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertFalse(contacts.is_needed())
        self.successResultOf(contacts.stop())
        self.assertEqual(clock.getDelayedCalls(), [])


class CommandTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        table = CommandTable()
        self.assertIs(table.kind([b"GET", b"a"]), Kind.WRITE)  # as long as nothing is known
        table.learn([[b"get", 2, [b"readonly"], 1, 1, 1], [b"epaxos", -2, [b"admin"], 0, 0, 0], [b"x"], 1])
        for name, kind in (
            (b"gEt", Kind.READ),
            (b"EPAXOS", Kind.LOCAL),
            (b"X", Kind.WRITE),
            (b"ping", Kind.READ),
        ):
            self.assertIs(table.kind([name]), kind)
        table.learn(UnavailableError("no table"))
        self.assertIs(table.kind([b"GET", b"a"]), Kind.WRITE)

    def test_what_once_refuses_is_bounded(self) -> None:
        table = CommandTable()
        for number in range(NAMES_MAX + 10):
            table.refused_by_once([b"%d" % number])
        self.assertIs(table.kind([b"0"]), Kind.LOCAL)
        self.assertIs(table.kind([b"%d" % (NAMES_MAX + 1)]), Kind.WRITE)

    def test_how_much_of_a_reply_is_kept(self) -> None:
        for command, size in (
            ("INCR n", SHORT_BYTES),
            ("set a get", SHORT_BYTES),
            ("SET a b NX get", LONG_BYTES),
            ("GETDEL a", LONG_BYTES),
            ("UNHEARD OF", LONG_BYTES),
        ):
            self.assertEqual(kept_bytes([word.encode() for word in command.split()]), size, command)

    def test_the_cluster_keeps_as_much(self) -> None:
        self.assertEqual(KEPT_BYTES_MAX, SESSION_BYTES_MAX)
        self.assertEqual(LONG_BYTES, REPLY_BYTES_MAX + KEPT_BYTES)
        longest = CommandError("WRONGTYPE Operation against a key holding the wrong kind of value")
        for reply in (SimpleString("OK"), -(2**63), longest):
            encoded = encode_reply(reply)
            assert encoded is not None
            self.assertLessEqual(len(encoded) + KEPT_BYTES, SHORT_BYTES)

    def test_what_is_refused(self) -> None:
        for words in (["get", "a"], ["XREAD", "COUNT", "1"], ["EPAXOS", "STATUS"], ["PUBLISH", "a", "b"]):
            check([word.encode() for word in words])
        for words in (["watch", "a"], ["XREADGROUP", "a", "block", "0"], ["epaxos", "session"], [], [""]):
            self.assertRaises(ValueError, check, [word.encode() for word in words])


class PlacesTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        for text, name, address in (
            ("127.0.0.1:7100", "localhost:7100", ClientAddress("127.0.0.1", 7100)),
            ("localhost:7100", "localhost:7100", ClientAddress("localhost", 7100)),
            ("[::1]:7100", "localhost:7100", ClientAddress("::1", 7100)),
            ("db.example:7100", "db.example:7100", ClientAddress("db.example", 7100)),
            ("./r.sock", "./r.sock", ClientAddress("", path="./r.sock")),
            ("tcp:127.0.0.1:7100", "tcp:127.0.0.1:7100", None),
            ("unix:/a/b", "unix:/a/b", None),
        ):
            place = place_of(reactor, text)
            self.assertEqual((place.name, place.address), (name, address))
        for text in ("", "host", "host:0", ":7100", "tcp:a", "tcp:a:b:c:d", "nonsense:a:1"):
            self.assertRaises(ValueError, place_of, reactor, text)

    def test_members(self) -> None:
        reply = [
            [0, b"tcp:127.0.0.1:7000", b"tcp:7100:interface=127.0.0.1", b"", b"here"],
            [1, b"tcp:10.0.0.2:7000", b"tcp:7101", b"", b"up", b"a field of a later version"],
            [2, b"tcp:127.0.0.1:7002", b"tcp:7102", b"", b"down"],
            [3, b"tcp:127.0.0.1:7003", b"ssl:7103:privateKey=k", b"", b"up"],
            [4],
            None,
        ]
        places = places_of_members(reactor, reply, ClientAddress("db", 7100))
        self.assertEqual([place.name for place in places], ["localhost:7100", "10.0.0.2:7101", "db:7102"])
        self.assertEqual(list(places_of_members(reactor, None, ClientAddress("db", 7100))), [])

    def test_a_configuration(self) -> None:
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(example(3, 7000, data="data") + "\n[security]\nrequirepass = secret\n")
        self.assertEqual(places_in(path), ([f"127.0.0.1:{7100 + id}" for id in range(3)], "secret"))

    def test_a_configuration_of_later_members(self) -> None:
        """As `epaxosctl members --ini` prints it: with a gap, and where clients reach each of them."""
        members = [
            Member(0, "tcp:10.0.0.1:7000", "tcp:db.example:6379", "", "here"),
            Member(4, "tcp:10.0.0.5:7000", "tcp:10.0.0.5:6379", "tcp:10.0.0.5:7200", "connected"),
        ]
        members[0].status = "tcp:10.0.0.1:7200"
        path = Path(self.mktemp())
        path.write_text(ini_of("a", "kv", 7, members))
        self.assertEqual(places_in(path), (["db.example:6379", "10.0.0.5:6379"], ""))
