"""The commands on lists inside of other commands: beside a real Redis."""

from __future__ import annotations

import contextlib
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready
from epaxos.interfaces.composites import Transaction, transaction
from epaxos.statemachines.redis.commands import keys_of
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.against_redis import Pair, commands_of, plain
from tests.statemachines.redis.lab import ID
from tests.statemachines.redis.test_lists import TEMPLATES, WORDS


class WithinTests(SynchronousTestCase):
    def commands(self, seed: int, count: int) -> list[list[bytes]]:
        made = []
        for command in commands_of(Random(seed), TEMPLATES, WORDS, count):
            with contextlib.suppress(CommandError):
                KeyValueStore().check(command)
                made.append(command)
        return [command for command in made if not command[0].startswith((b"EXPIRE", b"OBJECT"))]

    def test_in_transactions(self) -> None:
        pair = Pair()
        self.addCleanup(pair.close)
        for seed in range(30):
            queued = self.commands(seed, 30)
            pair.theirs([b"MULTI"])
            for command in queued:
                self.assertEqual(pair.theirs(command), b"QUEUED", command)
            theirs = pair.theirs([b"EXEC"])
            asked = transaction(Transaction(None, (), [(0, command) for command in queued]))
            batch = pair.ours.store.batch([asked])
            (ours,) = pair.ours.store.apply([Ready(ID, batch, True)])[0]
            assert isinstance(ours, list) and isinstance(theirs, list)
            for command, mine, real in zip(queued, ours, theirs, strict=True):
                real = str(real) if isinstance(real, Exception) else real
                self.assertEqual(plain(mine), real, command)

    def test_in_scripts(self) -> None:
        pair = Pair()
        self.addCleanup(pair.close)
        text = b"return redis.pcall(unpack(ARGV))"
        for command in self.commands(5, 600):
            keys = keys_of(command)
            self.assertEqual(*pair.run([b"EVAL", text, b"%d" % len(keys), *keys, *command]), command)
