"""The first start: case by case, and n of them at random, with crashes, losses and wiped folders."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.founding.founding import Folder, Founding, WrongFolderError
from epaxos.protocol.values.membership import VERSION, Member, Membership

UUID = 77


def first(n: int = 3, uuid: int = UUID) -> Membership:
    return Membership(uuid, 0, VERSION, tuple(Member(number, 100 + number) for number in range(n)))


def founding(number: int, n: int = 3, founded: Membership | None = None) -> Founding:
    return Founding(number, 100 + number, range(n), founded, lambda: UUID)


class StepTests(SynchronousTestCase):
    def meet(self, member: Founding, *others: int, folder: Folder = Folder.UNFOUNDED) -> None:
        for number in others:
            member.on_met(number, 100 + number, folder, VERSION)

    def test_alone(self) -> None:
        member = founding(0, 1)
        self.assertEqual(member.to_write(), first(1))
        self.assertIsNone(member.founded, "it is not durable yet")
        self.assertIsNone(member.to_write(), "it was given before")
        member.on_durable()
        self.assertEqual((member.founded, member.to_tell()), (first(1), []))

    def test_where_the_members_are(self) -> None:
        """The list says what its maker was told of each; the uids are those that were met."""
        found_at = {number: Member(number, 0, f"tcp:{number}:1", f"tcp:{number}:2") for number in (0, 1)}
        member = Founding(0, 100, range(3), None, lambda: UUID, found_at)
        self.meet(member, 1, 2)
        written = member.to_write()
        assert written is not None
        self.assertEqual(
            written.members,
            (
                Member(0, 100, "tcp:0:1", "tcp:0:2"),
                Member(1, 101, "tcp:1:1", "tcp:1:2"),
                Member(2, 102),
            ),
        )
        self.assertEqual(written.next_number, 0, "earlier versions can read it")

    def test_the_lowest_makes_the_list_when_all_are_there(self) -> None:
        member = founding(0)
        self.meet(member, 1)
        self.assertIsNone(member.to_write())
        self.meet(member, 2)
        self.assertEqual(member.to_write(), first())
        self.assertEqual(member.to_tell(), [], "nobody is told before it is durable")
        member.on_durable()
        self.assertEqual(member.to_tell(), [1, 2])
        member.on_told(1, first())
        self.assertEqual(member.to_tell(), [2])
        member.on_lost(2)
        self.assertEqual(member.to_tell(), [])
        self.meet(member, 2)
        self.assertEqual(member.to_tell(), [2])

    def test_nobody_else_makes_it(self) -> None:
        for number in (1, 2):
            member = founding(number)
            self.meet(member, *({0, 1, 2} - {number}))
            self.assertIsNone(member.to_write())

    def test_who_was_there_before_and_is_not_now_does_not_count(self) -> None:
        member = founding(0)
        self.meet(member, 1)
        member.on_lost(1)
        self.meet(member, 2)
        self.assertIsNone(member.to_write())
        member.on_met(1, 999, Folder.UNFOUNDED, VERSION)
        written = member.to_write()
        assert written is not None
        self.assertEqual(written.uid_of(1), 999)

    def test_no_list_with_folders_that_hold_anything(self) -> None:
        for folder in (Folder.FOUNDED, Folder.UNKNOWN):
            member = founding(0)
            self.meet(member, 1)
            self.meet(member, 2, folder=folder)
            self.assertIsNone(member.to_write())

    def test_no_list_with_one_folder_twice(self) -> None:
        member = founding(0)
        self.meet(member, 1)
        member.on_met(2, 101, Folder.UNFOUNDED, VERSION)
        self.assertIsNone(member.to_write())

    def test_told(self) -> None:
        member = founding(2)
        member.on_told(1, first())
        member.on_told(0, first())
        self.assertEqual(member.to_write(), first())
        self.assertIsNone(member.to_write())
        self.assertIsNone(member.founded)
        member.on_durable()
        self.assertEqual(member.founded, first())

    def test_whoever_knows_the_list_tells_it(self) -> None:
        member = founding(1, founded=first())
        self.meet(member, 2)
        self.assertEqual(member.to_tell(), [2])
        member.on_met(2, 999, Folder.UNFOUNDED, VERSION)
        self.assertEqual(member.to_tell(), [], "a folder that is in no list")
        member.on_met(2, 102, Folder.FOUNDED, VERSION)
        self.assertEqual(member.to_tell(), [])

    def test_a_folder_that_is_not_in_the_list(self) -> None:
        member = founding(2)
        other = first()._replace(members=(*first().members[:2], Member(2, 5)))
        refusal = self.assertRaises(WrongFolderError, member.on_told, 0, other)
        self.assertIn("replica 2 was here before under another uid, says replica 0", str(refusal))
        refusal = self.assertRaises(WrongFolderError, member.on_told, 0, first(2))
        self.assertIn("is in no list of members, says replica 0", str(refusal))
        self.assertIsNone(member.to_write())

    def test_the_version(self) -> None:
        """The cluster begins at the highest one that every program which is there can do."""
        for versions, expected in (((VERSION, VERSION), VERSION), ((1, VERSION), 1), ((9, 9), VERSION)):
            member = founding(0)
            for number, version in enumerate(versions, 1):
                member.on_met(number, 100 + number, Folder.UNFOUNDED, version)
            made = member.to_write()
            assert made is not None
            self.assertEqual(made.version, expected)

    def test_an_empty_folder_beside_data(self) -> None:
        refusal = self.assertRaises(WrongFolderError, founding(2).on_met, 0, 100, Folder.OLDER, VERSION)
        self.assertIn("this folder is empty, and replica 0 has data of this cluster", str(refusal))
        founding(2, founded=first()).on_met(
            0, 100, Folder.OLDER, VERSION
        )  # it was asleep over the first turn

    def test_strangers_are_ignored(self) -> None:
        member = founding(0)
        self.meet(member, 1, 7, 0)
        self.assertIsNone(member.to_write())
        self.assertEqual(member.waits_for(), "replica 2: at the first start every member has to be there")

    def test_whom_it_waits_for(self) -> None:
        member = founding(2)
        self.assertIn("replicas 0, 1: at the first start every member", str(member.waits_for()))
        self.meet(member, 0, 1)
        self.assertEqual(member.waits_for(), "replica 0, to be told who belongs to the cluster")
        self.meet(member, 1, folder=Folder.UNKNOWN)
        self.assertIn("replica 1: the version that runs there", str(member.waits_for()))
        member.on_told(0, first())
        self.assertIsNone(member.waits_for())


class _Host:
    """A member with its disk: the folder outlives its processes."""

    def __init__(self, number: int, n: int, random: Random) -> None:
        self.number = number
        self.n = n
        self.random = random
        self.uid = random.getrandbits(64) | 1
        self.disk: Membership | None = None
        self.under_way: Membership | None = None
        self.process: Founding | None = None
        self.served: list[Membership] = []

    def start(self) -> None:
        self.under_way = None
        self.process = Founding(
            self.number, self.uid, range(self.n), self.disk, lambda: self.random.getrandbits(128) | 1
        )

    def kill(self) -> None:
        """A write that was under way may have become durable."""
        if self.under_way is not None and self.random.random() < 0.5:
            self.disk = self.under_way
        self.process = self.under_way = None

    def sync(self) -> None:
        if self.process is not None and self.under_way is not None:
            self.disk, self.under_way = self.under_way, None
            self.process.on_durable()
            self.serve()

    def serve(self) -> None:
        assert self.process is not None
        if self.process.founded is not None:
            assert self.process.founded == self.disk, "it serves by a list that is not durable"
            self.served.append(self.process.founded)


class RandomTests(SynchronousTestCase):
    def cluster(self, seed: int) -> list[_Host]:
        random = Random(seed)
        n = random.choice((1, 2, 3, 3, 5))
        hosts = [_Host(number, n, random) for number in range(n)]
        messages: list[tuple[int, int, Membership]] = []
        for _ in range(random.randrange(20, 200)):
            self.step(hosts, messages, random)
        for _ in range(4):  # from now on all are there, and nothing is lost
            for host in hosts:
                if host.process is None:
                    host.start()
                    host.serve()
            for host in hosts:
                for other in hosts:
                    self.meet(host, other)
            for host in hosts:
                self.go_on(host, messages)
                host.sync()
                self.go_on(host, messages)
            while messages:
                self.deliver(hosts, messages, 0)
        return hosts

    def step(self, hosts: list[_Host], messages: list[tuple[int, int, Membership]], random: Random) -> None:
        host = random.choice(hosts)
        what = random.randrange(12)
        if what == 0:
            host.kill()
        elif what <= 3 and host.process is None:
            host.start()
            host.serve()
        elif what <= 6:
            self.meet(host, random.choice(hosts))
        elif what == 7 and host.process is not None:
            host.process.on_lost(random.randrange(host.n))
        elif what == 8:
            host.sync()
        elif what <= 10 and messages:
            index = random.randrange(len(messages))
            if random.random() < 0.3:
                messages.append(messages[index])
            if random.random() < 0.3:
                messages.pop(index)
            else:
                self.deliver(hosts, messages, index)
        self.go_on(host, messages)

    def meet(self, host: _Host, other: _Host) -> None:
        if host.process is not None and other.process is not None and host is not other:
            known = other.process.founded
            folder = Folder.UNFOUNDED if known is None else Folder.FOUNDED
            host.process.on_met(other.number, other.uid, folder, VERSION)

    def go_on(self, host: _Host, messages: list[tuple[int, int, Membership]]) -> None:
        if host.process is None:
            return
        written = host.process.to_write()
        if written is not None:
            host.under_way = written
        if host.process.founded is not None:
            messages += [(host.number, to, host.process.founded) for to in host.process.to_tell()]

    def deliver(self, hosts: list[_Host], messages: list[tuple[int, int, Membership]], index: int) -> None:
        sender, to, told = messages.pop(index)
        process = hosts[to].process
        if process is not None:
            process.on_told(sender, told)
            self.go_on(hosts[to], messages)

    def test_one_list_whatever_happens(self) -> None:
        """All that ever serve have one list, which is durable, and names the folder of each; and in the end
        all serve."""
        lists = 0
        for seed in range(2000):
            hosts = self.cluster(seed)
            served = {membership for host in hosts for membership in host.served}
            self.assertEqual(len(served), 1, f"seed {seed}")
            (membership,) = served
            uids = [member.uid for member in membership.members]
            self.assertEqual(uids, [host.uid for host in hosts], f"seed {seed}")
            for host in hosts:
                assert host.process is not None
                self.assertEqual((host.disk, host.process.founded), (membership, membership), f"seed {seed}")
            lists += len(served)
        self.assertEqual(lists, 2000)
