"""The example of docs: using/machine-interface, as a third party would install it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]

CHECK = """
from zope.interface.verify import verifyObject
from epaxos.interfaces import CommandError, IStateMachine, IStateMachineFactory, Ready
from epaxos.protocol.values.ids import InstanceId
from epaxos.statemachines.registry import find_factory

factory = find_factory("leaderboard")
verifyObject(IStateMachineFactory, factory)
machine = factory.create({})
verifyObject(IStateMachine, machine)

batches = []

def run(machine, *lines):
    commands = [line.encode().split() for line in lines]
    for command in commands:
        machine.check(command)
    batches.append(machine.batch(commands))
    return machine.apply([Ready(InstanceId(0, len(batches)), batches[-1], True)])[0]

states = [dict(machine.entries())]
for lines, replies in (
    (["score chess ann 3", "score chess bob 5", "top chess"], [3, 5, [b"bob", b"ann"]]),
    (["top chess", "top go"], [[b"bob", b"ann"], []]),
    (["score go ann 1"], [1]),
    (["score chess ann 4"], [7]),
):
    assert run(machine, *lines) == replies
    assert machine.read([[b"top", b"chess"], [b"TOP", b"go"]]) == run(machine, "top chess", "top go")
    batches.pop()
    states.append(dict(machine.entries()))
assert states[1] == states[2]
assert [machine.is_read(name) for name in (b"TOP", b"top", b"SCORE", b"score")] == [True, True, False, False]
for count, kept in enumerate(list(states)):
    again = factory.create({})
    since = [batch for batch in batches[count:4] if batch.writes]
    again.restore(dict(kept), (Ready(InstanceId(0, 1), batch, False) for batch in since))
    assert dict(again.entries()) == states[-1]
    assert run(again, "top chess") == [[b"ann", b"bob"]]
try:
    machine.check([b"SCORE", b"chess", b"ann", b"many"])
except CommandError as error:
    print("good:", error)
"""


class ExampleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = (ROOT / "docs" / "using" / "machine-interface.md").read_text()
        self.machine, self.plugin = re.findall(r"```python\n(.*?)```", self.text, re.DOTALL)
        self.folder = Path(self.mktemp()).resolve()
        (self.folder / "twisted" / "plugins").mkdir(parents=True)

    def run_with(self, machine: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Python with the state machine installed."""
        (self.folder / "leaderboard.py").write_text(machine)
        (self.folder / "twisted" / "plugins" / "leaderboard_plugin.py").write_text(self.plugin)
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def hunt(self, machine: str) -> subprocess.CompletedProcess[str]:
        """The command of the page, for fewer seeds."""
        (templates,) = re.findall(r"`scores.txt`:\n\n```text\n(.*?)```", self.text, re.DOTALL)
        (self.folder / "scores.txt").write_text(templates)
        (command,) = re.findall(
            r"^\.venv/bin/python (-m epaxos.verify.simulation .*)$", self.text, re.MULTILINE
        )
        return self.run_with(machine, *command.replace("0..200", "0..8").split())

    def test_it_is_found_and_works(self) -> None:
        done = self.run_with(self.machine, "-c", CHECK)
        self.assertEqual((done.stdout, done.stderr), ("good: ERR points are a number\n", ""))

    def test_everything_that_it_needs_is_in_the_interfaces(self) -> None:
        imported = re.findall(r"^from (epaxos\S*) import", self.machine, re.MULTILINE)
        self.assertEqual(imported, ["epaxos.interfaces"])

    def test_one_that_was_written_before_the_rooms_works(self) -> None:
        """This page told people to import from modules that have moved since."""
        old = [
            "from epaxos.protocol.messages import Batch",
            "from epaxos.statemachines.shards import ShardedDict",
        ]
        machine = self.machine.replace("    Batch,\n", "")
        machine = machine.replace("ARGUMENTS = {", "\n".join([*old, "ShardedDict()", "ARGUMENTS = {"]), 1)
        self.assertNotIn("    Batch,\n", machine)
        done = self.run_with(machine, "-c", CHECK)
        self.assertEqual((done.stdout, done.stderr), ("good: ERR points are a number\n", ""))

    def test_the_simulator_finds_nothing_in_it(self) -> None:
        done = self.hunt(self.machine)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_simulator_finds_what_is_wrong(self) -> None:
        """A machine that does not name what it writes."""
        wrong = self.machine.replace("Batch(tuple(writes), ", "Batch((b'x%d' % len(payload),), ")
        self.assertNotEqual(wrong, self.machine)
        done = self.hunt(wrong)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
