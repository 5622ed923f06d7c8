"""The slots of a Redis Cluster, and how they are shared among replicas that all serve every key.

Clients of a Redis Cluster send a command to the owner of the slot of its key.  Here any replica runs it, so
the shares only spread the load: a share that a client knows from before is never wrong.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from epaxos.resp.interfaces import Place

__all__ = ["SLOTS", "Range", "shares", "slot_of"]

SLOTS = 16384


class Range(NamedTuple):
    """Slots `first` to `last`, and who is said to be their master."""

    first: int
    last: int
    owner: Place


def slot_of(key: bytes) -> int:
    """The slot of a key: CRC16 (XMODEM) of it, or of what stands in its first braces unless that is empty.

    See redis.io, "Redis Cluster specification", "Hash tags".
    """
    _, brace, behind = key.partition(b"{")
    tag, closing, _ = behind.partition(b"}")
    return crc_hqx(tag if brace and closing and tag else key, 0) % SLOTS


def shares(places: Sequence[Place]) -> list[Range]:
    """Who owns which slots, in the order of the slots; nobody where no place is up.

    Each place has an equal share.  That of one that is down is divided among those that are up, so that the
    slots of these stay where they are.
    """
    live = [place for place in places if place.is_up]
    if not live:
        return []
    found: list[Range] = []
    for place, (first, last) in zip(places, _parts(0, SLOTS - 1, len(places))):
        owners = [place] if place.is_up else live
        for owner, (start, end) in zip(owners, _parts(first, last, len(owners))):
            if start > end:
                continue
            if found and found[-1].owner is owner:
                found[-1] = Range(found[-1].first, end, owner)
            else:
                found.append(Range(start, end, owner))
    return found


def _parts(first: int, last: int, count: int) -> Iterator[tuple[int, int]]:
    """`count` parts of `first` to `last`, about equal; one without slots ends before it begins."""
    size = last - first + 1
    for number in range(count):
        yield first + number * size // count, first + (number + 1) * size // count - 1
