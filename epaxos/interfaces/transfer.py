"""Giving the state to another replica, and taking it from one."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import Interface

from epaxos.protocol.values.transfer import PieceAsk, StateOffer, StatePart

__all__ = ["IStateTransfer"]


class IStateTransfer(Interface):
    """What a store that keeps something can do beside: give its state away, and take another one.

    What is taken lies beside the state of this store, without any effect on it, until `install`.
    """

    def offer() -> StateOffer | None:
        """The newest durable state; None in epoch 0, which nobody needs a state for.

        What it refers to is kept for a minute, and again after each `read`.  Blocks for less than a
        millisecond.  Raises StoreError.
        """

    def read(ask: PieceAsk) -> bytes:
        """Bytes of a file that was offered; none when it is not kept any more, or cannot be read.

        Blocks for less than a millisecond where the system has it in memory.  Raises nothing: a fault of the
        disk is logged, because it harms the asker alone.
        """

    def begin(source: int) -> tuple[StatePart, ...]:
        """The state of the replica with the uid `source` will be taken.  Returns what has been taken of it
        before, also by an earlier process: all of it is checked and durable.

        What was taken of another replica is deleted.  Every `take` that was not reported before is void: its
        `done` is not called any more.  Raises StoreError.
        """

    def room() -> int:
        """The bytes for which the disk has room, beside what this replica itself may need of it."""

    def take(generation: int, is_base: bool, offset: int, data: bytes, done: Callable[[bool], None]) -> None:
        """Take bytes of a file, in the order of the file, from the end of what has been taken of it on.

        Never blocks.  `done(True)` is called once they are checked and written, in the order of the calls;
        `done(False)` when they do not begin at the end of what was taken, or are not what the source has
        written.  In the latter case what has been taken of this file goes back to its last good piece, and
        to nothing when bytes behind that were wrong before; `begin` tells how far.  A failure of the disk is
        reported as that of a write.  May be called from `begin` until `install` or `give_up`.  When the
        store is told to close, `done` is not called any more.
        """

    def install(offer: StateOffer, done: Callable[[str], None]) -> None:
        """Become `offer`, all parts of which have been taken, in one write; instances of earlier epochs stay.

        Never blocks.  `done("")` is called when that is durable.  From then on the store may only be closed,
        and the next one that is opened on the same data holds this state in the epoch of the offer, with
        neither instances nor a reservation.  What was written behind the call may or may not have become
        durable; what was reported durable is.

        `done(why)` is called, and nothing has changed, when the parts are not what was offered, when the
        offer is impossible, or when its epoch was opened here meanwhile.  What does not fit is forgotten;
        `begin` tells what is left.
        """

    def give_up() -> None:
        """No state is taken any more: delete what was taken.  Never blocks.

        It is of no effect when an install has begun to write, whose `done("")` is called then.  Otherwise no
        `done` is called any more.
        """
