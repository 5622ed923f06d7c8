"""What one run of a script may use.  A client can see these limits, so they are constants: the same at every
replica, and changed only together with Config.version (docs: concepts/limits)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FULL", "QUICK", "QUICK_S", "TEXT_BYTES_MAX", "Limits"]

MIB = 1024 * 1024


class Limits(NamedTuple):
    """`steps`: instructions of Lua, each once more for 4 MiB in use, and what functions of C count as.
    `work`: calls of commands, and tenths of elements of their replies.  `memory`: bytes that Lua
    may hold; nothing is freed during a run.  `inputs`: bytes of keys and arguments, and 40 for each."""

    steps: int
    work: int
    memory: int
    inputs: int


QUICK = Limits(steps=100_000, work=1_000, memory=32 * MIB, inputs=MIB)
"""A run within these takes a few milliseconds, and is done at once.  One that reaches them is taken back and
begun anew within FULL, so nobody can see where they are."""

QUICK_S = 0.01
"""Seconds of processor time that such a run may take, looked at after 200 instructions or a few calls."""

FULL = Limits(steps=20_000_000, work=500_000, memory=256 * MIB, inputs=64 * MIB)
"""A run that reaches one of these has failed: at every replica at the same place."""

TEXT_BYTES_MAX = 256 * 1024
"""A longer script is refused, because it is compiled in one step."""
