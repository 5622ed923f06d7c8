"""How messages, records and decisions look in a story."""

from __future__ import annotations

from typing import Any

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance, InstanceRecord, Value
from epaxos.protocol.values.messages import NOP, Batch, Conflict, Message, Phase

__all__ = [
    "Labels",
    "batch_of",
    "show_batch",
    "show_deps",
    "show_frontier",
    "show_id",
    "show_instance",
    "show_record",
]


def batch_of(command: str) -> Batch:
    """The batch of one command.  Raises ValueError for what is no command of a story."""
    words = command.split()
    payload = " ".join(words).encode()
    keys = tuple(word.encode() for word in words[1:2])
    if words[:1] == ["SET"] and len(words) == 3:
        return Batch(keys, (), payload, 1)
    if words[:1] == ["GET"] and len(words) == 2:
        return Batch((), keys, payload, 1)
    if words == ["FLUSH"]:
        return Batch((), (), payload, 1, barrier=True)
    raise ValueError(f"{command!r} is neither SET key value, GET key, nor FLUSH")


def show_batch(batch: Batch) -> str:
    """`"SET x a"`, or `NOP`."""
    return "NOP" if batch is NOP else f'"{batch.payload.decode()}"'


def show_deps(deps: Deps) -> str:
    """`{1.2 2.1}`: of row 1 everything up to slot 2, and of row 2 up to slot 1."""
    return "{" + " ".join(f"{replica}.{slot}" for replica, slot in enumerate(deps) if slot) + "}"


def show_frontier(deps: Deps) -> str:
    """`(0,2,1)`: how far each row has come."""
    return f"({','.join(map(str, deps))})"


def show_id(id: InstanceId) -> str:
    """`0.1`."""
    return f"{id.replica}.{id.slot}"


def _show_conflict(conflict: Conflict) -> str:
    return show_id(conflict.id) + (" committed" if conflict.committed else "")


def _show_ballots(bal: int, abal: int) -> str:
    return (f" bal={bal}" if bal else "") + (f" abal={abal}" if abal else "")


def show_record(record: InstanceRecord, batch: Batch | None) -> str:
    """A record and the batch that is written with it, if any."""
    parts = [f"{show_id(record.id)} {record.phase.name.lower()}{_show_ballots(record.bal, record.abal)}"]
    if batch is not None:
        parts.append(show_batch(batch))
    if record.value is Value.NOP:
        parts.append("NOP")
    if record.phase is not Phase.INITIAL:
        parts.append(f"deps={show_deps(record.deps)}")
    if record.init_deps is not None and record.init_deps != record.deps:
        parts.append(f"init_deps={show_deps(record.init_deps)}")
    return " ".join(parts)


def show_instance(instance: Instance) -> str:
    """What a replica knows of an instance."""
    is_nop = instance.value is Value.NOP
    shown = show_record(instance.record(), None if is_nop else instance.proposed).partition(" ")[2]
    return f"{shown} proposed={show_batch(instance.proposed)}" if is_nop and instance.proposed else shown


class Labels:
    """The messages of one story.  Reads have numbers that begin anywhere: here they are r1, r2 and so on."""

    def __init__(self) -> None:
        self._reads: dict[int, str] = {}

    def read(self, number: int) -> str:
        """The read with this number."""
        return self._reads.setdefault(number, f"r{len(self._reads) + 1}")

    def show(self, message: Message) -> str:
        """The kind of the message, what it is about, and the rest by name."""
        parts = [type(message).__name__]
        for name, value in zip(message._fields, message):
            parts += self._show_field(name, value)
        return " ".join(parts)

    def _show_field(self, name: str, value: Any) -> list[str]:
        if isinstance(value, InstanceId):
            return [show_id(value)]
        if isinstance(value, Batch):
            return [show_batch(value)]
        if isinstance(value, Phase):
            return [value.name.lower()]
        if name == "number":
            return [self.read(value)]
        if name == "keys":
            return [key.decode() for key in value]
        if name == "ids":
            return [show_id(id) for id in value]
        if name == "conflicts":
            return [f"conflicts=[{', '.join(map(_show_conflict, value))}]"]
        if name == "fast_quorum":
            return [f"fast_quorum={','.join(map(str, value))}"] if value else []
        if value is None or (name == "accepted_ballot" and not value):
            return []
        if name in ("committed", "executed"):
            return [f"{name}={show_frontier(value)}"]
        return [f"{name}={show_deps(value) if isinstance(value, tuple) else value}"]
