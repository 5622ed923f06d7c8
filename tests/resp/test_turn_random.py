"""Random reads in turns of many give what each connection gives alone."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Unavailable
from tests.defaults import default_limits
from tests.resp.lab import (
    Clients,
    encode_raw,
)

VALUES = [
    b"",
    b"v",
    b"\r\n",
    b"*1234\r\n",
    b"a\n%1",
    b"a\n+x",
    b"~>|%(=+",
    b"$32\r\n",
    b"\n*2\r\n",
    b"x" * 17_000,
]


def random_piece(random: Random, number: int, oddness: float) -> bytes:
    """Something that client `number` may send; it uses its own keys, so nobody else matters to it."""
    key = b"%d:%d" % (number, random.randrange(3))
    other = b"%d:%d" % (number, random.randrange(3))
    usual = [
        lambda: encode_raw(b"SET", key, random.choice(VALUES)),
        lambda: encode_raw(b"GET", key),
        lambda: encode_raw(b"get", key),
        lambda: encode_raw(b"APPEND", key, b"x"),
        lambda: encode_raw(b"MGET", key, other),
        lambda: encode_raw(b"INCR", key),
        lambda: encode_raw(b"DEL", key, other),
    ]
    unusual = [
        lambda: encode_raw(b"MSET", key, random.choice(VALUES), other, b"1"),
        lambda: encode_raw(b"PING"),
        lambda: encode_raw(b"ECHO", random.choice(VALUES)),
        lambda: encode_raw(b"HELLO", random.choice([b"2", b"3"])),
        lambda: encode_raw(b"NOPE", random.choice(VALUES)),
        lambda: encode_raw(b"GET"),
        lambda: encode_raw(b"GET", key, key),
        lambda: b"SET %b inline\r\n" % key,
        lambda: b"\r\n",
        lambda: b"*0\r\n",
        lambda: b"*-1\r\n",
        lambda: b"*02\r\n$3\r\nGET\r\n$0%d\r\n%b\r\n" % (len(key), key),
        lambda: encode_raw(b"CLIENT", b"ID"),
    ]
    rare = [
        lambda: encode_raw(b"QUIT"),
        lambda: b"*1\r\n:5\r\n",
        lambda: b"*1\r\n*1\r\n",
        lambda: b"*2\r\n$3\r\nGET\r\n+x\r\n",
        lambda: b"*1\r\n~1\r\n$1\r\nx\r\n",
        lambda: b"*1\r\n$-1\r\n",
    ]
    kinds = random.choices([usual, unusual, rare], [1, oddness, oddness / 10])
    return random.choice(kinds[0])()


class LikeAloneTests(SynchronousTestCase):
    def test_random_reads(self) -> None:
        """Whatever the clients send, and however it is cut, each sees the same as if it were alone."""
        submissions = shared = ends = paused = 0
        for seed in range(120):
            random = Random(seed)
            count = random.randrange(2, 7)
            limits = default_limits(pipeline_commands_max=random.choice([4, 10_000]))
            together, apart = Clients(count, limits), Clients(count, limits)
            waiting = [b""] * count
            oddness = random.choice([0.01, 0.1])
            cut = random.choice([0.0, 0.1])
            for step in range(40):
                about = f"seed {seed}, step {step}"
                reads = [b""] * count
                for number in random.sample(range(count), random.randrange(1, count + 1)):
                    if together.wires[number].producerState == "paused":
                        paused += 1
                        continue
                    for _ in range(random.choice([1, 1, 2, 5])):
                        waiting[number] += random_piece(random, number, oddness)
                    size = len(waiting[number])
                    if random.random() < cut:
                        size = random.randrange(size) + 1
                    reads[number], waiting[number] = waiting[number][:size], waiting[number][size:]
                together.send(*reads)
                for connection, data in zip(apart.connections, reads):
                    if data:
                        connection.dataReceived(data)
                if random.random() < 0.1:
                    for clients in (together, apart):
                        clients.replica.fail(Unavailable("ERR no quorum", True))
                elif random.random() < 0.7:
                    for clients in (together, apart):
                        clients.replica.run()
                else:
                    continue
                self.assertEqual(together.answers, apart.answers, about)
                for attribute in ("producerState", "disconnecting"):
                    self.assertEqual(
                        [getattr(wire, attribute) for wire in together.wires],
                        [getattr(wire, attribute) for wire in apart.wires],
                        about,
                    )
            for clients in (together, apart):
                clients.replica.run()
            self.assertEqual(together.answers, apart.answers, f"seed {seed}")
            self.assertEqual(
                dict(together.replica.store.entries()), dict(apart.replica.store.entries()), f"seed {seed}"
            )
            submissions += len(together.replica.submitted)
            shared += len(apart.replica.submitted) - len(together.replica.submitted)
            ends += sum(wire.disconnecting for wire in together.wires)
        self.assertGreater(shared, submissions // 4)
        self.assertGreater(min(ends, paused), 50)
