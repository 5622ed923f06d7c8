"""The links to the other replicas that this one talks with, and which of them are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from twisted.internet.defer import Deferred

from epaxos.transport.link import Link
from epaxos.transport.presence import Presence

__all__ = ["Links"]


class Links:
    """A link and a presence for each number of `by_number`, each at one address.

    `make(number, address, presence)` makes a link; None where nothing can be dialled at the address.
    `watch(tell)` makes a presence.  `tell(number, is_there)` is called when there is a connection with a
    replica after there was none, and when there is none any more.
    """

    def __init__(
        self,
        make: Callable[[int, str, Presence], Link | None],
        watch: Callable[[Callable[[bool], None]], Presence],
        tell: Callable[[int, bool], None],
    ) -> None:
        self.by_number: dict[int, Link] = {}
        self._make = make
        self._watch = watch
        self._tell = tell
        self._addresses: dict[int, str] = {}
        self._presences: dict[int, Presence] = {}
        self._incoming: set[int] = set()
        self._dropped: set[Link] = set()  # whose connections are not closed yet
        self._bytes_sent = 0  # on links that were dropped

    @property
    def bytes_sent(self) -> int:
        """The bytes that were sent on all links that there ever were."""
        return self._bytes_sent + sum(link.bytes_sent for link in self.by_number.values())

    @property
    def backlog_bytes(self) -> int:
        """The bytes that wait on all links."""
        return sum(link.backlog_bytes for link in self.by_number.values())

    def update(self, wanted: Mapping[int, str]) -> None:
        """From now on there are links to these numbers alone, each at the address beside it.

        A link whose address stays is not touched; a new one dials at once.
        """
        for number in self._presences.keys() - wanted.keys():
            self._drop(number)
            self._presences.pop(number).stop()
        for number, address in sorted(wanted.items()):
            presence = self._presences.get(number)
            if presence is None:
                presence = self._presences[number] = self._watch(partial(self._tell, number))
                if number in self._incoming:
                    presence.incoming(True)
            if self._addresses.get(number) != address:
                self._drop(number)
                self._addresses[number] = address
                link = self._make(number, address, presence)
                if link is not None:
                    self.by_number[number] = link
                    link.dial()

    def _drop(self, number: int) -> None:
        self._addresses.pop(number, None)
        link = self.by_number.pop(number, None)
        if link is not None:
            if link.is_connected:
                self._presences[number].outgoing_lost()
            self._bytes_sent += link.bytes_sent
            self._dropped.add(link)
            link.stop().addCallback(lambda _: self._dropped.discard(link))

    def on_incoming(self, number: int, is_open: bool) -> None:
        """The replica `number` has connected, or its last connection is lost."""
        if is_open:
            self._incoming.add(number)
        else:
            self._incoming.discard(number)
        presence = self._presences.get(number)
        if presence is not None:
            presence.incoming(is_open)
        link = self.by_number.get(number)
        if is_open and link is not None:  # it runs, so an attempt to connect is worthwhile now
            link.dial()

    def stop(self) -> list[Deferred[None]]:
        """Close all connections and make no other.  Each Deferred fires when some are gone."""
        for presence in self._presences.values():
            presence.stop()
        return [link.stop() for link in (*self.by_number.values(), *self._dropped)]
