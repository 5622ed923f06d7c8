"""Which executor, state machine, node and codec a simulated replica is made of: the real ones by default.

Tests replace them by broken ones; a hunt for another state machine replaces the state machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast, get_args

from epaxos.execution.executor import Executor
from epaxos.interfaces import IClusterClock, IExecutor, IStateMachine, ITimed
from epaxos.node.node import Node
from epaxos.node.stepwise import stepwise
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import Message
from epaxos.statemachines.once.machine import ExactlyOnce
from epaxos.statemachines.once.sessions import SESSION_ID_BYTES
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.verify.simulation.clock import SECOND, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.subject import Hunted
from epaxos.verify.simulation.wall_clocks import BEGIN_S
from epaxos.wire.codec import decode_frame, encode
from epaxos.wire.control import decode_control, encode_control

__all__ = ["Components"]

CLOCKS_DIFFER_S = 5
"""By how many seconds the clock of a host may be wrong when sessions are used."""
ELEMENTS_PER_STEP = 3
"""Small, so that the short batches of the workload take several steps each."""
_CONTROL = get_args(Control)
"""The kinds of messages that are about no instance."""


def _state_machine() -> IStateMachine:
    return KeyValueStore(ELEMENTS_PER_STEP)


def _recode(message: Message | Control, epoch: Epoch) -> Message | Control:
    """Encode the message and decode it again, as real transports do."""
    if isinstance(message, _CONTROL):
        return decode_control(encode_control(message))
    (decoded,) = decode_frame(encode(cast(Message, message)), epoch)
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
    subject: Hunted | None = None

    def new_state_machine(
        self, seed: int, replica: int, life: int, time: VirtualTime, clock: IClusterClock
    ) -> IStateMachine:
        """An empty state machine for the process `life` of `replica`, as replicas run it: with sessions.  One
        that is not ours has none, because nobody knows which of its commands may be numbered."""
        if self.subject is not None:
            return self.subject.state_machine()
        machine = self.state_machine()
        dice = Dice(seed, "sessions", replica, life)
        begin_s = BEGIN_S + dice.between(-CLOCKS_DIFFER_S, CLOCKS_DIFFER_S)
        if ITimed.providedBy(machine):
            ITimed(machine).use_clock(clock, lambda: dice.below(2**53))
        return ExactlyOnce(
            machine,
            stepwise(machine),
            lambda: bytes([dice.below(256) for _ in range(SESSION_ID_BYTES)]),
            lambda: begin_s + time.now / SECOND,
        )
