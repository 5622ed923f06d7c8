"""CLUSTER, READONLY, READWRITE, ASKING and ROLE, for clients of a Redis Cluster.

Every live replica is a master of a share of the slots.  Nobody is redirected, and keys of different slots go
together in a command, because each replica serves all keys.  A replica that sees no majority of the members
answers with an error, so that clients ask another one.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK
from epaxos.resp.commands.spec import Handler, Served, Subcommand, map_of, whole_text_of
from epaxos.resp.encoder import Verbatim
from epaxos.resp.interfaces import ClusterView, IClient, Place
from epaxos.resp.slots import SLOTS, shares, slot_of

__all__ = ["COMMANDS", "node_id"]

_DOWN = CommandError("CLUSTERDOWN the replica sees no majority of the members")


def node_id(view: ClusterView, number: int) -> str:
    """The id of a member, the same at each replica: 40 hexadecimal digits."""
    return sha1(f"{view.name}/{number}".encode(), usedforsecurity=False).hexdigest()


def _view(client: IClient) -> ClusterView:
    return client.server.view(client.session.own_host)


def _told(answer: Callable[[ClusterView], Reply]) -> Handler:
    """The handler that answers what `answer` makes of the view, where that is of use to clients."""

    def handle(client: IClient, command: Command) -> Reply:
        view = _view(client)
        return answer(view) if view.has_majority and view.live else _DOWN

    return handle


def _slots(view: ClusterView) -> Reply:
    return [
        [first, last, [owner.host.encode(), owner.port, node_id(view, owner.number).encode(), []]]
        for first, last, owner in shares(view.places)
    ]


def _shards(view: ClusterView) -> Reply:
    ranges = shares(view.places)
    return [
        map_of(
            {
                b"slots": [slot for first, last, owner in ranges if owner is place for slot in (first, last)],
                b"nodes": [_shard_node(view, place)],
            }
        )
        for place in view.places
    ]


def _shard_node(view: ClusterView, place: Place) -> Reply:
    return map_of(
        {
            b"id": node_id(view, place.number).encode(),
            b"port": place.port,
            b"ip": place.host.encode(),
            b"endpoint": place.host.encode(),
            b"role": b"master",
            b"replication-offset": 0,
            b"health": b"online" if place.is_up else b"fail",
        }
    )


def _nodes(view: ClusterView) -> Reply:
    """A line for each member.  The port for other replicas is shown as 0: no client has a use for it."""
    ranges = shares(view.places)
    lines = []
    for place in view.places:
        id = node_id(view, place.number)
        flags = ("myself," if place.is_here else "") + "master" + ("" if place.is_up else ",fail")
        link = "connected" if place.is_up else "disconnected"
        slots = "".join(f" {first}-{last}" for first, last, owner in ranges if owner is place)
        lines.append(f"{id} {place.host}:{place.port}@0 {flags} - 0 0 {view.epoch} {link}{slots}\n")
    return Verbatim("".join(lines).encode())


def _info(client: IClient, command: Command) -> Reply:
    view = _view(client)
    is_ok = view.has_majority and bool(view.live)
    assigned, known = (SLOTS if view.live else 0), len(view.places)
    fields = {
        "cluster_state": "ok" if is_ok else "fail",
        "cluster_slots_assigned": assigned,
        "cluster_slots_ok": assigned,
        "cluster_slots_pfail": 0,
        "cluster_slots_fail": 0,
        "cluster_known_nodes": known,
        "cluster_size": len(view.live),
        "cluster_current_epoch": view.epoch,
        "cluster_my_epoch": view.epoch,
    }
    return Verbatim("".join(f"{name}:{value}\r\n" for name, value in fields.items()).encode())


def _my_id(client: IClient, command: Command) -> Reply:
    view = _view(client)
    own = [place.number for place in view.places if place.is_here]
    return node_id(view, own[0]).encode() if own else _DOWN


def _key_slot(client: IClient, command: Command) -> Reply:
    return slot_of(command[2])


def _replicas(client: IClient, command: Command) -> Reply:
    """Nobody is a replica of a master here."""
    view = _view(client)
    if command[2].lower() in [node_id(view, place.number).encode() for place in view.places]:
        return []
    return CommandError(f"ERR Unknown node {whole_text_of(command[2])}")


def _refuse(client: IClient, command: Command) -> Reply:
    name = command[1].decode("ascii").upper()
    return CommandError(
        f"ERR CLUSTER {name} is not served: EPAXOS changes the members, and each has all keys"
    )


def _yes(client: IClient, command: Command) -> Reply:
    return OK


def _role(client: IClient, command: Command) -> Reply:
    """A master without replicas, because every replica takes writes."""
    return [b"master", 0, []]


_UNSERVED = (
    "ADDSLOTS", "ADDSLOTSRANGE", "BUMPEPOCH", "COUNTKEYSINSLOT", "DELSLOTS", "DELSLOTSRANGE", "FAILOVER",
    "FLUSHSLOTS", "FORGET", "GETKEYSINSLOT", "MEET", "REPLICATE", "RESET", "SAVECONFIG", "SET-CONFIG-EPOCH",
    "SETSLOT",
)  # fmt: skip

COMMANDS = {
    b"CLUSTER": Served(
        -2,
        subcommands={
            b"INFO": Subcommand(_info, 2, "the state of the cluster as this replica sees it"),
            b"KEYSLOT": Subcommand(_key_slot, 3, "key: the slot of a key"),
            b"MYID": Subcommand(_my_id, 2, "the id of this replica"),
            b"NODES": Subcommand(_told(_nodes), 2, "the members, and which slots each is the master of"),
            b"REPLICAS": Subcommand(_replicas, 3, "node: nobody, because every replica is a master"),
            b"SHARDS": Subcommand(_told(_shards), 2, "the slots, and who is the master of which"),
            b"SLAVES": Subcommand(_replicas, 3, "node: as REPLICAS"),
            b"SLOTS": Subcommand(_told(_slots), 2, "the ranges of slots, and the master of each"),
            **{name.encode(): Subcommand(_refuse, -2, "not served") for name in _UNSERVED},
        },
    ),
    b"READONLY": Served(1, _yes),
    b"READWRITE": Served(1, _yes),
    b"ASKING": Served(1, _yes),
    b"ROLE": Served(1, _role),
}
