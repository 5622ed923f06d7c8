"""Where clients reach the members, as clients are told who follow a Redis Cluster or Sentinel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.config.client_address import ClientAddress, client_address
from epaxos.config.endpoints import NETWORK, split
from epaxos.interfaces import IClients
from epaxos.resp.interfaces import ClusterView, Member, Place

__all__ = ["Places"]

_NETWORK = {*NETWORK, "tls"}


class Places:
    """The view of the cluster `name`, as the replica behind `clients` sees it.  `members()`: see IServer."""

    def __init__(self, name: str, members: Callable[[], Sequence[Member]], clients: IClients) -> None:
        self._name = name
        self._members = members
        self._clients = clients

    def view(self, host: str) -> ClusterView:
        """See IServer.  Who has no port for clients, or is said to have it nowhere, is left out."""
        members, up, membership = self._members(), set(self._clients.members_up()), self._clients.membership()
        places = [
            Place(member.id, address.host, address.port, member.state == "here", member.id in up)
            for member in members
            if (address := _address(member, host)) is not None
        ]
        is_member = any(member.state == "here" for member in members)
        live = sum(member.id in up for member in members)
        epoch = 0 if membership is None else membership.number
        return ClusterView(self._name, epoch, places, is_member and 2 * live > len(members))


def _address(member: Member, host: str) -> ClientAddress | None:
    """Where clients reach the member by TCP, with or without TLS; None where that is not known.

    `host` stands for a member that is on the host of this replica and listens on every interface.
    """
    if not member.client:
        return None
    kind, rest = split(member.client)[0], member.client.partition(":")[2]
    client = f"tcp:{rest}" if kind in _NETWORK else member.client
    try:
        address = client_address(client, member.peer, ClientAddress(host))
    except ValueError:
        return None
    return None if address.path else address
