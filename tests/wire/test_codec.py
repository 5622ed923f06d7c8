"""Every message through the codec and back, and what the codec must not let in."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.clocks import NOT_HEARD, Clocks, Echo
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Accept,
    AcceptOK,
    Batch,
    Commit,
    Conflict,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    PreAcceptOK,
    Read,
    ReadOK,
    Recover,
    RecoverOK,
    Validate,
    ValidateOK,
    Waiting,
)
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.codec import WireError, decode_batch, decode_frame, encode, encode_batch

N = 3
LAST = 2**63 - 1
ID = InstanceId(2, 7)
DEPS = (LAST, 0, 6)
BATCH = Batch((b"a", b"\x00\xff" * 40), (b"c",), b"SET a 1", 3)
BARRIER = Batch((), (), b"FLUSHDB", 1, True)

MESSAGES: list[Message] = [
    PreAccept(ID, BATCH, DEPS),
    PreAccept(InstanceId(0, LAST), BARRIER, (0, 0, 0)),
    PreAccept(InstanceId(1, 1), BATCH, (0, 0, 0), (0, 2)),
    PreAcceptOK(ID, DEPS),
    Accept(ID, 5, BATCH, DEPS),
    Accept(ID, 5, NOP, (0, 0, 0)),
    Accept(ID, 0, None, DEPS),
    AcceptOK(ID, 0),
    AcceptOK(ID, LAST),
    Commit(ID, 0, None, DEPS),
    Commit(ID, 4, NOP, (0, 0, 0)),
    Commit(ID, 4, BATCH, DEPS),
    Recover(ID, LAST),
    RecoverOK(ID, 4, 0, Phase.INITIAL, None, (0, 0, 0), None),
    RecoverOK(ID, 4, 0, Phase.PREACCEPTED, BATCH, DEPS, (0, 0, 0)),
    RecoverOK(ID, 4, 0, Phase.PREACCEPTED, BATCH, DEPS, (0, 0, 0), (1,)),
    RecoverOK(ID, 8, 4, Phase.ACCEPTED, NOP, (0, 0, 0), DEPS),
    RecoverOK(ID, 8, 4, Phase.COMMITTED, BATCH, DEPS, DEPS),
    Validate(ID, 4, BATCH, DEPS),
    ValidateOK(ID, 4, ()),
    ValidateOK(ID, 4, (Conflict(InstanceId(0, 1), True), Conflict(InstanceId(2, LAST), False))),
    Waiting(ID, 0),
    Waiting(ID, N),
    Fetch(()),
    Fetch((ID, InstanceId(0, 1), ID)),
    Heartbeat(DEPS, (0, 0, 0)),
    Heartbeat(DEPS, (0, 0, 0), Clocks(1, 0, 0, (NOT_HEARD,) * 3)),
    Heartbeat(DEPS, (0, 0, 0), Clocks(LAST, LAST, LAST, (Echo(LAST, 0), NOT_HEARD, Echo(1, LAST)))),
    Read(0, ()),
    Read(LAST, (b"a", b"", b"\x00\xff" * 40, b"a")),
    ReadOK(0, (0, 0, 0)),
    ReadOK(LAST, DEPS),
]


def same(left: object, right: object) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (tuple, list)) and isinstance(right, (tuple, list)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def framed(kind: str, **fields: Any) -> bytes:
    """A frame with one wire message, whatever is in it."""
    return wire.Frame(messages=[{kind: fields}]).SerializeToString()


def beat(**clocks: Any) -> bytes:
    """A Heartbeat with these clocks."""
    return framed("heartbeat", committed=[0] * N, executed=[0] * N, clocks=clocks)


class SizeTests(SynchronousTestCase):
    def test_a_batch_is_no_longer_than_it_says(self) -> None:
        for length in (0, 1, 127, 128, 16_383, 16_384, 2_097_152):
            for batch in (
                Batch((bytes(length),), (), b"", 2**32 - 1, True),
                Batch((), (bytes(length), b"") * 3, bytes(length), 1),
                Batch((), (), bytes(length), 2**32 - 1),
                Batch((b"k",) * length, (), b"x", 1) if length < 20_000 else BATCH,
            ):
                keys = len(batch.writes) + len(batch.reads)
                taken = len(encode_batch(batch))
                self.assertLessEqual(taken, batch.size_bytes)
                self.assertLessEqual(batch.size_bytes, taken + 3 * keys + 16)


class RoundTripTests(SynchronousTestCase):
    def test_each_message(self) -> None:
        for message in MESSAGES:
            decoded = decode_frame(encode(message), Epoch.first(N))
            self.assertTrue(same(decoded, [message]), f"{message} became {decoded}")

    def test_the_table_names_every_kind(self) -> None:
        kinds = {field.name for field in wire.Message.DESCRIPTOR.oneofs_by_name["kind"].fields}
        seen = set()
        for message in MESSAGES:
            seen.add(wire.Frame.FromString(encode(message)).messages[0].WhichOneof("kind"))
        self.assertEqual(seen, kinds)

    def test_nop_is_the_constant(self) -> None:
        for message in (Accept(ID, 5, NOP, DEPS), Commit(ID, 5, NOP, DEPS)):
            (decoded,) = decode_frame(encode(message), Epoch.first(N))
            assert isinstance(decoded, (Accept, Commit))
            self.assertIs(decoded.batch, NOP)
        self.assertIs(decode_batch(encode_batch(NOP)), NOP)

    def test_concatenated_frames_are_one_frame(self) -> None:
        data = b"".join(map(encode, MESSAGES))
        self.assertTrue(same(decode_frame(data, Epoch.first(N)), MESSAGES))

    def test_the_empty_frame(self) -> None:
        self.assertEqual(decode_frame(b"", Epoch.first(N)), [])

    def test_batch_alone(self) -> None:
        for batch in (BATCH, BARRIER, Batch((b"",), (), b"", 2**32 - 1)):
            self.assertTrue(same(decode_batch(encode_batch(batch)), batch), repr(batch))


ns = st.integers(1, 9)
numbers = st.integers(0, LAST)
slots = st.integers(1, LAST)
batches = st.builds(
    Batch,
    st.lists(st.binary(max_size=40), max_size=5).map(tuple),
    st.lists(st.binary(max_size=40), max_size=5).map(tuple),
    st.binary(max_size=300),
    st.integers(1, 2**32 - 1),
    st.booleans(),
    st.none(),
)
values = st.one_of(st.none(), st.just(NOP), batches)


@st.composite
def messages(draw: st.DrawFn) -> tuple[int, Message]:
    """A size of cluster and a message that fits it."""
    n = draw(ns)
    ids = st.builds(InstanceId, st.integers(0, n - 1), slots)
    deps = st.tuples(*[numbers] * n)
    conflicts = st.lists(st.builds(Conflict, ids, st.booleans()), max_size=6).map(tuple)
    id = draw(ids)
    frontiers = deps
    deps = deps.map(
        lambda vector: tuple(min(s, id.slot - 1) if r == id.replica else s for r, s in enumerate(vector))
    )
    echoes = st.tuples(*[st.builds(Echo, numbers, numbers)] * n)
    clocks = st.one_of(st.none(), st.builds(Clocks, st.integers(1, LAST), numbers, numbers, echoes))
    others = [replica for replica in range(n) if replica != id.replica]
    named = st.lists(st.booleans(), min_size=n - 1, max_size=n - 1).map(
        lambda chosen: tuple(itertools.compress(others, chosen))
    )
    answers = st.one_of(
        st.tuples(st.just(Phase.INITIAL), values, deps, st.one_of(st.none(), deps)),
        st.tuples(st.just(Phase.PREACCEPTED), batches, deps, deps),
        st.tuples(
            st.sampled_from([Phase.ACCEPTED, Phase.COMMITTED]),
            st.one_of(st.just(NOP), batches),
            deps,
            st.one_of(st.none(), deps),
        ),
    )
    this = st.just(id)
    kinds: list[st.SearchStrategy[Message]] = [
        st.builds(PreAccept, this, batches, deps, named),
        st.builds(PreAcceptOK, this, deps),
        st.builds(Accept, this, numbers, values, deps),
        st.builds(AcceptOK, ids, numbers),
        st.builds(Commit, this, numbers, values, deps),
        st.builds(Recover, ids, numbers),
        st.builds(
            lambda ballot, accepted, answer, named: RecoverOK(id, ballot, accepted, *answer, named),
            numbers,
            numbers,
            answers,
            named,
        ),
        st.builds(Validate, this, numbers, batches, deps),
        st.builds(ValidateOK, ids, numbers, conflicts),
        st.builds(Waiting, ids, st.integers(0, n)),
        st.builds(Fetch, st.lists(ids, max_size=6).map(tuple)),
        st.builds(Heartbeat, frontiers, frontiers, clocks),
        st.builds(Read, numbers, st.lists(st.binary(max_size=40), max_size=5).map(tuple)),
        st.builds(ReadOK, numbers, frontiers),
    ]
    return n, draw(st.one_of(kinds))


class PropertyTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=300)
    @given(messages())
    def test_round_trip(self, sized: tuple[int, Message]) -> None:
        n, message = sized
        (decoded,) = decode_frame(encode(message), Epoch.first(n))
        self.assertTrue(same(decoded, message), f"{message} became {decoded}")

    @settings(deadline=None, max_examples=300)
    @given(st.binary(max_size=200))
    def test_any_bytes_are_decoded_or_refused(self, data: bytes) -> None:
        for decode in (lambda: decode_frame(data, Epoch.first(N)), lambda: decode_batch(data)):
            try:
                decode()
            except WireError as error:
                self.assertLess(len(str(error)), 100)

    @settings(deadline=None, max_examples=300)
    @given(messages(), st.data())
    def test_damaged_frames_are_decoded_or_refused(self, sized: tuple[int, Message], data: Any) -> None:
        n, message = sized
        frame = bytearray(encode(message))
        for _ in range(data.draw(st.integers(1, 3))):
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        try:
            decoded = decode_frame(bytes(frame), Epoch.first(n))
        except WireError:
            return
        for each in decoded:  # whatever it says now, it is a message that could have been sent
            self.assertEqual(decode_frame(encode(each), Epoch.first(n)), [each])


class HostileTests(SynchronousTestCase):
    GOOD = {"replica": 2, "slot": 7}

    def test_what_is_wrong_is_refused_and_named(self) -> None:
        batch = encode_batch(BATCH)
        good = self.GOOD
        cases: list[tuple[bytes, str]] = [
            (b"\xff", "not a frame"),
            (encode(MESSAGES[0])[:-1], "not a frame"),
            (wire.Frame(messages=[wire.Message()]).SerializeToString(), "unknown kind"),
            (b"\x0a\x04\xa2\x06\x01x", "unknown kind"),  # a oneof member of a later version
            (framed("accept_ok", replica=3, slot=7), "an instance of replica 3"),
            (framed("accept_ok", replica=2, slot=0), "slot 0"),
            (framed("accept_ok", replica=2, slot=2**63), "slot 9223372036854775808"),
            (framed("accept_ok", ballot=2**63, **good), "ballot"),
            (framed("pre_accept_ok", deps=[1, 2], **good), "a vector of 2 elements in a cluster of 3"),
            (framed("pre_accept_ok", deps=[1, 2, 3, 4], **good), "a vector of 4"),
            (framed("pre_accept_ok", deps=[1, 2, 2**63], **good), "a vector with slot"),
            (framed("pre_accept_ok", **good), "a vector of 0"),
            (framed("pre_accept", deps=[1, 2, 3], **good), "without commands"),
            *(
                (framed("pre_accept", deps=[1, 2, 3], batch=batch, fast_quorum=named, **good), "fast quorum")
                for named in ([2], [1, 0], [1, 1], [0, 3])
            ),
            (framed("recover_ok", deps=[1, 2, 3], fast_quorum=[3], **good), "fast quorum"),
            (framed("pre_accept", deps=[1, 2, 3], batch=b"", **good), "without commands"),
            (framed("validate", deps=[1, 2, 3], **good), "without commands"),
            (framed("pre_accept", deps=[1, 2, 3], batch=batch[:-1], **good), "not a batch"),
            (framed("commit", deps=[1, 2, 3], batch=b"\x0a\x01x", **good), "not the NOP"),
            (framed("commit", deps=[1, 2, 3], batch=b"\x1a\x01x", **good), "not the NOP"),
            (framed("commit", deps=[1, 2, 3], batch=b"\x28\x01", **good), "not the NOP"),
            (framed("recover_ok", deps=[1, 2, 3], phase=4, **good), "phase 4"),
            (framed("recover_ok", deps=[1, 2, 3], accepted_ballot=2**64 - 1, **good), "ballot"),
            (framed("recover_ok", deps=[1, 2, 3], init_deps=[1], **good), "a vector of 1"),
            (framed("recover_ok", init_deps=[1, 2, 3], **good), "a vector of 0"),
            (framed("recover_ok", deps=[1, 2, 3], phase=2, **good), "accepted without a batch"),
            (framed("recover_ok", deps=[1, 2, 3], phase=1, batch=batch, **good), "what was proposed"),
            (framed("pre_accept_ok", deps=[1, 2, 7], **good), "depends on slot 7 of its own row"),
            (framed("accept", deps=[1, 2, 9], batch=batch, **good), "depends on slot 9"),
            (framed("commit", deps=[1, 2, 7], batch=batch, **good), "depends on slot 7"),
            (framed("validate_ok", conflict_replicas=[1], **good), "1 replicas and 0 slots"),
            (
                framed("validate_ok", conflict_replicas=[1], conflict_slots=[1], **good),
                "1 conflicts and 0 phases",
            ),
            (framed("validate_ok", conflict_committed=[True], **good), "0 conflicts and 1 phases"),
            (framed("fetch", replicas=[0, 3], slots=[1, 1]), "impossible instance"),
            (framed("fetch", replicas=[0, 1], slots=[1, 0]), "impossible instance"),
            (framed("fetch", replicas=[0, 1], slots=[1, 2**63]), "impossible instance"),
            (framed("fetch", replicas=[0, 1], slots=[1]), "2 replicas and 1 slots"),
            (framed("fetch", replicas=[0] * 5000, slots=[1] * 5000), "a list of 5000 instances"),
            (framed("waiting", votes=4, **good), "4 votes in a cluster of 3"),
            (framed("heartbeat", committed=[1, 2, 3]), "a vector of 0"),
            (framed("heartbeat", executed=[1, 2, 3]), "a vector of 0"),
            (beat(wall_ms=1), "clocks that show"),
            (beat(at_ms=2**63), "clocks that show"),
            (beat(at_ms=1, wall_ms=2**63), "clocks that show"),
            (beat(at_ms=1, cluster_ms=2**64 - 1), "clocks that show"),
            (beat(at_ms=1, echoed_ms=[1, 2], held_ms=[1, 2, 3]), "a vector of 2"),
            (beat(at_ms=1, echoed_ms=[1, 2, 3], held_ms=[]), "a vector of 0"),
            (beat(at_ms=1, echoed_ms=[1, 2, 3], held_ms=[0, 0, 2**63]), "a vector with slot"),
            (framed("read", number=2**63, keys=[b"a"]), "a read with number 9223372036854775808"),
            (framed("read", number=2**64 - 1), "a read with number"),
            (framed("read_ok", number=2**63, deps=[1, 2, 3]), "a read with number 9223372036854775808"),
            (framed("read_ok", number=1), "a vector of 0"),
            (framed("read_ok", number=1, deps=[1, 2]), "a vector of 2"),
            (framed("read_ok", number=1, deps=[1, 2, 3, 4]), "a vector of 4"),
            (framed("read_ok", number=1, deps=[1, 2, 2**63]), "a vector with slot"),
        ]
        for data, text in cases:
            error = self.assertRaises(WireError, decode_frame, data, Epoch.first(N))
            self.assertIn(text, str(error))
            self.assertIsInstance(error, ValueError)

    def test_one_wrong_message_refuses_the_frame(self) -> None:
        good = encode(MESSAGES[0])
        self.assertRaises(
            WireError, decode_frame, good + framed("accept_ok", replica=9, slot=1) + good, Epoch.first(N)
        )

    def test_unknown_fields_are_ignored(self) -> None:
        """A later version may add fields to a message."""
        inner = framed("accept_ok", **self.GOOD)
        message = wire.Frame.FromString(inner).messages[0].accept_ok.SerializeToString() + b"\xa2\x06\x01x"
        kind = b"\x22" + bytes([len(message)]) + message
        self.assertEqual(decode_frame(b"\x0a" + bytes([len(kind)]) + kind, Epoch.first(N)), [AcceptOK(ID, 0)])

    def test_batches(self) -> None:
        for data in (b"\xff", encode_batch(BATCH)[:-1], b"\x0a\x00", b"\x12\x01x", b"\x28\x01"):
            self.assertRaises(WireError, decode_batch, data)
