"""The clients of one replica that listen: to what is published, and to what becomes of the members."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from epaxos.interfaces import CommandError
from epaxos.interfaces.audience import IAudience, Message
from epaxos.interfaces.glob import Glob
from epaxos.resp.interfaces import ClusterView, IClient, IListeners
from epaxos.resp.listening.delivery import Delivery
from epaxos.resp.listening.members import CHANNELS, MemberNews
from epaxos.resp.listening.subscriptions import Subscriptions
from epaxos.resp.session import Kind

__all__ = ["Listeners"]

NAMES_PER_STEP = 2000
SUBSCRIPTIONS_MAX = 10_000
"""Channels and patterns of one client, because all of them end in one step when it leaves."""
NAME_OVERHEAD_BYTES = 200
"""Memory that a subscription takes beside its name, about."""


@implementer(IListeners, IAudience)
class Listeners:
    """See IListeners and IAudience.  `view`: see IServer; `seconds`: a clock that never goes back."""

    def __init__(
        self, clock: IReactorTime, view: Callable[[str], ClusterView], seconds: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._subscriptions = Subscriptions()
        self._delivery = Delivery(clock, seconds, self._subscriptions)
        self.news = MemberNews(clock, view, seconds, self._subscriptions.patterns.matching)

    # -- clients

    def add(self, client: IClient, kind: Kind, name: bytes) -> None:
        """See IListeners."""
        session = client.session
        if name in session.listens[kind]:
            return
        if session.subscriptions >= SUBSCRIPTIONS_MAX:
            raise CommandError(f"ERR a client may listen to {SUBSCRIPTIONS_MAX} channels and patterns")
        self._subscriptions.add(client, kind, name)
        session.listens[kind][name] = None
        session.listens_bytes += len(name) + NAME_OVERHEAD_BYTES
        if kind is not Kind.SHARD and self._concerns_members(kind, name):
            self.news.add(client)

    def _concerns_members(self, kind: Kind, name: bytes) -> bool:
        if kind is Kind.CHANNEL:
            return name in CHANNELS
        return any(self._subscriptions.patterns.is_matching(name, channel) for channel in CHANNELS)

    def remove(self, client: IClient, kind: Kind, name: bytes) -> None:
        """See IListeners."""
        if name in client.session.listens[kind]:
            del client.session.listens[kind][name]
            client.session.listens_bytes -= len(name) + NAME_OVERHEAD_BYTES
            self._subscriptions.remove(client, kind, name)
            if not client.session.subscriptions:
                self._forget(client)

    def discard(self, client: IClient) -> None:
        """See IListeners."""
        for kind, names in client.session.listens.items():
            for name in names:
                self._subscriptions.remove(client, kind, name)
            names.clear()
        client.session.listens_bytes = 0
        self._forget(client)

    def _forget(self, client: IClient) -> None:
        self.news.discard(client)
        self._delivery.forget(client)
        if self._subscriptions.is_empty:
            self._delivery.rest()

    # -- messages

    @property
    def is_empty(self) -> bool:
        """See IAudience."""
        return self._subscriptions.is_empty

    def receivers(self, channel: bytes, is_sharded: bool = False) -> int:
        """See IAudience."""
        return self._subscriptions.receivers(channel, is_sharded)

    def tell(self, messages: Sequence[Message]) -> None:
        """See IAudience."""
        self._delivery.tell(messages)

    # -- what PUBSUB answers

    def count(self, kind: Kind, name: bytes) -> int:
        """See IListeners."""
        return len(self._subscriptions.by_name[kind].get(name, ()))

    def number(self, kind: Kind) -> int:
        """See IListeners."""
        return len(self._subscriptions.by_name[kind])

    def matching(self, kind: Kind, pattern: Glob) -> list[bytes] | Deferred[list[bytes]]:
        """See IListeners."""
        names = list(self._subscriptions.by_name[kind])
        if len(names) <= NAMES_PER_STEP:
            return list(filter(pattern.matches, names))
        found: Deferred[list[bytes]] = Deferred()
        self._match(names, 0, pattern, [], found)
        return found

    def _match(
        self, names: list[bytes], start: int, pattern: Glob, some: list[bytes], found: Deferred[list[bytes]]
    ) -> None:
        if found.called:  # cancelled
            return
        if start >= len(names):
            found.callback(some)
            return
        end = start + NAMES_PER_STEP
        some += filter(pattern.matches, names[start:end])
        self._clock.callLater(0, self._match, names, end, pattern, some, found)
