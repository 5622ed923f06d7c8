"""`epaxosctl status` against client ports that answer as they should, and otherwise."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.ctl import connection
from epaxos.ctl.output import size
from tests.ctl.fake import Fake, Raw, member, members, run, run_process, status
from tests.generated.ctl import STATUS_FIELDS
from tests.generated.status import names_in

TABLE = """\
id  reached  state      epoch  instances  lag  held    memory  queue  written  ver
0   yes      connected      3      35/35    2     7  123.5 MB      0   2.5 MB    2
1   yes      here           3      35/36    2     7  123.5 MB      0   2.5 MB    2
2   yes      connected      3      35/37    2     7  123.5 MB      0   2.5 MB    2
"""


class AllAnswerTests(SynchronousTestCase):
    def test_plain_lines(self) -> None:
        with Fake({}) as a, Fake({}) as b, Fake({}) as c:
            members(a, b, c)
            done = run("--at", b.at, "status")
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        self.assertEqual(done.stdout, TABLE)

    def test_with_digests(self) -> None:
        with Fake({}) as a, Fake({}) as b:
            members(a, b)
            b.replies["EPAXOS STATUS DIGEST"] = status(1, [1], [1], digest="\x1b[31m")
            done = run("--at", a.at, "status", "--digest")
            document = json.loads(run("status", "--json", "--digest", "--at", a.at).stdout)
        self.assertEqual((done.exit_code, done.stderr), (0, ""))
        self.assertEqual([row.split()[-1] for row in done.stdout.splitlines()], ["digest", "aa", "-"])
        self.assertEqual(document["members"][0]["status"]["digest"], "aa")

    def test_one_document(self) -> None:
        """Its fields are those of docs: reference/epaxosctl."""
        with Fake({}) as a, Fake({}) as b:
            members(a, b)
            done = run("status", "--json", "--at", a.at)
            document = json.loads(done.stdout)
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual(document["cluster"], "test")
        self.assertEqual([each["asked"] for each in document["members"]], [a.at, b.at])
        self.assertEqual(document["members"][1]["status"], json.loads(status(1, [10, 20, 6], [10, 20, 5])))
        self.assertEqual(document["members"][1]["memory_bytes"], 123456789)
        for each in document["members"]:
            each["status"] = None
        self.assertEqual(names_in(document), set(STATUS_FIELDS))

    def test_who_takes_a_state(self) -> None:
        """A line for each of them, below the table."""
        behind = {"epoch": 7, "source": 2, "taken_bytes": 12_900_000, "bytes": 30_000_000}
        for changed, said in (
            ({}, "takes the state of member 2: 43 %, 12.9 MB of 30.0 MB"),
            ({"taken_bytes": 29_999_999}, "takes the state of member 2: 99 %, 30.0 MB of 30.0 MB"),
            ({"taken_bytes": 31_000_000}, "takes the state of member 2: 100 %, 31.0 MB of 30.0 MB"),
            ({"taken_bytes": 0, "bytes": 0}, "takes the state of member 2"),
            ({"bytes": "\x1b[31m"}, "takes the state of member 2"),
            ({"source": None, "bytes": 0}, "waits for a member that gives it the state of epoch 7"),
        ):
            epoch = {"number": 3, "behind": {**behind, **changed}}
            with Fake({}) as a, Fake({"EPAXOS STATUS": status(1, [1], [1], epoch=epoch)}) as b:
                members(a, b)
                done = run("--at", a.at, "status")
                document = json.loads(run("--at", a.at, "--json", "status").stdout)
            self.assertEqual((done.exit_code, done.stderr), (0, ""))
            self.assertEqual(done.stdout.splitlines()[3:], [f"replica 1 {said}"])
            self.assertEqual(document["members"][1]["status"]["epoch"], epoch)

    def test_who_takes_no_state(self) -> None:
        for epoch in ({"number": 3, "behind": None}, {"number": 3}, "x", {"behind": [1]}):
            with Fake({"EPAXOS STATUS": status(0, [1], [1], epoch=epoch)}) as a:
                members(a)
                done = run("--at", a.at, "status")
            self.assertEqual((done.exit_code, len(done.stdout.splitlines())), (0, 2))

    def test_who_is_in_an_earlier_epoch(self) -> None:
        """Slots begin again with each epoch, so only members of the newest one are compared."""
        for epoch, line in (
            ({"number": 0}, "replica 2 is in epoch 0, and the newest is epoch 2"),
            (None, "replica 2 shows no epoch, and the newest is epoch 2"),
        ):
            with Fake({}) as a, Fake({}) as b, Fake({}) as c:
                members(a, b, c)
                a.replies["EPAXOS STATUS"] = status(0, [10, 0], [10, 0], epoch={"number": 2})
                b.replies["EPAXOS STATUS"] = status(1, [12, 0], [9, 0], epoch={"number": 2})
                c.replies["EPAXOS STATUS"] = status(2, [3000, 5], [3000, 5], epoch=epoch)
                done = run("--at", a.at, "status")
                document = json.loads(run("--at", a.at, "--json", "status").stdout)
            self.assertEqual((done.exit_code, done.stderr), (0, ""))
            self.assertEqual([each["lag"] for each in document["members"]], [2, 3, None])
            rows = [line.split() for line in done.stdout.splitlines()]
            shown = "-" if epoch is None else "0"
            self.assertEqual([row[3:6] for row in rows[1:3]], [["2", "10/10", "2"], ["2", "9/12", "3"]])
            self.assertEqual(rows[3][3:6], [shown, "3005/3005", "-"])
            self.assertEqual(done.stdout.splitlines()[4:], [line])

    def test_over_a_unix_socket(self) -> None:
        """The member that was asked is asked there again."""
        path = os.path.relpath(self.mktemp())
        with Fake({}, f"./{path}") as a:
            rows = [member(0, "tcp:1:interface=192.0.2.1", state="here")]
            a.replies = {"EPAXOS MEMBERS": rows, "EPAXOS STATUS": status(0, [1], [1]), "INFO memory": "x"}
            done = run("--at", a.at, "--json", "status")
        self.assertEqual(done.exit_code, 0, done.output)
        (shown,) = json.loads(done.stdout)["members"]
        self.assertEqual((shown["asked"], shown["memory_bytes"]), (a.at, None))

    def test_later_columns_and_unknown_fields(self) -> None:
        """A later version may tell more; what an older one does not tell is left open."""
        with Fake({}) as a:
            members(a, rows=lambda rows: [[*row, b"later", 5] for row in rows])
            a.replies["EPAXOS STATUS"] = json.dumps({"id": 0, "cluster": "test", "later": [1]})
            done = run("--at", a.at, "status")
        self.assertEqual(done.exit_code, 0, done.output)
        self.assertEqual(done.stdout.splitlines()[1].split()[3:7], ["-", "0/0", "-", "-"])

    def test_the_password(self) -> None:
        """From the option, or the environment; every member gets it."""
        for options, env in ((["--password", "päss"], {}), ([], {"EPAXOS_PASSWORD": "päss"})):
            with Fake({"AUTH päss": "OK"}) as a, Fake({"AUTH päss": "OK"}) as b:
                members(a, b)
                done = run("--at", a.at, "status", *options, env=env)
                self.assertEqual(done.exit_code, 0, done.output)
                self.assertEqual((a.asked[0], b.asked[0]), ("AUTH päss", "AUTH päss"))
            self.assertNotIn("päss", done.output)

    def test_options_before_and_behind(self) -> None:
        """What stands behind the command counts, and what does not stand there hides nothing."""
        with Fake({}) as a:
            members(a)
            self.assertTrue(run("--json", "--at", a.at, "status").stdout.startswith("{"))
            self.assertEqual(run("--at", "127.0.0.1:1", "status", "--at", a.at).exit_code, 0)


class SomeDoNotAnswerTests(SynchronousTestCase):
    def check(self, spoilt: Any, *lines: str, **options: str) -> dict[str, Any]:
        """The second of two members answers `spoilt` to STATUS; returns what is shown of it."""
        with Fake({}) as a, Fake({"EPAXOS STATUS": spoilt}) as b:
            members(a, b)
            done = run("--json", "--at", a.at, "--timeout", "0.5", "status")
            at = b.at
        self.assertEqual(done.exit_code, 1, done.output)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(
            done.stderr.startswith(f"epaxosctl: 1 of 2 members did not answer: replica 1: {at}: "),
            done.stderr,
        )
        for line in lines:
            self.assertIn(line, done.stderr)
        shown: dict[str, Any] = json.loads(done.stdout)["members"][1]
        self.assertEqual((shown["reached"], shown["status"], shown["lag"]), (False, None, None))
        return shown

    def test_one_is_gone(self) -> None:
        with Fake({}) as a, Fake({}) as b:
            members(a, b)
            b.__exit__()
            done = run("--at", a.at, "status")
        self.assertEqual(done.exit_code, 1)
        self.assertEqual(
            done.stderr,
            f"epaxosctl: 1 of 2 members did not answer: replica 1: {b.at}: it cannot be reached: "
            "Connection refused\n",
        )
        self.assertEqual(done.stdout.splitlines()[2].split(), ["1", "no", "connected", *"--------"])

    def test_no_json(self) -> None:
        for spoilt in ("{", "[]", "7", None, 7, [b"{}"], "[" * 100_000, "1" * 5000, b"\xff"):
            self.check(spoilt, "its status cannot be understood")

    def test_errors(self) -> None:
        self.check(ValueError("NOPERM from here"), "it refused: NOPERM from here (--password, or")
        self.check(ValueError("ERR \x1b[31mred\x07"), "it refused: ERR [31mred")

    def test_no_redis(self) -> None:
        self.check(Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "it does not speak the Redis protocol")

    def test_nothing_and_half_an_answer(self) -> None:
        self.check(Raw(b""), "it did not answer EPAXOS within 0.5 s")
        self.check(Raw(b"$10\r\nabc"), "it did not answer EPAXOS within 0.5 s")

    def test_drop_by_drop(self) -> None:
        """The deadline is that of the whole answer."""
        with Fake({}) as a:

            def slowly() -> Raw:
                for _ in range(30):
                    a.connections[-1].sendall(b"*1\r\n")
                    time.sleep(0.1)
                return Raw(b"")

            members(a)
            a.replies["EPAXOS MEMBERS"] = slowly
            began = time.monotonic()
            done = run("--at", a.at, "--timeout", "0.5", "status")
            self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(done.exit_code, 1)

    def test_an_endless_answer(self) -> None:
        self.patch(connection, "REPLY_BYTES_MAX", 100_000)
        self.check(Raw(b"$900000\r\n" + bytes(200_000)), "its answer is longer than 100000 bytes")

    def test_another_replica_answers(self) -> None:
        self.check(status(0, [1], [1]), "replica 0 answered there, not replica 1")

    def test_another_cluster_answers(self) -> None:
        self.check(status(1, [1], [1], cluster="other"), "the cluster 'other' answered there")

    def test_numbers_that_cannot_be(self) -> None:
        """They are left open, and nothing fails."""
        with Fake({}) as a:
            members(a)
            for slots in ([10**400, 1], ["x"], [-1], {"0": 1}, None, [1.5]):
                counters = {"instances_held": 10**400, "commands_queued": "many", "store_bytes": -1}
                a.replies["EPAXOS STATUS"] = status(0, slots, [1, 2], counters=counters)  # type: ignore[arg-type]
                done = run("--at", a.at, "status")
                self.assertEqual(done.exit_code, 0, done.output)
                row = done.stdout.splitlines()[1].split()
                self.assertEqual(row[4:7], ["3/0", "-", "-"])
            for number in (10**400, -1, "x", None, 1.5):
                a.replies["EPAXOS STATUS"] = status(0, [1], [1], epoch={"number": number})
                done = run("--at", a.at, "status")
                self.assertEqual(
                    (done.exit_code, done.stdout.splitlines()[1].split()[3:6]), (0, ["-", "1/1", "0"])
                )

    def test_client_ports_that_cannot_be_asked(self) -> None:
        with Fake({}) as a:
            members(a, rows=lambda rows: [*rows, member(1, "ssl:7100:privateKey=k")])
            done = run("--at", a.at, "status")
        self.assertIn("a client port of the kind ssl:7100:privateKey=k cannot be asked", done.stderr)
        self.assertEqual(done.exit_code, 1)


class NoMembersTests(SynchronousTestCase):
    """The replica of --at does not tell who is there: one line, and nothing on stdout."""

    def check(self, replies: dict[str, Any], expected: str) -> None:
        with Fake(replies) as a:
            done = run("--at", a.at, "--timeout", "0.5", "status")
        self.assertEqual((done.exit_code, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"epaxosctl: {a.at}{expected}\n")

    def test_what_it_says(self) -> None:
        self.check({}, " is no replica that epaxosctl can ask: ERR unknown command 'EPAXOS'")
        noauth = ValueError("NOAUTH Authentication required.")
        hint = "(--password, or EPAXOS_PASSWORD)"
        self.check({"EPAXOS MEMBERS": noauth}, f": it refused: NOAUTH Authentication required. {hint}")
        denied = ValueError("DENIED from here")
        self.check({"EPAXOS MEMBERS": denied}, ": it refused: DENIED from here")
        self.check({"EPAXOS MEMBERS": Raw(b"")}, ": it did not answer EPAXOS within 0.5 s")
        row = member(0, "tcp:7100")
        for spoilt in (
            None,
            7,
            b"x",
            [7],
            [[]],
            [row[:4]],
            [["0", *row[1:]]],
            [[0, 1, 2, 3, 4]],
            [row, 7],
        ):
            self.check({"EPAXOS MEMBERS": spoilt}, ": its list of members cannot be understood")
        self.check(
            {"EPAXOS MEMBERS": []}, " knows no members yet: it has not reached the cluster that it joins"
        )

    def test_a_wrong_password(self) -> None:
        with Fake({"AUTH no": ValueError("WRONGPASS invalid")}) as a:
            done = run("--at", a.at, "--password", "no", "status")
        self.assertEqual(
            (done.exit_code, done.stderr), (1, f"epaxosctl: {a.at}: it refused: WRONGPASS invalid\n")
        )

    def test_nobody_there(self) -> None:
        for at, why in (
            ("/nonexistent/socket", "No such file or directory"),
            (f"/{'long' * 100}", "AF_UNIX path too long"),
            ("no..host:7100", "it cannot be reached: "),
        ):
            done = run("--at", at, "status")
            self.assertEqual(done.exit_code, 1)
            self.assertIn(why, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)


class ProcessTests(SynchronousTestCase):
    """What only a process shows."""

    def test_usage_is_status_2(self) -> None:
        for arguments in (
            ["nothing"],
            ["--at", "7100", "status"],
            ["--timeout", "nan", "status"],
            ["inspect"],
        ):
            done = run(*arguments)
            self.assertEqual((done.exit_code, done.stdout), (2, ""), arguments)
            self.assertIn("Error: ", done.stderr)

    def test_streams_that_are_not_there(self) -> None:
        with Fake({}) as a:
            members(a)
            done = run_process("--at", a.at, "status", preexec_fn=lambda: os.close(1))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            full = os.open("/dev/full", os.O_WRONLY)
            self.addCleanup(os.close, full)
            done = run_process("--at", a.at, "status", preexec_fn=lambda: os.dup2(full, 1))
            self.assertEqual(done.returncode, 1)
            self.assertNotIn("Traceback", done.stderr)
            self.assertEqual(done.stderr, "epaxosctl: No space left on device\n")

    def test_an_error_of_ours_is_one_line(self) -> None:
        with Fake({}) as a:
            members(a)
            self.patch(connection.Connection, "ask", lambda *_: 1 // 0)
            done = run("--at", a.at, "status")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("epaxosctl: internal error, please report it: ZeroDivisionError", done.stderr)


class SizeTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        for bytes_, text in (
            *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB")),
            *((2_500_000_000, "2.5 GB"), (10**18, "1000000.0 TB"), (None, "-")),
        ):
            self.assertEqual(size(bytes_), text)
