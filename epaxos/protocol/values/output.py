"""The effects of a turn of the core, which its driver carries out."""

from __future__ import annotations

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import Batch, Message

__all__ = ["Output"]


class Output:
    """The effects of one turn.

    The driver carries out at once:

    - write `batches`, `instances` (their records as they are when the output is taken), `reserved`,
      `floor` and `dropped`, in one atomic step;
    - send `messages`, pairs of receiver and message;
    - execute `decided`;
    - answer each of `reads`, pairs of number and dependencies, when all its dependencies are executed.

    When all that this and every earlier output wrote is durable, the driver sends `promises`, executes
    `decided_durably`, and hands the output to `Replica.on_durable`, which counts `own_promises`.
    """

    __slots__ = (
        "batches",
        "decided",
        "decided_durably",
        "dropped",
        "floor",
        "instances",
        "messages",
        "own_promises",
        "promises",
        "reads",
        "reserved",
    )

    def __init__(self) -> None:
        self.batches: list[tuple[InstanceId, Batch]] = []
        self.instances: dict[InstanceId, Instance] = {}
        self.reserved: int | None = None
        self.floor: Deps | None = None
        self.dropped: list[InstanceId] = []
        self.messages: list[tuple[int, Message]] = []
        self.decided: list[Instance] = []
        self.reads: list[tuple[int, Deps]] = []
        self.promises: list[tuple[int, Message]] = []
        self.own_promises: list[Message] = []
        self.decided_durably: list[Instance] = []

    @property
    def awaits_durability(self) -> bool:
        """Whether anything has to be done when the output is durable."""
        return bool(self.promises or self.own_promises or self.decided_durably or self.reserved is not None)

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(
            self.batches
            or self.instances
            or self.dropped
            or self.reserved is not None
            or self.floor is not None
        )

    def __bool__(self) -> bool:
        return bool(self.messages or self.decided or self.reads) or self.writes or self.awaits_durability
