"""The numbers by which the cluster knows a command again that is sent twice (docs: using/client-library)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["Session", "Sessions", "Ticket"]

KEPT_BYTES_MAX = 8_192
"""What the cluster keeps of the replies of one session (docs: using/exactly-once).  It would drop the oldest
ones beyond that, so no more writes are begun than have room."""


class Session:
    """Numbers its writes 1, 2, 3, …  `acked`: up to this one all are over, and no reply is waited for."""

    def __init__(self, id: bytes) -> None:
        self.id = id
        self.acked = 0
        self._newest = 0
        self._over: set[int] = set()
        self._bytes: dict[int, int] = {}
        self._bytes_sum = 0

    def has_room(self, size: int) -> bool:
        """Whether a write may begin whose reply takes up to `size` bytes of those that are kept."""
        return self._bytes_sum + size <= KEPT_BYTES_MAX

    def begin(self, size: int) -> int:
        """The number of a new write, whose reply takes up to `size` bytes."""
        self._newest += 1
        self._bytes[self._newest] = size
        self._bytes_sum += size
        return self._newest

    def end(self, number: int) -> None:
        """Note that the reply of this write has come, or is not waited for any more."""
        self._over.add(number)
        while self.acked + 1 in self._over:
            self.acked += 1
            self._over.remove(self.acked)
            self._bytes_sum -= self._bytes.pop(self.acked)


class Ticket(NamedTuple):
    """A write of a session."""

    session: Session
    number: int

    def within_once(self, command: Sequence[bytes]) -> Sequence[bytes]:
        """The words that run the command under this number, as of now."""
        session = self.session
        return (b"EPAXOS", b"ONCE", session.id, b"%d" % self.number, b"%d" % session.acked, *command)


class Sessions:
    """Gives each write its ticket.  There is one session at a time, made when the first write needs it.

    `make`: asks the cluster for a session, and fires with its id.
    """

    def __init__(self, make: Callable[[], Deferred[bytes]]) -> None:
        self.session: Session | None = None
        self._make = make
        self._is_making = False
        self._waiting: deque[tuple[Deferred[Ticket], int]] = deque()

    def take(self, size: int) -> Deferred[Ticket]:
        """Fires when there is a session, and room in it for a reply of `size` bytes.  Fails as `make` does.

        First come, first served.
        """
        ticket: Deferred[Ticket] = Deferred()
        self._waiting.append((ticket, size))
        self._give()
        return ticket

    def end(self, ticket: Ticket) -> None:
        """Note that the write is over."""
        ticket.session.end(ticket.number)
        self._give()

    def forget(self, session: Session) -> None:
        """The cluster does not know this session any more: make another one when it is needed."""
        if self.session is session:
            self.session = None

    def _give(self) -> None:
        while self._waiting and self.session is not None and self.session.has_room(self._waiting[0][1]):
            waiting, size = self._waiting.popleft()
            if not waiting.called:
                waiting.callback(Ticket(self.session, self.session.begin(size)))
        if self._waiting and self.session is None and not self._is_making:
            self._is_making = True
            self._make().addCallbacks(self._on_made, self._on_failed)

    def _on_made(self, id: bytes) -> None:
        self._is_making = False
        self.session = Session(id)
        self._give()

    def _on_failed(self, failure: Failure) -> None:
        self._is_making = False
        waiting, self._waiting = self._waiting, deque()
        for ticket, _ in waiting:
            if not ticket.called:
                ticket.errback(failure.value)
