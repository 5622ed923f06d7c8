"""How clients hand in commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Interface

from epaxos.interfaces.backup import IBackups
from epaxos.interfaces.commands import Command, CommandInfo, Outcome
from epaxos.protocol.values.changes import Change
from epaxos.protocol.values.control import Candidate
from epaxos.protocol.values.membership import Membership

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = ["IClients"]


class Refusal(Exception):
    """What an operator asks for cannot be done now; the text is one line that says why."""


class IClients(Interface):
    """What a frontend sees of the replica: here it hands in commands of clients."""

    def check(command: Command) -> None:
        """As `IStateMachine.check`."""

    def is_valid_shape(name: bytes, length: int) -> bool:
        """As `IStateMachine.is_valid_shape`."""

    def commands() -> Sequence[CommandInfo]:
        """As `IStateMachine.commands`."""

    def submit(commands: Sequence[Command], on_done: Callable[[Outcome], None], size_bytes: int = 0) -> None:
        """Replicate and execute commands together.  All of them have passed `check`.

        `size_bytes`: about how much memory they take.  `on_done` is called exactly once, never before
        `submit` returns, with one reply for each command or with Unavailable.  Commands that one caller
        submits in several calls run in that order where they interfere, unless a recovery by another
        replica made the earlier ones start again.
        """

    def keys() -> int | None:
        """How many keys the state holds; None when the state machine does not provide `ICountsKeys`."""

    def turn() -> Deferred[int]:
        """Let the next epoch begin, with the same members (docs: protocol/epochs).

        The Deferred fires with the number of the new epoch once it is safe.  It fails with Refusal.
        """

    def backup(name: str) -> Deferred[dict[str, Any]]:
        """Make a backup of the state, which holds at least everything that was acknowledged before.

        An epoch ends for it.  The Deferred fires with the manifest of the backup; it fails with Refusal, and
        may be cancelled: the backup is given up then.
        """

    def backups() -> IBackups | None:
        """The backups that were made; None when nothing is kept on disk."""

    def membership() -> Membership | None:
        """The members of the present epoch; None while they are not known, as in clusters that were made
        by early versions and have never had a turn."""

    def history() -> Sequence[Membership]:
        """The lists of members that this replica has seen begin, the oldest first: at most the last 100."""

    def candidates() -> Sequence[Candidate]:
        """Who is no member, and has asked to become one within the last seconds; by number."""

    def foresee(change: Change, force: bool = False) -> Sequence[str]:
        """What `change` would do, in lines for the operator.  Nothing is changed.

        Raises Refusal when `change` would be refused now.
        """

    def change(change: Change, force: bool = False) -> Deferred[Membership]:
        """Let the next epoch begin, with the members after `change` (docs: protocol/epochs).

        The Deferred fires with the new list once its epoch is safe, and at once when the present list, in an
        epoch that is safe, is so already.  It fails with Refusal.  `force`: also when there are not enough of
        the new members to go on with.
        """

    def status() -> Deferred[dict[str, Any]]:
        """What `GET /status` shows (docs: operating/status), when it is known.  The Deferred may be
        cancelled."""
