"""Which epochs the database holds instances of."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from epaxos.storage.leveldb.records import INSTANCE_PREFIX, LATER_PREFIX, decode_number, encode_number

__all__ = ["epochs_held"]


def epochs_held(db: Any, least: int, now: int) -> list[int]:
    """The epochs from `least` on and before `now`, of which there are instances, the oldest first.

    Takes a seek for each, and for each instance that was deleted lately about a microsecond.  `least` spares
    those of epochs that are known to be gone.  Raises ValueError, engine.Error.
    """
    held: list[int] = []
    end = LATER_PREFIX + encode_number(now) if now else INSTANCE_PREFIX
    start = LATER_PREFIX + encode_number(least) if least else INSTANCE_PREFIX
    with closing(db.iterator(start=start, stop=end, include_value=False, verify_checksums=True)) as keys:
        while (key := next(keys, None)) is not None:
            at = len(LATER_PREFIX)
            epoch = 0 if key.startswith(INSTANCE_PREFIX) else decode_number(key[at : at + 8])
            held.append(epoch)
            keys.seek(LATER_PREFIX + encode_number(epoch + 1))
    return held
