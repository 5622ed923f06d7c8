"""What all connections of one server share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from epaxos.interfaces import CommandInfo, IClients, Reply, SimpleString
from epaxos.net.door import Door
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.resp.commands.spec import Served
from epaxos.resp.commands.table import SERVED
from epaxos.resp.information import Information
from epaxos.resp.interfaces import IClient, IServer, Member
from epaxos.resp.limits import RespLimits
from epaxos.resp.patience import Patience
from epaxos.resp.register import Register
from epaxos.resp.shapes import Shapes
from epaxos.resp.traffic import Traffic
from epaxos.resp.turn import Turn
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
    ) -> None:
        self.replica = clients
        self.door = door
        self.waiting: set[Deferred[Any]] = set()
        self._members = members
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
        self.receive = Turn(clients, self.shapes.are_valid, self.traffic, seconds).receive
        self.information = Information(clients, limits, self.traffic, self.register, about, seconds)
        self.command_table: Sequence[list[Reply]] = [
            *map(_replica_entry, clients.commands()),
            *itertools.starmap(_session_entry, SERVED.items()),
        ]
        self.settings: Mapping[str, str] = {
            "databases": "1",
            "maxclients": str(limits.clients_max),
            "maxmemory": "0",
            "maxmemory-policy": "noeviction",
            "proto-max-bulk-len": str(limits.command_bytes_max),
            "save": "",
            "tcp-keepalive": str(limits.keepalive_s),
            "timeout": f"{limits.timeout_s:g}",
            **settings,
        }

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

    def complain(self, address: str, text: str) -> None:
        """Log that the client at `address` has done something wrong; every port of a host is one client."""
        self._complaints.warn(f"client {address.rpartition(':')[0] or address}", text)


def _replica_entry(info: CommandInfo) -> list[Reply]:
    flags: list[Reply] = [SimpleString("write" if info.writes else "readonly")]
    return [info.name.encode(), info.arity, flags, info.first_key, info.last_key, info.key_step]


def _session_entry(name: bytes, served: Served) -> list[Reply]:
    flags: list[Reply] = [SimpleString("admin" if served.is_admin else "fast")]
    if served.has_keys:  # and where they stand, no entry of this form can say
        flags.append(SimpleString("movablekeys"))
    return [name.lower(), served.arity, flags, 0, 0, 0]
