"""What the judge of channels takes for right, and what it catches."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces.audience import Message
from epaxos.verify.judges.channels import ChannelJudge


class ChannelTests(SynchronousTestCase):
    def breaches(self, *heard: Sequence[str]) -> list[str]:
        """What is wrong when each process says this: a letter for each message, a dot before a shard."""
        violations: list[str] = []
        judge = ChannelJudge(violations.append)
        for number, texts in enumerate(heard):
            listener = judge.listener(f"R{number}")
            listener.tell([Message(b"c", text[-1:].encode(), text[0] == ".") for text in texts])
        return violations

    def test_slices_of_one_order(self) -> None:
        for heard in (
            ("abcd",),
            ("abcd", "abcd"),
            ("abcd", "bc", "cd", "d"),
            ("ab", "bc", "cd"),
            ("ab", "cd"),
        ):
            self.assertEqual(self.breaches(*heard), [], heard)

    def test_breaches(self) -> None:
        for heard in (("ab", "ba"), ("abc", "acb"), ("abc", "ac"), ("aba",), ("aa",), ("abc", "dbc")):
            self.assertNotEqual(self.breaches(*heard), [], heard)
            self.assertTrue(all(text.startswith("Channels: ") for text in self.breaches(*heard)))

    def test_other_channels_have_other_orders(self) -> None:
        self.assertEqual(self.breaches(["a", "b"], [".b", ".a"]), [])
