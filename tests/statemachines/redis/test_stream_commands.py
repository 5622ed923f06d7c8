"""The commands on streams: their time, steps, place in scripts and transactions, and hostile ones."""

from __future__ import annotations

import contextlib
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, NilArray, Ready, ReplyByKey, RunAgain
from epaxos.interfaces.composites import Transaction, in_database, last_id_of, transaction
from epaxos.resp.encoder import encode_reply
from epaxos.statemachines.redis.discards import free_part
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.streams import limits
from epaxos.statemachines.redis.streams.limits import ELEMENTS_MAX
from epaxos.statemachines.redis.streams.waiting import reading_of
from tests.resp.reference import RealRedis, valkey
from tests.statemachines.redis.against_redis import Pair, commands_of, plain
from tests.statemachines.redis.dump.test_payload import payload_of
from tests.statemachines.redis.lab import ID, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_streams import TEMPLATES, WORDS, masked
from tests.statemachines.redis.test_transactions import Site

TIMELESS = [text for text in TEMPLATES if not text.startswith(("XINFO", "XPENDING k g -", "XPENDING k g r"))]


class TimeTests(SynchronousTestCase):
    def test_ids_that_are_made(self) -> None:
        """Of the time, and above the last one when the time is behind it."""
        site = Site()
        now = site.clock.ms
        self.assertEqual(site("XADD s * a 1"), b"%d-0" % now)
        self.assertEqual(site("XADD s * a 1"), b"%d-1" % now)
        site.clock.ms += 5
        self.assertEqual(site("XADD s NOMKSTREAM * a 1"), b"%d-0" % (now + 5))
        site.clock.ms -= 3
        self.assertEqual(site("XADD s MAXLEN 100 * a 1"), b"%d-1" % (now + 5))
        self.assertEqual(site(f"XADD s {now + 5}-* a 1"), b"%d-2" % (now + 5))
        site("XSETID s 18446744073709551615-18446744073709551614")
        self.assertEqual(site("XADD s * a 1"), b"18446744073709551615-18446744073709551615")
        self.assertIn("exhausted", str(site("XADD s * a 1")))
        self.assertIn("exhausted", str(site("XADD s 1-1 a 1")))

    def test_without_a_clock(self) -> None:
        """What needs the time is refused, and nothing else."""
        store = KeyValueStore()
        for text in (
            *(
                "XADD s * a 1",
                "XADD s MAXLEN 3 * a 1",
                "XREADGROUP GROUP g c STREAMS s >",
                "XCLAIM s g c 0 1",
            ),
            *("XAUTOCLAIM s g c 0 0", "XPENDING s g - + 1", "XINFO CONSUMERS s g"),
            "XGROUP CREATECONSUMER s g c",
        ):
            error = self.assertRaises(CommandError, store.check, words(text))
            self.assertIn("CLOCKSKEW", str(error), text)
        for text in ("XADD s 1 a 1", "XADD s 1-* a 1", "XREAD STREAMS s 0", "XPENDING s g", "XACK s g 1"):
            store.check(words(text))

    def test_idle_times(self) -> None:
        site = Site()
        for text in ("XADD s 1 a 1", "XADD s 2 a 1", "XGROUP CREATE s g 0"):
            site(text)
        site("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
        site.clock.ms += 100
        site("XREADGROUP GROUP g d STREAMS s >")
        site.clock.ms += 50
        rows = [[b"1-0", b"c", 150, 1], [b"2-0", b"d", 50, 1]]
        self.assertEqual(site("XPENDING s g - + 9"), rows)
        self.assertEqual(site("XPENDING s g IDLE 100 - + 9"), rows[:1])
        self.assertEqual(site("XPENDING s g IDLE 151 - + 9"), [])
        self.assertEqual(site("XCLAIM s g e 100 1 2 JUSTID IDLE 70"), [b"1-0"])
        self.assertEqual(site("XPENDING s g - + 9 e"), [[b"1-0", b"e", 70, 1]])
        self.assertEqual(site("XAUTOCLAIM s g e 50 0 COUNT 1"), [b"2-0", [[b"1-0", [b"a", b"1"]]], []])
        self.assertEqual(site("XAUTOCLAIM s g e 50 2 COUNT 1")[1], [[b"2-0", [b"a", b"1"]]])  # type: ignore[index]
        site.clock.ms += 7
        times = [(row[5], row[7]) for row in site("XINFO CONSUMERS s g")]  # type: ignore[attr-defined]
        self.assertEqual(times, [(157, 157), (57, 57), (7, 7)])
        self.assertEqual(site(f"XCLAIM s g c 0 1 JUSTID TIME {site.clock.ms - 9}"), [b"1-0"])
        self.assertEqual(site("XPENDING s g - + 9 c"), [[b"1-0", b"c", 9, 2]])
        site(f"XCLAIM s g c 0 1 JUSTID TIME {site.clock.ms + 9}")
        self.assertEqual(site("XPENDING s g - + 9 c"), [[b"1-0", b"c", 0, 2]])

    def test_keys_that_are_due(self) -> None:
        site = Site()
        for text in ("XADD s 1 a 1", "XGROUP CREATE s g 0", "PEXPIRE s 5"):
            site(text)
        site.clock.ms += 10
        again = site.run(words("XREAD STREAMS s 0"))
        assert isinstance(again, RunAgain)
        self.assertIn("NOGROUP", str(site.run(words("XREADGROUP GROUP g c STREAMS s >"))))
        self.assertEqual(site.store.keys(), 0)
        for text in ("XADD s 1 a 1", "PEXPIRE s 5"):
            site(text)
        site.clock.ms += 10
        self.assertEqual(site("XADD s 1 a 1"), b"1-0")
        self.assertEqual(site("TTL s"), -1)

    def test_a_deadline_stays(self) -> None:
        site = Site()
        for text in ("XADD s 1 a 1", "PEXPIRE s 5000", "XADD s 2 a 1", "XTRIM s MAXLEN 0"):
            site(text)
        self.assertEqual(site("PTTL s"), 5000)


class ProtocolTests(SynchronousTestCase):
    def test_bytes(self) -> None:
        """In both protocols, to the byte, as Valkey answers."""
        for seed in range(6):
            resp = 2 + seed % 2
            with RealRedis(program=valkey()) as real:
                connection = real.connect()
                connection.send(b"HELLO %d\r\n" % resp)
                site = Site()
                for command in commands_of(Random(seed), TIMELESS, WORDS, 300):
                    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in command]
                    theirs = connection.send(b"*%d\r\n%b" % (len(command), b"".join(parts)))
                    try:
                        site.store.check(command)
                        ours = encode_reply(site.run(command), resp)
                    except CommandError as error:
                        ours = encode_reply(error, resp)
                    self.assertEqual(ours, theirs, f"seed {seed} {command}")

    def test_in_scripts(self) -> None:
        """What a script makes of a reply, as in Redis."""
        script = b"return redis.call(unpack(ARGV))"
        names = WORDS["k"] + WORDS["s"]  # type: ignore[operator]
        for seed in range(3):
            pair = Pair(seed, program=valkey())
            try:
                for command in commands_of(Random(seed), TIMELESS, WORDS, 300):
                    called = [b"EVAL", script, b"%d" % len(names), *names, *command]
                    ours, theirs = pair.run(called)
                    if not isinstance(theirs, str):
                        self.assertEqual(ours, theirs, f"seed {seed} {command}")
                    self.assertEqual(isinstance(ours, str), isinstance(theirs, str), f"{command} {ours!r}")
            finally:
                pair.close()

    def test_in_transactions_and_other_databases(self) -> None:
        for seed in range(5):
            one, other, third = Site(), Site(), Site()
            for command in commands_of(Random(seed), TIMELESS, WORDS, 150):
                with contextlib.suppress(CommandError):
                    one.store.check(command)
                    alone = plain(one.run(command))
                    self.assertEqual(plain(third.run(in_database(0, command))), alone, command)
                    queued = transaction(Transaction(None, (), [(0, command)]))
                    self.assertEqual(plain(other.run(queued)), [alone], command)
            self.assertEqual(dict(one.store.entries()), dict(other.store.entries()))
            self.assertEqual(dict(one.store.entries()), dict(third.store.entries()))


class StepTests(SynchronousTestCase):
    COUNT = 30_000

    def filled(self, site: Site) -> None:
        for start in range(1, self.COUNT, 500):
            commands = [
                [b"XADD", b"s", b"%d" % number, b"f", b"v%d" % number] for number in range(start, start + 500)
            ]
            site.store.apply([Ready(ID, site.store.batch(commands), False)])
        site("XGROUP CREATE s g 0")

    def test_all_in_steps(self) -> None:
        site, step = Site(), Steps(self)
        self.filled(site)
        ids = b" ".join(b"%d" % number for number in range(1, self.COUNT, 7)).split()
        for command, least in (
            (words("XRANGE s - +"), 30),
            (words("XREVRANGE s + -"), 30),
            (words("XRANGE s - + COUNT 20000"), 20),
            (words("XREAD STREAMS s 0"), 30),
            (words("XREADGROUP GROUP g c STREAMS s >"), 30),
            (words("XREADGROUP GROUP g c STREAMS s 0"), 1000),
            ([b"XREAD", b"STREAMS", *[b"s"] * 600, *[b"999999"] * 600], 15),
            (words("XPENDING s g - + 100000"), 30),
            (words("XPENDING s g IDLE 1000 - + 1"), 30),
            (words("XAUTOCLAIM s g d 0 0 COUNT 100000"), 1000),
            ([b"XCLAIM", b"s", b"g", b"e", b"0", *ids], 200),
            (words("XINFO STREAM s FULL COUNT 0"), 100),
            ([b"XACK", b"s", b"g", *ids], 5),
            ([b"XDEL", b"s", *ids], 200),
            (words("XGROUP DELCONSUMER s g d"), 30),
            (words("COPY s t"), 1),
            (words("DUMP s"), 100),
            (words("XADD s MAXLEN 1000 * f v"), 4),
            (words("XTRIM t MAXLEN 0"), 4),
        ):
            site.store.check(command)
            self.assertGreaterEqual(step.run(site.store, command), least, command[:4])
        step.check(0.03)
        self.assertEqual(site("XLEN s"), 1000)

    def test_freed_in_steps(self) -> None:
        site = Site()
        self.filled(site)
        while free_part():
            pass
        steps = list(site.store.apply_in_steps(Ready(ID, site.store.batch([words("DEL s")]), True)))
        self.assertGreater(len(steps), 4)


class StateTests(SynchronousTestCase):
    def test_a_replica_that_took_the_state(self) -> None:
        """It has the same entries, and answers the same ever after; what a snapshot holds does not change."""
        for seed in range(25):
            random, one = Random(seed), Site()
            for _ in range(5):
                other = Site()
                kept = list(one.store.entries())
                other.store.restore_in_parts([dict(kept[::2]), dict(kept[1::2])], [])
                snapshot = one.store.entries()
                for command in commands_of(random, TEMPLATES, WORDS, 40):
                    with contextlib.suppress(CommandError):
                        one.store.check(command)
                        batch = one.store.batch([command])
                        replies = [site.store.apply([Ready(ID, batch, True)])[0][0] for site in (one, other)]
                        self.assertEqual(*map(repr, replies), f"seed {seed} {command}")
                self.assertEqual(sorted(snapshot), sorted(kept), f"seed {seed}: a snapshot has changed")
                self.assertEqual(sorted(one.store.entries()), sorted(other.store.entries()), f"seed {seed}")

    def test_an_error_changes_nothing(self) -> None:
        for seed in range(10):
            site = Site()
            for command in commands_of(Random(seed), TEMPLATES, WORDS, 200):
                before = dict(site.store.entries())
                with contextlib.suppress(CommandError):
                    site.store.check(command)
                    if isinstance(site.run(command), CommandError):
                        self.assertEqual(dict(site.store.entries()), before, command)

    def test_dumps_of_others(self) -> None:
        """Those of Redis 7.0 and of Valkey are read, and Valkey reads ours."""
        count = 0
        for seed in range(8):
            pair = Pair(seed, program=valkey() if seed % 2 else "redis-server")
            try:
                for command in commands_of(Random(seed), TIMELESS, WORDS, 250):
                    pair.theirs(command)
                for key in (b"x1", b"x2"):
                    payload = pair.theirs([b"DUMP", key])
                    if not isinstance(payload, bytes):
                        continue
                    count += 1
                    self.assertEqual(pair.ours.run([[b"RESTORE", b"y", b"0", payload, b"REPLACE"]]), ["OK"])
                    if seed % 2:
                        again = pair.ours.run([[b"DUMP", b"y"]])[0]
                        self.assertEqual(pair.theirs([b"RESTORE", b"y", b"0", again, b"REPLACE"]), b"OK")
                    else:
                        pair.theirs([b"COPY", key, b"y", b"REPLACE"])
                    asked = [words("XRANGE y - +"), words("XPENDING y g1"), words("XPENDING y g2 - + 99")]
                    asked += [words("XINFO STREAM y FULL COUNT 0")] if seed % 2 else []
                    for command in asked:
                        ours, theirs = (masked(command, reply) for reply in pair.run(command))
                        self.assertEqual(ours, theirs, f"seed {seed}")
            finally:
                pair.close()
        self.assertGreater(count, 8)


class WaitingTests(SynchronousTestCase):
    """What those who wait ask."""

    def test_last_ids(self) -> None:
        site = Site()
        site("XADD s 5-3 a 1")
        site("XDEL s 5-3")
        site("SET text v")
        first, second = (site.store.read([last_id_of(key)])[0] for key in (b"s", b"none"))
        self.assertEqual((first, second), (b"5-3", b"0-0"))
        self.assertIsInstance(site.store.read([last_id_of(b"text")])[0], CommandError)
        self.assertRaises(CommandError, site.store.check, last_id_of(b"s"))

    def test_what_is_asked(self) -> None:
        reading = reading_of(words("XREADGROUP GROUP g c BLOCK 0 NOACK COUNT 7 STREAMS a b > 0"))
        self.assertEqual(
            (reading.group, reading.consumer, reading.most, reading.block_ms), (b"g", b"c", 7, 0)
        )
        self.assertEqual((list(reading.keys), list(reading.ids)), ([b"a", b"b"], [b">", b"0"]))
        self.assertIsNone(reading_of(words("XREAD STREAMS a $")).block_ms)
        for text in ("-1", "x", "1.5", "9223372036854775808"):
            error = self.assertRaises(CommandError, reading_of, words(f"XREAD BLOCK {text} STREAMS a 0"))
            self.assertRegex(str(error), "ERR timeout is (negative|not an integer or out of range)")

    def test_block_changes_nothing_here(self) -> None:
        site = Site()
        self.assertEqual(site.run(words("XREAD BLOCK 0 STREAMS s 0")), NilArray())
        site("XADD s 1 a 1")
        found = site.run(words("XREAD BLOCK 0 STREAMS s 0"))
        self.assertIsInstance(found, ReplyByKey)
        self.assertEqual(found, [b"s", [[b"1-0", [b"a", b"1"]]]])
        self.assertEqual(site("XREAD STREAMS s +"), found)

    def test_keys(self) -> None:
        store = Site().store
        for text, keys in (
            ("XREAD STREAMS a b 0 0", [b"a", b"b"]),
            ("XREADGROUP GROUP a b STREAMS a b > >", [b"a", b"b"]),
            ("XGROUP CREATE k g 0", [b"k"]),
            ("XINFO STREAM k", [b"k"]),
            ("XINFO HELP", []),
        ):
            self.assertEqual(list(store.keys_of(words(text))), keys)
        self.assertEqual(set(store.batch([words("XREADGROUP GROUP g c STREAMS a >")]).writes), {b"a"})
        self.assertFalse(store.batch([words("XREAD STREAMS a 0")]).writes)


class HostileTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """Of thousands of digits, and whatever else C would not read."""
        site = Site()
        site("XADD s 1 a 1")
        site("XGROUP CREATE s g 0")
        for number in ("9" * 5000, "0" * 5000 + "1", "1e9999", "\x00", "1-" + "9" * 5000, "-" * 100):
            for text in (
                f"XADD s {number} a 1",
                f"XADD s MAXLEN {number} * a 1",
                f"XADD s MINID {number} * a 1",
                f"XRANGE s {number} +",
                f"XRANGE s - + COUNT {number}",
                f"XREAD COUNT {number} STREAMS s 0",
                f"XREAD STREAMS s {number}",
                f"XSETID s {number} ENTRIESADDED {number}",
                f"XCLAIM s g c {number} 1",
                f"XCLAIM s g c 0 {number}",
                f"XCLAIM s g c 0 1 TIME {number}",
                f"XAUTOCLAIM s g c 0 0 COUNT {number}",
                f"XPENDING s g - + {number}",
                f"XGROUP SETID s g 0 ENTRIESREAD {number}",
                f"XINFO STREAM s FULL COUNT {number}",
            ):
                site(text)
        self.assertEqual(site("EXISTS s"), 1)

    def test_counters_end(self) -> None:
        site = Site()
        highest = 2**63 - 1
        for text in (
            "XADD s 1 a 1",
            f"XSETID s 1 ENTRIESADDED {highest}",
            f"XGROUP CREATE s g 0 ENTRIESREAD {highest}",
            "XADD s 2 a 1",
            "XREADGROUP GROUP g c STREAMS s >",
            f"XCLAIM s g c 0 1 2 RETRYCOUNT {highest}",
            "XREADGROUP GROUP g c STREAMS s 0",
            "XAUTOCLAIM s g c 0 0",
        ):
            site(text)
        self.assertEqual([row[3] for row in site("XPENDING s g - + 9")], [highest] * 2)  # type: ignore[attr-defined]
        entries = dict(site.store.entries())
        other = KeyValueStore()
        other.restore(dict(entries), [])
        self.assertEqual(dict(other.entries()), entries)
        self.assertEqual(site("XINFO STREAM s")[11], highest)  # type: ignore[index]

    def test_bounds(self) -> None:
        site = Site()
        fields = [b"f"] * ELEMENTS_MAX
        self.assertEqual(site.run([b"XADD", b"s", b"1", *fields]), b"1-0")
        error = self.assertRaises(CommandError, site.store.check, [b"XADD", b"s", b"2", *fields, b"f", b"v"])
        self.assertIn("too large", str(error))
        self.patch(limits, "CONSUMERS_MAX", 3)
        self.patch(limits, "GROUPS_MAX", 2)
        replies = [site(f"XGROUP CREATE s g{number} 0") for number in range(4)]
        self.assertEqual(list(map(str, replies[2:])), ["ERR a stream has at most 2 groups"] * 2)
        for text in (
            *("XREADGROUP GROUP g0 c{} STREAMS s >", "XGROUP CREATECONSUMER s g0 c{}"),
            "XCLAIM s g0 c{} 0 1",
        ):
            for number in range(4):
                reply = site(text.format(number))
                self.assertEqual("at most 3" in str(reply), number == 3, text)

    def test_damaged_payloads(self) -> None:
        """A right checksum, and anything before it: an error, or a stream that can be kept."""
        site = Site()
        for text in ("XADD s 1 a 1 b 2", "XADD s 2 c 3", "XADD s 3-5 a 1 b 2", "XGROUP CREATE s g 0"):
            site(text)
        site("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
        site("XREADGROUP GROUP g d COUNT 2 STREAMS s >")
        payload = site.run(words("DUMP s"))
        assert isinstance(payload, bytes)
        body = payload[:-10]
        made = 0
        for place in range(1, len(body)):
            for bad in (body[:place], body[:place] + bytes([body[place] ^ 5]) + body[place + 1 :]):
                reply = site.run([b"RESTORE", b"t", b"0", payload_of(bad, 11), b"REPLACE"])
                if isinstance(reply, CommandError):
                    self.assertIn("Bad data format", str(reply))
                    continue
                made += 1
                entries = dict(site.store.entries())
                other = KeyValueStore()
                other.restore(dict(entries), [])
                self.assertEqual(dict(other.entries()), entries)
                site("XAUTOCLAIM t g c 0 0")
        self.assertGreater(made, 10)
        for kind in (15, 19, 21):
            for rest in (b"", b"\x00" * 30, b"\x80\xff\xff\xff\xff", b"\x01" * 40, b"\x81" + b"\xff" * 40):
                reply = site.run([b"RESTORE", b"t", b"0", payload_of(bytes([kind]) + rest, 11), b"REPLACE"])
                self.assertIn("ERR Bad data format" if rest[:1] != b"\0" else "", str(reply))
