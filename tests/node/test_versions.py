"""The version of the meaning of commands: when it rises, who is told, and in what it is replayed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epaxos.interfaces import Command, CommandError, IVersioned, Ready, Remove, Reply
from epaxos.interfaces.versions import needs_upgrade
from epaxos.protocol.values.changes import Nothing
from epaxos.protocol.values.membership import FIRST_VERSION, VERSION, Membership
from tests.node.lab import Log
from tests.node.turning import FIRST, TurningCluster

OLD = FIRST._replace(version=1)
THREE = 3
"""A version after that of this program."""


@implementer(IVersioned)
class VersionedLog(Log):
    """Notes in `ran` the version and the payload of each batch.  The text `new` is of version 2."""

    def __init__(self) -> None:
        super().__init__()
        self.version = VERSION
        self.ran: list[tuple[int, bytes]] = []

    def on_version(self, version: int) -> None:
        self.version = version

    def check(self, command: Command) -> None:
        super().check(command)
        if command[1] == b"new" and self.version < 2:
            raise needs_upgrade("new", 2, self.version)

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        self.ran += [(self.version, one.batch.payload) for one in ready]
        return super().apply(ready)

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        self.texts = entries
        for one in ready:
            self.ran.append((self.version, one.batch.payload))
            self.run(one.batch)


class VersionsCase(SynchronousTestCase):
    def make(self, founded: Membership = OLD, **batching: float) -> TurningCluster:
        cluster = self.cluster = TurningCluster(founded=founded, log=VersionedLog, **batching)
        self.addCleanup(lambda: self.assertEqual(cluster.fatal, []))
        return cluster

    def write(self, text: bytes, id: int = 1) -> None:
        outcomes = self.cluster.submit(id, [b"k", text])
        self.cluster.run(0.05)
        self.assertEqual(len(outcomes), 1)

    def turn(self, id: int = 0) -> int:
        turned = self.cluster.nodes[id].turn()
        self.cluster.run(0.3)
        return self.successResultOf(turned)

    def versions(self) -> list[int]:
        """The version that counts at each replica, as its status says."""
        return [self.cluster.epoch(id)["version"] for id in range(3)]

    def told(self) -> list[int]:
        """The same, as each state machine was told."""
        return [cast(VersionedLog, log).version for log in self.cluster.logs]

    def ran(self, id: int) -> list[tuple[int, bytes]]:
        return cast(VersionedLog, self.cluster.logs[id]).ran


class RisingTests(VersionsCase):
    def test_at_first(self) -> None:
        self.make()
        self.assertEqual((self.versions(), self.told()), ([1] * 3, [1] * 3))
        self.make(FIRST)
        self.assertEqual((self.versions(), self.told()), ([VERSION] * 3, [VERSION] * 3))

    def test_a_turn_that_an_operator_asks_for(self) -> None:
        """It rises at one place of the order: whatever ran before ran in the version before, everywhere."""
        cluster = self.make()
        new = [b"k", b"new"]
        refusal = self.assertRaises(CommandError, cluster.nodes[0].check, new)
        self.assertEqual(
            str(refusal),
            "ERR 'new' needs an upgrade turn: it is of version 2, and the cluster is at version 1; run"
            " epaxosctl turn once every replica has the new program",
        )
        self.write(b"a")
        self.assertEqual(self.turn(), 1)
        self.assertEqual((self.versions(), self.told()), ([2] * 3, [2] * 3))
        cluster.nodes[0].check(new)
        self.write(b"new")
        for id in range(3):
            self.assertEqual(self.ran(id), [(1, b"k a"), (2, b"k new")])
        (opening,) = cluster.openings(0)
        assert opening.opened is not None
        self.assertEqual(opening.opened.membership.why, "turn, version 2, by replica 0")
        self.assertEqual((opening.opened.previous.version, opening.opened.membership.version), (1, 2))

    def test_while_one_is_old(self) -> None:
        cluster = self.make()
        cluster.versions[2] = 1
        self.assertEqual(self.turn(), 1)
        self.assertEqual(self.versions(), [1] * 3)
        cluster.versions[2] = 2
        self.assertEqual(self.turn(1), 2)
        self.assertEqual(self.versions(), [2] * 3)

    def test_while_one_is_away(self) -> None:
        """Nobody knows what it can do when it comes back."""
        cluster = self.make()
        cluster.isolate(2)
        self.assertEqual(self.turn(), 1)
        self.assertEqual(self.versions()[:2], [1, 1])
        cluster.cut.clear()
        cluster.run(2)
        self.assertEqual(self.turn(), 2)
        self.assertEqual(self.versions(), [2] * 3)

    def test_it_never_falls(self) -> None:
        cluster = self.make(FIRST)
        cluster.isolate(2)
        self.assertEqual(self.turn(), 1)
        self.assertEqual(self.versions()[:2], [2, 2])

    def test_nobody_asked_for_it(self) -> None:
        """A backup, and a turn of a replica by itself, keep the version: one may still go back."""
        cluster = self.make()
        turned = cluster.nodes[0].change(Nothing())
        cluster.run(0.3)
        self.assertEqual(self.successResultOf(turned).version, FIRST_VERSION)
        self.assertEqual(self.versions(), [1] * 3)

    def test_another_turn_came_first(self) -> None:
        """Who asked for the highest version gets it with the next one."""
        cluster = self.make()
        first, second = cluster.nodes[0].change(Nothing()), cluster.nodes[1].turn()
        cluster.run(1)
        self.assertEqual(self.successResultOf(first).number, 1)
        self.assertIn(self.successResultOf(second), (1, 2))
        self.assertEqual(self.versions(), [2] * 3)

    def test_a_change_of_the_members(self) -> None:
        """An old one that leaves, and is gone, keeps the others from nothing; one that is there has to run
        the end of the epoch, and does."""
        cluster = self.make()
        cluster.versions[2] = 1
        lines = cluster.nodes[0].foresee(Remove(2))
        self.assertFalse([line for line in lines if "version" in line])
        cluster.isolate(2)
        lines = cluster.nodes[0].foresee(Remove(2))
        self.assertEqual(lines[-1], "the cluster goes from version 1 to version 2")
        changed = cluster.nodes[0].change(Remove(2))
        cluster.run(0.5)
        self.assertEqual(self.successResultOf(changed).version, 2)


class ReplayTests(VersionsCase):
    """What is executed again after a restart has the meaning that it had."""

    def test_batches_of_two_versions(self) -> None:
        cluster = self.make(checkpoint_s=0.02)
        self.write(b"a")
        self.turn()
        self.write(b"b")
        self.write(b"c")
        cluster.run(1)
        for _ in range(2):
            self.successResultOf(cluster.nodes[2].stop())
            cluster.restart(2)
            cluster.run(1)
            self.assertEqual(self.ran(2), [(1, b"k a"), (2, b"k b"), (2, b"k c")])
            self.assertEqual(self.told(), [2] * 3)

    def test_a_base_of_the_later_one(self) -> None:
        """No batch of the earlier version is left, and nothing but the log says which it is."""
        cluster = self.make(checkpoint_s=0.02)
        self.write(b"a")
        self.turn()
        cluster.disks[2].wants_state = True
        self.write(b"b")
        cluster.run(0.1)
        cluster.disks[2].wants_state = False
        self.write(b"c")
        self.write(b"d")
        cluster.run(1)
        self.successResultOf(cluster.nodes[2].stop())
        cluster.restart(2)
        self.assertEqual(self.ran(2), [(2, b"k c"), (2, b"k d")])
        cluster.run(1)
        self.assertEqual(cluster.texts(), [{b"k": b"abcd"}] * 3)

    def test_a_state_of_another_replica(self) -> None:
        """Its files begin a log without a word; the first batch behind a start brings it."""
        cluster = self.make(checkpoint_s=0.02)
        self.write(b"a")
        cluster.isolate(2)
        for _ in range(2):
            self.turn()
        cluster.cut.clear()
        cluster.run(3)
        self.turn()
        self.write(b"b")
        cluster.run(1)
        self.successResultOf(cluster.nodes[2].stop())
        cluster.restart(2)
        cluster.run(1)
        self.assertEqual(self.ran(2)[-1], (2, b"k b"))
        self.assertEqual(self.versions(), [2] * 3)

    def test_the_first_version_says_nothing(self) -> None:
        """A program that knows of no versions reads these files."""
        cluster = self.make(checkpoint_s=0.02)
        self.write(b"a")
        cluster.run(1)
        for disk in cluster.disks:
            self.assertEqual([batch.payload for _, batch in disk.contents.log], [b"k a"])


class OutdatedTests(VersionsCase):
    """A replica whose program is too old stops, and has written nothing that it does not understand."""

    def outdated(self, number: int) -> str:
        return (
            f"epoch {number} is of version {THREE}, and this program knows version 2: upgrade replica 2, and"
            " start it again"
        )

    def test_it_is_put_back_before_the_end_of_the_epoch(self) -> None:
        cluster = self.make(FIRST)
        cluster.versions[:] = [THREE] * 3
        cluster.nodes[0].turn()
        cluster.run(0.001)  # it is proposed
        cluster.versions[2] = 2
        cluster.run(1)
        self.assertEqual(cluster.outdated, [self.outdated(1)])
        self.assertIsNone(cluster.disks[2].contents.opened)
        self.assertEqual([cluster.epoch(id)["version"] for id in (0, 1)], [THREE] * 2)
        cluster.versions[2] = THREE
        cluster.restart(2)
        cluster.run(3)
        self.assertEqual(self.versions(), [THREE] * 3)


class OldListTests(VersionsCase):
    def test_a_cluster_without_a_list(self) -> None:
        """It is at version 1, and its first turn may bring both."""
        cluster = self.make()
        for disk in cluster.disks:
            disk.founded = None  # type: ignore[assignment]
        for id in range(3):
            cluster.nodes[id].stop()
            cluster.restart(id)
        cluster.run(1)
        self.assertEqual(self.versions(), [1] * 3)
        self.assertEqual(self.turn(), 1)
        self.assertEqual(self.versions(), [2] * 3)
        (opening,) = cluster.openings(0)
        assert opening.opened is not None
        self.assertEqual(opening.opened.previous.version, 1)
