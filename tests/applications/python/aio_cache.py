"""aiocache: a cache for asyncio, with a decorator and a lock."""

from __future__ import annotations

import asyncio

from talk import PORTS, halfway, need, same

aiocache, locks, serializers = need("aiocache", "aiocache.lock", "aiocache.serializers")
calls: list[int] = []


@aiocache.cached(
    ttl=60,
    cache=aiocache.Cache.REDIS,
    endpoint="127.0.0.1",
    port=PORTS[0],
    serializer=serializers.PickleSerializer(),
)
async def compute(number: int) -> int:
    """Something that takes long."""
    calls.append(number)
    return number * number


async def use() -> None:
    """Everything that a cache has."""
    cache = aiocache.Cache(
        aiocache.Cache.REDIS, endpoint="127.0.0.1", port=PORTS[0], serializer=serializers.JsonSerializer()
    )
    async with cache:
        await cache.clear()
        same(await cache.set("a", {"x": 1}, ttl=60), True)
        same(await cache.get("a"), {"x": 1})
        same(await cache.multi_set([["b", 1], ["c", 2]], ttl=60), True)
        same(await cache.multi_get(["b", "c", "d"]), [1, 2, None])
        same(await cache.expire("b", 100), True)
        same([await cache.exists("b"), await cache.delete("b"), await cache.exists("b")], [True, 1, False])
        same(await cache.increment("n", 3), 3)
        async with locks.RedLock(cache, "job", lease=5):
            same(await cache.get("c"), 2)


async def main() -> None:
    """Twice, and the decorator computes each value once."""
    await use()
    same([await compute(3), await compute(3)], [9, 9])
    halfway()
    same([await compute(3), await compute(4)], [9, 16])
    same(calls, [3, 4])
    await use()


asyncio.run(main())
print("done")
