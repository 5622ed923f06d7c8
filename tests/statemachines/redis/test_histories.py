"""Random histories of all commands: no command stops a replica, and all replicas come to the same.

One store lives through a history, another one is restored from entries again and again.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Command, CommandError, Ready, RunAgain
from epaxos.interfaces.composites import Transaction, in_database, transaction
from epaxos.statemachines.redis import blocks, items, named, ordered, packed, packed_ranking, paged, ranking
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.statemachines.redis.streams import id_map
from tests.statemachines.redis.lab import ID
from tests.statemachines.redis.test_strings import Clock
from tests.statemachines.redis.usages import KEYS, random_command

SCRIPT = b"""
local found, start = {}, 1
while start <= #ARGV do
    local count = tonumber(ARGV[start])
    local reply = redis.pcall(unpack(ARGV, start + 1, start + count))
    found[#found + 1] = type(reply) == 'table' and reply.err or type(reply)
    start = start + count + 1
end
if KEYS[1] == 'fails' then error('undone') end
return found
"""
SMALL = (
    *((packed, "FIELDS_MAX", 4), (items, "ELEMENTS_MAX", 4), (packed_ranking, "MEMBERS_MAX", 4)),
    *((named, "LISTED_MAX", 8), (ranking, "LISTED_MAX", 8), (blocks, "BLOCK_ELEMENTS", 4)),
    *((ordered, "BLOCK_MEMBERS_MAX", 4), (ordered, "_FEW", 2), (id_map, "CHUNK_PAIRS", 3)),
    (paged, "PAGE_BYTES", 64),
)


def plain(reply: object) -> object:
    """A reply that can be compared."""
    if isinstance(reply, RunAgain):
        return ("again", reply.first)
    if isinstance(reply, list):
        return list(map(plain, reply))
    return repr(reply) if isinstance(reply, (CommandError, float)) else reply


class HistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def store(self) -> KeyValueStore:
        store = KeyValueStore()
        store.use_clock(self.clock, lambda: self.clock.ms)
        return store

    def command(self, random: Random, store: KeyValueStore) -> Command:
        """One that is not wrong by itself."""
        while True:
            command = random_command(random)
            try:
                store.check(command)
                return command
            except CommandError:
                pass

    def commands(self, random: Random, store: KeyValueStore) -> list[Command]:
        """A batch: some commands, one many times, one in another database, a transaction, or a script."""
        some = [self.command(random, store) for _ in range(random.randrange(1, 8))]
        kind = random.choice(("one", "one", "some", "many", "database", "transaction", "script", "fails"))
        if kind == "many":
            return [some[0]] * random.randrange(2, 6)
        if kind == "database":
            return [in_database(random.randrange(1, 3), some[0])]
        if kind == "transaction":
            return [transaction(Transaction(None, (), [(random.choice((0, 0, 1)), one) for one in some]))]
        if kind in ("script", "fails"):
            keys = (b"fails", *KEYS) if kind == "fails" else KEYS
            words = [word for one in some for word in (b"%d" % len(one), *one)]
            return [(b"EVAL", SCRIPT, b"%d" % len(keys), *keys, *words)]
        return some[:1] if kind == "one" else some

    def play(self, seed: int) -> int:
        """The number of replies that are no errors."""
        random, lives, other = Random(seed), self.store(), self.store()
        taken = []
        replies = 0
        for number in range(300):
            self.clock.ms += random.choice((0, 0, 1, 7))
            todo = [self.commands(random, lives)]
            while todo:
                batch = lives.batch(todo.pop())
                found, others = (
                    plain([*store.apply([Ready(ID, batch, True)])[0]]) for store in (lives, other)
                )
                self.assertEqual(found, others, (seed, number))
                assert isinstance(found, list)
                replies += sum(not str(reply).startswith("CommandError") for reply in found)
                removals = [reply[1] for reply in found if isinstance(reply, tuple)]
                todo += [[removal] for removal in removals if removal[0] == b"\0DUE"]
            if number % 30 == 0:
                entries = dict(lives.entries())
                self.assertEqual(entries, dict(other.entries()), (seed, number))
                taken.append((lives.entries(), entries.copy()))
                other = self.store()
                other.restore(entries, [])
        for snapshot, entries in taken:
            self.assertEqual(dict(snapshot), entries, "a snapshot never changes")
        return replies

    def test_in_the_usual_forms(self) -> None:
        self.assertGreater(sum(map(self.play, range(8))), 1000)

    def test_in_large_forms(self) -> None:
        """As if few elements were many."""
        for module, name, value in SMALL:
            self.patch(module, name, value)
        self.assertGreater(sum(map(self.play, range(100, 108))), 1000)
