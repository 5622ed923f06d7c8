"""Datagrams as bytes: what goes in, what must not come out, and how much is kept."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    Accept,
    Batch,
    Commit,
    Message,
    Phase,
    PreAccept,
    RecoverOK,
    Validate,
)
from epaxos.transport.datagrams import (
    ANSWER,
    CONTROL,
    DATAGRAM_BYTES_LIMIT,
    HEADER_BYTES,
    HELLO,
    LONG_MESSAGE_BYTES_MAX,
    MESSAGES,
    Datagram,
    DatagramError,
    DatagramReader,
    DatagramWriter,
    Sequence,
    batch_bytes_max,
    body_bytes_max,
)
from epaxos.transport.handshake import PeerIdentity
from epaxos.wire.codec import encode

SIZE = 200
BODY = body_bytes_max(SIZE)
SESSION = 7
UUID = 77


def identity(replica: int, cluster: str = "home", n: int = 3) -> PeerIdentity:
    return PeerIdentity(cluster, replica, Epoch.first(n))


def writer(
    sender: int = 0,
    receiver: int = 1,
    session: int = SESSION,
    size: int = SIZE,
    cluster: str = "home",
    n: int = 3,
) -> DatagramWriter:
    made = DatagramWriter(identity(sender, cluster, n), 100 + sender, session, size)
    made.address(UUID, 100 + receiver)
    return made


class Bodies(DatagramReader):
    """Of replica 1, for what comes from replica 0: the bodies alone."""

    def body(self, datagram: bytes) -> bytes:
        return self.read(datagram).body


def reader(session: int = SESSION) -> Bodies:
    read = Bodies(identity(1), 101)
    read.know(UUID)
    read.expect(100, session)
    return read


class PackingTests(SynchronousTestCase):
    def read(self, *chunks: bytes) -> list[bytes]:
        """What comes out of the datagrams of these chunks."""
        read = reader()
        datagrams = list(writer().write(chunks))
        for datagram in datagrams:
            self.assertLessEqual(len(datagram), SIZE - 32, "the room of a proof is kept free")
        return [read.body(datagram) for datagram in datagrams]

    def test_small_messages_share(self) -> None:
        self.assertEqual(self.read(b"a", b"b", b"c"), [b"abc"])
        self.assertEqual(self.read(), [])

    def test_as_many_as_fit(self) -> None:
        half = bytes(BODY // 2)
        self.assertEqual(self.read(half, half, b"x", half), [half + half, b"x" + half])
        self.assertEqual(self.read(bytes(BODY), b"x"), [bytes(BODY), b"x"])
        self.assertEqual(self.read(b"x", bytes(BODY)), [b"x", bytes(BODY)])

    def test_a_long_message_goes_in_fragments(self) -> None:
        long = Random(1).randbytes(3 * BODY + 1)
        self.assertEqual(self.read(b"a", long, b"b", b"c"), [b"a", b"", b"", b"", long, b"bc"])

    @given(st.lists(st.binary(min_size=1, max_size=3 * BODY), max_size=12))
    def test_everything_comes_out_as_it_went_in(self, chunks: list[bytes]) -> None:
        self.assertEqual(b"".join(self.read(*chunks)), b"".join(chunks))

    def test_every_message_with_a_batch_fits(self) -> None:
        """The longest of each, beside the longest batch that is allowed."""
        last = 2**63 - 1
        for size in (1200, 1400, 60_000, DATAGRAM_BYTES_LIMIT):
            for n in (1, 3, 7, 40):
                id = InstanceId(n - 1, last)
                deps = (last,) * n
                batch = Batch((b"key",), (b"other",), b"", 2**32 - 1, True)
                batch = batch._replace(payload=bytes(batch_bytes_max(size, n) - batch.size_bytes))
                messages: list[Message] = [
                    PreAccept(id, batch, deps, tuple(range(n - 1))),
                    Accept(id, last, batch, deps),
                    Commit(id, last, batch, deps),
                    Validate(id, last, batch, deps),
                    RecoverOK(id, last, last, Phase.COMMITTED, batch, deps, deps, tuple(range(n))),
                ]
                for message in messages:
                    self.assertLessEqual(len(encode(message)), body_bytes_max(size))
                    (datagram,) = writer(size=size).write([encode(message)])
                    self.assertLessEqual(len(datagram), size)


class RefusalTests(SynchronousTestCase):
    def refused(self, datagram: bytes, reason: str) -> None:
        read = reader()
        with self.assertRaises(DatagramError) as refusal:
            read.read(datagram)
        self.assertEqual(str(refusal.exception), reason)
        self.assertEqual((read.sequence.lost, read.sequence.doubled), (0, 0))

    def datagram(self, made_by: DatagramWriter | None = None) -> bytes:
        (datagram,) = (made_by or writer()).write([b"frame"])
        return datagram

    def changed(self, offset: int, to: bytes) -> bytes:
        datagram = self.datagram()
        return datagram[:offset] + to + datagram[offset + len(to) :]

    def test_too_short(self) -> None:
        for length in (0, 1, HEADER_BYTES - 1):
            self.refused(self.datagram()[:length], f"{length} bytes are not a datagram of a replica")

    def test_each_field(self) -> None:
        for datagram, reason in (
            (self.changed(0, b"HTTP"), "not a datagram of a replica"),
            (
                self.changed(4, b"\x01"),
                "header version 1, here it is 2: over UDP, stop all replicas, then start all with the same"
                " version",
            ),
            (self.changed(5, b"\x20"), "signed with key 0, here are no keys"),
            (self.changed(6, b"\0\x05"), "signed with key 5, here are no keys"),
            (self.changed(8, b"12345678"), "of another cluster"),
            (self.changed(16, b"12345678"), "from a process whose greeting was not accepted yet"),
            (self.changed(24, b"12345678"), "for another folder than the one here"),
            (self.changed(24, bytes(8)), "for another folder than the one here"),
            (self.changed(32, b"\x04"), "a datagram of kind 4"),
            (self.changed(36, b"\xff"), "kind 0 of epoch 4278190080"),
            (self.changed(40, b"12345678"), "from a process whose greeting was not accepted yet"),
            (self.changed(48, bytes(8)), "fragment 0 of 1 in datagram 0"),
            (self.changed(56, b"\0\x01\0\x01"), "fragment 1 of 1 in datagram 1"),
            (self.changed(56, b"\0\0\0\0"), "fragment 0 of 0 in datagram 1"),
            (self.changed(58, b"\xff\xff"), "a message in 65535 fragments"),
        ):
            self.refused(datagram, reason)

    def test_other_clusters(self) -> None:
        reason = "of another cluster"
        made_by = writer(cluster="away")
        made_by.address(0, 101)
        self.refused(self.datagram(made_by), reason)

    def test_any_number_of_replicas(self) -> None:
        """Members come and go, and each has the number of its configuration."""
        for n in (1, 5, 1000):
            made_by = writer(n=n)
            made_by.address(0, 101)
            self.assertEqual(reader().read(self.datagram(made_by)).kind, MESSAGES)

    def test_the_uuid(self) -> None:
        """One that is not known here may be the right one; the name stands in place of one that is not known
        there."""
        made_by, read = writer(), reader()
        made_by.address(UUID + 1, 101)
        self.refused(self.datagram(made_by), "of another cluster")
        read.know(0)
        self.assertEqual(read.body(self.datagram(made_by)), b"frame")
        made_by.address(0, 101)
        self.assertEqual(reader().body(self.datagram(made_by)), b"frame")

    def test_each_kind(self) -> None:
        """A greeting and an answer come before a greeting was accepted; an answer is for one folder."""
        for kind, taken in ((MESSAGES, False), (CONTROL, False), (HELLO, True), (ANSWER, True)):
            (datagram,) = writer().write_one(b"body", kind)
            read = Bodies(identity(1), 101)
            if taken:
                self.assertEqual(read.read(datagram), Datagram(kind, 0, SESSION, b"body"))
            else:
                self.assertRaises(DatagramError, read.read, datagram)
        (datagram,) = writer().write_one(b"body", ANSWER, 999)
        self.assertRaises(DatagramError, reader().read, datagram)
        (datagram,) = writer().write_one(b"body", ANSWER, 0)
        self.assertEqual(reader().body(datagram), b"body")

    def test_the_epoch(self) -> None:
        (datagram,) = writer().write([b"body"], 5)
        self.assertEqual(reader().read(datagram), Datagram(MESSAGES, 5, SESSION, b"body"))

    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        self.assertRaises(DatagramError, reader().read, data)

    @given(st.data())
    def test_a_datagram_with_some_bytes_changed(self, data: st.DataObject) -> None:
        datagram = bytearray(self.datagram())
        for _ in range(data.draw(st.integers(1, 4))):
            datagram[data.draw(st.integers(0, len(datagram) - 1))] = data.draw(st.integers(0, 255))
        try:
            body = reader().body(bytes(datagram))
        except DatagramError:
            return
        self.assertIn(len(body), (0, 5))


class LongMessageTests(SynchronousTestCase):
    long = Random(2).randbytes(5 * BODY)

    def fragments(self) -> list[bytes]:
        return list(writer().write([self.long]))

    def through(self, datagrams: list[bytes]) -> list[bytes]:
        read = reader()
        return [body for body in map(read.body, datagrams) if body]

    def test_any_order_and_doubles(self) -> None:
        for seed in range(20):
            fragments = self.fragments()
            fragments += fragments[1:3]
            Random(seed).shuffle(fragments)
            self.assertEqual(self.through(fragments)[:1], [self.long])

    def test_lost_fragments(self) -> None:
        """The next message is not spoilt by what is there of the last."""
        made_by = writer()
        first = list(made_by.write([self.long]))
        second = list(made_by.write([self.long[::-1]]))
        self.assertEqual(self.through(first[1:] + second), [self.long[::-1]])
        self.assertEqual(self.through(first[:-1]), [])

    def test_another_session(self) -> None:
        """A replica that starts again uses the same numbers."""
        again = list(writer(session=SESSION + 1).write([self.long[::-1]]))
        read = reader()
        self.assertEqual([read.body(datagram) for datagram in self.fragments()[:3]], [b""] * 3)
        read.expect(100, SESSION + 1)
        self.assertEqual([body for body in map(read.body, again) if body], [self.long[::-1]])

    def test_what_is_kept_is_bounded(self) -> None:
        read = reader()
        size = DATAGRAM_BYTES_LIMIT
        made_by = writer(size=size)
        endless = made_by.write([bytes(LONG_MESSAGE_BYTES_MAX + 2 * size)])
        with self.assertRaises(DatagramError) as refusal:
            for datagram in endless:
                self.assertEqual(read.body(datagram), b"")
        self.assertEqual(str(refusal.exception), f"a message of more than {LONG_MESSAGE_BYTES_MAX} bytes")
        longest = bytes(LONG_MESSAGE_BYTES_MAX)
        (message,) = [body for body in map(read.body, made_by.write([longest])) if body]
        self.assertEqual(len(message), len(longest))


class SequenceTests(SynchronousTestCase):
    def test_counts(self) -> None:
        """Numbers as they come, and how many of them were lost and doubled."""
        for numbers, lost, doubled in (
            ([], 0, 0),
            ([1, 2, 3], 0, 0),
            ([1, 4], 2, 0),
            ([1, 4, 3, 2], 0, 0),
            ([1, 1, 2, 1], 0, 2),
            ([100, 101], 0, 0),
            ([100, 99, 101], 0, 0),
            ([1, 3000], 2998, 0),
            ([1, 3000, 2, 2], 2998, 0),
            ([1, 1024, 1], 1022, 1),
            ([1, 1025, 1], 1023, 0),
        ):
            sequence = Sequence()
            for number in numbers:
                sequence.note(1, number)
            self.assertEqual((sequence.lost, sequence.doubled), (lost, doubled), numbers)

    def test_sessions(self) -> None:
        sequence = Sequence()
        for session, number in ((5, 1), (5, 3), (6, 1), (5, 9), (5, 3), (6, 2), (6, 2)):
            sequence.note(session, number)
        self.assertEqual((sequence.lost, sequence.doubled), (1, 1))

    @given(st.lists(st.integers(1, 500), min_size=1))
    def test_against_the_whole_memory(self, numbers: list[int]) -> None:
        sequence = Sequence()
        for number in numbers:
            sequence.note(1, number)
        self.assertEqual(sequence.doubled, len(numbers) - len(set(numbers)))
        between = {number for number in numbers if number >= numbers[0]}
        self.assertEqual(sequence.lost, max(numbers) - numbers[0] + 1 - len(between))
