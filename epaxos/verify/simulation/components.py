"""Which executor, state machine, node and codec a simulated replica is made of: the real ones by default.

Tests replace them by broken ones; a hunt for another state machine replaces the state machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from epaxos.execution.executor import Executor
from epaxos.interfaces import IExecutor, IStateMachine
from epaxos.node.node import Node
from epaxos.protocol.values.control import Control, EpochIs, Founded, Standing, Written
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import Message
from epaxos.protocol.values.transfer import Piece, PieceAsk, StateAsk, StateOffer
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.verify.simulation.subject import Subject
from epaxos.wire.codec import decode_frame, encode
from epaxos.wire.control import decode_control, encode_control

__all__ = ["Components"]

ELEMENTS_PER_STEP = 3
"""Small, so that the short batches of the workload take several steps each."""


def _state_machine() -> IStateMachine:
    return KeyValueStore(ELEMENTS_PER_STEP)


def _recode(message: Message | Control, epoch: Epoch) -> Message | Control:
    """Encode the message and decode it again, as real transports do."""
    if isinstance(message, (Standing, EpochIs, Written, Founded, StateAsk, StateOffer, PieceAsk, Piece)):
        return decode_control(encode_control(message))
    (decoded,) = decode_frame(encode(message), epoch)
    return decoded


@dataclass(frozen=True)
class Components:
    """How to make the components of a replica; `node` is called like `epaxos.node.node.Node`.

    `subject`: the state machine of somebody else that is hunted.  Then `state_machine` is not used.
    """

    executor: Callable[[Epoch], IExecutor] = Executor
    state_machine: Callable[[], IStateMachine] = _state_machine
    node: Callable[..., Any] = Node
    recode: Callable[[Message | Control, Epoch], Message | Control] = _recode
    subject: Subject | None = None

    def new_state_machine(self) -> IStateMachine:
        """An empty state machine."""
        return self.state_machine() if self.subject is None else self.subject.state_machine()
