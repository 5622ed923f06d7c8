"""Users and their rules, as Redis' ACL has them (docs: operating/security, "Users").

A user is a plain value, and rules make another one of it.  What a rule does depends on the user and on the
rule alone, so that every replica comes to the same one; whether there is such a command is asked for before
a rule is proposed (`access.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from zope.interface import Attribute, Interface

from epaxos.interfaces.commands import Command, CommandError
from epaxos.interfaces.glob import Glob
from epaxos.interfaces.redis import text_of

__all__ = [
    "AS",
    "BEGIN",
    "DEFAULT",
    "DELETE",
    "NAME_BYTES_MAX",
    "RULES_MAX",
    "SET",
    "USERS",
    "USERS_MAX",
    "USERS_NAME",
    "IHasUsers",
    "IUserTable",
    "KeyUse",
    "User",
    "Users",
    "changed",
    "check_count",
    "check_name",
    "deleted",
    "first_users",
    "hashed",
    "new_user",
    "parsed",
    "rules_of",
    "user_of",
]

USERS = b"\0USERS"
"""What changes users: this name, one of the next three, and what belongs to it."""
USERS_NAME = b"\0users"
"""The name of all users in the order of batches."""
SET, DELETE, BEGIN = b"SET", b"DELETE", b"BEGIN"
AS = b"\0AS"
"""A script that runs with the rights of a user: this name, the rights in one word (`Access.text`), and the
command."""
DEFAULT = b"default"
"""The user of a connection that has not named another one."""
USERS_MAX = 1000
NAME_BYTES_MAX = 256
RULES_AT_ONCE_MAX = 250
"""The most rules of one `ACL SETUSER`."""
RULES_MAX = 1000
"""The most passwords, rules on commands, patterns of keys and of channels that a user has, each."""

_HASH = re.compile(rb"[0-9a-f]{64}")
_SPACE = re.compile(rb"[\s\0]")
_SELECTORS = "selectors are not served: give the user's rules without parentheses"
_SYNTAX = "Syntax error"
_AFTER_ALL_KEYS = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect."
    " Try 'resetkeys' to start with an empty list of patterns"
)
_AFTER_ALL_CHANNELS = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any"
    " effect. Try 'resetchannels' to start with an empty list of channels"
)
_NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
_BAD_HASH = (
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
)


class KeyUse(NamedTuple):
    """A key that a command names, and what is done with it."""

    key: bytes
    writes: bool


class User(NamedTuple):
    """One user.  `passwords`: SHA-256 in hex.  `commands`: rules in their order, the first of which is
    `+@all` or `-@all`.  `keys`: `~PATTERN`, `%R~PATTERN` and `%W~PATTERN`; `channels`: patterns.

    `is_inherited`: `requirepass` is a password of the user, and where none is set and the user has none of
    its own, none is needed.  That is so for `default`, until a rule says otherwise.
    """

    is_on: bool = False
    nopass: bool = False
    passwords: tuple[bytes, ...] = ()
    commands: tuple[bytes, ...] = (b"-@all",)
    keys: tuple[bytes, ...] = ()
    channels: tuple[bytes, ...] = ()
    is_inherited: bool = False

    @property
    def may_do_everything(self) -> bool:
        """Whether nothing has to be checked."""
        return self.commands == (b"+@all",) and self.keys == (b"~*",) and self.channels == (b"*",)

    def rules(self) -> list[bytes]:
        """The rules that make this user of `new_user(name)`."""
        words = [b"on" if self.is_on else b"off"]
        words += [b"nopass"] if self.nopass else []
        words += [*(b"#" + digest for digest in self.passwords), *self.keys]
        if self.channels != (b"*",):
            words.append(b"resetchannels")
        return [*words, *(b"&" + pattern for pattern in self.channels), *self.commands]


Users = Mapping[bytes, User]
"""The users by their names."""
_NEW_DEFAULT = User(True, False, (), (b"+@all",), (b"~*",), (b"*",), True)


class IUserTable(Interface):
    """The users that are in a state."""

    users = Attribute("The Users; another object after each change.")
    begun = Attribute(
        "The digest (`first_users`) of the first users; `-` where they were not those of a file;"
        " empty before there were any."
    )
    on_changed = Attribute("Called when the users have changed, within the batch; None: nobody is.")

    def key_uses(command: Command) -> Sequence[KeyUse]:
        """What `command` does with the keys that it names.  Raises CommandError as `check` does."""


class IHasUsers(Interface):
    """A state machine with users.  Optional: any other one has the user `default` alone."""

    users = Attribute("Its IUserTable.")


def new_user(name: bytes) -> User:
    """What SETUSER begins with."""
    return _NEW_DEFAULT if name == DEFAULT else User()


def user_of(users: Users, name: bytes) -> User | None:
    """The user of this name; `default` is always there."""
    return users.get(name) or (_NEW_DEFAULT if name == DEFAULT else None)


def check_name(name: bytes) -> None:
    """Raise CommandError when no user can be called this."""
    if not name or _SPACE.search(name):
        raise CommandError("ERR Usernames can't contain spaces or null characters")
    if len(name) > NAME_BYTES_MAX:
        raise CommandError(f"ERR the name of a user may have {NAME_BYTES_MAX} bytes")


def hashed(rules: Sequence[bytes]) -> list[bytes]:
    """The rules without any password: its SHA-256 stands for it."""
    made = {b">": b"#", b"<": b"!"}
    return [
        made[rule[:1]] + sha256(rule[1:]).hexdigest().encode() if rule[:1] in made else rule for rule in rules
    ]


def check_count(rules: Sequence[bytes]) -> None:
    """Raise CommandError for more rules than one command may have, as each is compared with all others."""
    if len(rules) > RULES_AT_ONCE_MAX:
        raise CommandError(f"ERR {RULES_AT_ONCE_MAX} rules may be given at a time")


def changed(user: User, rules: Iterable[bytes]) -> User:
    """The user after these rules, from the left to the right.  Raises CommandError in Redis' words."""
    for rule in rules:
        try:
            user = _changed(user, rule)
            for found in (user.passwords, user.commands, user.keys, user.channels):
                if len(found) > RULES_MAX:
                    raise ValueError(f"a user may have {RULES_MAX} rules of a kind")
        except ValueError as why:
            shown = text_of(rule[:1] + b"..." if rule[:1] in b"<>#!" else rule)
            raise CommandError(f"ERR Error in ACL SETUSER modifier '{shown}': {why}") from None
    return user


_WORDS: Mapping[bytes, Mapping[str, object]] = {
    b"on": {"is_on": True},
    b"off": {"is_on": False},
    b"nopass": {"nopass": True, "passwords": (), "is_inherited": False},
    b"resetpass": {"nopass": False, "passwords": (), "is_inherited": False},
    b"allkeys": {"keys": (b"~*",)},
    b"resetkeys": {"keys": ()},
    b"allchannels": {"channels": (b"*",)},
    b"resetchannels": {"channels": ()},
    b"allcommands": {"commands": (b"+@all",)},
    b"nocommands": {"commands": (b"-@all",)},
    b"sanitize-payload": {},
    b"skip-sanitize-payload": {},
    b"clearselectors": {},
}
"""What the rules of one word change.  Payloads are always looked at, and there are no selectors."""


def _changed(user: User, rule: bytes) -> User:
    """Raises ValueError, CommandError."""
    word = rule.lower()
    if word == b"reset":
        return User()
    if word in _WORDS:
        return user._replace(**_WORDS[word])  # type: ignore[arg-type]
    mark = rule[:1]
    if mark == b"(":
        raise ValueError(_SELECTORS)
    if mark and mark in b"<>#!":
        return _with_password(user, rule)
    if mark and mark in b"+-":
        return user._replace(commands=_with_command(user.commands, word))
    if mark and mark in b"~%":
        return user._replace(keys=_with_keys(user.keys, rule))
    if mark == b"&":
        return user._replace(channels=_with_channel(user.channels, _pattern(rule[1:])))
    raise ValueError(_SYNTAX)


def _with_password(user: User, rule: bytes) -> User:
    (rule,) = hashed([rule])
    digest = rule[1:]
    if not _HASH.fullmatch(digest):
        raise ValueError(_BAD_HASH)
    others = tuple(known for known in user.passwords if known != digest)
    if rule[:1] == b"#":
        passwords = user.passwords if digest in user.passwords else (*user.passwords, digest)
        return user._replace(passwords=passwords, nopass=False)
    if len(others) == len(user.passwords):
        raise ValueError(_NO_SUCH_PASSWORD)
    is_last = user.is_inherited and not others
    return user._replace(passwords=others, is_inherited=user.is_inherited and not is_last)


def _with_command(commands: tuple[bytes, ...], rule: bytes) -> tuple[bytes, ...]:
    """A rule replaces those on the same command or category, and on the subcommands of the command."""
    target = rule[1:]
    if not target or _SPACE.search(target):
        raise ValueError(_SYNTAX)
    if target == b"@all":
        return (rule,)
    kept = [
        known for known in commands[1:] if known[1:] != target and not known[1:].startswith(target + b"|")
    ]
    if not kept and rule[:1] == commands[0][:1]:
        return commands[:1]
    return (commands[0], *kept, rule)


def _with_keys(keys: tuple[bytes, ...], rule: bytes) -> tuple[bytes, ...]:
    kind, tilde, pattern = rule.partition(b"~")
    letters = kind[1:].upper()
    if not tilde or (kind and (not letters or letters.strip(b"RW"))):
        raise ValueError(_SYNTAX)
    is_all = not letters or set(letters) == set(b"RW")
    made = (b"~" if is_all else b"%" + letters[:1] + b"~") + _pattern(pattern)
    if keys == (b"~*",):
        if made == b"~*":
            return keys
        raise ValueError(_AFTER_ALL_KEYS)
    if made == b"~*":
        return (made,)
    return keys if made in keys else (*keys, made)


def _with_channel(channels: tuple[bytes, ...], pattern: bytes) -> tuple[bytes, ...]:
    if pattern == b"*":
        return (pattern,)
    if channels == (b"*",):
        raise ValueError(_AFTER_ALL_CHANNELS)
    return channels if pattern in channels else (*channels, pattern)


def _pattern(pattern: bytes) -> bytes:
    """Raises ValueError, and CommandError for a pattern that takes too long."""
    if _SPACE.search(pattern):
        raise ValueError(_SYNTAX)
    Glob(pattern)
    return pattern


# -- users as the state and the configuration file have them


def rules_of(user: User) -> bytes:
    """A user as one line."""
    return b" ".join([*user.rules(), *([b"inherited"] if user.is_inherited else [])])


@lru_cache(maxsize=2 * USERS_MAX)
def parsed(line: bytes) -> User:
    """The user of such a line.  Raises CommandError."""
    words = line.split(b" ")
    is_inherited = words[-1] == b"inherited"
    commands = tuple(word for word in words if word[:1] in (b"+", b"-"))  # each is one of `User.commands`
    if commands[:1] not in ((b"+@all",), (b"-@all",)):
        raise CommandError("ERR the rules on commands begin with those on all")
    user = changed(User(), [word for word in words[: -1 if is_inherited else None] if word not in commands])
    return user._replace(commands=commands, is_inherited=is_inherited)


def deleted(users: Users, names: Sequence[bytes]) -> Users:
    """The users without these."""
    return {name: user for name, user in users.items() if name not in names}


def first_users(lines: Mapping[str, str]) -> tuple[Users, bytes]:
    """The users of `[users]`, by their names, and a digest of them.  Raises CommandError."""
    users: dict[bytes, User] = {}
    for key, line in lines.items():
        name = key.encode()
        check_name(name)
        users[name] = changed(new_user(name), line.encode().split())
    if len(users) > USERS_MAX:
        raise CommandError(f"ERR there may be {USERS_MAX} users")
    told = b"\n".join(b"%b %b" % (name, rules_of(users[name])) for name in sorted(users))
    return users, sha256(told).hexdigest().encode() if users else b""
