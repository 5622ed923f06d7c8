"""What a node does with the messages of its epoch, and with the clocks that come with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.node.adjusting import Adjusting
from epaxos.node.cluster_clock import ClusterClock
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.messages import Fetch, Heartbeat, Message

__all__ = ["Receiving"]

_ASK = Fetch(())
"""What a replica asks when it wants to hear a Heartbeat."""


class Receiving(Adjusting):
    """Hands messages to the core.

    `_rows`: the row of each member of the epoch in which it works, by number; empty while there is none.
    """

    _core: Replica
    _new_core: Callable[..., Replica]
    _rows: dict[int, int]
    _clock: ClusterClock

    def _receive(self, row: int, messages: Sequence[Message]) -> None:
        tracer = self._steps.tracer
        if tracer.is_on:
            tracer.on_messages(tuple(self._rows)[row], messages, self._timeouts.now())
        for message in messages:
            self._core.receive(row, message)
            if type(message) is Heartbeat and self._waits_for_echo(row, message):
                self._core.receive(row, _ASK)

    def _waits_for_echo(self, row: int, message: Heartbeat) -> bool:
        """Note the clocks that the member of this row tells.  Returns whether it wants to hear of its own."""
        if message.clocks is None:
            self._clock.on_met(row)
            return False
        return self._clock.on_clocks(row, message.clocks)

    def _receive_early(self, sender: int, messages: Sequence[Message]) -> None:
        """Messages of the present epoch that came before it was opened here."""
        if sender in self._rows:
            self._receive(self._rows[sender], messages)

    def _on_connected(self, row: int) -> None:
        """There is a connection with the member of this row, after there was none.

        It is told at once how far this replica is, and what its clock shows, because commands wait until
        a majority of the clocks is known.
        """
        self._core.on_connected(row)
        self._core.receive(row, _ASK)
