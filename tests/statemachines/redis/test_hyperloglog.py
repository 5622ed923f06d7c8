"""PFADD, PFCOUNT, PFMERGE: beside a real Redis, against plain Python, and with strings that lie."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.interfaces.redis import INTEGER_MAX
from epaxos.statemachines.redis.hyperloglog import (
    EMPTY,
    REGISTERS,
    SPARSE_BYTES_MAX,
    added,
    estimate,
    is_dense,
    merged,
    of_registers,
    place_of,
    registers_of,
)
from epaxos.statemachines.redis.hyperloglogs import ELEMENTS_BYTES_MAX
from tests.statemachines.redis.against_redis import Pair
from tests.statemachines.redis.lab import Client, words
from tests.statemachines.redis.steps import Steps
from tests.statemachines.redis.test_hashes import run
from tests.statemachines.redis.test_transactions import Site

DENSE = b"HYLL\0\0\0\0" + bytes(7) + b"\x80"


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        """Replies to the last digit, and strings that each takes from the other."""
        for seed in range(6):
            random, pair = Random(seed), Pair(seed)
            self.addCleanup(pair.close)
            pair.run([b"HSET", b"h", b"f", b"v"])
            pair.run([b"SET", b"s", b"no HyperLogLog"])
            for _ in range(120):
                key, universe = b"k%d" % random.randrange(4), random.choice((20, 3000, 10**9))
                elements = [
                    b"%d" % random.randrange(universe) + b"\xff" * random.randrange(17)
                    for _ in range(random.choice((0, 1, 1, 5, 200)))
                ]
                keys = [b"k%d" % random.randrange(7) for _ in range(random.randrange(1, 5))]
                for command in (
                    [b"PFADD", key, *elements],
                    [b"PFCOUNT", key],
                    [b"PFCOUNT", *keys],
                    [b"PFMERGE", *keys] if random.random() < 0.3 else [b"EXISTS", key],
                    random.choice(([b"PFADD", b"h", b"x"], [b"PFCOUNT", key, b"s"], [b"PFMERGE", key, b"h"])),
                    random.choice(([b"PFADD"], [b"PFCOUNT"], [b"PFMERGE"], [b"DEL", key], [b"PFADD", b"s"])),
                ):
                    self.assertEqual(*pair.run(command), command[:3])
                ours, theirs = pair.run([b"GET", key])
                if ours is not None:
                    assert isinstance(ours, bytes) and isinstance(theirs, bytes)
                    pair.ours.run([[b"SET", b"swapped", theirs]])
                    pair.theirs([b"SET", b"swapped", ours])
                    for command in ([b"PFCOUNT", b"swapped"], [b"PFADD", b"swapped", *elements, b"more"]):
                        self.assertEqual(*pair.run(command))
                    self.assertEqual(*pair.run([b"PFCOUNT", b"swapped"]))


class PlainTests(SynchronousTestCase):
    def test_registers_there_and_back(self) -> None:
        random = Random(2)
        for highest, count in ((63, REGISTERS), (51, 3000), (32, 200), (32, 5), (33, 5), (1, 0), (2, 600)):
            registers = bytearray(REGISTERS)
            for index in random.sample(range(REGISTERS), count):
                registers[index] = random.randrange(1, highest + 1)
            registers[7] = highest
            for dense in (True, False):
                value = of_registers(registers, dense)
                self.assertEqual(registers_of(value), registers)
                self.assertEqual(is_dense(value), dense or highest > 32 or count > 500)
                self.assertTrue(is_dense(value) or len(value) <= SPARSE_BYTES_MAX + 16)
        self.assertEqual(registers_of(EMPTY), bytes(REGISTERS))

    def test_elements_one_by_one_and_together(self) -> None:
        """The string depends on the elements alone, also past the change of the form."""
        random = Random(3)
        elements = [random.randbytes(random.randrange(20)) for _ in range(3000)]
        registers, one_by_one = bytearray(REGISTERS), EMPTY
        for count, element in enumerate(elements, 1):
            index, number = place_of(element)
            is_change = registers[index] < number
            registers[index] = max(registers[index], number)
            changed = added(one_by_one, [(index, number)])
            self.assertEqual(changed is not None, is_change)
            one_by_one = one_by_one if changed is None else changed
            if count in (10, 100, 500, 3000):
                self.assertEqual(registers_of(one_by_one), registers)
                self.assertEqual(added(EMPTY, map(place_of, elements[:count])), one_by_one)
                distinct = len(set(elements[:count]))
                self.assertLess(abs(estimate(registers) - distinct), 5 + distinct * 0.04)

    def test_the_larger_of_two(self) -> None:
        random = Random(4)
        for _ in range(20):
            one, other = (bytearray(random.choices(range(64), k=REGISTERS)) for _ in range(2))
            self.assertEqual(merged(one, other), bytearray(map(max, one, other)))


class HostileTests(SynchronousTestCase):
    def test_impossible_registers(self) -> None:
        """Whatever a dense string says, it is counted."""
        for number in (0, 1, 50, 51, 52, 63):
            value = of_registers(bytearray([number]) * REGISTERS, True)
            client = Client()
            client.run([[b"SET", b"k", value]])
            count: Any = client("PFCOUNT k")
            self.assertTrue(0 <= count <= INTEGER_MAX)
            self.assertEqual(client("PFADD k x"), int(number == 0 or number < place_of(b"x")[1]))

    def test_garbage(self) -> None:
        """It is refused, or counted; nothing else is raised, and an error changes nothing."""
        random = Random(5)
        good = added(EMPTY, map(place_of, [b"%d" % number for number in range(100)]))
        assert good is not None
        refused = 0
        for _ in range(2000):
            bad = bytearray(random.choice((good, EMPTY, DENSE + bytes(12288))))
            for _ in range(random.randrange(1, 4)):
                kind = random.random()
                if kind < 0.6:
                    bad[random.randrange(len(bad))] = random.randrange(256)
                elif kind < 0.8:
                    del bad[random.randrange(len(bad)) :]
                    bad = bad or bytearray(b"H")
                else:
                    bad += random.randbytes(3)
            value = bytes(bad)
            try:
                self.assertGreaterEqual(estimate(registers_of(value)), 0)
                changed = added(value, [(5, 51)])
                self.assertTrue(changed is None or registers_of(changed)[5] == 51)
            except CommandError:
                refused += 1
        self.assertGreater(refused, 500)

    def test_an_error_changes_nothing(self) -> None:
        client = Client()
        client.run(
            [[b"SET", b"bad", b"HYLL\1" + bytes(11) + b"\x80"], [b"SET", b"s", b"text"], words("PFADD k a")]
        )
        before = dict(client.store.entries())
        for text in (
            "PFADD bad x",
            "PFMERGE k bad",
            "PFMERGE new k s",
            "PFADD s x",
            "PFCOUNT k bad",
            "PFMERGE bad k",
        ):
            self.assertRegex(str(client(text)), "INVALIDOBJ|WRONGTYPE", text)
            self.assertEqual(dict(client.store.entries()), before, text)
        too_long = [b"PFADD", b"k", b"x" * ELEMENTS_BYTES_MAX, b"y"]
        self.assertIn("longer than", str(client.run([too_long])[0]))

    def test_the_deadline_stays(self) -> None:
        site = Site()
        for text in ("PFADD k a", "PEXPIRE k 1000", "PFADD k b", "PFMERGE k k", "PFMERGE other k"):
            site(text)
        self.assertEqual([site("PTTL k"), site("PTTL other"), site("PFCOUNT k other")], [1000, -1, 2])

    def test_no_long_step(self) -> None:
        store = Client().store
        keys = [b"k%d" % number for number in range(200)]
        for key in keys:
            run(store, [b"PFADD", key, *(key + b":%d" % number for number in range(1000))], False)
        step = Steps(self)
        for command in (
            [b"PFCOUNT", *keys],
            [b"PFMERGE", b"to", *keys],
            [b"PFADD", b"k", *(b"x" * 100_000 for _ in range(10))],
            [b"PFADD", b"k", *(b"%d" % number for number in range(3000))],
        ):
            self.assertGreater(step.run(store, command), 4, command[:2])
        step.check(0.04)
