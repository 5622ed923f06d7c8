"""Runs in which replicas are away over turns of the epoch, and take the state of another one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from epaxos.node.limits import Keep
from epaxos.protocol.values.transfer import Piece
from epaxos.verify.simulation.clock import SECOND
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.faults.fault import Fault, FaultKind
from epaxos.verify.simulation.faults.sleeps import sleeps
from epaxos.verify.simulation.network import Changer
from epaxos.verify.simulation.plan import Plan
from epaxos.verify.simulation.run import Result, simulate

EVENTS = (
    "StateAsk",
    "installs the state",
    "has installed it",
    "begins again",
    "its disk is lost",
    "epoch 1 1c",
)


def traced(plan: Plan) -> tuple[Result, Counter[str]]:
    """Carry out the plan, and count what happened."""
    seen: Counter[str] = Counter()

    def show(line: str) -> None:
        seen.update(event for event in EVENTS if event in line)

    return simulate(plan, trace=True, show=show), seen


def asleep(seed: int, *, turns: int, kind: FaultKind = FaultKind.KILL, n: int = 3) -> Plan:
    """A quiet run in which the last replica sleeps over some turns."""
    plan = Plan.of(seed, n, "lan")
    part = plan.active_us // 10
    faults = [Fault(0, 2 * part, kind, (n - 1,), 6 * part, 1)]
    for name in range(1, turns + 1):
        faults.append(Fault(name, (2 + name) * part, FaultKind.TURN, (0,), 0, 1))
    return replace(plan, faults=tuple(faults), workload=replace(plan.workload, leaving=0))


class SleeperTests(SynchronousTestCase):
    def test_who_slept_over_one_turn_fetches(self) -> None:
        for seed in range(3):
            result, seen = traced(asleep(seed, turns=1))
            self.assertEqual((result.violations, seen["installs the state"]), ([], 0), seed)

    def test_who_slept_over_more_takes_the_state_once(self) -> None:
        for turns in (2, 3):
            for kind in (FaultKind.KILL, FaultKind.POWER, FaultKind.PARTITION, FaultKind.RESTART):
                result, seen = traced(asleep(turns, turns=turns, kind=kind))
                self.assertEqual(result.violations, [], (turns, kind))
                for event in ("installs the state", "has installed it", "begins again"):
                    self.assertEqual(seen[event], 1, (turns, kind, event))

    def test_it_is_killed_around_the_installation(self) -> None:
        """Before it, while it is on its way, and when it is durable; each time it comes back and goes on."""
        plan = asleep(1, turns=2)
        wakes_up = plan.faults[0].at + plan.faults[0].lasts
        aims = (
            (FaultKind.KILL_AT_SEND, "Installation", {2}),
            (FaultKind.POWER_AFTER_SEND, "Installation", {1, 2}),
            (FaultKind.POWER_AFTER_SEND, "Installed", {1}),
        )
        for kind, aim, times in aims:
            trap = Fault(9, wakes_up + 1, kind, (2,), SECOND // 100, 1, aim)
            result, seen = traced(replace(plan, faults=(*plan.faults, trap)))
            self.assertEqual(result.violations, [], aim)
            self.assertIn(seen["installs the state"], times, aim)
            self.assertEqual(seen["installs the state"] - seen["begins again"], 1, "one life ended otherwise")

    def test_changed_pieces_are_asked_for_again(self) -> None:
        plan = asleep(2, turns=2)
        changes = tuple(
            Fault(10 + replica, 0, FaultKind.CHANGE, (replica,), plan.active_us, 1) for replica in (0, 1)
        )
        result, seen = traced(replace(plan, faults=(*plan.faults, *changes)))
        self.assertEqual((result.violations, seen["has installed it"]), ([], 1))

    def test_epochs_end_by_themselves(self) -> None:
        """While one sleeps for long, the others do not hold more than they may."""
        plan = asleep(4, turns=0)
        times = 60 * SECOND // plan.active_us
        workload = replace(
            plan.workload, operations=40, moments=tuple(moment * times for moment in plan.workload.moments)
        )
        faults = tuple(
            fault._replace(at=fault.at * times, lasts=fault.lasts * times) for fault in plan.faults
        )
        plan = replace(plan, workload=workload, faults=faults, active_us=60 * SECOND)
        result, seen = traced(plan)
        self.assertEqual((result.violations, seen["epoch 1 1c"]), ([], 0))
        result, seen = traced(replace(plan, bound=Keep(instances=20)))
        self.assertEqual(result.violations, [])
        self.assertGreater(seen["epoch 1 1c"], 0)

    def test_the_only_one_that_has_opened_an_epoch_is_lost(self) -> None:
        """Whatever was acknowledged is there: the judge of histories has the last reads of the others."""
        for n in (3, 5):
            for seed in range(3):
                plan = Plan.of(seed, n, "lan")
                half = plan.active_us // 2
                faults = (
                    Fault(0, half // 2, FaultKind.TURN, (0, 1), 0, 1),
                    Fault(1, 0, FaultKind.LOST, (2,), half, 0),
                )
                result, seen = traced(replace(plan, faults=faults))
                self.assertEqual((result.violations, seen["its disk is lost"]), ([], 1), (n, seed))


class FoundTests(SynchronousTestCase):
    """Runs that once broke a rule."""

    def test_who_reaches_the_epoch_of_a_state_by_itself_does_not_install_it(self) -> None:
        """R2 wakes up in epoch 0, while R0 is in 2 and R1 in 1, and asks R0 for its state.  R0 dies.  The
        late Commit of R1 brings R2 to 1, where it votes: the state of R1 is of no use to it any more."""
        faults = (
            Fault(0, SECOND, FaultKind.KILL, (2,), 4 * SECOND, 1),
            Fault(1, 2 * SECOND, FaultKind.TURN, (0,), 0, 1),
            Fault(2, 3 * SECOND, FaultKind.CUT_AT_SEND, (0, 1), 20 * SECOND, 1, "Commit"),
            Fault(3, 4 * SECOND, FaultKind.TURN, (0,), 0, 1),
            Fault(4, 4 * SECOND, FaultKind.KILL_AT_SEND, (0,), 20 * SECOND, 1, "StateOffer"),
            Fault(5, 5 * SECOND - 1000, FaultKind.HOLD, (1, 2), SECOND, 1, "Commit"),
            Fault(6, 5 * SECOND - 1000, FaultKind.SLOW_LINK, (0, 2), SECOND, 20),
        )
        plan = Plan.of(0, 3, "lan")
        plan = replace(
            plan,
            timing=replace(plan.timing, recover_after_s=6.0, suspect_after_s=4.0),
            workload=replace(plan.workload, clients=()),
            faults=faults,
            active_us=20 * SECOND,
        )
        result, seen = traced(plan)
        self.assertEqual((result.violations, seen["installs the state"]), ([], 0))
        self.assertGreater(seen["StateAsk"], 0)

    def test_an_epoch_that_is_kept_for_long_costs_no_messages(self) -> None:
        """R2 is dead, so the epoch before is kept for it.  A Heartbeat of that epoch is late."""
        plan = Plan.of(1, 3, "lan")
        quiet = replace(plan, workload=replace(plan.workload, clients=()), active_us=10 * SECOND)
        faults = (
            Fault(0, SECOND, FaultKind.DEAD, (2,), 0, 1),
            Fault(1, SECOND, FaultKind.ECHO, (0, 1), 3 * SECOND, 1, "Heartbeat"),
            Fault(2, 2 * SECOND, FaultKind.TURN, (0,), 0, 1),
        )
        result = simulate(replace(quiet, faults=faults))
        self.assertEqual(result.violations, [])
        without = simulate(replace(quiet, faults=faults[:1]))
        self.assertLess(result.messages, 2 * without.messages)


class PlanTests(SynchronousTestCase):
    def test_plans(self) -> None:
        """At most f disks are lost; every kind of aim comes up; other profiles have none of it."""
        aims = set()
        for seed in range(300):
            plan = Plan.of(seed, profile="sleepers")
            lost = {fault.where[0] for fault in plan.faults if fault.kind is FaultKind.LOST}
            self.assertLessEqual(len(lost), (plan.n - 1) // 2)
            self.assertEqual(len({fault.name for fault in plan.faults}), len(plan.faults))
            for fault in plan.faults:
                self.assertTrue(0 <= fault.at < plan.active_us, fault)
                aims.add(fault.aim)
            for profile in ("lan", "wan", "chaos", "recovery", "schemes", "staying", "turns"):
                kinds = {fault.kind for fault in Plan.of(seed, profile=profile).faults}
                self.assertEqual(kinds & {FaultKind.LOST, FaultKind.CHANGE}, set())
        self.assertLessEqual(
            {"Installation", "Installed", "Piece", "PieceAsk", "StateOffer", "StateAsk"}, aims
        )

    def test_some_are_deaf_and_nobody_is_impatient(self) -> None:
        """They hear nobody over at least two turns, and their clients are still there afterwards."""
        dozing = []
        for seed in range(200):
            plan = Plan.of(seed, 3, "sleepers")
            deaf = [fault for fault in plan.faults if fault.kind is FaultKind.ONE_WAY]
            deaf = [fault for fault in deaf if (fault.at, fault.lasts) == (deaf[-1].at, deaf[-1].lasts)]
            if len(deaf) == 2 and plan.workload.patience_us == 2 * plan.active_us:
                dozing.append(seed)
                self.assertEqual(len({fault.where[1] for fault in deaf}), 1)
                ends = deaf[0].at + deaf[0].lasts
                turns = [fault for fault in plan.faults if fault.kind is FaultKind.TURN]
                self.assertGreaterEqual(sum(deaf[0].at < turn.at < ends for turn in turns), 2)
                self.assertGreaterEqual(plan.batching.request_timeout_s * SECOND, plan.active_us)
        self.assertGreater(len(dozing), 10)

    def test_names_go_on(self) -> None:
        faults = sleeps(Dice(1, "test"), 3, SECOND, 7)
        self.assertEqual([fault.name for fault in faults], list(range(7, 7 + len(faults))))

    def test_every_second_piece_is_changed(self) -> None:
        changer = Changer()
        pieces = [Piece(1, True, 0, bytes(8)) for _ in range(4)]
        through, stopped = changer.apply(-1, [*pieces, Piece(1, True, 0, b"")])
        self.assertEqual(stopped, [])
        self.assertEqual([piece == pieces[0] for piece in through], [False, True, False, True, False])
