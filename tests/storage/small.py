"""Files of a state, small enough that bases are made, given up and replaced all the time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.ids import InstanceId
from epaxos.storage import gil as pauses
from epaxos.storage.leveldb import thread
from epaxos.storage.state import files as state_files
from epaxos.storage.state import pieces
from epaxos.storage.state.manifest import Manifest
from epaxos.storage.state.reading import read_base, read_logs
from tests.storage.loop import CLEARING, PATIENCE_S, Changes, Executed, change, merged, run

LOG_BYTES_MIN = 3000
PIECE_BYTES = 300

State = dict[bytes, bytes]


def make_small(case: SynchronousTestCase) -> None:
    """A base is due after some 3000 bytes of log, and written in pieces of 300, only while the log grows."""
    case.patch(thread, "UNFINISHED_S", PATIENCE_S)
    case.patch(state_files, "LOG_BYTES_MIN", LOG_BYTES_MIN)
    case.patch(state_files, "SYNCED_BYTES", 1000)
    case.patch(pieces, "PIECE_BYTES", PIECE_BYTES)
    case.patch(pauses, "PAUSE_S", 0)


class History:
    """All batches that were executed, and the state after each."""

    def __init__(self) -> None:
        self.batches: list[Executed] = []
        self.states: list[State] = [{}]

    @property
    def state(self) -> State:
        return self.states[-1]

    def add(self, *changes: Changes | None) -> list[Executed]:
        """Batches that make these changes, one after the other; None clears the state."""
        first = len(self.batches)
        for number, entries in enumerate(changes, first + 1):
            batch = CLEARING if entries is None else change(entries)
            executed = (InstanceId(number % 3, number), batch)
            self.batches.append(executed)
            self.states.append(run(dict(self.state), [executed]))
        return self.batches[first:]

    def cut(self, length: int) -> None:
        """Keep the first `length` batches only."""
        del self.batches[length:], self.states[length + 1 :]

    def check(self, case: SynchronousTestCase, entries: State, batches: Iterable[Executed]) -> None:
        """Check that `entries` are a state of this history, and `batches` exactly those executed since."""
        held = list(batches)
        length = len(self.batches) - len(held)
        case.assertGreaterEqual(length, 0)
        case.assertEqual(held, self.batches[length:])
        case.assertEqual(entries, self.states[length])
        case.assertEqual(run(entries, held), self.state)

    def check_files(self, case: SynchronousTestCase, folder: Path, manifest: Manifest) -> None:
        """As `check`, for the files that the manifest names."""
        self.check(case, merged(read_base(folder, manifest)), read_logs(folder, manifest))


def some_changes(random: Random, keys: int = 100, share: float = 0.15) -> dict[bytes, bytes | None]:
    """Changes of some of `keys` keys: about the share `share` removes one; some values are empty or long."""
    changes: dict[bytes, bytes | None] = {}
    for _ in range(random.randrange(1, 40)):
        size = random.choice((0, 1, 20, 20, 20, 100, 700)) if random.random() < 0.2 else 20
        value = None if random.random() < share else random.randbytes(size)
        changes[b"key %d" % random.randrange(keys)] = value
    return changes


def some_batches(random: Random, clearing: float = 0.0) -> list[Changes | None]:
    """What the batches of a checkpoint change: mostly one, at times none or several."""
    return [
        None if random.random() < clearing else some_changes(random)
        for _ in range(random.choice((0, 1, 1, 1, 1, 2, 3)))
    ]


def size_of(state: State) -> int:
    return sum(len(key) + len(value) + 8 for key, value in state.items())
