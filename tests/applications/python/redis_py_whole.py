"""redis-py: time to live, hashes, transactions, scripts, locks, SCAN."""

from __future__ import annotations

import time
from typing import Any

import redis
from redis.exceptions import LockError, WatchError
from talk import PORTS, halfway, same

client = redis.Redis(port=PORTS[0], decode_responses=True)
again = redis.Redis(port=PORTS[-1], decode_responses=True)


def expiry() -> None:
    """A key lives as long as it was told."""
    same(client.set("short", "x", px=300), True)
    same(client.set("long", "y", ex=100), True)
    assert 0 < client.ttl("long") <= 100
    time.sleep(1)
    same([client.get("short"), client.get("long")], [None, "y"])
    same(client.persist("long"), True)
    same(client.ttl("long"), -1)


def hashes() -> None:
    """An object as a hash."""
    client.delete("user")
    same(client.hset("user", mapping={"name": "ada", "age": "36"}), 2)
    same(client.hincrby("user", "age", 1), 37)
    same(client.hgetall("user"), {"name": "ada", "age": "37"})
    same(client.hdel("user", "age"), 1)


def transactions() -> None:
    """A transaction, and one that is disturbed."""
    client.set("x", 1)
    same(client.pipeline().incr("x").incr("x").execute(), [2, 3])
    with client.pipeline() as pipeline:
        pipeline.watch("x")
        again.set("x", 10)
        pipeline.multi()
        pipeline.set("x", 0)
        try:
            pipeline.execute()
        except WatchError:
            pass
        else:
            raise AssertionError("somebody else had written the key")
    same(client.get("x"), "10")

    def double(pipeline: Any) -> None:
        """What is read before counts only if nobody writes it meanwhile."""
        value = int(pipeline.get("x"))
        pipeline.multi()
        pipeline.set("x", 2 * value)

    same(client.transaction(double, "x"), [True])
    same(client.get("x"), "20")


def locks() -> None:
    """A lock, which is released by a script, and one that ends by itself."""
    lock = client.lock("lock", timeout=5)
    same(lock.acquire(blocking=False), True)
    same(again.lock("lock", timeout=5).acquire(blocking=False), False)
    same(lock.extend(10, replace_ttl=True), True)
    lock.release()
    short = client.lock("lock", timeout=0.3)
    same(short.acquire(blocking=False), True)
    time.sleep(1)
    same(again.lock("lock", timeout=5).acquire(blocking=False), True)
    try:
        short.release()
    except LockError:
        pass
    else:
        raise AssertionError("somebody else had the lock")
    client.delete("lock")


def scripts() -> None:
    """A registered script, by its digest."""
    script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    client.delete("sum")
    same([script(keys=["sum"], args=[2]), script(keys=["sum"], args=[3])], [2, 5])


def scan() -> None:
    """All keys of a pattern."""
    client.mset({f"scan:{number}": number for number in range(100)})
    same(len(set(client.scan_iter("scan:*", count=10))), 100)


def everything() -> None:
    """All of it."""
    for use in (expiry, hashes, transactions, locks, scripts, scan):
        use()


everything()
halfway()
everything()
print("done")
