"""The configuration of a running replica, and the parts of the replica that follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.config.model import Config

__all__ = ["Followed", "Follows"]

Follows = Callable[[Config], Callable[[], None]]
"""What a part of the replica does with another configuration: it reads what it needs, and returns what makes
the part follow, whatever else happens.  Nothing changes before that is called.  Raises ConfigError."""


class Followed:
    """The configuration that is followed now, `config`, which stays when the replica begins again."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._parts: Sequence[Follows] = ()

    def follow(self, *parts: Follows) -> None:
        """From now on these parts follow, and no others."""
        self._parts = parts

    def prepare(self, config: Config) -> list[Callable[[], None]]:
        """What makes the parts follow.  Raises ConfigError where one of them cannot."""
        return [prepare(config) for prepare in self._parts]

    def take(self, config: Config) -> None:
        """All parts follow `config` from now on, or none does.  Raises ConfigError."""
        changes = self.prepare(config)
        self.config = config
        for change in changes:
            change()
