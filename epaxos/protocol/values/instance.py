"""One instance as one replica holds it, and its record on disk."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch, Phase

__all__ = ["Instance", "InstanceRecord", "Value"]


class Value(IntEnum):
    """The kind of an instance's current command.  The numbers are stored: never renumber them.

    An instance is proposed once, by one replica, so its command is the proposed batch or NOP.
    """

    UNKNOWN = 0
    NOP = 1
    PROPOSED = 2


class InstanceRecord(NamedTuple):
    """The durable state of an instance, without the proposed batch, which is written once and separately."""

    id: InstanceId
    phase: Phase
    bal: int
    abal: int
    value: Value
    deps: Deps
    init_deps: Deps | None
    fast_quorum: tuple[int, ...] = ()


class Instance:
    """The variables of one instance (docs: protocol/rules, "Words").

    - `bal`: the highest ballot that was promised.
    - `abal`: the ballot in which the current value was accepted or committed.
    - `cmd`, `deps`: the current value; `cmd` is None until known.
    - `proposed`, `init_deps`: what the command leader first proposed; None until known.
    - `fast_quorum`: the replicas that the command leader named; empty until known, or if it named none.
    - `batch_saved`: whether `proposed` was handed to the store.
    """

    __slots__ = (
        "abal",
        "bal",
        "batch_saved",
        "cmd",
        "deps",
        "fast_quorum",
        "id",
        "init_deps",
        "phase",
        "proposed",
    )

    def __init__(self, id: InstanceId, deps: Deps) -> None:
        self.id = id
        self.phase = Phase.INITIAL
        self.bal = 0
        self.abal = 0
        self.cmd: Batch | None = None
        self.deps = deps
        self.proposed: Batch | None = None
        self.init_deps: Deps | None = None
        self.fast_quorum: tuple[int, ...] = ()
        self.batch_saved = False

    @property
    def value(self) -> Value:
        """The kind of the current command."""
        if self.cmd is None:
            return Value.UNKNOWN
        return Value.NOP if self.cmd is NOP else Value.PROPOSED

    def record(self) -> InstanceRecord:
        """The record of the instance as it is now."""
        return InstanceRecord(
            self.id,
            self.phase,
            self.bal,
            self.abal,
            self.value,
            self.deps,
            self.init_deps,
            self.fast_quorum,
        )

    @classmethod
    def restore(cls, record: InstanceRecord, batch: Batch | None) -> Instance:
        """The instance that `record` and the stored batch describe; `batch` is None when none is stored.

        Raises ValueError when the record needs a batch and there is none.
        """
        instance = cls(record.id, record.deps)
        instance.phase = record.phase
        instance.bal = record.bal
        instance.abal = record.abal
        instance.init_deps = record.init_deps
        instance.fast_quorum = record.fast_quorum
        instance.proposed = batch
        instance.batch_saved = batch is not None
        if record.value is Value.PROPOSED:
            if batch is None:
                raise ValueError(f"the batch of instance {record.id} is missing")
            instance.cmd = batch
        elif record.value is Value.NOP:
            instance.cmd = NOP
        return instance

    def __repr__(self) -> str:
        return (
            f"<Instance {self.id} {self.phase.name} bal={self.bal} abal={self.abal}"
            f" {self.value.name} {self.deps}>"
        )
