"""Reads without an instance (docs: protocol/reads): which replicas they ask, and what they follow."""

from __future__ import annotations

from itertools import combinations
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.slots import SLOTS_RESERVED
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import NUMBER_LIMIT, Deps, InstanceId
from epaxos.protocol.values.messages import (
    NOP,
    Batch,
    Commit,
    Heartbeat,
    PreAccept,
    PreAcceptOK,
    Read,
    ReadOK,
)
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing
from tests.protocol.lab import Lab, read, write

BARRIER = Batch((), (), b"b", 1, True)
WAIT_S = Timing().fast_path_wait_s
RESEND_S = Timing().resend_s


def asked(lab: Lab, sender: int = 0) -> list[int]:
    """The replicas that `sender` has asked, in order.  Drops all messages that were sent."""
    replicas = [dest for frm, dest, message in lab.sent if frm == sender and isinstance(message, Read)]
    lab.sent.clear()
    return replicas


def known(lab: Lab, id: int, *keys: str) -> Deps:
    """The dependencies that the replica answers to a Read."""
    lab.replicas[id].receive((id + 1) % lab.n, Read(5, tuple(key.encode() for key in keys)))
    ((dest, message),) = lab.replicas[id].take_output().messages
    assert isinstance(message, ReadOK)
    assert (dest, message.number) == ((id + 1) % lab.n, 5)
    return message.deps


class QuorumTests(SynchronousTestCase):
    def test_how_many_are_asked(self) -> None:
        """It asks the next in number while no latency is known; without others the read ends at once."""
        for n, others in ((1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3)):
            lab = Lab(n)
            number = lab.read(0, "x", "y")
            self.assertEqual(lab.sent, [(0, r, Read(number, (b"x", b"y"))) for r in range(1, others + 1)])
            self.assertEqual(lab.reads[0], {} if others else {number: (0,) * n}, f"n = {n}")
            for replica in range(1, others + 1):
                self.assertEqual(lab.reads[0], {}, f"n = {n}")
                lab.deliver(Read, to=replica)
                lab.deliver(ReadOK)
            self.assertEqual(lab.reads[0], {number: (0,) * n}, f"n = {n}")

    def test_they_meet_every_slow_quorum(self) -> None:
        for n in range(1, 10):
            quorums = Quorums.of(Epoch.first(n))
            self.assertEqual(quorums.read + quorums.slow, n + 1)
            self.assertLessEqual(quorums.slow, quorums.fast)

    def test_nothing_is_written_or_decided(self) -> None:
        """Neither the reader nor a replica that is asked writes a record."""
        lab = Lab(5)
        before = [(replica.next_slot, len(replica.table)) for replica in lab.replicas]
        for id in (0, 1):
            lab.replicas[id].take_output()
        lab.replicas[0].read((b"x",))
        outputs = [lab.replicas[0].take_output()]
        lab.replicas[1].receive(0, Read(7, (b"x",)))
        outputs.append(lab.replicas[1].take_output())
        for output in outputs:
            self.assertTrue(output)
            self.assertFalse(output.writes or output.awaits_durability)
        self.assertEqual([(replica.next_slot, len(replica.table)) for replica in lab.replicas], before)

    def test_whatever_is_committed_is_named(self) -> None:
        """By one of every read quorum: after one round trip and after two, with as few votes as that takes,
        and when all have restarted meanwhile."""
        for n in range(1, 8):
            for named in {Quorums.of(Epoch.first(n)).named, False}:
                for crossed in (False, True):
                    for restarted in (False, True):
                        self.check_committed(Lab(n, named=named), crossed, restarted)

    def check_committed(self, lab: Lab, crossed: bool, restarted: bool) -> None:
        """`crossed`: the answers are unequal, for another write of the key is under way."""
        n = lab.n
        if crossed and n > 2:
            lab.propose(1, write("x"))
            lab.deliver(PreAccept, to=2)
            lab.drop()
        id = lab.propose(0, write("x"))
        voters = set(range(1, lab.quorums.slow if crossed else lab.quorums.fast))
        if lab.quorums.named and n > 1:
            voters = set(next(m.fast_quorum for _, _, m in lab.wire if isinstance(m, PreAccept)))
        for _ in range(20):
            for replica in range(n):
                if replica and replica not in voters:
                    lab.drop(to=replica)
                lab.deliver(to=replica)
            lab.advance(0.006, 0.006, deliver=False)
        self.assertIn(id, lab.decided[0], f"n = {n}")
        if crossed and n > 2 and not lab.quorums.named:
            self.assertEqual(lab.replicas[0].counters.slow_path, 1, f"n = {n}")
        if restarted:
            for replica in range(n):
                lab.crash(replica)
                lab.restart(replica)
        lab.drop()
        named = [known(lab, replica, "x")[0] for replica in range(n)]
        self.assertEqual(named.count(0), n - 1 - len(voters))
        for quorum in combinations(named, lab.quorums.read):
            self.assertGreaterEqual(max(quorum), id.slot, f"n = {n}")


class DepsTests(SynchronousTestCase):
    def test_what_is_known_here_and_what_is_answered(self) -> None:
        """It names the highest slot of each row."""
        lab = Lab(5)
        for row, slots in ((0, 2), (3, 1)):
            for _ in range(slots):
                lab.propose(row, write("x"))
        lab.drop()  # nobody else knows them
        for row, to in ((2, 1), (4, 2)):
            lab.propose(row, write("x"))
            lab.deliver(PreAccept, to=to)
            lab.drop()
        number = lab.read(0, "x")
        lab.deliver()
        self.assertEqual([m.deps for _, _, m in lab.wire], [(0, 0, 1, 0, 0), (0, 0, 1, 0, 1)])
        lab.deliver()
        self.assertEqual(lab.reads[0], {number: (2, 0, 1, 0, 1)})

    def test_what_interferes(self) -> None:
        """It names writes of any of the keys, and barriers; no reads, and no writes of other keys."""
        for batch, keys, named in (
            (write("x"), ["x"], True),
            (write("x", "y"), ["y"], True),
            (write("x"), ["y", "x"], True),
            (BARRIER, ["x"], True),
            (read("x"), ["x"], False),
            (write("y"), ["x"], False),
            (write("x"), [], False),
        ):
            lab = Lab(3)
            id = lab.propose(1, batch)
            lab.settle()
            number = lab.read(0, *keys)
            self.assertEqual(known(lab, 2, *keys), (0, id.slot, 0) if named else (0, 0, 0))
            lab.settle()
            self.assertEqual(lab.reads[0][number], (0, id.slot, 0) if named else (0, 0, 0))

    def test_own_slots_that_are_unknown_after_a_restart(self) -> None:
        """They count for own reads and for those of others until they are decided."""
        lab = Lab(3)
        lab.crash(0)
        lab.restart(0)
        lab.drop()
        number = lab.read(0, "x")
        lab.settle()
        self.assertEqual(lab.reads[0][number], (SLOTS_RESERVED, 0, 0))
        self.assertEqual(known(lab, 0, "x"), (SLOTS_RESERVED, 0, 0))
        for _ in range(100):
            if lab.replicas[0].table.committed[0] >= SLOTS_RESERVED:
                break
            lab.advance(1, 0.2)
        number = lab.read(0, "x")
        lab.settle()
        self.assertEqual(lab.reads[0][number][0], 0)

    def test_what_is_forgotten(self) -> None:
        """A forgotten instance is named whatever its keys were."""
        lab = Lab(3)
        lab.propose(1, write("x"))
        lab.settle()
        self.assertEqual(known(lab, 0, "y"), (0, 0, 0))
        for replica in lab.replicas:
            replica.on_executed((0, 1, 0))
        lab.advance(0.5)
        self.assertEqual(len(lab.replicas[0].table), 0)
        self.assertEqual(known(lab, 0, "y"), (0, 1, 0))
        number = lab.read(0, "y")
        lab.settle()
        self.assertEqual(lab.reads[0][number], (0, 1, 0))

    def test_what_is_answered_is_heard_of(self) -> None:
        """Its leader has crashed: without recovery the read would wait forever."""
        lab = Lab(5)
        lab.propose(2, write("x"))
        lab.deliver(PreAccept, to=1)
        lab.drop()
        lab.crash(2)
        number = lab.read(0, "x")
        lab.deliver(Read, to=1)
        lab.deliver(ReadOK)
        lab.drop()
        self.assertEqual(lab.replicas[0].table.known, (0, 0, 1, 0, 0))
        self.assertEqual(lab.reads[0], {})
        lab.advance(5)
        self.assertEqual(lab.reads[0][number], (0, 0, 1, 0, 0))
        self.assertIn(InstanceId(2, 1), lab.decided[0])


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lab = Lab(5)
        self.number = self.lab.read(0, "x")
        self.lab.drop()

    def answer(self, sender: int, number: int, deps: Deps = (0, 0, 0, 0, 0)) -> None:
        self.lab.replicas[0].receive(sender, ReadOK(number, deps))
        self.lab.flush(0)

    def test_anybodys_answer_counts(self) -> None:
        """Answers of replicas that were not asked first count, too."""
        self.answer(4, self.number)
        self.answer(3, self.number, (0, 0, 0, 7, 0))
        self.assertEqual(self.lab.reads[0], {self.number: (0, 0, 0, 7, 0)})

    def test_a_second_answer_is_none(self) -> None:
        for _ in range(3):
            self.answer(1, self.number)
        self.assertEqual(self.lab.reads[0], {})
        self.answer(2, self.number)
        self.assertEqual(list(self.lab.reads[0]), [self.number])

    def test_answers_to_nothing(self) -> None:
        """These are unknown numbers, numbers of reads that have ended, and of reads that were dropped."""
        for number in (0, self.number - 1, self.number + 1, NUMBER_LIMIT - 1):
            for sender in range(1, 5):
                self.answer(sender, number, (9, 9, 9, 9, 9))
        self.assertEqual(self.lab.reads[0], {})
        for sender in range(1, 5):
            self.answer(sender, self.number)
        self.assertEqual(self.lab.reads[0], {self.number: (0, 0, 0, 0, 0)})
        later = self.lab.read(0, "x")
        self.answer(1, later)
        self.lab.replicas[0].end_read(later)
        self.answer(2, later)
        self.lab.replicas[0].end_read(later)
        self.assertEqual(list(self.lab.reads[0]), [self.number])

    def test_each_read_has_its_answers(self) -> None:
        lab = self.lab
        others = [lab.read(0, key) for key in "yz"]
        self.assertEqual(len({self.number, *others}), 3)
        self.answer(1, others[0], (0, 1, 0, 0, 0))
        self.answer(1, others[1], (0, 2, 0, 0, 0))
        self.answer(2, others[1], (0, 0, 3, 0, 0))
        self.assertEqual(lab.reads[0], {others[1]: (0, 2, 3, 0, 0)})
        self.answer(2, others[0])
        self.assertEqual(lab.reads[0][others[0]], (0, 1, 0, 0, 0))

    def test_numbers_of_another_process(self) -> None:
        """The first is random, and all later ones fit the wire."""
        first = [
            Replica(0, Epoch.first(3), timing=Timing(), random=Random(seed)).read((b"x",))
            for seed in range(1, 30)
        ]
        self.assertGreater(min(abs(a - b) for a, b in combinations(first, 2)), 1_000_000)
        self.assertLess(max(first), NUMBER_LIMIT // 2 + 1)

    def test_lies(self) -> None:
        """A slot of the own row that was never used, which no replica can know, is not heard of."""
        self.answer(1, self.number, (NUMBER_LIMIT - 1, 0, 0, 0, 0))
        self.lab.advance(3)
        self.assertEqual(len(self.lab.replicas[0].table), 0)
        id = self.lab.propose(0, write("x"))
        self.lab.settle()
        self.assertEqual((id.slot, self.lab.decided[0][id].cmd), (1, write("x")))


class SilenceTests(SynchronousTestCase):
    def wait(self, lab: Lab, seconds: float) -> None:
        """Let time pass in one step, and deliver nothing."""
        lab.advance(seconds, seconds, deliver=False)

    def test_others_are_asked(self) -> None:
        """It asks all that have not answered after the patience, and again after `resend_s`."""
        lab = Lab(7)
        number = lab.read(0, "x")
        self.assertEqual(asked(lab), [1, 2, 3])
        lab.deliver(Read, to=2)
        lab.deliver(ReadOK)
        self.wait(lab, WAIT_S * 0.9)
        self.assertEqual(asked(lab), [])
        self.wait(lab, WAIT_S * 0.2)
        self.assertEqual(asked(lab), [1, 3, 4, 5, 6])
        self.wait(lab, RESEND_S * 0.9)
        lab.deliver(Read, to=6)
        lab.deliver(ReadOK)
        self.assertEqual(asked(lab), [])
        self.assertEqual(lab.reads[0], {})
        for _ in range(3):
            self.wait(lab, RESEND_S * 1.1)
            self.assertEqual(asked(lab), [1, 3, 4, 5])
        lab.deliver(Read, to=4)
        lab.deliver(ReadOK)
        self.assertEqual(list(lab.reads[0]), [number])
        self.wait(lab, RESEND_S * 3)
        self.assertEqual(asked(lab), [])

    def test_all_ask_for_the_same(self) -> None:
        lab = Lab(3)
        number = lab.read(0, "x", "y")
        self.wait(lab, 1)
        reads = [(dest, m) for _, dest, m in lab.sent if isinstance(m, Read)]
        self.assertEqual(reads, [(dest, Read(number, (b"x", b"y"))) for dest in (1, 1, 2)])

    def test_those_that_are_far_away_are_given_longer(self) -> None:
        """They get twice their usual time."""
        lab = Lab(3)
        lab.propose(0, write("x"))
        lab.deliver(PreAccept)
        self.wait(lab, 0.1)
        lab.deliver(PreAcceptOK)
        lab.settle()
        lab.sent.clear()
        lab.read(0, "x")
        self.assertEqual(len(asked(lab)), 1)
        self.wait(lab, 0.19)
        self.assertEqual(asked(lab), [])
        self.wait(lab, 0.02)
        self.assertEqual(asked(lab), [1, 2])

    def test_the_nearest_are_asked(self) -> None:
        """The answers to PreAccepts show which are the fastest."""
        lab = Lab(4)
        lab.propose(0, write("x"))
        for acceptor in (3, 1, 2):
            self.wait(lab, 0.001)
            lab.deliver(PreAccept, to=acceptor)
            lab.deliver(PreAcceptOK)
        lab.sent.clear()
        lab.read(0, "x")
        self.assertEqual(asked(lab), [3])

    def test_those_that_are_suspected_are_not_asked_first(self) -> None:
        lab = Lab(5)
        lab.crash(1)
        lab.advance(2)
        lab.sent.clear()
        lab.read(0, "x")
        self.assertEqual(asked(lab), [2, 3])

    def test_those_that_were_silent_are_not_asked_first(self) -> None:
        """They are asked last until they answer a Read."""
        lab = Lab(5)
        lab.read(0, "x")
        lab.deliver(Read, to=2)
        lab.deliver(ReadOK)
        self.wait(lab, WAIT_S * 1.1)
        lab.sent.clear()
        lab.read(0, "x")
        self.assertEqual(asked(lab), [2, 3])
        lab.settle()
        lab.sent.clear()
        lab.read(0, "x")
        self.assertEqual(asked(lab), [1, 2])

    def test_the_end_of_a_read(self) -> None:
        lab = Lab(3)
        numbers = [lab.read(0, "x"), lab.read(0, "y")]
        lab.sent.clear()
        lab.replicas[0].end_read(numbers[0])
        self.wait(lab, RESEND_S * 3)
        self.assertEqual(asked(lab), [1, 2])
        lab.replicas[0].end_read(numbers[1])
        self.wait(lab, RESEND_S * 3)
        self.assertEqual(asked(lab), [])

    def test_the_next_deadline(self) -> None:
        lab = Lab(3, Timing(heartbeat_s=50, suspect_after_s=100))
        core = lab.replicas[0]
        for other in (1, 2):  # it has just started, and would ask them how far they are
            core.receive(other, Heartbeat((0, 0, 0), (0, 0, 0)))
        self.wait(lab, 0.0501)
        begin = lab.now
        heartbeat = core.next_deadline()
        number = lab.read(0, "x")
        self.assertEqual(core.next_deadline(), begin + WAIT_S)
        self.wait(lab, WAIT_S * 0.9)
        self.assertEqual(core.next_deadline(), begin + WAIT_S)
        self.wait(lab, WAIT_S * 0.2)
        self.assertEqual(core.next_deadline(), lab.now + RESEND_S)
        core.end_read(number)
        self.assertEqual(core.next_deadline(), heartbeat)
        lab.read(0, "x")
        self.assertEqual(core.next_deadline(), lab.now + WAIT_S)
        lab.deliver(Read)
        lab.deliver(ReadOK)
        self.assertEqual(core.next_deadline(), heartbeat)

    def test_told_in_the_turn_of_the_last_answer(self) -> None:
        """It is told in that turn, not before, and without any other event."""
        lab = Lab(3)
        number = lab.replicas[0].read((b"x",))
        self.assertEqual(lab.replicas[0].take_output().reads, [])
        lab.replicas[0].receive(1, ReadOK(number, (0, 4, 0)))
        output = lab.replicas[0].take_output()
        self.assertEqual((output.reads, output.messages), ([(number, (0, 4, 0))], []))
        self.assertTrue(output)
        self.assertFalse(lab.replicas[0].take_output())

    def test_a_nop_is_named_without_need(self) -> None:
        """An instance that became NOP is still named, and to wait for it is safe."""
        lab = Lab(3)
        id = lab.propose(1, write("x"))
        lab.deliver(PreAccept, to=0)
        lab.drop()
        lab.replicas[0].receive(2, Commit(id, 4, NOP, (0, 0, 0)))
        lab.flush(0)
        self.assertEqual(known(lab, 0, "x"), (0, 1, 0))
