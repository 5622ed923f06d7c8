"""The core stays pure without anybody having to remember it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import epaxos

ROOT = Path(epaxos.__file__).parent
PURE = ("protocol", "execution")
FORBIDDEN = {"asyncio", "datetime", "logging", "os", "select", "socket", "threading", "time", "twisted"}


def imports(path: Path) -> Iterator[str]:
    """The modules that the file imports when it runs (not those only for type checking)."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        for child in ast.walk(node) if not isinstance(node, ast.If) else ():
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                yield from (f"{child.module}.{alias.name}" for alias in child.names)


class PurityTests(SynchronousTestCase):
    def test_the_core_imports_nothing_of_the_world(self) -> None:
        for package in PURE:
            files = sorted((ROOT / package).rglob("*.py"))
            self.assertTrue(files)
            for path in files:
                for name in imports(path):
                    self.assertNotIn(name.split(".")[0], FORBIDDEN, f"{path.name} imports {name}")

    def test_the_core_is_handed_its_randomness(self) -> None:
        """Only the class Random, to name the type of what is handed in."""
        for package in PURE:
            for path in (ROOT / package).rglob("*.py"):
                for name in imports(path):
                    if name.split(".")[0] == "random":
                        self.assertEqual(name, "random.Random", path.name)
                self.assertNotIn("Random(", path.read_text(), path.name)

    def test_dependencies_point_one_way(self) -> None:
        """protocol/ knows nothing of the rest; nothing but `service/` knows the concrete parts."""
        for path in (ROOT / "protocol").rglob("*.py"):
            for name in imports(path):
                if name.startswith("epaxos."):
                    self.assertTrue(name.startswith("epaxos.protocol."), f"{path.name} imports {name}")
        parts = ("epaxos.storage.", "epaxos.transport.", "epaxos.resp.", "epaxos.statemachines.")
        for path in [*(ROOT / "node").glob("*.py"), *(ROOT / "execution").glob("*.py")]:
            for name in imports(path):
                self.assertFalse(name.startswith(parts), f"{path.name} imports {name}")

    def test_one_place_imports_the_binding_of_leveldb(self) -> None:
        """There are two bindings (`storage/engine.py`), and each test holds for the one that is there."""
        for folder in (ROOT, Path(__file__).parent):
            for path in folder.rglob("*.py"):
                for name in imports(path):
                    self.assertFalse(name.startswith("plyvel"), f"{path.name} imports {name}")
