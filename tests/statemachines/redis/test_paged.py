"""Long values parts of which are replaced, beside plain bytes."""

from __future__ import annotations

from random import Random
from time import thread_time

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis import paged
from epaxos.statemachines.redis.growing import Growing, Value, append
from epaxos.statemachines.redis.paged import overwritten


class PagedTests(SynchronousTestCase):
    def play(self, random: Random) -> None:
        """Changes of all kinds; every value of before stays what it was."""
        value: Value = b""
        plain = b""
        before: list[tuple[Value, bytes]] = []
        for _ in range(30):
            kind = random.choice(("overwrite", "overwrite", "append", "join", "slice"))
            start = random.randrange(len(plain) + 40)
            more = random.randbytes(random.choice((1, 1, 3, 20, 50)))
            if kind == "overwrite":
                value = overwritten(value, start, more)
                plain = plain[:start].ljust(start, b"\0") + more + plain[start + len(more) :]
            elif kind == "append":
                value, plain = append(value, more), plain + more
            elif kind == "join" and isinstance(value, Growing):
                self.assertEqual(value.joined(), plain)
            elif kind == "slice" and isinstance(value, Growing):
                end = random.randrange(len(plain) + 90)
                self.assertEqual(value.slice(start, end), plain[start:end])
            self.assertEqual((len(value), bytes(value)), (len(plain), plain))
            before.append((value, plain))
        for value, plain in before:
            self.assertEqual(bytes(value), plain)

    def test_as_plain_bytes(self) -> None:
        for size in (8, 16, 64):
            self.patch(paged, "PAGE_BYTES", size)
            for seed in range(100):
                self.play(Random(seed))

    def test_a_change_costs_a_page(self) -> None:
        value = overwritten(b"", 64_000_000, b"x")
        began = thread_time()
        for number in range(500):
            value = overwritten(value, 100_000 * number, b"y")
        self.assertLess(thread_time() - began, 1)
        assert isinstance(value, Growing)
        self.assertEqual(value.slice(99_999, 100_002), b"\0y\0")
        self.assertEqual(value.joined().count(b"y"), 500)
        self.assertIs(value.joined(), value.joined())
