"""The Redis protocol for clients: the factory of their connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from epaxos.interfaces import IClients
from epaxos.net.door import Door, is_local
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.resp.connection import RespConnection, address_of
from epaxos.resp.interfaces import IClientConnection, Member
from epaxos.resp.limits import RespLimits
from epaxos.resp.shared import Shared

__all__ = ["RespFactory"]


class RespFactory(Factory):
    """Serves `clients`, the replica, to Redis clients.

    `complaints` gets what clients do wrong.  `about()` gives further fields for `INFO`, e.g. the number of
    the replica, and `settings` more of what `CONFIG GET` shows.  `seconds` is a clock that never goes back.
    `door`: who may use the port; None: everybody, without a password.  `members()`: see IServer.
    """

    noisy = False

    def __init__(
        self,
        clients: IClients,
        complaints: Complaints,
        limits: RespLimits,
        about: Callable[[], Mapping[str, object]] = dict,
        reader: SharedReader | None = None,
        clock: IReactorTime | None = None,
        settings: Mapping[str, str] | None = None,
        seconds: Callable[[], float] = time.monotonic,
        door: Door | None = None,
        members: Callable[[], Sequence[Member]] = tuple,
    ) -> None:
        self._accepted = 0
        self.shared = Shared(
            clients,
            complaints,
            limits,
            about,
            reader or SharedReader(),
            clock or complaints.clock,
            settings or {},
            seconds,
            door or Door(),
            members,
        )

    def logPrefix(self) -> str:
        """The name that the log has for the port."""
        return "client port"

    def buildProtocol(self, addr: IAddress | None) -> RespConnection:
        """See IProtocolFactory."""
        self._accepted += 1
        return RespConnection(self.shared, self._accepted, address_of(addr), is_local(addr))

    def hang_up(self) -> None:
        """The replica stops: close every connection as soon as everything that is answered is taken."""
        for connection in self.connections:
            connection.hang_up()

    @property
    def connections(self) -> list[IClientConnection]:
        """The connections that are open."""
        return list(self.shared.register.connections.values())
