"""What a user may do: commands, keys and channels.

What is decided depends on the rules and on the table of commands alone, so that all replicas of one version
come to the same.  Commands are looked at by *units*: a command, or one of its subcommands, as `config|get`.
Where Redis' rules need a way to read or to write a key (docs: operating/security, "Users"), the two tables
below say which commands need less than both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from epaxos.interfaces.commands import Command, CommandError, CommandInfo
from epaxos.interfaces.glob import Glob
from epaxos.interfaces.users import KeyUse, User, parsed, rules_of

__all__ = [
    "CATEGORIES",
    "KEYS_MAX",
    "Access",
    "Denied",
    "KeyUse",
    "Units",
    "access_of",
    "check_keys",
    "check_rules",
    "unit_of",
    "units_of",
]

CATEGORIES = [
    "keyspace", "read", "write", "set", "sortedset", "list", "hash",
    "string", "bitmap", "hyperloglog", "geo", "stream", "pubsub", "admin",
    "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
]  # fmt: skip
"""Those of Redis, in its order."""

_WRITES_ALONE = frozenset(
    b"append del expire expireat geoadd hdel hmset hset hsetnx linsert lpush lpushx lrem lset ltrim mset"
    b" msetnx persist pexpire pexpireat pfadd psetex restore rpush rpushx sadd setex setnx setrange srem"
    b" unlink xack xadd xautoclaim xclaim xdel xgroup xsetid xtrim zadd zrem zremrangebylex zremrangebyrank"
    b" zremrangebyscore".split()
)
"""The commands that tell nothing of the values of the keys that they write, as Redis' key specifications say;
and SET without GET."""
_TELL_LITTLE = frozenset(
    b"sismember xlen touch exists hexists type hstrlen watch hlen zcard llen strlen scard object|freq"
    b" object|idletime object|encoding object|refcount memory|usage".split()
)
"""The commands for which any pattern of keys that matches is enough, as there."""
_READ, _WRITTEN = frozenset("r"), frozenset("w")
_BOTH = _READ | _WRITTEN
_PLACES: Mapping[bytes, tuple[int, frozenset[str], frozenset[str]]] = {
    **dict.fromkeys(
        b"sunionstore sinterstore sdiffstore zunionstore zinterstore zdiffstore zrangestore"
        b" geosearchstore".split(),
        (1, _WRITTEN, _READ),
    ),
    b"bitop": (2, _WRITTEN, _READ),
    b"pfmerge": (1, _BOTH, _READ),
    **dict.fromkeys(b"sort copy georadius georadiusbymember".split(), (1, _READ, _WRITTEN)),
    **dict.fromkeys(b"rename renamenx lmove blmove rpoplpush brpoplpush smove".split(), (1, _BOTH, _WRITTEN)),
}
"""The commands that do one thing with one key, and another with the others: which argument is that key, and
what is needed for it, and for the others."""
_READS_ALONE = frozenset([b"xreadgroup"])
"""The commands that change only what belongs to the readers of the keys that they name."""
KEYS_MAX = 20_000
"""The most keys of one command of a user with patterns of keys, because each is looked at, in one step."""
_OF_ONE_KEY = frozenset(
    b"append decr decrby exists expire get getset hdel hexists hget hgetall hincrby hlen hset incr incrby"
    b" llen lpop lpush lrange persist pexpire psetex pttl rpop rpush sadd scard set setex setnx sismember"
    b" smembers srem strlen ttl type zadd zcard zincrby zrange zrem zscore".split()
)
"""Commands whose only key is the first argument, and which do the same with it whatever their options say,
but for SET with options, and for EXISTS and the like with several keys."""
_ALWAYS = frozenset([b"auth", b"hello", b"quit", b"reset"])
_CHANNELS = frozenset([b"publish", b"spublish", b"subscribe", b"ssubscribe", b"psubscribe"])
_NO_CHANNEL = frozenset([b"unsubscribe", b"sunsubscribe", b"punsubscribe"])
_SORTS = frozenset([b"sort", b"sort_ro"])
_UNKNOWN = "Unknown command or category name in ACL"

SHAPES_MAX = 1024
"""Names of commands, each with a number of arguments, of which a user's rights are remembered."""
SHAPES_AT_ONCE_MAX = 16
"""The same, of commands that are looked at together: each costs a look at all of them."""
_name = itemgetter(0)

Units = Mapping[bytes, frozenset[str]]
"""The categories of each unit, without @."""


class Denied(NamedTuple):
    """What a user may not do.  `reason`: command, key or channel; `what`: which.  `ACL LOG` shows both."""

    user: bytes
    reason: str
    what: bytes

    def text(self, is_whole: bool = False) -> str:
        """Redis' sentence; with `is_whole` it names the key or the channel, as `ACL DRYRUN` does."""
        user, what = (word.decode("utf-8", "surrogateescape") for word in (self.user, self.what))
        if self.reason == "command":
            return f"User {user} has no permissions to run the '{what}' command"
        if is_whole:
            return f"User {user} has no permissions to access the '{what}' {self.reason}"
        return f"No permissions to access a {self.reason}"

    def error(self) -> CommandError:
        """What the client is told."""
        return CommandError(f"NOPERM {self.text()}")


# -- units


def units_of(infos: Iterable[CommandInfo]) -> dict[bytes, frozenset[str]]:
    """The units of commands that replicas run."""
    found: dict[bytes, frozenset[str]] = {}
    for info in infos:
        name = info.name.encode()
        for sub in info.subcommands:
            speed = "fast" if "fast" in sub.flags else "slow"
            found[sub.name.encode()] = frozenset([*(each.lstrip("@") for each in sub.categories), speed])
        groups = {"fast" if "fast" in info.flags else "slow", *(each.lstrip("@") for each in info.categories)}
        if not groups & {"pubsub", "scripting"}:
            groups.add("write" if info.writes else "read")
        found[name] = frozenset() if info.subcommands else frozenset(groups)
    return found


def unit_of(units: Units, command: Command) -> bytes:
    """The unit of a command, in lower case; the name alone where its subcommand is not known."""
    name = command[0].lower()
    if len(command) > 1 and len(command[1]) <= 64:
        whole = b"%b|%b" % (name, command[1].lower())
        if whole in units:
            return whole
    return name


def check_rules(rules: Iterable[bytes], units: Units) -> None:
    """Raise CommandError where a rule names a command or a category that there is not, in Redis' words."""
    for rule in rules:
        target = rule[1:].lower()
        if rule[:1] not in (b"+", b"-") or target == b"@all":
            continue
        is_known = (
            target[1:].decode("ascii", "replace") in CATEGORIES if target[:1] == b"@" else target in units
        )
        if not is_known:
            shown = rule.decode("utf-8", "surrogateescape")
            raise CommandError(f"ERR Error in ACL SETUSER modifier '{shown}': {_UNKNOWN}")


def _allowed(rules: Sequence[bytes], units: Units) -> frozenset[bytes]:
    allowed: set[bytes] = set()
    for rule in rules:
        target = rule[1:]
        if target == b"@all":
            chosen = set(units)
        elif target[:1] == b"@":
            category = target[1:].decode("ascii", "replace")
            chosen = {unit for unit, categories in units.items() if category in categories}
        else:
            chosen = {unit for unit in units if unit == target or unit.startswith(target + b"|")}
        if rule[:1] == b"+":
            allowed |= chosen
        else:
            allowed -= chosen
            if b"|" in target:  # else the bare name would still stand for it
                allowed.discard(target.partition(b"|")[0])
    return frozenset(allowed)


# -- keys and channels


class _Names:
    """Patterns of names.  Most are a beginning and a star, for which C code looks."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        chosen = tuple(patterns)
        self.has_all = b"*" in chosen
        simple = [pattern for pattern in chosen if _is_beginning(pattern)]
        self._beginnings = tuple(pattern[:-1] for pattern in simple)
        self._globs = [Glob(pattern) for pattern in chosen if pattern not in simple]
        self._given = frozenset(chosen)

    def match(self, name: bytes) -> bool:
        """Whether one of them matches."""
        return (
            self.has_all
            or name.startswith(self._beginnings)
            or any(glob.matches(name) for glob in self._globs)
        )

    def have(self, pattern: bytes) -> bool:
        """Whether one of them is this pattern, or matches everything."""
        return self.has_all or pattern in self._given


def check_keys(number: int) -> None:
    """Raise CommandError where a command names too many keys for a user whose keys are looked at."""
    if number > KEYS_MAX:
        raise CommandError(f"NOPERM a user with patterns of keys may name {KEYS_MAX} keys in one command")


def _needed_by(name: bytes, command: Command) -> frozenset[str]:
    """What a command does with all the keys that it may write."""
    if name in _READS_ALONE:
        return _READ
    if name == b"set":
        return _BOTH if any(word.upper() in (b"GET", b"IFEQ") for word in command[3:]) else _WRITTEN
    if name == b"bitfield":
        return _BOTH if any(word.upper() in (b"SET", b"INCRBY") for word in command[2:]) else _READ
    return _WRITTEN if name in _WRITES_ALONE else _BOTH


def _is_beginning(pattern: bytes) -> bool:
    return pattern[-1:] == b"*" and not any(mark in pattern[:-1] for mark in (b"*", b"?", b"[", b"\\"))


class Access:
    """What the user `name` may do, where there is something that the user may not.

    `uses(command)`: the keys that a command names, which a command that `check` passes in no state may answer
    with CommandError.
    """

    def __init__(
        self, name: bytes, user: User, units: Units, uses: Callable[[Command], Sequence[KeyUse]]
    ) -> None:
        self.name = name
        self._units = units
        self._uses = uses
        self._commands = _allowed(user.commands, units)
        self._read, self._written = (
            _Names(rule.partition(b"~")[2] for rule in user.keys if rule[:2] != other)
            for other in (b"%W", b"%R")
        )
        self._any = _Names(rule.partition(b"~")[2] for rule in user.keys)
        self._channels = _Names(user.channels)
        self._needed: dict[tuple[bytes, int], tuple[_Names, ...] | None] = {}  # by the shapes of commands
        self._has_all_keys = self._read.has_all and self._written.has_all
        self.text = name + b" " + rules_of(user._replace(passwords=(), is_on=True, nopass=False))
        """The rights in one word, of which `access_of` makes them again."""

    def denied(self, command: Command) -> Denied | None:
        """What the user may not do of this command; None when nothing.  Lets CommandError through."""
        unit = unit_of(self._units, command)
        if unit not in self._commands and unit not in _ALWAYS:
            is_known = unit in self._units
            return Denied(self.name, "command", unit) if is_known else None
        name = unit.partition(b"|")[0]
        if name in _CHANNELS:
            return self._denied_channel(name, command[1:] if name.endswith(b"subscribe") else command[1:2])
        if self._has_all_keys or name in _NO_CHANNEL or name in _ALWAYS:
            return None
        denied = self._denied_key(unit, command)
        if denied is None and name in _SORTS:
            self._check_sort(command)
        return denied

    def _denied_key(self, unit: bytes, command: Command) -> Denied | None:
        name = unit.partition(b"|")[0]
        uses = self._uses(command)
        at, of_one, of_others = _PLACES.get(name) or (0, _BOTH, _needed_by(name, command))
        one = command[at] if at else None
        if at and command.count(command[at]) > 1:
            of_one = _BOTH  # it may be one of the others, too
        read = self._any if unit in _TELL_LITTLE else self._read
        for key, writes in uses:
            needed = _READ if not writes else of_one if key == one else of_others
            if ("r" in needed and not read.match(key)) or ("w" in needed and not self._written.match(key)):
                return Denied(self.name, "key", key)
        return None

    def allows_plainly(self, commands: Sequence[Command]) -> bool:
        """Whether these are usual commands, each on one key, all of which the user may run.

        False may also mean that they need a closer look.
        """
        shapes = set(zip(map(_name, commands), map(len, commands)))
        if len(shapes) > SHAPES_AT_ONCE_MAX:
            return False
        for shape in shapes:
            if shape not in self._needed:
                if len(self._needed) >= SHAPES_MAX or shape[0].lower() not in _OF_ONE_KEY:
                    return False
                self._needed[shape] = self._find_needed(*shape)
            needed = self._needed[shape]
            if needed is None:
                return False
            name, length = shape
            keys = [command[1] for command in commands if command[0] == name and len(command) == length]
            if not all(all(map(names.match, keys)) for names in needed):
                return False
        return True

    def _find_needed(self, name: bytes, length: int) -> tuple[_Names, ...] | None:
        """What has to match the key of commands of this shape; None where nobody can tell."""
        unit = name.lower()
        if unit not in self._commands or length < 2:
            return None
        if (unit == b"set" and length != 3) or (unit == b"exists" and length != 2):
            return None  # GET among the options, or several keys
        if unit in _TELL_LITTLE:
            return (self._any,)
        groups = self._units[unit]
        reads, writes = unit not in _WRITES_ALONE and unit != b"set", "write" in groups
        return ((self._read,) if reads else ()) + ((self._written,) if writes else ())

    def _check_sort(self, command: Command) -> None:
        """As Redis: patterns of keys that are not named are for those that may read all keys."""
        if self._read.has_all:
            return
        for place in range(2, len(command) - 1):
            option, pattern = command[place].upper(), command[place + 1]
            if option == b"GET" or (option == b"BY" and b"*" in pattern):
                shown = option.decode()
                raise CommandError(f"ERR {shown} option of SORT denied due to insufficient ACL permissions")

    def _denied_channel(self, name: bytes, channels: Sequence[bytes]) -> Denied | None:
        may = self._channels.have if name == b"psubscribe" else self._channels.match
        return next((Denied(self.name, "channel", each) for each in channels if not may(each)), None)

    def may_listen(self, channels: Iterable[bytes], patterns: Iterable[bytes]) -> bool:
        """Whether the user may listen to all of these."""
        return all(map(self._channels.match, channels)) and all(map(self._channels.have, patterns))


def access_of(text: bytes, units: Units, uses: Callable[[Command], Sequence[KeyUse]]) -> Access:
    """The rights that `Access.text` told.  Raises CommandError."""
    name, _, line = text.partition(b" ")
    return Access(name, parsed(line), units, uses)
