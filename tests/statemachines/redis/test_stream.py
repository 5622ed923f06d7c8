"""The value of a stream: against plain containers, through copies and transfers, and however large it is."""

from __future__ import annotations

from bisect import insort
from itertools import chain
from random import Random
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis.discards import free_part
from epaxos.statemachines.redis.streams import blocks, id_map
from epaxos.statemachines.redis.streams import encoding as encoding_module
from epaxos.statemachines.redis.streams import stream as stream_module
from epaxos.statemachines.redis.streams.blocks import Block, Packed, checked, packed, unpacked
from epaxos.statemachines.redis.streams.flat import flat, stream_of
from epaxos.statemachines.redis.streams.groups import Delivery, Group
from epaxos.statemachines.redis.streams.id_map import IdMap
from epaxos.statemachines.redis.streams.ids import HIGHEST_ID, text_of_id
from epaxos.statemachines.redis.streams.stream import Stream
from tests.statemachines.redis.steps import Steps

Plain = list[tuple[int, tuple[bytes, ...]]]

NASTY = (b"", b"\0", b"\xfd\xfe\xff", b"1", b"text", b"x" * 300, b"y" * 70_000)


def entries_of(stream: Stream) -> Plain:
    found: Plain = []
    start = 0
    while True:
        ids, entries = stream.some_from(start)
        if not ids:
            return found
        assert [text for text, _ in entries] == list(map(text_of_id, ids))
        found += zip(ids, (fields for _, fields in entries))
        start = ids[-1] + 1


def decoded(stream: Stream) -> Stream:
    return Stream.decode(list(stream.encode()))


def filled(count: int) -> Stream:
    stream = Stream()
    for number in range(1, count + 1):
        stream.append(number << 64, (b"field", b"value:%d" % number, b"n", b"%d" % number))
    return stream


class BlockTests(SynchronousTestCase):
    def block(self, *entries: tuple[int, tuple[bytes, ...]]) -> Block:
        block = Block(None, [], [])
        for number, fields in entries:
            block.append(number, fields, block.bytes_for(fields))
        return block

    def test_there_and_back(self) -> None:
        """Whatever the ids, the fields, and their lengths are."""
        for seed in range(200):
            random = Random(seed)
            block, number = self.block(), 0
            names = [random.choice(NASTY[:5]) for _ in range(random.randrange(1, 5))]
            for _ in range(random.randrange(1, 30)):
                number += random.choice((1, 5, 2**16, 2**33, 2**64, 2**70, 2**120))
                some = names if random.random() < 0.7 else random.choices(NASTY[:5], k=random.randrange(1, 7))
                fields = tuple(word for name in some for word in (name, random.choice(NASTY)))
                block.append(number, fields, block.bytes_for(fields))
            block.dead = random.randrange(5)
            data = packed(block)
            for again in (unpacked(Packed(data), None), checked(data)):
                self.assertEqual((again.ids, again.entries), (block.ids, block.entries))
                self.assertEqual((again.dead, again.size_bytes), (block.dead, block.size_bytes))
                self.assertEqual(packed(again), data)

    def test_names_are_shared(self) -> None:
        fields = (b"temperature", b"20", b"humidity", b"70")
        data = packed(self.block(*((number << 64, fields) for number in range(1, 100))))
        self.assertEqual(data.count(b"temperature"), 1)
        self.assertLess(len(data), 99 * 10)

    def test_damaged(self) -> None:
        """Bytes that are no block are refused by a ValueError, or are another block."""
        good = packed(
            self.block((5 << 64, (b"a", b"1")), (6 << 64 | 9, (b"a", b"2")), (2**100, (b"b", b"3")))
        )
        checked(good)
        refused = 0
        for place in range(len(good)):
            for bad in (
                good[:place],
                good[:place] + good[place + 1 :],
                good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :],
                good[:place] + b"\xff" * 8 + good[place + 8 :],
            ):
                try:
                    self.assertEqual(packed(checked(bad)), bad)
                except ValueError:
                    refused += 1
        self.assertGreater(refused, 2 * len(good))


class IdMapTests(SynchronousTestCase):
    def test_as_a_dict(self) -> None:
        self.patch(id_map, "CHUNK_PAIRS", 6)
        for seed in range(80):
            random = Random(seed)
            made: IdMap[int] = IdMap()
            plain: dict[int, int] = {}
            copies: list[tuple[IdMap[int], dict[int, int]]] = []
            for _ in range(random.choice((10, 100, 300))):
                number, kind = random.randrange(1, 120), random.random()
                if kind < 0.4:
                    made.set(number, kind_of := random.randrange(9))
                    plain[number] = kind_of
                elif kind < 0.75:
                    self.assertEqual(made.pop(number), plain.pop(number, None), f"seed {seed}")
                elif kind < 0.85:
                    above = max(plain, default=0)
                    ids = sorted(random.sample(range(above + 1, above + 30), random.randrange(1, 15)))
                    made.extend(ids, [7] * len(ids))
                    plain.update(dict.fromkeys(ids, 7))
                elif kind < 0.9:
                    copies.append((made, dict(plain)))
                    made = made.copy()
                self.check(made, plain, random.randrange(1, 120), f"seed {seed}")
            for copied, expected in copies:
                self.assertEqual(dict(copied.pairs()), expected, f"seed {seed}: a copy has changed")

    def check(self, made: IdMap[int], plain: dict[int, int], start: int, message: str) -> None:
        self.assertEqual((len(made), list(made.pairs())), (len(plain), sorted(plain.items())), message)
        self.assertEqual(
            [made.get(number) for number in range(150)], list(map(plain.get, range(150))), message
        )
        found: list[tuple[int, int]] = []
        place = start
        while True:
            ids, values = made.some_from(place)
            if not ids:
                break
            found += zip(ids, values)
            place = ids[-1] + 1
        self.assertEqual(found, sorted(pair for pair in plain.items() if pair[0] >= start), message)
        if plain:
            self.assertEqual((made.first(), made.last()), (min(plain), max(plain)), message)


class StreamTests(SynchronousTestCase):
    """Random histories against a plain list, with small limits so that there are many blocks."""

    def setUp(self) -> None:
        for module, name, value in (
            (blocks, "BLOCK_ENTRIES", 5),
            (blocks, "BLOCK_BYTES", 1000),
            (stream_module, "PACKED_BYTES_MAX", 50_000),
            (encoding_module, "_PIECE_ELEMENTS", 3),
            (encoding_module, "_PAIRS", 2),
        ):
            patched = mock.patch.object(module, name, value)
            patched.start()
            self.addCleanup(patched.stop)

    def test_as_a_list(self) -> None:
        kinds: set[type] = set()
        for seed in range(250):
            random = Random(seed)
            stream, plain = Stream(), Plain()
            copies: list[tuple[Stream, Plain]] = []
            for _ in range(random.choice((10, 60, 200))):
                kind = random.random()
                if kind < 0.5:
                    number = stream.last_id + random.choice((1, 3, 2**64))
                    fields = (random.choice(NASTY[:3]), random.choice(NASTY[: random.choice((5, 5, 7))]))
                    stream.append(number, fields)
                    plain.append((number, fields))
                elif kind < 0.8:
                    number = random.choice(plain)[0] if plain else 5
                    number += random.choice((0, 0, 0, 1))
                    rest = [entry for entry in plain if entry[0] != number]
                    self.assertEqual(stream.remove(number), len(rest) < len(plain), f"seed {seed}")
                    plain = rest
                elif kind < 0.85:
                    self.trim(stream, plain, random)
                elif kind < 0.92:
                    copies.append((stream, list(plain)))
                    stream = stream.copy()
                else:
                    pieces = list(stream.encode())
                    stream = Stream.decode(pieces)
                    self.assertEqual(list(stream.encode()), pieces, f"seed {seed}")
                self.check(stream, plain, random, f"seed {seed}")
                kinds.update(type(block) for _, block in stream.blocks())
            for copied, expected in copies:
                self.assertEqual(entries_of(copied), expected, f"seed {seed}: a copy has changed")
        self.assertEqual(kinds, {bytes, Block})

    def trim(self, stream: Stream, plain: Plain, random: Random) -> None:
        if not plain:
            return
        count, exact = random.randrange(1, 12), random.random() < 0.5
        minimum = random.choice((HIGHEST_ID + 1, random.choice(plain)[0]))
        removed = stream.trim_block(count, minimum, exact)
        self.assertLessEqual(removed, min(count, sum(number < minimum for number, _ in plain)))
        del plain[:removed]

    def check(self, stream: Stream, plain: Plain, random: Random, message: str) -> None:
        self.assertEqual((len(stream), entries_of(stream)), (len(plain), plain), message)
        ids = [number for number, _ in plain]
        self.assertEqual((stream.first_id, stream.top_id), (ids[0], ids[-1]) if ids else (0, 0), message)
        some = random.choice(ids) + random.randrange(2) if ids else 9
        found = stream.get(some)
        self.assertEqual(found and found[1], dict(plain).get(some), message)
        end, down = some, []
        while (part := stream.some_down(end))[0]:
            down += part[0]
            end = part[0][-1] - 1
        self.assertEqual(down, [number for number in ids if number <= some][::-1], message)
        for start in ids[:3]:
            self.assertEqual(
                stream.some_from(start, some)[0], [n for n in stream.some_from(start)[0] if n <= some]
            )

    def test_histories_decide_the_encoding(self) -> None:
        """A replica that has taken the state of another one goes on as that one, to the byte."""
        for seed in range(100):
            random = Random(seed)
            one, other = Stream(), Stream()
            for step in range(80):
                if random.random() < 0.1:
                    other = decoded(other)
                if random.random() < 0.1:
                    entries_of(random.choice((one, other)))
                kind, count = random.random(), random.randrange(1, 8)
                for stream in (one, other):
                    if kind < 0.6:
                        stream.append((step + 1) << 64, (b"f", b"v" * count))
                    elif kind < 0.9:
                        stream.remove((step * count // 8) << 64)
                    elif len(stream):
                        stream.trim_block(count, HIGHEST_ID + 1, kind < 0.95)
            self.assertEqual(list(one.encode()), list(other.encode()), f"seed {seed}")

    def test_damaged_encodings(self) -> None:
        """Bytes that no stream is encoded in are refused by a ValueError, or are another stream."""
        stream = filled(20)
        for name in (b"g1", b"g2"):
            group = stream.groups.create(name, 7 << 64)
            for number in range(1, 9):
                consumer = b"c%d" % (number % 3)
                if group.consumer(consumer) is None:
                    group.create(consumer, 5)
                group.deliver(number << 64, consumer, Delivery(9, 1))
        pieces = list(stream.encode())
        self.assertEqual(list(Stream.decode(pieces).encode()), pieces)
        refused = 0
        for seed in range(3000):
            random = Random(seed)
            bad = pieces.copy()
            number = random.randrange(len(bad))
            piece, kind = bytearray(bad[number]), random.randrange(5)
            if kind == 0:
                piece[random.randrange(len(piece))] ^= 1 << random.randrange(8)
            elif kind == 1:
                del piece[random.randrange(len(piece)) :]
            elif kind == 2:
                piece += piece[-3:]
            elif kind == 3:
                del bad[number]
            else:
                bad.append(bytes(piece))
            if kind < 3:
                bad[number] = bytes(piece)
            try:
                again = Stream.decode(bad)
                self.assertEqual(list(Stream.decode(list(again.encode())).encode()), list(again.encode()))
            except ValueError:
                refused += 1
        self.assertGreater(refused, 2000)
        for none in ([], [b""], [b"x"], [b"\1\0\0\0\0\0\0\0"]):
            self.assertRaises(ValueError, Stream.decode, none)

    def test_flat_and_back(self) -> None:
        stream = filled(17)
        stream.remove(5 << 64)
        stream.max_deleted = 5 << 64
        group = stream.groups.create(b"g", 7 << 64, 3)
        group.create(b"a", 5).active_ms = 6
        group.deliver(2 << 64, b"a", Delivery(9, 3))
        steps = stream_of(list(chain.from_iterable(flat(stream))))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                made: Stream = end.value
                break
        self.assertEqual(*[list(chain.from_iterable(flat(each))) for each in (made, stream)])


class GroupTests(SynchronousTestCase):
    def test_an_entry_is_pending_once(self) -> None:
        """Both sides always tell the same, and a copy of the stream keeps what it has."""
        for seed in range(100):
            random = Random(seed)
            stream = Stream()
            stream.groups.create(b"g", 0)
            plain: dict[int, tuple[bytes, Delivery]] = {}
            copies: list[tuple[Stream, dict[int, tuple[bytes, Delivery]]]] = []
            for step in range(150):
                group = stream.groups.owned(b"g")
                name, delivery = b"c%d" % random.randrange(4), Delivery(step, random.randrange(5))
                group.seen(name, step)
                kind = random.random()
                if kind < 0.5:
                    number = random.randrange(1, 60)
                    group.deliver(number, name, delivery)
                    plain[number] = name, delivery
                elif kind < 0.6:
                    low = random.choice((1, 60))
                    ids = sorted(random.sample(range(low, low + 30), 5))
                    group.deliver_new(ids, name, delivery)
                    plain.update(dict.fromkeys(ids, (name, delivery)))
                elif kind < 0.9:
                    number = random.randrange(1, 60)
                    self.assertEqual(group.settle(number), plain.pop(number, None) is not None)
                elif kind < 0.95:
                    copies.append((stream, dict(plain)))
                    stream = stream.copy()
                else:
                    stream = decoded(stream)
                self.check(stream.groups.owned(b"g"), plain, f"seed {seed}")
            for copied, expected in copies:
                self.check(copied.groups.owned(b"g"), expected, f"seed {seed}: a copy has changed")

    def check(self, group: Group, plain: dict[int, tuple[bytes, Delivery]], message: str) -> None:
        names = list(group.pending.pairs())
        self.assertEqual(names, sorted((number, name) for number, (name, _) in plain.items()), message)
        by_consumer: list[Any] = []
        for name in group.names:
            consumer = group.consumer(name)
            assert consumer is not None
            for number, delivery in consumer.pending.pairs():
                insort(by_consumer, (number, (name, delivery)))
        self.assertEqual(by_consumer, sorted(plain.items()), message)
        self.assertEqual(sorted(group.names), group.names)


class LargeTests(SynchronousTestCase):
    """No step of a stream of 300,000 entries, of which 100,000 are pending, takes long."""

    def test_steps(self) -> None:
        stream = filled(300_000)
        group = stream.groups.create(b"g", 0)
        group.create(b"c", 1)
        group.deliver_new([number << 64 for number in range(1, 100_001)], b"c", Delivery(1, 1))
        step = Steps(self)
        copied: Stream = step("copy", stream.copy)
        owned: Group = step("own", lambda: copied.groups.owned(b"g"))
        step("settle", lambda: owned.settle(50_000 << 64))
        step("remove", lambda: copied.remove(150_000 << 64))
        step("append", lambda: copied.append(300_001 << 64, (b"f", b"v")))
        self.assertEqual((len(stream), len(group.pending)), (300_000, 100_000))
        iterator = stream.encode()
        pieces = []
        while piece := step("encode", lambda: next(iterator, None)):
            pieces.append(piece)
        self.assertGreater(len(pieces), 100)
        while free_part():
            pass
        del group
        step("free", lambda: [stream.__setattr__("_blocks", []), stream.groups.__init__()])  # type: ignore[misc]
        while step("free a part", free_part):
            pass
        step.check()
        again = Stream.decode(pieces)
        self.assertEqual((len(again), again.get(150_000 << 64) is None), (300_000, False))
