"""`twistd epaxos`: its options, and the service that they ask for."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from epaxos.config.model import Config, ConfigError
from epaxos.config.render import help_text
from epaxos.config.settings import Log, ReplicaConfig
from epaxos.service.assembly import build
from epaxos.service.bounds import MEMORY_KEEPS_ALL
from epaxos.service.client_tls import check_client_tls
from epaxos.service.clients import users_of
from epaxos.service.configuration import has_begun, load_and_check
from epaxos.service.descriptors import raise_limit
from epaxos.service.exit_status import Process
from epaxos.service.log_file import ReplicaLog, choose, use_levels
from epaxos.service.machines import machine_of
from epaxos.service.passed_sockets import passed_sockets
from epaxos.service.peer_tls import check_peer_tls
from epaxos.service.pid_file import remove_stale
from epaxos.service.service_manager import ServiceManager
from epaxos.service.streams import make_streams_usable, print_long
from epaxos.service.supervised import Supervised
from epaxos.service.timeouts import use_steady_clock

__all__ = ["Options", "makeService"]

SWITCH_INTERVAL_S = 0.0005
"""The longest time for which a busy event loop keeps the interpreter lock that the store's thread waits
for.  Python's default of 5 ms is ten times as long as a sync takes on a good disk."""

GC_THRESHOLDS = (10_000, 1, 10_000)
"""See gc.set_threshold.  A read of a thousand commands makes a thousand lists, and by default Python would
look for cycles after every 700.  Cycles are rare: exceptions make them, and hardly anything else.  What was
looked at twice, 20 000 objects at a time, which takes a millisecond, is left alone for a long time: a search
among a million small hashes takes 200 ms, during which the replica does nothing else."""


def _id(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not the number of a replica: 0, 1, 2 …")
    return int(text)


class Options(usage.Options):
    """The options of `twistd epaxos`."""

    synopsis = "--id NUMBER --config FILE [--join ENDPOINT]"
    longdesc = (
        "Runs one replica of an epaxos cluster.  SIGTERM stops it.  Exit status 0: it was told to stop;"
        " 1: it failed; 3: its data is damaged, lost, a copy or another's; 4: it is no member any more;"
        " 5: the program is too old for the cluster.  conf/cluster.ini is an example of a configuration."
    )
    optParameters = [
        ["id", "i", None, "The number of this replica; [replica NUMBER] is its section of the file.", _id],
        ["config", "c", None, "The configuration file: of the cluster, or of this replica alone."],
        [
            "join",
            "j",
            "",
            "Join the cluster that has a member at this peer address, such as tcp:10.0.0.1:7000.  Of no"
            " effect once the replica has been a member.",
        ],
    ]
    optFlags = [["check", None, "Only check the configuration, and say that it is good or what is wrong."]]

    config: Config
    log: ReplicaLog | None = None

    def __init__(self) -> None:
        make_streams_usable()
        super().__init__()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """See usage.Options.  Under twistd, wrong options end the process, with the synopsis and one line.

        twistd itself would print everything about all options.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            why = str(error).rstrip(".")
            print(self.getSynopsis(), f"epaxos: {why}; `twistd epaxos --help` says more", sep="\n")
            sys.exit(1)

    def opt_help_settings(self) -> None:
        """Print every setting of the configuration file, and exit."""
        print_long(help_text())
        sys.exit(0)

    def postOptions(self) -> None:
        """Read the configuration.  A wrong one ends the process, with one line on stderr."""
        for name in ("id", "config"):
            if self[name] is None:
                raise usage.UsageError(f"--{name} is missing")
        try:
            self.config = load_and_check(self["config"], self["id"], self["join"])
            replica = self.config.replica(self["id"])
            if self["check"]:
                check_peer_tls(self.config, replica.id)
                check_client_tls(self.config, replica.id)
                users_of(self.config, machine_of(self.config).commands())
        except ConfigError as error:
            sys.exit(f"epaxos: {error}")
        if self["check"]:
            print(f"{self.config.path}: good; {self._who(replica)} in {replica.data}")
            if self.config.storage.engine == "memory":
                print(f"{self.config.path}: {MEMORY_KEEPS_ALL}")
            sys.exit(0)
        self._keep_apart()

    def _who(self, replica: ReplicaConfig) -> str:
        """The replica, with what is known of it: the file counts the members of a new cluster alone."""
        if has_begun(replica):
            return f"replica {replica.id}, which was started before,"
        if self["join"]:
            return f"replica {replica.id}, which joins at {self['join']},"
        return f"replica {replica.id} of {self.config.n}"

    def _keep_apart(self) -> None:
        """Give the files that twistd writes names of this replica, so that replicas can share a folder.

        In the foreground there is no pid file, because the lock on the data folder protects as well, and
        because a pid file that a kill -9 left behind would keep the replica from starting again.
        """
        twistd = self.parent
        if twistd is None:
            return
        name = f"epaxos-{self['id']}"
        if twistd["pidfile"] == "twistd.pid":
            twistd["pidfile"] = "" if twistd["nodaemon"] else f"{name}.pid"
        if twistd["logfile"] is None and not twistd["nodaemon"] and not twistd["syslog"]:
            twistd["logfile"] = f"{name}.log"
        self._choose_log(twistd)
        if twistd["pidfile"]:
            keeps = self.config.storage.engine != "memory"
            data = self.config.replica(self["id"]).data if keeps else None
            remove_stale(Path(twistd["pidfile"]), self["id"], data)

    def _choose_log(self, twistd: Any) -> None:
        """Have twistd write the log as `[log]` says, unless it is told another way on its command line."""
        if twistd["syslog"] or twistd["logger"]:
            if self.config.log != Log():
                option = "--syslog" if twistd["syslog"] else "--logger"
                sys.exit(f"epaxos: {self.config.path}: [log] is of no effect with twistd's {option}")
            return
        if twistd["logfile"] not in (None, "", "-"):
            self.log, twistd["logger"] = choose(os.path.abspath(twistd["logfile"]), self.config.log)
        elif twistd["nodaemon"]:
            _, twistd["logger"] = choose("", self.config.log)


def makeService(options: Options, reactor: Any = None) -> IService:
    """The replica that the options name."""
    if reactor is None:
        from twisted.internet import reactor
    use_steady_clock(reactor)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(*GC_THRESHOLDS)
    reactor.callWhenRunning(gc.freeze)  # whatever exists by then stays until the end
    process = Process(reactor)
    manager = ServiceManager.of(os.environ)
    supervised = None if manager is None else Supervised(manager, reactor)
    process.take_signals(
        options.log,
        nullcontext if supervised is None else supervised.reloading,
        lambda: service.reload(),
    )
    try:
        service = build(
            options.config,
            options["id"],
            reactor,
            refuse=process.refuse,
            fail=process.fail,
            descriptors=raise_limit(),
            seed=options["join"],
            on_phase=None if supervised is None else supervised.on_phase,
            passed=passed_sockets(reactor, os.environ),
            read=partial(load_and_check, Path(options["config"]).absolute(), options["id"], options["join"]),
            use_levels=use_levels,
        )
    except ConfigError as error:
        sys.exit(f"epaxos: {error}")
    if supervised is not None:
        supervised.describe_by(lambda: service.status)
    return service
