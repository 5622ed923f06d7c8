"""Length-prefixed frames: cut at every place, bounded."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.wire.frames import CONTROL, FrameError, FrameReader, pack, pack_tagged


class PackTests(SynchronousTestCase):
    def test_chunks_become_one_frame(self) -> None:
        self.assertEqual(pack([b"ab", b"c"], 10), b"\x00\x00\x00\x03abc")

    def test_more_than_a_frame_may_hold_becomes_several(self) -> None:
        cases: list[tuple[list[bytes], list[bytes]]] = [
            ([b"abc"], [b"abc"]),
            ([b"abc", b"d"], [b"abc", b"d"]),
            ([b"a", b"bc", b"d"], [b"abc", b"d"]),
            ([b"a", b"bcd", b"e", b"f"], [b"a", b"bcd", b"ef"]),
        ]
        for chunks, frames in cases:
            self.assertEqual(FrameReader(3).feed(pack(chunks, 3)), frames)


class FrameReaderTests(SynchronousTestCase):
    FRAMES = [b"", b"x", b"y" * 300, b"", b"z" * 7]

    def test_byte_by_byte(self) -> None:
        stream = b"".join(pack([frame], 1000) for frame in self.FRAMES)
        reader = FrameReader(1000)
        found = [frame for byte in stream for frame in reader.feed(bytes([byte]))]
        self.assertEqual(found, self.FRAMES)

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=50), max_size=8), st.data())
    def test_any_cut_gives_the_same_frames(self, frames: list[bytes], data: st.DataObject) -> None:
        stream = b"".join(pack([frame], 50) for frame in frames)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        reader = FrameReader(50)
        found: list[bytes] = []
        for start, end in zip([0, *cuts], [*cuts, len(stream)]):
            found += reader.feed(stream[start:end])
        self.assertEqual(found, frames)

    def test_a_frame_is_given_when_its_last_byte_comes(self) -> None:
        reader = FrameReader(10)
        self.assertEqual(reader.feed(b"\x00\x00\x00\x02a"), [])
        self.assertEqual(reader.feed(b"b"), [b"ab"])

    def test_bound(self) -> None:
        """The length alone is enough to refuse."""
        self.assertEqual(FrameReader(3).feed(b"\x00\x00\x00\x03abc"), [b"abc"])
        for stream in (
            b"\x00\x00\x00\x04",
            b"\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n",
            b"\x00\x00\x00\x00\x00\x00\x00\x04",
        ):
            self.assertRaises(FrameError, FrameReader(3).feed, stream)

    def test_what_a_stranger_speaks(self) -> None:
        """The text names the protocol, where the first bytes show it, and no length."""
        for stream, protocol in (
            (b"GET / HTTP/1.1\r\n\r\n", "HTTP"),
            (b"post /status HTTP/1.1\r\n", "HTTP"),
            (b"\x16\x03\x01\x02\x00\x01", "TLS"),
            (b"*1\r\n$4\r\nPING\r\n", "a Redis command"),
            (b"ping\r\n", "a Redis command"),
            (b"-ERR no\r\n", "a Redis reply"),
            (b"SSH-2.0-x\r\n", "SSH"),
        ):
            error = self.assertRaises(FrameError, FrameReader(1024).feed, stream)
            self.assertEqual(str(error), f"this is no message of a replica; it looks like {protocol}")
        error = self.assertRaises(FrameError, FrameReader(1024).feed, b"\x00\x00\x04\x01")
        self.assertEqual(str(error), "a frame of 1025 bytes, 1024 are allowed")

    def test_the_bound_may_grow(self) -> None:
        reader = FrameReader(3)
        reader.feed(b"\x00\x00\x00\x03abc")
        reader.bytes_max = 4
        self.assertEqual(reader.feed(b"\x00\x00\x00\x04abcd"), [b"abcd"])

    def test_a_large_frame_in_small_pieces_is_not_copied_again_and_again(self) -> None:
        """16 MiB in pieces of 1000 bytes take some 20 ms; a concatenation for each would move 140 GB."""
        size = 16 * 1024 * 1024
        stream = pack([bytes(size)], size)
        reader = FrameReader(size)
        started = time.process_time()
        found = [frame for at in range(0, len(stream), 1000) for frame in reader.feed(stream[at : at + 1000])]
        self.assertEqual([len(frame) for frame in found], [size])
        self.assertLess(time.process_time() - started, 3)


class TaggedTests(SynchronousTestCase):
    FRAMES = [(0, b""), (7, b"x"), (CONTROL, b"y" * 300), (2**31 - 1, b"")]

    def test_bytes(self) -> None:
        self.assertEqual(pack_tagged([b"ab", b"c"], 5, 10), b"\0\0\0\x07\0\0\0\x05abc")

    def test_more_than_a_frame_may_hold_becomes_several(self) -> None:
        """Each has the tag; the bound is for what follows it."""
        for chunks, frames in (
            ([b"abc"], [b"abc"]),
            ([b"a", b"bc", b"d"], [b"abc", b"d"]),
            ([b"a", b"bcd", b"e", b"f"], [b"a", b"bcd", b"ef"]),
        ):
            found = FrameReader(3 + 4).feed_tagged(pack_tagged(chunks, 9, 3))
            self.assertEqual(found, [(9, frame) for frame in frames])

    def test_one_after_the_other(self) -> None:
        """The fast path, for one whole frame at a time."""
        reader = FrameReader(1000)
        for tag, frame in self.FRAMES:
            self.assertEqual(reader.feed_tagged(pack_tagged([frame], tag, 1000)), [(tag, frame)])
            self.assertTrue(reader.is_empty)

    def test_byte_by_byte(self) -> None:
        stream = b"".join(pack_tagged([frame], tag, 1000) for tag, frame in self.FRAMES)
        reader = FrameReader(1000)
        found = [frame for byte in stream for frame in reader.feed_tagged(bytes([byte]))]
        self.assertEqual(found, self.FRAMES)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, CONTROL), st.binary(max_size=50)), max_size=8), st.data())
    def test_any_cut_gives_the_same_frames(
        self, frames: list[tuple[int, bytes]], data: st.DataObject
    ) -> None:
        stream = b"".join(pack_tagged([frame], tag, 1000) for tag, frame in frames)
        reader = FrameReader(1000)
        found = []
        while stream:
            cut = data.draw(st.integers(1, len(stream)))
            found += reader.feed_tagged(stream[:cut])
            stream = stream[cut:]
        self.assertEqual(found, frames)

    def test_what_is_refused(self) -> None:
        for data, said in (
            (b"\0\0\0\x03abc", "a frame of 3 bytes, which has no tag"),
            (b"\0\0\0\0", "a frame of 0 bytes, which has no tag"),
            (b"\0\0\x03\xe9", "a frame of 1001 bytes, 1000 are allowed"),
            (b"\0\0\x03\xe9" + bytes(1001), "a frame of 1001 bytes, 1000 are allowed"),
        ):
            refusal = self.assertRaises(FrameError, FrameReader(1000).feed_tagged, data)
            self.assertEqual(str(refusal), said)
