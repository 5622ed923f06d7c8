"""Messages between replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

from epaxos.protocol.values.messages import Message

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = ["ITransport"]


class ITransport(Interface):
    """Carries messages between replicas.  It may lose, double and reorder them."""

    batch_bytes_max = Attribute(
        "int or None: the largest `Batch.size_bytes` that fits in a message; None: every batch fits."
    )

    def start(
        on_received: Callable[[int, Sequence[Message]], None], on_connection: Callable[[int, bool], None]
    ) -> Deferred[None]:
        """Listen and connect.  From now on `on_received(sender, messages)` is called with what arrives.

        `on_connection(replica, True)` is called when there is a connection with a replica after there was
        none, `on_connection(replica, False)` when all are lost and no new one can be made at once.  A
        transport without connections (UDP) never calls it.  The Deferred fails when the address cannot be
        listened on.
        """

    def send(outgoing: Sequence[tuple[int, Message]]) -> None:
        """Send each message to the replica beside it, with at most one write per replica.

        Never blocks and never raises.  A message is dropped, and counted in `messages_dropped`, when
        there is no connection, when the queue is full, when the message is too long, before `start` and
        after `stop`, and when the number is not that of another member.
        """

    def is_connected(replica: int) -> bool:
        """Whether there is a connection to `replica` now; over UDP, whether a datagram came from it
        lately.  False for a number that is not that of another member."""

    def stop() -> Deferred[None]:
        """Stop listening and close all connections.  The Deferred fires when that is done."""

    def counters() -> Mapping[str, int]:
        """At least `bytes_sent`, `bytes_received`, `messages_dropped`, `send_queue_bytes`."""
