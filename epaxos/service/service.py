"""The replica as a Twisted service: in which order it opens what it needs, and closes it again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.interfaces import StoreError, WrongDataError
from epaxos.service.exit_status import FAILED, WRONG_DATA

__all__ = ["Port", "ReplicaService", "StartableNode", "Starts"]


class Port(NamedTuple):
    """A port of a replica: its name, its address as the configuration has it, and how it listens."""

    name: str
    address: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory


class StartableNode(Protocol):
    """The methods of a node that the service needs."""

    id: int
    n: int

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


class ReplicaService(Service):
    """A node, and the ports on which clients reach it.

    When the replica cannot start, `startService` raises what `refuse(text, status)` returns; when that is
    found only after `startService` has returned, `fail(text, status)` is called.  `first_start` opens the
    store and waits until the replica knows who belongs to the cluster; `is_ready`: clients may come.
    `hang_up()` closes the connections of clients.
    """

    name = "epaxos"
    _log = Logger()

    def __init__(
        self,
        node: StartableNode,
        first_start: Starts,
        ports: Sequence[Port],
        refuse: Callable[[str, int], Exception],
        fail: Callable[[str, int], None],
        hang_up: Callable[[], None],
    ) -> None:
        self.node = node
        self._first_start = first_start
        self._ports = ports
        self._refuse = refuse
        self._fail = fail
        self._hang_up = hang_up
        self._listening: list[IListeningPort] = []
        self.is_ready = False

    def startService(self) -> None:
        """Open the store, then the transport, then the ports, so that no client connects too early.

        At a first start, which may last, the ports are opened before the node is started, so that clients
        are told that it does not run.
        """
        super().startService()
        failures: list[Failure] = []
        started = Deferred.fromCoroutine(self._start())
        if started.called:
            started.addErrback(failures.append)
        if failures:
            text = self._explain(failures[0])
            self.stopService()  # what of it needs to wait is not done, because the process ends
            raise self._refuse(text, self._status_of(failures[0]))
        started.addErrback(lambda failure: self._fail(self._explain(failure), self._status_of(failure)))

    async def _start(self) -> None:
        may_start = self._first_start.run()
        waits = not may_start.called
        if waits:
            await self._listen()
        await may_start
        if not self.running:
            return
        await self.node.start()
        if not waits:
            await self._listen()
        if self.running:
            self.is_ready = True
            self._log.info("replica {id} of {n} is ready for clients", id=self.node.id, n=self.node.n)

    async def _listen(self) -> None:
        for port in self._ports:
            listening = await port.endpoint.listen(port.factory)
            if not self.running:
                await maybeDeferred(listening.stopListening)
                return
            self._listening.append(listening)
            self._log.info("{name} port: {address}", name=port.name, address=port.address)

    @staticmethod
    def _status_of(failure: Failure) -> int:
        return WRONG_DATA if isinstance(failure.value, WrongDataError) else FAILED

    def _explain(self, failure: Failure) -> str:
        error = failure.value
        if isinstance(error, StoreError):
            return str(error)
        if isinstance(error, KeyboardInterrupt):  # Ctrl-C before the reactor runs and takes SIGINT
            return "interrupted while it started"
        if isinstance(error, CannotListenError):
            where = error.interface if error.port is None else f"{error.interface or '*'}:{error.port}"
            return f"cannot listen on {where}: {getattr(error.socketError, 'strerror', error.socketError)}"
        self._log.failure("the replica cannot start", failure)
        return "the replica cannot start: internal error, see the log"

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """Accept no new clients, answer those that wait, write a last checkpoint, and close everything."""
        super().stopService()
        self._first_start.stop()
        listening, self._listening = self._listening, []
        yield DeferredList([maybeDeferred(port.stopListening) for port in listening])
        yield self.node.stop()
        self._hang_up()
