"""Which replicas are the same, and that copies of a replica are."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import NOP, Accept, Commit, PreAccept, PreAcceptOK, Recover
from epaxos.verify.models.fingerprint import canonical, fingerprint
from epaxos.verify.models.model import writes
from epaxos.verify.models.model_replica import ModelReplica, new_replica

A, B = writes("a"), writes("b")
ID, OTHER = InstanceId(0, 1), InstanceId(1, 1)
NONE = (0, 0, 0)


def replica(*received: tuple[int, object], syncs: bool = True) -> ModelReplica:
    """Replica 2 of three, after these messages."""
    made = ModelReplica(2, 3, new_replica, syncs)
    for sender, message in received:
        made.receive(sender, message)  # type: ignore[arg-type]
    return made


class FingerprintTests(SynchronousTestCase):
    def test_a_copy_is_the_same_and_goes_its_own_way(self) -> None:
        original = replica((0, PreAccept(ID, A, NONE)))
        copy = ModelReplica.load(original.save())
        self.assertEqual(fingerprint(copy), fingerprint(original))
        copy.receive(0, Recover(ID, 3))
        self.assertNotEqual(fingerprint(copy), fingerprint(original))

    def test_a_copy_knows_nop(self) -> None:
        copy = ModelReplica.load(replica((0, Commit(ID, 0, NOP, NONE))).save())
        instance = copy.core.table.find(ID)
        assert instance is not None
        self.assertIs(instance.cmd, NOP)

    def test_what_will_never_matter_again(self) -> None:
        """By which ballot, and after what, an instance was committed."""
        late = replica((0, PreAccept(ID, A, NONE)), (0, Recover(ID, 3)), (0, Commit(ID, 3, A, NONE)))
        self.assertEqual(fingerprint(late), fingerprint(replica((1, Commit(ID, 0, A, NONE)))))

    def test_a_message_that_was_not_taken(self) -> None:
        self.assertEqual(fingerprint(replica((1, Accept(ID, 2, A, NONE)))), fingerprint(replica()))

    def test_order_of_dependencies(self) -> None:
        first = replica((0, PreAccept(ID, A, NONE)), (1, PreAccept(OTHER, B, NONE)))
        second = replica((1, PreAccept(OTHER, B, NONE)), (0, PreAccept(ID, A, NONE)))
        self.assertNotEqual(fingerprint(first), fingerprint(second))

    def test_a_field_that_is_new(self) -> None:
        """Nothing that a rule may come to keep is overlooked."""
        changed = replica((0, PreAccept(ID, A, NONE)))
        changed.core._proposals.asked = {ID: 1}  # type: ignore[attr-defined]
        self.assertNotEqual(fingerprint(changed), fingerprint(replica((0, PreAccept(ID, A, NONE)))))

    def test_what_is_not_durable(self) -> None:
        waiting = replica((0, PreAccept(ID, A, NONE)), syncs=False)
        durable = replica((0, PreAccept(ID, A, NONE)), syncs=False)
        effects = durable.sync()
        self.assertEqual(effects.messages, [(0, PreAcceptOK(ID, NONE))])
        self.assertNotEqual(fingerprint(waiting), fingerprint(durable))
        waiting.reboot(new_replica)
        durable.reboot(new_replica)
        self.assertIsNone(waiting.core.table.find(ID))
        self.assertIsNotNone(durable.core.table.find(ID))


class CanonicalTests(SynchronousTestCase):
    def test_commits(self) -> None:
        whole = Commit(ID, 0, A, NONE)
        for message in (whole, Commit(ID, 4, A, NONE), Commit(ID, 0, None, NONE)):
            self.assertEqual(canonical(message, {ID: A}), whole)
        self.assertEqual(canonical(Commit(ID, 4, NOP, NONE), {ID: A}), Commit(ID, 0, NOP, NONE))

    def test_accepts_keep_their_ballot(self) -> None:
        self.assertEqual(canonical(Accept(ID, 4, None, NONE), {ID: A}), Accept(ID, 4, A, NONE))
