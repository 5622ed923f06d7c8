"""What the clients of a run have in common: which replica they ask, and how long they wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from epaxos.interfaces import IClients
from epaxos.verify.simulation.clock import Event, VirtualTime

__all__ = ["RETRY_US", "Asking", "Servers", "Words", "connect_first"]

Words = tuple[bytes, ...]
RETRY_US = 20_000
"""A client that finds no replica up tries again after this time."""


class Servers(Protocol):
    """The replicas, as clients see them."""

    @property
    def n(self) -> int: ...

    def connect(self, replica: int, call: Callable[[IClients], None], lost: Callable[[], None]) -> bool:
        """Call `call` with the replica's service when the process has time; return False when it is down.

        `lost` is called when the process ends."""

    def life(self, replica: int) -> int:
        """The number of the process that runs there; 0 when it is down."""


def connect_first(
    servers: Servers, replica: int, call: Callable[[IClients], None], lost: Callable[[], None]
) -> int | None:
    """Connect to the first replica that is up, from `replica` on; its number, None when all are down."""
    for step in range(servers.n):
        found = (replica + step) % servers.n
        if servers.connect(found, call, lost):
            return found
    return None


class Asking:
    """One question that a client has under way, at one replica.

    `lost()` is called when the process ends, or after `patience_us`, unless the question `is_over` by then.
    """

    def __init__(self, time: VirtualTime, patience_us: int, lost: Callable[[], None]) -> None:
        self.is_over = False
        self._time = time
        self._patience_us = patience_us
        self._on_lost = lost
        self._patience: Event | None = None

    def begin(self, servers: Servers, replica: int, call: Callable[[IClients], None]) -> int | None:
        """See `connect_first`."""
        found = connect_first(servers, replica, partial(self._hand_in, call), self.lost)
        if found is not None:
            self._patience = self._time.after(self._patience_us, self.lost)
        return found

    def _hand_in(self, call: Callable[[IClients], None], clients: IClients) -> None:
        if not self.is_over:
            call(clients)

    def lost(self) -> None:
        """The process has ended, or the client has waited for too long."""
        if not self.is_over:
            self.end()
            self._on_lost()

    def end(self) -> None:
        """The client has its answer, or waits no more."""
        self.is_over = True
        if self._patience is not None:
            self._patience.cancel()
