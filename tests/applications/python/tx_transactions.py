"""txredisapi: transactions, hashes, time to live."""

from __future__ import annotations

from typing import Any

from talk import PORTS, halfway, need, same
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import react

(txredisapi,) = need("txredisapi")


@inlineCallbacks
def use(client: Any) -> Any:
    """A transaction over a hash and a string."""
    yield client.delete(["h", "n"])
    transaction = yield client.multi()
    yield transaction.hset("h", "field", "value")
    yield transaction.incr("n")
    same((yield transaction.commit()), [1, 1])
    same((yield client.hgetall("h")), {"field": "value"})
    transaction = yield client.multi(["n"])
    yield transaction.incr("n")
    yield transaction.discard()
    same((yield client.get("n")), 1)
    yield client.setex("short", 100, "x")
    assert 0 < (yield client.ttl("short")) <= 100


@inlineCallbacks
def main(reactor: Any) -> Any:
    """One connection."""
    client = yield txredisapi.Connection("127.0.0.1", PORTS[0], reconnect=False)
    yield use(client)
    halfway()
    yield use(client)
    yield client.disconnect()


def run() -> None:
    """Run the reactor until all is done."""
    try:
        react(main)
    except SystemExit as end:
        if end.code:
            raise
    print("done")


run()
