"""Runs one command of a machine on a state: its reply, and what it changes.

Whatever goes wrong is the same at every replica, because it is a reply like any other, in the same words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.logger import Logger

from epaxos.interfaces import CommandError, Reply
from epaxos.machines.commands import CommandSpec
from epaxos.machines.machine import Machine
from epaxos.machines.tables import Changes, Kept, NotNamedError, Work
from epaxos.machines.values import NotAValueError, encode

__all__ = ["FRAMES_MAX", "Done", "as_json", "as_reply", "run"]

FRAMES_MAX = 500
"""Python frames that a command may stack.  Counted from the command on, because the stack below it is not the
same at every replica."""

_log = Logger()
_INTEGERS = range(-(2**63), 2**63)


class Done(NamedTuple):
    """What became of a command.  `read_bytes`: what it decoded of the state."""

    reply: Reply
    changes: Changes
    read_bytes: int


def run(
    machine: Machine,
    spec: CommandSpec,
    words: Sequence[bytes],
    kept: Kept,
    answer: Callable[[object], Reply],
    is_logged: bool,
) -> Done:
    """Run the command, whose arguments are `words`, on the state `kept`, which stays as it is.

    `answer` makes a reply of a result.  `is_logged`: errors of the machine itself go to the log.  Raises
    ValueError when the replica cannot go on, because others may come to another result.
    """
    name = spec.method
    try:
        arguments = spec.values(words)
        work = _work(spec, arguments, kept)
        result = _call(machine, name, arguments, work)
        reply = answer(result)
        return Done(reply, work.changes(), work.read_bytes)
    except CommandError as refusal:
        return _refused(name, refusal, is_logged)
    except NotNamedError as why:
        return _failed(name, str(why), is_logged)
    except NotAValueError as why:
        return _failed(name, f"{why} can be neither kept nor answered", is_logged)
    except MemoryError:
        raise ValueError(f"{name} needs more memory than there is") from None
    except KeyboardInterrupt:
        raise ValueError(f"{name} was interrupted") from None
    except BaseException as why:  # also SystemExit: nothing may end a batch in its midst
        if isinstance(why, RecursionError):
            why.__traceback__ = None  # hundreds of equal lines
        return _failed(name, type(why).__name__, is_logged)


def _refused(name: str, refusal: CommandError, is_logged: bool) -> Done:
    """The outcome when the command says no."""
    try:
        text = str(refusal)
    except Exception as why:  # of a class of the machine
        return _failed(name, type(why).__name__, is_logged)
    return Done(CommandError(text), {}, 0)


def _failed(name: str, text: str, is_logged: bool) -> Done:
    """The outcome when the exception that is being handled is not a refusal.

    `text`: without the text of that exception, which may hold addresses, and they differ between replicas.
    """
    if is_logged:
        _log.failure("{name} failed, and nothing was changed", name=name)
    return Done(CommandError(f"ERR {name} failed: {text}; nothing was changed"), {}, 0)


def _work(spec: CommandSpec, arguments: Sequence[Any], kept: Kept) -> Work:
    writes = frozenset((type(key), key) for key in spec.keys(spec.writes, arguments))
    reads = frozenset((type(key), key) for key in spec.keys(spec.reads, arguments))
    return Work(kept, None if spec.writes_all else writes, None if spec.is_barrier else reads)


def _call(machine: Machine, name: str, arguments: Sequence[Any], work: Work) -> object:
    limit = sys.getrecursionlimit()
    machine._work = work
    sys.setrecursionlimit(_depth() + FRAMES_MAX)
    try:
        return getattr(machine, name)(*arguments)
    finally:
        sys.setrecursionlimit(limit)
        machine._work = None


def _depth() -> int:
    """How many frames are stacked."""
    depth = 0
    frame = sys._getframe()
    while frame is not None:
        depth += 1
        frame = frame.f_back  # type: ignore[assignment]
    return depth


def as_json(result: object) -> Reply:
    """A result as its JSON, which keeps every type.  Raises NotAValueError."""
    return encode(result)


def as_reply(result: Any) -> Reply:
    """A result as Redis' clients expect it.  Raises NotAValueError."""
    encode(result)  # whether it is a value at all
    return _plain(result)


def _plain(result: Any) -> Reply:
    if result is None or type(result) is bytes:
        return result
    if type(result) is bool:
        return int(result)
    if type(result) is int:
        return result if result in _INTEGERS else b"%d" % result
    if type(result) is str:
        return result.encode()
    if type(result) is float:
        return repr(result).encode()
    if type(result) is dict:
        return [_plain(part) for pair in result.items() for part in pair]
    return [_plain(part) for part in result]
