"""Slots of keys, held against a real redis-server, and how they are shared."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.interfaces import Place
from epaxos.resp.slots import SLOTS, shares, slot_of
from tests.resp.lab import encode_raw
from tests.resp.reference import RealRedis


def places(*up: int) -> list[Place]:
    return [Place(number, "h", 7100 + number, number == 0, bool(is_up)) for number, is_up in enumerate(up)]


def owners(*up: int) -> list[int]:
    """The number of the owner of each slot."""
    found: list[int] = []
    for first, last, owner in shares(places(*up)):
        assert first == len(found), "the ranges follow each other"
        found += [owner.number] * (last - first + 1)
    return found


class SlotTests(SynchronousTestCase):
    def test_of_keys(self) -> None:
        """The example of the specification, and the cases of its hash tags."""
        self.assertEqual(slot_of(b"123456789"), 0x31C3)
        for key, same in (
            (b"{user1000}.following", b"user1000"),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"foo{bar", b"foo{bar"),
        ):
            self.assertEqual(slot_of(key), slot_of(same) if b"{" not in same else slot_of(key), key)
        self.assertNotEqual(slot_of(b"foo{}{bar}"), slot_of(b"bar"))
        self.assertNotEqual(slot_of(b"foo{bar"), slot_of(b"bar"))
        self.assertEqual(slot_of(b"foo{{bar}}zap"), slot_of(b"x{{bar}y"))

    def test_as_a_real_cluster_says(self) -> None:
        random = Random(1)
        keys = [bytes(random.choices(b"ab{}\0\xff", k=random.randrange(12))) for _ in range(2_000)]
        with RealRedis("--cluster-enabled", "yes") as server:
            client = server.connect()
            answer = client.send(b"".join([encode_raw(b"CLUSTER", b"KEYSLOT", key) for key in keys]))
            client.close()
        self.assertEqual(answer, b"".join([b":%d\r\n" % slot_of(key) for key in keys]))


class ShareTests(SynchronousTestCase):
    def test_every_slot_has_an_owner_who_is_up(self) -> None:
        for count in range(1, 8):
            for mask in range(1, 2**count):
                up = [mask >> number & 1 for number in range(count)]
                found = owners(*up)
                self.assertEqual(len(found), SLOTS)
                self.assertEqual(set(found), {number for number in range(count) if up[number]})

    def test_equal_shares(self) -> None:
        for up in ([1], [1, 1, 1], [1] * 5, [1, 0, 1], [0, 1, 1, 0, 1]):
            found = owners(*up)
            sizes = [found.count(number) for number in set(found)]
            self.assertLess(max(sizes) - min(sizes), 8, up)

    def test_only_the_share_of_the_dead_moves(self) -> None:
        before, after = owners(1, 1, 1), owners(1, 0, 1)
        for slot, (old, new) in enumerate(zip(before, after)):
            self.assertEqual(new, old if old != 1 else new, slot)
        self.assertEqual({new for old, new in zip(before, after) if old == 1}, {0, 2})

    def test_few_ranges(self) -> None:
        self.assertEqual(
            [(first, last) for first, last, _ in shares(places(1, 1))], [(0, 8191), (8192, 16383)]
        )
        self.assertEqual(len(shares(places(1, 0))), 1)

    def test_nobody(self) -> None:
        self.assertEqual(shares([]), [])
        self.assertEqual(shares(places(0, 0)), [])

    def test_more_members_than_slots_for_one(self) -> None:
        """A dead member's share may be smaller than the number of those that are up."""
        up = [1] * 999 + [0]
        self.assertEqual(len(owners(*up)), SLOTS)
