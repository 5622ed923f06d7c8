"""The users: a part of the state (docs: operating/security, "Users")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from zope.interface import implementer

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.users import (
    DEFAULT,
    USERS_MAX,
    IUserTable,
    KeyUse,
    Users,
    changed,
    check_count,
    check_name,
    deleted,
    new_user,
    parsed,
    rules_of,
)

__all__ = ["UserTable"]

_BEGUN = b""
"""The name of the entry with the digest of the first users; no user has it."""


@implementer(IUserTable)
class UserTable:
    """A part of the state (`parts.py`).  `users`, `begun`: see IHasUsers."""

    def __init__(self) -> None:
        self.users: Users = {}
        self.begun = b""
        self.on_changed: Callable[[], None] | None = None
        """See IUserTable."""
        self.key_uses: Callable[[Command], Sequence[KeyUse]] = _no_keys
        """See IUserTable.  The store says what it is, because it knows the commands."""

    def entries(self) -> list[tuple[bytes, bytes]]:
        """See Part."""
        begun = [(_BEGUN, self.begun)] if self.begun else []
        return begun + [(name, rules_of(user)) for name, user in self.users.items()]

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """See Part."""
        found = dict(entries)
        self.begun = found.pop(_BEGUN, b"")
        try:
            self.users = {name: parsed(line) for name, line in found.items()}
        except CommandError as why:
            raise ValueError(f"a user of a later version: {why}") from None
        self._tell()

    def set(self, name: bytes, rules: Sequence[bytes]) -> None:
        """Change or make a user.  Raises CommandError."""
        check_count(rules)
        check_name(name)
        user = changed(self.users.get(name) or new_user(name), rules)
        if name not in self.users and len(self.users) >= USERS_MAX:
            raise CommandError(f"ERR there may be {USERS_MAX} users")
        self.users = {**self.users, name: user}
        self.begun = self.begun or b"-"
        self._tell()

    def delete(self, names: Sequence[bytes]) -> int:
        """How many of these there were."""
        if DEFAULT in names:
            raise CommandError("ERR The 'default' user cannot be removed")
        before, self.users = len(self.users), deleted(self.users, names)
        self._tell()
        return before - len(self.users)

    def begin(self, digest: bytes, lines: Sequence[bytes]) -> None:
        """The first users, unless there were some already."""
        if not self.begun:
            self.users = {name: parsed(line) for name, line in zip(lines[::2], lines[1::2])}
            self.begun = digest
            self._tell()

    def _tell(self) -> None:
        if self.on_changed is not None:
            self.on_changed()


def _no_keys(command: Command) -> Sequence[KeyUse]:
    raise CommandError("ERR nobody knows the keys of commands yet")
