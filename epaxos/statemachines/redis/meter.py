"""How much memory the keys of a replica take, without a cost for the commands that change them.

One shard after the other is measured, again and again.  Between two looks at a shard its size goes by the
number of its keys, which is always known.
"""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.statemachines.redis.shards import SHARDS, ShardedDict
from epaxos.statemachines.redis.sizes import size_of_shard
from epaxos.statemachines.redis.values import Stored

__all__ = ["Meter"]

STEP = 8192
"""The work of a step, in strings that are measured: about a millisecond."""


class Meter:
    """Of these databases."""

    def __init__(self, databases: Sequence[ShardedDict[Stored]]) -> None:
        self.is_complete = False
        """Whether each shard was measured."""
        self._databases = databases
        self._seen: dict[int, list[tuple[int, int]]] = {}  # by database: the bytes and keys of each shard
        self._next = 0

    def reset(self) -> None:
        """Forget what was measured: it will be too old."""
        self.is_complete, self._seen, self._next = False, {}, 0

    def step(self) -> None:
        """Measure the next shards, up to the last one."""
        work = 0
        while work < STEP:
            work += self._measure(*divmod(self._next, SHARDS))
            self._next += 1
            if self._next == SHARDS * len(self._databases):
                self._next, self.is_complete = 0, True
                return

    def _measure(self, number: int, shard: int) -> int:
        data = self._databases[number]
        if not len(data):
            self._seen.pop(number, None)
            self._next += SHARDS - 1 - shard  # an empty database is one look
            return 64
        keys = data.shards()[shard]
        size, work = size_of_shard(keys)
        seen = self._seen.setdefault(number, [(0, 0)] * SHARDS)
        seen[shard] = size, len(keys)
        return work + 8

    def used_bytes(self) -> int:
        """About the bytes of all keys now.  A key that has come since is like the others of its database."""
        total = 0.0
        for number, seen in self._seen.items():
            keys = sum(count for _, count in seen)
            each = sum(size for size, _ in seen) / keys if keys else 0.0
            for (size, count), now in zip(seen, map(len, self._databases[number].shards())):
                total += size + (now - count) * each if now > count else size * now / (count or 1)
        return int(total)
