"""The trace of a run, line by line, for people to read and to compare runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from hashlib import blake2b
from typing import Any

from epaxos.protocol.values.control import Control
from epaxos.protocol.values.messages import NOP, Batch, Heartbeat, Message

__all__ = ["Trace", "describe"]

KEYS_SHOWN = 6


@singledispatch
def describe(value: Any) -> str:
    """The value in a few words."""
    return str(value)


@describe.register
def _(value: bytes) -> str:
    return repr(value)[2:-1]


@describe.register
def _(value: tuple) -> str:  # type: ignore[type-arg]
    if hasattr(value, "_fields"):
        return describe_fields(value)
    return f"({','.join(map(describe, value))})"


def describe_fields(value: Any) -> str:
    """A message: its kind, its instance, and the other fields by name."""
    parts = [type(value).__name__]
    for name, field in zip(value._fields, value):
        if name == "id":
            parts.append(str(field))
        elif field is not None:
            parts.append(f"{name}={_describe_field(field)}")
    return " ".join(parts)


def _describe_field(field: Any) -> str:
    if isinstance(field, Batch):
        return describe_batch(field)
    if hasattr(field, "name"):
        return str(field.name)
    if isinstance(field, tuple) and field and hasattr(field[0], "replica"):
        return f"[{' '.join(map(str, field[:8]))}{' …' if len(field) > 8 else ''}]"
    if isinstance(field, tuple) and field and hasattr(field[0], "_fields"):
        return f"[{'; '.join(map(describe_fields, field))}]"
    return describe(field)


def describe_batch(batch: Batch) -> str:
    """The keys of a batch, sorted, because their order in it means nothing."""
    if batch is NOP:
        return "NOP"
    parts = []
    for verb, keys in (("w", batch.writes), ("r", batch.reads)):
        if keys:
            shown = ",".join(map(describe, sorted(keys)[:KEYS_SHOWN]))
            parts.append(f"{verb}:{shown}{'…' if len(keys) > KEYS_SHOWN else ''}")
    if batch.barrier:
        parts.append("barrier" if batch.successor is None else f"epoch {batch.successor.number}")
    return "{" + " ".join(parts) + f" {batch.commands}c" + "}"


class Trace:
    """Records what happens when `on`; otherwise each method returns at once.

    `show` is called with every line except those of heartbeats.  `digest` covers all lines, so equal digests
    mean equal runs.  `now_us` returns the time of the run in microseconds.
    """

    def __init__(
        self, now_us: Callable[[], int], on: bool, show: Callable[[str], None] | None = None
    ) -> None:
        self._now_us = now_us
        self._show = show
        self._hash = blake2b(digest_size=16)
        self.on = on

    @property
    def digest(self) -> str:
        """The hash of all lines, in hexadecimal digits."""
        return self._hash.hexdigest()

    def _write(self, text: str, shown: bool = True) -> None:
        line = f"{self._now_us() / 1e6:11.6f} {text}"
        self._hash.update(line.encode() + b"\n")
        if shown and self._show is not None:
            self._show(line)

    def note(self, who: object, text: str) -> None:
        """A replica, a client or a fault does something."""
        if self.on:
            self._write(f"{who}: {text}")

    def sent(self, sender: int, receiver: int, messages: Sequence[Message | Control]) -> None:
        """Messages leave."""
        if self.on:
            self._messages(f"R{sender} ─> R{receiver}", messages)

    def received(self, sender: int, receiver: int, messages: Sequence[Message | Control]) -> None:
        """Messages arrive."""
        if self.on:
            self._messages(f"R{receiver} <─ R{sender}", messages)

    def lost(self, sender: int, receiver: int, messages: Sequence[Message | Control], why: str) -> None:
        """Messages are lost."""
        if self.on:
            self._messages(f"R{sender} ─x R{receiver} ({why})", messages)

    def _messages(self, arrow: str, messages: Sequence[Message | Control]) -> None:
        for message in messages:
            self._write(f"{arrow} {describe_fields(message)}", not isinstance(message, Heartbeat))
