"""What a command that only reads would have found just before a batch that is about to run.

A client that has asked for a read must not see what it wrote later.  When such a batch runs first, the read
is answered before it (docs: protocol/reads).
"""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, RunAgain
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import decode_columns
from epaxos.statemachines.redis.moment import Moment
from epaxos.statemachines.redis.names import name_of
from epaxos.statemachines.redis.removals import removal_of
from epaxos.statemachines.redis.space import Keyspace, Space
from epaxos.statemachines.redis.spec import CommandSpec, Found
from epaxos.statemachines.redis.state import State, moment_of, run_one
from epaxos.statemachines.redis.values import Value

__all__ = ["run_before"]


class _Before(Space):
    """The keys just before a batch.

    A key that the batch writes is gone when its deadline has come by the time of the batch; it is noted in
    `due`.  Any other one is there as long as nobody has removed it.
    """

    __slots__ = ("due",)

    def __init__(
        self, everything: Keyspace, moment: Moment, database: int, due: dict[tuple[int, bytes], int]
    ) -> None:
        super().__init__(everything, moment, database)
        self.due = due

    def in_database(self, number: int) -> Space:
        """See Space."""
        return _Before(self.everything, self.moment, super().in_database(number).database, self.due)

    def get(self, key: bytes) -> Value | None:
        """See Space.  Raises and removes nothing."""
        stored = self._data.get(key)
        if not isinstance(stored, tuple):
            return stored
        if stored[1] > self.now_ms or name_of(self.database, key) not in self.moment.writes:
            return stored[0]
        self.due[self.database, key] = stored[1]
        return None


def run_before(state: State, spec: CommandSpec, command: Command, batch: Batch) -> Found:
    """The reply, and the removal of what it calls gone before it may be told."""
    due: dict[tuple[int, bytes], int] = {}
    reply = run_one(spec, command, _Before(state, moment_of(batch, decode_columns(batch)), 0, due))
    if not due:
        return reply
    known: list[Any] = [reply]
    return RunAgain(removal_of((*place, deadline_ms) for place, deadline_ms in due.items()), known)
