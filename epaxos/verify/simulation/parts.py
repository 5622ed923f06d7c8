"""Which executor, state machine, node and codec a simulated replica is made of: the real ones.

Tests and mutants put others in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from epaxos.execution.executor import Executor
from epaxos.interfaces import IExecutor, IStateMachine
from epaxos.node.node import Node
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import Message
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.wire.codec import decode_frame, encode

__all__ = ["Parts"]

ELEMENTS_PER_STEP = 3
"""The commands of the workload are short and few: so most of them are run in several steps."""


def _state_machine() -> IStateMachine:
    return KeyValueStore(ELEMENTS_PER_STEP)


def _recode(message: Message, epoch: Epoch) -> Message:
    """The message, as it comes out at the other end of a wire."""
    (decoded,) = decode_frame(encode(message), epoch)
    return decoded


@dataclass(frozen=True)
class Parts:
    """What makes a replica; `node` is called like `epaxos.node.node.Node`."""

    executor: Callable[[Epoch], IExecutor] = Executor
    state_machine: Callable[[], IStateMachine] = _state_machine
    node: Callable[..., Any] = Node
    recode: Callable[[Message, Epoch], Message] = _recode
