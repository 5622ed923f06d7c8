"""Members come and go in real clusters: under load, around deaths, and what an operator sees of it."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import redis

from epaxos.service.exit_status import REMOVED, WRONG_DATA
from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.load import Load
from tests.cluster.pages import blocks, with_ports
from tests.ctl.fake import run_process

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operating" / "members.md"
REFUSE = (
    "epaxos/node/foresight.py",
    "epaxos/node/wishes.py",
    "epaxos/protocol/values/changes.py",
    "epaxos/resp/commands/changes.py",
)
"""The modules that refuse changes."""
SETTINGS = "[timing]\nsuspect_after_s = 1\n[storage]\ncheckpoint_s = 0.3\n"


def _texts(path: Path) -> Iterator[str]:
    """The texts of a module, without what is filled in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


class MembersCase(ClusterTestCase):
    timeout = 300

    def growing(self, n: int, room: int, settings: str = SETTINGS) -> Cluster:
        return Cluster(n, settings, self.transport, room=room)

    def settled(self, cluster: Cluster) -> None:
        """All members are in one epoch, and know it of each other; nobody else counts."""

        def are_there() -> bool:
            statuses = cluster.statuses()
            epochs = {(status["epoch"]["number"], status["epoch"]["settled"]) for status in statuses}
            listed = [[member["id"] for member in status["members"]] for status in statuses]
            return len(epochs) == 1 and all(
                members == cluster.members and status["epoch"]["settled"]
                for status, members in zip(statuses, listed)
            )

        wait_until(f"the members are {cluster.members}, and they know it", are_there, 40)

    def check(self, cluster: Cluster, load: Load) -> None:
        self.settled(cluster)
        cluster.equal_digests()
        for id in cluster.members:
            self.assertEqual(load.missing(cluster.client(id)), [], f"seen at replica {id}")
            for bad in ("Traceback", "internal error", "not a frame", "unknown kind"):
                self.assertNotIn(bad, cluster.log(id))

    def load(self, cluster: Cluster, *ids: int) -> Load:
        return Load({id: cluster.redis_ports[id] for id in ids}, clients=2)

    def add(self, cluster: Cluster, id: int, asked: int) -> None:
        cluster.join(id, asked)
        self.assertIn(id, cluster.change(asked, "ADD", id))
        cluster.ready()

    def remove(self, cluster: Cluster, id: int, asked: int) -> None:
        """It leaves, and ends by itself."""
        self.assertNotIn(id, cluster.change(asked, "REMOVE", id))
        self.assertEqual(cluster.ended(id, 30), REMOVED)

    def ctl(self, cluster: Cluster, id: int, *words: object) -> subprocess.CompletedProcess[str]:
        return run_process("--at", f"127.0.0.1:{cluster.redis_ports[id]}", *words)

    def refused(self, cluster: Cluster, asked: int, text: str, *words: object) -> None:
        """The change is refused with this text, and so is a look at what it would do."""
        for more in ((), ("DRYRUN",)):
            with self.assertRaisesRegex(redis.ResponseError, text):
                cluster.client(asked).execute_command("EPAXOS", *map(str, words), *more)


class ChangesTests(MembersCase):
    def test_a_disk_is_lost_under_load(self) -> None:
        """A new member takes the place of one that is gone for good; no client of the others notices it."""
        with self.growing(3, 1).start().ready() as cluster:
            with self.load(cluster, 0, 1) as load:
                load.wait_for_more(20, 0, 1)
                cluster.kill(2)
                shutil.rmtree(cluster.data(2))
                load.wait_for_more(20, 0, 1)
                cluster.join(3, 0)
                self.assertEqual(cluster.change(1, "REPLACE", 2, "BY", 3), [0, 1, 3])
                load.wait_for_more(20, 0, 1)
                cluster.kill(0)
                load.wait_for_more(20, 1, timeout_s=30)  # the new member is one of the majority
                cluster.start(0)
                cluster.ready()
            self.assertEqual([writer.refused for writer in load.of(1)], [[], []])
            self.check(cluster, load)
            cluster.start(2)
            self.assertEqual(cluster.ended(2), WRONG_DATA)
            self.assertRegex(cluster.log(2), r"(?m)^epaxos: replica 2 was here before under another uid")

    def test_one_three_five_three_one(self) -> None:
        """While clients write all the time, at those who stay."""
        with self.growing(1, 4).start().ready() as cluster:
            with self.load(cluster, 0) as load:
                for id in (1, 2, 3, 4):
                    self.add(cluster, id, asked=id - 1)
                    load.wait_for_more(10, 0)
                self.settled(cluster)
                with self.load(cluster, 4) as late:
                    late.wait_for_more(10, 4)
                    for asked, id in ((0, 2), (4, 3), (1, 0)):
                        self.remove(cluster, id, asked)
                        late.wait_for_more(10, 4)
                    self.remove(cluster, 1, 4)
                    late.wait_for_more(10, 4)
            self.assertEqual(cluster.members, [4])
            self.assertEqual([writer.refused for writer in late.writers], [[], []])
            self.check(cluster, late)
            self.assertEqual(load.missing(cluster.client(4)), [])

    def test_all_are_replaced(self) -> None:
        """One by one; then the cluster has nothing in common with the one that it was."""
        with self.growing(3, 3).start().ready() as cluster:
            with self.load(cluster, 0, 1, 2) as load:
                load.wait_for_more(10, 0, 1, 2)
                for old, new, asked in ((0, 3, 1), (1, 4, 3), (2, 5, 4)):
                    cluster.join(new, asked)
                    cluster.change(asked, "REPLACE", old, "BY", new)
                    self.assertEqual(cluster.ended(old, 30), REMOVED)
                    cluster.ready()
            self.assertEqual(cluster.members, [3, 4, 5])
            self.check(cluster, load)
            for id in cluster.members:
                self.assertEqual(cluster.terminate(id), 0)
            cluster.start()
            cluster.ready()
            self.check(cluster, load)
            for id in cluster.members:
                self.assertIn("is of no effect, because its folder knows the members", cluster.log(id))

    def test_the_member_that_is_asked_leaves(self) -> None:
        """It answers first, then it ends; started again, it says once more that it is no member."""
        with self.growing(3, 0).start().ready() as cluster:
            cluster.client(1).set("a", "v")
            self.remove(cluster, 0, asked=0)
            self.assertIn("replica 0 is not a member", cluster.log(0))
            cluster.start(0)
            self.assertEqual(cluster.ended(0, 30), REMOVED)
            self.assertEqual(cluster.client(2).get("a"), b"v")
            self.settled(cluster)

    def test_two_operators(self) -> None:
        """At two members at the same time: both are done, or one is told to ask again, and does."""
        with self.growing(5, 0).start().ready() as cluster, ThreadPoolExecutor(2) as pool:

            def ask(asked: int, id: int) -> list[str]:
                refusals: list[str] = []
                while True:
                    try:
                        cluster.client(asked).execute_command("EPAXOS", "REMOVE", str(id))
                        return refusals
                    except redis.ResponseError as why:
                        refusals.append(str(why))
                        self.assertLess(len(refusals), 100, refusals[-1])
                        time.sleep(0.1)

            refusals = [done.result() for done in (pool.submit(ask, 0, 3), pool.submit(ask, 1, 4))]
            for why in (*refusals[0], *refusals[1]):
                self.assertRegex(why, "superseded by epoch|has not begun at a majority")
            cluster.members = [0, 1, 2]
            self.settled(cluster)
            self.assertEqual([cluster.ended(id, 30) for id in (3, 4)], [REMOVED, REMOVED])

    def test_the_only_one_waits_until_the_next_one_has_its_state(self) -> None:
        """Whoever is removed ends only when it is not needed any more, and says so until then."""
        with self.growing(1, 1).start().ready() as cluster:
            cluster.client(0).set("a", "v")
            cluster.join(1, 0)
            cluster.kill(1)
            done = self.ctl(cluster, 0, "replace", 0, "--by", 1, "--force")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(
                done.stderr,
                r"replace 0 by 1: epoch \d+ has begun, and is not safe after 5 s: do not stop who is removed",
            )
            with self.assertRaisesRegex(redis.ResponseError, "this replica is not a member any more"):
                cluster.client(0).get("a")
            cluster.kill(0)
            cluster.start(0)
            time.sleep(2)
            self.assertIsNone(cluster.processes[0].poll(), "it has the only state")
            cluster.start(1)
            self.assertEqual(cluster.ended(0, 30), REMOVED)
            cluster.members = [1]
            cluster.ready()
            self.assertEqual(cluster.client(1).get("a"), b"v")

    def test_killed_around_a_change(self) -> None:
        """Whoever is killed, removed, new or neither, is back, or ends as it would have."""
        with self.growing(3, 2).start().ready() as cluster:
            with self.load(cluster, 1) as load:
                for old, new, victim in ((0, 3, 3), (2, 4, 1)):
                    load.wait_for_more(10, 1)
                    cluster.join(new, 1)
                    cluster.change(1, "REPLACE", old, "BY", new)
                    cluster.kill(victim)
                    cluster.start(victim)
                    self.assertEqual(cluster.ended(old, 30), REMOVED)
                    cluster.ready()
            self.check(cluster, load)


class RandomTests(MembersCase):
    """Whatever an operator may do, in any order, while members die, come back, or do not."""

    steps = 8
    room = 8

    def test_any_order(self) -> None:
        seed = SystemRandom().randrange(10_000)
        random = Random(seed)
        try:
            with self.growing(3, self.room).start().ready() as cluster:
                with self.load(cluster, *range(3 + self.room)) as load:
                    load.wait_for_more(5, 0, 1, 2)
                    for _ in range(self.steps):
                        self.step(cluster, random)
                self.check(cluster, load)
        except BaseException:
            print(f"random with the seed {seed}", file=sys.stderr)
            raise

    def step(self, cluster: Cluster, random: Random) -> None:
        members, new = cluster.members, max(*cluster.members, *cluster.seeds, 2) + 1
        asked, victim = random.sample(members, 2)
        what = random.choice(("add", "remove", "replace", "replace", "restart", "lose"))
        if what == "add" and len(members) < 5 and new < 3 + self.room:
            self.add(cluster, new, asked)
        elif what == "remove" and len(members) > 2:
            self.remove(cluster, victim, random.choice((asked, victim)))
        elif what in ("replace", "lose") and new < 3 + self.room:
            lost = what == "lose" and len(members) > 2
            if lost:
                cluster.kill(victim)
                shutil.rmtree(cluster.data(victim))
            cluster.join(new, asked)
            cluster.change(asked, "REPLACE", victim, "BY", new)
            if not lost:
                self.assertEqual(cluster.ended(victim, 30), REMOVED)
        else:
            cluster.kill(victim)
            cluster.start(victim)
        cluster.ready()
        self.settled(cluster)


class JoiningTests(MembersCase):
    """What happens to one that joins until it is a member."""

    def fill(self, cluster: Cluster, megabytes: int) -> None:
        client = cluster.client(0)
        for number in range(megabytes * 20):
            client.set(f"filled {number}", bytes([number % 251]) * 50_000)

    def test_killed_while_it_takes_the_state(self) -> None:
        """It goes on where it was; so it does when the member dies that gives it the state."""
        with self.growing(3, 1).start().ready() as cluster:
            self.fill(cluster, 10 if self.transport == "udp" else 30)
            self.assertEqual(cluster.change(0, "REMOVE", 2), [0, 1])
            self.assertEqual(cluster.ended(2, 30), REMOVED)
            cluster.join(3, 0, wait=False)
            for _ in range(3):
                wait_until("it takes the state", lambda: self.taken(cluster, 3))
                cluster.kill(3)
                cluster.start(3)
            wait_until("it takes the state", lambda: self.taken(cluster, 3))
            cluster.kill(1)
            cluster.start(1).ready(0, 1)
            for id in (0, 1):
                wait_until("it has the state", lambda id=id: cluster.may_add(3, id), 60)
            self.settled(cluster)
            self.assertEqual(cluster.change(1, "ADD", 3), [0, 1, 3])
            cluster.ready()
            self.settled(cluster)
            cluster.equal_digests()
            self.assertEqual(cluster.client(3).strlen("filled 199"), 50_000)

    def taken(self, cluster: Cluster, id: int) -> bool:
        """Whether some of the state is there, or all of it."""
        status = cluster.try_status(id)
        behind = None if status is None else status["epoch"]["behind"]
        return behind is not None and behind["taken_bytes"] > 0

    def test_it_is_added_before_it_has_the_state(self) -> None:
        """Only when the operator insists: until it has the state, it counts as failed."""
        with self.growing(3, 1).start().ready() as cluster:
            self.fill(cluster, 20)
            cluster.join(3, 0, wait=False)
            wait_until("it asks", lambda: cluster.client(0).execute_command("EPAXOS", "CANDIDATES"))
            text = "replica 3 (has not begun to take the state|still lacks [0-9.]+ MB of the state)"
            with self.assertRaisesRegex(redis.ResponseError, text):
                cluster.client(0).execute_command("EPAXOS", "ADD", "3")
            self.assertEqual(cluster.change(0, "ADD", 3, "FORCE"), [0, 1, 2, 3])
            self.assertTrue(cluster.client(1).set("a", "v"))
            cluster.ready(timeout_s=60)
            self.settled(cluster)
            cluster.equal_digests()

    def test_asleep_while_the_others_were_replaced(self) -> None:
        """One that was removed meanwhile hears it when it wakes, and ends; so does one that was replaced."""
        with self.growing(3, 2).start().ready() as cluster:
            cluster.client(0).set("a", "v")
            cluster.kill(2)
            for old, new in ((2, 3), (0, 4)):
                cluster.members = [id for id in cluster.members if id in cluster.processes]
                cluster.join(new, 1)
                cluster.change(1, "REPLACE", old, "BY", new)
                cluster.ready()
            self.assertEqual(cluster.ended(0, 30), REMOVED)
            cluster.start(2)
            self.assertEqual(cluster.ended(2, 30), REMOVED)
            self.assertRegex(
                cluster.log(2), r"(?m)^epaxos: replica 2 is not a member any more: see epoch \d+$"
            )
            self.settled(cluster)


class MovingTests(MembersCase):
    def test_a_member_moves(self) -> None:
        """Its own file says where it listens, and the list tells the others."""
        with self.growing(3, 1).start().ready() as cluster:
            cluster.client(0).set("a", "v")
            cluster.terminate(2)
            text = cluster.config.read_text()
            moved = cluster.own_config(2)
            base = cluster.base_port
            for offset in (0, 100):
                text = text.replace(f":{base + 2 + offset}:", f":{base + 3 + offset}:")
            moved.write_text(text)
            cluster.seeds[2] = f"{self.transport}:127.0.0.1:{base}"  # so that it starts from its own file
            cluster.redis_ports[2] = base + 103
            cluster.start(2)
            peer, client = f"{self.transport}:127.0.0.1:{base + 3}", f"tcp:127.0.0.1:{base + 103}"
            done = self.ctl(cluster, 0, "move", 2, "--peer", peer, "--client", client)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^epoch \d+ has begun, and is safe; its members are 0, 1, 2\n$")
            cluster.ready()
            self.settled(cluster)
            document = json.loads(self.ctl(cluster, 1, "members", "--json").stdout)
            shown = document["members"][2]
            self.assertEqual((shown["peer"], shown["client"], shown["state"]), (peer, client, "connected"))
            self.assertEqual(cluster.client(2).get("a"), b"v")
            cluster.terminate(1)
            cluster.start(1).ready()
            self.assertIn(f"replica 2 is reached at {peer}, says epoch ", cluster.log(1))
            self.settled(cluster)
            self.remove(cluster, 0, asked=1)
            self.settled(cluster)
            self.remove(cluster, 2, asked=1)
            cluster.client(1).set("a", "alone")


class RefusedTests(MembersCase):
    def test_refusals(self) -> None:
        with self.growing(3, 2).start().ready() as cluster:
            for text, words in (
                ("replica 3 is not connected here: start it with --join", ("ADD", 3)),
                ("replica 1 is a member already", ("ADD", 1)),
                ("garbage is no address of a client endpoint: ", ("MOVE", 1, "PEER", "garbage")),
                ("there is no member 7: the members are 0, 1, 2", ("REMOVE", 7)),
                ("there is no member 7: the members are 0, 1, 2", ("MOVE", 7, "PEER", "tcp:127.0.0.1:1")),
            ):
                self.refused(cluster, 0, text, *words)
            before = cluster.status(0)["epoch"]["number"]
            self.assertEqual(cluster.status(0)["epoch"]["number"], before)
            self.remove(cluster, 2, asked=0)
            self.assertEqual(cluster.change(0, "REMOVE", 2), [0, 1], "it is done already")
            cluster.join(2, 0, wait=False)
            self.assertEqual(cluster.ended(2, 30), REMOVED, "its folder is that of the member")
            shutil.rmtree(cluster.data(2))
            cluster.join(2, 0, wait=False)
            self.assertIn(cluster.ended(2, 30), (WRONG_DATA, REMOVED))
            self.assertIn("was a member", cluster.log(2))
            self.refused(cluster, 0, "replica 2 is not connected here", "ADD", 2)
            cluster.kill(1)
            cluster.sees_down(0, 1)
            self.refused(cluster, 0, "no majority of the members is connected", "REMOVE", 1)

    def test_too_few_would_be_there(self) -> None:
        """Unless the operator insists."""
        with self.growing(3, 0).start().ready() as cluster:
            cluster.kill(2)
            cluster.sees_down(0, 2)
            text = "of the 2 new members 2 have to be there, and only 0 is"
            self.refused(cluster, 0, text, "REMOVE", 1)
            done = self.ctl(cluster, 0, "remove", 1)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, text)

    def test_nothing_is_kept(self) -> None:
        with self.growing(3, 1, "[storage]\nengine = memory\n").start().ready() as cluster:
            self.refused(cluster, 0, "nothing is kept on disk, so no state can be given", "REMOVE", 2)
            cluster.join(3, 0, wait=False)
            self.assertEqual(cluster.ended(3), 1)
            self.assertIn("a replica that keeps nothing cannot join a cluster", cluster.log(3))

    def test_another_cluster(self) -> None:
        """One that joins by the name of another cluster is refused, and goes on trying."""
        with self.growing(1, 1).start().ready() as cluster:
            cluster.join(1, 0, wait=False)
            cluster.kill(1)
            own = cluster.own_config(1)
            own.write_text(own.read_text().replace("name = example", "name = other"))
            shutil.rmtree(cluster.data(1), ignore_errors=True)
            cluster.start(1)
            refused = "refused: cluster 'other', here it is 'example'"
            wait_until("it is in the log", lambda: refused in cluster.log(1))
            self.assertEqual(cluster.client(0).execute_command("EPAXOS", "CANDIDATES"), [])
            with self.assertRaisesRegex(redis.ResponseError, "this replica is not a member yet"):
                cluster.client(1).get("a")


class PageTests(MembersCase):
    """What docs/operating/members.md shows works as it says."""

    def test_a_replica_joins(self) -> None:
        page = PAGE.read_text(encoding="utf-8")
        (ini,) = blocks(page, "ini")
        start, commands = blocks(page, "sh")[:2]
        self.assertIn("twistd -n epaxos --id 3 --config node3.ini --join tcp:127.0.0.1:7000", start)
        with self.growing(3, 1).start().ready() as cluster:
            cluster.own_config(3).write_text(with_ports(ini, cluster))
            cluster.seeds[3] = with_ports("tcp:127.0.0.1:7000", cluster)
            cluster.start(3)
            wait_until("replica 3 can be added", lambda: cluster.may_add(3, 0), 30)
            with self.assertRaisesRegex(
                redis.ResponseError, "this replica is not a member yet; the command was not"
            ):
                cluster.client(3).get("a")
            shown = [self.run_line(cluster, line) for line in commands.splitlines()]
            self.assertEqual(len(shown), 5)
            self.assertRegex(shown[0], r"(?m)^3 +joins")
            self.assertIn("now: 3 members, of which 1 may fail: 0, 1, 2", shown[1])
            self.assertIn("then: 4 members, of which 1 may fail: 0, 1, 2, 3", shown[1])
            self.assertRegex(shown[2], r"^epoch \d+ has begun, and is safe; its members are 0, 1, 2, 3\n$")
            self.assertRegex(shown[4], r"0, 1, 2, 3 +add 3, by replica 0\n$")
            cluster.members = [0, 1, 2, 3]
            self.settled(cluster)
            table = self.run_line(cluster, "epaxosctl status")
            self.assertEqual([row.split()[1] for row in table.splitlines()[1:]], ["yes"] * 4)

    def run_line(self, cluster: Cluster, line: str) -> str:
        words: Sequence[Any] = shlex.split(with_ports(line, cluster), comments=True)
        self.assertEqual(words[0], "epaxosctl")
        done = run_process("--at", f"127.0.0.1:{cluster.redis_ports[0]}", *words[1:])
        self.assertEqual((done.returncode, done.stderr), (0, ""), line)
        return done.stdout

    def test_its_refusals_are_those_of_the_source(self) -> None:
        """But for what is filled in, and left out."""
        page = PAGE.read_text(encoding="utf-8")
        table = page[page.index("| refusal | what to do |") : page.index("An operator may ask twice")]
        told = re.findall(r"`([a-z][^`]* [^`]*)`", "".join(re.findall(r"^\| (.*?) \|", table, re.M)))
        source = " ".join(text for path in REFUSE for text in _texts(ROOT / path))
        self.assertGreater(len(told), 7)
        for refusal in told:
            for part in re.split(r"…|\d+(?:\.\d+)?|: ask again|, ", refusal):
                self.assertIn(part.strip(" :,("), source, refusal)

    def test_every_command_of_the_table(self) -> None:
        """As it is written there."""
        rows = re.findall(r"^\| [^|]+ \| `epaxosctl ([^`]+)` \|$", PAGE.read_text(encoding="utf-8"), re.M)
        self.assertEqual(
            rows, ["members", "add 3", "replace 2 --by 3", "remove 3", "move 1 --peer tcp:10.0.0.9:7000"]
        )
        for row in rows:
            done = run_process("--at", "127.0.0.1:1", *row.split())
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("127.0.0.1:1: it cannot be reached", done.stderr)


class ChangesOverUdpTests(ChangesTests):
    transport = "udp"


class RandomOverUdpTests(RandomTests):
    transport = "udp"


class JoiningOverUdpTests(JoiningTests):
    transport = "udp"


class MovingOverUdpTests(MovingTests):
    transport = "udp"
