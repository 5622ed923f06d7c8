"""The types of collections.  A new type brings a file of its own, and a line here."""

from __future__ import annotations

from epaxos.statemachines.redis.fields import Fields
from epaxos.statemachines.redis.items import Items
from epaxos.statemachines.redis.members import Members
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.streams.stream import Stream
from epaxos.statemachines.redis.values import Collection

__all__ = ["KINDS"]

_TYPES: tuple[type[Collection], ...] = (Fields, Items, Members, Ranking, Stream)

KINDS: dict[bytes, type[Collection]] = {kind.letter: kind for kind in _TYPES}
"""The classes by their letters."""
