"""Values that are appended to: they cost what is appended, and never change."""

from __future__ import annotations

from random import Random
from threading import Thread
from tracemalloc import get_traced_memory, start, stop

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis.growing import GROWS_FROM_BYTES, Growing, Value, append

LONG = b"x" * GROWS_FROM_BYTES
MEGABYTE = 1 << 20


def grown(*texts: bytes) -> Growing:
    """LONG, and the texts appended to it."""
    value: Value = LONG
    for text in texts:
        value = append(value, text)
    assert isinstance(value, Growing)
    return value


class GrowingTests(SynchronousTestCase):
    def test_short_values_stay_bytes(self) -> None:
        self.assertEqual(append(b"", b""), b"")
        self.assertEqual(append(b"ab", b"c"), b"abc")
        self.assertIs(type(append(LONG[2:], b"c")), bytes)
        self.assertIs(type(append(LONG[1:], b"c")), Growing)
        self.assertEqual(bytes(append(b"", LONG)), LONG)

    def test_no_value_ever_changes(self) -> None:
        """Whatever is appended to which of them, joined or not."""
        for seed in range(200):
            random = Random(seed)
            made: list[tuple[Value, bytes]] = [(LONG, LONG)]
            for number in range(40):
                value, meant = random.choice(made[-3:] if random.random() < 0.8 else made)
                if isinstance(value, Growing) and random.random() < 0.3:
                    self.assertEqual(value.joined(), meant)
                more = b"%d," % number * random.choice((0, 1, 100))
                made.append((append(value, more), meant + more))
            for value, meant in made:
                self.assertEqual(len(value), len(meant))
                self.assertEqual(bytes(value), meant, f"seed {seed}")

    def test_joined_once(self) -> None:
        value = grown(b"ab", b"c")
        self.assertEqual(value.joined(), LONG + b"abc")
        self.assertIs(value.joined(), value.joined())
        later = value.append(b"d")
        self.assertEqual((later.joined(), value.joined()), (LONG + b"abcd", LONG + b"abc"))

    def test_nothing_but_what_is_appended_is_copied(self) -> None:
        """Neither by an append, nor by one after a value was read, nor by the length."""
        start()
        try:
            value: Value = b"x" * (16 * MEGABYTE)
            before, _ = get_traced_memory()
            for _ in range(1000):
                value = append(value, b"y" * 10)
                len(value)
            _, peak = get_traced_memory()
            self.assertLess(peak - before, 64 * 1024)
            assert isinstance(value, Growing)
            value.joined()
            read, _ = get_traced_memory()
            value = append(value, b"z")
            now, _ = get_traced_memory()
            self.assertLess(now - read, 4096)
        finally:
            stop()

    def test_memory(self) -> None:
        """What has grown takes an eighth more than it holds, and what was joined nothing more."""
        start()
        try:
            value: Value = b""
            before, _ = get_traced_memory()
            for _ in range(8 * 1024):
                value = append(value, b"y" * 1024)
            held, _ = get_traced_memory()
            self.assertLess(held - before, 8 * MEGABYTE * 9 / 8 + 64 * 1024)
            assert isinstance(value, Growing)
            value.joined()
            held, _ = get_traced_memory()
            self.assertLess(held - before, 8 * MEGABYTE + 64 * 1024)
        finally:
            stop()

    def test_another_thread_copies_while_more_is_appended(self) -> None:
        value = grown(b"y" * MEGABYTE)
        meant = bytes(value)
        wrong: list[int] = []

        def read() -> None:
            for number in range(300):
                if bytes(value) != meant:
                    wrong.append(number)

        reader = Thread(target=read)
        reader.start()
        last = value
        appended = 0
        while reader.is_alive():
            last = last.append(b"z" * 50)
            appended += 50
        reader.join()
        self.assertEqual(wrong, [])
        self.assertGreater(appended, 50)
        self.assertEqual(bytes(last), meant + b"z" * appended)
