"""Gives the state of a store to other replicas, and takes another one in its place.

```
     event loop                    thread of the transfer            writer's thread
  begin, take, give_up ──────────► files in `incoming/`
  install ───────────────────────► sync, compare with the offer
  behind the writes so far ◄────── all of it is there
                       ─────────────────────────────────────────────► rename, one write
  done ◄────────────────────────────────────────────────────────────
```

What is taken is written by a thread of its own, so that its syncs do not hold up promises.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from struct import error
from threading import Lock, Thread
from typing import Protocol

from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import IStateTransfer, StoreError
from epaxos.protocol.values.transfer import PieceAsk, StateOffer, StatePart
from epaxos.storage.gil import let_loop_run
from epaxos.storage.leveldb.epoch_record import decode_epoch_record, encode_epoch_record
from epaxos.storage.leveldb.records import RecordFormat
from epaxos.storage.leveldb.shared import SharedWriter
from epaxos.storage.leveldb.writer import record_of
from epaxos.storage.state.incoming import IncomingFiles, Taken, read_progress
from epaxos.storage.state.manifest import decode_manifest, encode_manifest, manifest_of, parts_of
from epaxos.storage.state.names import part_path
from epaxos.storage.state.pins import Pins

__all__ = ["LevelDBTransfer", "TransferOwner"]

READ_BYTES_MAX = 64 << 10
"""The most bytes that one read answers, because the event loop waits for them."""


class TransferOwner(Protocol):
    """The store, as its transfer sees it.  Everything is called in the event loop."""

    def after_writes(self, job: Callable[[], None]) -> None:
        """Have `job` called in the writer's thread, with the lock held, behind all writes so far."""

    def on_installed(self) -> None:
        """Another state is durable in the place of this one.  Nothing is written any more."""

    def on_failed(self, text: str) -> None:
        """See Reports."""


_log = Logger(namespace="epaxos.storage")

ROOM_KEPT_BYTES = 64 << 20
"""What a state that is taken leaves free on the disk, for the promises and the log of the replica itself."""


@implementer(IStateTransfer)
class LevelDBTransfer:
    """The transfer of an open store.

    `state` and `incoming` are folders; `pins` keeps the files of `state` that others read.
    """

    def __init__(
        self,
        owner: TransferOwner,
        shared: SharedWriter,
        call_from_thread: Callable[..., object],
        state: Path,
        incoming: Path,
        pins: Pins,
        *,
        sync: bool,
    ) -> None:
        self._owner = owner
        self._shared = shared
        self._call_from_thread = call_from_thread
        self._state = state
        self._incoming = incoming
        self._pins = pins
        self._unreadable: set[Path] = set()
        self._files = IncomingFiles(incoming, sync=sync)
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: close
        self._thread: Thread | None = None
        self._lock = Lock()  # over the next three
        self._attempt = 0  # what belongs to an older one is void
        self._taken: Taken | None = None  # None: `incoming` was not looked at
        self._installing = False  # the writer's thread has begun to
        self._takes = False

    # -- giving

    def offer(self) -> StateOffer | None:
        """See IStateTransfer.  Never blocks."""
        with self._pins.lock:  # the list of files must not grow old before they are pinned
            durable = self._shared.writer.durable
            if durable is None or durable.opened is None:
                return None
            parts = parts_of(durable.manifest)
            self._pins.pin({part_path(self._state, part[0], part[1]): part.length for part in parts})
        opened = durable.opened
        return StateOffer(
            opened.membership,
            opened.opened_by,
            opened.previous,
            durable.executed,
            durable.beyond,
            parts,
        )

    def read(self, ask: PieceAsk) -> bytes:
        """See IStateTransfer.  At most READ_BYTES_MAX bytes."""
        path = part_path(self._state, ask.generation, ask.is_base)
        try:
            return self._pins.read(path, ask.offset, min(ask.size, READ_BYTES_MAX))
        except OSError as why:  # this is for another replica: it harms nothing of this one
            if path not in self._unreadable:
                self._unreadable.add(path)
                _log.error(
                    "{path} cannot be read: {why}: no other replica can take the state from here",
                    path=str(path),
                    why=why.strerror,
                )
            return b""

    # -- taking

    def begin(self, source: int) -> tuple[StatePart, ...]:
        """See IStateTransfer.  Never blocks, but for reading a small file the first time."""
        with self._lock:
            if self._installing:
                return ()
            if self._taken is None:
                self._taken = self._read_progress()
            if self._taken.source != source:
                self._taken = Taken(source)
            self._attempt += 1
            attempt, taken = self._attempt, self._taken
        self._takes = True
        self._do(attempt, partial(self._files.begin, taken))
        return taken.parts

    def _read_progress(self) -> Taken:
        try:
            return read_progress(self._incoming)
        except OSError as why:
            raise StoreError(f"{self._incoming} cannot be read: {why.strerror}") from None

    def room(self) -> int:
        """See IStateTransfer."""
        found = os.statvfs(self._state)
        return max(0, found.f_bavail * found.f_frsize - ROOM_KEPT_BYTES)

    def take(
        self, generation: int, is_base: bool, offset: int, data: bytes, done: Callable[[bool], None]
    ) -> None:
        """See IStateTransfer.  Raises RuntimeError before `begin`, and after `install` or `give_up`."""
        if not self._takes:
            raise RuntimeError("no state is being taken")
        attempt = self._attempt
        self._do(attempt, partial(self._take, attempt, generation, is_base, offset, data, done))

    def install(self, offer: StateOffer, done: Callable[[str], None]) -> None:
        """See IStateTransfer.  Raises RuntimeError as `take` does."""
        if not self._takes:
            raise RuntimeError("no state is being taken")
        self._takes = False
        attempt = self._attempt
        self._do(attempt, partial(self._check, attempt, offer, done))

    def give_up(self) -> None:
        """See IStateTransfer.  Never blocks."""
        with self._lock:
            if self._installing:
                return
            self._attempt += 1
            self._taken = Taken()
            attempt = self._attempt
        self._takes = False
        if self._thread is not None or self._incoming.exists():
            self._do(attempt, self._files.clear)

    def stop(self) -> None:
        """Take nothing more, and end the thread once it has synced what was taken.

        Nobody is told of what was not reported before, but for an install that has begun to write.
        """
        self._takes = False
        with self._lock:
            self._attempt += 1
        self._queue.put(None)

    def join(self) -> None:
        """Wait until the thread has ended.  To be called outside the event loop, after `stop`."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        self._pins.close()

    # -- in the event loop, for the threads

    def _do(self, attempt: int, job: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run, name="epaxos incoming", daemon=True)
            self._thread.start()
        self._queue.put(partial(self._try, attempt, job))

    def _tell_taken(self, attempt: int, done: Callable[[bool], None], is_good: bool) -> None:
        if attempt == self._attempt and self._takes:  # it would take the next one, while the store closes
            done(is_good)

    def _on_checked(self, attempt: int, offer: StateOffer, why: str, done: Callable[[str], None]) -> None:
        if attempt != self._attempt:
            return
        if why:
            done(why)
        else:
            self._owner.after_writes(partial(self._install, attempt, offer, done))

    def _on_installed(self, done: Callable[[str], None]) -> None:
        self._owner.on_installed()
        done("")

    # -- in the thread of the transfer

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            job()
        self._try(self._attempt, self._files.sync)
        self._files.close()

    def _try(self, attempt: int, job: Callable[[], None]) -> None:
        """Do what belongs to the newest attempt.  Whatever fails is reported as a write that failed."""
        if attempt != self._attempt or self._shared.is_over:
            return
        try:
            job()
        except Exception as why:
            self._shared.is_over = True
            self._call_from_thread(self._owner.on_failed, self._shared.failure(why))
            return
        self._publish(attempt)
        let_loop_run()

    def _publish(self, attempt: int) -> None:
        with self._lock:
            if attempt == self._attempt:
                self._taken = self._files.taken

    def _take(
        self,
        attempt: int,
        generation: int,
        is_base: bool,
        offset: int,
        data: bytes,
        done: Callable[[bool], None],
    ) -> None:
        is_good = self._files.take(generation, is_base, offset, data)
        self._publish(attempt)  # before `done` may call `begin`
        self._call_from_thread(self._tell_taken, attempt, done, is_good)

    def _check(self, attempt: int, offer: StateOffer, done: Callable[[str], None]) -> None:
        why = _impossible(offer) or self._files.refusal(offer.parts)
        self._publish(attempt)
        self._call_from_thread(self._on_checked, attempt, offer, why, done)

    # -- in the writer's thread

    def _install(self, attempt: int, offer: StateOffer, done: Callable[[str], None]) -> None:
        with self._lock:
            if attempt != self._attempt:
                return
            self._installing = self._shared.writer.epoch < offer.membership.number
        if not self._installing:
            why = f"epoch {self._shared.writer.epoch} was opened here meanwhile"
            self._call_from_thread(self._on_checked, attempt, offer, why, done)
            return
        self._shared.install(offer, self._incoming)
        shutil.rmtree(self._incoming, ignore_errors=True)  # the next start removes what is left
        self._call_from_thread(self._on_installed, done)


def _impossible(offer: StateOffer) -> str:
    """Why no store can hold the offer; empty when one can.

    What is written has to be what a start can read, so it is decoded as a start does it.
    """
    record = record_of(offer)
    try:
        if any(part.is_base for part in offer.parts[1:]):
            raise ValueError("its files are in no order that there can be")
        rows, n = len(offer.executed), len(offer.membership.members)
        if rows != n:
            raise ValueError(f"it has {rows} rows, and {n} members")
        format = RecordFormat(offer.membership.epoch)
        decode_epoch_record(encode_epoch_record(record), len(offer.previous.members))
        format.decode_checkpoint(format.encode_checkpoint(offer.executed, offer.beyond))
        decode_manifest(encode_manifest(manifest_of(offer.parts)))
    except (ValueError, error) as why:
        return str(why)
    return ""
