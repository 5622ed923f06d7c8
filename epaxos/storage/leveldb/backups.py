"""Makes backups of the state of a store, and reads them.

```
     event loop                      writer, with its lock              thread of the backups
  prepare ────────────────────────────────────────────────────────────► folder `backups/.new`
  the write set that opens an epoch ► end the log, link its files
                                      write and sync as ever
  finish ─────────────────────────────────────────────────────────────► manifest, rename
```

The writer takes the state between two write sets, so it is the one that the epoch begins with, though later
write sets may belong to the same write.  It makes a few links, and nobody waits for more than that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from epaxos.interfaces import EpochRecord, IBackups, Identity, Refusal
from epaxos.protocol.values.transfer import StatePart
from epaxos.storage.backup.folder import BackupFolder
from epaxos.storage.backup.manifest import BackupManifest, document_of
from epaxos.storage.state.manifest import Manifest, parts_of
from epaxos.storage.worker import Worker

__all__ = ["LevelDBBackups"]

T = TypeVar("T")
_log = Logger(namespace="epaxos.storage")


class _Taken(NamedTuple):
    """The state was taken for the backup `name`; or not, because of `error`."""

    name: str
    opened: EpochRecord
    parts: tuple[StatePart, ...]
    error: OSError | None


@implementer(IBackups)
class LevelDBBackups:
    """The backups in the folder `backups` of the store whose state lies in the folder `state`."""

    def __init__(
        self,
        identity: Identity,
        state: Path,
        backups: Path,
        call_from_thread: Callable[..., object],
        *,
        sync: bool,
    ) -> None:
        self._identity = identity
        self._state = state
        self._folder = BackupFolder(backups, sync=sync)
        self._worker = Worker("epaxos backups", call_from_thread)
        self._taken: _Taken | None = None
        if backups.is_dir():
            self._do(self._folder.remove_left_over).addErrback(self._complain)

    # -- in the event loop

    def prepare(self, name: str) -> Deferred[None]:
        """See IBackups."""
        return self._do(partial(self._folder.prepare, name))

    def finish(self, name: str, digest: str) -> Deferred[dict[str, Any]]:
        """See IBackups."""
        return self._do(partial(self._finish, name, digest))

    def give_up(self) -> None:
        """See IBackups."""
        self._do(self._folder.remove_left_over).addErrback(self._complain)

    def listing(self) -> Deferred[list[dict[str, Any]]]:
        """See IBackups."""
        return self._do(self._listing)

    def read(self, name: str, file: str, offset: int, size: int) -> Deferred[bytes]:
        """See IBackups."""
        return self._do(partial(self._folder.read, name, file, offset, size))

    def delete(self, name: str) -> Deferred[None]:
        """See IBackups."""
        return self._do(partial(self._folder.delete, name))

    def stop(self) -> None:
        """Answer nobody any more, and end the thread."""
        self._worker.stop()

    def join(self) -> None:
        """Wait until the thread has ended.  To be called outside the event loop, after `stop`."""
        self._worker.join()

    def _do(self, job: Callable[[], T]) -> Deferred[T]:
        return self._worker.do(partial(_refusing, job))

    def _complain(self, failure: Failure) -> None:
        _log.warn("{path}: {why}", path=str(self._folder.path), why=str(failure.value))

    # -- by the writer

    def take(self, name: str, opened: EpochRecord, manifest: Manifest) -> None:
        """The state is `manifest`, none of whose files is written to any more: take it.  Raises nothing,
        because a backup that fails harms nobody."""
        parts, error = parts_of(manifest), None
        try:
            self._folder.link(self._state, parts)
        except OSError as why:
            error = why
        self._taken = _Taken(name, opened, parts, error)

    # -- in the thread of the backups

    def _finish(self, name: str, digest: str) -> dict[str, Any]:
        taken, self._taken = self._taken, None
        if taken is None or taken.name != name:
            raise Refusal(f"the state was not taken for the backup {name}")
        if taken.error is not None:
            raise taken.error
        cluster, replica, _, state_machine = self._identity
        membership = taken.opened.membership
        manifest = BackupManifest(
            cluster=cluster,
            uuid=membership.uuid,
            epoch=membership.number,
            version=membership.version,
            members=membership.members,
            state_machine=state_machine,
            replica=replica,
            made=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            digest=digest,
            parts=taken.parts,
        )
        self._folder.finish(name, manifest)
        return {"name": name, **document_of(manifest)}

    def _listing(self) -> list[dict[str, Any]]:
        found = []
        for name in self._folder.names():
            try:
                found.append({"name": name, **document_of(self._folder.manifest(name))})
            except Refusal as why:
                found.append({"name": name, "error": str(why)})
        return sorted(found, key=lambda each: str(each.get("made", "")))


def _refusing(job: Callable[[], T]) -> T:
    """What the job returns.  A fault of the disk is told to whoever asked, because it harms nobody else."""
    try:
        return job()
    except OSError as why:
        raise Refusal(f"the backups cannot be used: {why.strerror or why}") from None
