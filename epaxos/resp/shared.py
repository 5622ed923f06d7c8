"""What all connections of one server share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from epaxos.connections.blocking import Blocked
from epaxos.interfaces import Command, CommandInfo, IClients
from epaxos.interfaces.access import units_of
from epaxos.interfaces.instruments import LatencyMonitor
from epaxos.interfaces.redis import fits
from epaxos.interfaces.users import Users
from epaxos.net.door import Door
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.resp.admittance import Admittance
from epaxos.resp.command_table import CommandTable
from epaxos.resp.commands.permission import units_with, uses_of
from epaxos.resp.commands.table import SERVED
from epaxos.resp.information import Information
from epaxos.resp.interfaces import ClusterView, IClient, ILiveSettings, IServer, Member
from epaxos.resp.limits import RespLimits
from epaxos.resp.listening.listeners import Listeners
from epaxos.resp.monitors import Monitors
from epaxos.resp.patience import Patience
from epaxos.resp.pause import Pause
from epaxos.resp.register import Register
from epaxos.resp.shapes import Shapes
from epaxos.resp.slowlog import SlowCommands
from epaxos.resp.statistics import Commandstats, Counted
from epaxos.resp.tracking.tracking import KEYS_MAX, Tracking
from epaxos.resp.traffic import Traffic
from epaxos.resp.turn import Turn
from epaxos.resp.watching import Watching
from epaxos.resp.writers import Writers

__all__ = ["Shared"]


@implementer(IServer)
class Shared:
    """The server behind every connection: the replica, the bounds of each client, and those of all together.

    See RespFactory for the parameters.
    """

    def __init__(
        self,
        clients: IClients,
        complaints: Complaints,
        limits: RespLimits,
        about: Callable[[], Mapping[str, object]],
        reader: SharedReader,
        clock: IReactorTime,
        settings: Mapping[str, str],
        seconds: Callable[[], float],
        door: Door,
        members: Callable[[], Sequence[Member]],
        view: Callable[[str], ClusterView],
        watching: Watching,
        check_address: Callable[[str, str], None],
        latency: LatencyMonitor,
        live: ILiveSettings | None,
        users: tuple[Users, bytes],
    ) -> None:
        self.replica = clients
        self.watching = watching
        self.waiting: set[Deferred[Any]] = set()
        self._members = members
        self.view = view
        self.check_address = check_address
        self.listeners = Listeners(clock, view, seconds)
        self.limits = limits
        self.reader = reader
        self.clock = clock
        self.seconds = seconds
        self._complaints = complaints
        self.traffic = Traffic(seconds())
        self.register = Register(limits, self.traffic, complaints)
        self.writers = Writers(clock)
        self.patience = Patience(clock, limits.timeout_s)
        self.shapes = Shapes(clients)
        self.monitors = Monitors(time.time, self.shapes.trust)
        infos = clients.commands()
        self.command_table = CommandTable(infos, SERVED)
        writes = [info.name.upper().encode() for info in infos if info.writes]
        self.admittance = Admittance(
            clients,
            clock,
            door,
            users,
            units_with(units_of(infos), SERVED),
            partial(uses_of, clients),
            self.register.connections.values,
            seconds,
        )
        self.pause = Pause(clock, self.register.connections.values, writes)
        self.blocked = Blocked(clients, clock, lambda: self.pause.is_on)
        self.tracking = Tracking(clients, clock, seconds, self.register.connections.get)
        self._arities = {info.name.encode(): info.arity for info in infos}
        self.stats = Commandstats(self.command_table.entries.__contains__, _families(infos))
        self.latency = latency
        self.slow = SlowCommands(infos, latency, time.time, clients.took)
        self.live = live
        self.counted = Counted(clients, self.stats, seconds, self.slow)
        """Takes commands for the replica, and counts them."""
        self.receive = Turn(self.counted, self.shapes.are_valid, self.traffic, seconds).receive
        self.information = Information(
            clients,
            limits,
            self.traffic,
            self.stats,
            self.register,
            self.blocked,
            about,
            seconds,
            self.listeners,
            self.tracking,
        )
        self.settings: dict[str, str] = {
            "databases": str(max(1, clients.databases())),
            "maxmemory": "0",
            "maxmemory-policy": "noeviction",
            "proto-max-bulk-len": str(limits.command_bytes_max),
            "save": "",
            "tracking-table-max-keys": str(KEYS_MAX),
            **limits.settings(),
            **settings,
        }

    def use_limits(self, limits: RespLimits) -> None:
        """From now on these count, for the clients that are connected, too: but who is beyond a
        lower clients_max stays, and TCP's keepalive is that of when a client connected."""
        self.limits.take(limits)
        self.settings.update(limits.settings())
        connections: Any = self.register.connections.values()
        self.patience.use_timeout(limits.timeout_s, connections)
        self.register.relieve()

    def fits(self, command: Command) -> bool:
        """See IServer."""
        arity = self._arities.get(command[0].lower())
        return arity is not None and fits(arity, len(command))

    def info(self, tcp_port: int) -> Mapping[str, Mapping[str, object]]:
        """See IServer."""
        return self.information.sections(tcp_port)

    def clients(self) -> Mapping[int, IClient]:
        """See IServer."""
        return self.register.connections

    def members(self) -> Sequence[Member]:
        """See IServer."""
        return self._members()

    def reset_statistics(self) -> None:
        """See IServer."""
        self.traffic.reset()
        self.stats.reset()

    def complain(self, address: str, text: str) -> None:
        """Log that the client at `address` has done something wrong; every port of a host is one client."""
        self._complaints.warn(f"client {address.rpartition(':')[0] or address}", text)


def _families(infos: Sequence[CommandInfo]) -> Callable[[bytes], str]:
    """The kind of values that a command of the replica works on, or `connection`."""
    found = {info.name.encode(): info.categories[0] for info in infos if info.categories}
    return lambda name: found.get(name, "connection").lstrip("@")
