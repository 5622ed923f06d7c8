"""Where clients' commands are handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Interface

from epaxos.interfaces.commands import Command, CommandInfo, Outcome

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = ["IClients"]


class IClients(Interface):
    """Where a frontend hands in what clients ask: the replica."""

    def check(command: Command) -> None:
        """As `IStateMachine.check`."""

    def is_valid_shape(name: bytes, length: int) -> bool:
        """As `IStateMachine.is_valid_shape`."""

    def commands() -> Sequence[CommandInfo]:
        """As `IStateMachine.commands`."""

    def submit(commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0) -> None:
        """Replicate and execute the commands, all of which have passed `check`, together.

        `size_bytes` is about what they take.  `done` is called exactly once, never before `submit`
        returns.  Commands that one caller submits in several calls run in that order where they
        interfere, unless a recovery by another replica made the earlier ones start again.
        """

    def keys() -> int | None:
        """How many keys the state holds; None when the state machine does not tell (`ICountsKeys`)."""

    def status() -> Deferred[dict[str, Any]]:
        """What `GET /status` shows (docs: operating/status).  May be cancelled."""
