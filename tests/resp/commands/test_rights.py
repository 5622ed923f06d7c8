"""Which keys a user needs for a command, and how long it takes to find out."""

from __future__ import annotations

from epaxos.interfaces.access import KEYS_MAX, Access
from tests.resp.commands.test_acl import AclCase, words_of
from tests.resp.lab import encode
from tests.resp.reference import RealRedis

RIGHTS = (
    "~a %R~b",
    "~a %W~b",
    "%R~a ~b",
    "%W~a ~b",
    "%W~d ~a %R~b",
    "%R~d ~a %R~b",
    "%R~a %R~b",
    "%W~a %W~b",
)
COMMANDS = (
    "RENAME a b", "RENAMENX a b", "RENAME a a", "LMOVE a b LEFT LEFT", "BLMOVE a b LEFT LEFT 0",
    "RPOPLPUSH a b",
    "BRPOPLPUSH a b 0", "SMOVE a b m", "PFMERGE a b", "PFMERGE d a b", "XREADGROUP GROUP g c STREAMS a b > >",
    "BITFIELD a GET u8 0", "BITFIELD a GET u8 0 SET u8 0 1", "BITFIELD a OVERFLOW SAT GET u8 0",
    "SUNIONSTORE d a b", "SUNIONSTORE a a b", "ZUNIONSTORE a 2 a b", "BITOP OR d a b", "BITOP OR a a",
    "COPY a b", "COPY a a", "SORT a STORE b", "SORT a STORE a",
)  # fmt: skip


class Counted(bytes):
    """A key that notes how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return bytes.__eq__(self, other)  # type: ignore[arg-type]

    __hash__ = bytes.__hash__


class RightsTests(AclCase):
    def rights(self, name: str, rules: str) -> Access:
        self.ask(self.connect(), f"ACL SETUSER {name} on >p {rules}")
        access = self.server.factory.shared.admittance.access_of(name.encode())
        assert access is not None
        return access

    def test_each_key_is_looked_at_once(self) -> None:
        """So the time grows with the number of keys, and not with its square."""
        access = self.rights("alice", "~app:* +@all")
        for head in ("SUNIONSTORE app:d", "ZUNIONSTORE app:d 1000", "BITOP OR app:d", "PFMERGE app:d"):
            keys = [Counted(b"app:%d" % number) for number in range(1000)]
            Counted.compared = 0
            self.assertIsNone(access.denied([*head.encode().split(), *keys]))
            self.assertLess(Counted.compared, 20 * len(keys), head)

    def test_the_keys_of_a_command_are_bounded_where_they_are_looked_at(self) -> None:
        client = self.user("alice", "~app:*", "+@all")
        for name in ("MGET", "SUNIONSTORE", "WATCH", "SINTERCARD"):
            words = [name, *(["20001"] if name == "SINTERCARD" else []), *["app:1"] * (KEYS_MAX + 1)]
            told = self.ask(client, " ".join(words))
            self.assertIn(b"-NOPERM a user with patterns of keys", told, name)
        self.assertTrue(self.ask(client, " ".join(["MGET", *["app:1"] * KEYS_MAX])).startswith(b"*20000"))
        self.assertEqual(self.ask(client, " ".join(["RPUSH", "app:l", *["x"] * 20_001])), b":20001\r\n")
        self.assertTrue(self.ask(self.connect(), " ".join(["MGET", *["a"] * 20_001])).startswith(b"*20001"))

    def test_what_is_needed_for_each_key(self) -> None:
        with RealRedis() as redis:
            real, ours = redis.connect(), self.connect()
            for number, rules in enumerate(RIGHTS):
                setting = f"ACL SETUSER u{number} on nopass {rules} +@all &x"
                self.assertEqual(self.ask(ours, setting), real.send(encode(setting)))
                for command in COMMANDS:
                    asked = f"ACL DRYRUN u{number} {command}"
                    expected, told = words_of(real.send(encode(asked))), words_of(self.ask(ours, asked))
                    self.assertEqual(told == [b"+OK"], expected == [b"+OK"], f"{command} with {rules}")
