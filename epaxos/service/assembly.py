"""The replica as a Twisted service: the one place that knows the concrete parts and puts them together."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.admin.status import few_at_a_time, status_site
from epaxos.config.file import Config, ConfigError
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
from epaxos.node.node import Node
from epaxos.protocol.values.epoch import Epoch
from epaxos.resp.server import RespFactory, RespLimits
from epaxos.service.descriptors import descriptors_for_clients
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.statemachines.registry import find_factory
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.memory import MemoryStore
from epaxos.transport.tcp import PeerIdentity, TcpSettings, TcpTransport
from epaxos.transport.udp import UdpSettings, UdpTransport

__all__ = ["Port", "ReplicaService", "build"]

SILENCE_S_MIN = 5.0
SILENCES_SUSPECTED = 5
"""A connection is given up when its replica has been suspected for so many times as long as that takes.

After a link was dead the kernel sends again later and later; a new connection is there sooner.
"""

_log = Logger()


class Port(NamedTuple):
    """Something that a replica listens on: what for, where as the configuration says it, and with what."""

    name: str
    address: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory


class ReplicaService(Service):
    """A node, and the ports on which it is asked.

    When the replica cannot start, `startService` raises what `refuse(text)` gives; when that shows
    only later, `fail(text)` is called.  `hang_up()` closes the connections of clients.
    """

    name = "epaxos"
    _log = Logger()

    def __init__(
        self,
        node: Node,
        ports: Sequence[Port],
        refuse: Callable[[str], Exception],
        fail: Callable[[str], None],
        hang_up: Callable[[], None],
    ) -> None:
        self.node = node
        self._ports = ports
        self._refuse = refuse
        self._fail = fail
        self._hang_up = hang_up
        self._listening: list[IListeningPort] = []

    def startService(self) -> None:
        """Open the store, meet the other replicas, then let clients in: nobody waits at a closed door."""
        super().startService()
        refusals: list[str] = []
        report = refusals.append
        started = Deferred.fromCoroutine(self._start())
        started.addErrback(lambda failure: report(self._explain(failure)))
        report = self._fail
        if refusals:
            self.stopService()  # as far as it goes without waiting: the process ends
            raise self._refuse(refusals[0])

    async def _start(self) -> None:
        await self.node.start()
        for port in self._ports:
            listening = await port.endpoint.listen(port.factory)
            if not self.running:
                await maybeDeferred(listening.stopListening)
                return
            self._listening.append(listening)
            self._log.info("{name} port: {address}", name=port.name, address=port.address)
        self._log.info("replica {id} of {n} is there", id=self.node.id, n=self.node.n)

    def _explain(self, failure: Failure) -> str:
        error = failure.value
        if isinstance(error, StoreError):
            return str(error)
        if isinstance(error, CannotListenError):
            where = error.interface if error.port is None else f"{error.interface or '*'}:{error.port}"
            return f"cannot listen on {where}: {getattr(error.socketError, 'strerror', error.socketError)}"
        self._log.failure("the replica cannot start", failure)
        return "the replica cannot start: internal error, see the log"

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Let no new clients in, answer those who wait, write what is left, and close everything."""
        super().stopService()
        listening, self._listening = self._listening, []
        yield DeferredList([maybeDeferred(port.stopListening) for port in listening])
        yield self.node.stop()
        self._hang_up()


def build(
    config: Config,
    id: int,
    reactor: Any,
    *,
    refuse: Callable[[str], Exception],
    fail: Callable[[str], None],
    descriptors: int | None = None,
) -> ReplicaService:
    """Replica `id` of `config`.  `refuse` and `fail`: see ReplicaService.  `descriptors`: how many files
    and connections the process may have open, None when that is no concern.

    Raises ConfigError, also for what only the parts can tell: an unknown state machine, say.
    """
    replica = config.replica(id)
    limits = _client_limits(config, descriptors)
    random = Random()
    reader = SharedReader()
    timeouts = ITimeoutService(ReactorTimeouts(reactor, reader))

    def store_failed(error: StoreError) -> None:
        """Also when the node does not run any more: a stop whose last write fails has failed."""
        try:
            node.fail(str(error))
        finally:
            fail(str(error))

    store = IStore(_store(config, id, reactor, store_failed))
    epoch = Epoch.first(config.n)
    node = Node(
        id,
        epoch,
        cluster=config.cluster,
        timing=config.timing,
        batching=config.batching,
        state_machine=IStateMachine(_state_machine(config)),
        state_machine_name=config.state_machine,
        executor=IExecutor(Executor(epoch)),
        store=store,
        transport=ITransport(_transport(config, id, reactor, random, reader)),
        timeouts=timeouts,
        random=random,
        fatal=fail,
    )
    clients = IClients(node)
    about = {"cluster": config.cluster, "replica": id, "replicas": config.n}
    redis_clients = RespFactory(
        clients,
        Complaints(_log, reactor),
        limits,
        about.copy,
        reader,
        reactor,
        _shown_settings(config),
    )
    factories: dict[str, IProtocolFactory] = {
        "client": redis_clients,
        "status": few_at_a_time(status_site(clients, reactor)),
    }
    ports = [
        Port(key, getattr(replica, key), config.listening(id, key, reactor), factory)
        for key, factory in factories.items()
    ]
    return ReplicaService(node, ports, refuse, fail, redis_clients.hang_up)


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
        command_bytes_max=config.batching.command_bytes_max,
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
        return find_factory(config.state_machine).create(config.state_machine_options)
    except ValueError as error:
        raise ConfigError(f"{config.path}: {error}") from None


def _transport(config: Config, id: int, reactor: Any, random: Random, reader: SharedReader) -> ITransport:
    identity = PeerIdentity(config.cluster, id, Epoch.first(config.n))
    if config.transport == "udp":
        return UdpTransport(
            identity,
            config.udp_listening(id),
            config.udp_peers(id),
            session=time.time_ns(),
            reactor=reactor,
            settings=UdpSettings(
                datagram_bytes_max=config.limits.datagram_bytes_max,
                heard_within_s=config.timing.suspect_after_s,
            ),
        )
    return TcpTransport(
        identity,
        config.listening(id, "peer", reactor),
        config.connecting(id, reactor),
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
