"""How a replica is put together: the one place that names the concrete classes.

Each object is handed to the others as its interface.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from epaxos.admin.history import History
from epaxos.admin.last_warnings import LastWarnings
from epaxos.admin.live import Present
from epaxos.admin.metrics import Exposition
from epaxos.admin.neighbours import MemberPlace, Neighbours
from epaxos.admin.status import few_at_a_time, status_site
from epaxos.config.addresses import place_of
from epaxos.config.log import Levels
from epaxos.config.model import Config
from epaxos.execution.executor import Executor
from epaxos.interfaces import (
    IClients,
    IClusterClock,
    Identity,
    IExecutor,
    IExpires,
    IStateMachine,
    IStateMachineFactory,
    IStore,
    ITimed,
    ITimeoutService,
    ITransport,
    StoreError,
)
from epaxos.interfaces.audience import IPublishes
from epaxos.interfaces.instruments import LatencyMonitor
from epaxos.interfaces.memory import IBounded, IMemoryBound
from epaxos.interfaces.metrics import IMeasured
from epaxos.net.door import Secret
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.node.cluster_clock import SETTLE_S, ClusterClock
from epaxos.node.node import Node
from epaxos.node.stepwise import stepwise
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.membership import Membership
from epaxos.resp.server import RespFactory
from epaxos.resp.watching import Watching
from epaxos.service.bounds import MEMORY_KEEPS_ALL, batching, client_limits, keep
from epaxos.service.client_tls import ClientTls
from epaxos.service.clients import check_address, door, shown_settings, users_of
from epaxos.service.configuration import member_in, members_in
from epaxos.service.endpoints import listening
from epaxos.service.exit_status import FAILED, OUTDATED, REMOVED, WRONG_DATA
from epaxos.service.facts import Facts
from epaxos.service.first_start import FirstStart
from epaxos.service.followed import Followed
from epaxos.service.following import clients_follow, node_follows, slow_follows
from epaxos.service.life import Parts, Port, Upkeep, Upkeeps
from epaxos.service.live_settings import LiveSettings
from epaxos.service.loop_watch import LoopWatch
from epaxos.service.machines import machine_of
from epaxos.service.members_view import MembersView, tell_differences
from epaxos.service.opened_store import OpenedStore
from epaxos.service.passed_sockets import NOTHING_PASSED, Passed
from epaxos.service.phase import Phase
from epaxos.service.places import Places
from epaxos.service.reload import Reloading
from epaxos.service.service import ReplicaService
from epaxos.service.timeouts import ReactorTimeouts
from epaxos.service.transports import transport_of
from epaxos.statemachines.due_keys import DueKeys
from epaxos.statemachines.evictions import Evictions
from epaxos.statemachines.once.idle import IdleSessions
from epaxos.statemachines.once.machine import ExactlyOnce
from epaxos.statemachines.once.sessions import SESSION_ID_BYTES
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.memory import MemoryStore
from epaxos.transport.tcp import TcpTransport
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
    on_phase: Callable[[Phase], None] | None = None,
    passed: Mapping[str, Passed] = NOTHING_PASSED,
    read: Callable[[], Config] | None = None,
    use_levels: Callable[[Levels], None] = lambda levels: None,
) -> ReplicaService:
    """Replica `id` of `config`.  `refuse`, `fail` and `on_phase`: see ReplicaService.

    `use_levels(levels)`: the log has these levels from now on.

    `passed`: the sockets that it is given, by the names of its ports.  `read`: see Reloading.

    `seed`: the peer address of a member whose cluster the replica joins, if it was never a member.
    `descriptors`: how many files and connections the process may have open; None: no bound is known.
    `factory` makes the state machine; None: the plugin that the configuration names does.  Raises
    ConfigError, also for what only the classes can check, such as an unknown state machine.
    """
    new_state_machine = partial(_state_machine, config, factory)
    followed = Followed(config)
    live, reloading = LiveSettings(followed, id, reactor), Reloading(followed, id, read)
    make = partial(
        _parts, followed, live, id, seed, reactor, fail, descriptors, passed, new_state_machine, use_levels
    )
    return ReplicaService(make, refuse, fail, reactor, on_phase, reloading.reload)


def _parts(
    followed: Followed,
    live: LiveSettings,
    id: int,
    seed: str,
    reactor: Any,
    fail: Callable[[str, int], None],
    descriptors: int | None,
    passed: Mapping[str, Passed],
    new_state_machine: Callable[[ClusterClock], ExactlyOnce],
    use_levels: Callable[[Levels], None],
    begin_again: Callable[[], None],
) -> Parts:
    """All that runs from a start to a stop; nothing of it is used a second time."""
    config = followed.config
    reader = SharedReader()
    limits = client_limits(config, descriptors)
    random = Random()
    transport, reload_peer_tls = transport_of(config, id, seed, reactor, random, reader, passed.get("peer"))
    timeouts = ITimeoutService(ReactorTimeouts(reactor, reader))
    clock = ClusterClock(timeouts.now, time.time, config.limits.clock_error_max_s, SETTLE_S)
    machine = new_state_machine(clock)
    node, first_start = _node(
        config, id, seed, reactor, machine, timeouts, clock, random, transport, fail, begin_again
    )
    clients = IClients(node)
    view = MembersView(
        config, id, transport.is_connected, transport.version_of, node.membership, lambda: first_start.joins
    )
    idle = IdleSessions(id, machine.idle, clients, timeouts, time.time, config.limits.session_timeout_s)
    latency = LatencyMonitor(time.time, config.slow.event_ms)
    node.use_latency(latency)
    loop_watch = LoopWatch(timeouts, latency)
    upkeep: list[Upkeep] = [idle, loop_watch]
    rank = partial(_rank, config, id, node.membership, transport.is_connected)
    if IExpires.providedBy(machine.inside):
        upkeep.append(DueKeys(IExpires(machine.inside), clients, IClusterClock(clock), timeouts, rank))
    who = door(config, id, passed)
    redis_clients = RespFactory(
        clients,
        Complaints(_log, reactor),
        limits,
        view.about,
        reader,
        reactor,
        shown_settings(config, id),
        door=who,
        members=view.members,
        view=Places(config.cluster.name, view.members, clients).view,
        watching=Watching(id, secrets.token_hex(8).encode()),
        check_address=check_address,
        latency=latency,
        live=live,
        users=users_of(config, clients.commands()),
    )
    slow_follows(redis_clients, latency, config)()
    if IPublishes.providedBy(machine.inside):
        IPublishes(machine.inside).use_audience(redis_clients.audience)
    measured = [IMeasured(node), IMeasured(redis_clients), IMeasured(loop_watch)]
    tls = ClientTls.logged(config, id, reactor)
    history, warnings = History(measured, reactor, time.time), LastWarnings()
    node.beside = Facts(followed, id, history, warnings)
    present = _present(followed, id, clients, view, history, warnings, reactor, tls)
    upkeep.append(present)
    if IBounded.providedBy(machine.inside):
        bound = IMemoryBound(machine.bound)
        upkeep.append(Evictions(bound, clients, timeouts, rank, redis_clients.forget_shapes))
    token = Secret(config.security.status_token)
    status = status_site(clients, reactor, who, Exposition(measured).text, present, token)
    factories: dict[str, IProtocolFactory] = {
        "client": redis_clients,
        "client_tls": redis_clients,
        "status": few_at_a_time(status),
    }
    ports = [
        Port(key, address, tls.listening(key, listening(config, id, key, reactor, passed.get(key))), factory)
        for key, factory in factories.items()
        if (address := getattr(config.replica(id), key))
    ]
    followed.follow(
        partial(clients_follow, redis_clients, descriptors),
        partial(node_follows, node),
        partial(slow_follows, redis_clients, latency),
        lambda new: partial(use_levels, new.log.levels),
        reload_peer_tls,
        tls.prepare,
        lambda new: partial(token.change, new.security.status_token),
    )
    return Parts(node, first_start, ports, redis_clients.hang_up, Upkeeps(upkeep), view.is_member, view.count)


def _present(
    followed: Followed,
    id: int,
    clients: IClients,
    view: MembersView,
    history: History,
    warnings: LastWarnings,
    reactor: Any,
    tls: ClientTls,
) -> Present:
    """What the page for people shows."""

    def secret() -> str:
        security = followed.config.security
        return security.status_token or security.requirepass

    def places() -> Sequence[MemberPlace]:
        return [
            MemberPlace(member.id, member.client, place_of(member.status), member.id == id)
            for member in view.members()
        ]

    return Present(
        clients,
        history,
        warnings,
        Neighbours(reactor, places, secret, tls.dialling),
        places,
    )


def _node(
    config: Config,
    id: int,
    seed: str,
    reactor: Any,
    machine: ExactlyOnce,
    timeouts: ITimeoutService,
    clock: ClusterClock,
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

    def is_outdated(text: str) -> None:
        """Fail even if the node does not run yet."""
        try:
            node.end_outdated(text)
        finally:
            fail(text, OUTDATED)

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
        outdated=lambda text: fail(text, OUTDATED),
        joins=member_in(config, id) if seed else None,
        wall_clock=time.time,
        cluster_clock=clock,
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
        is_outdated,
        found_at=found_at,
        seed=seed,
        met=partial(tell_differences, config),
    )
    return node, first_start


def _rank(
    config: Config,
    id: int,
    membership: Callable[[], Membership | None],
    is_connected: Callable[[int], bool],
) -> int:
    """How many connected members have lower numbers than replica `id`."""
    present = membership()
    members = config.epoch.members if present is None else present.epoch.members
    return sum(number < id and is_connected(number) for number in members)


def _executor(epoch: Epoch) -> IExecutor:
    return IExecutor(Executor(epoch))


def _state_machine(config: Config, factory: IStateMachineFactory | None, clock: ClusterClock) -> ExactlyOnce:
    """The state machine of `factory`, or of the configuration, with sessions."""
    machine = machine_of(config, factory)
    if ITimed.providedBy(machine):
        ITimed(machine).use_clock(IClusterClock(clock), partial(secrets.randbits, 64))
    return ExactlyOnce(machine, stepwise(machine), partial(secrets.token_bytes, SESSION_ID_BYTES), time.time)


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
