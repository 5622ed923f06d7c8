"""The value of a stream in a payload: read in every form that Redis had, and written in that of Redis 7.2.

What is read and written are the elements that `streams/flat.py` names.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from heapq import merge
from itertools import chain, islice
from struct import Struct

from epaxos.interfaces.redis import INTEGER_MAX
from epaxos.statemachines.redis.dump.errors import BadData
from epaxos.statemachines.redis.dump.lists import elements_of_listpack, listpack_of
from epaxos.statemachines.redis.dump.numbers import number_of
from epaxos.statemachines.redis.dump.reader import Reader, string
from epaxos.statemachines.redis.dump.writer import encoded, length_of
from epaxos.statemachines.redis.streams.limits import CONSUMERS_MAX, ELEMENTS_MAX, GROUPS_MAX

__all__ = ["pieces_of_stream", "stream_reader"]

NODE_ENTRIES = 100
NODE_BYTES = 4096
"""The entries, and about the bytes, of a node that is written, as Redis has them by default."""
ELEMENT_BYTES = 16
"""What each element counts for beside its own bytes, so that a stream has at most 4 million."""
STEP_PENDING = 256
_DELETED, _SAME_FIELDS = 1, 2
_UNKNOWN, _UNTOLD = -1, -2
"""In the place of the entries that a group has read; see `streams/flat.py`."""
_ID = Struct(">QQ")
_TIME = Struct("<q")
_ALL = 2**64

Elements = Generator[None, None, list[bytes]]


def _text(ms: int, sequence: int) -> bytes:
    return b"%d-%d" % (ms, sequence)


def _signed(number: int) -> int:
    return (number + _ALL // 2) % _ALL - _ALL // 2


# -- reading


def stream_reader(form: int) -> Callable[[Reader], Elements]:
    """What reads the elements of a stream: of form 1 (Redis 5), 2 (Redis 7.0), or 3 (Redis 7.2)."""

    def read(reader: Reader) -> Elements:
        entries: list[bytes] = []
        count = top = 0
        for _ in range(_bounded(reader)):
            key, data = (yield from string(reader)), (yield from string(reader))
            if len(key) != _ID.size:
                raise BadData("a node of a stream without an id")
            node = yield from elements_of_listpack(data)
            more, top = _entries_of(reader, _ID.unpack(key), node, top, entries)
            count += more
            yield
        if reader.length() != count:
            raise BadData("a stream has more or fewer entries than it says")
        last, deleted, added = _read_id(reader), (0, 0), count
        if form > 1:
            _read_id(reader)  # the first id, which follows from the entries
            deleted, added = _read_id(reader), _number(reader)
        if top > _whole(last):
            raise BadData("a stream with an entry behind its last id")
        groups = _bounded(reader, GROUPS_MAX)
        head = [_text(*last), _text(*deleted), b"%d" % added, b"%d" % count, b"%d" % groups]
        found = head + entries
        names: set[bytes] = set()
        for _ in range(groups):
            name = yield from string(reader)
            if name in names:
                raise BadData("a stream with two groups of one name")
            names.add(name)
            yield from _read_group(reader, form, name, found)
        return found

    return read


def _whole(number: tuple[int, int]) -> int:
    return number[0] << 64 | number[1]


def _read_id(reader: Reader) -> tuple[int, int]:
    return reader.length(), reader.length()


def _number(reader: Reader) -> int:
    number = reader.length()
    if number > INTEGER_MAX:
        raise BadData("a number of a stream is too high")
    return number


def _bounded(reader: Reader, most: int = INTEGER_MAX) -> int:
    """The number of things that follow, each of which has a byte at least."""
    count = reader.length()
    if count > most:
        raise BadData(f"a stream with more than {most} groups, or a group with more consumers")
    if count > reader.end - reader.place:
        raise BadData("the value has no end")
    reader.expect(ELEMENT_BYTES * count)
    return count


def _entries_of(
    reader: Reader, base: tuple[int, int], node: list[bytes], top: int, found: list[bytes]
) -> tuple[int, int]:
    """Append the entries of a node to `found`; their number, and the highest id."""
    rest = iter(node)
    live, dead, shared = _next_count(rest), _next_count(rest), _next_count(rest)
    names = list(islice(rest, shared))
    if next(rest, b"") != b"0":
        raise BadData("a node of a stream without its head")
    count = 0
    for _ in range(live + dead):
        flags, ms, sequence = _next(rest), _next(rest), _next(rest)
        if flags & _SAME_FIELDS:
            values = list(islice(rest, shared))
            fields = list(chain.from_iterable(zip(names, values)))
            size = shared + 3
        else:
            fields = list(islice(rest, 2 * _next_count(rest)))
            size = len(fields) + 4
        if not 0 < len(fields) <= ELEMENTS_MAX or _next(rest) != size:
            raise BadData("an entry of a stream that is none")
        if flags & _DELETED:
            continue
        number = (base[0] + ms) % _ALL, (base[1] + sequence) % _ALL
        if _whole(number) <= top:
            raise BadData("a stream whose ids do not rise")
        top = _whole(number)
        count += 1
        reader.expect(ELEMENT_BYTES * (len(fields) + 2))
        found += (_text(*number), b"%d" % len(fields))
        found += fields
    if count != live or next(rest, None) is not None:
        raise BadData("a node of a stream has more or fewer entries than it says")
    return count, top


def _next(rest: Iterator[bytes]) -> int:
    number = number_of(next(rest, b""))
    if number is None:
        raise BadData("a node of a stream without a number")
    return number


def _next_count(rest: Iterator[bytes]) -> int:
    number = _next(rest)
    if not 0 <= number < 2**31:
        raise BadData("a node of a stream without a number")
    return number


def _time(reader: Reader) -> int:
    (time_ms,) = _TIME.unpack(reader.take(_TIME.size))
    if time_ms < -1:
        raise BadData("a time of a stream that is none")
    return int(time_ms)


def _read_group(reader: Reader, form: int, name: bytes, found: list[bytes]) -> Generator[None, None, None]:
    last = _read_id(reader)
    entries_read = _signed(reader.length()) if form > 1 else _UNTOLD
    if form > 1 and entries_read < _UNKNOWN:
        raise BadData("a group of a stream that is none")
    pending: dict[bytes, list[bytes]] = {}
    for place in range(_bounded(reader)):
        number = reader.take(_ID.size)
        pending[number] = [_text(*_ID.unpack(number)), b"%d" % max(0, _time(reader)), b"%d" % _number(reader)]
        reader.expect(8 * ELEMENT_BYTES)
        if place % STEP_PENDING == 0:
            yield
    consumers = _bounded(reader, CONSUMERS_MAX)
    found += (name, _text(*last), b"%d" % entries_read, b"%d" % consumers)
    names: set[bytes] = set()
    for _ in range(consumers):
        name = yield from string(reader)
        if name in names:
            raise BadData("a group with two consumers of one name")
        names.add(name)
        yield from _read_consumer(reader, form, name, pending, found)
    if pending:
        raise BadData("an entry that is pending with nobody")


def _read_consumer(
    reader: Reader, form: int, name: bytes, pending: dict[bytes, list[bytes]], found: list[bytes]
) -> Generator[None, None, None]:
    seen_ms = max(0, _time(reader))
    active_ms = _time(reader) if form > 2 else seen_ms
    count = _bounded(reader)
    found += (name, b"%d" % seen_ms, b"%d" % active_ms, b"%d" % count)
    for place in range(count):
        entry = pending.pop(reader.take(_ID.size), None)
        if entry is None:
            raise BadData("an entry that is pending with a consumer, and not with its group")
        found += entry
        if place % STEP_PENDING == 0:
            yield


# -- writing


def pieces_of_stream(elements: Sequence[bytes]) -> Elements:
    """The bytes of a stream, in pieces."""
    rest = iter(elements)
    last, deleted, added, count, groups = islice(rest, 5)
    nodes: list[bytes] = []
    first = b"0-0"
    node: list[tuple[tuple[int, int], list[bytes]]] = []
    size = 0
    for place in range(int(count)):
        text = next(rest)
        fields = list(islice(rest, int(next(rest))))
        bytes_more = sum(map(len, fields))
        if node and (len(node) == NODE_ENTRIES or size + bytes_more > NODE_BYTES):
            nodes += _node(node)
            node, size = [], 0
            yield
        if not place:
            first = text
        node.append((_parts(text), fields))
        size += bytes_more
    nodes += _node(node) if node else ()
    pieces = [length_of(len(nodes) // 4), *nodes, length_of(int(count)), *_lengths(last), *_lengths(first)]
    pieces += (*_lengths(deleted), length_of(int(added)), length_of(int(groups)))
    for _ in range(int(groups)):
        yield from _group(rest, pieces)
    return pieces


def _parts(text: bytes) -> tuple[int, int]:
    ms, _, sequence = text.partition(b"-")
    return int(ms), int(sequence)


def _lengths(text: bytes) -> Iterator[bytes]:
    return map(length_of, _parts(text))


def _node(entries: list[tuple[tuple[int, int], list[bytes]]]) -> list[bytes]:
    base, fields = entries[0]
    names = fields[::2]
    flat = [b"%d" % len(entries), b"0", b"%d" % len(names), *names, b"0"]
    for (ms, sequence), fields in entries:
        is_same = fields[::2] == names
        flat.append(b"%d" % (_SAME_FIELDS if is_same else 0))
        flat += (b"%d" % _signed(ms - base[0]), b"%d" % _signed(sequence - base[1]))
        if is_same:
            flat += fields[1::2]
        else:
            flat.append(b"%d" % (len(fields) // 2))
            flat += fields
        flat.append(b"%d" % (len(names) + 3 if is_same else len(fields) + 4))
    listpack = listpack_of(flat)
    return [length_of(_ID.size), _ID.pack(*base), length_of(len(listpack)), listpack]


def _group(rest: Iterator[bytes], pieces: list[bytes]) -> Generator[None, None, None]:
    name, last, entries_read, consumers = islice(rest, 4)
    pieces += (encoded(name), *_lengths(last), length_of(int(entries_read) % _ALL))
    of_group: list[list[tuple[bytes, bytes]]] = []
    of_consumers: list[bytes] = [length_of(int(consumers))]
    for _ in range(int(consumers)):
        name, seen_ms, active_ms, count = islice(rest, 4)
        of_consumers += (encoded(name), *(_TIME.pack(int(text)) for text in (seen_ms, active_ms)))
        of_consumers.append(length_of(int(count)))
        of_group.append([])
        for place in range(int(count)):
            text, time_ms, times = islice(rest, 3)
            number = _ID.pack(*_parts(text))
            of_consumers.append(number)
            of_group[-1].append((number, _TIME.pack(int(time_ms)) + length_of(int(times))))
            if place % STEP_PENDING == 0:
                yield
    pieces.append(length_of(sum(map(len, of_group))))
    pending = merge(*of_group)  # those of each consumer are in order
    while some := list(islice(pending, STEP_PENDING)):
        pieces.append(b"".join(chain.from_iterable(some)))
        yield
    pieces += of_consumers
    yield
