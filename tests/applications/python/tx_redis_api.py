"""txredisapi: a client on Twisted."""

from __future__ import annotations

from typing import Any

from talk import PORTS, halfway, need, same
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import react

(txredisapi,) = need("txredisapi")


@inlineCallbacks
def use(client: Any) -> Any:
    """Strings and counters."""
    yield client.set("name", "value")
    same((yield client.get("name")), "value")
    yield client.mset({"a": 1, "b": 2})
    same((yield client.mget(["a", "b", "c"])), [1, 2, None])
    same((yield client.incr("a")), 2)
    same((yield client.append("name", "s")), 6)
    same((yield client.exists("name")), 1)
    same((yield client.delete("name")), 1)


@inlineCallbacks
def main(reactor: Any) -> Any:
    """One connection, and a pool."""
    for connect in (txredisapi.Connection, txredisapi.ConnectionPool):
        client = yield connect("127.0.0.1", PORTS[0], reconnect=False)
        yield use(client)
        if connect is txredisapi.Connection:
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
