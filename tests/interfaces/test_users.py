"""Users as one line each."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.interfaces.users import User, changed, new_user, parsed, rules_of

RULES = (
    b"on", b"off", b"nopass", b"resetpass", b"reset", b"resetkeys", b"resetchannels", b"allchannels",
    b">p", b">q", b"<p", b"~*", b"~a", b"%R~b", b"%W~b*", b"%RW~c", b"&c", b"&d*", b"+@all", b"-@all",
    b"+set", b"-set", b"+get", b"-get", b"+@read", b"-@read", b"+config|get", b"-config|get",
    b"+config", b"-config",
)  # fmt: skip


class RoundTripTests(SynchronousTestCase):
    def test_the_line_is_the_whole_user(self) -> None:
        """Else a replica that reads the state would have another digest than one that has made it."""
        random = Random(7)
        for _ in range(3000):
            name = random.choice((b"default", b"bob"))
            user = new_user(name)
            for rule in random.choices(RULES, k=random.randrange(12)):
                try:
                    user = changed(user, [rule])
                except CommandError:
                    continue
            self.assertEqual(parsed(rules_of(user)), user)
        twice = changed(User(), [b"+set", b"-get", b"+set"])
        self.assertEqual(parsed(rules_of(twice)), twice)

    def test_what_is_no_such_line(self) -> None:
        for line in (b"", b"on", b"on +set", b"on nonsense -@all"):
            self.assertRaises(CommandError, parsed, line)
