"""Every command in README.md and docs: start, run as it stands there against real replicas.

A block of ```console has commands behind `$`, with what they say below them; `…` stands for anything.  All
blocks of a page run in one shell, in order.  Only the ports are others, so that nothing is in the way, and
`make run`, which stays in the foreground, runs beside the rest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until
from tests.cluster.pages import Shell, Step, matches, steps, with_ports

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "curl", "make", "redis-benchmark", "redis-cli")
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "VENV")
"""What another make that runs this test would hand on."""
READY = "is ready: 3 replicas"


class ConsoleTests(SynchronousTestCase):
    timeout = 180

    def setUp(self) -> None:
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise SkipTest(f"not installed: {', '.join(missing)}")

    def checkout(self) -> Path:
        """A folder like that of the source, with this very environment."""
        folder = Path(self.mktemp()).resolve()
        (folder / ".venv" / "bin").mkdir(parents=True)
        for name in ("Makefile", "setup.cfg", "pyproject.toml", "epaxos"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (folder / ".venv" / "bin" / "pip").write_text("#!/bin/sh\n")  # everything is installed
        for program in (folder / ".venv" / "bin").iterdir():
            program.chmod(0o755)
        return folder

    def start(self, step: Step, folder: Path, cluster: Cluster) -> None:
        """`make run` in the background, ready."""
        log = folder / "run.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*step.command.split(), f"CONFIG={cluster.config}"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name not in OF_MAKE},
            )

        def stop() -> None:
            subprocess.run(["kill", "-INT", "--", f"-{process.pid}"])
            process.wait(60)

        self.addCleanup(stop)
        wait_until("the cluster is ready", lambda: READY in log.read_text() or process.poll() is not None, 60)
        said = log.read_text()
        self.assertTrue(matches(step.expected, said), f"expected {step.expected!r}\nsaid {said!r}")

    def check(self, page: str) -> None:
        folder = self.checkout()
        with Cluster() as cluster:  # for its ports and its configuration
            shell = Shell(folder)
            self.addCleanup(shell.close)
            done = 0
            for command, expected in steps((ROOT / page).read_text(encoding="utf-8")):
                command = with_ports(command, cluster)
                if command.startswith("make run"):
                    self.start(Step(command, expected), folder, cluster)
                    continue
                said = shell.run(command)
                self.assertTrue(
                    matches(expected, said), f"{page}: {command}\nexpected {expected!r}\nsaid {said!r}"
                )
                done += 1
            self.assertGreater(done, 4)

    def test_start(self) -> None:
        self.check("docs/start.md")

    def test_readme(self) -> None:
        self.check("README.md")


class ParsingTests(SynchronousTestCase):
    def test_commands_and_what_they_say(self) -> None:
        page = "```console\n$ one # a comment\nsaid\n\nmore\n$ two\n```\ntext\n```sh\nthree\n```\n"
        self.assertEqual(list(steps(page)), [Step("one", "said\n\nmore"), Step("two", "")])

    def test_dots_stand_for_anything(self) -> None:
        self.assertTrue(matches("a … b", "a 1\n2 b\n"))
        self.assertFalse(matches("a … b", "a 1 c\n"))
        self.assertFalse(matches("OK", "(error) OK"))
