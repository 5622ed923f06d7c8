"""The files of the state in the real store: order, rest, histories."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from shutil import copytree, rmtree
from typing import Any
from weakref import ref

from epaxos.interfaces import Checkpoint, WriteSet
from epaxos.protocol.values.ids import InstanceId
from epaxos.storage.leveldb import store as leveldb
from epaxos.storage.leveldb import thread
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.leveldb.writer import GroupWriter
from epaxos.storage.state import piece_file
from tests.builds import plain_only
from tests.storage.case import StoreCase
from tests.storage.loop import (
    IDENTITY,
    PATIENCE_S,
    change,
    checkpoint,
    checkpoint_of,
    merged,
    proposal,
)
from tests.storage.small import History, make_small, some_batches


@plain_only
class OrderTests(StoreCase):
    """In the real store: files are synced, then LevelDB is, and only then do old files go."""

    def test_order(self) -> None:
        make_small(self)
        events: list[str] = []
        real = {"fdatasync": os.fdatasync, "unlink": Path.unlink, "write": GroupWriter.write}

        def fdatasync(descriptor: int) -> None:
            real["fdatasync"](descriptor)
            events.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")

        def unlink(path: Path, missing_ok: bool = False) -> None:
            events.append(f"unlink {path.name}")
            real["unlink"](path, missing_ok)

        def write(writer: GroupWriter, *arguments: Any, **options: Any) -> bool:
            synced: bool = real["write"](writer, *arguments, **options)
            events.append("write")
            return synced

        self.patch(os, "fdatasync", fdatasync)
        self.patch(Path, "unlink", unlink)
        self.patch(GroupWriter, "write", write)
        store = self.make()
        store.open(IDENTITY)
        state = {b"%d" % key: b"12345678" for key in range(300)}
        self.write_by(store, checkpoint(1, dict(state)))
        self.assertTrue(store.wants_state)
        self.write_by(store, checkpoint(2, dict(state), state=state))
        self.assertFalse(store.wants_state)
        for number in range(20):
            self.write_by(store, checkpoint(3 + number, dict(state)))
        self.close_store(store)
        first = events.index("unlink 0.log")
        finished = max(n for n, event in enumerate(events[:first]) if event == "sync 1.base")
        self.assertLess(events.index("sync 1.log"), first)
        self.assertIn("write", events[finished:first])
        self.assertEqual(events[first - 1 : first + 1], ["write", "unlink 0.log"])
        self.assertEqual(self.restored()["state"], state)


@plain_only
class RestTests(StoreCase):
    """A base is under way, and no checkpoint comes."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)
        self.state = {b"%d" % key: bytes(50) for key in range(300)}
        self.logged = {b"%d" % key: bytes(50) for key in range(55)}
        self.wrote: list[int] = []
        self.writes_come = self.disk_fails = False
        case = self

        class Watched(GroupWriter):
            @property
            def unfinished(self) -> bool:
                self.writes += case.writes_come  # while the thread waits
                return super().unfinished

            def go_on(self, least: int = 0) -> bool:
                if least:
                    case.wrote.append(least)
                    if case.disk_fails:
                        case.patch(os, "fdatasync", case.failing)
                return super().go_on(least)

        self.patch(leveldb, "GroupWriter", Watched)

    @staticmethod
    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def begin(self, unfinished_s: float, sync: bool = True) -> LevelDBStore:
        self.patch(thread, "UNFINISHED_S", unfinished_s)
        self.patch(thread, "QUIET_BYTES", 5000)
        store = self.make(sync=sync)
        store.open(IDENTITY)
        snapshot = (entry for entry in list(self.state.items()))
        self.snapshot = ref(snapshot)
        changes = [(InstanceId(1, 1), change(self.logged))]  # a little more than makes a base due
        for_base = Checkpoint((1, 1, 0), (), changes, snapshot)
        self.write_by(store, WriteSet(checkpoint=for_base, sync=True))
        return store

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.path / "state").iterdir())

    def wait_until(self, condition: Callable[[], object]) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.005)

    def test_it_ends(self) -> None:
        """It is recorded, and older files go; then there is nothing to do.  With `sync` or without."""
        for sync in (True, False):
            self.path = Path(self.mktemp())
            self.wrote.clear()
            store = self.begin(0.01, sync)
            self.wait_until(lambda: self.names() == ["1.base"])
            assert store._shared.writer is not None
            self.assertFalse(store._shared.writer.unfinished)
            self.assertIsNone(self.snapshot())
            self.assertEqual(set(self.wrote), {5000})
            self.assertTrue(3 <= len(self.wrote) <= 6, self.wrote)
            self.loop.run_until(lambda: store.counters()["store_writes"] == 2)  # noqa: B023
            self.close_store(store)
            held = self.restored()
            self.assertEqual((held["base"], held["batches"]), (self.state, []))

    def test_while_other_writes_come(self) -> None:
        """A piece at a time."""
        self.writes_come = True
        store = self.begin(0.01)
        self.wait_until(lambda: self.names() == ["1.base"])
        self.assertEqual(set(self.wrote), {thread.BUSY_BYTES})
        self.close_store(store)
        self.assertEqual(self.restored()["base"], self.state)

    def test_closing_does_not_wait_for_it(self) -> None:
        store = self.begin(100 * PATIENCE_S)
        self.close_store(store)
        self.assertEqual(self.names(), ["0.log", "1.base"])
        self.assertEqual(self.wrote, [])
        self.assertEqual(self.restored()["state"], self.logged)

    def test_a_failure(self) -> None:
        self.disk_fails = True
        store = self.begin(0.01)
        self.loop.run_until(lambda: self.failures)
        self.close_store(store)
        self.assertEqual(len(self.failures), 1)
        self.assertIn("Input/output error", str(self.failures[0]))

    def test_a_failure_in_the_event_loop(self) -> None:
        """Nothing more is written, even if the thread was about to."""
        store = self.begin(0.3)
        with store._shared.lock:
            time.sleep(0.6)
            wrote, names = list(self.wrote), self.names()
            store.on_failed("the disk is gone")
        self.close_store(store)
        self.assertEqual((self.wrote, self.names()), (wrote, names))


class StoreTests(StoreCase):
    """The real store against a history; a copy of its folder at any time is what kill -9 leaves."""

    def setUp(self) -> None:
        super().setUp()
        make_small(self)

    def check_copy(self, store: LevelDBStore, history: History) -> None:
        """What a store restores out of a copy of the folder is what was executed."""
        path = self.path
        self.path = Path(self.mktemp())
        try:
            with store._shared.lock:  # else files may be removed while they are copied
                copytree(path, self.path)
            held = self.restored()
            history.check(self, held["base"], held["batches"])
            rmtree(self.path)
        finally:
            self.path = path

    def test_random(self) -> None:
        unfinished = 0
        for seed in range(8):
            random, history = Random(seed), History()
            self.path = Path(self.mktemp())
            for life in range(3):  # LevelDB rewrites nothing yet, which a copy would not like
                store = self.make(sync=life > 0)
                restored = store.open(IDENTITY)
                history.check(self, merged(restored.base), restored.batches)
                for number in range(25):
                    batches = history.add(*some_batches(random, clearing=0.05))
                    state = history.state if store.wants_state else None
                    self.write_by(store, checkpoint_of(number, batches, state=state))
                    self.write_by(store, proposal(number + 1))
                    if number % 5 == 0:
                        self.check_copy(store, history)
                self.close_store(store)
                unfinished += len(list(self.path.glob("state/*.base"))) > 1
            self.assertEqual(self.failures, [])
        self.assertGreater(unfinished, 0)

    def test_bytes_are_counted(self) -> None:
        store = self.write(checkpoint(1, {b"k": bytes(100_000)}))
        self.assertTrue(100_000 < store.counters()["store_bytes"] < 102_000, store.counters())

    def test_only_the_owner_reads_it(self) -> None:
        self.write(checkpoint(1, {b"k": b"v"}))
        for path in (self.path / "state", self.path / "state" / "0.log"):
            self.assertEqual(path.stat().st_mode & 0o077, 0)

    def test_a_failure_stops_the_replica(self) -> None:
        """In the middle of a base, when nobody waits for anything: nothing is durable after it."""
        store = self.make()
        store.open(IDENTITY)
        state = {b"%d" % key: bytes(50) for key in range(300)}
        self.write_by(store, checkpoint(1, dict(state)))
        self.write_by(store, checkpoint(2, {}, state=state))

        def failing(path: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

        self.patch(piece_file, "sync_folder", failing)
        durable: list[int] = []
        store.write(checkpoint(3, dict(state)), lambda: durable.append(1))
        self.loop.run_until(lambda: self.failures)
        store.write(proposal(1), lambda: durable.append(2))
        self.close_store(store)
        self.assertEqual(durable, [])
        self.assertEqual(
            [str(failure) for failure in self.failures],
            [f"{self.path} cannot be written: [Errno 5] Input/output error"],
        )
        self.assertEqual(self.restored()["executed"], (2, 2, 0))
        self.assertEqual(self.restored()["state"], state)
