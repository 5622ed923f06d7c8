"""SENTINEL, for clients that ask Redis Sentinel where the master is.

Each replica answers for the whole cluster, whose name is the name of the master.  The master is the replica
that is asked, because every replica takes writes.  A replica that sees no majority of the members knows no
master, so that clients ask the next one.
"""

from __future__ import annotations

from collections.abc import Callable

from epaxos.interfaces import Command, CommandError, Reply, SimpleString
from epaxos.resp.commands.cluster import node_id
from epaxos.resp.commands.spec import Handler, Served, Subcommand, map_of
from epaxos.resp.interfaces import ClusterView, IClient, Place

__all__ = ["COMMANDS"]

_UNKNOWN = CommandError("ERR No such master with that name")


def _view(client: IClient) -> ClusterView:
    return client.server.view(client.session.own_host)


def _master_of(view: ClusterView) -> Place | None:
    """Who is told to be the master; None when nobody can be of use."""
    return view.live[0] if view.has_majority and view.live else None


def _others(view: ClusterView) -> list[Place]:
    master = _master_of(view)
    return [place for place in view.places if place is not master]


def _named(answer: Callable[[ClusterView], Reply]) -> Handler:
    """The handler of a subcommand that names the master."""

    def handle(client: IClient, command: Command) -> Reply:
        view = _view(client)
        return answer(view) if command[2] == view.name.encode() else _UNKNOWN

    return handle


def _fields(view: ClusterView, place: Place, name: str, kind: str) -> dict[str, object]:
    """What all kinds of instances have.  `kind`: `master`, `slave` or `sentinel`."""
    fields: dict[str, object] = {
        "name": name,
        "ip": place.host,
        "port": place.port,
        "runid": node_id(view, place.number),
        "flags": kind if place.is_up else f"s_down,{kind},disconnected",
        "link-pending-commands": 0,
        "link-refcount": 1,
        "last-ping-sent": 0,
        "last-ok-ping-reply": 0,
        "last-ping-reply": 0,
    }
    return fields if place.is_up else {**fields, "s-down-time": 0}


def _shown(fields: dict[str, object]) -> Reply:
    return map_of({name.encode(): str(value).encode() for name, value in fields.items()})


def _master(view: ClusterView) -> Reply:
    master = _master_of(view)
    if master is None:
        return CommandError("CLUSTERDOWN the replica sees no majority of the members")
    others = len(view.places) - 1
    return _shown(
        {
            **_fields(view, master, view.name, "master"),
            "role-reported": "master",
            "role-reported-time": 0,
            "config-epoch": view.epoch,
            "num-slaves": others,
            "num-other-sentinels": others,
            "quorum": len(view.places) // 2 + 1,
        }
    )


def _masters(client: IClient, command: Command) -> Reply:
    view = _view(client)
    return [] if _master_of(view) is None else [_master(view)]


def _replicas(view: ClusterView) -> Reply:
    master = _master_of(view)
    return [
        _shown(
            {
                **_fields(view, place, f"{place.host}:{place.port}", "slave"),
                "role-reported": "slave",
                "role-reported-time": 0,
                "master-link-down-time": 0,
                "master-link-status": "ok" if place.is_up and master is not None else "err",
                "master-host": "?" if master is None else master.host,
                "master-port": 0 if master is None else master.port,
                "slave-priority": 100,
                "slave-repl-offset": 0,
            }
        )
        for place in _others(view)
    ]


def _sentinels(view: ClusterView) -> Reply:
    return [
        _shown({**_fields(view, place, node_id(view, place.number), "sentinel"), "last-hello-message": 0})
        for place in view.places
        if not place.is_here
    ]


def _address(client: IClient, command: Command) -> Reply:
    view = _view(client)
    master = _master_of(view)
    if master is None or command[2] != view.name.encode():
        return None
    return [master.host.encode(), b"%d" % master.port]


def _check_quorum(view: ClusterView) -> Reply:
    usable = len(view.live)
    if view.has_majority:
        return SimpleString(f"OK {usable} usable Sentinels. Quorum and failover authorization can be reached")
    return CommandError(f"NOQUORUM {usable} usable Sentinels. Not enough members are up for a majority")


def _my_id(client: IClient, command: Command) -> Reply:
    view = _view(client)
    own = [place.number for place in view.places if place.is_here]
    return node_id(view, own[0]).encode() if own else CommandError("ERR the replica is no member")


def _refuse(client: IClient, command: Command) -> Reply:
    name = command[1].decode("ascii").upper()
    return CommandError(f"ERR SENTINEL {name} is not served: there is no master to be chosen")


COMMANDS = {
    b"SENTINEL": Served(
        -2,
        subcommands={
            b"CKQUORUM": Subcommand(
                _named(_check_quorum), 3, "name: whether a majority of the members is up"
            ),
            b"GET-MASTER-ADDR-BY-NAME": Subcommand(_address, 3, "name: host and port of a live replica"),
            b"MASTER": Subcommand(_named(_master), 3, "name: what clients are told of this master"),
            b"MASTERS": Subcommand(_masters, 2, "the one master, whose name is that of the cluster"),
            b"MYID": Subcommand(_my_id, 2, "the id of this replica"),
            b"REPLICAS": Subcommand(_named(_replicas), 3, "name: the other replicas"),
            b"SENTINELS": Subcommand(_named(_sentinels), 3, "name: the other replicas, as sentinels"),
            b"SLAVES": Subcommand(_named(_replicas), 3, "name: as REPLICAS"),
            **{
                name.encode(): Subcommand(_refuse, -2, "not served")
                for name in ("FAILOVER", "MONITOR", "REMOVE", "RESET", "SET")
            },
        },
    )
}
