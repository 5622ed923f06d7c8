"""The Redis protocol for clients: the factory of their connections."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import IClients
from epaxos.interfaces.audience import IAudience
from epaxos.interfaces.instruments import LatencyMonitor
from epaxos.interfaces.metrics import IMeasured, Metric
from epaxos.interfaces.users import Users
from epaxos.net.door import Door, is_local
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.resp.connection import RespConnection, address_of
from epaxos.resp.interfaces import ClusterView, IClientConnection, ILiveSettings, Member
from epaxos.resp.limits import RespLimits
from epaxos.resp.metrics import metrics_of
from epaxos.resp.shared import Shared
from epaxos.resp.watching import Watching

__all__ = ["RespFactory"]

_log = Logger()


def alone(host: str) -> ClusterView:
    """The view of a replica of which nobody says where clients reach it."""
    return ClusterView("", 0, (), False)


@implementer(IMeasured)
class RespFactory(Factory):
    """Serves `clients`, the replica, to Redis clients.

    `complaints` gets what clients do wrong.  `about()` gives further fields for `INFO`, e.g. the number of
    the replica, and `settings` more of what `CONFIG GET` shows.  `seconds` is a clock that never goes back.
    `door`: who may use the port; None: everybody, without a password.  `members()`, `view(host)`: see
    IServer, as `check_address`, `latency` and `live`.  `watching`: of this replica and its life; by default
    that of replica 0.  `users`: those of the configuration file (`first_users`).
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
        view: Callable[[str], ClusterView] = alone,
        watching: Watching | None = None,
        check_address: Callable[[str, str], None] = lambda name, text: None,
        latency: LatencyMonitor | None = None,
        live: ILiveSettings | None = None,
        users: tuple[Users, bytes] = ({}, b""),
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
            view,
            watching or Watching(0, secrets.token_hex(8).encode()),
            check_address,
            latency or LatencyMonitor(time.time),
            live,
            users,
        )

    def logPrefix(self) -> str:
        """The name that the log has for the port."""
        return "client port"

    def buildProtocol(self, addr: IAddress | None) -> RespConnection:
        """See IProtocolFactory."""
        self._accepted += 1
        return RespConnection(self.shared, self._accepted, address_of(addr), is_local(addr))

    def use_limits(self, limits: RespLimits) -> None:
        """From now on these bounds count."""
        self.shared.use_limits(limits)

    def startFactory(self) -> None:
        """See Factory: the port is open."""
        self.shared.admittance.begin()

    def stopFactory(self) -> None:
        """See Factory: it is closed."""
        self.shared.admittance.stop()

    def forget_shapes(self) -> None:
        """The replica refuses other commands than before."""
        self.shared.shapes.forget()

    def hang_up(self) -> None:
        """The replica stops, or has taken the state of another one: close every connection as soon as
        everything that is answered is taken."""
        listening = sum(1 for connection in self.connections if connection.session.subscriptions)
        if listening:
            _log.info(
                "{count} clients that listen are disconnected: they miss what is published meanwhile",
                count=listening,
            )
        for connection in self.connections:
            connection.hang_up()

    def metrics(self) -> Iterable[Metric]:
        """See IMeasured."""
        return metrics_of(self.shared)

    @property
    def audience(self) -> IAudience:
        """Those who listen at this replica."""
        audience: IAudience = self.shared.listeners
        return audience

    @property
    def connections(self) -> list[IClientConnection]:
        """The connections that are open."""
        return list(self.shared.register.connections.values())
