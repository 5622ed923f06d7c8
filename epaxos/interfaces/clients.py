"""How clients hand in commands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute

from epaxos.interfaces.backup import IBackups
from epaxos.interfaces.commands import Command, CommandInfo, Outcome
from epaxos.interfaces.executed import IExecuted
from epaxos.interfaces.instruments import ITrace, Took
from epaxos.interfaces.memory import MemoryUse
from epaxos.interfaces.metrics import IMeasured
from epaxos.interfaces.users import IUserTable
from epaxos.protocol.values.changes import Change
from epaxos.protocol.values.control import Candidate
from epaxos.protocol.values.membership import Membership

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = ["IClients"]


class Refusal(Exception):
    """What an operator asks for cannot be done now; the text is one line that says why."""


class IClients(IMeasured):
    """What a frontend sees of the replica: here it hands in commands of clients."""

    executed: IExecuted = Attribute("Tells what executed batches have written.")
    users: IUserTable | None = Attribute(
        "The users that are executed here; None where the state machine has none but `default`."
    )

    def check(command: Command) -> None:
        """As `IStateMachine.check`."""

    def is_valid_shape(name: bytes, length: int) -> bool:
        """As `IStateMachine.is_valid_shape`."""

    def commands() -> Sequence[CommandInfo]:
        """As `IStateMachine.commands`."""

    def version() -> int:
        """The version of the cluster: what is newer is refused (docs: protocol/epochs, "Versions")."""

    def databases() -> int:
        """As `IComposites.databases`; 0 when the state machine does not provide IComposites."""

    def is_read(name: bytes) -> bool:
        """As `IStateMachine.is_read`."""

    def submit(commands: Sequence[Command], on_done: Callable[[Outcome], None], size_bytes: int = 0) -> None:
        """Replicate and execute commands together.  All of them have passed `check`.

        `size_bytes`: about how much memory they take.  `on_done` is called exactly once, never before
        `submit` returns, with one reply for each command or with Unavailable.

        The commands take effect in their order.  Only those for which `is_read` is true take effect at any
        time in between, unless another one here writes what they read.  What is submitted in several calls
        runs in any order where it does not interfere, until the earlier call is answered: see
        `epaxos.connections.order`.
        """

    def took() -> Took | None:
        """The times of the commands that are answered now; to be asked for within `on_done`.  None when there
        are none, as for commands that could not run."""

    def trace(command: Command) -> ITrace:
        """Look at this command on its way.  It is submitted next, as this very object."""

    def keyspace() -> Mapping[int, tuple[int, int]]:
        """As `ICountsByDatabase.keyspace`; one database where the state machine provides ICountsKeys alone,
        and none where it provides neither."""

    def memory() -> MemoryUse | None:
        """As `IMemoryBound.use`; None where the state machine has no bound."""

    def keys_of(command: Command) -> Sequence[bytes]:
        """As `ITellsKeys.keys_of`; nothing where the state machine does not tell.  Raises CommandError for a
        command that `check` does not pass."""

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

    def members_up() -> Collection[int]:
        """The numbers of the members that seem to be up from here; also its own while it is a member."""

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

    def status(digest: bool = False) -> Deferred[dict[str, Any]]:
        """What `GET /status` shows (docs: operating/status); at once, unless the `digest` of the state is
        asked for, too, which takes seconds.  The Deferred may be cancelled."""
