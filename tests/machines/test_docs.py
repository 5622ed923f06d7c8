"""The machines of docs: using/state-machines do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.machines.running import FRAMES_MAX
from epaxos.machines.tables import VALUE_BYTES_MAX
from epaxos.machines.values import INTEGER_BITS_MAX
from tests.machines.pages import ROOT, fenced, module_of, page, write_modules

LOCKS = """
from epaxos.interfaces import CommandError
from epaxos.machines import Alone
from locks import Locks

locks = Alone(Locks)
assert locks.call("acquire", "printer", "ann") == 1
assert locks.call("acquire", "printer", "ann") == 1
try:
    locks.call("acquire", "printer", "bob")
except CommandError as error:
    print(error)
assert locks.call("release", "printer", "bob") is False
assert locks.call("release", "printer", "ann") is True
assert locks.call("release", "printer", "ann") is False
assert locks.call("holder", "printer") == ["", 1]
assert locks.call("acquire", "printer", "bob") == 2
assert locks.call("break_lock", "printer", 1) is False
assert locks.call("break_lock", "printer", 2) is True
assert locks.call("break_lock", "printer", 2) is False
assert locks.call("acquire", "printer", "ann") == 3
"""

LEADERBOARD = """
from epaxos.interfaces import CommandError
from epaxos.machines import Alone
from leaderboard import Leaderboard

board = Alone(Leaderboard)
assert [board.call("score", "chess", "ann", 3), board.call("score", "chess", "bob", 5)] == [3, 5]
assert board.call("top", "chess") == ["bob", "ann"]
assert board.call("score", "chess", "ann", 4) == 7
assert [board.call("top", "chess"), board.call("top", "go")] == [["ann", "bob"], []]
try:
    board.call("score", "chess", "ann", -1)
except CommandError as error:
    print(error)
"""

LISTED = """
from epaxos.machines import Alone
locks = Alone(ListedLocks)
locks.call("acquire", "b", "bob")
locks.call("acquire", "a", "ann")
assert list(locks.call("held").items()) == [("a", "ann"), ("b", "bob")]
"""


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = page("state-machines")
        self.folder = write_modules(Path(self.mktemp()).absolute())

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def run_and_see(self, source: str, printed: str) -> None:
        done = self.python("-c", source)
        self.assertEqual((done.stdout, done.stderr), (printed, ""))

    def test_the_session(self) -> None:
        (session,) = fenced(self.text, "pycon")
        (self.folder / "session.txt").write_text(session)
        done = self.python("-m", "doctest", "session.txt", "-v")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn("6 passed", done.stdout.replace("tests", "").replace(" in 1 item", ""), done.stdout)

    def test_locks(self) -> None:
        self.run_and_see(LOCKS, "LOCKED ann holds it, with the number 1\n")

    def test_results_as_json(self) -> None:
        """What the page shows of redis-cli is a bulk string with this reply in it."""
        (_, console) = fenced(self.text, "console")
        (shown,) = re.findall(r'^"(.*)"$', console, re.MULTILINE)
        source = (
            "from epaxos.machines.runner import MachineRunner\nfrom locks import Locks\n"
            "runner = MachineRunner(Locks())\n"
            "from epaxos.interfaces import Ready\nfrom epaxos.protocol.values.ids import InstanceId\n"
            "batch = runner.batch([[b'ACQUIRE', b'printer', b'ann']])\n"
            "runner.apply([Ready(InstanceId(0, 1), batch, True)])\n"
            "print(runner.read([[b'=holder', b'printer']])[0].decode())\n"
        )
        self.run_and_see(source, shown.replace("\\", "") + "\n")

    def test_leaderboard(self) -> None:
        self.run_and_see(LEADERBOARD, "ERR points are a number\n")

    def test_it_has_a_third_of_the_lines_of_the_interface(self) -> None:
        low, *_ = fenced(page("machine-interface"), "python")
        lines, there = (
            sum(bool(line.strip()) for line in text.splitlines())
            for text in (module_of(self.text, "leaderboard.py"), low)
        )
        self.assertLessEqual(lines * 3, there)

    def test_commands_that_name_everything(self) -> None:
        (listed,) = (block for block in fenced(self.text, "python") if "class ListedLocks" in block)
        self.run_and_see(listed + LISTED, "")

    def test_the_hunt(self) -> None:
        """The command of the page, for fewer seeds, and for the other machines, too."""
        (command,) = re.findall(
            r"\.venv/bin/python (-m epaxos\.verify\.simulation .*)$", self.text, re.MULTILINE
        )
        for machine in ("locks:Locks", "counter:Counter", "leaderboard:Leaderboard"):
            done = self.python(*command.replace("0..200", "0..6").replace("locks:Locks", machine).split())
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_hunt_in_a_test(self) -> None:
        hunted, test = (block for block in fenced(self.text, "python") if "Hunted" in block)
        source = f"from locks import Locks\n{hunted}\n{test.replace('range(20)', 'range(3)')}"
        (self.folder / "test_locks.py").write_text(source)
        done = self.python("-m", "unittest", "test_locks")
        self.assertIn("Ran 1 test", done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_hunt_finds_a_wrong_one(self) -> None:
        wrong = (
            (self.folder / "locks.py")
            .read_text()
            .replace("self.fences[lock] += 1", "self.fences[lock] += __import__('random').randrange(9)")
        )
        (self.folder / "wrong.py").write_text(wrong)
        done = self.python(*"-m epaxos.verify.simulation --seeds 0..4 --machine wrong:Locks".split())  # noqa: SIM905
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("--machine wrong:Locks", done.stdout)

    def test_numbers(self) -> None:
        self.assertIn(f"{VALUE_BYTES_MAX:,}".replace(",", " "), self.text)
        self.assertIn(f"up to {INTEGER_BITS_MAX} bits", self.text)
        self.assertIn(f"more than {FRAMES_MAX} frames", self.text)
