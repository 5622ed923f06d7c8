"""What is served at which version of the cluster."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import CommandError, IVersioned
from epaxos.protocol.values.membership import VERSION
from epaxos.statemachines.redis.commands import COMMANDS
from epaxos.statemachines.redis.machine import KeyValueStore

FIRST = (
    *("GET", "SET", "SETNX", "GETSET", "GETDEL", "APPEND", "STRLEN", "INCR", "DECR", "INCRBY", "DECRBY"),
    *("MGET", "MSET", "MSETNX", "DEL", "EXISTS", "TYPE", "DBSIZE", "FLUSHDB", "FLUSHALL"),
)
"""The commands of version 1.  Their number is final: programs of that version know no others."""


class VersionsTests(SynchronousTestCase):
    def store(self, version: int) -> KeyValueStore:
        store = KeyValueStore()
        store.on_version(version)
        return store

    def refusal(self, version: int, text: str) -> str:
        """Why the command is refused; "" when it is not."""
        try:
            self.store(version).check(text.encode().split())
        except CommandError as why:
            return str(why)
        return ""

    def test_interface(self) -> None:
        verifyObject(IVersioned, KeyValueStore())

    def test_the_first_version(self) -> None:
        found = {spec.name.decode() for spec in COMMANDS.values() if spec.since == 1}
        self.assertEqual(found, set(FIRST))
        self.assertLessEqual(max(spec.since for spec in COMMANDS.values()), VERSION)

    def test_what_is_refused(self) -> None:
        for text, name in (
            ("GETRANGE k 0 1", "getrange"),
            ("EXPIRE k 10", "expire"),
            ("SET k v EX 10", "set"),
            ("set k v nx ex 10", "set"),
            ("SET k v KEEPTTL", "set"),
            ("HSET k f v", "hset"),
        ):
            self.assertEqual(
                self.refusal(1, text),
                f"ERR '{name}' needs an upgrade turn: it is of version 2, and the cluster is at version 1;"
                " run epaxosctl turn once every replica has the new program",
            )
            self.assertNotIn("upgrade", self.refusal(2, text))

    def test_what_is_served(self) -> None:
        for text in ("GET k", "SET k v", "SET k v NX GET", "set k ex", "MSET a 1 b 2", "FLUSHALL"):
            self.assertEqual(self.refusal(1, text), "")

    def test_what_is_wrong_at_any_version(self) -> None:
        for text in ("SET k v WRONG", "SET k", "NOSUCH k", "\0DUE 0 k 1"):
            self.assertEqual(self.refusal(1, text), self.refusal(2, text))
            self.assertNotIn("upgrade", self.refusal(1, text))

    def test_shapes(self) -> None:
        """`check` is asked for each of them below its version."""
        for version, expected in ((1, False), (2, True)):
            self.assertIs(self.store(version).is_valid_shape(b"HGET", 3), expected)
            self.assertTrue(self.store(version).is_valid_shape(b"SET", 3))
            self.assertFalse(self.store(version).is_valid_shape(b"SET", 5))
