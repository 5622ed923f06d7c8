"""A process of its own with a store: `python -m tests.storage.child FOLDER COMMAND [ARGUMENT]`.

write:   write proposals without end, saying on stdout which are durable
limited: the same with files limited to so many bytes; says how the store failed, and exits
hold:    open the store, say so, and wait for the end of stdin
"""

from __future__ import annotations

import resource
import sys
from itertools import count

from epaxos.interfaces import StoreError
from epaxos.storage.leveldb import LevelDBStore
from tests.storage.loop import IDENTITY, Loop, proposal


def say(text: str) -> None:
    print(text, flush=True)


def main(folder: str, command: str, argument: str = "") -> None:
    loop = Loop()
    failures: list[StoreError] = []
    store = LevelDBStore(folder, call_from_thread=loop.call_from_thread, failed=failures.append)
    store.open(IDENTITY)
    if command == "hold":
        say("open")
        sys.stdin.read()
        return
    if command == "limited":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(argument), int(argument)))
    durable: list[int] = []

    def on_durable(slot: int) -> None:
        durable.append(slot)
        say(str(slot))

    for slot in count(1):
        store.write(proposal(slot, sync=slot % 3 == 0, size=1000), lambda slot=slot: on_durable(slot))
        loop.run_until(lambda slot=slot: failures or len(durable) > slot - 5)
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
