"""A real replica under attack on all three ports: it goes on serving, in bounded memory."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from threading import Event, Thread

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.values.epoch import Epoch
from epaxos.service.exit_status import WRONG_DATA
from epaxos.transport.handshake import PeerIdentity, greet
from epaxos.wire.codec import encode
from epaxos.wire.frames import pack
from tests.cluster.harness import Cluster
from tests.cluster.load import Load
from tests.fuzz.choices import Choices
from tests.fuzz.pieces import HTTP_PIECES, RESP_PIECES
from tests.fuzz.victim import tells_of_a_double

FIRE_S = 3.0
LIES_S = 2.0
GROWTH_BYTES_MAX = 150_000_000
GAP_S_MAX = 3.0
N = 3


def resident_bytes(process_id: int) -> int:
    """The resident memory of the process."""
    (line,) = (
        line
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return int(line.split()[1]) * 1024


FRAME_PIECES = [b"\0\0\0\1", b"\0\0\0\0", b"\n\0", b"x", b"\0\0\3\xff"]


def garbage(pieces: list[bytes], random: Random) -> bytes:
    """Bytes of every kind: noise, inputs that are almost right, and announcements of long ones."""
    kind = random.randrange(5)
    if kind == 0:
        return random.randbytes(random.choice([1, 100, 10_000]))
    if kind == 1:
        return random.choice(pieces) * random.choice([1, 100, 20_000])
    if kind == 2:
        return random.choice(
            [b"*1048576\r\n", b"*3\r\n$3\r\nSET\r\n$16000000\r\n", b"\x7f\xff\xff\xff", b"\0\0\4\0"]
        )
    return b"".join(random.choices(pieces, k=random.randrange(30)))


class Attacker(Thread):
    """Connects, sends what `speech` returns, sometimes reads, and leaves in a random way."""

    def __init__(self, port: int, seed: int, speech: Callable[[Random], bytes]) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._random = Random(seed)
        self._speech = speech
        self._ended = Event()
        self.attacks = 0

    def run(self) -> None:
        """See Thread."""
        held: list[socket.socket] = []
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                wire = socket.create_connection(("127.0.0.1", self._port), timeout=1)
                wire.settimeout(0.05)
                held.append(wire)
                wire.sendall(self._speech(self._random))
                self.attacks += 1
                if self._random.randrange(2):
                    wire.recv(65536)
            if len(held) > 10:  # most stay connected, and send nothing more
                held.pop(self._random.randrange(len(held))).close()
            self._ended.wait(0.005)
        for wire in held:
            wire.close()

    def end(self) -> None:
        self._ended.set()
        self.join()


def lie(port: int, seed: int, seconds: float) -> int:
    """Connect as replica 2 of the cluster and send any well-formed messages, except those that say that
    another process was replica 0, because that would stop.  How many frames were accepted."""
    random = Random(seed)
    taken = 0
    end = time.monotonic() + seconds
    greeting = greet(PeerIdentity("example", 2, Epoch.first(N)), 0)
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as wire:
            wire.sendall(pack([greeting], 1024))
            wire.recv(1024)
            while time.monotonic() < end:
                chosen = Choices(random.randbytes(400))
                said = [chosen.message(N) for _ in range(20)]
                fit = [encode(message) for message in said if not tells_of_a_double(message)]
                wire.sendall(pack(fit, 1 << 20))
                taken += 1
                time.sleep(0.01)
    return taken


class RealReplicaTests(SynchronousTestCase):
    def check(self, cluster: Cluster, *ids: int) -> None:
        """Check that all replicas run, answer, have not grown, and have logged no failure."""
        for id in ids:
            self.assertIsNone(cluster.processes[id].poll(), f"replica {id} ended")
            self.assertEqual(cluster.status(id)["id"], id)
            self.assertLess(resident_bytes(cluster.processes[id].pid), self.started_bytes + GROWTH_BYTES_MAX)
            for said in ("Traceback", "Unhandled", "internal error"):
                self.assertNotIn(said, cluster.log(id))

    def test_under_fire(self) -> None:
        """First strangers attack, while clients are served; then a member that lies.  It may delay the
        others, but not make them grow, and it can stop one only by naming slots that this one has never
        used."""
        with Cluster(N) as cluster:
            cluster.start().ready()
            peer_port = cluster.redis_ports[0] - 100
            self.started_bytes = resident_bytes(cluster.processes[0].pid)
            attackers = [
                Attacker(cluster.redis_ports[0], 1, partial(garbage, RESP_PIECES)),
                Attacker(cluster.status_ports[0], 2, partial(garbage, HTTP_PIECES)),
                Attacker(peer_port, 3, partial(garbage, FRAME_PIECES)),
            ]
            with Load({0: cluster.redis_ports[0]}, clients=2) as load:
                for attacker in attackers:
                    attacker.start()
                time.sleep(FIRE_S)
                for attacker in attackers:
                    attacker.end()
                load.wait_for_more(10, 0)
                self.assertLess(load.longest_gap_s(0), GAP_S_MAX)
            self.assertEqual([writer.refused for writer in load.writers], [[], []])
            self.assertGreater(min(attacker.attacks for attacker in attackers), 10)
            self.check(cluster, 0, 1, 2)
            cluster.kill(2)
            self.assertGreater(lie(peer_port, 4, LIES_S), 10)
            self.check(cluster, 0)
            if cluster.processes[1].poll() is None:
                self.check(cluster, 1)
            else:  # replica 0 believes in slots that replica 1 has not used, and has decided them
                self.assertEqual(cluster.ended(1), WRONG_DATA)
                self.assertIn("another process has its id", cluster.log(1))
                self.assertNotIn("Traceback", cluster.log(1))
