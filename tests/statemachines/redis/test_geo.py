"""Places: sums of series beside those of C, the commands beside a real Redis, in steps, after a transfer."""

from __future__ import annotations

import math
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.statemachines.redis import earth
from epaxos.statemachines.redis.earth import cells_around, distance, is_in_box, place_of, score_of_place
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.statemachines.redis.against_redis import Pair, commands_of
from tests.statemachines.redis.lab import Client, words
from tests.statemachines.redis.test_hashes import run

TEMPLATES = (
    *("GEOADD k x y m",) * 8,
    *(
        "GEOADD k x y m x y m [x y m]",
        "GEOADD k o x y m",
        "GEOADD k o o x y m",
        "GEOADD k x y",
        "GEOADD k x y m x",
    ),
    *(
        "GEOPOS k m [m] [m]",
        "GEOPOS k",
        "GEOHASH k m [m]",
        "GEODIST k m m [u]",
        "GEODIST k m m u u",
        "GEODIST k m",
    ),
    *("GEOSEARCH k FROMMEMBER m BYRADIUS r u [ASC] [WITHDIST] [WITHHASH] [WITHCOORD]", "ZCARD k", "DEL k"),
    *(
        "GEOSEARCH k FROMLONLAT x y BYRADIUS r u DESC [WITHDIST]",
        "GEOSEARCH k FROMLONLAT x y BYBOX r r u [ASC]",
    ),
    *(
        "GEOSEARCH k FROMMEMBER m BYBOX r r u ASC [COUNT n] [WITHDIST]",
        "GEOSEARCH k FROMMEMBER m BYRADIUS r u p",
    ),
    *(
        "GEOSEARCH k FROMLONLAT x y BYRADIUS r u COUNT n",
        "GEOSEARCH k FROMLONLAT x y FROMMEMBER m BYRADIUS r u",
    ),
    *("GEOSEARCH k BYRADIUS r u BYBOX r r u", "GEOSEARCH k FROMMEMBER m BYRADIUS r u ANY", "ZRANGE d 0 -1"),
    *(
        "GEOSEARCHSTORE d k FROMMEMBER m BYRADIUS r u [STOREDIST]",
        "GEOSEARCHSTORE d k FROMLONLAT x y BYBOX r r u p",
    ),
    *(
        "GEORADIUS k x y r u [ASC] [WITHDIST] [WITHHASH] [COUNT n]",
        "GEORADIUS k x y r u [STORE d] [STOREDIST d] [p]",
    ),
    *(
        "GEORADIUSBYMEMBER k m R U [WITHDIST] [DESC] [p]",
        "GEORADIUSBYMEMBER k m R U [STORE d]",
        "GEORADIUS k x y r",
    ),
    *("GEORADIUS_RO k x y r u [ASC]", "GEORADIUSBYMEMBER_RO k m R U [ASC]", "GEORADIUS_RO k x y r u STORE d"),
    *("SET s v", "GEOADD s x y m", "GEOPOS s m", "ZREM k m", "ZRANGE k 0 -1 WITHSCORES"),
)
WORDS = {
    "k": [b"g1", b"g2"],
    "d": [b"d1", b"g2"],
    "s": [b"s1"],
    "v": [b"text"],
    "m": [b"m%d" % number for number in range(12)],
    "x": [
        b"13.361389",
        b"15.087269",
        b"179.99",
        b"-179.99",
        b"0",
        b"-75.5",
        b"2.35",
        b"13.4",
        b"181",
        b"x",
        b"-180",
    ],
    "y": [
        b"38.115556",
        b"37.502669",
        b"60",
        b"-60.5",
        b"0",
        b"48.85",
        b"-33.5",
        b"38",
        b"86",
        b"y",
        b"59",
    ],
    "r": [b"0", b"1", b"100", b"200", b"900", b"-1", b"r", b"1.5"],
    "u": [b"m", b"km", b"KM", b"ft", b"mi", b"au"],
    "R": [b"0", b"100", b"200", b"900"],
    "U": [b"m", b"km", b"mi"],
    "o": [b"NX", b"XX", b"CH", b"GT"],
    "n": [b"1", b"2", b"0", b"-1", b"n", b"100"],
    "p": [b"ASC", b"WITHDIST", b"COUNT", b"FOO", b"ANY", b"STOREDIST"],
}


def rounded(reply: object) -> object:
    """Doubles with the digits that matter, and what has no order in one."""
    if isinstance(reply, list):
        return list(map(rounded, reply))
    if isinstance(reply, bytes) and b"." in reply:
        try:
            return round(float(reply), 3)
        except ValueError:
            return reply
    return reply


class EarthTests(SynchronousTestCase):
    def test_series(self) -> None:
        random = Random(1)
        for _ in range(5000):
            x, y = random.uniform(-math.pi, math.pi), random.random()
            self.assertLess(abs(earth._sin(x) - math.sin(x)), 3e-15)
            self.assertLess(abs(earth._cos(x) - math.cos(x)), 3e-15)
            self.assertLess(abs(earth._asin(y) - math.asin(y)), 3e-15)
        self.assertEqual((earth._sin(0.0), earth._asin(0.0), earth._asin(1.0)), (0.0, 0.0, math.pi / 2))

    def test_cells_have_all_that_is_around(self) -> None:
        """Also at the poles, and around the line of dates."""
        random = Random(2)
        inside = 0
        for _ in range(3000):
            middle = (random.choice((random.uniform(-180, 180), 179.9, -179.9)), random.uniform(-85, 85))
            radius = 10 ** random.uniform(1, 7.2)
            near = min(180.0, radius / 111_000) * random.random()
            x = middle[0] + near * random.uniform(-1, 1) / max(0.02, math.cos(math.radians(middle[1])))
            y = max(-85.0, min(85.0, middle[1] + near * random.uniform(-1, 1)))
            score = score_of_place((x + 180) % 360 - 180, y)
            place = place_of(score)
            in_circle = distance(middle, place) <= radius
            in_box = is_in_box(middle, place, 2 * radius, 2 * radius)
            if in_circle or in_box:
                inside += 1
                cells = cells_around(middle, 2 * radius, 2 * radius)
                self.assertLessEqual(len(cells), 200)
                self.assertTrue(any(start <= score < end for start, end in cells), (middle, radius, place))
        self.assertGreater(inside, 500)

    def test_any_score_is_a_place(self) -> None:
        for score in (-math.inf, -1.0, 0.0, 0.5, 2.0**52, 2.0**60, math.inf):
            x, y = place_of(score)
            self.assertLessEqual(abs(x), 180)
            self.assertLessEqual(abs(y), 86)


class DifferentialTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        for seed in range(10):
            pair = Pair(seed)
            try:
                for command in commands_of(Random(seed), TEMPLATES, WORDS, 400):
                    ours, theirs = map(rounded, pair.run(command))
                    if isinstance(ours, list) and isinstance(theirs, list) and b"ASC" not in command:
                        ours, theirs = sorted(map(repr, ours)), sorted(map(repr, theirs))
                    if theirs == "ERR could not decode requested zset member":
                        theirs = ours if str(ours).startswith("ERR") else theirs  # we look at words first
                    self.assertEqual(ours, theirs, f"seed {seed}: {command}")
            finally:
                pair.close()


class CommandTests(SynchronousTestCase):
    def test_the_known_example(self) -> None:
        client = Client()
        self.assertEqual(client("GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"), 2)
        for text, wanted in (
            ("GEODIST s Palermo Catania", b"166274.1516"),
            ("GEODIST s Palermo Catania km", b"166.2742"),
            ("GEODIST s Palermo none", None),
            ("GEOHASH s Palermo Catania", [b"sqc8b49rny0", b"sqdtr74hyu0"]),
            ("GEORADIUS s 15 37 100 km", [b"Catania"]),
            ("GEOSEARCH s FROMLONLAT 15 37 BYBOX 400 400 km DESC", [b"Palermo", b"Catania"]),
            (
                "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHDIST",
                [[b"Catania", b"56.4413"], [b"Palermo", b"190.4424"]],
            ),
            ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY", [b"Palermo"]),
            ("GEOPOS s Palermo", [[13.361389338970184, 38.1155563954963]]),
            ("ZSCORE s Palermo", 3479099956230698.0),
            ("GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST", 2),
            ("ZRANGE d 0 -1 WITHSCORES", [b"Catania", 56.4412578702, b"Palermo", 190.4424298478]),
        ):
            self.assertEqual(client(text), wanted, text)

    def test_many_in_steps(self) -> None:
        store, random = KeyValueStore(), Random(3)
        places = [(random.uniform(-10, 10), random.uniform(40, 50)) for _ in range(5000)]
        run(
            store,
            [
                b"GEOADD",
                b"g",
                *(w for n, (x, y) in enumerate(places) for w in (b"%f" % x, b"%f" % y, b"%d" % n)),
            ],
        )
        found, steps = run(store, words("GEOSEARCH g FROMLONLAT 0 45 BYRADIUS 300 km"))
        held = dict(zip(range(5000), (place_of(score_of_place(round(x, 6), round(y, 6))) for x, y in places)))
        wanted = [b"%d" % n for n, place in held.items() if distance((0.0, 45.0), place) <= 300_000]
        self.assertEqual(sorted(found), sorted(wanted))
        self.assertGreater(len(wanted), 300)
        self.assertGreater(steps, 10)
        other = KeyValueStore()
        other.restore(dict(store.entries()), [])
        self.assertEqual(run(other, words("GEOSEARCH g FROMLONLAT 0 45 BYRADIUS 300 km"))[0], found)
