"""The key-value store against what Redis 7 answers."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import CommandError, IRestoresInParts, Ready, Reply, SimpleString
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.redis.machine import KeyValueStore

OK = SimpleString("OK")
ID = InstanceId(0, 1)
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
OVERFLOW = "ERR increment or decrement would overflow"


def words(text: str) -> list[bytes]:
    return [word.encode() for word in text.split()]


class Client:
    """Runs commands on a store, each as a batch of its own."""

    def __init__(self) -> None:
        self.store = KeyValueStore()

    def __call__(self, text: str) -> object:
        """The reply; an error as its text."""
        return self.run([words(text)])[0]

    def run(self, commands: list[list[bytes]]) -> list[object]:
        try:
            for command in commands:
                self.store.check(command)
        except CommandError as error:
            return [str(error)]
        batch = self.store.batch(commands)
        replies: list[Reply] = list(self.store.apply([Ready(ID, batch, True)])[0])
        return [str(reply) if isinstance(reply, CommandError) else reply for reply in replies]


class CommandTests(SynchronousTestCase):
    def test_interface(self) -> None:
        verifyObject(IRestoresInParts, KeyValueStore())

    def test_replies(self) -> None:
        """Scripts: command, reply, command, reply …"""
        for script in (
            ("GET k", None, "SET k v", OK, "GET k", b"v", "set k w", OK, "get k", b"w"),
            ("SET k v NX", OK, "SET k w NX", None, "GET k", b"v"),
            ("SET k v XX", None, "GET k", None, "SET k v", OK, "SET k w xx", OK, "GET k", b"w"),
            ("SET k v GET", None, "SET k w GET", b"v", "SET k x NX GET", b"w", "GET k", b"w"),
            ("SET k v XX GET", None, "GET k", None),
            ("SET k v NX XX", "ERR syntax error", "SET k v EX 10", "ERR syntax error"),
            (
                "SET k v KEEPTTL",
                "ERR syntax error",
                "SET k",
                "ERR wrong number of arguments for 'set' command",
            ),
            ("SETNX k v", 1, "SETNX k w", 0, "GET k", b"v"),
            ("GETSET k v", None, "GETSET k w", b"v", "GETDEL k", b"w", "GETDEL k", None, "EXISTS k", 0),
            ("MSET a 1 b 2", OK, "MGET a b c", [b"1", b"2", None], "EXISTS a a b c", 3, "DEL a b c", 2),
            ("MSET a 1 b", "ERR wrong number of arguments for 'mset' command"),
            ("MSETNX a 1 b 2", 1, "MSETNX b 3 c 4", 0, "MGET b c", [b"2", None]),
            ("APPEND k ab", 2, "APPEND k c", 3, "STRLEN k", 3, "STRLEN nope", 0, "GET k", b"abc"),
            ("INCR n", 1, "INCRBY n 41", 42, "DECR n", 41, "DECRBY n 50", -9, "GET n", b"-9"),
            (
                "SET n 9223372036854775806",
                OK,
                "INCR n",
                2**63 - 1,
                "INCR n",
                OVERFLOW,
                "GET n",
                b"9223372036854775807",
            ),
            ("SET n -9223372036854775808", OK, "DECR n", OVERFLOW, "INCRBY n -1", OVERFLOW),
            ("SET n 10x", OK, "INCR n", NOT_AN_INTEGER, "SET n 010", OK, "INCR n", NOT_AN_INTEGER),
            ("INCRBY n x", NOT_AN_INTEGER, "INCRBY n 9223372036854775808", NOT_AN_INTEGER),
            ("DECRBY n -9223372036854775808", "ERR decrement would overflow"),
            ("TYPE k", SimpleString("none"), "SET k v", OK, "TYPE k", SimpleString("string")),
            ("MSET a 1 b 2", OK, "DBSIZE", 2, "FLUSHDB", OK, "DBSIZE", 0, "FLUSHALL ASYNC", OK),
            ("FLUSHDB NOW", "ERR syntax error"),
            ("FOO a b", "ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
            ("GET", "ERR wrong number of arguments for 'get' command"),
            ("GET a b", "ERR wrong number of arguments for 'get' command"),
        ):
            client = Client()
            for command, reply in zip(script[::2], script[1::2]):
                self.assertEqual(client(str(command)), reply, f"{command} in {script}")

    def test_binary(self) -> None:
        client = Client()
        key, value = bytes(range(256)), b"\r\n\0$5\r\n"
        self.assertEqual(client.run([[b"SET", key, value], [b"GET", key]]), [OK, value])

    def test_unknown_commands_are_quoted_within_bounds(self) -> None:
        error = str(Client().run([[b"X" * 10_000, b"\xff" * 10_000]])[0])
        self.assertLess(len(error), 1000)


class BatchTests(SynchronousTestCase):
    def test_footprints(self) -> None:
        """Keys written, keys only read, barrier; in the order in which they are named."""
        for commands, writes, reads, barrier in (
            (["SET a 1", "set b 2", "SET a 3"], (b"a", b"b"), (), False),
            (["GET a", "GET b", "GET a"], (), (b"a", b"b"), False),
            (["GET b", "SET a 1", "GET a"], (b"a",), (b"b",), False),
            (
                ["MSET a 1 b 2", "MGET c d", "DEL e f", "EXISTS g"],
                (b"a", b"b", b"e", b"f"),
                (b"c", b"d", b"g"),
                False,
            ),
            (["INCR a", "STRLEN b", "TYPE c"], (b"a",), (b"b", b"c"), False),
            (["SET a 1", "DBSIZE"], (), (), True),
            (["FLUSHDB"], (), (), True),
        ):
            batch = KeyValueStore().batch([words(command) for command in commands])
            self.assertEqual(
                (batch.writes, batch.reads, batch.barrier, batch.commands),
                (writes, reads, barrier, len(commands)),
            )

    def test_bulk_equals_one_by_one(self) -> None:
        """Whatever the batches, replies and state are those of the commands run alone."""
        shapes = ["SET k{0} v{1}", "GET k{0}", "INCR n{0}", "DEL k{0}", "MSET k{0} a k{1} b", "APPEND k{0} x"]
        for seed in range(300):
            random = Random(seed)
            mix = random.sample(shapes, random.choice([1, 1, 2, 6]))
            commands = [
                words(random.choice(mix).format(random.randrange(4), random.randrange(4)))
                for _ in range(random.randrange(1, 30))
            ]
            together, alone = Client(), Client()
            replies = together.run(commands)
            self.assertEqual(replies, [alone.run([command])[0] for command in commands], f"seed {seed}")
            self.assertEqual(sorted(together.store.entries()), sorted(alone.store.entries()))

    def test_nobody_here_waits_for_it(self) -> None:
        """The state becomes the same."""
        for seed in range(200):
            random = Random(seed)
            mix = random.sample(["SET {0} {1}", "SET {0} x", "GET {0}", "INCR {0}"], random.randrange(1, 4))
            here, there = KeyValueStore(), KeyValueStore()
            for _ in range(3):
                commands = [
                    words(random.choice(mix).format(random.randrange(4), random.randrange(9)))
                    for _ in range(random.randrange(1, 20))
                ]
                batch = here.batch(commands)
                here.apply([Ready(ID, batch, True)])
                there.apply([Ready(ID, batch, False)])
            self.assertEqual(dict(there.entries()), dict(here.entries()), f"seed {seed}: {mix}")
        read = here.batch([words("GET 1")])
        self.assertEqual(there.apply([Ready(ID, read, False)]), [()])

    def test_valid_shapes_are_valid(self) -> None:
        """`is_valid_shape` says yes only where no arguments could fail `check`."""
        store = KeyValueStore()
        for info in store.commands():
            for length in range(1, 7):
                if store.is_valid_shape(info.name.encode(), length):
                    store.check([info.name.encode(), *[b"\0odd"] * (length - 1)])
        self.assertTrue(store.is_valid_shape(b"SET", 3))
        self.assertTrue(store.is_valid_shape(b"get", 2))
        self.assertFalse(store.is_valid_shape(b"SET", 4))
        self.assertFalse(store.is_valid_shape(b"INCRBY", 3))
        self.assertFalse(store.is_valid_shape(b"NOPE", 3))

    def test_which_commands_only_read_their_one_key(self) -> None:
        store = KeyValueStore()
        reads = set()
        for info in store.commands():
            name = info.name.encode()
            said = {store.is_read(spelling) for spelling in (name, name.upper(), name.title())}
            self.assertEqual(len(said), 1, info.name)
            if True in said:
                reads.add(name)
                self.assertEqual(info[2:], (False, 1, 1, 1))
        self.assertEqual(reads, {b"get", b"strlen", b"type"})

    def test_read_alone(self) -> None:
        """What `apply` would answer, and nothing is changed by it."""
        for seed in range(300):
            random, client = Random(seed), Client()
            client.run([words(f"SET {key} {'v' * key}") for key in range(0, 9, 2)])
            state = dict(client.store.entries())
            names = random.sample(
                ("GET", "get", "Get", "STRLEN", "strlen", "TYPE", "tYpe"), random.randrange(1, 4)
            )
            commands = [
                [random.choice(names).encode(), b"%d" % random.randrange(10)]
                for _ in range(random.randrange(1, 20))
            ]
            replies = list(client.store.read(commands))
            self.assertEqual(dict(client.store.entries()), state)
            self.assertEqual(replies, client.run(commands), f"seed {seed}")
            types = [
                type(reply)
                for reply in client.store.apply([Ready(ID, client.store.batch(commands), True)])[0]
            ]
            self.assertEqual([type(reply) for reply in replies], types)

    def test_foreign_payloads(self) -> None:
        store = KeyValueStore()
        good = store.batch([words("SET a 1")])
        for payload, commands in (
            (b"\xff\xff", 1),
            (b"", 1),
            (good.payload, 2),
            (store.batch([words("SET a 1"), words("GET a")]).payload, 3),
            (good.payload.replace(b"SET", b"NOP"), 1),
        ):
            batch = Batch((b"a",), (), payload, commands)
            self.assertRaises(ValueError, store.apply, [Ready(ID, batch, True)])


def may_change_the_state(batch: Batch) -> bool:
    """Others are not applied again after a restart."""
    return bool(batch.writes) or batch.barrier


class RestoreTests(SynchronousTestCase):
    """A state of some time and the batches since are the state of now."""

    TEXTS = (
        *(
            "SET {0} x",
            "SET {0} y NX",
            "SET {0} z XX GET",
            "SETNX {0} n",
            "GETSET {0} s",
            "GETDEL {0}",
            "DEL {0} 1",
        ),
        *("APPEND {0} y", "MSET {0} z q 1", "MSETNX {0} m p 1", "INCR {0}", "DECRBY {0} 3", "SET {0} 5"),
        *("GET {0}", "MGET {0} 1", "EXISTS {0}", "STRLEN {0}", "TYPE {0}"),
    )

    def some_commands(self, random: Random) -> list[list[bytes]]:
        """Mostly of few kinds, so that some are applied in bulk, and some read alone."""
        if random.random() < 0.1:
            return [words(random.choice(("FLUSHDB", "FLUSHALL ASYNC", "DBSIZE")))]
        kinds = random.sample(self.TEXTS, random.choice((1, 1, 2, 3)))
        return [
            words(random.choice(kinds).format(random.randrange(5))) for _ in range(random.randrange(1, 6))
        ]

    def test_any_split_of_a_history(self) -> None:
        skipped = 0
        for seed in range(150):
            random, store = Random(seed), KeyValueStore()
            entries = [store.entries()]
            history: list[Ready] = []
            for slot in range(1, 16):
                batch = store.batch(self.some_commands(random))
                history.append(Ready(InstanceId(0, slot), batch, False))
                store.apply([Ready(ID, batch, random.random() < 0.5)])
                entries.append(store.entries())
            state = dict(store.entries())
            last = store.batch([words(f"MGET {' '.join('01234pq')}")])
            (replies,) = store.apply([Ready(ID, last, True)])
            for split in range(len(history) + 1):
                log = [ready for ready in history[split:] if may_change_the_state(ready.batch)]
                skipped += len(history) - split - len(log)
                again = KeyValueStore()
                again.restore(dict(entries[split]), iter(log))
                self.assertEqual(dict(again.entries()), state, f"seed {seed}, split at {split}")
                self.assertEqual(again.apply([Ready(ID, last, True)]), [replies])
        self.assertGreater(skipped, 1000)

    def test_what_only_reads_is_not_among_them(self) -> None:
        """Whatever a command does, its batch names what it writes, or is a barrier."""
        client = Client()
        for text in self.TEXTS:
            for before in ((), ("SET k 7",), ("SET k text", "SET 1 1")):
                client("FLUSHALL")
                for each in before:
                    client(each)
                state = dict(client.store.entries())
                command = words(text.format("k"))
                client.run([command])
                if dict(client.store.entries()) != state:
                    self.assertTrue(may_change_the_state(client.store.batch([command])), text)
        self.assertFalse(may_change_the_state(client.store.batch([words("GET k")])))

    def test_the_entries_are_of_their_time(self) -> None:
        """Later batches leave them alone, and a state that was restored too."""
        client = Client()
        client("MSET a 1 b 2")
        first, same = client.store.entries(), client.store.entries()
        again = KeyValueStore()
        again.restore(dict(first), [Ready(ID, again.batch([words("SET c 3")]), False)])
        second = again.entries()
        client("DEL a")
        again.apply([Ready(ID, again.batch([words("FLUSHALL")]), True)])
        self.assertEqual(dict(same), {b"a": b"1", b"b": b"2"})
        self.assertEqual(dict(second), {b"a": b"1", b"b": b"2", b"c": b"3"})

    def test_foreign_payloads(self) -> None:
        bad = Batch((b"a",), (), b"\xff\xff", 1)
        for before in ([], [Ready(ID, KeyValueStore().batch([words("SET a 1")]), False)]):
            self.assertRaises(ValueError, KeyValueStore().restore, {}, [*before, Ready(ID, bad, False)])
