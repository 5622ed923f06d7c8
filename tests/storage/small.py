"""Files of a state, small enough that bases are made, given up and replaced all the time."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Changes
from epaxos.storage import pauses, pieces, state_files

CHANGES_BYTES_MIN = 3000
PIECE_BYTES = 300

State = dict[bytes, bytes]


def make_small(case: SynchronousTestCase) -> None:
    """A base is due after some 3000 bytes of changes, and written in pieces of 300."""
    case.patch(state_files, "CHANGES_BYTES_MIN", CHANGES_BYTES_MIN)
    case.patch(state_files, "SYNCED_BYTES", 1000)
    case.patch(state_files, "OWED_SHARE", 4)  # a life has but a few writes here
    case.patch(state_files, "PIECE_BYTES", PIECE_BYTES)
    case.patch(pieces, "PIECE_BYTES", PIECE_BYTES)
    case.patch(pauses, "PAUSE_S", 0)


def apply(state: State, changes: Changes) -> None:
    if changes.cleared:
        state.clear()
    for key, value in changes.entries.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def some_changes(random: Random, keys: int = 100, share: float = 0.15) -> dict[bytes, bytes | None]:
    """Of up to so many keys; that share of them is removed, and some values are empty or long."""
    changes: dict[bytes, bytes | None] = {}
    for _ in range(random.randrange(1, 40)):
        size = random.choice((0, 1, 20, 20, 20, 100, 700)) if random.random() < 0.2 else 20
        value = None if random.random() < share else random.randbytes(size)
        changes[b"key %d" % random.randrange(keys)] = value
    return changes


def size_of(state: State) -> int:
    return sum(len(key) + len(value) + 8 for key, value in state.items())
