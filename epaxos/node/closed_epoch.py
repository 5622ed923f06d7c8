"""What a replica still says of an epoch that it has closed (docs: protocol/epochs, T6).

It promises nothing there any more.  Whatever runs before the end of the epoch is committed here, so a
replica that is behind finds in these answers all that it needs to reach the end, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.membership import Membership
from epaxos.protocol.values.messages import (
    FETCH_BYTES,
    FETCH_INSTANCES,
    NOP,
    Accept,
    Batch,
    Commit,
    Fetch,
    Heartbeat,
    Message,
    Phase,
    PreAccept,
    Read,
    Recover,
    Validate,
)

__all__ = ["ClosedEpoch"]

_QUESTIONS = (PreAccept, Accept, Recover, Validate)


class ClosedEpoch:
    """Epoch `membership`, which this replica has closed.

    It holds every instance up to `committed`.  `find` finds the record and the batch of an instance.
    """

    def __init__(
        self,
        membership: Membership,
        committed: Deps,
        find: Callable[[InstanceId], tuple[InstanceRecord, Batch | None] | None],
    ) -> None:
        self.membership = membership
        self.number = membership.number
        self._heartbeat = Heartbeat(committed, no_deps(membership.epoch))
        self._find = find

    def answer(self, messages: Sequence[Message]) -> tuple[list[Message], bool]:
        """The answers to messages of this epoch, and whether the sender has to be told that it has ended.

        Questions that only a vote would answer are left open: the sender gets what it needs from the
        commits that it fetches.
        """
        answers: list[Message] = []
        has_ended = False
        for message in messages:
            if isinstance(message, Heartbeat):
                answers.append(self._heartbeat)
            elif isinstance(message, Fetch):
                self._answer_fetch(message, answers)
            elif isinstance(message, Read):
                has_ended = True
            elif isinstance(message, _QUESTIONS):
                commit = self._commit(message.id)
                if commit is None:
                    has_ended = True
                else:
                    answers.append(commit)
        return answers, has_ended

    def _answer_fetch(self, message: Fetch, answers: list[Message]) -> None:
        if not message.ids:
            answers.append(self._heartbeat)
        size = 0
        for id in message.ids[:FETCH_INSTANCES]:
            commit = self._commit(id)
            if commit is None or commit.batch is None:
                continue
            answers.append(commit)
            size += commit.batch.size_bytes
            if size > FETCH_BYTES:
                break

    def _commit(self, id: InstanceId) -> Commit | None:
        found = self._find(id)
        if found is None or found[0].phase is not Phase.COMMITTED:
            return None
        record, batch = found
        return Commit(id, record.abal, batch if record.value is Value.PROPOSED else NOP, record.deps)
