"""python-redis-lock: many wait for one lock, and each has it once, also while a server dies.

A release pushes to a list at which one of those who wait blocks.
"""

from __future__ import annotations

import time
from threading import Thread

from jobs import connect
from talk import halfway, need, same

redis, redis_lock = need("redis", "redis_lock")
WAITERS = 8
TURNS = 10
EXPIRE_S = 3
"""The lock of an owner whose release was not answered ends by then."""
had: list[tuple[int, int]] = []
holders: list[int] = []
overlaps: list[list[int]] = []


def owner(number: int) -> None:
    """Take the lock again and again."""
    client = connect()
    for turn in range(TURNS):
        while True:
            lock = redis_lock.Lock(client, "waiting", expire=EXPIRE_S)
            try:
                if not lock.acquire(timeout=EXPIRE_S - 1):
                    continue
            except redis.RedisError:  # nobody knows whether the lock was taken: it ends by itself
                time.sleep(0.05)
                continue
            break
        taken = time.monotonic()
        holders.append(number)
        if len(holders) > 1:
            overlaps.append(list(holders))
        time.sleep(0.01)
        holders.remove(number)
        assert time.monotonic() < taken + EXPIRE_S, "held the lock for longer than it lives"
        had.append((number, turn))
        try:
            lock.release()
        except redis.RedisError:
            time.sleep(0.05)


owners = [Thread(target=owner, args=[number], daemon=True) for number in range(WAITERS)]
for thread in owners:
    thread.start()
while len(had) < WAITERS * TURNS // 4:
    time.sleep(0.01)
halfway()
for thread in owners:
    thread.join(60)
same(overlaps, [])
same(sorted(had), [(number, turn) for number in range(WAITERS) for turn in range(TURNS)])
print("done")
