"""Replicas in this process that fail as a test wants, on real sockets.

They share one state.  What `EPAXOS ONCE` does is written down here a second time, in the fewest words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import hiredis
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.ctl.fake import encoded
from tests.net.lab import until

__all__ = ["CUT", "RUN_AND_CUT", "SILENT", "Replicas", "Server"]

reactor: Any = the_reactor
CUT, RUN_AND_CUT, SILENT = "cut", "run and cut", "silent"
"""What may become of a command: its connection is cut before or behind it, or nothing is answered."""
FLAGS = {
    b"get": b"readonly",
    b"exists": b"readonly",
    b"set": b"write",
    b"incr": b"write",
    b"epaxos": b"admin",
}


class _Connection(Protocol):
    transport: Any

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader = hiredis.Reader()
        self._is_silent = False

    def connectionMade(self) -> None:
        self._server.connections.append(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._server.connections.remove(self)

    def dataReceived(self, data: bytes) -> None:
        self._reader.feed(data)
        while (words := self._reader.gets()) is not False:
            reactor.callLater(self._server.delay_s, self._answer, words)

    def _answer(self, words: list[bytes]) -> None:
        server = self._server
        server.asked.append(words)
        fate = server.fate(words)
        self._is_silent = self._is_silent or fate == SILENT
        if self._is_silent:  # replies come in the order of the commands
            return
        reply = None if fate == CUT else server.reply(words) if fate in (None, RUN_AND_CUT) else fate
        if fate in (CUT, RUN_AND_CUT):
            self.transport.abortConnection()
        else:
            self.transport.write(encoded(reply))


class Server(Factory):
    """One replica.  `fate(words)`: what becomes of a command; None: it is run, an exception: its reply."""

    noisy = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.asked: list[list[bytes]] = []
        self.connections: list[_Connection] = []
        self.delay_s = 0.0
        self.password = b""
        self.fate: Callable[[list[bytes]], Any] = lambda words: None
        self._listening = reactor.listenTCP(0, self, interface="127.0.0.1")
        self.port: int = self._listening.getHost().port
        self.at = f"127.0.0.1:{self.port}"

    def buildProtocol(self, address: Any) -> _Connection:
        return _Connection(self)

    def told(self, *names: str) -> list[list[bytes]]:
        """The commands that came, of these names; those within ONCE, too."""
        wanted = {name.encode() for name in names}
        inner = [words[5:] if words[:2] == [b"EPAXOS", b"ONCE"] else words for words in self.asked]
        return [words for words in inner if words[0] in wanted]

    def only(self, name: str, *fates: Any) -> None:
        """The next commands of this name meet these fates; everything else is run."""
        left = list(fates)

        def fate(words: list[bytes]) -> Any:
            is_it = name.encode() in (words[0], *words[5:6], *(words[1:2] if words[0] == b"EPAXOS" else ()))
            return left.pop(0) if left and is_it else None

        self.fate = fate

    def always(self, fate: Any) -> None:
        """From now on everything meets this fate."""
        self.fate = lambda words: fate

    def reply(self, words: list[bytes]) -> Any:
        name = words[0].upper()
        if name == b"AUTH":
            return b"OK" if words[1] == self.password else Exception("WRONGPASS invalid")
        if name == b"PING":
            return b"PONG"
        if name == b"COMMAND":
            return [[name, -1, [flag], 1, 1, 1] for name, flag in FLAGS.items()]
        return self.replicas.run(words)

    def stop(self) -> Deferred[Any]:
        """As a process that is killed."""
        for connection in list(self.connections):
            connection.transport.abortConnection()
        return maybeDeferred(self._listening.stopListening)

    def start(self) -> None:
        """Listen again at the same port."""
        self._listening = reactor.listenTCP(self.port, self, interface="127.0.0.1")


class Replicas:
    """The state that `count` servers share.  `ran`: how many times each command was run."""

    def __init__(self, count: int) -> None:
        self.values: dict[bytes, bytes] = {}
        self.ran: Counter[tuple[bytes, ...]] = Counter()
        self.kept: dict[bytes, dict[int, Any]] = {}
        self.acked: dict[bytes, int] = {}
        self.ended: list[bytes] = []
        self.members: Any = Exception("NOPERM EPAXOS is for others")
        self.refused_by_once = {b"ECHOED"}
        self.servers = [Server(self) for _ in range(count)]

    def run(self, words: list[bytes]) -> Any:
        name = words[0].upper()
        if name == b"EPAXOS":
            return self._own(words)
        self.ran[tuple(words)] += 1
        if name == b"SET":
            self.values[words[1]] = words[2]
            return b"OK"
        if name == b"GET":
            return self.values.get(words[1])
        if name == b"EXISTS":
            return int(words[1] in self.values)
        if name == b"INCR":
            self.values[words[1]] = b"%d" % (int(self.values.get(words[1], b"0")) + 1)
            return int(self.values[words[1]])
        if name == b"ECHOED":
            return words[1:]
        return Exception(f"ERR unknown command '{name.decode()}'")

    def _own(self, words: list[bytes]) -> Any:
        what = words[1].upper()
        if what == b"MEMBERS":
            return self.members
        if what == b"SESSION" and len(words) == 2:
            id = b"%d" % (len(self.kept) + 1)
            self.kept[id], self.acked[id] = {}, 0
            return id
        if what == b"SESSION":
            self.kept.pop(words[3], None)
            self.ended.append(words[3])
            return b"OK"
        return self._once(words[2], int(words[3]), int(words[4]), words[5:])

    def _once(self, id: bytes, number: int, acked: int, command: list[bytes]) -> Any:
        if command[0] in self.refused_by_once:
            return Exception("ONCEREFUSED not within ONCE")
        if id not in self.kept:
            return Exception("NOSESSION it may have run")
        kept = self.kept[id]
        self.acked[id] = max(acked, self.acked[id])
        for old in [old for old in kept if old <= self.acked[id]]:
            del kept[old]
        if number <= self.acked[id]:
            return Exception("ONCELOST it may have run")
        if number not in kept:
            kept[number] = self.run(command)
        return kept[number]

    @inlineCallbacks
    def stop(self) -> Any:
        yield DeferredList([server.stop() for server in self.servers])
        yield until(lambda: not any(server.connections for server in self.servers))
