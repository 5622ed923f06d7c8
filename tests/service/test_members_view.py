"""What operators are shown of the members: of a list, and of the configuration."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.example import example, replica_section
from epaxos.config.file import load
from epaxos.config.model import Config
from epaxos.protocol.values.membership import Member as Listed
from epaxos.protocol.values.membership import Membership
from epaxos.resp.interfaces import Member
from epaxos.service.members_view import MembersView, tell_differences

LOCAL = "interface=127.0.0.1"


def listed(number: int, address: str = "", uid: int = 255) -> Listed:
    texts = (f"tcp:{address}:7000", f"tcp:{address}:6379", "") if address else ("", "", "")
    return Listed(number, uid, *texts)


class MembersViewTests(SynchronousTestCase):
    def config(self, text: str) -> Config:
        path = Path(self.mktemp())
        path.write_text(text)
        return load(path, has_founders=False)

    def view(
        self, membership: Membership | None, text: str = "", id: int = 1, joins: bool = False
    ) -> MembersView:
        config = self.config(text or example(3))
        known = {2: 2, id: 1}
        return MembersView(
            config, id, lambda number: number == 2, lambda number: known.get(number, 0), lambda: membership,
            lambda: joins,
        )  # fmt: skip

    def test_without_a_list(self) -> None:
        view = self.view(None)
        found = view.members()
        self.assertEqual([member.id for member in found], [0, 1, 2])
        self.assertEqual([member.state for member in found], ["not connected", "here", "connected"])
        self.assertEqual(
            found[1],
            Member(
                *(1, "tcp:127.0.0.1:7001", "tcp:127.0.0.1:7101", "tcp:127.0.0.1:7201", "here"), version="1"
            ),
        )
        self.assertEqual(dict(view.about()), {"cluster": "example", "replica": 1, "replicas": 3})

    def test_where_nobody_says_how_clients_come(self) -> None:
        """It is shown on what it listens, as far as the configuration says that."""
        text = example(2).replace(f"client = tcp:7100:{LOCAL}", "client = tcp:7100")
        self.assertEqual(self.view(None, text).members()[0].client, "tcp:7100")
        membership = Membership(7, 4, 1, (listed(0), listed(3, "10.0.0.3")), 4)
        found = self.view(membership, text).members()
        self.assertEqual((found[0].client, found[1].client), ("tcp:7100", "tcp:10.0.0.3:6379"))
        self.assertEqual((found[0].status, found[1].status), ("tcp:127.0.0.1:7200", ""))

    def test_until_the_first_change_the_configuration_counts(self) -> None:
        """An operator may have edited it."""
        members = (listed(0, "10.0.0.1"), listed(1, "10.0.0.2"), listed(2, "10.0.0.3"))
        for next_number, peers in (
            (0, [f"tcp:127.0.0.1:700{number}" for number in range(3)]),
            (3, [f"tcp:10.0.0.{number}:7000" for number in (1, 2, 3)]),
        ):
            found = self.view(Membership(7, 4, 1, members, next_number)).members()
            self.assertEqual([member.peer for member in found], peers)
            self.assertEqual({member.uid for member in found}, {"00000000000000ff"})

    def test_members_that_no_section_is_for(self) -> None:
        """The file of one that has joined has its own section alone."""
        own = "[cluster]\nname = c\n" + replica_section(3)
        members = (listed(0, "10.0.0.1"), listed(3, uid=0))
        view = self.view(Membership(7, 4, 1, members, 4), own, id=3)
        self.assertEqual(
            view.members(),
            [
                Member(0, "tcp:10.0.0.1:7000", "tcp:10.0.0.1:6379", "", "not connected", "00000000000000ff"),
                Member(
                    3, "tcp:127.0.0.1:7003", "tcp:127.0.0.1:7103", "tcp:127.0.0.1:7203", "here", version="1"
                ),
            ],
        )
        self.assertEqual((view.count(), view.is_member()), (2, True))

    def test_one_that_joins_and_was_told_nothing_yet(self) -> None:
        """Its own file does not say who the members are."""
        self.assertEqual(
            (self.view(None, joins=True).members(), self.view(None, joins=True).count()), ([], 0)
        )

    def test_who_is_a_member(self) -> None:
        membership = Membership(7, 4, 1, (listed(0), listed(1)), 3)
        for known, id, joins, is_member in (
            (None, 1, False, True),
            (None, 1, True, False),
            (membership, 1, False, True),
            (membership, 2, False, False),
            (membership, 3, True, False),
        ):
            self.assertEqual(self.view(known, id=id, joins=joins).is_member(), is_member)

    def test_differences_are_in_the_log(self) -> None:
        """Only once the list counts."""
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        config = self.config(example(3))
        same = Listed(1, 5, "tcp:127.0.0.1:7001")
        members = (listed(0, "10.0.0.1"), same, listed(3, "10.0.0.3"))
        tell_differences(config, Membership(7, 4, 1, members))
        self.assertEqual(lines, [])
        tell_differences(config, Membership(7, 4, 1, members, 4))
        self.assertEqual(
            [formatEvent(line) for line in lines],
            [
                "replica 0 is reached at tcp:10.0.0.1:7000, says epoch 4: peer_connect = tcp:127.0.0.1:7000"
                f" in {config.path} does not count (epaxosctl move changes the list)",
                f"replica 2 is no member in epoch 4: its section in {config.path} does not count",
            ],
        )
