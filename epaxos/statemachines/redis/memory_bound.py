"""`maxmemory` at one replica: what the keys take, what is refused, and which keys are to go.

Nothing of it is a part of the state but the settings, and no command does anything else because of it: a
replica refuses what it would propose, or proposes to remove keys that it chooses by what it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.memory import OOM, IMemoryBound, MemoryUse
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import Columns
from epaxos.statemachines.redis.evicting import EVICT, eviction_of
from epaxos.statemachines.redis.meter import Meter
from epaxos.statemachines.redis.names import name_of
from epaxos.statemachines.redis.portions import portions
from epaxos.statemachines.redis.recent import Recent
from epaxos.statemachines.redis.removals import DUE
from epaxos.statemachines.redis.shards import SHARDS, ShardedDict

if TYPE_CHECKING:
    from epaxos.statemachines.redis.state import State

__all__ = ["GROWS", "MemoryBound"]

GROWS = "denyoom"
"""The flag of commands that may need more memory."""
EVICTED_MAX = 1000
"""Keys that are removed at a time."""
WINDOW_KEYS = 32
"""Keys that are removed of a window: so many keys times the samples that stand together in a dictionary."""
SAMPLES_MAX = 64
LOOKED_AT_MAX = 4096
"""Keys that are looked at, about, until those that were found have to do: a few milliseconds."""
_GOING = frozenset((EVICT, DUE))
SPARE = 4
"""Where keys are removed, commands are refused as well when the bound is exceeded by this part of it."""


@implementer(IMemoryBound)
class MemoryBound:
    """That of `state`.  `chance()`: 64 bits."""

    def __init__(self, state: State, chance: Callable[[], int]) -> None:
        self.is_full = self.is_bounded = self.is_watching = False
        self.chance = chance
        self._state = state
        self._meter = Meter(state.databases)
        self._recent = Recent()
        self._used: int | None = None
        self._evicted = 0
        self._has_found_none = False
        state.on_evicted = self._on_evicted

    # -- the settings

    def _setting(self, name: bytes) -> bytes:
        return self._state.settings.values[name]

    @property
    def _bytes_max(self) -> int:
        return int(self._setting(b"maxmemory"))

    @property
    def _policy(self) -> bytes:
        return self._setting(b"maxmemory-policy")

    def use(self) -> MemoryUse:
        """See IMemoryBound."""
        settings = {name.decode(): value.decode() for name, value in self._state.settings.values.items()}
        return MemoryUse(settings, self._bytes_max, self._used, self._evicted)

    # -- what is used

    def touch(self, batch: Batch, columns: Columns) -> None:
        """Its keys are used; to be called while `is_watching`."""
        self._recent.touch(batch.writes, _GOING.isdisjoint([shape.name for shape in columns.shapes]))
        if batch.reads:
            self._recent.touch(batch.reads)

    def touch_keys(self, keys: Iterable[bytes]) -> None:
        """These keys of database 0 are used; to be called while `is_watching`."""
        self._recent.touch(keys)

    def measure(self) -> None:
        """See IMemoryBound."""
        bytes_max, policy = self._bytes_max, self._policy
        if not bytes_max:
            if self.is_bounded:
                self._meter.reset()
                self._recent.clear()
            self.is_full = self.is_bounded = self.is_watching = False
            self._used = None
            return
        self.is_bounded = True
        self.is_watching = policy.endswith(b"lru")
        self._recent.expect(len(self._state))
        self._meter.step()
        self._used = self._meter.used_bytes() if self._meter.is_complete else None
        over = (self._used or 0) - bytes_max
        self._has_found_none = self._has_found_none and over > 0
        is_helpless = policy == b"noeviction" or self._has_found_none
        self.is_full = over > (0 if is_helpless else bytes_max // SPARE)

    def check(self, flags: Sequence[str]) -> None:
        """Raise CommandError when a command with these flags is refused now; to be called while `is_full`."""
        if GROWS in flags:
            raise CommandError(OOM)

    # -- which keys go

    def evicted(self) -> int:
        """See IMemoryBound."""
        return self._evicted

    def _on_evicted(self, number: int, key: bytes) -> None:
        self._evicted += 1
        self._recent.forget(name_of(number, key))

    def is_over(self) -> bool:
        """See IMemoryBound."""
        return self._policy != b"noeviction" and self._used is not None and self._used > self._bytes_max

    def take_evictions(self) -> Sequence[Command]:
        """See IMemoryBound."""
        if self._used is None or not self.is_over():
            return ()
        each = max(1, self._used // max(1, len(self._state)))
        count = min(EVICTED_MAX, (self._used - self._bytes_max) // each + 1)
        volatile = self._policy.startswith(b"volatile")
        found: dict[tuple[int, bytes], None] = {}
        looked_at = 0
        while looked_at < LOOKED_AT_MAX and len(found) < count:
            number, dictionary = self._dictionary(volatile)
            if not len(dictionary):
                break
            looked_at += WINDOW_KEYS * self._samples
            found.update(dict.fromkeys(self._window(volatile, number, dictionary)))
        self._has_found_none = not found
        places = list(found)[:count]
        return [eviction_of(some, volatile) for some in portions(places, itemgetter(1))]

    @property
    def _samples(self) -> int:
        return min(int(self._setting(b"maxmemory-samples")), SAMPLES_MAX)

    def _window(self, volatile: bool, number: int, dictionary: ShardedDict[Any]) -> list[tuple[int, bytes]]:
        """The keys to remove of some that stand together somewhere: one of each `maxmemory-samples`."""
        samples = self._samples
        keys = self._some_of(dictionary, WINDOW_KEYS * samples)
        if volatile:
            keys = [key for key in keys if self._deadline(number, key)]
        if self._policy == b"volatile-ttl":
            keys.sort(key=lambda key: self._deadline(number, key))
        elif self._policy.endswith(b"lru"):
            keys.sort(key=lambda key: -self._recent.age(name_of(number, key)))
        return [(number, key) for key in keys[: -(-len(keys) // samples)]]

    def _some_of(self, dictionary: ShardedDict[Any], count: int) -> list[bytes]:
        """At most `count` keys that stand together somewhere: in one shard, or in several that are small."""
        first = self.chance() % SHARDS
        shards = dictionary.shards()
        start = self.chance() % max(1, len(shards[first]) - count + 1)
        keys = list(islice(shards[first], start, start + count))
        for number in range(first + 1, first + SHARDS):
            if len(keys) >= count:
                break
            keys += islice(shards[number % SHARDS], count - len(keys))
        return keys

    def _dictionary(self, volatile: bool) -> tuple[int, ShardedDict[Any]]:
        """A database with its number, or what is known of its keys with deadlines; larger ones more often."""
        state = self._state
        found: list[ShardedDict[Any]] = list(state.databases)
        if volatile:
            found = [state.deadlines.keys_of(number) for number in range(len(found))]
        place = self.chance() % max(1, sum(map(len, found)))
        number = 0
        while place >= len(found[number]) and number + 1 < len(found):
            place -= len(found[number])
            number += 1
        return number, found[number]

    def _deadline(self, number: int, key: bytes) -> int:
        stored = self._state.databases[number].get(key)
        return stored[1] if isinstance(stored, tuple) else 0
