"""python-redis-lock: locks that nobody waits for.

Its release pushes to a list, so without lists its locks end by themselves alone.
"""

from __future__ import annotations

import time

from talk import PORTS, halfway, need, same

redis, redis_lock = need("redis", "redis_lock")
client = redis.Redis(port=PORTS[0])
HAS_LISTS = b"lpush" in client.execute_command("COMMAND LIST")


def use() -> None:
    """One takes the lock, and another one does not."""
    own, other = (redis_lock.Lock(client, "job", expire=2, id=name) for name in ("own", "other"))
    same([own.acquire(blocking=False), other.acquire(blocking=False)], [True, False])
    own.extend(expire=1)
    same([own.get_owner_id(), own.locked()], ["own", True])
    if HAS_LISTS:
        own.release()
    else:
        time.sleep(1.8)
    same(other.acquire(blocking=False), True)
    client.delete("lock:job")


use()
halfway()
use()
print("done")
