"""How a replica is put together: the one place that names the concrete classes.

Each object is handed to the others as its interface.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from epaxos.admin.status import few_at_a_time, status_site
from epaxos.config.model import Config
from epaxos.execution.executor import Executor
from epaxos.interfaces import (
    IClients,
    Identity,
    IExecutor,
    IStateMachine,
    IStateMachineFactory,
    IStore,
    ITimeoutService,
    ITransport,
    StoreError,
)
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.node.node import Node
from epaxos.node.stepwise import stepwise
from epaxos.protocol.values.epoch import Epoch
from epaxos.resp.server import RespFactory
from epaxos.service.bounds import MEMORY_KEEPS_ALL, batching, client_limits, keep, tcp_settings, udp_settings
from epaxos.service.clients import door, shown_settings
from epaxos.service.configuration import member_in, members_in
from epaxos.service.endpoints import connecting, listening, udp_listening, udp_peers
from epaxos.service.exit_status import FAILED, REMOVED, WRONG_DATA
from epaxos.service.first_start import FirstStart
from epaxos.service.life import Parts, Port
from epaxos.service.members_view import MembersView, tell_differences
from epaxos.service.opened_store import OpenedStore
from epaxos.service.peer_tls import secured
from epaxos.service.service import ReplicaService
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.statemachines.once.idle import IdleSessions
from epaxos.statemachines.once.machine import ExactlyOnce
from epaxos.statemachines.once.sessions import SESSION_ID_BYTES
from epaxos.statemachines.registry import find_factory
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.memory import MemoryStore
from epaxos.transport.tcp import PeerIdentity, TcpTransport
from epaxos.transport.udp import UdpTransport

__all__ = ["build"]

_log = Logger()


def build(
    config: Config,
    id: int,
    reactor: Any,
    *,
    refuse: Callable[[str, int], Exception],
    fail: Callable[[str, int], None],
    descriptors: int | None = None,
    seed: str = "",
    factory: IStateMachineFactory | None = None,
    ready: Callable[[], None] | None = None,
) -> ReplicaService:
    """Replica `id` of `config`.  `refuse`, `fail` and `ready`: see ReplicaService.

    `seed`: the peer address of a member whose cluster the replica joins, if it was never a member.
    `descriptors`: how many files and connections the process may have open; None: no bound is known.
    `factory` makes the state machine; None: the plugin that the configuration names does.  Raises
    ConfigError, also for what only the classes can check, such as an unknown state machine.
    """
    new_state_machine = partial(_state_machine, config, factory)
    make = partial(_parts, config, id, seed, reactor, fail, descriptors, new_state_machine)
    return ReplicaService(make, refuse, fail, reactor, ready)


def _parts(
    config: Config,
    id: int,
    seed: str,
    reactor: Any,
    fail: Callable[[str, int], None],
    descriptors: int | None,
    new_state_machine: Callable[[], ExactlyOnce],
    begin_again: Callable[[], None],
) -> Parts:
    """All that runs from a start to a stop; nothing of it is used a second time."""
    reader = SharedReader()
    limits = client_limits(config, descriptors)
    random = Random()
    transport = _transport(config, id, seed, reactor, random, reader)
    machine = new_state_machine()
    timeouts = ITimeoutService(ReactorTimeouts(reactor, reader))
    node, first_start = _node(
        config, id, seed, reactor, machine, timeouts, random, transport, fail, begin_again
    )
    clients = IClients(node)
    view = MembersView(config, id, transport.is_connected, node.membership, lambda: first_start.joins)
    idle = IdleSessions(id, machine.idle, clients, timeouts, time.time, config.limits.session_timeout_s)
    who = door(config, id)
    redis_clients = RespFactory(
        clients,
        Complaints(_log, reactor),
        limits,
        view.about,
        reader,
        reactor,
        shown_settings(config),
        door=who,
        members=view.members,
    )
    factories: dict[str, IProtocolFactory] = {
        "client": redis_clients,
        "status": few_at_a_time(status_site(clients, reactor, who)),
    }
    ports = [
        Port(key, address, listening(config, id, key, reactor), factory)
        for key, factory in factories.items()
        if (address := getattr(config.replica(id), key))
    ]
    return Parts(node, first_start, ports, redis_clients.hang_up, idle, view.is_member, view.count)


def _node(
    config: Config,
    id: int,
    seed: str,
    reactor: Any,
    machine: ExactlyOnce,
    timeouts: ITimeoutService,
    random: Random,
    transport: TcpTransport | UdpTransport,
    fail: Callable[[str, int], None],
    begin_again: Callable[[], None],
) -> tuple[Node, FirstStart]:
    """The node, with everything that it works with, each seen through its interface, and its first start."""

    def store_failed(error: StoreError) -> None:
        """Fail even if the node does not run any more: a stop whose last write fails has failed."""
        try:
            node.fail(str(error))
        finally:
            fail(str(error), FAILED)

    def is_wrong(text: str) -> None:
        """Fail even if the node does not run yet."""
        try:
            node.fail(text, is_wrong=True)
        finally:
            fail(text, WRONG_DATA)

    found_at = members_in(config)
    store = OpenedStore(IStore(_store(config, id, reactor, store_failed)))
    node = Node(
        id,
        config.epoch,
        cluster=config.cluster.name,
        timing=config.timing,
        batching=batching(config),
        state_machine=IStateMachine(machine),
        state_machine_name=config.cluster.state_machine,
        executor=_executor,
        store=IStore(store),
        transport=ITransport(transport),
        timeouts=timeouts,
        random=random,
        fatal=lambda text: fail(text, FAILED),
        wrong=lambda text: fail(text, WRONG_DATA),
        begin_again=begin_again,
        removed=lambda text: fail(text, REMOVED),
        joins=member_in(config, id) if seed else None,
        wall_clock=time.time,
        found_at=found_at,
        keep=keep(config),
    )
    epoch = Epoch.none() if seed else config.epoch
    first_start = FirstStart(
        Identity(config.cluster.name, id, epoch, config.cluster.state_machine),
        store,
        transport,
        config.timing.suspect_after_s,
        reactor,
        is_wrong,
        found_at=found_at,
        seed=seed,
        met=partial(tell_differences, config),
    )
    return node, first_start


def _executor(epoch: Epoch) -> IExecutor:
    return IExecutor(Executor(epoch))


def _state_machine(config: Config, factory: IStateMachineFactory | None) -> ExactlyOnce:
    """The state machine of `factory`, or of the configuration, with sessions."""
    try:
        found = find_factory(config.cluster.state_machine) if factory is None else factory
        machine = IStateMachine(found.create(config.state_machine))
    except ValueError as error:
        raise config.error(str(error)) from None
    return ExactlyOnce(machine, stepwise(machine), partial(secrets.token_bytes, SESSION_ID_BYTES), time.time)


def _transport(
    config: Config, id: int, seed: str, reactor: Any, random: Random, reader: SharedReader
) -> TcpTransport | UdpTransport:
    founders = config.epoch if config.has_founders and not seed else None
    identity = PeerIdentity(config.cluster.name, id, founders)
    if config.cluster.transport == "udp":
        return UdpTransport(
            identity,
            udp_listening(config, id),
            udp_peers(config, id),
            session=time.time_ns(),
            reactor=reactor,
            settings=udp_settings(config),
        )
    peers = secured(
        config, id, listening(config, id, "peer", reactor), connecting(config, id, reactor), reactor
    )
    return TcpTransport(
        identity,
        peers.listen,
        peers.dial,
        clock=reactor,
        random=random,
        reader=reader,
        settings=tcp_settings(config),
        names_of=peers.names_of,
    )


def _store(config: Config, id: int, reactor: Any, failed: Callable[[StoreError], None]) -> IStore:
    storage = config.storage
    if storage.engine == "memory":
        _log.warn(
            "engine = memory: replica {id} keeps nothing: its restart is that of a wiped folder, so once it"
            " has stopped, the others refuse it",
            id=id,
        )
        _log.warn(MEMORY_KEEPS_ALL)
        return MemoryStore()
    return LevelDBStore(
        config.replica(id).data,
        call_from_thread=reactor.callFromThread,
        failed=failed,
        sync=storage.sync,
    )
