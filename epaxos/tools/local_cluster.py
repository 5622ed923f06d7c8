"""A whole cluster on this host, in the foreground.

`python -m epaxos.tools.local_cluster --config conf/cluster.ini`

The log lines of all replicas are printed, each with the number of its replica.  When a replica ends by
itself, the others are stopped, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.python.failure import Failure

from epaxos.config.model import Config, ConfigError
from epaxos.service.configuration import load_and_check
from epaxos.service.streams import make_streams_usable
from epaxos.tools.launcher import Launcher, ReplicaEnded

__all__ = ["main"]


def _summary(config: Config) -> list[str]:
    """The lines that are printed once the cluster is ready."""
    lines = [f"the cluster {config.cluster.name!r} is ready: {config.n} replicas"]
    for replica in config.replicas:
        lines.append(
            f"replica {replica.id}: Redis clients on {replica.client}, GET /status on {replica.status}"
        )
    return lines


async def run(reactor: Any, path: str) -> None:
    """Run the cluster until SIGINT or SIGTERM.  Raises SystemExit when it cannot run on."""
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
        say(None, f"the launcher cannot tell whether the cluster is ready: {failure.getErrorMessage()}")


def _print(id: int | None, line: str) -> None:
    print(f"{'-' if id is None else id} | {line}", flush=True)


def _give_up_stdout() -> None:
    """Print nothing more: the rest of the buffer would fail once again at the end of the process."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _refusal(text: str) -> int:
    with suppress(OSError):
        print(f"epaxos: {text}", file=sys.stderr, flush=True)
    return 1


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m epaxos.tools.local_cluster",
        description="A whole cluster on this host, in the foreground.",
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="the configuration of the cluster")
    make_streams_usable()
    react(run, [parser.parse_args().config])


if __name__ == "__main__":
    main()
