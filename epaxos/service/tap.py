"""`twistd epaxos`: its options, and the service that they ask for."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from epaxos.config.file import Config, ConfigError, load
from epaxos.service.assembly import build
from epaxos.service.descriptors import raise_limit
from epaxos.service.exit_status import Process, make_streams_usable
from epaxos.service.log_file import ReplicaLog, choose
from epaxos.service.timeouts import use_steady_clock
from epaxos.storage.folder import is_in_use

__all__ = ["Options", "makeService"]

SWITCH_INTERVAL_S = 0.0005
"""The store's thread gives up the interpreter lock to write, and a busy event loop would hand it back
only after Python's default of 5 ms: ten times what a sync takes on a good disk."""

GC_THRESHOLDS = (50_000, 20, 100)
"""A read of a thousand commands makes a thousand lists, and Python would look for garbage among them
every 700. What is no longer used goes without: cycles are made by exceptions, and hardly elsewhere."""


def _id(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not the number of a replica: 0, 1, 2 …")
    return int(text)


class Options(usage.Options):
    """The options of `twistd epaxos`."""

    synopsis = "--id NUMBER --config FILE"
    longdesc = (
        "Runs one replica of an epaxos cluster. SIGTERM stops it. Status 0: it was told to; 1: it failed."
    )
    optParameters = [
        ["id", "i", None, "The number of this replica: which section [replica NUMBER] is its own.", _id],
        ["config", "c", None, "The configuration of the cluster, an ini file that all replicas are given."],
    ]
    optFlags = [["check", None, "Only say whether the configuration is good."]]

    config: Config
    log: ReplicaLog | None = None

    def __init__(self) -> None:
        make_streams_usable()
        super().__init__()

    def postOptions(self) -> None:
        """Read the configuration.  What is wrong with it ends the process, with one line."""
        for name in ("id", "config"):
            if self[name] is None:
                raise usage.UsageError(f"--{name} is missing")
        try:
            self.config = load(self["config"])
            replica = self.config.replica(self["id"])
        except ConfigError as error:
            sys.exit(f"epaxos: {error}")
        if self["check"]:
            print(f"{self.config.path}: good; replica {replica.id} of {self.config.n} in {replica.data}")
            sys.exit(0)
        self._keep_apart()

    def _keep_apart(self) -> None:
        """Names of its own for the files that twistd writes, so that replicas can share a folder.

        In the foreground there is no pid file: what it would guard against, the lock on the data
        folder does, and one that a kill -9 left behind cannot keep a replica from starting again.
        """
        twistd = self.parent
        if twistd is None:
            return
        name = f"epaxos-{self['id']}"
        if twistd["pidfile"] == "twistd.pid":
            twistd["pidfile"] = "" if twistd["nodaemon"] else f"{name}.pid"
        if twistd["logfile"] is None and not twistd["nodaemon"] and not twistd["syslog"]:
            twistd["logfile"] = f"{name}.log"
        if twistd["logfile"] not in (None, "", "-") and not (twistd["syslog"] or twistd["logger"]):
            self.log, twistd["logger"] = choose(os.path.abspath(twistd["logfile"]))
        if twistd["pidfile"]:
            self._check_pid_file(Path(twistd["pidfile"]))

    def _check_pid_file(self, path: Path) -> None:
        """Remove a pid file that no live replica of ours wrote: twistd would refuse to start because of
        an empty one, or because another process has got the number since."""
        id = self["id"]
        try:
            try:
                text = path.read_text(errors="replace")
            except FileNotFoundError:
                if not os.access(path.parent, os.W_OK):
                    sys.exit(f"epaxos: the pid file {path} cannot be written")
                return
            number = int(text) if text.strip().isdecimal() else None
            if self.config.storage.engine == "memory":
                lives = number is not None and _is_replica(number, id)
            else:
                lives = _is_in_use(self.config.replica(id).data)
            if lives:
                who = "another process" if number is None else f"process {number}"
                sys.exit(f"epaxos: replica {id} runs already, says {path}: {who}")
            path.unlink()
        except OSError as error:
            sys.exit(f"epaxos: the pid file {path} cannot be used: {error.strerror}")


def _is_in_use(data: Path) -> bool:
    """Whether a replica has it open.  What is wrong with a folder that cannot be opened, the store says."""
    try:
        return is_in_use(data)
    except OSError:
        return False


def _is_replica(number: int, id: int) -> bool:
    """Whether the process runs replica `id`, as far as its command line says; only where there is /proc."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    if number == os.getpid() or b"epaxos" not in words:
        return False
    rest = words[words.index(b"epaxos") :]
    given = [b"%d" % id, b"--id=%d" % id, b"-i%d" % id]
    return any(word in given for word in rest)


def makeService(options: Options, reactor: Any = None) -> IService:
    """The replica that the options name."""
    if reactor is None:
        from twisted.internet import reactor
    use_steady_clock(reactor)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(*GC_THRESHOLDS)
    reactor.callWhenRunning(gc.freeze)  # all that is there by then stays
    process = Process(reactor)
    process.take_signals(options.log)
    try:
        return build(
            options.config,
            options["id"],
            reactor,
            refuse=process.refuse,
            fail=process.fail,
            descriptors=raise_limit(),
        )
    except ConfigError as error:
        sys.exit(f"epaxos: {error}")
