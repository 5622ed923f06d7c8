"""A replica as a service of a program, which calls the commands of its machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from epaxos.config.model import Config
from epaxos.embedded.calls import Calls
from epaxos.embedded.errors import NotRun, ReplicaFailed
from epaxos.interfaces import Command, CommandError, IClients
from epaxos.machines import Machine, MachineFactory
from epaxos.machines.calls import command_of
from epaxos.service.assembly import build
from epaxos.service.configuration import check_seed
from epaxos.service.exit_status import OUTDATED, REMOVED, WRONG_DATA
from epaxos.service.phase import Phase
from epaxos.service.service import ReplicaService

__all__ = ["Replica"]

FOR_GOOD = {WRONG_DATA, REMOVED, OUTDATED}
"""The statuses of failures after which another start does not help."""


class Replica(Service):
    """Replica `id` of `cluster`, with a machine of the class `machine`.

    `cluster`: see `cluster()`, or `epaxos.config.file.load` for the configuration of a file; it needs no
    `state_machine`.  `name`: see MachineFactory.  `reactor`: None takes the one that is installed.
    `failed(error)` is called once when the replica cannot go on; it has stopped serving then, and the
    program goes on.  Without it the log has a line.  `join`: the peer address of a member, if the replica is
    to join the cluster of that one; of no effect once it was a member.  Raises ConfigError for another text.

    All methods are for the thread of the reactor.  A Deferred can be awaited in a coroutine of Twisted; one
    of asyncio awaits `deferred.asFuture(loop)`.
    """

    _log = Logger()

    def __init__(
        self,
        cluster: Config,
        id: int,
        machine: type[Machine],
        *,
        name: str = "",
        reactor: Any = None,
        failed: Callable[[ReplicaFailed], None] | None = None,
        join: str = "",
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        cluster.replica(id)
        if join:
            check_seed(cluster, join, "join =")
        self.id = id
        self._machine = machine
        self._factory = MachineFactory(machine, name)
        self._config = replace(cluster, cluster=replace(cluster.cluster, state_machine=self._factory.name))
        self._reactor = reactor
        self._seed = join
        self._tell_failed = failed or self._log_failed
        self._service: ReplicaService | None = None
        self._calls = Calls()
        self._error: ReplicaFailed | None = None
        self._starting: list[Deferred[None]] = []

    # -- life

    def start(self) -> Deferred[None]:
        """Start, unless it runs.  Fires when commands may be called.

        At the first start of a cluster that is when every member is there.  Calls to a replica that joins
        raise NotRun until it is added.  Fails with ReplicaFailed.  Raises ConfigError for what only this host
        can tell, such as a missing certificate, and whatever the machine raises when it is made.
        """
        started: Deferred[None] = Deferred(self._starting.remove)
        self._starting.append(started)
        if not self.running:
            try:
                self.startService()
            except BaseException:
                self._starting.remove(started)
                raise
        elif self._service is not None and self._service.is_ready:
            self._on_ready()
        return started

    def stop(self) -> Deferred[None]:
        """Stop: commands under way fail, the state is made durable, and everything is closed.

        Fires when that is done.  The replica may be started again.
        """
        return self.stopService()

    def startService(self) -> None:
        """See IService: as `start`, but a failure is only told to `failed`."""
        if self.running:  # a parent that is started starts its children, also those that run
            return
        self._error = None
        service = self._service = build(
            self._config,
            self.id,
            self._reactor,
            refuse=_failure,
            fail=self._on_failed,
            seed=self._seed,
            factory=self._factory,
            on_phase=self._on_phase,
        )
        super().startService()
        try:
            service.startService()
        except ReplicaFailed as error:
            self._fail(error)

    def stopService(self) -> Deferred[None]:
        """See IService, and `stop`."""
        super().stopService()
        self._end_starts(ReplicaFailed("it was stopped", is_wrong=False))
        return succeed(None) if self._service is None else self._service.stopService()

    def _on_phase(self, phase: Phase) -> None:
        if phase is Phase.SERVING:
            self._on_ready()

    def _on_ready(self) -> None:
        starting, self._starting = self._starting, []
        for started in starting:
            started.callback(None)

    # -- failures

    def _on_failed(self, text: str, status: int) -> None:
        self._fail(_failure(text, status))

    def _fail(self, error: ReplicaFailed) -> None:
        """Stop because of the first error; what else goes wrong then has the same cause."""
        if self._error is not None:
            return
        self._error = error
        if self.running:
            super().stopService()
            if self._service is not None and self._service.running:
                self._service.stopService().addErrback(self._log_stop)
        self._end_starts(error)
        self._tell_failed(error)

    def _end_starts(self, error: ReplicaFailed) -> None:
        starting, self._starting = self._starting, []
        for started in starting:
            started.errback(error)

    def _log_failed(self, error: ReplicaFailed) -> None:
        self._log.critical("replica {id} has failed: {error}", id=self.id, error=error)

    def _log_stop(self, failure: Any) -> None:
        self._log.failure("replica {id} did not stop cleanly", failure, id=self.id)

    # -- commands

    def call(self, name: str, /, *arguments: Any, **named: Any) -> Deferred[Any]:
        """Run a command on the replicated machine, and return what its method returns.

        Fails with CommandError (`Refused`) when the command itself fails, with NotRun or MayHaveRun when
        the cluster does not answer, and with AttributeError, TypeError or ValueError for a wrong call.
        Cancelled, the caller waits no more; the command may still run.
        """
        result: Deferred[Any] = Deferred()
        try:
            self._submit(command_of(self._machine, name, arguments, named), result)
        except (AttributeError, TypeError, ValueError, CommandError, NotRun):
            result.errback()
        return result

    def _submit(self, command: Command, result: Deferred[Any]) -> None:
        if not self.running or self._service is None:
            why = "does not run" if self._error is None else f"has failed: {self._error}"
            raise NotRun(f"the replica {why}; the command was not run", False)
        size = sum(map(len, command))
        most = self._config.limits.command_bytes_max
        if size > most:
            raise ValueError(f"the command has {size} bytes, and command_bytes_max is {most}")
        self._calls.submit(IClients(self._service.node), command, size, result)

    def status(self, digest: bool = False) -> Deferred[dict[str, Any]]:
        """What `GET /status` shows (docs: operating/status), while the replica runs; with the `digest` of the
        whole state, which takes seconds, where it is asked for."""
        if not self.running or self._service is None:
            return fail(NotRun("the replica does not run", False))
        status: Deferred[dict[str, Any]] = IClients(self._service.node).status(digest)
        return status


def _failure(text: str, status: int) -> ReplicaFailed:
    """The failure for which a process of its own would end with `status`."""
    return ReplicaFailed(text, status in FOR_GOOD)
