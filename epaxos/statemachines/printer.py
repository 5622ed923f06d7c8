"""A demonstration after go-epaxos: every replica prints the commands in the order of their execution.

`PRINT key text…`: commands on the same key interfere, others do not.  The reply is the position of the
command among the commands on its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from zope.interface import implementer

from epaxos.interfaces import Command, CommandError, CommandInfo, IReplays, Ready, Reply
from epaxos.interfaces.redis import wrong_arity
from epaxos.protocol.values.messages import Batch
from epaxos.statemachines.columns import decode_columns, decode_commands, encode_commands

__all__ = ["Printer"]

NAME = b"PRINT"
ELEMENTS_MIN = 3
"""The name, the key and something to print."""


def _commands_of(batch: Batch) -> list[list[bytes]]:
    """The commands of a batch.  Raises ValueError when `Printer.batch` cannot have made it."""
    commands = decode_commands(decode_columns(batch))
    for command in commands:
        if command[0].upper() != NAME or len(command) < ELEMENTS_MIN:
            raise ValueError(f"a batch with the command {command[0]!r} of {len(command)} elements")
    return commands


def _text(command: Command) -> str:
    return b" ".join(command[1:]).decode("utf-8", "backslashreplace")


def _print_nothing(line: str) -> None:
    """The line was printed before."""


@implementer(IReplays)
class Printer:
    """Prints a line "instance command" for each command; keeps the number and a digest of the lines per key.

    `write(line)` is called with each line, without a line end.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._printed: dict[bytes, bytes] = {}

    def check(self, command: Command) -> None:
        """See IStateMachine."""
        if command[0].upper() != NAME:
            name = command[0][:128].decode("utf-8", "backslashreplace")
            raise CommandError(f"ERR unknown command '{name}', the printer knows PRINT key text")
        if len(command) < ELEMENTS_MIN:
            raise wrong_arity("print")

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        """See IStateMachine."""
        return name.upper() == NAME and length >= ELEMENTS_MIN

    def commands(self) -> Sequence[CommandInfo]:
        """See IStateMachine."""
        return [CommandInfo("print", -3, True, 1, 1, 1)]

    def is_read(self, name: bytes) -> bool:
        """See IStateMachine."""
        return False

    def read(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """See IStateMachine."""
        raise ValueError("no command of the printer only reads")

    def batch(self, commands: Sequence[Command]) -> Batch:
        """See IStateMachine."""
        keys = tuple(dict.fromkeys(command[1] for command in commands))
        return Batch(keys, (), encode_commands(commands, keys), len(commands))

    def apply(self, ready: Sequence[Ready]) -> list[Sequence[Reply]]:
        """See IStateMachine."""
        return [self._apply(instance, self._write) for instance in ready]

    def replay(self, ready: Ready) -> Sequence[Reply]:
        """See IReplays.  Does not print the lines again."""
        return self._apply(ready, _print_nothing)

    def _apply(self, instance: Ready, write: Callable[[str], None]) -> list[Reply]:
        return [self._print(f"{instance.id} {_text(c)}", c[1], write) for c in _commands_of(instance.batch)]

    def _print(self, line: str, key: bytes, write: Callable[[str], None]) -> int:
        write(line)
        before = self._printed.get(key, b"0 ")
        count = int(before.partition(b" ")[0]) + 1
        chain = blake2b(before + line.encode(), digest_size=16).hexdigest()
        self._printed[key] = b"%d %s" % (count, chain.encode())
        return count

    def restore(self, entries: dict[bytes, bytes], ready: Iterable[Ready]) -> None:
        """See IStateMachine.  Does not print the lines again."""
        self._printed = entries
        for instance in ready:
            self.replay(instance)

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See IStateMachine."""
        return self._printed.copy().items()
