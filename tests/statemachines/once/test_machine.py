"""What a numbered command does: it runs once, wherever and however often it is sent."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import (
    CommandError,
    ICountsKeys,
    IReadsBefore,
    IReplays,
    IRestoresInParts,
    IStateMachine,
    IStepwise,
    Ready,
    RunAgain,
)
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import decode_columns
from epaxos.statemachines.once.commands import NOT_INSIDE
from epaxos.statemachines.once.keys import COMMON, PREFIX, key_of
from epaxos.statemachines.once.sessions import SESSION_BYTES_MAX, SESSIONS_MAX, Sessions
from epaxos.statemachines.printer import Printer
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.wire.batch import decode_batch, encode_batch
from tests.node.lab import Log
from tests.node.test_reruns import Fading
from tests.statemachines.once.lab import Site, words

UNKNOWN = "0" * 32
NOSESSION = "NOSESSION the session is unknown or has ended: the command may have run, and does not run again"
PASSED = (
    "ONCELOST the number was acknowledged, or too many replies were kept: the command may have run, and does"
    " not run again"
)
TOO_LONG = "ONCELOST the reply was longer than 1024 bytes: the command has run, and does not run again"


class OnceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.session = self.site.session()

    def once(self, number: int, acked: int, command: str) -> object:
        (reply,) = self.site.run(f"EPAXOS ONCE {self.session} {number} {acked} {command}")
        return reply

    def test_it_runs_once(self) -> None:
        self.assertEqual([self.once(1, 0, "INCR a") for _ in range(3)], [1, 1, 1])
        self.assertEqual(self.site.run("GET a"), [b"1"])
        self.assertEqual(self.once(2, 1, "INCR a"), 2)

    def test_numbers_may_come_in_any_order(self) -> None:
        self.assertEqual([self.once(n, 0, "INCR a") for n in (3, 1, 2, 3, 1)], [1, 2, 3, 1, 2])

    def test_what_was_acknowledged_never_runs_again(self) -> None:
        self.once(1, 0, "INCR a")
        self.once(2, 1, "INCR a")
        self.assertEqual(self.once(1, 0, "INCR a"), PASSED)
        self.assertEqual(self.site.run("GET a"), [b"2"])

    def test_a_number_below_an_acknowledged_one_never_runs(self) -> None:
        self.once(5, 4, "INCR a")
        self.assertEqual(self.once(3, 0, "INCR a"), PASSED)
        self.assertEqual(self.site.run("GET a"), [b"1"])

    def test_acknowledging_its_own_reply_is_refused(self) -> None:
        with self.assertRaises(CommandError) as refusal:
            self.site.propose(words(f"EPAXOS ONCE {self.session} 3 3 INCR a"))
        self.assertEqual(str(refusal.exception), PASSED)

    def test_an_unknown_session_runs_nothing_and_none_is_made(self) -> None:
        once = f"EPAXOS ONCE {UNKNOWN} 1 0 INCR a"
        self.assertEqual(self.site.run(once, once, "EXISTS a"), [NOSESSION, NOSESSION, 0])

    def test_the_end_of_a_session(self) -> None:
        end = f"EPAXOS SESSION END {self.session}"
        self.assertEqual(self.site.run(end, end), [1, 0])
        self.assertEqual(self.once(1, 0, "INCR a"), NOSESSION)

    def test_the_end_of_an_idle_session(self) -> None:
        """It ends only if it was not used since the proposer has seen it, whatever clocks say."""
        for clock in (2000, 10):
            ((_, uses),) = self.site.machine.idle(5000, 9)
            self.site.clock = clock
            self.assertEqual(self.once(1, 0, "INCR a"), 1)
            self.assertEqual(self.site.run(f"EPAXOS SESSION END {self.session} {uses}"), [0])
        self.assertEqual(self.site.run(f"EPAXOS SESSION END {self.session} {uses + 1}"), [1])

    def test_a_clock_that_is_behind_does_not_age_a_session(self) -> None:
        self.site.clock = 10
        self.once(1, 0, "INCR a")
        self.assertEqual(self.site.machine.idle(999, 9), [])
        self.assertEqual(self.site.machine.idle(1000, 9), [(bytes.fromhex(self.session), 1)])

    def test_a_long_reply_is_given_once(self) -> None:
        self.site.run(f"SET a {'x' * 1018}", f"SET b {'x' * 1019}")
        self.assertEqual(self.once(1, 0, "GET a"), b"x" * 1018)
        self.assertEqual(self.once(1, 0, "GET a"), b"x" * 1018)
        self.assertEqual(self.once(2, 0, "GETDEL b"), b"x" * 1019)
        self.assertEqual(self.once(2, 0, "GETDEL b"), TOO_LONG)

    def test_an_error_is_a_reply(self) -> None:
        self.site.run("SET a x")
        first = self.once(1, 0, "INCR a")
        self.site.run("DEL a")
        self.assertEqual(self.once(1, 0, "INCR a"), first)
        self.assertIn("ERR value is not an integer", str(first))

    def test_replies_of_all_kinds_are_kept(self) -> None:
        for number, command in enumerate(("SET a 1", "GET a", "GET b", "MGET a b", "TYPE a", "DBSIZE"), 1):
            first = self.once(number, 0, command)
            again = self.once(number, 0, command)
            self.assertEqual((again, type(again)), (first, type(first)), command)

    def test_a_session_keeps_a_bounded_part(self) -> None:
        self.site.run(f"SET a {'x' * 1000}")
        for number in range(1, 21):
            self.assertEqual(self.once(number, 0, "GET a"), b"x" * 1000)
        found = [self.once(number, 0, "GET a") == b"x" * 1000 for number in range(1, 21)]
        self.assertEqual(found, [False] * 13 + [True] * 7)
        self.assertEqual(self.once(1, 0, "GET a"), PASSED)
        (session,) = [
            value for key, value in self.site.state().items() if key == key_of(bytes.fromhex(self.session))
        ]
        self.assertLess(len(session), SESSION_BYTES_MAX)

    def test_a_flush_keeps_sessions(self) -> None:
        self.once(1, 0, "INCR a")
        self.assertEqual(self.site.run("FLUSHALL"), [b"OK".decode()])
        self.assertEqual(self.once(1, 0, "INCR a"), 1)
        self.assertEqual(self.once(2, 0, "FLUSHALL"), "OK")
        self.assertEqual(self.site.run("DBSIZE"), [0])
        self.assertEqual(self.once(3, 0, "INCR a"), 1)

    def test_everything_of_one_batch_in_its_order(self) -> None:
        once = f"EPAXOS ONCE {self.session}"
        replies = self.site.run(
            "SET a 5",
            f"{once} 1 0 INCR a",
            "GET a",
            f"{once} 1 0 INCR a",
            f"{once} 2 0 INCR a",
            "INCR a",
            "GET a",
        )
        self.assertEqual(replies, ["OK", 6, b"6", 6, 7, 8, b"8"])

    def test_a_long_batch_is_run_in_steps(self) -> None:
        commands = words(*(f"EPAXOS ONCE {self.session} {number} 0 INCR a" for number in range(1, 101)))
        batch = self.site.propose(commands)
        steps = list(self.site.machine.apply_in_steps(Ready(InstanceId(0, 9), batch, True)))
        self.assertEqual(steps, [None, None, None, list(range(1, 101))])

    def test_there_are_only_so_many_sessions(self) -> None:
        for _ in range(SESSIONS_MAX - 1):
            self.site.session()
        (refusal,) = self.site.run("EPAXOS SESSION")
        self.assertEqual(
            refusal, f"ERR there are {SESSIONS_MAX} sessions already: no session can begin before one ends"
        )
        self.site.run(f"EPAXOS SESSION END {self.session}")
        self.site.session()


class CheckTests(SynchronousTestCase):
    def refused(self, command: str) -> str:
        with self.assertRaises(CommandError) as refusal:
            Site().propose(words(command))
        return str(refusal.exception)

    def test_what_may_not_stand_inside(self) -> None:
        for name in (*map(bytes.decode, NOT_INSIDE), "epaxos", "watch"):
            text = self.refused(f"EPAXOS ONCE {UNKNOWN} 1 0 {name} SESSION 0")
            self.assertEqual(text, f"ONCEREFUSED '{name}' is not allowed inside EPAXOS ONCE: it was not run")

    def test_what_is_wrong(self) -> None:
        once = f"EPAXOS ONCE {UNKNOWN}"
        digits = "ERR a session has 32 hexadecimal digits"
        for command, text in (
            ("EPAXOS ONCE x 1 0 INCR a", digits),
            (f"EPAXOS ONCE {UNKNOWN}00 1 0 INCR a", digits),
            (f"EPAXOS SESSION END {'é' * 16}", digits),
            (f"{once} x 0 INCR a", "ERR value is not an integer or out of range"),
            (f"{once} -1 -2 INCR a", "ERR value is not an integer or out of range"),
            (f"{once} {2**63} 0 INCR a", "ERR value is not an integer or out of range"),
            (f"{once} 1 0", "ERR wrong number of arguments for 'epaxos|once' command"),
            (f"{once} 1 0 INCR", "ERR wrong number of arguments for 'incr' command"),
            ("EPAXOS SESSION BEGIN", "ERR syntax error"),
            ("EPAXOS SESSION END", "ERR wrong number of arguments for 'epaxos|session' command"),
            ("EPAXOS NONSENSE", "ERR syntax error"),
        ):
            self.assertEqual(self.refused(command), text)


class BatchTests(SynchronousTestCase):
    def test_keys(self) -> None:
        site = Site()
        id = site.session()
        session = key_of(bytes.fromhex(id))
        batch = site.propose(
            words("GET c", f"EPAXOS ONCE {id} 1 0 MGET a b", f"EPAXOS ONCE {id} 2 0 SET a 1")
        )
        self.assertEqual(set(batch.writes), {b"a", session})
        self.assertEqual(set(batch.reads), {b"b", b"c"})
        self.assertEqual(batch.commands, 3)
        new = site.propose(words("EPAXOS SESSION")).writes
        self.assertEqual(new, (key_of((2).to_bytes(16, "big")), COMMON))
        self.assertEqual(site.propose(words(f"EPAXOS SESSION END {id}")).writes, (session, COMMON))
        self.assertTrue(site.propose(words(f"EPAXOS ONCE {id} 3 0 FLUSHALL", "SET a 1")).barrier)

    def test_a_batch_without_numbers_is_that_of_the_state_machine_inside(self) -> None:
        site = Site()
        commands = words("SET a 1", "GET b", "FLUSHALL")
        for is_met in (False, True):
            self.assertEqual(site.propose(commands), KeyValueStore().batch(commands), is_met)
            site.session()

    def test_the_wire_carries_it(self) -> None:
        site = Site()
        batch = site.propose(words(f"EPAXOS ONCE {site.session()} 1 0 INCR a", "EPAXOS SESSION"))
        self.assertEqual(decode_batch(encode_batch(batch)), batch)

    def test_a_version_without_sessions_stops_at_one(self) -> None:
        batch = Site().propose(words("EPAXOS SESSION"))
        self.assertRaises(ValueError, decode_columns, batch)
        for machine in (KeyValueStore(), Printer([].append)):
            self.assertRaises(ValueError, machine.apply, [Ready(InstanceId(0, 1), batch, True)])

    def test_an_envelope_that_cannot_be_understood_stops_the_replica(self) -> None:
        site = Site()
        batch = site.propose(words("EPAXOS SESSION"))
        for payload in (batch.payload + b"\x00", batch.payload.replace(b"\x08\x03", b"\x08\x09", 1)):
            self.assertNotEqual(payload, batch.payload)
            self.assertRaises(ValueError, site.apply, batch._replace(payload=payload))

    def test_a_foreign_payload_that_looks_like_an_envelope(self) -> None:
        class Odd(KeyValueStore):
            def batch(self, commands: Any) -> Batch:
                return Batch((b"a",), (), b"\0epaxos once\1 and more", 1)

            def apply(self, ready: Any) -> Any:
                return [[one.batch.payload] for one in ready]

        self.assertEqual(Site(Odd()).run("SET a 1"), [b"\0epaxos once\1 and more"])


class StateTests(SynchronousTestCase):
    def test_all_replicas_come_to_the_same_state_whoever_wants_replies(self) -> None:
        leader, other = Site(), Site()
        batches = [leader.propose(words("EPAXOS SESSION"))]
        id = (1).to_bytes(16, "big").hex()
        for number in (1, 2, 2, 1, 3):
            batches.append(leader.propose(words(f"EPAXOS ONCE {id} {number} {number - 1} INCR a", "INCR b")))
        for batch in batches:
            leader.apply(batch)
            self.assertEqual(other.apply(batch, wanted=False), ())
        self.assertEqual(leader.state(), other.state())
        again = other.propose(words(f"EPAXOS ONCE {id} 3 2 INCR a"))
        self.assertEqual(other.apply(again), [3])

    def test_a_state_is_taken_up_and_goes_on(self) -> None:
        for parts in (1, 3):
            before = Site()
            id = before.session()
            before.run("SET x y", f"EPAXOS ONCE {id} 7 3 INCR a")
            entries = before.state()
            batches = [
                Ready(InstanceId(0, slot), before.propose(words(*commands)), False)
                for slot, commands in enumerate(
                    (["INCR b"], [f"EPAXOS ONCE {id} 8 3 INCR a", "INCR b"], ["INCR b"], ["EPAXOS SESSION"]),
                    1,
                )
            ]
            before.machine.apply(batches)
            after = Site()
            shares = [dict(list(entries.items())[n::parts]) for n in range(parts)]
            after.machine.restore_in_parts(shares, batches)
            self.assertEqual(after.state(), before.state())
            replies = after.run(*(f"EPAXOS ONCE {id} {number} 3 INCR a" for number in (7, 8, 9)), "GET b")
            self.assertEqual(replies, [1, 2, 3, b"3"])

    def test_keys_of_clients_that_look_like_those_of_sessions(self) -> None:
        site = Site()
        id = bytes.fromhex(site.session())
        names = [
            key_of(id),
            PREFIX,
            PREFIX + b"k",
            PREFIX + b"kk",
            PREFIX + b"k" + PREFIX,
            PREFIX + b"s" + b"x" * 16,
            COMMON,
            b"\xff" * 99,
        ]
        site.apply(site.propose([[b"SET", name, b"%d" % n] for n, name in enumerate(names)]))
        state = site.state()
        self.assertEqual(len(state), len(names) + 1)
        for entries in (sorted(state.items()), sorted(state.items(), reverse=True)):
            after = Site()
            after.machine.restore(dict(entries), ())
            self.assertEqual(after.state(), site.state())
            self.assertEqual(dict(after.inside.entries()), {name: b"%d" % n for n, name in enumerate(names)})
            self.assertEqual(after.machine.idle(1000, 9), [(id, 0)])

    def test_the_state_of_a_version_without_sessions(self) -> None:
        site = Site()
        site.machine.restore(
            {b"a": b"1"}, [Ready(InstanceId(0, 1), KeyValueStore().batch(words("INCR a")), False)]
        )
        self.assertEqual(site.state(), {b"a": b"2"})

    def test_a_broken_session_is_an_error(self) -> None:
        self.assertRaises(ValueError, Site().machine.restore, {key_of(b"x" * 16): b"short"}, ())

    def test_entries_do_not_change_later(self) -> None:
        site = Site()
        id = site.session()
        entries = site.machine.entries()
        state = site.state()
        site.run(f"EPAXOS ONCE {id} 1 0 INCR a", f"EPAXOS SESSION END {id}")
        self.assertEqual(dict(entries), state)

    def test_two_sessions_do_not_depend_on_each_other(self) -> None:
        """What different sessions do may run in another order elsewhere."""
        one, two = Site(), Site()
        sessions = [one.propose(words("EPAXOS SESSION")) for _ in range(2)]
        ids = [(n + 1).to_bytes(16, "big").hex() for n in range(2)]
        work = [
            [
                one.propose(words(f"EPAXOS ONCE {id} {number} 0 SET {id} {'x' * 999} GET"))
                for number in range(1, 15)
            ]
            for id in ids
        ]
        for site, order in ((one, work), (two, work[::-1])):
            for batch in (*sessions, *order[0], *order[1]):
                site.apply(batch)
        self.assertEqual(one.state(), two.state())


class OtherMachinesTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        stored, printed = Site().machine, Site(Printer([].append)).machine
        for machine in (stored, printed):
            for interface in (IStateMachine, IStepwise, IRestoresInParts):
                self.assertTrue(verifyObject(interface, machine))
        self.assertTrue(verifyObject(ICountsKeys, stored))
        self.assertFalse(ICountsKeys.providedBy(printed))
        self.assertTrue(verifyObject(IReplays, Printer([].append)))

    def test_sessions_are_no_keys(self) -> None:
        site = Site()
        site.session()
        site.run("SET a 1")
        self.assertEqual(site.machine.keys(), 1)

    def test_the_printer_prints_once(self) -> None:
        lines: list[str] = []
        site = Site(Printer(lines.append))
        id = site.session()
        commands = [f"EPAXOS ONCE {id} 1 0 PRINT a x", f"EPAXOS ONCE {id} 1 0 PRINT a x", "PRINT a y"]
        batch = site.propose(words(*commands))
        self.assertEqual(site.apply(batch), [1, 1, 2])
        self.assertEqual([line.split()[-1] for line in lines], ["x", "y"])

        printed: list[str] = []
        after = Site(Printer(printed.append))
        ready = [Ready(InstanceId(0, 1), site.propose(words("PRINT a w")), False)]
        begin = Site().propose(words("EPAXOS SESSION"))
        ready += [Ready(InstanceId(0, 2), begin, False), Ready(InstanceId(0, 2), batch, False)]
        after.machine.restore({}, ready)
        self.assertEqual(printed, [])
        self.assertEqual(after.run(f"EPAXOS ONCE {id} 1 0 PRINT a x", "PRINT a z"), [2, 4])


class IdleTests(SynchronousTestCase):
    def test_at_most_so_many(self) -> None:
        sessions = Sessions()
        for number in range(9):
            sessions.begin(b"%16d" % number, number)
        self.assertEqual(sessions.idle(5, 3), [(b"%16d" % number, 0) for number in range(3)])
        self.assertEqual(len(sessions.idle(5, 100)), 6)


class AgainTests(SynchronousTestCase):
    """A command that has to run again has done nothing, so its number is still to come."""

    def setUp(self) -> None:
        self.inside = Fading()
        self.site = Site(self.inside)
        self.session = self.site.session()

    def test_its_number_is_not_used_up(self) -> None:
        self.site.run("k a")
        self.inside.due = {b"k"}
        once = f"EPAXOS ONCE {self.session} 1 0 k ?"
        (again,) = self.site.run(once)
        assert isinstance(again, RunAgain)
        self.assertEqual(again.first, [b"k", b"-"])
        batch = self.site.machine.batch([[b"k", b"-"], *words(once)])
        self.assertEqual(self.site.apply(batch), [None, None])
        self.site.run("k b")
        self.assertEqual(self.site.run(once), [None], "the reply that was kept")

    def test_just_before_an_envelope(self) -> None:
        """The part counts that writes what is read."""
        self.site.run("k a", "j a")
        self.inside.due = {b"k"}
        machine = self.site.machine
        self.assertTrue(IReadsBefore.providedBy(machine))
        self.assertFalse(IReadsBefore.providedBy(Site(Log()).machine))
        once = f"EPAXOS ONCE {self.session} 1 0"
        for texts, reply in (
            (["x c", f"{once} k b"], None),
            (["x c", f"{once} k late"], b"a"),
            ([f"{once} x !"], None),
            (["k b"], None),
            (["k late"], b"a"),
        ):
            found = machine.read_before([b"k", b"?"], self.site.propose(words(*texts)))
            self.assertEqual(found.known if isinstance(found, RunAgain) else [found], [reply], f"{texts}")

    def test_just_before_an_envelope_that_writes_no_such_key(self) -> None:
        """A key that a client reads may have the name that a session has among what a batch writes."""
        site = Site()
        once = f"EPAXOS ONCE {site.session()} 1 0 SET x b"
        site.run("SET k a")
        for texts in (["EPAXOS SESSION"], [once], ["EPAXOS SESSION", once, "SET x c"]):
            batch = site.propose(words(*texts))
            names = set(batch.writes) - {b"x"}
            self.assertTrue(names)
            for name in names:
                self.assertEqual(site.machine.read_before([b"GET", name], batch), None)
            self.assertEqual(site.machine.read_before([b"GET", b"k"], batch), b"a")
