"""A replica among peers that send any well-formed message: none of these stops it.

`Node` stops a replica on any exception that the core raises, so with an assertion that a message can reach a
peer could stop it.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from epaxos.protocol.values.messages import Batch, Message
from tests.fuzz.choices import BATCHES, KEYS, Choices
from tests.fuzz.effort import effort
from tests.fuzz.victim import Victim

N = 3

messages = st.binary(min_size=1, max_size=24).map(lambda data: Choices(data).message(N))


class LyingPeers(RuleBasedStateMachine):
    """Messages in any order, among ticks, proposals, slow writes, checkpoints and restarts."""

    @initialize()
    def start(self) -> None:
        self.victim = Victim(N)

    @rule(sender=st.integers(1, N - 1), said=st.lists(messages, min_size=1, max_size=4))
    def receive(self, sender: int, said: list[Message]) -> None:
        for message in said:
            self.victim.receive(sender, message)

    @rule(seconds=st.sampled_from([0.01, 0.2, 1.0, 5.0]))
    def pass_time(self, seconds: float) -> None:
        self.victim.pass_time(seconds)

    @rule(batch=st.sampled_from(BATCHES[:-2]))
    def propose(self, batch: Batch) -> None:
        self.victim.propose(batch)

    @rule(keys=st.sampled_from(KEYS))
    def read(self, keys: tuple[bytes, ...]) -> None:
        self.victim.read(keys)

    @rule()
    def end_read(self) -> None:
        self.victim.end_read()

    @rule()
    def write(self) -> None:
        self.victim.write_all()

    @rule()
    def checkpoint(self) -> None:
        self.victim.checkpoint()

    @rule()
    def restart(self) -> None:
        self.victim.restart()

    @invariant()
    def own_row_is_its_own(self) -> None:
        """No other replica creates instances in the own row."""
        core = self.victim.core
        assert all(slot < core.next_slot for slot in core.table.rows[0])


class LyingPeersTests(LyingPeers.TestCase):  # type: ignore[misc,name-defined]
    settings = effort(25, stateful_step_count=25)
