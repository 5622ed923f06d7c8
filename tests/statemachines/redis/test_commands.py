"""The commands of the key-value store, one by one."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import CommandError, IRestoresInParts, SimpleString
from epaxos.statemachines.redis.commands import COMMANDS, check
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.lab import Client

OK = SimpleString("OK")
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
OVERFLOW = "ERR increment or decrement would overflow"


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
            ("SET k v NX XX", "ERR syntax error", "SET k v EX", "ERR syntax error"),
            (
                "SET k v KEEPTTL EX 5",
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


class OptionTests(SynchronousTestCase):
    def test_the_check_looks_at_the_options_only(self) -> None:
        """What a spec says of itself: what is before the options does not matter to `check` and `find`."""
        random = Random(5)
        words = [b"EX", b"ex", b"NX", b"XX", b"GT", b"GET", b"FENCE", b"IFEQ", b"PERSIST", b"KEEPTTL", b"PX"]
        numbers = [b"1", b"0", b"-1", b"x", b"", b"9" * 19, b"9" * 5000]
        specs = [spec for spec in COMMANDS.values() if spec.options_from]
        passed = 0
        for _ in range(4000):
            spec = random.choice(specs)
            options = random.choices([*words, *numbers], k=random.randrange(4))
            results = set()
            for _ in range(3):
                head = random.choices([*words, *numbers, b"\0", b"k" * 100], k=spec.options_from - 1)
                command = [spec.name, *head, *options]
                try:
                    check(command)
                    results.add((True, spec.find is not None and spec.find(command) is not None))
                except CommandError as error:
                    results.add((False, str(error) == ""))
            self.assertEqual(len(results), 1, f"{spec.name!r} {options}")
            passed += (True, False) in results
        self.assertGreater(passed, 400)
