"""How many entries of a stream come up to an id, as far as that is known: for `entries-read` and `lag`.

Source: t_stream.c of Redis 7.2.
"""

from __future__ import annotations

from epaxos.interfaces.redis import INTEGER_MAX
from epaxos.statemachines.redis.streams.groups import UNKNOWN, Group
from epaxos.statemachines.redis.streams.stream import Stream

__all__ = ["entries_up_to", "has_gap_after", "lag_of", "on_read"]


def has_gap_after(stream: Stream, number: int) -> bool:
    """Whether an entry from this id on was deleted, as far as the stream remembers."""
    deleted = stream.max_deleted
    return bool(len(stream) and deleted and number <= deleted)


def entries_up_to(stream: Stream, number: int) -> int:
    """The number of entries that the stream ever got up to this id, or UNKNOWN."""
    if not stream.added:
        return 0
    if not len(stream) and number <= stream.last_id:
        return stream.added
    if number and number < stream.max_deleted:
        return UNKNOWN
    if number >= stream.last_id:
        return stream.added if number == stream.last_id else UNKNOWN
    first = stream.first_id
    if (not stream.max_deleted or stream.max_deleted < first) and number <= first:
        return stream.added - len(stream) + (number == first)
    return UNKNOWN


def _is_counting(stream: Stream, group: Group) -> bool:
    """Whether what the group has read, and will read, are all entries that the stream got up to there."""
    return (
        group.entries_read != UNKNOWN
        and group.last_id >= stream.first_id
        and not has_gap_after(stream, group.last_id)
    )


def on_read(stream: Stream, group: Group, ids: list[int]) -> None:
    """The group reads the entries with these ids, which are the next behind its last one."""
    place = 0
    while place < len(ids) and not _is_counting(stream, group):
        if stream.added:
            group.entries_read = entries_up_to(stream, ids[place])
        group.last_id = ids[place]
        place += 1
    if place < len(ids):
        group.entries_read = min(group.entries_read + len(ids) - place, INTEGER_MAX)
        group.last_id = ids[-1]


def lag_of(stream: Stream, group: Group) -> int | None:
    """How many entries the group has still to read; None when that is not known."""
    if not stream.added:
        return 0
    read = group.entries_read
    if read == UNKNOWN or has_gap_after(stream, group.last_id):
        read = entries_up_to(stream, group.last_id)
    return None if read == UNKNOWN else stream.added - read
