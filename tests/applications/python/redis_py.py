"""redis-py: a plain client, in both protocols."""

from __future__ import annotations

from typing import Any

import redis
from talk import PORTS, halfway, same

clients = [redis.Redis(port=PORTS[0], protocol=protocol, decode_responses=True) for protocol in (2, 3)]


def use(client: redis.Redis) -> None:
    """Strings and counters."""
    same(client.set("name", "value"), True)
    same(client.get("name"), "value")
    same(client.set("name", "other", nx=True), None)
    same(client.mset({"a": 1, "b": 2}), True)
    same(client.mget("a", "b", "c"), ["1", "2", None])
    same([client.incr("a"), client.decr("b"), client.incrby("a", 5)], [2, 1, 7])
    pipeline = client.pipeline(transaction=False)
    for number in range(20):
        pipeline.set(f"p{number}", number).get(f"p{number}")
    answers: list[Any] = pipeline.execute()
    same(answers[1::2], [str(number) for number in range(20)])
    same(client.delete(*(f"p{number}" for number in range(20)), "none"), 20)
    same(client.info("server")["redis_mode"], "standalone")


for client in clients:
    use(client)
halfway()
for client in clients:
    use(client)
print("done")
