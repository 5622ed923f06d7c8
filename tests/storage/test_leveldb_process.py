"""LevelDBStore in processes: killed, beside another one, on a full disk, with the reactor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import TestCase

from epaxos.interfaces import StoreError
from epaxos.storage.leveldb.store import LevelDBStore
from tests.storage.case import StoreCase
from tests.storage.child import state_of
from tests.storage.loop import (
    IDENTITY,
    proposal,
)


class ProcessTests(StoreCase):
    def child(self, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.storage.child", str(self.path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.addCleanup(child.__exit__, None, None, None)
        self.addCleanup(child.kill)
        return child

    def setUp(self) -> None:
        super().setUp()
        self.path = self.path.absolute()

    def said_until_killed(self, command: str, enough: int) -> list[int]:
        """What a child says to be durable, which is killed when it has said so much."""
        child = self.child(command)
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(enough)]
        child.kill()
        said += map(int, child.stdout.read().split())
        child.wait()
        return said

    def test_kill(self) -> None:
        """All that was reported durable is there after kill -9; and nothing but a prefix."""
        for enough in (1, 40, 400):
            said = self.said_until_killed("write", enough)
            slots = [id.slot for id in self.restored()["records"]]
            self.assertEqual(slots, list(range(1, len(slots) + 1)))
            self.assertLessEqual(said[-1], slots[-1])

    def test_kill_while_a_base_is_made(self) -> None:
        """Again and again: the state is that of the checkpoint that is said to be there."""
        in_the_making = 0
        for enough in (30, 1, 45, 60, 3, 70, 50, 80):
            said = self.said_until_killed("state", enough)
            in_the_making += len(list(self.path.glob("state/*.base"))) > 1
            held = self.restored()
            number = held["executed"][0]
            self.assertLessEqual(said[-1], number)
            self.assertEqual(held["state"], state_of(number))
            self.assertLess(sum(path.stat().st_size for path in self.path.glob("state/*")), 600_000)
        self.assertGreater(in_the_making, 0)

    def test_in_use(self) -> None:
        child = self.child("hold")
        assert child.stdout is not None
        self.assertEqual(child.stdout.readline(), "open\n")
        with self.assertRaises(StoreError) as caught:
            self.make().open(IDENTITY)
        self.assertEqual(str(caught.exception), f"{self.path} is in use by another process")
        child.communicate("")
        self.assertEqual(self.restored()["records"], {})

    def test_disk_full(self) -> None:
        """A file that may not grow fails as a full disk does."""
        out, _ = self.child("write", "300000").communicate()
        *durable, last = out.splitlines()
        self.assertRegex(
            last, r"^failed 1 times: .* cannot be written: IO error: .*File too large; then 0 durable$"
        )
        self.assertGreater(len(durable), 100)
        slots = [id.slot for id in self.restored()["records"]]
        self.assertEqual(slots, list(range(1, len(slots) + 1)))
        self.assertLessEqual(int(durable[-1]), slots[-1])

    def test_disk_full_of_state(self) -> None:
        """The same where it is the state that grows."""
        out, _ = self.child("state", "60000").communicate()
        *durable, last = out.splitlines()
        self.assertRegex(last, r"^failed 1 times: .* cannot be written: .*File too large; then 0 durable$")
        self.assertGreater(len(durable), 10)
        held = self.restored()
        self.assertLessEqual(int(durable[-1]), held["executed"][0])
        self.assertEqual(held["state"], state_of(held["executed"][0]))


class ReactorTests(TestCase):
    @inlineCallbacks
    def test_with_the_reactor(self) -> Any:
        """As it is used: callbacks come in the reactor's thread, close fires there."""
        path = self.mktemp()
        store = LevelDBStore(path, call_from_thread=reactor.callFromThread, failed=self.fail)
        store.open(IDENTITY)
        durable: Deferred[None] = Deferred()
        store.write(proposal(1), lambda: durable.callback(None))
        yield durable
        yield store.close()
        again = LevelDBStore(path, call_from_thread=reactor.callFromThread, failed=self.fail)
        self.assertEqual(len(list(again.open(IDENTITY).records)), 1)
        yield again.close()
