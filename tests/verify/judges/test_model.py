"""The specification by which histories are judged, compared with the state machine of the product.

They were written independently, so where both agree they are likely to agree with Redis.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Ready, Reply
from epaxos.protocol.values.ids import InstanceId
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.verify.judges import model
from epaxos.verify.simulation.clients import commands_of
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Plan


def comparable(reply: Reply | str) -> object:
    """A comparable value: all errors are equal, lists are tuples, and numbers differ from strings."""
    if isinstance(reply, CommandError):
        return model.ERROR
    return tuple(reply) if isinstance(reply, list) else reply


class ModelTests(SynchronousTestCase):
    def test_it_says_what_the_state_machine_says(self) -> None:
        for seed in range(40):
            workload = Plan.of(seed).workload
            dice = Dice(seed, "model")
            machine = KeyValueStore()
            store: dict[bytes, bytes] = {}
            for number in range(60):
                commands = commands_of(dice, workload, f"c{number}")
                for command in commands:
                    machine.check(command)
                batch = machine.batch(commands)
                (replies,) = machine.apply([Ready(InstanceId(0, number + 1), batch, True)])
                expected = [model.run(store, command) for command in commands]
                self.assertEqual(list(map(comparable, replies)), list(map(comparable, expected)), commands)
            self.assertEqual(dict(machine.entries()), store)

    def test_numbers(self) -> None:
        for text, expected in (
            (b"0", 1), (b"-1", 0), (b"9223372036854775806", 2**63 - 1), (b"9223372036854775807", model.ERROR),
            (b"", model.ERROR), (b"01", model.ERROR), (b"+1", model.ERROR), (b"1 ", model.ERROR),
            (b"-", model.ERROR), (b"99999999999999999999", model.ERROR),
        ):  # fmt: skip
            self.assertEqual(model.run({b"x": text}, (b"INCR", b"x")), expected, text)

    def test_which_keys_matter(self) -> None:
        for text, expected in (
            (b"GET x", [b"x"]), (b"MGET x y", [b"x", b"y"]), (b"MSET x 1 y 2", [b"x", b"y"]),
            (b"SET x y NX", [b"x"]), (b"DEL x y", [b"x", b"y"]), (b"DBSIZE", None), (b"FLUSHDB", None),
        ):  # fmt: skip
            keys = model.keys_of(text.split())
            self.assertEqual(keys if keys is None else list(keys), expected, text)

    def test_reads(self) -> None:
        self.assertTrue(model.is_read([b"MGET", b"x"]))
        self.assertFalse(model.is_read([b"GETDEL", b"x"]))
