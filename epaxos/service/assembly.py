"""How a replica is put together: the one place that names the concrete classes.

Each is handed on as the interface that the others know it by.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from epaxos.admin.status import few_at_a_time, status_site
from epaxos.config.model import Config, ConfigError
from epaxos.execution.executor import Executor
from epaxos.interfaces import (
    IClients,
    IExecutor,
    IStateMachine,
    IStore,
    ITimeoutService,
    ITransport,
    StoreError,
)
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.node.limits import Batching
from epaxos.node.node import Node
from epaxos.resp.limits import RespLimits
from epaxos.resp.server import RespFactory
from epaxos.service.descriptors import descriptors_for_clients
from epaxos.service.endpoints import connecting, listening, udp_listening, udp_peers
from epaxos.service.service import Port, ReplicaService
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.statemachines.registry import find_factory
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.memory import MemoryStore
from epaxos.transport.tcp import PeerIdentity, TcpSettings, TcpTransport
from epaxos.transport.udp import UdpSettings, UdpTransport

__all__ = ["build"]

SILENCE_S_MIN = 5.0
SILENCES_SUSPECTED = 5
"""A connection that is silent for this many times suspect_after_s is given up, but not before SILENCE_S_MIN.

After a link was dead, the kernel sends again at longer and longer intervals; a new connection works sooner.
"""

_log = Logger()


def build(
    config: Config,
    id: int,
    reactor: Any,
    *,
    refuse: Callable[[str], Exception],
    fail: Callable[[str], None],
    descriptors: int | None = None,
) -> ReplicaService:
    """Replica `id` of `config`.  `refuse` and `fail`: see ReplicaService.

    `descriptors`: how many files and connections the process may have open; None: no bound is known.
    Raises ConfigError, also for what only the parts can tell, such as an unknown state machine.
    """
    reader = SharedReader()
    limits = _client_limits(config, descriptors)
    node = _node(config, id, reactor, reader, fail)
    clients = IClients(node)
    redis_clients = RespFactory(
        clients,
        Complaints(_log, reactor),
        limits,
        {"cluster": config.cluster.name, "replica": id, "replicas": config.n}.copy,
        reader,
        reactor,
        _shown_settings(config),
    )
    factories: dict[str, IProtocolFactory] = {
        "client": redis_clients,
        "status": few_at_a_time(status_site(clients, reactor)),
    }
    ports = [
        Port(key, getattr(config.replica(id), key), listening(config, id, key, reactor), factory)
        for key, factory in factories.items()
    ]
    return ReplicaService(node, ports, refuse, fail, redis_clients.hang_up)


def _node(config: Config, id: int, reactor: Any, reader: SharedReader, fail: Callable[[str], None]) -> Node:
    """The node, with everything that it works with, each seen through its interface."""

    def store_failed(error: StoreError) -> None:
        """Also when the node does not run any more: a stop whose last write fails has failed."""
        try:
            node.fail(str(error))
        finally:
            fail(str(error))

    random = Random()
    node = Node(
        id,
        config.epoch,
        cluster=config.cluster.name,
        timing=config.timing,
        batching=_batching(config),
        state_machine=IStateMachine(_state_machine(config)),
        state_machine_name=config.cluster.state_machine,
        executor=IExecutor(Executor(config.epoch)),
        store=IStore(_store(config, id, reactor, store_failed)),
        transport=ITransport(_transport(config, id, reactor, random, reader)),
        timeouts=ITimeoutService(ReactorTimeouts(reactor, reader)),
        random=random,
        fatal=fail,
    )
    return node


def _batching(config: Config) -> Batching:
    """The bounds of a node's work, which the file has in three sections."""
    return Batching(
        commands_max=config.batch.commands_max,
        bytes_max=config.batch.bytes_max,
        window=config.batch.window,
        request_timeout_s=config.limits.request_timeout_s,
        checkpoint_s=config.storage.checkpoint_s,
        command_bytes_max=config.limits.command_bytes_max,
    )


def _client_limits(config: Config, descriptors: int | None) -> RespLimits:
    """What clients may take, in a process that may have `descriptors` files and connections open."""
    limits = config.limits
    clients_max = limits.clients_max
    descriptor_max = None
    if descriptors is not None:
        descriptor_max = descriptors_for_clients(descriptors, config.n)
        if descriptor_max < 1:
            least = descriptors - descriptor_max + 1
            raise ConfigError(
                f"only {descriptors} files may be open (RLIMIT_NOFILE), and a replica needs {least}:"
                " raise LimitNOFILE= or ulimit -n"
            )
        if descriptor_max < clients_max:
            _log.warn(
                "clients_max = {clients_max}, but only {fit} clients fit into the {descriptors} files that"
                " may be open (RLIMIT_NOFILE): more are refused; raise LimitNOFILE= or ulimit -n",
                clients_max=clients_max,
                fit=descriptor_max,
                descriptors=descriptors,
            )
            clients_max = descriptor_max
    return RespLimits(
        clients_max=clients_max,
        command_bytes_max=limits.command_bytes_max,
        clients_bytes_max=limits.clients_bytes_max,
        keepalive_s=limits.client_keepalive_s,
        timeout_s=limits.client_timeout_s,
        descriptor_max=descriptor_max,
    )


def _shown_settings(config: Config) -> dict[str, str]:
    """What `CONFIG GET` says of durability, in Redis' words: whether writes are kept, and are synced."""
    keeps = config.storage.engine != "memory"
    return {
        "appendonly": "yes" if keeps else "no",
        "appendfsync": "always" if keeps and config.storage.sync else "no",
    }


def _state_machine(config: Config) -> IStateMachine:
    try:
        return find_factory(config.cluster.state_machine).create(config.state_machine)
    except ValueError as error:
        raise config.error(str(error)) from None


def _transport(config: Config, id: int, reactor: Any, random: Random, reader: SharedReader) -> ITransport:
    identity = PeerIdentity(config.cluster.name, id, config.epoch)
    if config.cluster.transport == "udp":
        return UdpTransport(
            identity,
            udp_listening(config, id),
            udp_peers(config, id),
            session=time.time_ns(),
            reactor=reactor,
            settings=UdpSettings(
                datagram_bytes_max=config.limits.datagram_bytes_max,
                heard_within_s=config.timing.suspect_after_s,
            ),
        )
    return TcpTransport(
        identity,
        listening(config, id, "peer", reactor),
        connecting(config, id, reactor),
        clock=reactor,
        random=random,
        reader=reader,
        settings=TcpSettings(
            queue_bytes_max=config.limits.peer_queue_bytes_max,
            reconnect_max_s=config.timing.suspect_after_s / 2,
            silence_s=max(SILENCE_S_MIN, SILENCES_SUSPECTED * config.timing.suspect_after_s),
        ),
    )


def _store(config: Config, id: int, reactor: Any, failed: Callable[[StoreError], None]) -> IStore:
    storage = config.storage
    if storage.engine == "memory":
        _log.warn(
            "engine = memory: replica {id} keeps nothing: once it stops, a new member must take its place",
            id=id,
        )
        return MemoryStore()
    return LevelDBStore(
        config.replica(id).data,
        call_from_thread=reactor.callFromThread,
        failed=failed,
        sync=storage.sync,
    )
