"""What `pip install` brings into an environment, and what `pip uninstall` leaves there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
FILES = ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")
FOLDERS = ("epaxos", "twisted")
"""All that the distributions are built from."""
TWISTD = "from twisted.scripts.twistd import run; run()"


def output_of(*command: object, cwd: Path | str = "/") -> str:
    """What the command says; fails when it does.  It sees nothing of the source: a test runner may have
    named that in the environment for its own processes."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=outside, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def instructions(name: str) -> list[str]:
    """The texts of all instructions of this name in the Containerfile, each in one line."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


class WheelTests(SynchronousTestCase):
    """One wheel, built from a copy of the source, and one environment that it is installed into."""

    def source(self, folder: Path) -> Path:
        """A copy of what the distributions are built from."""
        source = folder / "source"
        source.mkdir(parents=True)
        for name in FILES:
            shutil.copy(ROOT / name, source)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, source / name)
        return source

    def build_sdist(self, folder: Path) -> Path:
        """The source distribution."""
        build = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
        output_of(sys.executable, "-c", build, cwd=self.source(folder))
        (sdist,) = folder.glob("*.tar.gz")
        return sdist

    def build(self, folder: Path) -> Path:
        """The wheel."""
        source = self.source(folder)
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
        output_of(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source)
        (wheel,) = folder.glob("*.whl")
        return wheel

    def environment(self, folder: Path) -> Path:
        """An environment that has what epaxos needs, and not epaxos: its interpreter.

        It reads the packages of this one, but not the link to the source that stands beside them.
        """
        output_of(sys.executable, "-m", "venv", "--without-pip", folder)
        interpreter = folder / "bin" / "python"
        site = Path(
            output_of(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        )
        paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (site / "dependencies.pth").write_text("\n".join(paths))
        return interpreter

    def test_from_source_to_twistd_and_back(self) -> None:
        folder = Path(self.mktemp()).resolve()
        wheel = self.build(folder)
        self.check_content(wheel)
        interpreter = self.environment(folder / "environment")
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", interpreter)
        self.assertNotIn("epaxos", output_of(interpreter, "-c", TWISTD, "--help"))

        output_of(*pip, "install", "-q", "--no-deps", "--no-index", wheel)
        where = output_of(interpreter, "-c", "import epaxos; print(epaxos.__file__)")
        self.assertIn(str(folder), where)
        for cwd in ("/", folder):
            self.assertIn("epaxos", output_of(interpreter, "-c", TWISTD, "--help", cwd=cwd))
            self.assertIn("--config", output_of(interpreter, "-c", TWISTD, "epaxos", "--help", cwd=cwd))
            self.assertIn("wait-ready", output_of(interpreter.with_name("epaxosctl"), "--help", cwd=cwd))

        output_of(*pip, "uninstall", "-q", "-y", "epaxos")
        self.assertNotIn("epaxos", output_of(interpreter, "-c", TWISTD, "--help"))
        self.assertFalse(interpreter.with_name("epaxosctl").exists())

    def test_the_source_distribution_is_complete(self) -> None:
        """It holds what the wheel is built from."""
        folder = Path(self.mktemp()).resolve()
        with tarfile.open(self.build_sdist(folder)) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        suffixes = {".py", ".pyi", ".proto", ".typed", ".lua", ".html", ".css", ".js", ".txt"}
        source = {str(p.relative_to(ROOT)) for p in (ROOT / "epaxos").rglob("*") if p.suffix in suffixes}
        source |= {"twisted/plugins/epaxos_plugin.py", "setup.cfg", "setup.py", "LICENSE", "README.md"}
        self.assertEqual(source - names, set())

    def test_the_wheel_of_the_source_distribution_is_the_same(self) -> None:
        """Whoever packages it from there misses nothing; nothing in it is compiled."""
        folder = Path(self.mktemp()).resolve()
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
        sdist = self.build_sdist(folder)
        output_of(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder / "wheel", sdist)
        (wheel,) = (folder / "wheel").glob("*.whl")
        self.check_content(wheel)

    def check_content(self, wheel: Path) -> None:
        self.assertTrue(wheel.name.endswith("-py3-none-any.whl"), wheel.name)
        names = set(zipfile.ZipFile(wheel).namelist())
        for name in (
            "twisted/plugins/epaxos_plugin.py",
            "epaxos/py.typed",
            "epaxos/wire/wire.proto",
            "epaxos/wire/wire_pb2.pyi",
        ):
            self.assertIn(name, names)
        self.assertEqual(
            {name for name in names if name.startswith("twisted/")},
            {f"twisted/plugins/{path.name}" for path in (ROOT / "twisted/plugins").glob("*.py")},
            "nothing of ours may be taken for a part of Twisted",
        )
        self.assertFalse({name for name in names if "__pycache__" in name or name.startswith("tests/")})
        suffixes = {".py", ".pyi", ".proto", ".typed", ".lua", ".html", ".css", ".js", ".txt"}
        source = {str(p.relative_to(ROOT)) for p in (ROOT / "epaxos").rglob("*") if p.suffix in suffixes}
        self.assertEqual({name for name in names if name.startswith("epaxos/")}, source)


class ContainerfileTests(SynchronousTestCase):
    """No engine builds it here; what it names has to be there."""

    def test_it_copies_what_the_distributions_are_built_from(self) -> None:
        copied = {word for text in instructions("COPY") if "--from" not in text for word in text.split()[:-1]}
        self.assertEqual(copied, {*FILES, *FOLDERS})

    def test_the_user_and_the_place_of_the_data(self) -> None:
        """The last stage runs as the user to whom the volume belongs."""
        (user,) = instructions("USER")
        made = " ".join(instructions("RUN"))
        self.assertRegex(made, rf"useradd .* {user} ")
        (volume,) = instructions("VOLUME")
        self.assertIn(f"install -d -m 700 -o {user} -g {user} {volume}", made)
        self.assertEqual(instructions("WORKDIR")[-1], volume)

    def test_the_ports_are_those_of_the_example(self) -> None:
        example = (ROOT / "conf" / "cluster.ini").read_text(encoding="utf-8")
        section = example[example.index("[replica 0]") : example.index("[replica 1]")]
        ports = re.findall(r"^(?:peer|client|status) = tcp:(\d+)", section, re.MULTILINE)
        self.assertEqual(instructions("EXPOSE"), [" ".join(ports)])
        self.assertIn(f"STATUS_PORT={ports[-1]}", " ".join(instructions("ENV")))

    def test_the_user_is_told(self) -> None:
        (said,) = re.findall(r"UNTESTED.*", (ROOT / "Containerfile").read_text(encoding="utf-8"))
        self.assertIn("no test builds this image", said)
        page = (ROOT / "docs" / "operating" / "install.md").read_text(encoding="utf-8")
        self.assertIn("no test builds the image", " ".join(page.split()))


class MakefileTests(SynchronousTestCase):
    def test_every_command_is_explained(self) -> None:
        text = output_of("make", "-s", "help", cwd=ROOT)
        for command in (
            *(
                "run",
                "demo",
                "quick",
                "test",
                "test-real",
                "pythons",
                "lint",
                "docs",
                "generated",
                "coverage",
            ),
            *("news", "bench", "proto", "clean", "audit"),
        ):
            self.assertIn(f"make {command} ", text)

    def test_what_quick_and_each_python_run_is_there(self) -> None:
        text = output_of("make", "-n", "quick", "part", cwd=ROOT)
        names = re.findall(r"tests/[\w/.]+", text)
        self.assertGreater(len(names), 20)
        for name in names:
            self.assertTrue((ROOT / name).exists(), name)

    def test_a_python_that_does_not_do(self) -> None:
        """One line, and not a traceback out of some installer."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        old = folder / "python-old"
        old.write_text("#!/bin/sh\nexit 1\n")
        old.chmod(0o755)
        done = subprocess.run(
            ["make", "-s", f"PYTHON={old}", f"VENV={folder}/venv", "lint"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("needs Python 3.10 or newer", done.stderr)
        self.assertFalse((folder / "venv").exists())
