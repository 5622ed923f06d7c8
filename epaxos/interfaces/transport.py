"""Messages between replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

from epaxos.protocol.values.control import Control
from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.messages import Message

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = ["ITransport"]


class ITransport(Interface):
    """Carries messages between replicas.  It may lose, double and reorder them."""

    batch_bytes_max = Attribute(
        "int or None: the largest `Batch.size_bytes` that fits in a message; None: every batch fits."
    )

    piece_bytes_max = Attribute(
        "int: the most bytes of a Piece with which it is carried in one unit; at most PIECE_BYTES_MAX."
    )

    def start(
        on_received: Callable[[int, int, Sequence[Message]], None],
        on_connection: Callable[[int, bool], None],
        on_control: Callable[[int, Control], None],
    ) -> Deferred[None]:
        """Listen and connect.  From now on `on_received(sender, epoch, messages)` is called with the messages
        of an epoch that arrive, and `on_control(sender, control)` with what belongs to no epoch.  Senders
        are named by the numbers of members.  `messages` is empty when they cannot be read here: the members
        of that epoch are not known, or `sender` is none of them.  Those of an epoch after that of the newest
        list are read by the number of its rows: where that epoch has another number, they are of no use.

        `on_connection(replica, True)` is called when there is a connection with a replica after there was
        none, `on_connection(replica, False)` when all are lost and no new one can be made at once.  A
        transport without connections (UDP) calls it for guests alone, and where this replica is no member.
        The Deferred fails when the address cannot be listened on.

        A *guest* is in none of the lists that count (`know`), and asks to join or was a member once.  Control
        messages are taken of it and sent to it, and nothing else; its number is that of no member.
        """

    def send(epoch: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        """Send each message of epoch `epoch` to the replica beside it, with at most one write per replica.

        Never blocks and never raises.  A message is dropped, and counted in `messages_dropped`, when
        there is no connection, when the queue is full, when the message is too long, before `start` and
        after `stop`, and when the number is not that of another member.
        """

    def send_control(replica: int, control: Control) -> bool:
        """Send what belongs to no epoch.  False when it is dropped: as a message is, and where the version of
        `replica` knows of no epochs."""

    def speaks_epochs(replica: int) -> bool:
        """Whether the version of `replica`, as far as it is known now, knows of epochs, and how to take the
        state of a later one."""

    def uid_of(replica: int) -> int | None:
        """The uid of the data folder of `replica`, as it said when it connected; None when it did not."""

    def speaks_members(replica: int) -> bool:
        """Whether the version of `replica`, as far as it is known now, knows of lists of other members."""

    def version_of(replica: int) -> int:
        """The highest version that the program of `replica` can do, as it said when it connected; 0 while it
        is not connected.  Of this replica: what it says itself."""

    def know(membership: Membership, previous: Membership | None = None) -> None:
        """The epoch of `membership` has begun after that of `previous`.

        From now on there are links to all members of both lists, each at the address of the newest list
        that names it, and none to others.  Only the data folders that one of the lists names may send
        messages of epochs.  It is called without `previous` once the epoch before is of no use any more.
        """

    def is_connected(replica: int) -> bool:
        """Whether there is a connection to `replica` now; over UDP, whether a datagram came from it
        lately.  False for a number that is not that of another member."""

    def backlog_bytes(replica: int) -> int:
        """How many bytes wait to be sent to `replica`.  0 without connections (UDP)."""

    def stop() -> Deferred[None]:
        """Stop listening and close all connections.  The Deferred fires when that is done."""

    def counters() -> Mapping[str, int]:
        """At least `bytes_sent`, `bytes_received`, `messages_dropped`, `send_queue_bytes`."""
