"""Commands that take much longer than their elements say, because they may unpack what is packed."""

from __future__ import annotations

__all__ = ["weight_of"]

_OF_BLOCK, _OF_PACKED, _OF_PAGE = 128, 64, 16

_WEIGHTS: dict[bytes, int] = {
    **dict.fromkeys(b"SETBIT SETRANGE".split(), _OF_PAGE),
    **dict.fromkeys(b"BITFIELD HMGET HRANDFIELD LINDEX LSET LTRIM".split(), _OF_PACKED),
    **dict.fromkeys(b"ZRANK ZREVRANK ZCOUNT ZLEXCOUNT ZRANDMEMBER".split(), _OF_PACKED),
    **dict.fromkeys(b"XACK XAUTOCLAIM XCLAIM XDEL XINFO XPENDING XRANGE XREVRANGE".split(), _OF_BLOCK),
    **dict.fromkeys(b"XREAD XREADGROUP PFADD".split(), _OF_BLOCK),
}
"""By name: the elements of plain commands that take about as long, 1 us each."""


def weight_of(name: bytes, length: int) -> int:
    """What a command of this name, in upper case, and number of elements counts for in a step."""
    return max(length, _WEIGHTS.get(name, 1))
