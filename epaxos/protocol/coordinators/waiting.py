"""Which recoveries wait for which conflicting instances (validation rule 3).

Source: EPaxos* (arXiv 2511.02743), section 4; docs: protocol/rules, "Recovery".
"""

from __future__ import annotations

from collections.abc import Iterable

from epaxos.protocol.coordinators.choice import Member
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.values.ids import InstanceId, is_in
from epaxos.protocol.values.messages import NOP, Phase

__all__ = ["Waits"]


class Waits:
    """The waits of one replica's recoveries, and what it knows about the instances waited for.

    An instance *excludes* others when some replica has told, by Waiting, that its recovery has more than
    n-f-e votes.  Then no instance that conflicts with it can have taken the fast path beside it.
    """

    def __init__(self, table: InstanceTable) -> None:
        self._table = table
        self._waiters: dict[InstanceId, list[InstanceId]] = {}
        self._excluding: set[InstanceId] = set()

    def begin(self, id: InstanceId, members: Iterable[InstanceId]) -> None:
        """The recovery of `id` waits for `members`."""
        for member in members:
            self._waiters.setdefault(member, []).append(id)

    def end(self, id: InstanceId, members: Iterable[InstanceId]) -> None:
        """The recovery of `id` no longer waits for `members`."""
        for member in members:
            waiters = self._waiters.get(member)
            if waiters is not None and id in waiters:
                waiters.remove(id)
                if not waiters:
                    del self._waiters[member]

    def on_excluding(self, member: InstanceId) -> tuple[InstanceId, ...]:
        """The recovery of `member` waits with enough votes to exclude others.

        Returns the instances whose recoveries wait for `member`, in the order in which they began.
        """
        self._excluding.add(member)
        return tuple(self._waiters.get(member, ()))

    def on_decided(self, member: InstanceId) -> tuple[InstanceId, ...]:
        """`member` is decided, which says more than its recovery did.  Returns as `on_excluding`."""
        self._excluding.discard(member)
        return tuple(self._waiters.get(member, ()))

    def look_at(self, id: InstanceId, member: InstanceId) -> Member:
        """What is known here of `member`, for which the recovery of `id` waits.

        A forgotten member is harmless.  Every replica has executed it, this one included, without `id`,
        which is not committed here.  So it is NOP, or `id` did not take the fast path and comes after it.
        """
        if member in self._excluding:
            return Member.EXCLUDES
        if self._table.is_forgotten(member):
            return Member.HARMLESS
        other = self._table.find(member)
        if other is None or other.phase is not Phase.COMMITTED:
            return Member.OPEN
        if other.cmd is not NOP and not is_in(id, other.deps):
            return Member.CONFLICTS
        return Member.HARMLESS
