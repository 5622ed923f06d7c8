"""The replica as a Twisted service: it starts, it stops, and it begins again within its process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.config.model import ConfigError
from epaxos.interfaces import OutdatedError, StoreError, WrongDataError
from epaxos.service.exit_status import FAILED, OUTDATED, WRONG_DATA
from epaxos.service.life import Life, Parts, StartableNode
from epaxos.service.phase import Phase

__all__ = ["ReplicaService"]


class ReplicaService(Service):
    """A node, and the ports on which clients reach it.

    `make(begin_again)` makes the parts of the replica; it is called at once, and again whenever the replica
    begins again.  It raises ConfigError.  The parts may call `begin_again()` at any time, in the event loop.
    When the replica cannot start, `startService` raises what `refuse(text, status)` returns; when that is
    found only after `startService` has returned, `fail(text, status)` is called.  `on_phase(phase)` is called
    with each phase that begins: with `Phase.SERVING` whenever clients may come.
    """

    name = "epaxos"
    _log = Logger()

    def __init__(
        self,
        make: Callable[[Callable[[], None]], Parts],
        refuse: Callable[[str, int], Exception],
        fail: Callable[[str, int], None],
        clock: IReactorTime,
        on_phase: Callable[[Phase], None] | None = None,
        reload: Callable[[], None] | None = None,
    ) -> None:
        self._make = make
        self._refuse = refuse
        self._fail = fail
        self._clock = clock
        self._on_phase = on_phase or _ignore
        self.reload = reload or _nothing
        """Follow the configuration file, as far as that needs no restart."""
        self._lives = 0
        self._begins_again = False
        self._life = self._new_life()

    def _new_life(self) -> Life:
        """Raises ConfigError."""
        self._lives += 1
        return Life(self._make(partial(self._begin_again_after, self._lives)), self._on_phase)

    @property
    def node(self) -> StartableNode:
        """The node of now."""
        return self._life.parts.node

    @property
    def status(self) -> str:
        """What the replica does, for people."""
        return self._life.status

    @property
    def is_ready(self) -> bool:
        """Whether clients may come."""
        return self._life.is_ready

    def startService(self) -> None:
        """Start the replica.  What fails at once is raised, see the class."""
        super().startService()
        failures: list[Failure] = []
        self._on_phase(Phase.RESTORING)
        started = Deferred.fromCoroutine(self._life.start())
        if started.called:
            started.addErrback(failures.append)
        if failures:
            text = self._explain(failures[0])
            self.stopService()  # what of it needs to wait is not done, because the process ends
            raise self._refuse(text, self._status_of(failures[0]))
        started.addCallbacks(lambda _: self._tell_ready(), self._on_failed)

    def _tell_ready(self) -> None:
        if self.is_ready:
            self._on_phase(Phase.SERVING)

    def stopService(self) -> Deferred[None]:
        """Accept no new clients, answer those that wait, write a last checkpoint, and close everything.

        The Deferred fires when that is done.
        """
        super().stopService()
        self._on_phase(Phase.STOPPING)
        return self._life.stop()

    # -- beginning again

    def begin_again(self) -> None:
        """Stop everything, and start it anew from the same configuration, in this process.

        What the folder holds counts then, as after a restart.  Does nothing while this is under way, and
        when the service does not run.  A failure ends the process, as that of a start does.
        """
        self._begin_again_after(self._lives)

    def _begin_again_after(self, life: int) -> None:
        """What belongs to an earlier life has no say any more."""
        if self.running and not self._begins_again and life == self._lives:
            self._begins_again = True
            Deferred.fromCoroutine(self._begin_again()).addErrback(self._on_failed)

    async def _begin_again(self) -> None:
        await deferLater(self._clock, 0, _nothing)  # whoever asked for it is in the midst of something
        self._log.info("replica {id} begins again in this process", id=self.node.id)
        await self._life.stop()
        await deferLater(self._clock, 0, _nothing)  # the stack still holds parts of the life that is over
        if not self.running:
            return
        self._on_phase(Phase.RESTORING)
        was_frozen = gc.get_freeze_count() > 0
        gc.unfreeze()
        self._life = self._new_life()
        self._begins_again = False
        gc.collect()  # else two states would be in memory, and what was frozen for ever
        await self._life.start()
        if was_frozen:
            gc.freeze()
        self._tell_ready()

    # -- failures

    def _on_failed(self, failure: Failure) -> None:
        self._fail(self._explain(failure), self._status_of(failure))

    @staticmethod
    def _status_of(failure: Failure) -> int:
        if isinstance(failure.value, OutdatedError):
            return OUTDATED
        return WRONG_DATA if isinstance(failure.value, WrongDataError) else FAILED

    def _explain(self, failure: Failure) -> str:
        error = failure.value
        if isinstance(error, (StoreError, ConfigError)):
            return str(error)
        if isinstance(error, KeyboardInterrupt):  # Ctrl-C before the reactor runs and takes SIGINT
            return "interrupted while it started"
        if isinstance(error, CannotListenError):
            where = error.interface if error.port is None else f"{error.interface or '*'}:{error.port}"
            return f"cannot listen on {where}: {getattr(error.socketError, 'strerror', error.socketError)}"
        self._log.failure("the replica cannot start", failure)
        return "the replica cannot start: internal error, see the log"


def _ignore(phase: Phase) -> None:
    """Nobody wants to know."""


def _nothing() -> None:
    """Do nothing, because only the time counts."""
