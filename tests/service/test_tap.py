"""`twistd epaxos`: its options, and what it says of a configuration that is wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.service.service import ReplicaService
from epaxos.service.tap import Options, makeService

ROOT = Path(__file__).parents[2]


class Reactor(MemoryReactorClock):
    """A reactor that runs nothing."""

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        call(*arguments)


class TapTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        self.path = folder / "cluster.ini"
        self.path.write_text(example(3, 7000))
        handler = signal.getsignal(signal.SIGTERM)
        self.addCleanup(signal.signal, signal.SIGTERM, handler)

    def parse(self, *arguments: str) -> Options:
        options = Options()
        options.parseOptions(arguments)
        return options

    def parse_all(self, *arguments: str) -> ServerOptions:
        """As twistd does it."""
        options = ServerOptions()
        options.parseOptions(arguments)
        return options

    def test_the_plugin_is_found(self) -> None:
        (maker,) = (plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "epaxos")
        self.assertIs(maker.options, Options)
        self.assertIs(maker.makeService, makeService)

    def test_options_in_both_lengths(self) -> None:
        for arguments in (
            ("--id", "1", "--config", str(self.path)),
            ("-i", "1", "-c", str(self.path)),
        ):
            options = self.parse(*arguments)
            self.assertEqual(options["id"], 1)
            self.assertEqual(options.config.replica(1).client, "tcp:7101:interface=127.0.0.1")

    def test_every_option_has_help(self) -> None:
        lines = [line.strip() for line in str(Options()).splitlines()]
        for name in ("-i, --id=", "-c, --config=", "-j, --join=", "--check", "--help-settings"):
            (line,) = (line for line in lines if line.startswith(name))
            self.assertGreater(len(line), len(name) + 20)

    def test_wrong_options(self) -> None:
        config = str(self.path)
        for arguments, said in (
            ((), "--id is missing"),
            (("--id", "0"), "--config is missing"),
            (("--config", config), "--id is missing"),
            (("--id", "one", "--config", config), "not the number of a replica"),
            (("--id", "-1", "--config", config), "not the number of a replica"),
            (("--id", "0", "--config", config, "--colour", "red"), "colour"),
            (("--id", "0", "--config", config, "more"), "Wrong number of arguments"),
        ):
            with self.assertRaises(UsageError, msg=str(arguments)) as refusal:
                self.parse(*arguments)
            self.assertIn(said, str(refusal.exception))

    def test_wrong_options_under_twistd(self) -> None:
        """Our own synopsis and one line, not all options of twistd."""
        self.patch(sys, "stdout", output := StringIO())
        with self.assertRaises(SystemExit) as end:
            self.parse_all("epaxos", "--config", str(self.path))
        self.assertEqual(end.exception.code, 1)
        synopsis, line = output.getvalue().splitlines()
        self.assertRegex(synopsis, r"^Usage: .* epaxos --id NUMBER --config FILE \[--join ENDPOINT\]$")
        self.assertEqual(line, "epaxos: --id is missing; `twistd epaxos --help` says more")
        output.truncate(0)
        with self.assertRaises(SystemExit):
            self.parse_all("epaxos", "more")
        line = output.getvalue().splitlines()[-1]
        self.assertEqual(line, "epaxos: Wrong number of arguments; `twistd epaxos --help` says more")

    def test_a_log_of_twistd_alone(self) -> None:
        """What `[log]` says would be of no effect, so the two are not given together."""
        arguments = ("epaxos", "--id", "0", "--config", str(self.path))
        for option, name in (("--syslog", "syslog"), ("--logger=twisted.logger.LogPublisher", "logger")):
            self.path.write_text(example(3, 7000))
            self.assertTrue(self.parse_all(option, *arguments)[name])
            self.path.write_text(example(3, 7000) + "[log]\nformat = json\n")
            with self.assertRaises(SystemExit) as end:
                self.parse_all(option, *arguments)
            self.assertEqual(
                end.exception.code,
                f"epaxos: {self.path}: [log] is of no effect with twistd's --{name}",
            )

    def test_help_of_settings(self) -> None:
        self.patch(sys, "stdout", output := StringIO())
        with self.assertRaises(SystemExit) as end:
            self.parse("--help-settings")
        self.assertEqual(end.exception.code, 0)
        self.assertIn("[timing]\n  heartbeat_s: 0.2 (0.01 to 60 seconds)\n", output.getvalue())

    def test_nobody_reads_the_help_of_settings_to_its_end(self) -> None:
        """As in `twistd epaxos --help-settings | head -1`."""
        reader, writer = os.pipe()
        os.close(reader)
        twistd = "from twisted.scripts.twistd import run; run()"
        command = [sys.executable, "-c", twistd, "epaxos", "--help-settings"]
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True)
        finally:
            os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def refused(self, id: int, text: str | None) -> str:
        """What is said of the configuration `text`, in one line."""
        if text is None:
            self.path.unlink()
        else:
            self.path.write_text(text)
        with self.assertRaises(SystemExit) as end:
            makeService(self.parse("--id", str(id), "--config", str(self.path)), Reactor())
        said = str(end.exception.code)
        self.assertNotIn("\n", said)
        self.assertTrue(said.startswith(f"epaxos: {self.path}: "), said)
        return said

    def test_one_that_joins(self) -> None:
        """It needs its own section alone; so does one whose folder knows the members."""
        first, *others = re.split(r"(?=\[replica )", example(4, 7000, data="data"))
        self.path.write_text(first + others[3])
        config = ("--id", "3", "--config", str(self.path))
        options = self.parse(*config, "--join", "tcp:127.0.0.1:7000")
        self.assertEqual([replica.id for replica in options.config.replicas], [3])
        with self.assertRaises(SystemExit) as end:
            self.parse(*config)
        self.assertEqual(
            end.exception.code,
            f"epaxos: {self.path}: the section [replica 0] is missing; replicas are 0, 1, 2 … without a gap",
        )
        (self.path.parent / "data" / "3" / "db").mkdir(parents=True)
        self.assertEqual(self.parse(*config).config.n, 1)

    def test_where_it_cannot_join(self) -> None:
        for seed, more, said in (
            (
                "7000",
                "",
                "--join 7000: is not the peer address of a member: there is no endpoint type '7000'",
            ),
            ("udp:127.0.0.1:7000", "", "is not the peer address of a member: it is not for transport = tcp"),
            ("tcp:a:1", "[storage]\nengine = memory\n", "a replica that keeps nothing cannot join a cluster"),
        ):
            self.path.write_text(example(3, 7000) + more)
            with self.assertRaises(SystemExit) as end:
                self.parse("--id", "2", "--config", str(self.path), "--join", seed)
            self.assertIn(said, str(end.exception.code))

    def test_wrong_configurations(self) -> None:
        good = example(3, 7000)
        for id, wrong, said in (
            (0, "", "empty"),
            (0, "nonsense", "line 1"),
            (3, good, "[replica 3]"),
            (0, good.replace("name = example", "name = a b"), "[cluster] name"),
            (0, good.replace("[cluster]", "[clutser]"), "clutser"),
            (0, good.replace("[replica 1]", "[replica 7]"), "[replica 1]"),
            (0, good + "[timing]\nheartbeet_s = 1\n", "heartbeat_s"),
            (0, good + "[timing]\nheartbeat_s = soon\n", "heartbeat_s = soon"),
            (0, good.replace("tcp:7101:", "tcp:many:"), "client"),
            (0, good.replace("tcp:7101:", "tcp:7102:"), "taken"),
            (0, good.replace("name = example", "name = example\nstate_machine = abacus"), "abacus"),
            (0, good + "[state_machine]\ncolour = red\n", "colour"),
            (0, good.replace("client = tcp:7100:", "client = systemd:domain=INET:index=0:"), "client"),
            (0, None, "cannot be read"),
        ):
            self.assertIn(said, self.refused(id, wrong))

    def test_check_says_that_all_is_good_and_does_nothing(self) -> None:
        self.patch(sys, "stdout", output := StringIO())
        with self.assertRaises(SystemExit) as end:
            self.parse("--id", "2", "--config", str(self.path), "--check")
        self.assertEqual(end.exception.code, 0)
        self.assertIn("replica 2 of 3", output.getvalue())
        self.assertNotIn("engine = memory", output.getvalue())
        self.assertFalse((self.path.parent.parent / "data").exists())

    def test_check_counts_no_members_that_the_file_may_not_know(self) -> None:
        """Neither where a replica joins, nor where it has a folder already."""
        for number, rest, said in (
            (2, ("--join", "tcp:127.0.0.1:7000"), "good; replica 2, which joins at tcp:127.0.0.1:7000, in "),
            (1, (), "good; replica 1, which was started before, in "),
        ):
            if not rest:
                (load(self.path).replica(number).data / "db").mkdir(parents=True)
            self.patch(sys, "stdout", output := StringIO())
            with self.assertRaises(SystemExit):
                self.parse("--id", str(number), "--config", str(self.path), "--check", *rest)
            self.assertIn(said, output.getvalue())

    def test_check_says_what_an_engine_that_keeps_nothing_costs(self) -> None:
        self.path.write_text(self.path.read_text() + "[storage]\nengine = memory\n")
        self.patch(sys, "stdout", output := StringIO())
        with self.assertRaises(SystemExit) as end:
            self.parse("--id", "2", "--config", str(self.path), "--check")
        self.assertEqual(end.exception.code, 0)
        self.assertIn("the others keep all that it misses", output.getvalue())

    def test_replicas_of_one_folder_write_files_of_their_own(self) -> None:
        rest = ("epaxos", "--id", "1", "--config", str(self.path))
        for given, pid_file, log_file in (
            ((), "epaxos-1.pid", "epaxos-1.log"),
            (("-n",), "", None),
            (("--pidfile", "my.pid", "--logfile", "my.log"), "my.pid", "my.log"),
            (("-n", "--pidfile", "my.pid", "--logfile", "my.log"), "my.pid", "my.log"),
            (("--syslog",), "epaxos-1.pid", None),
        ):
            options = self.parse_all(*given, *rest)
            found = tuple(options[key] and os.path.basename(options[key]) for key in ("pidfile", "logfile"))
            self.assertEqual(found, (pid_file, log_file), given)

    def test_make_service(self) -> None:
        """A replica that has not touched anything yet, in a process that SIGTERM will end with status 0."""
        reactor: Any = Reactor()
        service = makeService(self.parse("--id", "1", "--config", str(self.path)), reactor)
        self.assertIsInstance(service, ReplicaService)
        self.assertEqual(reactor.tcpServers, [])
        self.assertFalse((self.path.parent.parent / "data").exists())
        before = reactor.seconds()
        reactor.advance(1)
        self.assertLess(reactor.seconds() - before, 1, "the clock is not the steady one")
