"""Backups: an epoch ends, and the state at the beginning of the next one is taken.

The state that an epoch begins with is that after everything which ran before the end of the epoch before.
That end is a barrier, so no command is in it that began after one that is missing was acknowledged.  A
checkpoint is no such state: of two keys it may hold the later write and lack the earlier one
(docs: protocol/epochs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.python.failure import Failure

from epaxos.interfaces import IBackups, IStore, Refusal
from epaxos.protocol.values.ids import InstanceId

__all__ = ["DIGEST_PAUSE_S", "Backups"]

TURNS_MAX = 5
"""The most epochs that are begun for one backup, because the ends that others proposed came first."""

DIGEST_PAUSE_S = 0.01
"""Seconds between two steps of the digest, each of which takes 5 ms, because nobody waits for a backup as
clients wait for their commands."""


class _Wanted(NamedTuple):
    """A backup of the state at the next end of an epoch that is proposed here from now on: in a later epoch
    than `epoch`, or there in the slot `slot` or above."""

    name: str
    epoch: int
    slot: int


class _Taken:
    """The state at the beginning of epoch `epoch` was taken.  `durable` fires when it is durable here."""

    def __init__(self, epoch: int, digest: Deferred[str]) -> None:
        self.epoch = epoch
        self.digest = digest
        self.durable: Deferred[None] = Deferred()


class Backups:
    """Makes the backups of a replica, one at a time.

    `turn()` begins the next epoch; `digest()` is that of the present state.
    """

    def __init__(
        self, store: IStore, turn: Callable[[], Deferred[int]], digest: Callable[[], Deferred[str]]
    ) -> None:
        self._store = store
        self._turn = turn
        self._digest = digest
        self._name = ""  # of the one that is being made
        self._making: Deferred[dict[str, Any]] | None = None
        self._wanted: _Wanted | None = None
        self._taken: _Taken | None = None
        self._ends_with = "the client has left"

    @property
    def folder(self) -> IBackups | None:
        """Where they are; None where nothing is kept."""
        folder: IBackups | None = self._store.backups
        return folder

    def ask(self, name: str, epoch: int, slot: int) -> Deferred[dict[str, Any]]:
        """Make a backup of everything that was acknowledged before now, at any replica.

        `epoch`: the present one; `slot`: the next one that this replica proposes in.  Fires with the
        manifest; fails with Refusal.  It may be cancelled: the backup is given up then.
        """
        folder = self.folder
        if folder is None:
            return fail(Refusal("with engine = memory nothing is kept that could be backed up"))
        if self._making is not None:
            return fail(Refusal(f"the backup {self._name} is being made"))
        self._name = name
        made = Deferred.fromCoroutine(self._make(folder, _Wanted(name, epoch, slot)))
        if not made.called:
            self._making = made
        return made

    async def _make(self, folder: IBackups, wanted: _Wanted) -> dict[str, Any]:
        try:
            await folder.prepare(wanted.name)
            self._wanted = wanted
            digest = await self._take()
            return await folder.finish(wanted.name, digest)
        except BaseException as why:
            folder.give_up()
            if isinstance(why, CancelledError):
                raise Refusal(self._ends_with) from None
            raise
        finally:
            if self._taken is not None:  # nobody waits for its digest any more
                self._taken.digest.addErrback(_ignore).cancel()
            self._making = self._wanted = self._taken = None

    async def _take(self) -> str:
        """Let epochs end until one does so by what was proposed here.  Returns the digest of its state."""
        for _ in range(TURNS_MAX):
            await self._turn()
            if self._taken is not None:
                await self._taken.durable  # that the epoch is safe does not say that it is durable here
                return await self._taken.digest
        raise Refusal(f"{TURNS_MAX} epochs were ended by other members, try again")

    def on_end(self, epoch: int, row: int, id: InstanceId) -> str:
        """The epoch, in which this replica has the row `row`, ends with `id`.

        Returns the name of the backup to be made of its state, or "".
        """
        wanted = self._wanted
        if wanted is None or id.replica != row or (epoch, id.slot) < wanted[1:]:
            return ""
        self._wanted = None
        self._taken = _Taken(epoch + 1, self._digest())
        return wanted.name

    def on_durable(self, epoch: int) -> None:
        """The beginning of the epoch is durable here."""
        if self._taken is not None and self._taken.epoch == epoch and not self._taken.durable.called:
            self._taken.durable.callback(None)

    def refuse(self, text: str) -> None:
        """This replica stops: give up what is being made."""
        if self._making is not None:
            self._ends_with = text
            self._making.cancel()


def _ignore(failure: Failure) -> None:
    """It was cancelled, or whoever made the backup has heard of it."""
