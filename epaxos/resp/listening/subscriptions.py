"""Who listens to what: the clients by channels and patterns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from epaxos.resp.interfaces import IClient
from epaxos.resp.listening.patterns import Patterns
from epaxos.resp.session import Kind

__all__ = ["Subscriptions"]

Clients = Mapping[IClient, Any]


class Subscriptions:
    """The clients of one replica that listen.  What each listens to stands in its session, too."""

    def __init__(self) -> None:
        self.by_name: dict[Kind, dict[bytes, dict[IClient, None]]] = {kind: {} for kind in Kind}
        self.patterns = Patterns()

    @property
    def is_empty(self) -> bool:
        """Whether nobody listens to anything."""
        return not any(self.by_name.values())

    def add(self, client: IClient, kind: Kind, name: bytes) -> None:
        """The client listens to `name`, if it does not yet.  Raises CommandError where it may not."""
        by_name = self.by_name[kind]
        if name not in by_name and kind is Kind.PATTERN:
            self.patterns.add(name)
        by_name.setdefault(name, {})[client] = None

    def remove(self, client: IClient, kind: Kind, name: bytes) -> None:
        """The client listens to `name` no more, if it did."""
        by_name = self.by_name[kind]
        clients = by_name.get(name)
        if clients is None:
            return
        clients.pop(client, None)
        if not clients:
            del by_name[name]
            if kind is Kind.PATTERN:
                self.patterns.discard(name)

    def receivers(self, channel: bytes, is_sharded: bool) -> int:
        """See IAudience."""
        if is_sharded:
            return len(self.by_name[Kind.SHARD].get(channel, ()))
        count = len(self.by_name[Kind.CHANNEL].get(channel, ()))
        matching = self.patterns.matching(channel)
        if matching:
            patterns = self.by_name[Kind.PATTERN]
            count += sum([len(patterns[pattern]) for pattern in matching])
        return count

    def ways_to(self, channel: bytes, is_sharded: bool) -> Iterator[tuple[Kind, bytes, Clients]]:
        """How a message on this channel reaches clients: by which name of which kind, and whom."""
        direct = Kind.SHARD if is_sharded else Kind.CHANNEL
        clients = self.by_name[direct].get(channel)
        if clients:
            yield direct, channel, clients
        if not is_sharded:
            for pattern in self.patterns.matching(channel):
                yield Kind.PATTERN, pattern, self.by_name[Kind.PATTERN][pattern]
