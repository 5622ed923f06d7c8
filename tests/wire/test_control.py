"""Memberships and control messages: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.control import Control, EpochIs, Founded, Standing, Written
from epaxos.protocol.values.ids import NUMBER_LIMIT, InstanceId
from epaxos.protocol.values.membership import UID_LIMIT, UUID_LIMIT, VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.batch import decode_batch, encode_batch
from epaxos.wire.checks import WireError
from epaxos.wire.control import decode_control, encode_control

FIRST = Membership(UUID_LIMIT - 1, 0, VERSION, (Member(0, 5), Member(1, UID_LIMIT - 1), Member(7, 1)))
NEXT = FIRST.successor()

CONTROLS: list[Control] = [
    Standing(0, 0),
    Standing(NUMBER_LIMIT - 1, 3, True),
    Written(0),
    Written(NUMBER_LIMIT - 1),
    Founded(FIRST),
    EpochIs(FIRST),
    EpochIs(NEXT, InstanceId(2, 9), FIRST),
]


def changed(change: Callable[[wire.EpochIs], object]) -> bytes:
    """The last of CONTROLS, with one change."""
    message = wire.Control.FromString(encode_control(CONTROLS[-1]))
    change(message.epoch_is)
    return message.SerializeToString()


def _later() -> bytes:
    """A list of first members that is of epoch 1."""
    message = wire.Control.FromString(encode_control(Founded(FIRST)))
    message.founded.membership.epoch = 1
    return message.SerializeToString()


WRONG: dict[str, bytes] = {
    "no protobuf": b"\xff",
    "no kind": b"",
    "a state ahead of the epoch": wire.Control(
        standing=wire.Standing(epoch=1, installed=2)
    ).SerializeToString(),
    "an epoch too large": wire.Control(standing=wire.Standing(epoch=NUMBER_LIMIT)).SerializeToString(),
    "a write too high": wire.Control(written=wire.Written(number=NUMBER_LIMIT)).SerializeToString(),
    "a later epoch as the first": _later(),
    "a short uuid": changed(lambda it: setattr(it.membership, "uuid", b"123")),
    "no uuid": changed(lambda it: setattr(it.membership, "uuid", bytes(16))),
    "the wrong epoch before": changed(lambda it: setattr(it.previous, "epoch", 1)),
    "another cluster before": changed(lambda it: setattr(it.previous, "uuid", b"x" * 16)),
    "a number twice": changed(lambda it: it.membership.numbers.__setitem__(0, 1)),
    "a uid twice": changed(lambda it: it.membership.uids.__setitem__(0, 1)),
    "no uid": changed(lambda it: it.membership.uids.__setitem__(0, 0)),
    "columns of two lengths": changed(lambda it: it.membership.uids.append(17)),
    "nobody": changed(lambda it: (it.membership.ClearField("uids"), it.membership.ClearField("numbers"))),
    "no such row": changed(lambda it: setattr(it, "replica", 3)),
    "no slot": changed(lambda it: setattr(it, "slot", 0)),
}


class ControlTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for control in CONTROLS:
            self.assertEqual(decode_control(encode_control(control)), control)

    def test_nothing_wrong_is_taken(self) -> None:
        for what, data in WRONG.items():
            with self.assertRaises(WireError, msg=what):
                decode_control(data)


class OpeningTests(SynchronousTestCase):
    """A batch that opens an epoch."""

    def test_round_trip_and_size(self) -> None:
        batch = Batch.opening(NEXT)
        data = encode_batch(batch)
        self.assertEqual(decode_batch(data), batch)
        self.assertLessEqual(len(data), batch.size_bytes)

    def test_it_holds_nothing_of_clients(self) -> None:
        for batch in (
            Batch((b"k",), (), b"", 1, True, NEXT),
            Batch((), (b"k",), b"", 1, True, NEXT),
            Batch((), (), b"p", 1, True, NEXT),
            Batch((), (), b"", 2, True, NEXT),
        ):
            self.assertRaises(WireError, decode_batch, encode_batch(batch))

    def test_a_membership_counts_only_with_a_barrier(self) -> None:
        """An old replica would run such a batch without the barrier: it is never written."""
        data = encode_batch(Batch((b"k",), (), b"p", 1, False, NEXT))
        self.assertEqual(decode_batch(data), Batch((b"k",), (), b"p", 1))
