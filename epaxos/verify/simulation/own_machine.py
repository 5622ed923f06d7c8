"""A machine (`epaxos.machines`), in which the simulator hunts bugs without being told anything of it.

Its signatures say which commands there are, so clients draw their arguments at random.  The machine alone,
without replicas, is its own sequential specification, so histories can be judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from epaxos.interfaces import IStateMachine, Reply
from epaxos.machines import Machine
from epaxos.machines.commands import CommandSpec, Parameter
from epaxos.machines.runner import MachineRunner
from epaxos.machines.running import as_reply, run
from epaxos.machines.tables import key_of_place
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.plan import Workload

__all__ = ["MachineModel", "MachineSubject", "find_machine"]

Words = tuple[bytes, ...]
_Named = tuple[tuple[bytes, bytes], ...]
"""Keys, each with what stands at its places; empty: nothing."""
KEYS = 3
"""Few, so that commands meet."""
LEFT_OUT = 0.3
"""The probability that an argument with a default is left out."""
REMEMBERED = 100_000
"""Outcomes that a model remembers."""
BYTES_PER_STEP = 1_000
"""Small, so that the short batches of the workload take several steps each."""

_VALUES: dict[type | None, Sequence[Any]] = {
    str: ("a", "b", "c"),
    bytes: (b"a", b"\xff", b""),
    int: (-3, 0, 1, 2, 3, 9),
    float: (-1.25, 0.0, 0.5, 3.0),
    bool: (True, False),
    list: ([], [1], [2, "a"]),
    dict: ({}, {"a": 1}, {"b": 2, "a": 1}),
    None: (None, 1, "a", [1], {"a": 1}),
}

_KEYS: dict[type | None, Sequence[Any]] = {
    str: [f"k{number}" for number in range(KEYS)],
    bytes: [b"k%d" % number for number in range(KEYS)],
    int: range(KEYS),
}


def find_machine(name: str) -> type[Machine]:
    """The class that `MODULE:CLASS` names.  Raises ValueError, with a text for people."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name!r} is no MODULE:CLASS that can be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Machine) and found.command_specs):
        raise ValueError(f"{name} is no Machine with commands")
    return found


class MachineSubject:
    """A machine that is hunted.  See Subject for its methods."""

    def __init__(self, machine: type[Machine]) -> None:
        self._machine = machine
        self._specs = list(machine.command_specs.values())
        self._specimen = MachineRunner(machine())
        self.model = MachineModel(machine)

    @property
    def kind(self) -> type:
        """See Subject."""
        return MachineRunner

    def state_machine(self) -> IStateMachine:
        """See Subject."""
        return IStateMachine(MachineRunner(self._machine(), BYTES_PER_STEP))

    def commands_of(self, dice: Dice, workload: Workload, name: str) -> list[Words]:
        """See Subject."""
        count = dice.between(2, 4) if dice.below(100) < workload.pipelined else 1
        return [self._command(dice) for _ in range(count)]

    def _command(self, dice: Dice) -> Words:
        spec = dice.pick(self._specs)
        fixed = spec.parameters[: len(spec.parameters) - spec.has_rest]
        count = len(fixed)
        while count > spec.needed and dice.chance(LEFT_OUT):
            count -= 1
        words = [self._word(dice, spec, number) for number in range(count)]
        if spec.has_rest and count == len(fixed):
            words += [self._word(dice, spec, count) for _ in range(dice.between(0, 2))]
        return (spec.name.encode(), *words)

    def _word(self, dice: Dice, spec: CommandSpec, number: int) -> bytes:
        parameter = spec.parameters[number]
        return parameter.kind.text(dice.pick(self._values(parameter, number in spec.writes | spec.reads)))

    def _values(self, parameter: Parameter, is_key: bool) -> Sequence[Any]:
        given = self._machine.examples.get(parameter.name)
        if given is not None:
            return given
        if is_key:
            return _KEYS[parameter.kind.type]
        return _VALUES[parameter.kind.type]

    def keys_of(self, command: Sequence[bytes]) -> Sequence[bytes]:
        """See Subject."""
        batch = self._specimen.batch([command])
        return (*batch.writes, *batch.reads)


class _Rows(dict[bytes, bytes]):
    """The places of some keys, as the state on which a command runs."""

    def entries(self) -> Iterable[tuple[bytes, bytes]]:
        """See Kept."""
        return self.items()


class MachineModel:
    """What the commands of a machine mean: what they do one after the other, without replicas.

    A store holds for each key, as batches name it, what stands at its places in all tables.  A search tries
    the same command on the same values again and again, so what came of it is remembered.
    """

    def __init__(self, machine: type[Machine]) -> None:
        self._machine = machine
        self._runner = MachineRunner(machine())
        self._keys: dict[Words, Sequence[bytes] | None] = {}
        self._outcomes: dict[tuple[Words, _Named], tuple[Reply, _Named]] = {}

    def _spec(self, command: Sequence[bytes]) -> CommandSpec:
        return self._machine.command_specs[command[0].decode()]

    def is_read(self, command: Sequence[bytes]) -> bool:
        """See Model."""
        return self._spec(command).only_reads

    def keys_of(self, command: Sequence[bytes]) -> Sequence[bytes] | None:
        """See Model."""
        words = tuple(command)
        if words not in self._keys:
            batch = self._runner.batch([words])
            self._keys[words] = None if batch.barrier else (*batch.writes, *batch.reads)
        return self._keys[words]

    def run(self, store: dict[bytes, bytes], command: Sequence[bytes]) -> Reply | str:
        """See Model."""
        keys = self.keys_of(command)
        named = tuple(sorted(store.items()) if keys is None else [(key, store.get(key, b"")) for key in keys])
        question = tuple(command), named
        if question not in self._outcomes:
            if len(self._outcomes) >= REMEMBERED:
                self._outcomes.clear()
            self._outcomes[question] = self._run(*question)
        reply, after = self._outcomes[question]
        for key, rows in after:
            if rows:
                store[key] = rows
            else:
                store.pop(key, None)
        return reply

    def _run(self, command: Words, named: _Named) -> tuple[Reply, _Named]:
        """Run the command on a new machine, so that only its tables count.  Returns the reply, and what
        stands at the keys afterwards."""
        rows = _Rows(row for _, text in named for row in _rows(text))
        spec = self._spec(command)
        done = run(self._machine(), spec, spec.complete(command[1:]), rows, as_reply, False)
        for place, data in done.changes.items():
            if data is None:
                rows.pop(place, None)
            else:
                rows[place] = data
        of_key: dict[bytes, list[tuple[str, str]]] = {key: [] for key, _ in named}
        for place, data in sorted(rows.items()):
            of_key.setdefault(key_of_place(place), []).append(
                (place.decode("latin-1"), data.decode("latin-1"))
            )
        return done.reply, tuple(
            (key, json.dumps(found).encode() if found else b"") for key, found in of_key.items()
        )


def _rows(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    for place, data in json.loads(text or b"[]"):
        yield place.encode("latin-1"), data.encode("latin-1")
