"""Methods that are commands: what they say of their keys, and what follows from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar, Union, get_type_hints

from epaxos.interfaces import Command, CommandError, CommandInfo
from epaxos.interfaces.redis import fits, wrong_arity
from epaxos.machines.kinds import KINDS, Kind, kind_of

__all__ = ["EVERYTHING", "CommandSpec", "Named", "Parameter", "command", "spec_of"]


class _Everything:
    """See EVERYTHING."""

    def __repr__(self) -> str:
        return "EVERYTHING"


EVERYTHING: Final = _Everything()
"""All keys of a machine.  Such a command runs before or after every other one, and may look at whole
tables."""

Named = Union[str, tuple[str, ...], _Everything]
"""The parameters that are keys, by their names, or EVERYTHING."""
Method = TypeVar("Method", bound=Callable[..., Any])

_MARK = "_epaxos_command"
_PLAIN = inspect.Parameter.POSITIONAL_OR_KEYWORD
_REST = inspect.Parameter.VAR_POSITIONAL


def command(*, writes: Named = (), reads: Named = ()) -> Callable[[Method], Method]:
    """Mark a method as a command.  `writes` and `reads`: the parameters that are the keys which the command
    may change, and which it may only look at."""

    def mark(method: Method) -> Method:
        setattr(method, _MARK, (writes, reads))
        return method

    return mark


class Parameter(NamedTuple):
    """One parameter of a command.  `default`: the text of its default, None if it has none."""

    name: str
    kind: Kind
    default: bytes | None


@dataclass(frozen=True)
class CommandSpec:
    """A command.

    `name`: in capitals, as clients call it; `method`: the name of the method.  `writes` and `reads`: the
    numbers of the parameters that are keys.  `has_rest`: the last parameter takes any number of arguments.
    `writes_all`, `reads_all`: EVERYTHING.
    """

    name: str
    method: str
    parameters: tuple[Parameter, ...]
    has_rest: bool
    writes: frozenset[int]
    reads: frozenset[int]
    writes_all: bool
    reads_all: bool
    signature: inspect.Signature

    @cached_property
    def is_barrier(self) -> bool:
        """Whether it names everything."""
        return self.writes_all or self.reads_all

    @cached_property
    def only_reads(self) -> bool:
        """Whether it changes nothing."""
        return not self.writes and not self.writes_all

    @cached_property
    def is_plain_read(self) -> bool:
        """Whether it only reads the one key that is its first argument, which is never left out."""
        return self.only_reads and not self.reads_all and self.reads == {0} and self.needed > 0

    @cached_property
    def needed(self) -> int:
        """The number of arguments that it takes at least."""
        fixed = self.parameters[: len(self.parameters) - self.has_rest]
        return sum(parameter.default is None for parameter in fixed)

    @cached_property
    def arity(self) -> int:
        """See CommandInfo."""
        exact = not self.has_rest and self.needed == len(self.parameters)
        return self.needed + 1 if exact else -self.needed - 1

    def info(self) -> CommandInfo:
        """What `COMMAND` shows.  Redis can only tell keys that stand at equal distances."""
        places = sorted(number + 1 for number in self.writes | self.reads)
        first = places[0] if places else 0
        takes_many = self.has_rest and places[-1:] == [len(self.parameters)]
        last = -1 if takes_many else max(places, default=0)
        steps = {after - before for before, after in pairwise(places)}
        if len(steps) > 1 or (last == -1 and steps - {1}):
            first = last = 0
        step = (steps.pop() if steps else 1) if first else 0
        name, writes = self.name.lower(), not self.only_reads
        return CommandInfo(name, self.arity, writes, first, last, step, is_barrier=self.is_barrier)

    # -- arguments; `words`: a command without its name

    def complete(self, words: Sequence[bytes]) -> list[bytes]:
        """The words, and the defaults of what was left out.  Of words that `values` takes."""
        left_out = self.parameters[len(words) : len(self.parameters) - self.has_rest]
        return [*words, *(parameter.default or b"" for parameter in left_out)]

    def values(self, words: Sequence[bytes]) -> list[Any]:
        """The arguments, without those left out.  Raises CommandError."""
        most = len(self.parameters)
        if not fits(self.arity, len(words) + 1) or (len(words) > most and not self.has_rest):
            raise wrong_arity(self.name.lower())
        found = []
        for number, word in enumerate(words):
            parameter = self.parameters[min(number, most - 1)]
            try:
                found.append(parameter.kind.read(word))
            except ValueError as why:
                raise CommandError(f"ERR {self.name.lower()}: {parameter.name} {why}") from None
        return found

    def words(self, arguments: Sequence[Any], named: dict[str, Any]) -> Command:
        """The words of a Python call.  Raises TypeError and ValueError, as a call of the method would."""
        bound = self.signature.bind(*arguments, **named)
        bound.apply_defaults()
        found = []
        for number, value in enumerate(bound.args):
            parameter = self.parameters[min(number, len(self.parameters) - 1)]
            try:
                found.append(parameter.kind.text(value))
            except (TypeError, ValueError) as why:
                raise type(why)(f"{self.method}: {parameter.name} {why}") from None
        return found

    def keys(self, which: frozenset[int], arguments: Sequence[Any]) -> Sequence[Any]:
        """The arguments that are at these parameters."""
        last = len(self.parameters) - 1
        return [
            argument
            for number, argument in enumerate(arguments)
            if (min(number, last) if self.has_rest else number) in which
        ]


def spec_of(machine: type, method_name: str) -> CommandSpec | None:
    """The command that a method of the class is; None when it is none.  Raises TypeError, with a text for
    the author of the machine, when its signature says too little."""
    method = inspect.getattr_static(machine, method_name)
    if not hasattr(method, _MARK):
        return None
    where = f"{machine.__name__}.{method_name}"
    writes, reads = getattr(method, _MARK)
    if not method_name.isascii() or method_name.startswith("_"):
        raise TypeError(f"{where}: a command has a public name of ASCII letters")
    signature = inspect.signature(method)
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    parameters = _parameters(where, method, signature)
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    spec = CommandSpec(
        method_name.upper(),
        method_name,
        parameters,
        _REST in kinds,
        _numbers(where, parameters, writes),
        _numbers(where, parameters, reads),
        writes is EVERYTHING,
        reads is EVERYTHING,
        signature,
    )
    if not (spec.writes or spec.reads or spec.is_barrier):
        raise TypeError(f'{where}: name the keys, as in @command(writes="key")')
    return spec


def _parameters(where: str, method: Any, signature: inspect.Signature) -> tuple[Parameter, ...]:
    try:
        types = get_type_hints(method)
    except NameError as error:
        raise TypeError(f"{where}: {error}") from None
    return tuple(_parameter(where, each, types.get(each.name)) for each in signature.parameters.values())


def _parameter(where: str, parameter: inspect.Parameter, annotation: object) -> Parameter:
    if parameter.kind not in (_PLAIN, _REST):
        raise TypeError(f"{where}: {parameter.name} is not a parameter such as KEY: str or *KEYS: str")
    kind = None if annotation is None else kind_of(annotation)
    if kind is None:
        known = ", ".join(getattr(each, "__name__", "") for each in KINDS)
        raise TypeError(f"{where}: the type of {parameter.name} must be one of {known}")
    if parameter.default is inspect.Parameter.empty:
        return Parameter(parameter.name, kind, None)
    try:
        return Parameter(parameter.name, kind, kind.text(parameter.default))
    except (TypeError, ValueError) as why:
        raise TypeError(f"{where}: the default of {parameter.name} {why}") from None


def _numbers(where: str, parameters: Sequence[Parameter], named: Named) -> frozenset[int]:
    """The numbers of the parameters that are named as keys."""
    if isinstance(named, _Everything):
        return frozenset()
    names = (named,) if isinstance(named, str) else named
    found = set()
    for name in names:
        numbers = [number for number, each in enumerate(parameters) if each.name == name]
        if not numbers:
            raise TypeError(f"{where}: there is no parameter {name!r}")
        if not parameters[numbers[0]].kind.may_be_key:
            raise TypeError(f"{where}: {name} is a key, so its type is str, bytes or int")
        found.add(numbers[0])
    return frozenset(found)
