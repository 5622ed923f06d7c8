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
    """Carries messages between replicas; may lose, double and reorder them."""

    batch_bytes_max = Attribute(
        "int or None: a batch of a larger `size_bytes` cannot be counted on to arrive; None: any can."
    )

    def start(
        receive: Callable[[int, Sequence[Message]], None], connection: Callable[[int, bool], None]
    ) -> Deferred[None]:
        """Listen and connect; from now on `receive(sender, messages)` is called with what comes.

        `connection(replica, True)` is called when there is a connection with a replica after there
        was none, `connection(replica, False)` when all are lost and no new one can be made at once.
        What has no connections calls neither.  Fails when the address cannot be listened on.
        """

    def send(outgoing: Sequence[tuple[int, Message]]) -> None:
        """Send each message to the replica named beside it; at most one write per replica.

        Never blocks and never raises: a message for which there is no connection or no room in a queue is
        dropped, and so is one to an id that is not another replica of the cluster.  Dropped messages count
        in `counters`.
        """

    def is_connected(replica: int) -> bool:
        """Whether there is a connection to `replica` just now, or it was heard of just now."""

    def stop() -> Deferred[None]:
        """Close everything.  Fires when done."""

    def counters() -> Mapping[str, int]:
        """At least `bytes_sent`, `bytes_received`, `messages_dropped`, `send_queue_bytes`."""
