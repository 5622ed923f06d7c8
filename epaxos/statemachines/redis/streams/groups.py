"""Groups of consumers: how far a group has read, and which entries are pending, and with whom.

The group knows the consumer of each pending entry, and the consumer its last delivery, so that each fact has
one place.  A copy of a group shares its consumers with the original, as a copy of a stream shares its groups:
whoever changes one asks for it first (`owned`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

from epaxos.statemachines.redis.discards import discard
from epaxos.statemachines.redis.streams.id_map import IdMap

__all__ = ["NEVER", "UNKNOWN", "Consumer", "Delivery", "Group", "Groups"]

UNKNOWN = -1
"""In the place of the number of entries that a group has read."""
NEVER = -1
"""In the place of the time when a consumer was active."""
_FREED_CONSUMERS = 256
"""Consumers that are freed in one step."""


class Delivery(NamedTuple):
    """When an entry was delivered last, in milliseconds since 1970, and how many times in all."""

    time_ms: int
    times: int


class Consumer:
    """One consumer of a group.  `pending`: its entries; `owner`: who may change it.

    `seen_ms`: when it asked last; `active_ms`: when it last got something, or NEVER.
    """

    __slots__ = ("active_ms", "owner", "pending", "seen_ms")

    def __init__(self, owner: object, seen_ms: int, active_ms: int = NEVER) -> None:
        self.owner = owner
        self.seen_ms = seen_ms
        self.active_ms = active_ms
        self.pending: IdMap[Delivery] = IdMap()

    def copy(self, owner: object) -> Consumer:
        """Independent of this one."""
        copied = Consumer(owner, self.seen_ms, self.active_ms)
        copied.pending = self.pending.copy()
        return copied


class Group:
    """One group.  `pending`: the names of the consumers by the ids of entries; `owner`: who may change it.

    `last_id`: the highest id that it has delivered; `entries_read`: the number of entries up to there since
    the stream began, or UNKNOWN.
    """

    __slots__ = ("_consumers", "entries_read", "last_id", "names", "owner", "pending")

    def __init__(self, owner: object, last_id: int, entries_read: int) -> None:
        self.owner = owner
        self.last_id = last_id
        self.entries_read = entries_read
        self.pending: IdMap[bytes] = IdMap()
        self._consumers: dict[bytes, Consumer] = {}
        self.names: list[bytes] = []
        """Of the consumers, sorted."""

    def copy(self, owner: object) -> Group:
        """Independent of this one."""
        copied = Group(owner, self.last_id, self.entries_read)
        copied.pending = self.pending.copy()
        copied._consumers = self._consumers.copy()
        copied.names = self.names.copy()
        return copied

    def __del__(self) -> None:
        consumers = list(self._consumers.values())
        if len(consumers) > _FREED_CONSUMERS:
            starts = range(0, len(consumers), _FREED_CONSUMERS)
            discard([consumers[start : start + _FREED_CONSUMERS] for start in starts])

    # -- consumers

    def consumer(self, name: bytes) -> Consumer | None:
        """A consumer, to be read; None where there is none."""
        return self._consumers.get(name)

    def owned(self, name: bytes) -> Consumer:
        """A consumer, which there is, to be changed."""
        consumer = self._consumers[name]
        if consumer.owner is not self.owner:
            consumer = self._consumers[name] = consumer.copy(self.owner)
        return consumer

    def create(self, name: bytes, now_ms: int) -> Consumer:
        """A new consumer; there is none of this name."""
        consumer = self._consumers[name] = Consumer(self.owner, now_ms)
        insort(self.names, name)
        return consumer

    def seen(self, name: bytes, now_ms: int) -> Consumer:
        """A consumer, to be changed, which asks at this time; a new one where there is none."""
        consumer = self.owned(name) if name in self._consumers else self.create(name, now_ms)
        consumer.seen_ms = now_ms
        return consumer

    def remove(self, name: bytes) -> None:
        """Remove a consumer, which has nothing pending any more."""
        del self._consumers[name]
        del self.names[bisect_left(self.names, name)]

    # -- pending entries

    def delivery(self, number: int) -> tuple[bytes, Delivery] | None:
        """With whom an entry is pending, and its last delivery; None when it is not."""
        name = self.pending.get(number)
        if name is None:
            return None
        delivery = self._consumers[name].pending.get(number)
        assert delivery is not None
        return name, delivery

    def deliver(self, number: int, name: bytes, delivery: Delivery) -> None:
        """An entry is pending with this consumer, and with no other."""
        before = self.pending.get(number)
        if before != name:
            if before is not None:
                self.owned(before).pending.pop(number)
            self.pending.set(number, name)
        self.owned(name).pending.set(number, delivery)

    def deliver_new(self, ids: list[int], name: bytes, delivery: Delivery) -> None:
        """The same of many entries, whose ids rise."""
        pending = self.pending
        if len(pending) and ids[0] <= pending.last():  # only after XGROUP SETID, or XCLAIM with FORCE
            for number in ids:
                self.deliver(number, name, delivery)
        else:
            pending.extend(ids, [name] * len(ids))
            self.owned(name).pending.extend(ids, [delivery] * len(ids))

    def settle(self, number: int) -> bool:
        """An entry is not pending any more.  Returns whether it was."""
        name = self.pending.pop(number)
        if name is None:
            return False
        self.owned(name).pending.pop(number)
        return True


class Groups:
    """The groups of a stream.  A copy shares them with the original, until one of the two is about to change
    one."""

    __slots__ = ("_groups", "_owner", "names")

    def __init__(self) -> None:
        self._groups: dict[bytes, Group] = {}
        self._owner = object()
        self.names: list[bytes] = []
        """Sorted."""

    def __len__(self) -> int:
        return len(self.names)

    def __del__(self) -> None:
        if len(self._groups) > 1:
            discard(list(self._groups.values()))

    def copy(self) -> Groups:
        """Independent of these."""
        copied = Groups()
        copied._groups, copied.names = self._groups.copy(), self.names.copy()
        self._owner = object()
        return copied

    def get(self, name: bytes) -> Group | None:
        """A group, to be read; None where there is none."""
        return self._groups.get(name)

    def owned(self, name: bytes) -> Group:
        """A group, which there is, to be changed."""
        group = self._groups[name]
        if group.owner is not self._owner:
            group = self._groups[name] = group.copy(self._owner)
        return group

    def create(self, name: bytes, last_id: int, entries_read: int = UNKNOWN) -> Group:
        """A new group; there is none of this name."""
        group = self._groups[name] = Group(self._owner, last_id, entries_read)
        insort(self.names, name)
        return group

    def remove(self, name: bytes) -> None:
        """Remove a group, which there is."""
        del self._groups[name]
        del self.names[bisect_left(self.names, name)]
