"""Replicas that are no members, in real processes: those that slept while they were replaced, those that
join and prove who they are, and strangers that only say that they want to join."""

from __future__ import annotations

import shutil
import socket
from secrets import randbits

from epaxos.config.example import replica_section
from epaxos.service.exit_status import REMOVED
from epaxos.transport.guests import GUESTS_MAX
from epaxos.transport.handshake import WHOEVER, PeerIdentity, greet
from epaxos.transport.introductions import Introduction
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.frames import FrameReader, pack
from tests.cluster.certified import PEER_TLS, certify
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.test_members import SETTINGS, MembersCase


class AsleepTests(MembersCase):
    def joins_at(self, cluster: Cluster, id: int, place: int, seed: int) -> None:
        """Replica `id` joins, and listens for others where the member `place` has listened, which is gone."""
        own = replica_section(id, cluster.base_port, "data", self.transport)
        there = f"{self.transport}:{cluster.base_port + place}:"
        own = own.replace(f"{self.transport}:{cluster.base_port + id}:", there)
        cluster.join(id, seed, own)

    def test_asleep_while_all_were_replaced(self) -> None:
        """When it wakes it finds others at the addresses that it knows.  They tell it, and it ends."""
        with self.growing(3, 3).start().ready() as cluster:
            cluster.client(2).set("key", "value")
            cluster.kill(2)
            cluster.join(3, 0)
            cluster.change(0, "REPLACE", 2, "BY", 3)
            for old, new, asked in ((0, 4, 1), (1, 5, 3)):
                self.settled(cluster)
                cluster.kill(old)
                shutil.rmtree(cluster.data(old))
                self.joins_at(cluster, new, old, asked)
                cluster.change(asked, "REPLACE", old, "BY", new)
            self.settled(cluster)
            self.assertEqual(cluster.members, [3, 4, 5])
            cluster.start(2)
            self.assertEqual(cluster.ended(2, 30), REMOVED)
            line = r"(?m)^epaxos: replica 2 is not a member any more: see epoch \d$"
            self.assertRegex(cluster.log(2), line)
            for id in cluster.members:
                self.assertEqual(cluster.client(id).get("key"), b"value")


class AsleepOverUdpTests(AsleepTests):
    transport = "udp"


class CertifiedTests(MembersCase):
    def test_who_joins_proves_its_number(self) -> None:
        """It is found by a name, which is looked up at each attempt to connect."""
        with self.growing(1, 2, SETTINGS + PEER_TLS) as cluster:
            authority = certify(cluster)
            cluster.start().ready()
            for id in (1, 2):
                authority.certify(cluster.folder, id, f"epaxos://example/{id}")
                own = replica_section(id, cluster.base_port, "data")
                cluster.join(id, id - 1, f"{own}peer_connect = tcp:localhost:{cluster.base_port + id}\n")
                cluster.change(0, "ADD", id)
                cluster.ready()
            self.settled(cluster)
            found = [row[1] for row in cluster.client(0).execute_command("EPAXOS", "MEMBERS")]
            self.assertIn(f"tcp:localhost:{cluster.base_port + 2}".encode(), found)
            cluster.client(2).set("key", "value")
            self.assertEqual(cluster.client(1).get("key"), b"value")
            cluster.kill(0)
            cluster.client(1).set("key", "other")
            for id in (1, 2):
                self.assertIn("replicas have to prove who they are", cluster.log(id))

    def test_who_replaces_a_member_proves_it(self) -> None:
        with self.growing(3, 1, SETTINGS + PEER_TLS) as cluster:
            authority = certify(cluster)
            cluster.start().ready()
            cluster.client(0).set("a", "v")
            authority.certify(cluster.folder, 3, "epaxos://example/3")
            cluster.join(3, 0)
            self.assertEqual(cluster.change(2, "REPLACE", 0, "BY", 3), [1, 2, 3])
            self.assertEqual(cluster.ended(0, 30), REMOVED)
            cluster.ready()
            self.settled(cluster)
            self.assertEqual(cluster.client(3).get("a"), b"v")


class StrangerTests(MembersCase):
    def asks(self, cluster: Cluster, number: int) -> wire.Answer:
        """What a member answers to somebody that wants to join, and whose address leads nowhere."""
        who = Introduction(1 + randbits(62), 1 + randbits(62), joins=True, address="tcp:127.0.0.1:1")
        with socket.create_connection(("127.0.0.1", cluster.base_port), 10) as stranger:
            hello = greet(PeerIdentity("example", number, None), WHOEVER, who)
            stranger.sendall(pack([hello], 1024))
            reader = FrameReader(1024)
            while not (frames := reader.feed(stranger.recv(1024))):
                pass
            return wire.Answer.FromString(frames[0])

    def test_too_many_want_to_join(self) -> None:
        """So many are let in, and forgotten soon; nobody else notices them."""
        with self.growing(1, 1).start().ready() as cluster:
            answers = [self.asks(cluster, 100 + number) for number in range(GUESTS_MAX + 4)]
            self.assertEqual([each.accepted for each in answers], [True] * GUESTS_MAX + [False] * 4)
            self.assertEqual([each.number for each in answers[:2]], [0, 0])
            self.assertIn(f"{GUESTS_MAX} replicas that are no members are here already", answers[-1].refusal)
            self.assertEqual(
                self.asks(cluster, 0).refusal, "the dialler says that it is replica 0, which is here"
            )
            cluster.client(0).set("key", "value")
            cluster.join(1, 0, wait=False)
            wait_until("they are forgotten", lambda: cluster.may_add(1, 0), 30)
            self.assertEqual(cluster.change(0, "ADD", 1), [0, 1])
            cluster.ready()
            self.assertEqual(cluster.client(1).get("key"), b"value")
