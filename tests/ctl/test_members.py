"""`epaxosctl members`, `add`, `replace`, `remove` and `move` against client ports that answer."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.ctl.fake import Fake, run
from tests.generated.ctl import CHANGE_FIELDS, MEMBERS_FIELDS
from tests.generated.status import names_in

MEMBERS = [
    [3, "tcp:10.0.0.3:7000", "tcp:10.0.0.3:6379", "", "connected", "00000000000000ff", "2"],
    [0, "tcp:10.0.0.1:7000", "tcp:10.0.0.1:6379", "tcp:127.0.0.1:7200", "here", "", ""],
]
CANDIDATES = [
    [4, "tcp:10.0.0.4:7000", "tcp:10.0.0.4:6379", "", 12_900_000, "000000000000000a"],
    [5, "tcp:10.0.0.5:7000", "", "", None, "000000000000000b"],
    [6, "tcp:10.0.0.6:7000", "", "", 0, "000000000000000c"],
]
HISTORY = [[4, 1_800_000_000, "add 3, by replica 0", [0, 1, 3]], [5, 0, "", [0, 3]]]
REPLIES = {"EPAXOS MEMBERS": MEMBERS, "EPAXOS CANDIDATES": CANDIDATES, "EPAXOS MEMBERS HISTORY": HISTORY}
TABLE = """\
replica  state                    version               uid  peer               client             status
0        here                           -                 -  tcp:10.0.0.1:7000  tcp:10.0.0.1:6379  tcp:127.0.0.1:7200
3        connected                      2  00000000000000ff  tcp:10.0.0.3:7000  tcp:10.0.0.3:6379  -
4        joins, lacks 12.9 MB           -  000000000000000a  tcp:10.0.0.4:7000  tcp:10.0.0.4:6379  -
5        joins, has no state yet        -  000000000000000b  tcp:10.0.0.5:7000  -                  -
6        joins                          -  000000000000000c  tcp:10.0.0.6:7000  -                  -
"""  # noqa: E501
PAST = """\
epoch                 proposed  members  why
4      2027-01-15 08:00:00 UTC  0, 1, 3  add 3, by replica 0
5                            -     0, 3  -
"""

INI = """
name = a
state_machine = kv

[replica 0]
peer = tcp:7000:interface=10.0.0.1
peer_connect = tcp:10.0.0.1:7000
client = tcp:6379
client_connect = tcp:a.example:6379
status = tcp:7200:interface=127.0.0.1
status_connect = tcp:127.0.0.1:7200
data = data/0

[replica 3]
peer = tcp6:7000:interface=\\:\\:1
peer_connect = tcp:\\:\\:1:7000
client = unix:/run/c
status = tcp:7201
data = data/3

[replica 6]
peer = tcp:7000
peer_connect = tcp:b:7000
;client = ?
client_connect = tls:b:1
;status = ?
data = data/6
"""


class MembersTests(SynchronousTestCase):
    def test_plain_lines(self) -> None:
        with Fake(REPLIES) as fake:
            for words, expected in ((["members"], TABLE), (["members", "--history"], PAST)):
                done = run("--at", fake.at, *words)
                self.assertEqual((done.exit_code, done.stderr), (0, ""))
                self.assertEqual(done.stdout, expected)

    def test_documents(self) -> None:
        """Together, their fields are those of docs: reference/epaxosctl."""
        with Fake(REPLIES) as fake:
            now, past = (
                json.loads(run("--at", fake.at, "--json", *words).stdout)
                for words in (["members"], ["members", "--history"])
            )
        self.assertEqual(now["members"][0]["uid"], None)
        self.assertEqual([each["behind_bytes"] for each in now["candidates"]], [12_900_000, None, 0])
        self.assertEqual((now["history"], past["members"], past["candidates"]), (None, None, None))
        self.assertEqual(past["history"][0]["members"], [0, 1, 3])
        self.assertEqual(names_in({**now, "history": past["history"]}), set(MEMBERS_FIELDS))

    def test_as_a_configuration(self) -> None:
        status = {"cluster": "a", "state_machine": "kv", "epoch": {"number": 7}}
        addresses = [["tcp:10.0.0.1:7000", "tcp:a.example:6379", "tcp:127.0.0.1:7200"]]
        addresses += [["tcp:\\:\\:1:7000", "unix:/run/c", "tcp:7201"], ["tcp:b:7000", "tls:b:1", ""]]
        members = [[3 * row, *each, "here", "ff"] for row, each in enumerate(addresses)]
        with Fake({"EPAXOS MEMBERS": members, "EPAXOS STATUS": json.dumps(status)}) as fake:
            done = run("--at", fake.at, "members", "--ini")
            both = run("--at", fake.at, "members", "--ini", "--history")
        self.assertEqual((done.exit_code, both.exit_code), (0, 1))
        self.assertEqual(done.stdout.partition("[cluster]")[2], INI)

    def test_nobody_wants_to_join(self) -> None:
        with Fake({**REPLIES, "EPAXOS CANDIDATES": [], "EPAXOS MEMBERS HISTORY": []}) as fake:
            self.assertEqual(run("--at", fake.at, "members").stdout.count("\n"), 3)
            self.assertEqual(run("--at", fake.at, "members", "--history").stdout.count("\n"), 1)

    def test_what_cannot_be_understood(self) -> None:
        spoilt: list[Any] = [7, "x", [7], [[]], [[7, b"x"]], [["x", *MEMBERS[0][1:]]], [[0, None, *"abcde"]]]
        for question, words in (
            ("EPAXOS MEMBERS", ["members"]),
            ("EPAXOS CANDIDATES", ["members"]),
            ("EPAXOS MEMBERS HISTORY", ["members", "--history"]),
        ):
            for reply in spoilt:
                with Fake({**REPLIES, question: reply}) as fake:
                    done = run("--at", fake.at, *words)
                self.assertEqual((done.exit_code, done.stdout), (1, ""), (question, reply))
                self.assertEqual(
                    done.stderr, f"epaxosctl: {fake.at}: its list of members cannot be understood\n"
                )

    def test_an_earlier_version(self) -> None:
        """It knows neither uids nor candidates, and says so."""
        with Fake({"EPAXOS MEMBERS": [row[:5] for row in MEMBERS]}) as fake:
            done = run("--at", fake.at, "members")
            self.assertEqual(done.exit_code, 1)
            self.assertIn("is no replica that epaxosctl can ask", done.stderr)


class ChangeTests(SynchronousTestCase):
    def test_what_is_asked(self) -> None:
        for words, question in (
            ("add 3", "ADD 3"),
            ("add 3 --force", "ADD 3 FORCE"),
            ("remove 0", "REMOVE 0"),
            ("replace 2 --by 3", "REPLACE 2 BY 3"),
            ("move 1 --peer tcp:a:1", "MOVE 1 PEER tcp:a:1"),
            ("move 1 --status tcp:a:2 --client unix:/s", "MOVE 1 CLIENT unix:/s STATUS tcp:a:2"),
            ("move 1 --peer udp:10.0.0.1:7000", "MOVE 1 PEER udp:10.0.0.1:7000"),
        ):
            with Fake({f"EPAXOS {question}": [4, [0, 1, 3]]}) as fake:
                done = run("--at", fake.at, *words.split())
                document = json.loads(run("--at", fake.at, "--json", *words.split()).stdout)
            self.assertEqual((done.exit_code, done.stderr), (0, ""), words)
            self.assertEqual(done.stdout, "epoch 4 has begun, and is safe; its members are 0, 1, 3\n")
            self.assertEqual(document, {"dry_run": False, "epoch": 4, "members": [0, 1, 3], "lines": None})

    def test_only_looked_at(self) -> None:
        replies = {
            "EPAXOS REMOVE 2 DRYRUN": ["members: 0, 1", "one may fail \x1b[31m"],
            "EPAXOS REMOVE 2 DRYRUN FORCE": ["members: 0, 1"],
        }
        with Fake(replies) as fake:
            done = run("--at", fake.at, "remove", "2", "--dry-run")
            self.assertEqual(done.stdout, "members: 0, 1\none may fail [31m\n")
            document = json.loads(
                run("--at", fake.at, "--json", "remove", "2", "--dry-run", "--force").stdout
            )
        self.assertEqual(
            document, {"dry_run": True, "epoch": None, "members": None, "lines": ["members: 0, 1"]}
        )
        whole = {**document, "members": [1]}
        self.assertEqual(names_in(whole), set(CHANGE_FIELDS))

    def test_refused(self) -> None:
        with Fake({"EPAXOS ADD 3": ValueError("ERR replica 3 is not connected here")}) as fake:
            done = run("--at", fake.at, "add", "3")
        self.assertEqual((done.exit_code, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr, f"epaxosctl: {fake.at}: it refused: ERR replica 3 is not connected here\n"
        )

    def test_what_cannot_be_understood(self) -> None:
        for words, replies in (
            (["add", "3"], (7, [4], [4, 4], [4, []], ["4", [1]], [4, ["1"]], "OK")),
            (["add", "3", "--dry-run"], (7, [4, [1]], "OK")),
        ):
            for reply in replies:
                question = "EPAXOS ADD 3" + (" DRYRUN" if len(words) == 3 else "")
                with Fake({question: reply}) as fake:
                    done = run("--at", fake.at, *words)
                self.assertEqual((done.exit_code, done.stdout), (1, ""), reply)
                self.assertEqual(done.stderr, f"epaxosctl: {fake.at}: its answer cannot be understood\n")

    def test_wrong_command_lines(self) -> None:
        for words, why in (
            ("add", "Missing argument"),
            ("add x", "is not a valid integer"),
            ("add -- -1", "is not in the range"),
            ("replace 2", "Missing option '--by'"),
            ("move 2", "give one of --peer, --client and --status"),
            ("move 2 --peer 7000", "--peer 7000: is not an endpoint: there is no endpoint type"),
            ("move 2 --client udp:10.0.0.1:1", "--client udp:10.0.0.1:1: is not an endpoint"),
        ):
            done = run(*words.split())
            self.assertEqual((done.exit_code, done.stdout), (2, ""), words)
            self.assertIn(why, done.stderr)
