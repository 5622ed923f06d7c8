"""The files of `conf/` for systemd and logrotate, as their own programs see them."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from epaxos.service.passed_sockets import PORTS
from epaxos.service.supervised import BEAT_S, EXTEND_S

CONF = Path(__file__).parents[2] / "conf"
UNITS = ("epaxos@.service", *(f"epaxos-{port}@.socket" for port in PORTS))
EXPOSURE_MAX = 2.0


class UnitTests(SynchronousTestCase):
    def run_(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        if shutil.which(program) is None:
            raise SkipTest(f"{program} is not installed")
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, env={**os.environ, **environment}
        )

    def installed(self) -> Path:
        """A folder of the units, for an epaxos that is there."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        program = Path(sys.executable).with_name("twistd")
        for name in UNITS:
            text = (CONF / name).read_text()
            (folder / name).write_text(text.replace("/opt/epaxos/bin/twistd", str(program)))
        return folder

    def test_verify(self) -> None:
        names = [name.replace("@", "@0") for name in UNITS]
        folder = self.installed()
        done = self.run_("systemd-analyze", "verify", *names, SYSTEMD_UNIT_PATH=f"{folder}:")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        service = folder / UNITS[0]
        service.write_text(service.read_text().replace("WatchdogSec", "WatchDogSec"))
        done = self.run_("systemd-analyze", "verify", *names, SYSTEMD_UNIT_PATH=f"{folder}:")
        self.assertIn("WatchDogSec", done.stderr, "it finds nothing")

    def test_exposure(self) -> None:
        """By the ten-point scale of `systemd-analyze security`."""
        at_most = f"--threshold={EXPOSURE_MAX * 10:g}"
        unit = str(self.installed() / UNITS[0])
        done = self.run_("systemd-analyze", "security", "--offline=yes", at_most, "--no-pager", unit)
        self.assertEqual(done.returncode, 0, done.stdout[-200:])

    def test_the_service_fits_the_replica(self) -> None:
        lines = (CONF / UNITS[0]).read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        self.assertEqual(settings["Type"], "notify")
        self.assertGreaterEqual(float(settings["WatchdogSec"]), 3 * BEAT_S)
        self.assertGreater(EXTEND_S, 3 * BEAT_S)
        self.assertIn("-HUP", settings["ExecReload"])

    def test_each_port_has_its_socket(self) -> None:
        for port in PORTS:
            lines = (CONF / f"epaxos-{port}@.socket").read_text().splitlines()
            self.assertIn(f"FileDescriptorName={port}", lines)
            self.assertIn("Service=epaxos@%i.service", lines)

    def test_user_and_folders(self) -> None:
        root = Path(self.mktemp()).absolute()
        (root / "etc").mkdir(parents=True)
        done = self.run_("systemd-sysusers", f"--root={root}", str(CONF / "sysusers.d" / "epaxos.conf"))
        self.assertEqual(done.returncode, 0, done.stderr)
        (user,) = [line for line in (root / "etc/passwd").read_text().splitlines() if "epaxos" in line]
        self.assertTrue(user.endswith(":/var/lib/epaxos:/usr/sbin/nologin"), user)
        if os.geteuid():
            raise SkipTest("only root gives folders to others")
        folders = str(CONF / "tmpfiles.d" / "epaxos.conf")
        done = self.run_("systemd-tmpfiles", f"--root={root}", "--create", folders)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        uid = int(user.split(":")[2])
        for name, mode, owner in (("lib", 0o700, uid), ("log", 0o750, uid)):
            stat = (root / "var" / name / "epaxos").stat()
            self.assertEqual((stat.st_mode & 0o777, stat.st_uid), (mode, owner))

    def test_logrotate(self) -> None:
        us = f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"
        own = Path(self.mktemp())  # the users of the host are looked up, too, and `epaxos` need not be there
        own.write_text((CONF / "logrotate.d" / "epaxos").read_text().replace("epaxos epaxos", us))
        own.chmod(0o644)
        done = self.run_("logrotate", "--debug", str(own))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("error:", done.stderr)
