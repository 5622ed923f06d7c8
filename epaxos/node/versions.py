"""The version of the meaning of commands: which one counts now, and which one the next epoch can have.

It is a part of the list of members, so it changes where an epoch begins: at the same place in the order of
execution at every replica (docs: protocol/epochs, "Versions").  What a program can do at most it says when
it connects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from twisted.logger import Logger

from epaxos.interfaces import IStateMachine, ITransport, IVersioned, Ready
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import FIRST_VERSION, Membership
from epaxos.protocol.values.messages import Batch

__all__ = ["Versions"]

_log = Logger()

_MARK = InstanceId(0, 1)
"""What a mark in the log is said to be; nobody looks at it."""


class Versions:
    """What replica `id` knows of versions.

    `machine` is told which one counts, if it wants to know.  `outdated(text)` is called when this program is
    too old for the cluster; the replica has to stop then.
    """

    def __init__(
        self, id: int, transport: ITransport, machine: IStateMachine, outdated: Callable[[str], None]
    ) -> None:
        self.now = FIRST_VERSION
        """The version of the present epoch."""
        self._id = id
        self._transport = transport
        self._tell = IVersioned(machine).on_version if IVersioned.providedBy(machine) else _nobody
        self._outdated = outdated

    @property
    def newest(self) -> int:
        """The highest version that this program can do."""
        return int(self._transport.version_of(self._id))

    # -- what counts

    def move(self, membership: Membership) -> None:
        """The epoch of `membership` begins."""
        if membership.version != self.now:
            _log.info(
                "replica {id}: the cluster is at version {version} from epoch {epoch} on",
                id=self._id,
                version=membership.version,
                epoch=membership.number,
            )
        self.tell(membership.version)

    def tell(self, version: int) -> None:
        """From now on `version` counts."""
        self.now = version
        self._tell(version)

    def is_outdated(self, membership: Membership) -> bool:
        """Whether the epoch of `membership` is beyond this program, which is then said."""
        newest = self.newest
        if membership.version <= newest:
            return False
        self._outdated(
            f"epoch {membership.number} is of version {membership.version}, and this program knows version"
            f" {newest}: upgrade replica {self._id}, and start it again"
        )
        return True

    # -- the log of the state

    def mark(self, membership: Membership | None) -> tuple[InstanceId, Batch] | None:
        """What says in the log of the state that the batches behind it are of the version of `membership`.
        None where none is needed, because version 1 counts where nothing is said."""
        if membership is None or membership.version == FIRST_VERSION:
            return None
        told = membership._replace(members=membership.members[:1], why="", at=0)
        return _MARK, Batch.opening(told)

    def replayed(self, batches: Iterable[tuple[InstanceId, Batch]]) -> Iterator[Ready]:
        """The batches of a log.  The state machine is told of the version of each in between."""
        for id, batch in batches:
            if batch.successor is None:
                yield Ready(id, batch, False)
            else:
                self.tell(batch.successor.version)

    # -- the next epoch

    def best(self, present: Membership, wanted: Membership) -> int:
        """The version that the epoch of `wanted` can have, after that of `present`: the highest that all of
        its members are known to have, and at least the present one.

        Who has to run the end of the present epoch, and is there, counts as well, also if it is removed.
        """
        transport = self._transport
        ones = {member.number for member in wanted.members}
        ones.update(
            member.number
            for member in present.members
            if member.number == self._id or transport.is_connected(member.number)
        )
        return max(present.version, min(map(self.of, ones)))

    def of(self, replica: int) -> int:
        """The highest version that `replica` can do; 0 where it is not known, because it is not there."""
        return int(self._transport.version_of(replica))

    def behind(self, membership: Membership) -> list[int]:
        """The members that keep the cluster from the version which this program can do."""
        return [one.number for one in membership.members if self.of(one.number) < self.newest]


def _nobody(version: int) -> None:
    """The state machine does not ask which version counts."""
