"""Commands of one connection that the replica runs together, and what the client is told in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Union

from epaxos.interfaces import Command, CommandError, Outcome, Reply, Unavailable

__all__ = ["Together"]

Finish = Callable[[Union[Reply, Unavailable]], Reply]


class _Said:
    """A reply that is known before the commands have run."""

    __slots__ = ("reply",)

    def __init__(self, reply: Reply) -> None:
        self.reply = reply


_Place = Union[None, _Said, Finish]


class Together:
    """What one submission will hold.  `size_bytes`: of all that the client has sent for it."""

    __slots__ = ("_places", "changes_session", "commands", "size_bytes")

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.size_bytes = 0
        self.changes_session = False
        """Whether `fill` may change the session: see `ByReplica.holds`."""
        self._places: list[_Place] | None = None  # None while each command is answered by its own reply

    def add(self, command: Command, size_bytes: int) -> None:
        """The client gets the reply of this command."""
        self.commands.append(command)
        self.size_bytes += size_bytes
        if self._places is not None:
            self._places.append(None)

    def add_finished(self, commands: Sequence[Command], finish: Finish, size_bytes: int) -> None:
        """The client gets what `finish` makes of the reply to the last of these commands."""
        places = self._with_places()
        places += [_nothing] * (len(commands) - 1)
        places.append(finish)
        self.commands += commands
        self.size_bytes += size_bytes

    def say(self, reply: Reply, size_bytes: int) -> None:
        """The client gets this reply, behind those of what was added before."""
        self._with_places().append(_Said(reply))
        self.size_bytes += size_bytes

    def _with_places(self) -> list[_Place]:
        if self._places is None:
            self._places = [None] * len(self.commands)
        return self._places

    @property
    def replies(self) -> int:
        """How many replies the client gets."""
        places = self._places
        return len(self.commands) if places is None else len(places) - places.count(_nothing)

    @property
    def are_plain(self) -> bool:
        """Whether each command is answered by its own reply, and nothing else is."""
        return self._places is None

    def fill(self, outcome: Outcome) -> Sequence[Reply]:
        """The replies of the client."""
        return list(self._fill(outcome))

    def _fill(self, outcome: Outcome) -> Iterator[Reply]:
        rest = iter(() if isinstance(outcome, Unavailable) else outcome)
        for place in self._places or ():
            if isinstance(place, _Said):
                yield place.reply
                continue
            reply = outcome if isinstance(outcome, Unavailable) else next(rest)
            if place is not None:
                if place is not _nothing:
                    yield place(reply)
            else:
                yield CommandError(str(reply)) if isinstance(reply, Unavailable) else reply


def _nothing(_: Reply | Unavailable) -> Reply:
    """The place of a command whose reply nobody gets."""
    return None
