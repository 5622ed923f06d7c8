"""A few thousand commands of the hunt for differences, and that it sees one.

DIFFERENTIAL_COMMANDS is how many are tried at each server, from DIFFERENTIAL_SEED on.
"""

from __future__ import annotations

import os
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.differential.families import FAMILIES, HASHES, STRINGS
from tests.differential.hunt import Players
from tests.differential.replies import compare
from tests.differential.servers import OurServer
from tests.differential.sessions import Asked, Step, session_of
from tests.resp.differential import encode

COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "4000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))


class HuntTests(SynchronousTestCase):
    def check(self, name: str) -> None:
        players = Players(name)
        self.addCleanup(players.close)
        families = [one for one in FAMILIES if name == "valkey" or not one.valkey]
        tried, seed = 0, SEED
        while tried < COMMANDS:
            session = session_of(Random(seed), families)
            tried += sum(len(step.asked) for step in session)
            self.assertIsNone(players.difference(session, seed), f"seed {seed}")
            seed += 1

    def test_redis(self) -> None:
        self.check("redis")

    def test_valkey(self) -> None:
        self.check("valkey")

    def test_a_difference_is_seen_and_made_small(self) -> None:
        players = Players("redis")
        self.addCleanup(players.close)
        right = OurServer.connect

        def wrong(server: OurServer) -> object:
            send = right(server)
            return lambda data: send(data.replace(b"STRLEN", b"GETDEL"))

        self.patch(OurServer, "connect", wrong)
        session = next(
            one
            for one in (session_of(Random(seed), [STRINGS, HASHES]) for seed in range(1000))
            if players.difference(one, 1)
        )
        small = players.smaller(session, 1)
        self.assertLessEqual(sum(len(step.asked) for step in small), 3, list(map(str, small)))
        self.assertIn("STRLEN", players.difference(small, 1) or "")


class CompareTests(SynchronousTestCase):
    def test_what_differs(self) -> None:
        for ours, real, unordered, expected in (
            (b":1\r\n", b":1\r\n", False, (True, True)),
            (b":1\r\n", b":2\r\n", False, (False, False)),
            (b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:1\r\n", False, (False, False)),
            (b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:1\r\n", True, (True, True)),
            (b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:2\r\n", True, (False, False)),
            (b"*2\r\n:1\r\n:2\r\n", b"%1\r\n:1\r\n:2\r\n", False, (False, False)),
            (b"$-1\r\n", b"*-1\r\n", False, (False, False)),
            (b"$3\r\n0.3\r\n", b"$19\r\n0.30000000000000004\r\n", False, (True, False)),
            (b"+OK\r\n", b"+OK\r\n:1\r\n", False, (False, False)),
        ):
            wrong, goes_on = compare(ours, real, [unordered])
            self.assertEqual((wrong is None, goes_on), expected, (ours, real))

    def test_time_is_told(self) -> None:
        ours = OurServer(Random(1))
        send = ours.connect()
        self.assertEqual(send(encode([b"SET", b"k", b"v", b"PX", b"500"])), b"+OK\r\n")
        ours.now_ms += 499
        self.assertEqual(send(encode([b"PTTL", b"k"])), b":1\r\n")
        ours.now_ms += 1
        self.assertEqual(send(encode([b"GET", b"k"])), b"$-1\r\n")

    def test_steps_are_shown(self) -> None:
        step = Step(1, 2, [Asked([b"SET", b"a", b"\0"]), Asked([b"GET", b""])])
        self.assertEqual(str(step), "client 1, after 2 ticks\n  SET a '\\x00'\n  GET ''")
