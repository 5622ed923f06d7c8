"""Judges keys with deadlines: whether one comes back that was gone, and whether each lives as long as it was
told to.

What clients saw has to be linearizable, when each deadline is an operation of its own: the key ends at one
moment, which is not before its time, and never comes back.  A key that a client could still read behind its
time, at a replica whose clock was good, lives too long.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from epaxos.interfaces import Reply
from epaxos.verify.judges.history import History, NamedCommand, Operation, Outcome
from epaxos.verify.judges.linearizability import Verdict, judge

__all__ = ["ExpiryJudge", "is_read", "keys_of", "run"]

_END = b"END"
_LETS_LIVE = (b"SET", b"PEXPIRE", b"PERSIST")
_US = 1000
"""Microseconds in a millisecond."""

# -- what the commands mean: behind a value stands the name of the operation that gave it its deadline,
# nothing where it has none; END takes the value away if that is the one


def run(store: MutableMapping[bytes, bytes], command: Sequence[bytes]) -> Reply | str:
    """Run `command` on `store`, and return its reply."""
    name, key = command[0], command[1]
    held = store.get(key)
    value, _, life = (held or b"").partition(b"@")
    if name == b"GET":
        return None if held is None else value
    if name == b"SET":
        store[key] = command[2] + b"@" + _life_of(command)
        return "OK"
    if name == b"DEL":
        return int(store.pop(key, None) is not None)
    if name == _END:
        return int(held is not None and life == command[2] and store.pop(key) == held)
    if held is None or (name == b"PERSIST" and not life):
        return 0
    store[key] = value + b"@" + (b"" if name == b"PERSIST" else _life_of(command))
    return 1


def _life_of(command: Sequence[bytes]) -> bytes:
    """The name of the operation, if it gives its key a deadline."""
    if not isinstance(command, NamedCommand) or lifetime_ms(command) is None:
        return b""
    return command.name.encode()


def is_read(command: Sequence[bytes]) -> bool:
    """Whether `command` changes nothing."""
    return command[0] == b"GET"


def keys_of(command: Sequence[bytes]) -> Sequence[bytes]:
    """The key of `command`."""
    return command[1:2]


def lifetime_ms(command: Sequence[bytes]) -> int | None:
    """How long the command lets its key live; None where it says nothing of that."""
    return int(command[-1]) if command[0] == b"PEXPIRE" or len(command) == 5 else None


class _Meaning:
    """The functions above, as a Model."""

    run = staticmethod(run)
    is_read = staticmethod(is_read)
    keys_of = staticmethod(keys_of)


# -- the judge


@dataclass
class _Seen:
    """When an operation was called and returned, in microseconds, and whether the clock of its replica was to
    be trusted all the time."""

    called_us: int
    returned_us: int | None = None
    was_trusted: bool = True


class ExpiryJudge:
    """Notes what clients do to keys with deadlines, and judges it at the end.

    `error_us`: by how much a key may live shorter or longer, in microseconds.
    """

    def __init__(self, error_us: int) -> None:
        self.error_us = error_us
        self.history = History()
        self.end_us = 0
        """When the newest deadline comes, about: the time that is worth a look."""
        self._seen: dict[str, _Seen] = {}
        self._moments: list[tuple[int, int]] = []  # the moments of the history, and their times

    def call(
        self, name: str, command: Sequence[bytes], now_us: int, replica: int, trusted: bool
    ) -> Operation:
        """A client sends a command."""
        operation = self.history.call(name, tuple(command), now_us, replica)
        self._seen[name] = _Seen(now_us, None, trusted)
        self._moments.append((operation.called, now_us))
        life_ms = lifetime_ms(operation.command)
        if life_ms is not None:
            self.end_us = now_us + life_ms * _US
        return operation

    def answer(self, operation: Operation, reply: Reply, now_us: int, trusted: bool) -> None:
        """The client has the reply."""
        self.history.answer(operation, reply)
        seen = self._seen[operation.name]
        seen.returned_us = now_us
        seen.was_trusted = seen.was_trusted and trusted
        assert operation.returned is not None
        self._moments.append((operation.returned, now_us))

    def give_up(self, operation: Operation, may_have_run: bool, now_us: int) -> None:
        """The client does not wait any more, or was refused."""
        self.history.give_up(operation, may_have_run)
        assert operation.returned is not None
        self._moments.append((operation.returned, now_us))

    def judge(self, steps_max: int) -> tuple[str, bool]:
        """What is wrong, empty when nothing is, and whether that could not be decided."""
        operations = self.history.operations
        late = self._too_late()
        if late:
            return late, False
        judgement = judge([*operations, *self._ends()], steps_max, _Meaning())
        wrong = judgement.verdict is Verdict.NOT_LINEARIZABLE
        return (
            f"Expiry: {judgement.explanation}" if wrong else "",
            judgement.verdict is Verdict.UNDECIDED,
        )

    def _ends(self) -> list[Operation]:
        """The end of each deadline: it need not come, and comes when the key has it, not before its time."""
        ends = []
        for operation in self.history.operations:
            life_ms = lifetime_ms(operation.command)
            if life_ms is None or operation.outcome is Outcome.REFUSED:
                continue
            from_us = operation.called_at + life_ms * _US - self.error_us
            command = NamedCommand((_END, operation.command[1], operation.name.encode()))
            command.name = f"the end of {operation.name}"
            called = 1 + max((moment for moment, at_us in self._moments if at_us < from_us), default=0)
            end = Operation(command.name, command, max(called, operation.called), from_us, operation.replica)
            end.outcome, end.reply = Outcome.ANSWERED, 1  # it never returns, so it need not take effect
            ends.append(end)
        return ends

    def _too_late(self) -> str:
        """What somebody found behind its time, at a replica whose clock was to be trusted."""
        for operation in self.history.operations:
            seen = self._seen[operation.name]
            name, key = operation.command[:2]
            is_read = name == b"GET"
            found = operation.reply is not None if is_read else name != b"SET" and operation.reply == 1
            value = operation.reply if is_read else None
            if found and seen.was_trusted and not self._may_live(operation, key, value, seen.called_us):
                return f"Expiry: every life of {key!r} had ended: {operation}, called at {seen.called_us} us"
        return ""

    def _may_live(self, but: Operation, key: bytes, value: Reply, at_us: int) -> bool:
        """Whether an operation beside `but` may have let the key live until `at_us`; with this value, unless
        that is None."""
        for operation in self.history.operations:
            name = operation.command[0]
            if operation is but or operation.command[1] != key or name not in _LETS_LIVE:
                continue
            if operation.outcome is Outcome.REFUSED or operation.reply == 0:
                continue
            if name == b"SET" and value is not None and operation.command[2] != value:
                continue
            life_ms, returned_us = lifetime_ms(operation.command), self._seen[operation.name].returned_us
            if life_ms is None or returned_us is None:
                return True
            if returned_us + life_ms * _US + self.error_us >= at_us:
                return True
        return False
