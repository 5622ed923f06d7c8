"""Every target with bytes from hypothesis: random ones, and ones that look almost right."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example
from epaxos.protocol.values.ids import InstanceId
from epaxos.storage.state.pieces import encode_batches, encode_entries
from epaxos.wire.codec import encode
from epaxos.wire.frames import pack
from tests.fuzz.choices import BATCHES, Choices
from tests.fuzz.effort import FACTOR, effort
from tests.fuzz.hunt import CORPUS
from tests.fuzz.pieces import ENDPOINT_PIECES, HTTP_PIECES, INI_PIECES, RESP_PIECES
from tests.fuzz.targets import GREETING, KEYS, TARGETS

STATE_PIECES = [
    *encode_entries([(b"a", b"1"), (b"", b""), (b"key", b"value" * 9)]),
    *encode_batches([(InstanceId(1, slot), batch) for slot, batch in enumerate(BATCHES, 1)]),
]


def joined(pieces: list[bytes], most: int = 25) -> st.SearchStrategy[bytes]:
    """Eight bytes that decide the cuts, then pieces, some of them random."""
    piece = st.one_of(st.sampled_from(pieces), st.sampled_from(pieces), st.binary(max_size=6))
    body = st.lists(piece, max_size=most).map(b"".join)
    return st.tuples(st.binary(min_size=8, max_size=8), body).map(b"".join)


@st.composite
def peers(draw: st.DrawFn) -> bytes:
    """Bytes of a peer: a greeting or none, frames of messages, and damage."""
    parts = [pack([GREETING], 2000)] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 4))):
        chosen = Choices(draw(st.binary(min_size=20, max_size=20)))
        parts.append(pack([encode(chosen.message(3)) for _ in range(draw(st.integers(0, 3)))], 2000))
    data = bytearray(b"".join(parts))
    for _ in range(draw(st.integers(0, 2)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return draw(st.binary(min_size=8, max_size=8)) + bytes(data)


class AnythingTests(SynchronousTestCase):
    """Random bytes."""

    @effort(40)
    @given(st.binary(max_size=200))
    def test_every_target(self, data: bytes) -> None:
        for target in TARGETS.values():
            target(data)


class AlmostRightTests(SynchronousTestCase):
    """Bytes that get past the first checks."""

    @effort(120)
    @given(joined(RESP_PIECES))
    def test_clients(self, data: bytes) -> None:
        TARGETS["resp"](data)
        TARGETS["together"](data)
        TARGETS["session"](data)

    @effort(80)
    @given(joined(HTTP_PIECES))
    def test_browsers(self, data: bytes) -> None:
        TARGETS["http"](data)

    @effort(100)
    @given(peers())
    def test_peers(self, data: bytes) -> None:
        for name in ("frames", "incoming", "outgoing"):
            TARGETS[name](data)
        TARGETS["message"](data[12:])

    @effort(60)
    @given(st.lists(st.sampled_from(INI_PIECES), max_size=15))
    def test_config_files(self, pieces: list[str]) -> None:
        TARGETS["config"]("".join(pieces).encode())

    @effort(30)
    @given(st.data())
    def test_damaged_config_files(self, data: st.DataObject) -> None:
        text = bytearray(example(2).encode())
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(text) - 1))
            text[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=2))
        TARGETS["config"](bytes(text))

    @effort(80)
    @given(st.integers(0, len(KEYS) - 1), st.lists(st.sampled_from(ENDPOINT_PIECES), max_size=9))
    def test_settings(self, key: int, pieces: list[str]) -> None:
        TARGETS["setting"](bytes([key]) + "".join(pieces).encode())

    @effort(80)
    @given(st.sampled_from(STATE_PIECES), st.data())
    def test_damaged_pieces_of_the_state(self, good: bytes, data: st.DataObject) -> None:
        piece = bytearray(good)
        for _ in range(data.draw(st.integers(0, 3))):
            place = data.draw(st.integers(0, len(piece)))
            piece[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        TARGETS["piece"](bytes(piece))

    @effort(150)
    @given(st.sampled_from(("collection", "payload")), st.data())
    def test_damaged_values(self, name: str, data: st.DataObject) -> None:
        seeds = sorted((CORPUS / name).iterdir())
        value = bytearray(data.draw(st.sampled_from(seeds)).read_bytes())
        for _ in range(data.draw(st.integers(0, 3))):
            place = data.draw(st.integers(0, len(value)))
            value[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        TARGETS[name](bytes(value))


class SeededTests(SynchronousTestCase):
    """Long inputs, for which hypothesis takes too much time."""

    def test_long_inputs(self) -> None:
        for name, runs, size in (
            ("core", 60, 600),
            ("database", 300, 200),
            ("record", 600, 70),
            ("kv", 400, 60),
            ("once", 400, 100),
            ("printer", 400, 60),
            ("datagrams", 300, 200),
            ("collection", 1000, 30),
        ):
            for seed in range(runs * FACTOR):
                data = Random(f"{name} {seed}").randbytes(size)
                try:
                    TARGETS[name](data)
                except Exception as error:
                    raise AssertionError(f"{name}: {data!r}") from error
