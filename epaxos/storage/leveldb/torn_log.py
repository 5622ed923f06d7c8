"""The torn end of a LevelDB log: what a power failure leaves of writes that were not yet synced.

LevelDB accepts a log that ends in the middle of a record, but refuses a log whose last record has its
full length and is damaged, because some of its pages reached the disk and some did not.  Such an end is as
legitimate, and is cut off here.  Damage before a whole record is different: the damaged record was
synced, and is lost.

The format of the log is LevelDB's (its doc/log_format.md): blocks of 32 KiB, which hold fragments of
records, each with a header of checksum, length and type.
"""

from __future__ import annotations

from pathlib import Path
from struct import Struct

__all__ = ["cut_torn_end", "end_of_whole_records"]

BLOCK = 32768
_HEADER = Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_STARTS, _ENDS = (_FULL, _FIRST), (_FULL, _LAST)


def _make_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _make_table()


def _checksum(data: bytes) -> int:
    """CRC-32C, masked as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _fragment(log: bytes, start: int, block_end: int) -> tuple[int, int] | None:
    """The type and the end of the fragment at `start`; None if there is no whole one."""
    checksum, length, kind = _HEADER.unpack_from(log, start)
    end = start + _HEADER.size + length
    if not _FULL <= kind <= _LAST or end > block_end or _checksum(log[start + 6 : end]) != checksum:
        return None
    return kind, end


def _starts_later(log: bytes, start: int, block_end: int) -> bool:
    """Whether a record starts anywhere in the block from `start` on: the damage may have hit a length.

    A record is a write batch, which begins with a number of 8 bytes, low ones first, whose last two are
    always 0.  So few checksums have to be computed.
    """
    for position in range(start, block_end - _HEADER.size - 11):
        if (
            log[position + 6] in _STARTS
            and log[position + 13] == log[position + 14] == 0
            and _fragment(log, position, block_end)
        ):
            return True
    return False


def end_of_whole_records(log: bytes) -> int | None:
    """The length to which the log has to be cut to lose its torn end.

    None: nothing is torn, or there is a whole record behind the damage.
    """
    position = whole = 0
    damaged = False
    while position + _HEADER.size <= len(log):
        block_end = min(len(log), position - position % BLOCK + BLOCK)
        if position + _HEADER.size > block_end:
            position = block_end  # the padding at the end of a block
            continue
        fragment = _fragment(log, position, block_end)
        if fragment is None:
            if _starts_later(log, position + 1, block_end):
                return None
            damaged = True
            position = block_end
            continue
        kind, position = fragment
        if damaged and kind in _STARTS:
            return None
        if not damaged and kind in _ENDS:
            whole = position
    return whole if damaged else None


def cut_torn_end(database: Path, aside: Path) -> str | None:
    """Cut the torn end off the newest log of a database that is not open, if there is one.

    What is cut off is kept in the folder `aside`.  Returns a sentence about it; None if nothing was cut.
    """
    logs = sorted(database.glob("*.log"), key=lambda path: int(path.stem))
    if not logs:
        return None
    log = logs[-1].read_bytes()
    end = end_of_whole_records(log)
    if end is None:
        return None
    kept = aside / f"{logs[-1].name}.torn"
    kept.write_bytes(log[end:])
    with logs[-1].open("r+b") as file:
        file.truncate(end)
    return f"the last {len(log) - end} bytes of its log were torn; they are kept in {kept}"
