"""The members as operators are shown them: those of the newest list, and what the configuration says of them.

Where the members, or their addresses, have been changed, the list counts.  Until then the configuration does,
because an operator may have edited it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.logger import Logger

from epaxos.config.model import Config
from epaxos.protocol.values.changes import located
from epaxos.protocol.values.membership import Member as Listed
from epaxos.protocol.values.membership import Membership
from epaxos.resp.interfaces import Member
from epaxos.service.configuration import members_in

__all__ = ["MembersView", "tell_differences"]

_log = Logger()


class MembersView:
    """The members as replica `id` sees them.

    `is_connected`, `version_of`: as those of ITransport.  `membership()` is the newest list; None where none
    is known, so that the members are those of the configuration.  `joins()`: whether it was never a member,
    and joins.
    """

    def __init__(
        self,
        config: Config,
        id: int,
        is_connected: Callable[[int], bool],
        version_of: Callable[[int], int],
        membership: Callable[[], Membership | None],
        joins: Callable[[], bool],
    ) -> None:
        self._config = config
        self._found_at = members_in(config)
        self._id = id
        self._is_connected = is_connected
        self._version_of = version_of
        self._membership = membership
        self._joins = joins

    def is_member(self) -> bool:
        """Whether it is a member itself."""
        membership = self._membership()
        return not self._joins() and (membership is None or membership.find(self._id) is not None)

    def count(self) -> int:
        """How many members there are."""
        return len(self._listed())

    def about(self) -> Mapping[str, object]:
        """What `INFO` shows of the cluster."""
        return {
            "cluster": self._config.cluster.name,
            "replica": self._id,
            "replicas": self.count(),
        }

    def members(self) -> Sequence[Member]:
        """The members, in the order of the list."""
        return [self._shown(member) for member in self._listed()]

    def _listed(self) -> Sequence[Listed]:
        """The members, at the addresses that count."""
        membership = self._membership()
        if membership is not None:
            return located(membership, self._found_at).members
        return () if self._joins() else tuple(self._found_at.values())

    def _shown(self, member: Listed) -> Member:
        number, uid, peer, client, status = member
        replica = self._config.find(number)
        if replica is not None:
            client, status = client or replica.client, status or replica.status
        version = self._version_of(number)
        return Member(
            *(number, peer, client, status, self._state(number)),
            uid=f"{uid:016x}" if uid else "",
            version=str(version) if version else "",
        )

    def _state(self, number: int) -> str:
        if number == self._id:
            return "here"
        return "connected" if self._is_connected(number) else "not connected"


def tell_differences(config: Config, membership: Membership) -> None:
    """Log where the list of members counts and the configuration says otherwise."""
    if not membership.next_number:
        return
    for replica in config.replicas:
        member = membership.find(replica.id)
        if member is None:
            _log.info(
                "replica {id} is no member in epoch {epoch}: its section in {path} does not count",
                id=replica.id,
                epoch=membership.number,
                path=str(config.path),
            )
        elif member.peer_connect not in ("", replica.peer_connect):
            _log.info(
                "replica {id} is reached at {listed}, says epoch {epoch}: peer_connect = {given} in {path}"
                " does not count (epaxosctl move changes the list)",
                id=replica.id,
                epoch=membership.number,
                listed=member.peer_connect,
                given=replica.peer_connect,
                path=str(config.path),
            )
