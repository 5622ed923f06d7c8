"""A process of its own with a store: `python -m tests.storage.child FOLDER COMMAND [ARGUMENT]`.

write: write proposals without end, saying on stdout which are durable; with an argument files are
       limited to that number of bytes: it then says how the store failed, and exits
state: the same with checkpoints (`entries_of`), with bases in the making
hold:  open the store, say so, and wait for the end of stdin
"""

from __future__ import annotations

import resource
import sys
from itertools import count

from epaxos.interfaces import StoreError, WriteSet
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.storage.state import files as state_files
from epaxos.storage.state import pieces
from tests.storage.loop import IDENTITY, Loop, checkpoint, proposal

KEYS = 2000


def say(text: str) -> None:
    print(text, flush=True)


def entries_of(number: int) -> dict[bytes, bytes | None]:
    """The changes of the checkpoint of this number: of a twentieth of the keys, in turns; some keys are
    removed.  The state after it follows from the last twenty checkpoints."""
    return {
        b"%d" % key: None if key % 100 == number % 100 else b"%d" % number * 10
        for key in range(number % 20, KEYS, 20)
    }


def state_of(number: int) -> dict[bytes, bytes]:
    """The state after the checkpoints up to this one."""
    state: dict[bytes, bytes | None] = {}
    for each in range(max(1, number - 19), number + 1):
        state.update(entries_of(each))
    return {key: value for key, value in state.items() if value is not None}


def checkpoint_of(number: int, wants_state: bool) -> WriteSet:
    state = state_of(number) if wants_state else None
    return checkpoint(number, entries_of(number), sync=number % 3 > 0, state=state)


def main(folder: str, command: str, argument: str = "") -> None:
    if command == "state":
        state_files.LOG_BYTES_MIN = 100_000
        pieces.PIECE_BYTES = 2000
    loop = Loop()
    failures: list[StoreError] = []
    store = LevelDBStore(folder, call_from_thread=loop.call_from_thread, failed=failures.append)
    restored = store.open(IDENTITY)
    if command == "hold":
        say("open")
        sys.stdin.read()
        return
    if argument:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(argument), int(argument)))
    durable: list[int] = []
    first = restored.executed[0] + 1

    def on_durable(slot: int) -> None:
        durable.append(slot)
        say(str(slot))

    for slot in count(first):
        if command == "state":
            write_set = checkpoint_of(slot, store.wants_state)
        else:
            write_set = proposal(slot, sync=slot % 3 == 0, size=1000)
        store.write(write_set, lambda slot=slot: on_durable(slot))
        loop.run_until(lambda slot=slot: failures or len(durable) > slot - first - 4)
        if failures:
            break
    seen = len(durable)
    store.write(proposal(slot + 1), lambda: on_durable(slot + 1))
    closed: list[object] = []
    store.close().addCallback(closed.append)
    loop.run_until(lambda: closed)
    say(f"failed {len(failures)} times: {failures[0]}; then {len(durable) - seen} durable")


if __name__ == "__main__":
    main(*sys.argv[1:])
