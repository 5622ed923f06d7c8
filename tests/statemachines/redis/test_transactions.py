"""Transactions, marks and databases, as the state machine sees them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, CommandError, Ready, Reply, SimpleString
from epaxos.interfaces.composites import (
    Owner,
    Transaction,
    in_database,
    lives_ended,
    transaction,
    unwatched,
    watched,
)
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import encode_commands
from epaxos.statemachines.redis.marks import Marks, Place
from epaxos.statemachines.redis.names import name_of
from tests.statemachines.redis.lab import ID, words
from tests.statemachines.redis.test_strings import Timed

OK = SimpleString("OK")
OWNER, OTHER = Owner(1, b"life:5"), Owner(1, b"life:6")
KEY: list[Place] = [(0, b"k")]


def multi(*texts: str, owner: Owner | None = None, places: list[Place] = KEY, database: int = 0) -> Command:
    queued = [(database, words(text)) for text in texts]
    return transaction(Transaction(owner, places if owner else (), queued))


class Site(Timed):
    """A store whose commands are not only texts."""

    def run(self, command: Command) -> Reply:
        ((reply,),) = self.store.apply([Ready(ID, self.store.batch([command]), True)])
        return reply


class ExecTests(SynchronousTestCase):
    def test_replies_and_errors_of_each(self) -> None:
        site = Site()
        replies = site.run(multi("SET k a", "INCR k", "GET k", "APPEND k b", "MGET k l"))
        assert isinstance(replies, list)
        self.assertIsInstance(replies[1], CommandError)
        self.assertEqual([*replies[:1], *replies[2:]], [OK, b"a", 2, [b"ab", None]])
        self.assertEqual(site.run(multi()), [])

    def test_what_it_touches(self) -> None:
        store = Site().store
        for command, writes, reads, barrier in (
            (multi("SET a 1", "GET b", "MGET c d"), (b"a", b"b", b"c", b"d"), (), False),
            (multi("SET a 1", database=2), (name_of(2, b"a"),), (), False),
            (multi("SET a 1", "DBSIZE"), (), (), True),
            (in_database(3, words("GET a")), (), (name_of(3, b"a"),), False),
            (in_database(3, words("MGET a b")), (name_of(3, b"a"), name_of(3, b"b")), (), False),
            (in_database(3, words("FLUSHDB")), (), (), True),
        ):
            batch = store.batch([command])
            self.assertEqual((batch.writes, batch.reads, batch.barrier), (writes, reads, barrier))
        self.assertEqual(in_database(0, words("GET a")), words("GET a"))

    def test_marks_meet_what_they_depend_on(self) -> None:
        """Of two commands whose order matters, one writes a name that the other has."""
        store = Site().store

        def meet(one: Command, other: Command) -> bool:
            a, b = store.batch([one]), store.batch([other])

            def names(batch: Batch) -> set[bytes]:
                return {*batch.writes, *batch.reads}

            return bool(set(a.writes) & names(b) or set(b.writes) & names(a))

        watch, end = watched(OWNER, KEY), lives_ended(1, b"next")
        run = multi("SET x 1", owner=OWNER)
        for one, other in (
            (watch, words("SET k 1")),
            (run, words("SET k 1")),
            (watch, run),
            (unwatched(OWNER), run),
            (end, watch),
            (end, run),
            (end, unwatched(OWNER)),
        ):
            self.assertTrue(meet(one, other), (one, other))
        self.assertFalse(meet(watch, watched(OTHER, [(0, b"j")])))
        self.assertFalse(meet(run, multi("SET y 1", owner=OTHER, places=[(0, b"j")])))

    def test_in_steps(self) -> None:
        site = Site()
        long = multi(*(f"SET k{number} {number}" for number in range(2000)))
        steps = list(site.store.apply_in_steps(Ready(ID, site.store.batch([long]), True)))
        self.assertGreater(len(steps), 3)
        ((replies,),) = [step for step in steps if step is not None]
        self.assertEqual(replies, [OK] * 2000)

    def test_no_client_can_send_them(self) -> None:
        store = Site().store
        for command in (
            multi("GET a"),
            in_database(1, words("GET a")),
            watched(OWNER, KEY),
            unwatched(OWNER),
        ):
            self.assertIn("unknown command", str(self.assertRaises(CommandError, store.check, command)))
            self.assertFalse(store.is_valid_shape(command[0], len(command)))
        self.assertFalse([info for info in store.commands() if info.name.startswith("\0")])

    def test_what_no_connection_makes_stops_the_replica(self) -> None:
        site = Site()
        good = multi("SET a 1")
        for bad in (good[:-1], [*good, b"0"], [*good, b"0", b"9"], [*good, b"0", b"0"], [*good[:3], b"5"]):
            batch = site.store.batch([good])._replace(payload=encode_commands([bad]))
            self.assertRaises(ValueError, site.store.apply, [Ready(ID, batch, True)])


class DatabaseTests(SynchronousTestCase):
    def test_each_has_its_own_keys(self) -> None:
        site = Site()
        site("SET k zero")
        self.assertEqual(site.run(in_database(5, words("SET k five"))), OK)
        self.assertEqual(site("GETSET k x"), b"zero")
        self.assertEqual(site.run(in_database(5, words("GET k"))), b"five")
        self.assertEqual(site.run(in_database(5, words("DBSIZE"))), 1)
        self.assertEqual(site.run(in_database(5, words("FLUSHDB"))), OK)
        self.assertEqual(site("DBSIZE"), 1)
        self.assertIsInstance(site.run(in_database(5, words("INCRBY k 9"))), int)
        self.assertEqual((site("FLUSHALL"), site.store.keys()), (OK, 0))


class WatchTests(SynchronousTestCase):
    def test_a_mark_of_fewer_keys_guards_nothing(self) -> None:
        """An end of lives came late, from a life before, and the connection watched on."""
        for end in (lives_ended(1, b"older"), unwatched(OWNER)):
            site = Site()
            both: list[Place] = [*KEY, (0, b"l")]
            site.run(watched(OWNER, KEY))
            site.run(end)
            site("SET k 1")
            site.run(watched(OWNER, both[1:]))
            self.assertIsNone(site.run(multi("SET k 2", owner=OWNER, places=both)))
            site.run(watched(OWNER, both[1:]))
            self.assertEqual(site.run(multi("SET k 2", owner=OWNER, places=both[1:])), [OK])

    def test_what_was_taken_back_has_changed_nothing(self) -> None:
        undeclared = b"redis.call('SET', KEYS[1], 1) return redis.call('GET', 'other')"
        failing = b"redis.call('SET', KEYS[1], 1) return redis.call('INCR', 'no', 'number')"
        declared = b"return redis.call('SET', KEYS[1], 1)"
        for text, is_clean in ((undeclared, True), (failing, True), (declared, False)):
            site = Site()
            site.run(watched(OWNER, KEY))
            site.run([b"EVAL", text, b"1", b"k"])
            reply = site.run(multi("GET k", owner=OWNER))
            self.assertEqual(reply, [None] if is_clean else None, text)
            self.assertTrue(site.store._state.marks.is_empty)
            self.assertFalse(site.store._state.is_watched)

    def test_a_mark_that_is_clean_again_becomes_dirty(self) -> None:
        site = Site()
        site.run(watched(OWNER, KEY))
        site.run([b"EVAL", b"redis.call('SET', KEYS[1], 1) return redis.call('GET', 'x')", b"1", b"k"])
        site("SET k 1")
        self.assertIsNone(site.run(multi("GET k", owner=OWNER)))

    def aborts(self, *between: str, before: str = "") -> bool:
        site = Site()
        if before:
            site(before)
        site.run(watched(OWNER, KEY))
        for text in between:
            site(text)
        reply = site.run(multi("SET x 1", owner=OWNER))
        self.assertEqual(site("GETSET x 2"), None if reply is None else b"1")
        return reply is None

    def test_when_it_aborts(self) -> None:
        self.assertFalse(self.aborts())
        self.assertFalse(self.aborts("SET j 1", "GET k", "DEL k", "SETNX j 1"))
        for between in (["SET k 1"], ["SET k 1", "DEL k"], ["MSET j 1 k 2"], ["SET j 1 PX 9", "APPEND k x"]):
            self.assertTrue(self.aborts(*between), between)
        for text in ("SET k v", "DEL k", "INCR k", "FLUSHALL", "GETDEL k", "GETEX k PX 100"):
            self.assertTrue(self.aborts(text, before="SET k 1"), text)
        self.assertTrue(self.aborts("SET k v", *(f"SET j{number} 1" for number in range(20))))

    def test_deadlines_that_come(self) -> None:
        for removed in (False, True):
            site = Site()
            site("SET k v PX 10")
            site.run(watched(OWNER, KEY))
            site.clock.ms += 10
            if removed:
                site("SETNX k w")
            self.assertIsNone(site.run(multi("SET x 1", owner=OWNER)))

    def test_a_mark_is_for_one_transaction(self) -> None:
        site = Site()
        site.run(watched(OWNER, KEY))
        self.assertEqual(site.run(multi("SET k 1", owner=OWNER)), [OK])
        self.assertIsNone(site.run(multi("SET k 2", owner=OWNER)), "there is no mark any more")
        site.run(watched(OWNER, KEY))
        site.run(watched(OTHER, KEY))
        site.run(unwatched(OWNER))
        self.assertIsNone(site.run(multi("SET k 2", owner=OWNER)))
        self.assertEqual(site.run(multi("SET k 3", owner=OTHER)), [OK])

    def test_marks_of_ended_lives(self) -> None:
        site = Site()
        here = Owner(1, b"next:5")
        for owner in (OWNER, here, Owner(2, b"life:5")):
            site.run(watched(owner, KEY))
        self.assertEqual(site.run(lives_ended(1, b"next")), 1)
        self.assertIsNone(site.run(multi("SET x 1", owner=OWNER)))
        self.assertEqual(site.run(multi("SET x 1", owner=here)), [OK])

    def test_they_are_kept(self) -> None:
        site = Site()
        site.run(watched(OWNER, [(0, b"k"), (3, b"\xff ")]))
        site.run(watched(OTHER, KEY))
        site("SET k 1")
        site.run(watched(Owner(2, b"life:1"), [(0, b"j")]))
        again = Site()
        again.store.restore(dict(site.store.entries()), ())
        self.assertEqual(dict(again.store.entries()), dict(site.store.entries()))
        for there in (site, again):
            self.assertIsNone(there.run(multi("SET x 1", owner=OWNER)))
            there("SET j 1")
            self.assertIsNone(there.run(multi("SET x 1", owner=Owner(2, b"life:1"), places=[(0, b"j")])))

    def test_nothing_is_left(self) -> None:
        marks = Marks()
        marks.watch(OWNER, [(0, b"a"), (0, b"b")])
        marks.watch(OTHER, [(0, b"a")])
        marks.on_write(0, b"b")
        self.assertFalse(marks.is_empty)
        marks.watch(OWNER, [(0, b"c")])
        self.assertFalse(marks.take(OWNER))
        self.assertTrue(marks.take(OTHER))
        self.assertTrue(marks.is_empty)
        self.assertEqual(marks.entries(), [])
