"""The replica as a Twisted service: how it starts, and in which order it closes what it opened."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.interfaces import StoreError
from epaxos.node.node import Node

__all__ = ["Port", "ReplicaService"]


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
