"""Memberships and control messages: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.control import Candidate, Control, EpochIs, Founded, Standing, Written
from epaxos.protocol.values.ids import NUMBER_LIMIT, InstanceId
from epaxos.protocol.values.membership import (
    ADDRESS_BYTES_MAX,
    NUMBER_MAX,
    UID_LIMIT,
    UUID_LIMIT,
    VERSION,
    WHY_BYTES_MAX,
    Member,
    Membership,
)
from epaxos.protocol.values.messages import Batch
from epaxos.protocol.values.transfer import PIECE_BYTES_MAX, Piece, PieceAsk, StateAsk, StateOffer, StatePart
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.batch import decode_batch, encode_batch
from epaxos.wire.checks import WireError
from epaxos.wire.control import UnknownKindError, decode_control, encode_control
from epaxos.wire.membership import encode_membership
from epaxos.wire.transfer import BEYOND_MAX, PARTS_MAX

FIRST = Membership(UUID_LIMIT - 1, 0, VERSION, (Member(0, 5), Member(1, UID_LIMIT - 1), Member(7, 1)))
NEXT = FIRST.successor("holds 50 000 instances, by replica 0", 1_700_000_000)
NEW = Member(9, 17, "tcp:host-9:7000", "unix:/run/epaxos/ü", "x" * ADDRESS_BYTES_MAX)
CHANGED = NEXT._replace(members=(FIRST.members[0], NEW), next_number=10)
PARTS = (StatePart(4, True, 2**40, 2**32 - 1), StatePart(4, False, 0, 0), StatePart(5, False, 17, 3))

CONTROLS: list[Control] = [
    Standing(0, 0),
    Standing(NUMBER_LIMIT - 1, 3, True),
    Written(0),
    Written(NUMBER_LIMIT - 1),
    Founded(FIRST),
    StateAsk(0),
    StateAsk(NUMBER_LIMIT - 1),
    StateOffer(NEXT, InstanceId(1, 4), FIRST, (0, 0, 0), (), ()),
    StateOffer(NEXT, InstanceId(1, 4), FIRST, (4, 0, 9), (InstanceId(0, 6), InstanceId(2, 11)), PARTS),
    PieceAsk(7, False, 0, 1),
    PieceAsk(NUMBER_LIMIT - 1, True, NUMBER_LIMIT - 1 - PIECE_BYTES_MAX, PIECE_BYTES_MAX),
    Piece(0, False, 0, b""),
    Piece(7, True, 70_000, bytes(PIECE_BYTES_MAX)),
    Candidate(Member(NUMBER_MAX, 1)),
    Candidate(NEW, 0),
    Candidate(NEW, NUMBER_LIMIT - 1),
    Founded(FIRST._replace(members=(Member(0, 5, "tcp:a"), Member(1, 6, "tcp:b", "tcp:c")))),
    StateOffer(CHANGED, InstanceId(2, 4), FIRST, (4, 9), (InstanceId(1, 11),), PARTS),
    EpochIs(CHANGED, InstanceId(2, 9), FIRST),
    EpochIs(FIRST),
    EpochIs(FIRST, is_safe=True),
    EpochIs(CHANGED, InstanceId(2, 9), FIRST, True),
    EpochIs(NEXT, InstanceId(2, 9), FIRST),
]


def changed(change: Callable[[wire.EpochIs], object]) -> bytes:
    """The last of CONTROLS, with one change."""
    message = wire.Control.FromString(encode_control(CONTROLS[-1]))
    change(message.epoch_is)
    return message.SerializeToString()


def offer(change: Callable[[wire.StateOffer], object]) -> bytes:
    """An offer of a state, with one change."""
    whole = StateOffer(NEXT, InstanceId(1, 4), FIRST, (4, 0, 9), (InstanceId(0, 6),), PARTS)
    message = wire.Control.FromString(encode_control(whole))
    change(message.state_offer)
    return message.SerializeToString()


def _later() -> bytes:
    """A list of first members that is of epoch 1."""
    message = wire.Control.FromString(encode_control(Founded(FIRST)))
    message.founded.membership.epoch = 1
    return message.SerializeToString()


def otherwise(change: Callable[[wire.Membership], object]) -> bytes:
    """A list of other members than the first ones, with one change."""
    message = wire.Control.FromString(encode_control(EpochIs(CHANGED)))
    change(message.epoch_is.membership)
    return message.SerializeToString()


def candidate(**fields: Any) -> bytes:
    """A candidate, with other fields."""
    return wire.Control(candidate=wire.Candidate(**{"number": 3, "uid": 4, **fields})).SerializeToString()


WRONG: dict[str, bytes] = {
    "a number that was never used": otherwise(lambda it: setattr(it, "next_number", 9)),
    "a number beyond all": otherwise(lambda it: setattr(it, "next_number", NUMBER_MAX + 2)),
    "a list in the wrong order": otherwise(
        lambda it: (it.ClearField("changed_numbers"), it.changed_numbers.extend((9, 0)))
    ),
    "other members as an older program reads them": otherwise(lambda it: it.ClearField("next_number")),
    "addresses of somebody else": otherwise(lambda it: it.peer_connects.append("tcp:z")),
    "an address that is too long": otherwise(
        lambda it: it.peer_connects.__setitem__(0, "x" * (ADDRESS_BYTES_MAX + 1))
    ),
    "an address of two lines": otherwise(lambda it: it.peer_connects.__setitem__(0, "tcp:a\ntcp:b")),
    "an endless reason": otherwise(lambda it: setattr(it, "why", "x" * (WHY_BYTES_MAX + 1))),
    "a time beyond all": otherwise(lambda it: setattr(it, "at", NUMBER_LIMIT)),
    "a candidate without a uid": candidate(uid=0),
    "a candidate beyond all numbers": candidate(number=NUMBER_MAX + 1),
    "a candidate with an endless address": candidate(peer_connect="x" * (ADDRESS_BYTES_MAX + 1)),
    "a candidate that lacks too much": candidate(behind=NUMBER_LIMIT),
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
    "a state beyond all epochs": encode_control(StateAsk(NUMBER_LIMIT)),
    "an offer of the wrong epoch before": offer(lambda it: setattr(it.previous, "epoch", 1)),
    "an offer without an epoch before": offer(lambda it: it.ClearField("previous")),
    "an offer of another cluster before": offer(lambda it: setattr(it.previous, "uuid", b"x" * 16)),
    "an offer that no row opened": offer(lambda it: setattr(it, "replica", 3)),
    "an offer that no slot opened": offer(lambda it: setattr(it, "slot", 0)),
    "an offer of two rows": offer(lambda it: it.executed.pop()),
    "an offer beyond all slots": offer(lambda it: it.executed.__setitem__(0, NUMBER_LIMIT)),
    "an instance of no row": offer(lambda it: it.beyond_replicas.__setitem__(0, 3)),
    "an instance without a slot": offer(lambda it: it.beyond_slots.__setitem__(0, 0)),
    "more rows than slots": offer(lambda it: it.beyond_replicas.append(0)),
    "too many instances": offer(lambda it: it.beyond_slots.extend([1] * BEYOND_MAX)),
    "a base behind a log": offer(lambda it: it.parts.add(generation=6, is_base=True)),
    "a file twice": offer(lambda it: it.parts.add(generation=5)),
    "a file with an impossible name": offer(lambda it: it.parts.add(generation=NUMBER_LIMIT)),
    "an endless file": offer(lambda it: it.parts.add(generation=6, length=NUMBER_LIMIT)),
    "an endless state": offer(lambda it: it.parts.add(generation=6, length=NUMBER_LIMIT - 2**40)),
    "too many files": offer(lambda it: [it.parts.add(generation=n) for n in range(6, PARTS_MAX + 6)]),
    "a question for nothing": encode_control(PieceAsk(1, True, 0, 0)),
    "a question for too much": encode_control(PieceAsk(1, True, 0, PIECE_BYTES_MAX + 1)),
    "a question beyond all bytes": encode_control(PieceAsk(1, True, NUMBER_LIMIT - 1, 1)),
    "a question for an impossible file": encode_control(PieceAsk(NUMBER_LIMIT, True, 0, 1)),
    "a piece that is too long": encode_control(Piece(1, True, 0, bytes(PIECE_BYTES_MAX + 1))),
    "a piece beyond all bytes": encode_control(Piece(1, True, NUMBER_LIMIT - 1, b"x")),
    "a piece of an impossible file": encode_control(Piece(NUMBER_LIMIT, True, 0, b"x")),
}


numbers = st.integers(0, NUMBER_LIMIT - 1)


@st.composite
def memberships(draw: st.DrawFn) -> Membership:
    """A list of one to nine members, of an epoch after the first."""
    ids = sorted(draw(st.lists(st.integers(0, NUMBER_MAX), min_size=1, max_size=9, unique=True)))
    size = len(ids)
    uids = draw(st.lists(st.integers(1, UID_LIMIT - 1), min_size=size, max_size=size, unique=True))
    uuid, epoch = draw(st.integers(1, UUID_LIMIT - 1)), draw(st.integers(1, NUMBER_LIMIT - 1))
    addresses = [draw(st.sampled_from(["", "tcp:host", "unix:/ü"])) for _ in range(3 * size)]
    members = tuple(map(Member, ids, uids, addresses, addresses[size:], addresses[2 * size :]))
    next_number = draw(st.sampled_from([0, ids[-1] + 1, NUMBER_MAX + 1]))
    return Membership(uuid, epoch, draw(st.integers(0, 9)), members, next_number, draw(st.text("ab ")), 5)


@st.composite
def offers(draw: st.DrawFn) -> StateOffer:
    """Whatever a source may offer."""
    membership = draw(memberships())
    previous = membership._replace(number=membership.number - 1)
    n = len(membership.members)
    ids = st.builds(InstanceId, st.integers(0, n - 1), st.integers(1, NUMBER_LIMIT - 1))
    executed = draw(st.lists(numbers, min_size=n, max_size=n))
    logs = draw(st.lists(st.integers(0, NUMBER_LIMIT - 1), max_size=5, unique=True))
    names = [(generation, False) for generation in logs]
    if draw(st.booleans()):
        names.insert(0, (draw(numbers), True))
    parts = [StatePart(*name, draw(st.integers(0, 2**60)), draw(st.integers(0, 2**32 - 1))) for name in names]
    return StateOffer(
        membership, draw(ids), previous, tuple(executed), tuple(draw(st.lists(ids))), tuple(parts)
    )


def pieces(generation: int, is_base: bool, offset: int, data: bytes) -> Piece:
    return Piece(generation, is_base, min(offset, NUMBER_LIMIT - 1 - len(data)), data)


transfers = st.one_of(
    st.builds(StateAsk, numbers),
    offers(),
    st.builds(PieceAsk, numbers, st.booleans(), st.integers(0, 2**62), st.integers(1, PIECE_BYTES_MAX)),
    st.builds(pieces, numbers, st.booleans(), numbers, st.binary(max_size=PIECE_BYTES_MAX)),
)


class ControlTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for control in CONTROLS:
            self.assertEqual(decode_control(encode_control(control)), control)

    @settings(max_examples=200, deadline=None)
    @given(transfers)
    def test_round_trip_of_any_transfer(self, control: Control) -> None:
        self.assertEqual(decode_control(encode_control(control)), control)

    @settings(max_examples=300, deadline=None)
    @given(transfers, st.data())
    def test_damage_is_found_or_harmless(self, control: Control, data: st.DataObject) -> None:
        """Whatever bytes come, they are refused, or stand for values that can be sent on."""
        sent = bytearray(encode_control(control)) + data.draw(st.binary(max_size=3))
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
        try:
            taken = decode_control(bytes(sent))
        except WireError:
            return
        self.assertEqual(decode_control(encode_control(taken)), taken)

    def test_a_kind_of_a_later_version(self) -> None:
        later = b"\xa2\x06\x02ab"  # field 100
        self.assertRaises(UnknownKindError, decode_control, later)
        empty = self.assertRaises(WireError, decode_control, b"")
        self.assertNotIsInstance(empty, UnknownKindError)

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

    def test_other_members_make_a_longer_batch(self) -> None:
        """Its size says whether a datagram can carry it."""
        batch = Batch.opening(CHANGED)
        data = encode_batch(batch)
        self.assertEqual(decode_batch(data), batch)
        self.assertLessEqual(len(data), batch.size_bytes)

    def test_an_older_program_never_takes_other_members_for_the_first_ones(self) -> None:
        """It knows of the first five fields alone."""
        message = wire.Membership()
        encode_membership(CHANGED, message)
        self.assertFalse(message.numbers or message.uids)

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
