"""Who is told what executed batches have written (`IObserver`).

While nobody observes, a batch costs one look at an empty dict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import Command, IComposites, IExecuted, IObserver, ISeesElements, IStateMachine
from epaxos.protocol.values.messages import Batch

__all__ = ["Observers"]

LOOK_S = 0.1
"""Seconds between two looks at whether a majority is up."""

_log = Logger()


@implementer(IExecuted)
class Observers:
    """The observers of one replica.  What one of them raises is logged, and harms nobody.

    `is_whole()`: whether no batch is applied in part; `has_majority()`: whether a majority of the members
    seems to be up.  `all`: the observers, in order; others only look whether there are any.
    """

    def __init__(
        self, machine: IStateMachine, is_whole: Callable[[], bool], has_majority: Callable[[], bool]
    ) -> None:
        self.all: dict[IObserver, None] = {}
        self.due = math.inf
        """When `on_time` has to be called next, on the clock of `ITimeoutService`."""
        self._machine: Any = machine
        self._has_databases = IComposites.providedBy(machine)
        self._sees_elements = ISeesElements.providedBy(machine)
        self.applied = 0
        """See IExecuted."""
        self._is_whole = is_whole
        self._has_majority = has_majority
        self._had_majority = True
        self._ended = ""

    # -- what frontends ask

    def name_of(self, database: int, key: bytes) -> bytes:
        """See IExecuted."""
        name: bytes = self._machine.name_of(database, key) if self._has_databases else key
        return name

    def keys_named(self, name: bytes) -> Sequence[bytes]:
        """See IExecuted."""
        keys: Sequence[bytes] = self._machine.keys_named(name) if self._has_databases else (name,)
        return keys

    def observe(self, observer: IObserver) -> None:
        """See IExecuted.  Nothing more is told by a replica that has ended, which it says at once."""
        if self._ended:
            _tell(observer.on_end, self._ended)
            return
        if not self.all:
            self._had_majority = True
            self.due = -math.inf
        self.all[observer] = None

    def forget(self, observer: IObserver) -> None:
        """See IExecuted."""
        self.all.pop(observer, None)
        if not self.all:
            self.due = math.inf

    def elements(self, database: int, command: Command, key: bytes) -> int | None:
        """See IExecuted."""
        if not self._is_whole():
            return None
        return self._machine.elements(database, command, key) if self._sees_elements else 1

    # -- what happens

    def on_applied(self, batch: Batch, is_alone: bool = False) -> None:
        """The batch is applied as a whole, and its clients are answered.  `is_alone`: see IObserver."""
        names = None if batch.barrier else batch.writes
        for observer in tuple(self.all):
            if names is None or not observer.names.isdisjoint(names):
                _tell(observer.on_written, names, is_alone)

    def on_time(self, now: float) -> None:
        """Look whether a majority is up."""
        self.due = now + LOOK_S
        has_majority = self._has_majority()
        if has_majority != self._had_majority:
            self._had_majority = has_majority
            for observer in tuple(self.all):
                _tell(observer.on_quorum, has_majority)

    def end(self, why: str) -> None:
        """The replica tells nothing any more, because of `why`."""
        if not self._ended:
            self._ended = why
            self.due = math.inf
            observers, self.all = self.all, {}
            for observer in observers:
                _tell(observer.on_end, why)


def _tell(what: Callable[..., None], *told: Any) -> None:
    try:
        what(*told)
    except Exception:
        _log.failure("what was executed could not be told")
