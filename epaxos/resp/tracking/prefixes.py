"""Which clients are told of all keys that begin with a prefix (CLIENT TRACKING with BCAST)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from epaxos.resp.interfaces import IClient

__all__ = ["Prefixes"]


class Prefixes:
    """The clients by their prefixes."""

    def __init__(self) -> None:
        self._clients: dict[bytes, dict[IClient, None]] = {}
        self._lengths: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: IClient, prefixes: Iterable[bytes]) -> None:
        """The client is told of these from now on, too."""
        for prefix in prefixes:
            if prefix not in self._clients:
                self._clients[prefix] = {}
                self._lengths[len(prefix)] += 1
            self._clients[prefix][client] = None

    def discard(self, client: IClient, prefixes: Iterable[bytes]) -> None:
        """The client is told of these no more."""
        for prefix in prefixes:
            clients = self._clients.get(prefix, {})
            if clients.pop(client, self) is None and not clients:
                del self._clients[prefix]
                self._lengths[len(prefix)] -= 1
                if not self._lengths[len(prefix)]:
                    del self._lengths[len(prefix)]

    def of(self, key: bytes) -> Iterator[bytes]:
        """The prefixes with which the key begins."""
        for length in self._lengths:
            prefix = key[:length]
            if len(prefix) == length and prefix in self._clients:
                yield prefix

    def clients(self, prefix: bytes) -> Collection[IClient]:
        """Who is told of keys that begin like this."""
        return list(self._clients.get(prefix, ()))
