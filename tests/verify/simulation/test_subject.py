"""Hunts a state machine that is not ours: a good one passes, and one that breaks a rule of IStateMachine
is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import (
    Command,
    CommandError,
    CommandInfo,
    IStateMachine,
    IStateMachineFactory,
    Ready,
    Reply,
)
from epaxos.protocol.values.messages import Batch
from epaxos.verify.simulation import subject as subject_module
from epaxos.verify.simulation.components import Components
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.pool import Settings
from epaxos.verify.simulation.report import again
from epaxos.verify.simulation.run import Result, simulate
from epaxos.verify.simulation.subject import Subject

ROOT = Path(__file__).parents[3]
TEMPLATES = ("; money", "PAY account#3 account#3 #9", "", "PAY account#3 account#3 #9", "BALANCE account#3")


@implementer(IStateMachine)
class Bank:
    """`PAY from to amount` answers with both balances, `BALANCE account` with one.  Debts are allowed."""

    def __init__(self) -> None:
        self.balances: dict[bytes, int] = {}

    def check(self, command: Command) -> None:
        if {b"PAY": 4, b"BALANCE": 2}.get(command[0]) != len(command):
            raise CommandError("ERR try PAY from to amount, or BALANCE account")

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        return False

    def commands(self) -> Sequence[CommandInfo]:
        return [CommandInfo("pay", 4, True, 1, 2, 1), CommandInfo("balance", 2, False, 1, 1, 1)]

    def is_read(self, name: bytes) -> bool:
        return name == b"BALANCE"

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        return [self.balances.get(account, 0) for _, account in commands]

    def named(self, command: Command) -> Sequence[bytes]:
        return command[1:3]

    def batch(self, commands: Sequence[Command]) -> Batch:
        writes = dict.fromkeys(key for c in commands if c[0] == b"PAY" for key in self.named(c))
        reads = dict.fromkeys(c[1] for c in commands if c[0] == b"BALANCE" and c[1] not in writes)
        payload = json.dumps([[word.decode() for word in command] for command in commands]).encode()
        return Batch(tuple(writes), tuple(reads), payload, len(commands))

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        return [[self.run(*words) for words in json.loads(one.batch.payload)] for one in ready]

    def run(self, name: str, *words: str) -> Reply:
        account = words[0].encode()
        if name == "BALANCE":
            return self.balances.get(account, 0)
        other, amount = words[1].encode(), int(words[2])
        if account == other:
            return CommandError("ERR nobody pays himself")
        self.balances[account] = self.balances.get(account, 0) - amount
        self.balances[other] = self.balances.get(other, 0) + amount
        return [self.balances[account], self.balances[other]]

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        return [(account, b"%d" % balance) for account, balance in self.balances.items()]

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        self.balances = {account: int(balance) for account, balance in entries.items()}
        for one in ready:
            self.apply([one])


class _NamesOneKey(Bank):
    def named(self, command: Command) -> Sequence[bytes]:
        return command[1:2]


class _AnswersByLuck(Bank):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        _AnswersByLuck.made += 1
        self.number = _AnswersByLuck.made

    def run(self, name: str, *words: str) -> Reply:
        return [super().run(name, *words), self.number]


class _ForgetsInRestart(Bank):
    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        super().restore({}, ready)


class _EntriesChange(Bank):
    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        for account in list(self.balances):
            yield account, b"%d" % self.balances[account]


class _AnswersOnce(Bank):
    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        return [replies[:1] for replies in super().apply(ready)]


@implementer(IPlugin, IStateMachineFactory)
class Factory:
    name = "bank"
    description = "Money."

    def __init__(self, kind: type[Bank]) -> None:
        self.kind = kind

    def create(self, options: Mapping[str, str]) -> Any:
        if options.get("currency", "EUR") != "EUR":
            raise ValueError("a bank has EUR alone")
        return self.kind()


def hunt(kind: type[Bank], seeds: Iterable[int]) -> Result:
    """The first run that finds something; the last one when none does."""
    components = Components(subject=Subject(Factory(kind), TEMPLATES))
    for seed in seeds:
        result = simulate(Plan.of(seed, 3, "chaos"), components=components)
        if result.failed:
            break
    return result


class HuntTests(SynchronousTestCase):
    def assert_found(self, kind: type[Bank], *expected: str, first: int = 0) -> None:
        violations = hunt(kind, range(first, first + 80)).violations
        self.assertTrue(violations and violations[0].startswith(expected), violations[:1])

    def test_a_good_one(self) -> None:
        for seed in range(8):
            result = hunt(Bank, [seed])
            self.assertEqual(result.violations, [])
            self.assertTrue(result.answered)

    def test_the_same_seed_is_the_same_run(self) -> None:
        digests = set()
        for _ in range(2):
            components = Components(subject=Subject(Factory(Bank), TEMPLATES))
            digests.add(simulate(Plan.of(1, 3, "chaos"), trace=True, components=components).digest)
        self.assertEqual(len(digests), 1)

    def test_a_key_that_is_not_named(self) -> None:
        self.assert_found(_NamesOneKey, "Replies: ", "Digest: ")

    def test_replies_that_differ(self) -> None:
        self.assert_found(_AnswersByLuck, "Replies: ")

    def test_a_state_that_does_not_come_back(self) -> None:
        self.assert_found(_ForgetsInRestart, "Digest: ", "Replies: ")

    def test_entries_that_change_while_they_are_read(self) -> None:
        self.assert_found(_EntriesChange, "Digest: ", "Replies: ", first=50)

    def test_too_few_replies(self) -> None:
        self.assert_found(_AnswersOnce, "Replies: ")


class CommandTests(SynchronousTestCase):
    """As somebody who wrote a plugin calls it."""

    def call(self, templates: str, *options: str) -> tuple[int, str]:
        folder = Path(self.mktemp())
        plugins = folder / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        plugin = "from tests.verify.simulation.test_subject import Bank, Factory\nfactory = Factory(Bank)\n"
        (plugins / "bank_plugin.py").write_text(plugin)
        (folder / "money.txt").write_text(templates)
        command = "-m epaxos.verify.simulation --seeds 0..3 --n 3 --jobs 1 --state-machine bank --commands"
        done = subprocess.run(
            [sys.executable, *command.split(), str(folder / "money.txt"), *options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(folder.resolve()), str(ROOT)))},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def test_runs(self) -> None:
        status, out = self.call("\n".join(TEMPLATES), "--option", "currency=EUR")
        self.assertEqual(status, 0, out)
        self.assertIn("3 of 3 runs", out)
        self.assertIn("0 failed", out)

    def test_an_option_that_the_factory_refuses(self) -> None:
        status, out = self.call("\n".join(TEMPLATES), "--option", "currency=USD")
        self.assertEqual(status, 2)
        self.assertIn("a bank has EUR alone", out)

    def test_a_wrong_template(self) -> None:
        status, out = self.call("STEAL account#3")
        self.assertEqual(status, 2)
        self.assertIn("'STEAL account", out)
        self.assertIn("is refused: ERR try PAY from to amount", out)


class TemplateTests(SynchronousTestCase):
    def test_what_templates_stand_for(self) -> None:
        subject = Subject(Factory(Bank), ["PAY @ account#2 #100", "BALANCE account#2"])
        workload = Plan.of(0, 3, "lan").workload
        seen = [
            command
            for i in range(200)
            for command in subject.commands_of(Dice(0, "client", i), workload, f"c{i}.")
        ]
        pays = [command for command in seen if command[0] == b"PAY"]
        self.assertEqual({command[2] for command in pays}, {b"account0", b"account1"})
        self.assertEqual(len({command[1] for command in pays}), len(pays))
        self.assertTrue(all(0 <= int(command[3]) < 100 for command in pays))
        self.assertTrue(60 < len(pays) < len(seen) - 60)

    def test_keys(self) -> None:
        subject = Subject(Factory(Bank), TEMPLATES)
        self.assertEqual(subject.keys_of((b"PAY", b"a", b"b", b"1")), (b"a", b"b"))
        self.assertEqual(subject.keys_of((b"BALANCE", b"a")), (b"a",))

    def test_what_cannot_be_hunted(self) -> None:
        for lines, complaint in (
            ([], "there is no command"),
            (["; BALANCE a", " "], "there is no command"),
            (["BALANCE a", "PAY a#3 b#3"], "is refused: ERR try PAY"),
        ):
            error = self.assertRaises(ValueError, Subject, Factory(Bank), lines)
            self.assertIn(complaint, str(error))

    def test_a_file(self) -> None:
        path = Path(self.mktemp())
        error = self.assertRaises(ValueError, Subject.load, "bank", path)
        self.assertTrue(str(error).endswith("cannot be read: No such file or directory"), error)
        path.write_text("\n".join(TEMPLATES), encoding="utf-8")
        error = self.assertRaises(ValueError, Subject.load, "bank", path)
        self.assertIn("there is no state machine 'bank'", str(error))
        with patch.object(subject_module, "find_factory", lambda name: Factory(Bank)):
            self.assertIs(Subject.load("bank", path).kind, Bank)

    def test_the_command_says_how_to_see_it_again(self) -> None:
        settings = Settings(3, None, "bank", Path("money.txt"), (("currency", "EUR"),))
        self.assertEqual(
            again(settings.plan(5), settings),
            "python -m epaxos.verify.simulation --seed 5 --n 3 --state-machine bank --commands money.txt"
            " --option currency=EUR",
        )
