"""Records what clients of real processes saw, for the checker of the simulator to judge.

The moments of a history are counted under one lock: the call before the command is sent, the return after
its answer was read.  So their order is that of real time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from epaxos.interfaces import Reply
from epaxos.verify.judges import model
from epaxos.verify.judges.history import History, Operation, Outcome
from epaxos.verify.judges.linearizability import Judgement, Verdict, judge, partitions

__all__ = ["Findings", "Recorder", "judge_all"]

STEPS_MAX = 500_000
"""States of a search, at most, for one group of keys; they take some hundred megabytes."""
_CREATING = frozenset({b"SET", b"SETNX", b"GETSET", b"MSET", b"INCR", b"APPEND"})
_REMOVING = frozenset({b"DEL", b"GETDEL"})
_NAMING = frozenset({b"SET", b"SETNX", b"GETSET", b"MSET"})
"""Commands that write a value which is read unchanged, and which no other operation writes."""


class Recorder:
    """Records the operations of one period.  Many threads may use it.

    At the beginning the database holds `keys_before` keys; earlier operations of unknown outcome may still
    create `keys_in_doubt` more.
    """

    def __init__(self, keys_before: int = 0, keys_in_doubt: int = 0) -> None:
        self.keys_before = keys_before
        self.keys_in_doubt = keys_in_doubt
        self._history = History()
        self._lock = Lock()
        self._begin = time.monotonic()

    def call(self, name: str, command: tuple[bytes, ...], replica: int) -> Operation:
        """A command is about to be sent."""
        with self._lock:
            now_us = int((time.monotonic() - self._begin) * 1e6)
            return self._history.call(name, command, now_us, replica)

    def answer(self, operation: Operation, reply: Reply) -> None:
        """The reply of an operation was read."""
        with self._lock:
            self._history.answer(operation, reply)

    def give_up(self, operation: Operation, may_have_run: bool) -> None:
        """No reply will come, or the reply says that the command did not run."""
        with self._lock:
            self._history.give_up(operation, may_have_run)

    def operations(self) -> list[Operation]:
        """The operations so far."""
        with self._lock:
            return list(self._history.operations)


@dataclass
class Findings:
    """The violations in a history, and the groups of keys whose search was given up."""

    wrong: list[str] = field(default_factory=list)
    undecided: int = 0
    operations: int = 0
    steps: int = 0


def judge_all(
    operations: Sequence[Operation], keys_before: int = 0, keys_in_doubt: int = 0, steps_max: int = STEPS_MAX
) -> Findings:
    """Judge the operations of a recorder.

    It judges each group of keys by itself, because the unknown outcomes of one group then make only its own
    search longer.  DBSIZE would connect all keys; instead its reply has to be within bounds.
    """
    findings = Findings(operations=len(operations))
    sizes = [operation for operation in operations if operation.command[0] == b"DBSIZE"]
    others = [operation for operation in operations if operation.command[0] != b"DBSIZE"]
    for _, group in partitions(others):
        _see_what_ran(group)
        judgement: Judgement = judge(group, steps_max)
        findings.steps += judgement.steps
        if judgement.verdict is Verdict.NOT_LINEARIZABLE:
            findings.wrong.append(f"not linearizable: {judgement.explanation}")
        elif judgement.verdict is Verdict.UNDECIDED:
            findings.undecided += 1
    findings.wrong += _check_sizes(sizes, others, keys_before, keys_in_doubt)
    return findings


def _see_what_ran(group: Sequence[Operation]) -> None:
    """Mark the operations of unknown outcome whose value was read: they have run, and the checker tries that
    first."""
    writers = {
        value: operation
        for operation in group
        if operation.outcome is Outcome.UNKNOWN and operation.command[0] in _NAMING
        for value in _values(operation.command)
    }
    if not writers:
        return
    for operation in group:
        if operation.outcome is not Outcome.ANSWERED:
            continue
        seen = operation.reply if isinstance(operation.reply, (list, tuple)) else [operation.reply]
        for value in seen:
            writer = writers.get(value) if isinstance(value, bytes) else None
            if writer is not None and (writer.ran is None or writer.ran > (operation.returned or 0)):
                writer.ran = operation.returned


def _values(command: Sequence[bytes]) -> Sequence[bytes]:
    return command[2::2] if command[0] == b"MSET" else command[2:3]


def _check_sizes(
    sizes: Sequence[Operation], others: Sequence[Operation], keys_before: int, keys_in_doubt: int
) -> list[str]:
    """Check DBSIZE: at least the keys that were created before its call and never removed, at most those
    whose creation had begun before it returned."""
    created: dict[bytes, int] = {}
    begun: dict[bytes, int] = {}
    removed: dict[bytes, int] = {}
    for operation in others:
        if operation.outcome is Outcome.REFUSED:
            continue
        keys = model.keys_of(operation.command) or ()
        if operation.command[0] in _CREATING:
            for key in keys:
                begun.setdefault(key, operation.called)
                if operation.outcome is Outcome.ANSWERED and operation.returned is not None:
                    created[key] = min(created.get(key, operation.returned), operation.returned)
        elif operation.command[0] in _REMOVING:
            for key in keys:
                removed.setdefault(key, operation.called)
    wrong = []
    for size in sizes:
        if size.outcome is not Outcome.ANSWERED or size.returned is None:
            continue
        returned = size.returned
        least = sum(
            moment < size.called and removed.get(key, returned + 1) > returned
            for key, moment in created.items()
        )
        most = sum(moment < returned for moment in begun.values())
        least, most = least + keys_before, most + keys_before + keys_in_doubt
        if not (type(size.reply) is int and least <= size.reply <= most):
            wrong.append(f"{size}: there were {least} to {most} keys")
    return wrong
