"""The life of a replica: from the start of its parts to the stop of all of them, in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.service.phase import Phase

__all__ = ["Life", "Parts", "Port", "StartableNode", "Starts", "Upkeep", "Upkeeps"]


class Port(NamedTuple):
    """A port of a replica: its name, its address as the configuration has it, and how it listens."""

    name: str
    address: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory


class StartableNode(Protocol):
    """The methods of a node that the service needs."""

    id: int

    def start(self) -> Deferred[None]:
        """Open the store and the transport.  Fails with StoreError, CannotListenError."""

    def stop(self) -> Deferred[None]:
        """Answer the clients that wait, write a last checkpoint, and close the transport and the store."""


class Starts(Protocol):
    """What comes before the start of the node."""

    def run(self) -> Deferred[None]:
        """Fires when the node may start.  Fails with StoreError, CannotListenError."""

    def stop(self) -> None:
        """Do nothing more."""


class Upkeep(Protocol):
    """What the replica does by itself while clients may come."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """Do nothing more.  May be called without a start."""


class Upkeeps:
    """Several of these, as one."""

    def __init__(self, each: Sequence[Upkeep]) -> None:
        self._each = each

    def start(self) -> None:
        """See Upkeep."""
        for one in self._each:
            one.start()

    def stop(self) -> None:
        """See Upkeep."""
        for one in self._each:
            one.stop()


class Parts(NamedTuple):
    """What a replica is made of.

    `first_start` opens the store and waits until the replica knows who belongs to the cluster.  `hang_up()`
    closes the connections of clients.  `is_member()`: whether the replica is a member of the cluster, and
    `members()` how many there are.
    """

    node: StartableNode
    first_start: Starts
    ports: Sequence[Port]
    hang_up: Callable[[], None]
    upkeep: Upkeep
    is_member: Callable[[], bool]
    members: Callable[[], int]


class Life:
    """The parts from their only start to their only stop.  `is_ready`: clients may come.

    `on_phase(phase)` is told when the start has to wait, and when it goes on.
    """

    _log = Logger()

    def __init__(self, parts: Parts, on_phase: Callable[[Phase], None]) -> None:
        self.parts = parts
        self._on_phase = on_phase
        self.is_ready = False
        self._listening: list[IListeningPort] = []
        self._is_over = False
        self._is_closed = False
        self._waiting: list[Deferred[None]] = []

    # -- the start

    async def start(self) -> None:
        """Open the store, then the transport, then the ports, so that no client connects too early.

        At a first start, which may last, the ports are opened before the node is started, so that clients
        are told that it does not run.  Fails with StoreError, CannotListenError.
        """
        node = self.parts.node
        may_start = self.parts.first_start.run()
        waits = not may_start.called
        if waits:
            await self._listen()
            self._on_phase(Phase.WAITING)
        await may_start
        if self._is_over:
            return
        if waits:
            self._on_phase(Phase.RESTORING)
        await node.start()
        if not waits:
            await self._listen()
        if not self._is_over:
            self.is_ready = True
            self.parts.upkeep.start()
            self._tell_ready()

    @property
    def status(self) -> str:
        """What the replica does, for people."""
        parts = self.parts
        if not parts.is_member():
            return f"replica {parts.node.id} is not a member: clients are refused"
        return f"replica {parts.node.id} of {parts.members()} serves clients"

    def _tell_ready(self) -> None:
        parts = self.parts
        if parts.is_member():
            self._log.info("replica {id} of {n} is ready for clients", id=parts.node.id, n=parts.members())
        else:
            self._log.info("replica {id} is not a member: clients are refused", id=parts.node.id)

    async def _listen(self) -> None:
        for port in self.parts.ports:
            if self._is_over:
                return
            listening = await port.endpoint.listen(port.factory)
            if self._is_over:
                await maybeDeferred(listening.stopListening)
                return
            self._listening.append(listening)
            self._log.info("{name} port: {address}", name=port.name, address=port.address)

    # -- the stop

    def stop(self) -> Deferred[None]:
        """Accept no new clients, answer those that wait, write a last checkpoint, and close everything.

        May be called again: the Deferred always fires when everything is closed, and fails as the stop of
        the node does.
        """
        if self._is_closed:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._waiting.append(closed)
        if not self._is_over:
            self._is_over = True
            self.is_ready = False
            Deferred.fromCoroutine(self._stop()).addBoth(self._on_closed)
        return closed

    async def _stop(self) -> None:
        self.parts.first_start.stop()
        self.parts.upkeep.stop()
        listening, self._listening = self._listening, []
        await DeferredList([maybeDeferred(port.stopListening) for port in listening])
        await self.parts.node.stop()
        self.parts.hang_up()

    def _on_closed(self, result: Failure | None) -> None:
        self._is_closed = True
        waiting, self._waiting = self._waiting, []
        for closed in waiting:
            closed.callback(result)  # a Failure makes it fail
