"""How a node ends before it is told to: it fails, its store gets the state of another replica, or it is no
member any more."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from epaxos.interfaces import IStateTransfer, IStore
from epaxos.node.applier import Applier
from epaxos.node.backups import Backups
from epaxos.node.observers import Observers
from epaxos.node.refusals import Refusals
from epaxos.node.turns import Turns
from epaxos.protocol.values.transfer import StateOffer

__all__ = ["Ending"]

_log = Logger()


class Ending:
    """The ends of the node of replica `id`, after each of which it does nothing any more.

    `fatal`, `wrong`, `begin_again`, `removed` and `outdated`: see Node.
    """

    _applier: Applier
    _backups: Backups
    _observers: Observers
    _refusals: Refusals
    _turns: Turns

    def __init__(
        self,
        id: int,
        store: IStore,
        fatal: Callable[[str], None],
        wrong: Callable[[str], None],
        begin_again: Callable[[], None] | None,
        removed: Callable[[str], None] | None,
        outdated: Callable[[str], None] | None,
    ) -> None:
        self.id = id
        self._store = store
        self._fatal = fatal
        self._wrong = wrong
        self._begin_again = begin_again
        self._removed = fatal if removed is None else removed
        self._outdated = fatal if outdated is None else outdated
        self._running = False

    def fail(self, text: str, is_wrong: bool = False) -> None:
        """Stop at once: the replica cannot go on, because of `text`.

        `is_wrong`: its data is not that of this replica, or another process has its id.
        """
        if self._running:
            self._running = False
            try:
                self._refuse_all("CLUSTERDOWN the replica has failed")
            finally:
                (self._wrong if is_wrong else self._fatal)(text)

    def _end_removed(self, text: str) -> None:
        """Stop at once, because of `text`: this replica is no member any more and nobody needs it, or it can
        never become one."""
        if self._running:
            self._running = False
            _log.info("{what}: it stops", what=text)
            self._refuse_all("CLUSTERDOWN this replica is not a member any more")
            self._removed(text)

    def end_outdated(self, text: str) -> None:
        """Stop at once: the program is too old for the cluster, says `text`."""
        if self._running:
            self._running = False
            try:
                self._refuse_all("CLUSTERDOWN this replica has to be upgraded")
            finally:
                self._outdated(text)

    def _on_bug(self) -> None:
        """Stop the replica, because its state may be wrong after an exception."""
        self.fail("internal error, see the log")  # first, because logging may block
        _log.failure("replica {id}: internal error", id=self.id)

    def _refuse_all(self, text: str) -> None:
        """Answer everybody who waits: clients with `text`, operators without its code."""
        self._applier.stop()
        self._refusals.refuse_all(text)
        self._observers.end(text)
        self._backups.refuse(text.removeprefix("CLUSTERDOWN "))
        self._turns.refuse(text.removeprefix("CLUSTERDOWN "))

    def _leave(self, offer: StateOffer) -> None:
        """Become what `offer` says, and nothing else any more (docs: protocol/epochs, T8).

        Own instances are not proposed again, because nobody knows whether they are in that state (T4).
        """
        if self._running:
            self._running = False
            self._refuse_all("CLUSTERDOWN the replica takes the state of another one")
            self._transfer.install(offer, self._on_installed)

    @property
    def _transfer(self) -> IStateTransfer:
        transfer: IStateTransfer = self._store.transfer
        return transfer

    def _on_installed(self, why_not: str) -> None:
        """The state is installed, or refused.  A node that is made anew finds what the store holds now."""
        if why_not:
            _log.error("replica {id}: the state that was taken is refused: {why}", id=self.id, why=why_not)
            self._transfer.give_up()
        if self._begin_again is not None:
            self._begin_again()
        else:
            self._fatal("the replica has taken the state of another one, and has to be started again")
