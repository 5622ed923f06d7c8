"""What executed batches have written, for frontends whose clients wait for it, or keep copies of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

from zope.interface import Attribute, Interface

from epaxos.interfaces.commands import Command

__all__ = ["IExecuted", "IObserver"]


class IObserver(Interface):
    """Who is told what executed batches have written.

    Its methods are called between two batches, when the state is whole and all who asked for the batch are
    answered.  They should return at once, and may submit commands.
    """

    names: Set[bytes] = Attribute(
        "The names that matter (`IExecuted.name_of`): a set, or the keys of a dict, which may change."
    )

    def on_written(names: Collection[bytes] | None, is_alone: bool) -> None:
        """A batch has written these names, at least one of which matters.  None: a barrier has run, which may
        have written any name.

        `is_alone`: it is known that the batch holds what was submitted in one call at this replica, and
        nothing else.
        """

    def on_quorum(is_there: bool) -> None:
        """A majority of the members does not seem to be up from here any more, or does again.

        Without one nothing is executed, while the others may execute what will be told later.
        """

    def on_end(why: str) -> None:
        """Nothing is told any more, because of `why`: the replica stops, jumps over history, because it takes
        the state of another one, or is no member any more."""


class IExecuted(Interface):
    """Tells observers what the batches that this replica executes have written.

    What is told is told once, at the place of the batch in the order of execution.  A start tells nothing of
    what was executed before.  Who observes, and has the name of a key among its `names`, before it submits a
    command misses no write of that key which is executed at or after the command.
    """

    applied: int = Attribute(
        "Grows with each batch that is executed, before those who asked for it are answered."
    )

    def name_of(database: int, key: bytes) -> bytes:
        """As `IComposites.name_of`; `key` itself where the state machine has no databases, and always
        in database 0."""

    def keys_named(name: bytes) -> Sequence[bytes]:
        """As `IComposites.keys_named`; `name` alone where the state machine has no databases."""

    def observe(observer: IObserver) -> None:
        """Tell `observer` from now on."""

    def forget(observer: IObserver) -> None:
        """Tell `observer` nothing any more.  Does nothing when it is told nothing."""

    def elements(database: int, command: Command, key: bytes) -> int | None:
        """As `ISeesElements.elements`, on what this replica has executed; None while a batch is applied in
        part.  1 where the state machine cannot tell."""
