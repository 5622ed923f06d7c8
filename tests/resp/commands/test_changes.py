"""EPAXOS MEMBERS, CANDIDATES, ADD, REPLACE, REMOVE and MOVE: what they hand in, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Add, Candidate, Change, Member, Membership, Move, Refusal, Remove, Replace
from epaxos.resp.commands.changes import CHANGES
from tests.resp.lab import Server, Wire, encode

LOCAL = IPv4Address("TCP", "127.0.0.1", 1)
LIST = Membership(7, 4, 1, (Member(0, 10), Member(2, 12)), next_number=3, why="remove 1, by replica 0", at=99)
JOINS = Member(3, 13, "tcp:10.0.0.3:7000", "tcp:10.0.0.3:6379", "")
SYNTAX = b"-ERR syntax error\r\n"


class ChangesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.changes: list[tuple[Change, bool]] = []
        self.answers: list[Deferred[Membership]] = []
        self.candidates = [Candidate(JOINS, 12_000_000)]
        replica = self.server.replica
        replica.change = self.change  # type: ignore[attr-defined]
        replica.foresee = self.foresee  # type: ignore[attr-defined]
        replica.membership = lambda: LIST  # type: ignore[attr-defined]
        replica.history = lambda: [LIST._replace(number=3, members=LIST.members[:1]), LIST]  # type: ignore[attr-defined]
        replica.candidates = lambda: self.candidates  # type: ignore[attr-defined]

    def change(self, change: Change, force: bool) -> Deferred[Membership]:
        self.changes.append((change, force))
        self.answers.append(Deferred())
        return self.answers[-1]

    def foresee(self, change: Change, force: bool) -> Sequence[str]:
        if change == Remove(9):
            raise Refusal("there is no member 9")
        return [f"{change}", f"{force}"]

    def ask(self, command: str) -> bytes:
        connection = self.server.factory.buildProtocol(LOCAL)
        self.wire = Wire()
        connection.makeConnection(self.wire)
        connection.dataReceived(encode(command))
        return self.wire.value()


class ChangeTests(ChangesCase):
    def test_what_is_handed_in(self) -> None:
        for command, change, force in (
            ("EPAXOS ADD 3", Add(JOINS), False),
            ("epaxos add 3 force", Add(JOINS), True),
            ("EPAXOS REPLACE 0 BY 3", Replace(0, JOINS), False),
            ("EPAXOS REPLACE 0 by 3 FORCE", Replace(0, JOINS), True),
            ("EPAXOS REMOVE 2", Remove(2), False),
            ("EPAXOS MOVE 2 PEER tcp:a:1", Move(2, "tcp:a:1"), False),
            ("EPAXOS MOVE 2 STATUS tcp:a:3 client tcp:a:2", Move(2, "", "tcp:a:2", "tcp:a:3"), False),
        ):
            self.assertEqual(self.ask(command), b"", "the answer comes when it is done")
            self.assertEqual(self.changes.pop(), (change, force))
            self.answers.pop().callback(LIST)
            self.assertEqual(self.wire.value(), b"*2\r\n:4\r\n*2\r\n:0\r\n:2\r\n")
        self.assertEqual(self.changes, [])

    def test_only_looked_at(self) -> None:
        for command, lines in (
            ("EPAXOS REMOVE 2 DRYRUN", [f"{Remove(2)}", "False"]),
            ("EPAXOS REMOVE 2 FORCE dryrun", [f"{Remove(2)}", "True"]),
            ("EPAXOS REMOVE 2 DRYRUN FORCE", [f"{Remove(2)}", "True"]),
        ):
            expected = "*2\r\n" + "".join(f"${len(line)}\r\n{line}\r\n" for line in lines)
            self.assertEqual(self.ask(command), expected.encode())
        self.assertEqual(self.ask("EPAXOS REMOVE 9 DRYRUN"), b"-ERR there is no member 9\r\n")
        self.assertEqual(self.changes, [])

    def test_what_is_wrong(self) -> None:
        for command in (
            "EPAXOS ADD x",
            "EPAXOS ADD -1",
            "EPAXOS ADD 3 4",
            "EPAXOS ADD 3 NOW",
            "EPAXOS ADD FORCE",
            "EPAXOS ADD 99999999999",
            "EPAXOS REPLACE 0 WITH 3",
            "EPAXOS REPLACE 0 3 BY",
            "EPAXOS REMOVE FORCE DRYRUN",
            "EPAXOS MOVE 2 PEER tcp:a:1 CLIENT",
            "EPAXOS MOVE 2 DATA tcp:a:1",
            "EPAXOS MOVE 2 PEER tcp:ä:1",
            "EPAXOS MOVE 2 PEER tcp:a:1 PEER tcp:a:2",
            "EPAXOS MEMBERS PAST",
        ):
            self.assertEqual(self.ask(command), SYNTAX, command)
        for command, name in (
            ("EPAXOS ADD", "add"),
            ("EPAXOS REPLACE 0 BY", "replace"),
            ("EPAXOS REMOVE", "remove"),
            ("EPAXOS MOVE 2 PEER", "move"),
            ("EPAXOS CANDIDATES x", "candidates"),
        ):
            expected = f"-ERR wrong number of arguments for 'epaxos|{name}' command\r\n"
            self.assertEqual(self.ask(command).decode(), expected)
        self.assertEqual(self.changes, [])

    def test_an_address_that_is_none(self) -> None:
        def check_address(name: str, text: str) -> None:
            self.assertEqual(name, "status_connect")
            raise ValueError("no type")

        self.server.factory.shared.check_address = check_address
        self.assertEqual(
            self.ask("EPAXOS MOVE 2 STATUS garbage"),
            b"-ERR garbage is no address of a client endpoint: no type\r\n",
        )
        self.assertEqual(self.changes, [])

    def test_who_is_a_member_already(self) -> None:
        """Unless it waits to join: then an operator asks again for what has just been done."""
        error = b"-ERR replica 2 is a member already, and nobody else wants to join as that\r\n"
        self.assertEqual(self.ask("EPAXOS ADD 2"), error)
        self.assertEqual(self.changes, [])
        self.candidates.append(Candidate(LIST.members[1]))
        self.ask("EPAXOS ADD 2")
        self.assertEqual(self.changes, [(Add(LIST.members[1]), False)])

    def test_who_does_not_want_to_join(self) -> None:
        self.assertEqual(
            self.ask("EPAXOS ADD 4"),
            b"-ERR replica 4 is not connected here:"
            b" start it with --join and the peer address of a member\r\n",
        )
        self.candidates.append(Candidate(JOINS._replace(uid=14)))
        self.assertEqual(
            self.ask("EPAXOS REPLACE 2 BY 3"),
            b"-ERR two replicas want to join with the number 3 (uids 000000000000000d and 000000000000000e):"
            b" stop one of them\r\n",
        )
        self.assertEqual(self.changes, [])

    def test_refusals(self) -> None:
        self.ask("EPAXOS REMOVE 2")
        self.answers[-1].errback(Refusal("superseded by add 5, by replica 1"))
        self.assertEqual(self.wire.value(), b"-ERR superseded by add 5, by replica 1\r\n")
        self.ask("EPAXOS REMOVE 2")
        self.answers[-1].errback(RuntimeError("a bug"))
        self.assertIn(b"the command has failed, see the log", self.wire.value())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_only_for_operators(self) -> None:
        connection = self.server.factory.buildProtocol(IPv4Address("TCP", "10.0.0.9", 1))
        wire = Wire()
        connection.makeConnection(wire)
        connection.dataReceived(encode(*(f"EPAXOS {name.decode()} 2 x y z" for name in CHANGES)))
        self.assertEqual(wire.value().count(b"-NOPERM this command of EPAXOS"), len(CHANGES))
        self.assertEqual(self.changes, [])


class ShownTests(ChangesCase):
    def test_candidates(self) -> None:
        self.candidates.append(Candidate(Member(4, 2**63)))
        self.assertEqual(
            self.ask("EPAXOS CANDIDATES"),
            b"*2\r\n"
            b"*6\r\n:3\r\n$17\r\ntcp:10.0.0.3:7000\r\n$17\r\ntcp:10.0.0.3:6379\r\n$0\r\n\r\n:12000000\r\n"
            b"$16\r\n000000000000000d\r\n"
            b"*6\r\n:4\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$-1\r\n$16\r\n8000000000000000\r\n",
        )

    def test_history(self) -> None:
        why = b"$22\r\nremove 1, by replica 0\r\n"
        self.assertEqual(
            self.ask("EPAXOS MEMBERS history"),
            b"*2\r\n*4\r\n:3\r\n:99\r\n" + why + b"*1\r\n:0\r\n"
            b"*4\r\n:4\r\n:99\r\n" + why + b"*2\r\n:0\r\n:2\r\n",
        )
