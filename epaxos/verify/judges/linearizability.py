"""Judges whether a history is linearizable: whether there is one order of its operations that explains all
replies, and in which each operation takes effect between its call and its return.

The search is that of Wing and Gong, and remembers the states that led nowhere (Lowe, "Testing for
linearizability", 2017).  Each set of keys that operations connect is searched by itself, because
linearizability is local.  An operation of unknown outcome may take effect at any time after its call, or
never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from epaxos.interfaces import CommandError, Reply
from epaxos.verify.judges import model as key_value
from epaxos.verify.judges.history import Operation, Outcome

__all__ = ["Judgement", "Model", "Verdict", "judge", "partitions"]

State = tuple["bytes | None", ...]
_NEVER = float("inf")


class Model(Protocol):
    """What the commands mean: a sequential specification, such as `judges/model.py`."""

    def run(self, store: dict[bytes, bytes], command: Sequence[bytes], /) -> Reply | str:
        """Run `command` on `store`, and return its reply; ERROR stands for any CommandError."""

    def is_read(self, command: Sequence[bytes], /) -> bool:
        """Whether `command` changes nothing."""

    def keys_of(self, command: Sequence[bytes], /) -> Sequence[bytes] | None:
        """The keys of the store on which the reply or the effect of `command` depends; None: all."""


class Verdict(Enum):
    """The result of a judgement."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNDECIDED = "undecided: the search was given up"


@dataclass(frozen=True)
class Judgement:
    """The verdict.  `explanation`: when it is bad, the operations and how far they can be explained."""

    verdict: Verdict
    explanation: str = ""
    steps: int = 0


def judge(operations: Sequence[Operation], steps_max: int = 200_000, model: Model = key_value) -> Judgement:
    """Judge a history by a model; each group of keys is searched for at most `steps_max` steps.

    Every operation of unknown outcome doubles the search.  So two explanations are tried first: the order in
    which operations were seen to run; then any order in which those that were seen to run took effect before
    that moment, and the others of unknown outcome never did.
    """
    for operation in operations:
        if operation.outcome is Outcome.REFUSED and operation.ran is not None:
            return Judgement(Verdict.NOT_LINEARIZABLE, f"it was refused, and has run: {operation}")
    answered = [operation for operation in operations if operation.outcome is Outcome.ANSWERED]
    unknown = [
        operation
        for operation in operations
        if operation.outcome in (Outcome.UNKNOWN, Outcome.PENDING) and not model.is_read(operation.command)
    ]
    seen = [operation for operation in unknown if operation.ran is not None]
    if _explains_as_seen([*answered, *seen], model):
        return Judgement(Verdict.LINEARIZABLE)
    judgement = _judge([*answered, *seen], steps_max, model, trusting=True)
    if judgement.verdict is Verdict.LINEARIZABLE or not unknown:
        return judgement
    return _judge([*answered, *unknown], steps_max, model, trusting=False)


def _explains_as_seen(operations: Sequence[Operation], model: Model) -> bool:
    """Whether the order in which the operations were first seen to run explains all replies.

    Reads that were not seen to run change nothing, so each takes effect as soon as its reply fits.
    """
    store: dict[bytes, bytes] = {}
    reads: list[Operation] = []
    moments = [
        (operation.called if operation.ran is None else operation.ran, operation) for operation in operations
    ]
    for moment, operation in sorted(moments, key=lambda moment: moment[0]):
        if any(_ended_before(read, moment) for read in reads):
            return False
        if operation.ran is None:
            if not model.is_read(operation.command):
                return False
            reads.append(operation)
        else:
            reply = model.run(store, operation.command)
            if operation.called >= moment or (
                operation.outcome is Outcome.ANSWERED
                and (_ended_before(operation, moment) or not _agrees(reply, operation.reply))
            ):
                return False
        reads = [read for read in reads if not _agrees(model.run(store, read.command), read.reply)]
    return not reads


def _ended_before(operation: Operation, moment: int) -> bool:
    return operation.returned is None or operation.returned <= moment


def _judge(operations: Sequence[Operation], steps_max: int, model: Model, trusting: bool) -> Judgement:
    """Search each set of keys.  `trusting`: operations took effect before they were seen to run."""
    operations = sorted(operations, key=lambda operation: operation.called)
    undecided = None
    steps = 0
    for keys, group in partitions(operations, model):
        judgement = _Search(keys, group, model, trusting).run(steps_max)
        steps += judgement.steps
        if judgement.verdict is Verdict.NOT_LINEARIZABLE:
            return judgement
        if judgement.verdict is Verdict.UNDECIDED:
            undecided = judgement
    return undecided or Judgement(Verdict.LINEARIZABLE, steps=steps)


def partitions(
    operations: Sequence[Operation], model: Model = key_value
) -> list[tuple[list[bytes], list[Operation]]]:
    """The sets of keys that no operation connects with others, each with its operations in order of call."""
    touched = [model.keys_of(operation.command) for operation in operations]
    all_keys = sorted({key for keys in touched if keys is not None for key in keys})
    if any(keys is None for keys in touched):
        return [(all_keys, list(operations))]
    group_of = {key: key for key in all_keys}

    def find(key: bytes) -> bytes:
        while group_of[key] != key:
            group_of[key] = key = group_of[group_of[key]]
        return key

    for keys in touched:
        for key in keys or ():
            group_of[find(key)] = find((keys or ())[0])
    groups: dict[bytes, tuple[list[bytes], list[Operation]]] = {}
    for key in all_keys:
        groups.setdefault(find(key), ([], []))[0].append(key)
    without_keys: list[Operation] = []
    for operation, keys in zip(operations, touched):
        (groups[find(keys[0])][1] if keys else without_keys).append(operation)
    return [*groups.values(), *([([], without_keys)] if without_keys else [])]


class _Search:
    """The search for one order of `operations`, which touch `keys`."""

    def __init__(self, keys: list[bytes], operations: list[Operation], model: Model, trusting: bool) -> None:
        self._model = model
        self._keys = keys
        self._operations = operations
        self._calls = [operation.called for operation in operations]
        self._returns = [_latest_effect(operation, trusting) for operation in operations]
        self._twins = self._find_twins()
        self._wanted = sum(1 << i for i, latest in enumerate(self._returns) if latest != _NEVER)

    def run(self, steps_max: int) -> Judgement:
        """Search depth first.  `ordered` are the operations that have taken effect, as bits."""
        best, best_state = 0, self._initial()
        stack = [(0, self._initial())]
        seen: set[tuple[int, State]] = set()
        while stack:
            ordered, state = stack.pop()
            if ordered & self._wanted == self._wanted:
                return Judgement(Verdict.LINEARIZABLE, steps=len(seen))
            if (ordered, state) in seen:
                continue
            if len(seen) >= steps_max:
                return Judgement(Verdict.UNDECIDED, f"{len(self._operations)} operations", len(seen))
            seen.add((ordered, state))
            if (ordered & self._wanted).bit_count() > (best & self._wanted).bit_count():
                best, best_state = ordered, state
            for i in self._next(ordered):
                after = self._step(state, self._operations[i])
                if after is not None:
                    stack.append((ordered | 1 << i, after))
        return Judgement(Verdict.NOT_LINEARIZABLE, self._explain(best, best_state), len(seen))

    def _find_twins(self) -> list[int]:
        """For each operation that need not take effect, the one before it that is the same, as a bit.

        Of two such operations the one that was called first may as well take effect first, or alone, so the
        search need not try the other one before it.
        """
        twins = [0] * len(self._operations)
        last: dict[tuple[bytes, ...], int] = {}
        for i, operation in enumerate(self._operations):
            if self._returns[i] == _NEVER:
                words = tuple(operation.command)
                twins[i] = last.get(words, 0)
                last[words] = 1 << i
        return twins

    def _initial(self) -> State:
        return (None,) * len(self._keys)

    def _next(self, ordered: int) -> list[int]:
        """The operations that may take effect next: those called before any remaining one returned.  The
        one that returned first is last, so that it is tried first."""
        first_return = _NEVER
        found = []
        lowest_left = (~ordered & (ordered + 1)).bit_length() - 1
        for i in range(lowest_left, len(self._operations)):
            if self._calls[i] > first_return:
                break
            if not ordered >> i & 1:
                if ordered & self._twins[i] != self._twins[i]:
                    continue
                found.append(i)
                first_return = min(first_return, self._returns[i])
        found.sort(key=lambda i: (-self._returns[i], -i))
        return found

    def _step(self, state: State, operation: Operation) -> State | None:
        """The state after `operation`; None when its reply does not fit `state`."""
        store = {key: value for key, value in zip(self._keys, state) if value is not None}
        reply = self._model.run(store, operation.command)
        if operation.outcome is Outcome.ANSWERED and not _agrees(reply, operation.reply):
            return None
        return tuple(map(store.get, self._keys))

    def _explain(self, ordered: int, state: State) -> str:
        values = ", ".join(f"{key!r}: {value!r}" for key, value in zip(self._keys, state))
        next_ones = set(self._next(ordered))
        lines = [f"the longest explanation ends in the state {{{values}}}, where nothing that is next fits"]
        for i, operation in enumerate(self._operations):
            mark = "   " if ordered >> i & 1 else ">> " if i in next_ones else " . "
            lines.append(mark + str(operation))
        return "\n".join(lines)


def _latest_effect(operation: Operation, trusting: bool) -> float:
    """The moment before which `operation` must have taken effect."""
    moment = (
        operation.returned if operation.outcome is Outcome.ANSWERED else operation.ran if trusting else None
    )
    return _NEVER if moment is None else moment


def _agrees(expected: Reply | str, reply: Reply) -> bool:
    if isinstance(expected, CommandError):
        return isinstance(reply, CommandError) and str(reply) == str(expected)
    if expected == key_value.ERROR:
        return isinstance(reply, CommandError)
    if isinstance(reply, CommandError) or (type(expected) is int and type(reply) is not int):
        return False
    if isinstance(expected, list) and isinstance(reply, (list, tuple)):
        return len(expected) == len(reply) and all(map(_agrees, expected, reply))
    return expected == reply
