"""The forms of a set: each as a plain dict, and the same after a transfer (more: `test_fields`)."""

from __future__ import annotations

from itertools import chain
from random import Random
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis import named as named_module
from epaxos.statemachines.redis import packed
from epaxos.statemachines.redis import pieces as pieces_module
from epaxos.statemachines.redis.entries import _STRING
from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.kinds import KINDS
from epaxos.statemachines.redis.members import Members
from tests.statemachines.redis.test_fields import NASTY


def form(members: Members) -> str:
    return type(members._held).__name__


def in_order(members: Members) -> list[bytes]:
    return list(chain.from_iterable(members.flat()))


def filled(count: int) -> Members:
    members = Members()
    members.add_all([b"member:%d" % number for number in range(count)])
    return members


class MembersTests(SynchronousTestCase):
    def setUp(self) -> None:
        for module, name, value in (
            (packed, "FIELDS_MAX", 6),
            (named_module, "LISTED_MAX", 20),
            (named_module, "PIECE_NAMES", 5),
            (pieces_module, "PIECE_BYTES", 120),
        ):
            patched = mock.patch.object(module, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def test_as_a_dict(self) -> None:
        forms = set()
        for seed in range(300):
            random = Random(seed)
            members, plain = Members(), dict[bytes, None]()
            universe = [
                random.choice(NASTY) * random.choice((1, 1, 30)) + b"%d" % number
                for number in range(random.choice((4, 8, 30, 90)))
            ]
            copies: list[tuple[Members, list[bytes]]] = []
            for _ in range(random.choice((10, 60, 150))):
                kind, some = random.random(), random.choices(universe, k=random.randrange(1, 9))
                if kind < 0.4:
                    self.assertEqual(members.add(some[0]), some[0] not in plain, f"seed {seed}")
                    plain[some[0]] = None
                elif kind < 0.6:
                    size = len(plain)
                    plain.update(dict.fromkeys(some))
                    self.assertEqual(members.add_all(some), len(plain) - size, f"seed {seed}")
                elif kind < 0.8:
                    gone = {name for name in some if name in plain}
                    self.assertEqual(members.remove_all(some), len(gone), f"seed {seed}")
                    plain = {name: None for name in plain if name not in gone}
                elif kind < 0.9:
                    copies.append((members, in_order(members)))
                    members = members.copy()
                elif plain:
                    again = Members.decode(list(members.encode()))
                    self.assertEqual(list(again.encode()), list(members.encode()))
                    self.assertEqual(form(again), form(members))
                    members = again
                self.assertEqual(len(members), len(plain))
                self.assertEqual(members.among(universe), [name for name in universe if name in plain])
                self.assertEqual([name for name in universe if name in members], members.among(universe))
                in_plain = sorted(plain) if form(members) == "Parted" else list(plain)
                found = sorted(in_order(members)) if form(members) == "Parted" else in_order(members)
                self.assertEqual(found, in_plain, f"seed {seed}")
                forms.add(form(members))
            for copied, expected in copies:
                self.assertEqual(in_order(copied), expected, f"seed {seed}: a copy has changed")
        self.assertEqual(forms, {"bytes", "dict", "Parted"})

    def test_one_by_one_and_together(self) -> None:
        """The history alone decides the form and the order."""
        for seed in range(60):
            random = Random(seed)
            start = random.choice((0, 3, 5, 17))
            names = [
                random.choice((b"%d", b"%d" + b"x" * 70)) % random.randrange(start + 8) for _ in range(6)
            ]
            together, one_by_one = filled(start), filled(start)
            self.assertEqual(together.add_all(names), sum(map(one_by_one.add, names)))
            self.assertEqual(list(together.encode()), list(one_by_one.encode()))

    def test_damaged_encodings(self) -> None:
        """Bytes that no set is encoded in are refused by a ValueError, or are another set."""
        refused = 0
        for count in (3, 10, 40):
            pieces = list(filled(count).encode())
            random = Random(count)
            for _ in range(300):
                bad = pieces.copy()
                number = random.randrange(len(bad))
                piece = bytearray(bad[number])
                kind = random.randrange(4)
                if kind == 0:
                    piece[random.randrange(len(piece))] ^= 1 << random.randrange(8)
                elif kind == 1:
                    del piece[random.randrange(len(piece)) :]
                elif kind == 2:
                    piece += piece[-3:]
                else:
                    bad.append(bytes(piece))
                bad[number] = bytes(piece)
                try:
                    self.assertGreater(len(Members.decode(bad)), 0)
                except ValueError:
                    refused += 1
        self.assertGreater(refused, 400)
        fields = Fields()
        fields.set(b"name", b"value")
        self.assertRaises(ValueError, Members.decode, list(fields.encode()))

    def test_letters(self) -> None:
        """Each type has one of its own, which is not that of a string, and is no capital."""
        for letter, kind in KINDS.items():
            self.assertEqual(letter, kind.letter)
            self.assertNotEqual(letter, _STRING)
            self.assertTrue(letter.islower())
