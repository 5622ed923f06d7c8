"""The replicas of a cluster as child processes of this one, for `make run` and `make demo`.

Every replica is run by twistd as an operator would run it.  A replica that a signal has killed is started
again, as a service manager would do.  A replica that ends by itself has found something wrong, and the
launcher reports it.
"""

from __future__ import annotations

import base64
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.request import Request, urlopen

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated, ReactorNotRunning
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from epaxos.client.connection import connect
from epaxos.config.addresses import server_address
from epaxos.config.model import Config
from epaxos.config.settings import Security

__all__ = ["Launcher", "ReplicaEnded", "address_of"]

TWISTD = "from twisted.scripts.twistd import run; run()"
GRACE_S = 10.0
"""The seconds that a replica may take to stop before it is killed."""
RESTART_S = 3.0
"""The seconds after which a replica that was killed is started again."""
POLL_S = 0.1
"""The seconds between two questions whether a replica is ready."""
LINE_BYTES_MAX = 65536
"""The bytes of a line that are printed in one piece."""
READY = "is ready for clients"
"""What a replica logs when it has opened its ports (`ReplicaService`)."""


class ReplicaEnded(Exception):
    """A replica ended by itself; the text is one line for people."""


class _Replica(ProcessProtocol):
    """The process of one replica, and what it prints."""

    def __init__(self, id: int, on_line: Callable[[int, str], None], on_end: Callable[[int, Failure], None]):
        self.id = id
        self._on_line = on_line
        self._on_end = on_end
        self._partial = {1: b"", 2: b""}
        self.ended: Deferred[None] = Deferred()
        self.has_opened_its_ports = False

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        """See ProcessProtocol.  The two streams are kept apart so that their lines do not mix."""
        *lines, rest = (self._partial[descriptor] + data).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            lines, rest = [*lines, rest], b""
        self._partial[descriptor] = rest
        for line in lines:
            text = line.decode(errors="replace")
            self.has_opened_its_ports = self.has_opened_its_ports or READY in text
            self._on_line(self.id, text)

    def processEnded(self, reason: Failure) -> None:
        """See ProcessProtocol.  The process has ended, and everything that it printed was received."""
        for rest in filter(None, self._partial.values()):
            self._on_line(self.id, rest.decode(errors="replace"))
        self._on_end(self.id, reason)
        self.ended.callback(None)

    def signal(self, name: str) -> None:
        """Send the signal of this name, unless the process has ended."""
        if not self.ended.called and self.transport is not None:
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(name)


def address_of(endpoint: str, security: Security) -> tuple[str, int] | None:
    """The address at which this process is served at a plain TCP server endpoint; None for another kind.

    None also where protected mode would refuse this process, because the endpoint is not on loopback.
    """
    address = server_address(endpoint)
    if not endpoint.startswith("tcp:") or address is None or address.port is None:
        return None
    host = address.interface or "127.0.0.1"
    if security.protected_mode and not security.requirepass and not _is_loopback(host):
        return None
    return host, address.port


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sees_all(url: str, password: str) -> bool:
    """Whether the replica with this status page answers and has all members up.  Blocks for up to 1 s."""
    request = Request(url)
    if password:
        request.add_header("Authorization", f"Basic {base64.b64encode(f':{password}'.encode()).decode()}")
    try:
        with urlopen(request, timeout=1) as answer:
            status = json.load(answer)
    except OSError:
        return False
    return all(member["up"] for member in status["members"])


class Launcher:
    """The replicas of `config`, which was read from the file `path`, as child processes.

    `on_line(id, line)` gets each line that they print; id is None for lines of the launcher itself.
    `failed` fires with ReplicaEnded when a replica ends by itself.
    """

    def __init__(self, reactor: Any, config: Config, path: str, on_line: Callable[[int | None, str], None]):
        self.failed: Deferred[None] = Deferred()
        self._reactor = reactor
        self._config = config
        self._path = path
        self._on_line = on_line
        self._replicas: dict[int, _Replica] = {}
        self._stopping = False

    def start(self) -> None:
        """Start every replica, and stop them all before the reactor stops.

        SIGHUP, which is sent when the terminal is closed, stops the reactor, too, unless it is ignored
        (nohup).  The replicas do not end by it, because to them it is about their log.
        """
        self._reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(self.stop()))
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            self._stop_on(signal.SIGHUP)
        self._reactor.callWhenRunning(self._replace_handlers)
        for replica in self._config.replicas:
            self._spawn(replica.id)

    def _replace_handlers(self) -> None:
        """Replace Twisted's handlers, which log a traceback at a signal that comes while it stops."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) in (self._reactor.sigInt, self._reactor.sigTerm):
                self._stop_on(number)

    def _stop_on(self, number: signal.Signals) -> None:
        signal.signal(number, lambda *_: self._reactor.callFromThread(self._stop_reactor))

    def _stop_reactor(self) -> None:
        with suppress(ReactorNotRunning):
            self._reactor.stop()

    def _spawn(self, id: int) -> None:
        if self._stopping:
            return
        self._replicas[id] = replica = _Replica(id, self._on_line, self._on_end)
        arguments = [sys.executable, "-c", TWISTD, "-n", "epaxos", "--id", str(id), "--config", self._path]
        self._reactor.spawnProcess(replica, sys.executable, arguments, env=None)

    def _on_end(self, id: int, reason: Failure) -> None:
        status, number = 0, None
        if isinstance(reason.value, ProcessTerminated):
            status, number = reason.value.exitCode, reason.value.signal
        if self._stopping:
            return
        if number is not None:
            name = signal.Signals(number).name
            # Nothing is said at Ctrl-C: every process of the terminal gets SIGINT, this one perhaps later.
            if number != signal.SIGINT:
                text = f"replica {id} was killed by {name}; it is started again in {RESTART_S:g} s"
                self._on_line(None, text)
            self._reactor.callLater(RESTART_S, self._restart, id, name)
        elif not self.failed.called:
            self.failed.errback(ReplicaEnded(f"replica {id} ended with status {status}"))

    def _restart(self, id: int, name: str) -> None:
        if not self._stopping:
            self._on_line(None, f"replica {id}, which was killed by {name}, is started again")
            self._spawn(id)

    async def ready(self) -> None:
        """Wait until every replica has every other one up, and executes commands.

        A replica is asked after it has said that its ports are open, because another process may
        answer at these ports before.  A replica that does not listen on a plain TCP port (but with
        TLS, say), or that would refuse this process, is not asked.
        """
        security = self._config.security
        for replica in self._config.replicas:
            while not self._replicas[replica.id].has_opened_its_ports:
                await deferLater(self._reactor, POLL_S)
            if address := address_of(replica.status, security):
                url = "http://{}:{}/status".format(*address)
                while not await deferToThread(_sees_all, url, security.requirepass):
                    await deferLater(self._reactor, POLL_S)
        if self._config.cluster.state_machine == "kv":
            for replica in self._config.replicas:
                if address := address_of(replica.client, security):
                    endpoint = TCP4ClientEndpoint(self._reactor, *address)
                    connection = await connect(endpoint, security.requirepass)
                    await connection.ask("EXISTS", "epaxos")
                    connection.close()

    async def stop(self) -> None:
        """Stop every replica; kill those that have not stopped after GRACE_S."""
        self._stopping = True
        running = [replica for replica in self._replicas.values() if not replica.ended.called]
        for replica in running:
            replica.signal("TERM")
        late = self._reactor.callLater(GRACE_S, self._kill, running)
        await DeferredList([replica.ended for replica in running])
        if late.active():
            late.cancel()

    def _kill(self, replicas: list[_Replica]) -> None:
        for replica in replicas:
            if not replica.ended.called:
                self._on_line(None, f"replica {replica.id} does not stop; it is killed")
                replica.signal("KILL")
