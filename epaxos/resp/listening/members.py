"""What clients that listen on the channels of SENTINEL are told when a member goes or comes.

Nobody tells this room of members, so it looks while somebody listens.  Messages are handed out in steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from epaxos.resp.encoder import Push
from epaxos.resp.interfaces import ClusterView, IClient, Place
from epaxos.resp.session import Kind

__all__ = ["CHANNELS", "MemberNews"]

SWITCH, DOWN, UP = b"+switch-master", b"+sdown", b"-sdown"
CHANNELS = (SWITCH, DOWN, UP)
"""The channels, as Sentinel names them."""
LOOK_S = 0.1
"""Seconds between two looks at the members."""
STEP_S = 0.005
"""About the seconds for which messages are handed out until other work runs."""

_Message = tuple[bytes, bytes]
"""A channel, and what is said there."""


class MemberNews:
    """Tells the clients.  `view`: see IServer; `seconds`: a clock that never goes back; `matching`: the
    patterns of all clients that match a channel."""

    def __init__(
        self,
        clock: IReactorTime,
        view: Callable[[str], ClusterView],
        seconds: Callable[[], float],
        matching: Callable[[bytes], Sequence[bytes]],
    ) -> None:
        self._clock = clock
        self._view = view
        self._seconds = seconds
        self._matching = matching
        self._groups: dict[str, dict[IClient, None]] = {}
        self._views: dict[str, ClusterView] = {}  # the last one that each group has seen
        self._waiting: deque[tuple[IClient, _Message]] = deque()
        self._look_due: IDelayedCall | None = None
        self._step_due: IDelayedCall | None = None

    def add(self, client: IClient) -> None:
        """The client is told from now on: its session says what it listens to."""
        host = client.session.own_host
        self._views.setdefault(host, self._view(host))
        self._groups.setdefault(host, {})[client] = None
        if self._look_due is None:
            self._look_due = self._clock.callLater(LOOK_S, self._look)

    def discard(self, client: IClient) -> None:
        """The client listens to nothing any more, or was never told."""
        host = client.session.own_host
        group = self._groups.get(host)
        if group is None:
            return
        group.pop(client, None)
        if not group:
            del self._groups[host], self._views[host]
        if not self._groups:
            self._rest()

    def _rest(self) -> None:
        """Nobody listens."""
        self._waiting.clear()
        for due in (self._look_due, self._step_due):
            if due is not None and due.active():
                due.cancel()
        self._look_due = self._step_due = None

    def _look(self) -> None:
        self._look_due = self._clock.callLater(LOOK_S, self._look)
        for host, group in self._groups.items():
            view = self._view(host)
            before, self._views[host] = self._views[host], view
            if view != before:
                for message in _changes(before, view):
                    self._waiting.extend((client, message) for client in group)
        if self._waiting and self._step_due is None:
            self._step()

    def _step(self) -> None:
        """Hand out what waits, for about STEP_S."""
        self._step_due = None
        ends_s = self._seconds() + STEP_S
        while self._waiting and self._seconds() < ends_s:
            client, message = self._waiting.popleft()
            if client in self._groups.get(client.session.own_host, ()):
                self._tell(client, *message)
        if self._waiting:
            self._step_due = self._clock.callLater(0, self._step)

    def _tell(self, client: IClient, channel: bytes, text: bytes) -> None:
        if channel in client.session.listens[Kind.CHANNEL]:
            client.deliver(Push([b"message", channel, text]))
        for pattern in self._matching(channel):
            if pattern in client.session.listens[Kind.PATTERN]:
                client.deliver(Push([b"pmessage", pattern, channel, text]))


def _changes(before: ClusterView, now: ClusterView) -> Iterator[_Message]:
    """What is said of the members that are up no more, or again: in the words of Sentinel.

    Whoever used one that has gone is to use this replica, or whoever it tells of.
    """
    were, are = ({place.number: place for place in view.live} for view in (before, now))
    master = now.live[0] if now.live else None
    for number, gone in were.items():
        if number not in are:
            yield DOWN, _instance(now, gone)
            if master is not None and now.has_majority:
                yield SWITCH, f"{now.name} {gone.host} {gone.port} {master.host} {master.port}".encode()
    for number, back in are.items():
        if number not in were:
            yield UP, _instance(now, back)


def _instance(view: ClusterView, place: Place) -> bytes:
    """How Sentinel names a master."""
    return f"master {view.name} {place.host} {place.port}".encode()
