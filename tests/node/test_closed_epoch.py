"""What a replica answers to messages of an epoch that it has closed (docs: protocol/epochs, T6)."""

from __future__ import annotations

from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.closed_epoch import ClosedEpoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import (
    FETCH_BYTES,
    FETCH_INSTANCES,
    NOP,
    Accept,
    AcceptOK,
    Batch,
    Commit,
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

MEMBERS = Membership(7, 3, 1, (Member(0, 10), Member(1, 11), Member(2, 12)))
COMMITTED = (9, 8, 7)
NOTHING = (0, 0, 0)
DEPS = (1, 2, 0)
BATCH = Batch((b"k",), (), b"k v", 1)
OTHER = Batch((b"k",), (), b"k other", 1)

HELD = InstanceId(0, 3)
VOID = InstanceId(1, 3)
OPEN = InstanceId(2, 3)
UNKNOWN = InstanceId(2, 9)

Found = dict[InstanceId, tuple[InstanceRecord, "Batch | None"]]


def record(id: InstanceId, phase: Phase = Phase.COMMITTED, value: Value = Value.PROPOSED) -> InstanceRecord:
    return InstanceRecord(id, phase, 5, 4 if phase >= Phase.ACCEPTED else 0, value, DEPS, NOTHING)


def held() -> Found:
    return {
        HELD: (record(HELD), BATCH),
        VOID: (record(VOID, value=Value.NOP), BATCH),
        OPEN: (record(OPEN, Phase.ACCEPTED), BATCH),
    }


COMMIT = Commit(HELD, 4, BATCH, DEPS)
NOP_COMMIT = Commit(VOID, 4, NOP, DEPS)
HEARTBEAT = Heartbeat(COMMITTED, NOTHING)


def questions(id: InstanceId) -> list[Message]:
    """What a replica that works on `id` asks for."""
    return [
        PreAccept(id, OTHER, NOTHING),
        Accept(id, 9, OTHER, NOTHING),
        Recover(id, 9),
        Validate(id, 9, OTHER, NOTHING),
    ]


def statements() -> list[Message]:
    """What nobody has to answer."""
    return [
        PreAcceptOK(HELD, NOTHING),
        AcceptOK(HELD, 9),
        COMMIT,
        RecoverOK(HELD, 9, 0, Phase.INITIAL, None, NOTHING, None),
        ValidateOK(HELD, 9, ()),
        Waiting(HELD, 2),
        ReadOK(1, NOTHING),
    ]


class ClosedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.found: Found = held()
        self.looked: list[InstanceId] = []
        self.epoch = ClosedEpoch(MEMBERS, COMMITTED, self.find)

    def find(self, id: InstanceId) -> tuple[InstanceRecord, Batch | None] | None:
        self.looked.append(id)
        return self.found.get(id)

    def answer(self, *messages: Message) -> tuple[list[Message], bool]:
        return self.epoch.answer(messages)


class AnswerTests(ClosedCase):
    def test_every_kind_of_message_is_tried_here(self) -> None:
        tried = [*questions(HELD), *statements(), HEARTBEAT, Fetch(()), Read(1, ())]
        self.assertEqual({type(message) for message in tried}, set(get_args(Message)))

    def test_its_number(self) -> None:
        self.assertEqual((self.epoch.number, self.epoch.membership), (3, MEMBERS))

    def test_a_question_about_what_is_committed_gets_the_commit(self) -> None:
        for question in questions(HELD):
            self.assertEqual(self.answer(question), ([COMMIT], False), question)

    def test_a_question_about_a_nop(self) -> None:
        """It carries NOP, although the batch that was once proposed is held, too."""
        for question in questions(VOID):
            answers, has_ended = self.answer(question)
            self.assertEqual((answers, has_ended), ([NOP_COMMIT], False), question)
            assert isinstance(answers[0], Commit)
            self.assertIs(answers[0].batch, NOP, "others compare by identity")

    def test_a_question_about_anything_else_gets_no_promise(self) -> None:
        for id in (OPEN, UNKNOWN):
            for question in questions(id):
                self.assertEqual(self.answer(question), ([], True), question)

    def test_a_heartbeat(self) -> None:
        """The answer says what is held here, and that nothing is executed: so nobody forgets for it."""
        self.assertEqual(self.answer(Heartbeat((1, 1, 1), (1, 1, 1))), ([HEARTBEAT], False))

    def test_a_read(self) -> None:
        """It may not be answered: what was written later would be missing."""
        self.assertEqual(self.answer(Read(4, (b"k",))), ([], True))

    def test_statements_are_left(self) -> None:
        for statement in statements():
            self.assertEqual(self.answer(statement), ([], False), statement)
        self.assertEqual(self.looked, [])

    def test_several(self) -> None:
        """All of them are answered, in order; one that cannot be is enough to tell the end."""
        messages = [Recover(HELD, 9), AcceptOK(HELD, 9), Read(1, (b"k",)), Recover(VOID, 9), Fetch(())]
        self.assertEqual(self.answer(*messages), ([COMMIT, NOP_COMMIT, HEARTBEAT], True))
        self.assertEqual(self.answer(), ([], False))


class FetchTests(ClosedCase):
    def fetch(self, *ids: InstanceId) -> list[Message]:
        answers, has_ended = self.answer(Fetch(ids))
        self.assertFalse(has_ended)
        return answers

    def test_of_nothing(self) -> None:
        self.assertEqual(self.fetch(), [HEARTBEAT])

    def test_what_is_committed(self) -> None:
        self.assertEqual(self.fetch(OPEN, VOID, UNKNOWN, HELD), [NOP_COMMIT, COMMIT])

    def test_a_commit_without_its_batch(self) -> None:
        """It is not sent: the asker could not execute it."""
        self.found[HELD] = (record(HELD), None)
        self.assertEqual(self.fetch(HELD, VOID), [NOP_COMMIT])
        self.found[VOID] = (record(VOID, value=Value.NOP), None)
        self.assertEqual(self.fetch(HELD, VOID), [NOP_COMMIT], "a NOP needs none")

    def test_many_instances(self) -> None:
        ids = [InstanceId(0, slot) for slot in range(1, FETCH_INSTANCES + 50)]
        self.found = {id: (record(id), BATCH) for id in ids}
        answers = self.fetch(*ids)
        self.assertEqual(answers, [Commit(id, 4, BATCH, DEPS) for id in ids[:FETCH_INSTANCES]])
        self.assertEqual(len(self.looked), FETCH_INSTANCES, "nothing is read in vain")

    def test_many_bytes(self) -> None:
        """The commit that crosses the bound is the last one, and one alone is always sent."""
        for size, count in ((FETCH_BYTES + 1, 1), (FETCH_BYTES // 2, 2), (FETCH_BYTES // 3, 3)):
            self.looked.clear()
            ids = [InstanceId(0, slot) for slot in range(1, 10)]
            large = Batch((), (), bytes(size), 1)
            self.found = {id: (record(id), large) for id in ids}
            self.assertEqual(len(self.fetch(*ids)), count, size)
            self.assertEqual(len(self.looked), count, size)
