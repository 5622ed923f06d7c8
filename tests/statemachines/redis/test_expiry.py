"""The commands on deadlines: by tables, and against a real Redis."""

from __future__ import annotations

import os
import time
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready, RunAgain
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.against_redis import Pair, commands_of, plain
from tests.statemachines.redis.lab import ID, words

COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "6000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
NOW_MS = 1_000_000


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.ms = NOW_MS
        self.is_trusted = True
        self.is_settling = False

    def now_ms(self) -> int:
        return self.ms


class Site:
    """A store with a clock; what asks to run again does so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = KeyValueStore()
        self.store.use_clock(self.clock, lambda: 5)
        self.removals: list[list[bytes]] = []

    def __call__(self, text: str) -> object:
        command = words(text)
        try:
            self.store.check(command)
        except CommandError as error:
            return str(error)
        commands = [command]
        while True:
            reply = self.store.apply([Ready(ID, self.store.batch(commands), True)])[0][-1]
            if not isinstance(reply, RunAgain):
                return plain(reply)
            self.removals.append(list(reply.first))
            commands = [list(reply.first), command]


class ExpireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.site("SET k v")

    def test_when_it_ends(self) -> None:
        for text, lives_ms in (
            ("EXPIRE k 10", 10_000),
            ("pexpire k 10", 10),
            ("EXPIREAT k 1010", 10_000),
            ("PEXPIREAT k 1000010", 10),
            ("PEXPIREAT k 9223372036854775807", 9223372036854775807 - NOW_MS),
        ):
            site = Site()
            site("SET k v")
            self.assertEqual(site(text), 1, text)
            self.assertEqual((site("PTTL k"), site("TTL k")), (lives_ms, (lives_ms + 500) // 1000), text)
            self.assertEqual(site("PEXPIRETIME k"), NOW_MS + lives_ms)
            self.assertEqual(site("EXPIRETIME k"), (NOW_MS + lives_ms + 500) // 1000)
            site.clock.ms += lives_ms - 1
            self.assertEqual((site("PTTL k"), site("GET k")), (1, b"v"))
            site.clock.ms += 1
            self.assertEqual(site.removals, [])
            self.assertEqual((site("PTTL k"), site("GET k"), site("DBSIZE")), (-2, None, 0), text)
            self.assertEqual(site.removals, [[b"\0DUE", b"0", b"k", b"%d" % (NOW_MS + lives_ms)]])

    def test_one_that_has_come_removes(self) -> None:
        for text in ("EXPIRE k 0", "EXPIRE k -1", "PEXPIREAT k 1", "PEXPIREAT k -9223372036854775808"):
            self.site("SET k v")
            self.assertEqual((self.site(text), self.site("DBSIZE")), (1, 0), text)

    def test_conditions(self) -> None:
        """With a deadline in 10 s, and with none."""
        for condition, with_one, with_none in (
            ("5 NX", 0, 1), ("5 XX", 1, 0), ("5 GT", 0, 0), ("5 LT", 1, 1), ("10 GT", 0, 0), ("10 LT", 0, 1),
            ("20 gt", 1, 0), ("20 LT", 0, 1), ("20 XX GT", 1, 0), ("5 XX LT", 1, 0), ("5 lt LT", 1, 1),
            ("-5 GT", 0, 0), ("-5 LT", 1, 1),
        ):  # fmt: skip
            for setting, reply in (("SET k v EX 10", with_one), ("SET k v", with_none)):
                self.site(setting)
                before = self.site("PTTL k")
                self.assertEqual(self.site(f"EXPIRE k {condition}"), reply, f"{setting} {condition}")
                if not reply:
                    self.assertEqual(self.site("PTTL k"), before)

    def test_errors(self) -> None:
        """Also where there is no such key, and in the order of Redis."""
        for key in "kx":
            for text, error in (
                ("EXPIRE k", "ERR wrong number of arguments for 'expire' command"),
                ("EXPIRE k x foo", "ERR Unsupported option foo"),
                ("EXPIRE k x", "ERR value is not an integer or out of range"),
                ("EXPIRE k 1 NX XX", "ERR NX and XX, GT or LT options at the same time are not compatible"),
                ("EXPIRE k 1 GT LT", "ERR GT and LT options at the same time are not compatible"),
                ("EXPIRE k 9223372036854776", "ERR invalid expire time in 'expire' command"),
                ("EXPIRE k 9223372036854775", "ERR invalid expire time in 'expire' command"),
                ("expireat k -9223372036854776", "ERR invalid expire time in 'expireat' command"),
                ("PEXPIRE k 9223372036854775807", "ERR invalid expire time in 'pexpire' command"),
            ):
                self.assertEqual(self.site(text.replace("k", key, 1) if key == "x" else text), error, text)
                self.assertEqual(self.site("PTTL k"), -1)

    def test_persist(self) -> None:
        self.assertEqual([self.site(f"PERSIST {key}") for key in "kx"], [0, 0])
        self.site("EXPIRE k 1")
        self.assertEqual(self.site("PERSIST k"), 1)
        self.site.clock.ms += 2000
        self.assertEqual(self.site("GET k"), b"v")
        self.site("EXPIRE k 1")
        self.site.clock.ms += 1000
        self.assertEqual((self.site("PERSIST k"), self.site("DBSIZE")), (0, 0), "it is too late")

    def test_a_deadline_is_kept(self) -> None:
        """In the entries of a state, and beside a value that changes."""
        for text in ("APPEND k x", "INCR n", "SETRANGE k 1 x"):
            site = Site()
            site("SET n 1 EX 10")
            site("SET k v EX 10")
            site(text)
            again = Site()
            again.store.restore(dict(site.store.entries()), ())
            self.assertEqual([again("PTTL k"), again("PTTL n")], [10_000, 10_000], text)

    def test_a_clock_that_may_be_wrong(self) -> None:
        self.site("EXPIRE k 10")
        self.site.clock.is_trusted = False
        self.site.clock.ms += 20_000
        for text in ("EXPIRE k 1", "PEXPIREAT k 1 NX", "TTL k", "pttl k"):
            self.assertIn("CLOCKSKEW", str(self.site(text)), text)
        self.assertEqual((self.site("GET k"), self.site("EXPIRETIME k")), (b"v", 1010))
        self.assertEqual(self.site("PERSIST k"), 1)

    def test_a_clock_that_settles(self) -> None:
        """What needs the time is not refused yet, because it waits."""
        self.site.clock.is_trusted = False
        self.site.clock.is_settling = True
        self.site.store.check(words("EXPIRE k 1"))
        self.site.clock.is_settling = False
        self.assertRaises(CommandError, self.site.store.check, words("EXPIRE k 1"))

    def test_trust_that_is_lost_on_the_way(self) -> None:
        """The batch of a command that has passed `check` has no time: the command does nothing."""
        store, clock = self.site.store, self.site.clock
        for text in ("EXPIRE k 10", "SET k w EX 10", "TTL k"):
            store.check(words(text))
            clock.is_trusted = False
            ((reply,),) = store.apply([Ready(ID, store.batch([words(text)]), True)])
            clock.is_trusted = True
            self.assertIn("CLOCKSKEW", str(reply), text)
        self.assertEqual((self.site("GET k"), self.site("PTTL k")), (b"v", -1))


class ReadBeforeTests(SynchronousTestCase):
    """What is read just before a batch of the same replica."""

    def setUp(self) -> None:
        self.site = Site()
        for text in ("SET k v PX 10", "SET j v PX 10", "SET n v"):
            self.site(text)

    def read(self, text: str, later: str, ms: int = 10) -> object:
        store = self.site.store
        self.site.clock.ms += ms
        batch = store.batch([words(later)])
        self.site.clock.ms += 1000
        return store.read_before(words(text), batch)

    def test_the_time_of_the_batch_counts(self) -> None:
        self.assertEqual(self.read("GET k", "SET k w", 9), b"v")
        self.assertEqual(self.read("PTTL k", "SET k w", -1000), 1)

    def test_a_key_that_the_batch_writes(self) -> None:
        for later in ("SET k w", "FLUSHALL", "INCR k"):
            again = self.read("GET k", later)
            assert isinstance(again, RunAgain)
            self.assertEqual(again.known, [None], later)
            self.assertEqual(again.first, [b"\0DUE", b"0", b"k", b"%d" % (NOW_MS + 10)])
        self.assertEqual(self.site.store.keys(), 3, "nothing was removed")

    def test_a_key_that_it_does_not_write(self) -> None:
        """It is there until somebody removes it."""
        again = self.read("MGET k j n", "SET k w")
        assert isinstance(again, RunAgain)
        self.assertEqual(again.known, [[None, b"v", b"v"]])
        self.assertEqual(again.first, [b"\0DUE", b"0", b"k", b"%d" % (NOW_MS + 10)])

    def test_long_values_are_whole(self) -> None:
        self.site("SET g x PX 10")
        self.site(f"APPEND g {'x' * 9000}")
        again = self.read("MGET k g", "SET k w")
        assert isinstance(again, RunAgain)
        self.assertEqual(again.known, [[None, b"x" * 9001]])


class LikeRedisTests(SynchronousTestCase):
    """DIFFERENTIAL_COMMANDS is how many commands are tried, from DIFFERENTIAL_SEED on."""

    TEMPLATES = (
        "SET k v", "SET k v EX 1000", "GET k", "DEL k", "EXPIRE k n", "EXPIRE k n o", "PEXPIRE k n [o] [o]",
        "EXPIREAT k t [o]", "PEXPIREAT k u [o] [o]", "TTL k", "PTTL k", "EXPIRETIME k", "PEXPIRETIME k",
        "PERSIST k", "EXISTS k k", "EXPIRE k", "TTL", "PERSIST k k", "GETSET k v", "EXPIRE k n o o o",
    )  # fmt: skip
    WORDS = {
        "k": (b"a", b"b", b"c", b""),
        "v": (b"1", b"\xff\0"),
        "n": (
            *(b"0", b"-1", b"1000", b"2000", b"1000000", b"x", b"1.5", b" 1", b"-0", b"01", b""),
            *(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775", b"9223372036854776"),
            *(b"-9223372036854775", b"-9223372036854776"),
        ),
        "t": (
            b"1",
            b"0",
            b"-5",
            b"99999999999",
            b"9999999999",
            b"9223372036854775",
            b"9223372036854776",
            b"x",
        ),
        "u": (
            b"1",
            b"-9223372036854775808",
            b"9999999999999",
            b"99999999999999",
            b"9223372036854775807",
            b"z",
        ),
        "o": (b"NX", b"XX", b"GT", b"lt", b"LT", b"gt", b"foo\0bar", b"x" * 200),
    }

    def test_same_answers(self) -> None:
        """The time that is left differs by what passes between the two."""
        pair = Pair()
        self.addCleanup(pair.close)
        for number, command in enumerate(commands_of(Random(SEED), self.TEMPLATES, self.WORDS, COMMANDS)):
            if not {b"GT", b"gt", b"LT", b"lt"}.isdisjoint(command):
                time.sleep(0.002)  # so that the same number is a later deadline at both
            began = time.monotonic()
            ours, theirs = pair.run(command)
            passed_ms = (time.monotonic() - began) * 1000 + 2
            text = f"seed {SEED}, {number}: {command}: {ours!r}, {theirs!r}"
            if isinstance(ours, int) and isinstance(theirs, int) and command[0].endswith((b"TTL", b"TIME")):
                self.assertEqual((ours < 0, ours in (-1, -2)), (theirs < 0, theirs in (-1, -2)), text)
                # each EXPIRE before may have been a little later at one of both
                self.assertLessEqual(abs(ours - theirs), passed_ms + 1000, text)
            else:
                self.assertEqual(ours, theirs, text)
