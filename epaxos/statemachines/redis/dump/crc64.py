"""The checksum at the end of a payload: CRC-64 in the variant of Jones, reflected, which begins at 0."""

from __future__ import annotations

from collections.abc import Generator
from struct import unpack_from

__all__ = ["STEP_BYTES", "checksum"]

STEP_BYTES = 32768
"""The bytes of a step, which takes about a millisecond."""
_POLYNOMIAL = 0x95AC9329AC4BC9B5


def _first_table() -> list[int]:
    """What each byte makes of an empty checksum."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def _tables() -> list[list[int]]:
    """For each of eight bytes, the last one first, what it makes of an empty checksum."""
    first = _first_table()
    tables = [first]
    while len(tables) < 8:
        tables.append([first[value & 255] ^ (value >> 8) for value in tables[-1]])
    return tables


_TABLES = _tables()


def checksum(data: bytes) -> Generator[None, None, int]:
    """The checksum of `data`; None after each STEP_BYTES."""
    crc = 0
    for start in range(0, len(data), STEP_BYTES):
        if start:
            yield
        crc = _continued(data[start : start + STEP_BYTES], crc)
    return crc


def _continued(data: bytes, crc: int) -> int:
    """The checksum of what `crc` is the checksum of, followed by `data`.  It takes eight bytes at a time."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _TABLES
    words = len(data) // 8
    for word in unpack_from(f"<{words}Q", data):
        a, b, c, d, e, f, g, h = (crc ^ word).to_bytes(8, "little")
        crc = t7[a] ^ t6[b] ^ t5[c] ^ t4[d] ^ t3[e] ^ t2[f] ^ t1[g] ^ t0[h]
    for byte in data[words * 8 :]:
        crc = t0[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc
