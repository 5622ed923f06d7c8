"""How elements are parted in the packed forms of small collections.

The bytes FE and FF part elements.  An element is escaped where it contains one of the bytes FD, FE, FF, which
no text in UTF-8 does.  So FE and FF occur nowhere else, and a search for a parted element finds nothing else.
"""

from __future__ import annotations

__all__ = ["BEGIN", "ESCAPE", "MIDDLE", "escaped", "plain"]

BEGIN, MIDDLE, ESCAPE = b"\xfe", b"\xff", b"\xfd"


def escaped(item: bytes) -> bytes:
    """The element without a byte that parts."""
    return item.replace(ESCAPE, b"\xfd\0").replace(BEGIN, b"\xfd\1").replace(MIDDLE, b"\xfd\2")


def plain(item: bytes) -> bytes:
    """The element that `escaped` has made this of."""
    return item.replace(b"\xfd\2", MIDDLE).replace(b"\xfd\1", BEGIN).replace(b"\xfd\0", ESCAPE)
