"""redlock: the algorithm of Redis' documentation, on one cluster as its one server."""

from __future__ import annotations

import time
from typing import Any

from talk import PORTS, halfway, need, same

(redlock,) = need("redlock")


def lock(ttl_ms: int) -> Any:
    """A lock that is tried once."""
    return redlock.RedLock("job", [{"host": "127.0.0.1", "port": PORTS[0]}], retry_times=1, ttl=ttl_ms)


def use() -> None:
    """One takes the lock, and another one does not, until it is released or has ended."""
    own, other = lock(5000), lock(5000)
    same([own.acquire(), other.acquire()], [True, False])
    own.release()
    same(other.acquire(), True)
    other.release()
    short = lock(200)
    same(short.acquire(), True)
    time.sleep(1)
    same(own.acquire(), True)
    own.release()


use()
halfway()
use()
print("done")
