"""Hunts machines: a good one passes, and each that breaks a rule of machines is found."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.machines import EVERYTHING, Machine, Refused, Table, command
from epaxos.verify.judges.history import History
from epaxos.verify.judges.linearizability import Verdict, judge
from epaxos.verify.simulation.__main__ import main
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.hunt import hunt
from epaxos.verify.simulation.own_machine import MachineModel, MachineSubject, find_machine
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.pool import Settings
from epaxos.verify.simulation.report import again

SEEDS = range(12)


class Accounts(Machine):
    """Money, of which nobody has less than nothing."""

    balances = Table(int)
    notes = Table(dict)
    examples = {"amount": (1, 2, 5)}

    @command(writes="account")
    def pay_in(self, account: str, amount: int = 1) -> int:
        self.balances[account] += amount
        self.notes[account][str(amount)] = self.balances[account]
        return self.balances[account]

    @command(writes=("source", "target"))
    def pay(self, source: str, target: str, amount: int) -> list[int]:
        if self.balances[source] < amount:
            raise Refused("too little", code="POOR")
        self.balances[source] -= amount
        self.balances[target] += amount
        return [self.balances[source], self.balances[target]]

    @command(reads="account")
    def balance(self, account: str) -> int:
        return self.balances[account]

    @command(reads="accounts")
    def together(self, *accounts: str) -> int:
        return sum(self.balances[account] for account in accounts)

    @command(reads=EVERYTHING)
    def everybody(self) -> dict[str, int]:
        return dict(self.balances)

    @command(writes="account")
    def note(self, account: str, fact: object, yes: bool, share: float, data: bytes, items: list[Any]) -> int:
        self.notes[account]["note"] = [fact, yes, share, data, items]
        return len(self.notes[account])


class Chance(Accounts):
    """Its effect depends on chance."""

    @command(writes="account")
    def pay_in(self, account: str, amount: int = 1) -> int:
        self.balances[account] += random.randrange(100)
        return 0


class Hidden(Accounts):
    """Commands share an attribute, and not a key."""

    def __init__(self) -> None:
        self.count = [0]

    @command(writes="account")
    def pay_in(self, account: str, amount: int = 1) -> int:
        self.count[0] += 1
        self.balances[account] += self.count[0]
        return self.balances[account]


class Remembering(Accounts):
    """It answers a read from an attribute, which a restart loses."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    @command(writes="account")
    def pay_in(self, account: str, amount: int = 1) -> int:
        self.last[account] = amount
        self.balances[account] += amount
        return self.balances[account]

    @command(reads="account")
    def balance(self, account: str) -> int:
        return self.last.get(account, 0)


class Global(Accounts):
    """Commands share a variable of the class."""

    total: ClassVar[list[int]] = [0]

    @command(writes="account")
    def pay_in(self, account: str, amount: int = 1) -> int:
        self.total[0] += amount
        return self.total[0]


class Unordered(Accounts):
    """What it keeps depends on the order of a set of objects."""

    @command(writes="account")
    def pay_in(self, account: str, amount: int = 1) -> int:
        self.notes[account]["order"] = [each.n for each in {Number(n) for n in range(8)}]
        return 0


class Number:
    """Its hash is its address."""

    def __init__(self, n: int) -> None:
        self.n = n


class Failing(Accounts):
    """It raises what is no refusal."""

    @command(writes="account")
    def pay_in(self, account: str, amount: int = 1) -> int:
        raise KeyError(account)


class HuntTests(SynchronousTestCase):
    def test_a_good_machine(self) -> None:
        self.assertEqual(hunt(Accounts, SEEDS), [])

    def test_what_breaks_a_rule_is_found(self) -> None:
        for machine, texts in (
            (Chance, ("Digest", "Replies", "Linearizability")),
            (Hidden, ("Digest", "Replies", "Linearizability")),
            (Remembering, ("Linearizability", "Replies")),
            (Global, ("Replies", "Linearizability")),
            (Unordered, ("Digest",)),
            (Failing, ("pay_in failed, and nothing was changed",)),
        ):
            found = hunt(machine, range(30))
            self.assertTrue(found, machine.__name__)
            self.assertTrue(any(text in found[0] for text in texts), f"{machine.__name__}: {found[0]}")
            self.flushLoggedErrors(KeyError)

    def test_commands_are_valid_and_the_same_for_a_seed(self) -> None:
        subject = MachineSubject(Accounts)
        machine = subject.state_machine()
        workload = Plan.of(0).workload
        drawn = []
        for _ in range(2):
            dice = Dice(5, "test")
            drawn.append([words for _ in range(300) for words in subject.commands_of(dice, workload, "")])
        self.assertEqual(drawn[0], drawn[1])
        for words in drawn[0]:
            machine.check(words)
        self.assertEqual({words[0].decode() for words in drawn[0]}, set(Accounts.command_specs))
        self.assertEqual({len(words) for words in drawn[0] if words[0] == b"PAY_IN"}, {2, 3})
        amounts = {words[2] for words in drawn[0] if words[0] == b"PAY_IN" and len(words) == 3}
        self.assertEqual(amounts, {b"1", b"2", b"5"})


class ModelTests(SynchronousTestCase):
    def judged(self, *calls: tuple[str, object]) -> Verdict:
        """The verdict on commands one after the other, with these replies."""
        history = History()
        for number, (line, reply) in enumerate(calls):
            operation = history.call(str(number), tuple(line.encode().split()), 0, 0)
            history.answer(operation, reply)  # type: ignore[arg-type]
        return judge(history.operations, model=MachineModel(Accounts)).verdict

    def test_good_histories(self) -> None:
        poor = CommandError("POOR too little")
        verdict = self.judged(
            ("PAY_IN a 2", 2), ("PAY a b 1", [1, 1]), ("PAY a b 3", poor), ("TOGETHER a b", 2),
            ("BALANCE c", 0), ("TOGETHER", 0),
            ("EVERYBODY", [b"a", 1, b"b", 1]), ("PAY_IN b -1", 0), ("EVERYBODY", [b"a", 1]),
        )  # fmt: skip
        self.assertIs(verdict, Verdict.LINEARIZABLE)

    def test_bad_histories(self) -> None:
        for last in (
            ("BALANCE a", 1), ("BALANCE b", 2), ("EVERYBODY", []), ("PAY a b 3", CommandError("ERR other")),
        ):  # fmt: skip
            self.assertIs(self.judged(("PAY_IN a", 1), ("PAY_IN a", 2), last), Verdict.NOT_LINEARIZABLE)


class CommandTests(SynchronousTestCase):
    def test_names(self) -> None:
        self.assertIs(find_machine(f"{__name__}:Accounts"), Accounts)
        for name in ("nothing:Here", f"{__name__}:Nobody", f"{__name__}:Number", "", f"{__name__}:Machine"):
            self.assertRaises(ValueError, find_machine, name)

    def test_the_command(self) -> None:
        self.assertEqual(main(["--seed", "3", "--machine", f"{__name__}:Accounts"]), 0)
        error = self.assertRaises(SystemExit, main, ["--seed", "3", "--machine", "nothing:Here"])
        self.assertEqual(error.code, 2)

    def test_the_command_that_runs_a_seed_again(self) -> None:
        settings = Settings(machine="locks:Locks")
        self.assertIn(" --machine locks:Locks", again(settings.plan(7), settings))
