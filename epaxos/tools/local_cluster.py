"""A whole cluster on this machine, in the foreground.

`python -m epaxos.tools.local_cluster --config conf/cluster.ini`

Every replica is a process of its own, run by twistd as an operator would run it.  Their log lines come
out here, each with the number of its replica.  A replica that is killed by a signal is started again,
as a service manager would; one that ends by itself has found something wrong, and ends the others.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated, ReactorNotRunning
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater, react
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from epaxos.config.addresses import server_address
from epaxos.config.model import Config, ConfigError
from epaxos.service.configuration import load_and_check
from epaxos.service.exit_status import make_streams_usable
from epaxos.tools.redis_client import connect

__all__ = ["Launcher", "ReplicaEnded", "main"]

TWISTD = "from twisted.scripts.twistd import run; run()"
GRACE_S = 10.0
"""So long a replica may take to stop before it is killed."""
RESTART_S = 3.0
"""A replica that was killed is started again after so long."""
POLL_S = 0.1
"""The replicas are asked this often whether they are ready."""
LINE_BYTES_MAX = 65536


class ReplicaEnded(Exception):
    """A replica ended by itself; the text is for people, one line."""


class _Replica(ProcessProtocol):
    """One replica's process, and what it says."""

    def __init__(self, id: int, on_line: Callable[[int, str], None], on_end: Callable[[int, Failure], None]):
        self.id = id
        self._on_line = on_line
        self._on_end = on_end
        self._partial = {1: b"", 2: b""}
        self.ended: Deferred[None] = Deferred()

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        """Its two streams are told apart only so that their lines are not mixed."""
        *lines, rest = (self._partial[descriptor] + data).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            lines, rest = [*lines, rest], b""
        self._partial[descriptor] = rest
        for line in lines:
            self._on_line(self.id, line.decode(errors="replace"))

    def processEnded(self, reason: Failure) -> None:
        """The process is gone and everything that it said has come."""
        for rest in filter(None, self._partial.values()):
            self._on_line(self.id, rest.decode(errors="replace"))
        self._on_end(self.id, reason)
        self.ended.callback(None)

    def signal(self, name: str) -> None:
        """Send it a signal, if it is still there."""
        if not self.ended.called:
            assert self.transport is not None
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(name)


def _address_of(endpoint: str) -> tuple[str, int] | None:
    """Where this machine reaches a plain TCP server endpoint; None for another kind."""
    address = server_address(endpoint)
    if not endpoint.startswith("tcp:") or address is None or address.port is None:
        return None
    return address.interface or "127.0.0.1", address.port


def _sees_all(url: str) -> bool:
    """Whether the replica with this status page answers, and sees all members up.  Blocks."""
    try:
        with urlopen(url, timeout=1) as answer:
            status = json.load(answer)
    except OSError:
        return False
    return all(member["up"] for member in status["members"])


class Launcher:
    """The replicas of `config`, which was read from the file `path`, as child processes.

    `on_line(id, line)` gets what they say; id is None for what the launcher itself says.
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
        """Start every replica; they are stopped before the reactor stops.

        So does SIGHUP, which comes when the terminal is closed, unless it is ignored (nohup): to a
        replica it is a word about its log.
        """
        self._reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(self.stop()))
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._on_hangup))
        for replica in self._config.replicas:
            self._spawn(replica.id)

    def _on_hangup(self) -> None:
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
            # At Ctrl-C every process of a terminal gets SIGINT, this one a little later perhaps.
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
        """Wait until every replica sees every other one up, and commands come through.

        What listens on no TCP port of its own (TLS, a Unix socket) is not asked.
        """
        for replica in self._config.replicas:
            if address := _address_of(replica.status):
                url = "http://{}:{}/status".format(*address)
                while not await deferToThread(_sees_all, url):
                    await deferLater(self._reactor, POLL_S)
        if self._config.cluster.state_machine == "kv":
            for replica in self._config.replicas:
                if address := _address_of(replica.client):
                    connection = await connect(TCP4ClientEndpoint(self._reactor, *address))
                    await connection.ask("EXISTS", "epaxos")
                    connection.close()

    async def stop(self) -> None:
        """Stop every replica; kill those that do not stop in time."""
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


def _summary(config: Config) -> list[str]:
    """What to tell people once the cluster is ready."""
    lines = [f"the cluster {config.cluster.name!r} is ready: {config.n} replicas"]
    for replica in config.replicas:
        lines.append(
            f"replica {replica.id}: Redis clients on {replica.client}, GET /status on {replica.status}"
        )
    return lines


async def run(reactor: Any, path: str) -> None:
    """Run the cluster until SIGINT or SIGTERM.  Raises SystemExit when it cannot go on."""
    try:
        config = load_and_check(path)
    except ConfigError as error:
        raise SystemExit(_refusal(str(error))) from None

    def say(id: int | None, line: str) -> None:
        try:
            _print(id, line)
        except OSError as error:  # as in `make run | head`
            _give_up_stdout()
            if not launcher.failed.called:
                launcher.failed.errback(ReplicaEnded(f"stdout cannot be written: {error.strerror}"))

    launcher = Launcher(reactor, config, path, say)
    launcher.start()
    ready = Deferred.fromCoroutine(_announce(launcher, config, say))
    ready.addErrback(_not_ready, say)
    try:
        await launcher.failed
    except ReplicaEnded as ended:
        ready.cancel()
        raise SystemExit(_refusal(str(ended))) from None


async def _announce(launcher: Launcher, config: Config, say: Callable[[None, str], None]) -> None:
    await launcher.ready()
    for line in _summary(config):
        say(None, line)


def _not_ready(failure: Failure, say: Callable[[None, str], None]) -> None:
    if not failure.check(CancelledError):
        say(None, f"it cannot be seen whether the cluster is ready: {failure.getErrorMessage()}")


def _print(id: int | None, line: str) -> None:
    print(f"{'-' if id is None else id} | {line}", flush=True)


def _give_up_stdout() -> None:
    """Nothing is printed any more, because what is left in the buffer would fail once again at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _refusal(text: str) -> int:
    with suppress(OSError):
        print(f"epaxos: {text}", file=sys.stderr, flush=True)
    return 1


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m epaxos.tools.local_cluster", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="the configuration of the cluster")
    make_streams_usable()
    react(run, [parser.parse_args().config])


if __name__ == "__main__":
    main()
