"""What PyPI has for us: everything that the product needs, as wheels, on every Python that is named.

Skipped, with a word, where PyPI cannot be reached.
"""

from __future__ import annotations

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests import test_packaging
from tests.pythons import MINORS
from tests.test_packaging import ROOT, TWISTD, output_of

REAL = True
"""See real.py."""
MINORS_RESOLVED = (*MINORS, 14)
"""Of 3.14 there is not more than this: nobody has run the tests on it."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
UNREACHABLE = ("Connection", "Temporary failure", "timed out", "ProxyError", "Could not fetch URL")
TIMEOUT_S = 300


def requirements() -> list[Requirement]:
    """Of setup.cfg, each with its marker."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].strip().splitlines()
    return [Requirement(line) for line in lines]


def needed(minor: int) -> list[str]:
    """What CPython 3.`minor` on Linux needs."""
    environment = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
    return [
        f"{requirement.name}{requirement.specifier}"
        for requirement in requirements()
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]


def run_pip(*arguments: object) -> None:
    """Fails when pip does; skips the test when PyPI cannot be reached."""
    command = [*PIP, "--retries=1", *map(str, arguments)]
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=outside, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        if any(word in done.stderr for word in UNREACHABLE):
            raise SkipTest("PyPI cannot be reached")
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


class ResolvingTests(SynchronousTestCase):
    timeout = len(MINORS_RESOLVED) * TIMEOUT_S

    def test_one_binding_of_leveldb_for_each(self) -> None:
        for minor in MINORS_RESOLVED:
            names = [name for name in needed(minor) if name.startswith("plyvel")]
            self.assertEqual(len(names), 1, names)
            self.assertEqual(names[0].startswith("plyvel-next"), minor >= 12)

    def test_wheels_for_each(self) -> None:
        """Also what those need in turn."""
        for minor in MINORS_RESOLVED:
            folder = Path(self.mktemp())
            where = [option for platform in PLATFORMS for option in ("--platform", platform)]
            run_pip(
                *("download", "-q", "--only-binary=:all:", "--implementation=cp"),
                *(f"--python-version=3.{minor}", *where, "-d", folder, *needed(minor)),
            )
            found = sorted(path.name.partition("-")[0].lower() for path in folder.iterdir())
            for name in ("twisted", "zope_interface", "protobuf", "hiredis", "attrs", "click", "rich"):
                self.assertIn(name, found, f"3.{minor}")


class InstallingTests(SynchronousTestCase):
    timeout = 2 * TIMEOUT_S

    def test_the_wheel_into_an_empty_environment(self) -> None:
        """With it comes nothing that is not a wheel."""
        folder = Path(self.mktemp()).resolve()
        self.check(folder, test_packaging.WheelTests().build(folder))

    def test_the_source_distribution_into_an_empty_environment(self) -> None:
        """pip builds it by itself; everything else comes as wheels."""
        folder = Path(self.mktemp()).resolve()
        self.check(folder, test_packaging.WheelTests().build_sdist(folder), "--no-binary=epaxos")

    def check(self, folder: Path, distribution: Path, *options: str) -> None:
        """Installed, it brings `twistd epaxos` and `epaxosctl`."""
        output_of(sys.executable, "-m", "venv", "--without-pip", folder / "environment")
        interpreter = folder / "environment" / "bin" / "python"
        run_pip("--python", interpreter, "install", "-q", "--only-binary=:all:", *options, distribution)
        self.assertIn("--config", output_of(interpreter, "-c", TWISTD, "epaxos", "--help"))
        self.assertIn("epaxos", output_of(interpreter.with_name("twistd"), "--help"))
        self.assertIn("wait-ready", output_of(interpreter.with_name("epaxosctl"), "--help"))
        check = "from epaxos.storage.leveldb.engine import NAME; import hiredis, sys; print(NAME, sys.prefix)"
        self.assertIn(str(folder), output_of(interpreter, "-c", check))
