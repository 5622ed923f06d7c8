"""CONFIG: shows the settings, and changes those that all replicas share, and those of this replica that can
change while it runs.

The others are in the configuration file, and need a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from twisted.python.failure import Failure

from epaxos.interfaces import Command, CommandError, Refusal, Reply, Unavailable
from epaxos.interfaces.glob import Glob
from epaxos.interfaces.memory import CONFIGURE, unknown_setting
from epaxos.interfaces.redis import OK, wrong_arity
from epaxos.resp.commands.run import ByReplica
from epaxos.resp.commands.spec import (
    PATTERNS_BYTES_MAX,
    Answer,
    Served,
    Subcommand,
    map_of,
    whole_text_of,
)
from epaxos.resp.commands.versions import too_new
from epaxos.resp.interfaces import NEEDS_RESTART, IClient, ILiveSettings, SettingError

__all__ = ["COMMANDS"]

_NO_FILE = CommandError("ERR The server is running without a config file")


def _get(client: IClient, command: Command) -> Reply:
    """The settings that match the patterns and names in `command`; a name is shown as the client wrote it."""
    wanted = [argument.partition(b"\0")[0] for argument in command[2:]]
    if sum(map(len, wanted)) + len(wanted) > PATTERNS_BYTES_MAX:
        return CommandError(f"ERR the patterns are longer than {PATTERNS_BYTES_MAX} bytes together")
    all_settings = {**_own(client), **_shared(client)}
    settings = {name.encode(): value.encode() for name, value in all_settings.items()}
    found: dict[bytes, bytes] = {}  # by name: how the reply calls the setting
    for name in wanted:
        if any(mark in name for mark in (b"*", b"?", b"[")):
            pattern = Glob(name, any_case=True)
            for setting in filter(pattern.matches, settings):
                found.setdefault(setting, setting)
        elif name.lower() in settings:
            found.setdefault(name.lower(), name)
    return map_of({shown: settings[name] for name, shown in found.items()})


def _own(client: IClient) -> Mapping[str, str]:
    """The settings of this replica."""
    live = client.server.live
    return {**({} if live is None else live.shown()), **client.server.settings}


def _shared(client: IClient) -> Mapping[str, str]:
    """The settings that all replicas share."""
    use = client.server.replica.memory()
    return {} if use is None else use.settings


def _set(client: IClient, command: Command) -> Answer:
    """Change settings: all of these or none.  Those that all replicas share are a part of the state."""
    shared, live = _shared(client), client.server.live
    own = _own(client)
    for word in command[2::2]:
        name = whole_text_of(word).lower()
        if name not in shared and name not in own:
            return unknown_setting(word)
    if len(command) % 2:
        return wrong_arity("config|set")
    given: dict[str, str] = {}
    together: list[bytes] = []
    for word, value in zip(command[2::2], command[3::2]):
        name = whole_text_of(word).lower()
        if name in shared:
            together += (word, value)
        elif name in given:
            return _failed(name, "duplicate parameter")
        else:
            given[name] = whole_text_of(value)
    try:
        change = None if live is None or not given else live.read(given)
    except SettingError as why:
        return _failed(why.name, str(why))
    if given and live is None:
        return _failed(next(iter(given)), NEEDS_RESTART)
    if not together:
        _take(live, change)
        return OK
    made = (CONFIGURE, *together)
    finish = partial(_finish, live, change)
    return too_new(client, "config|set") or ByReplica((made,), finish, sum(map(len, made)))


def _failed(name: str, why: str) -> CommandError:
    return CommandError(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")


def _take(live: ILiveSettings | None, change: Any) -> None:
    if live is not None and change is not None:
        live.take(change)


def _finish(live: ILiveSettings | None, change: Any, outcome: Reply | Unavailable) -> Reply:
    """The settings of this replica change with those that all share, or not at all."""
    reply = _reply(outcome)
    if not isinstance(reply, CommandError):
        _take(live, change)
    return reply


def _reply(outcome: Reply | Unavailable) -> Reply:
    return CommandError(str(outcome)) if isinstance(outcome, Unavailable) else outcome


def _rewrite(client: IClient, command: Command) -> Answer:
    live = client.server.live
    if live is None:
        return _NO_FILE
    return live.rewrite().addCallbacks(_ok, _explain)


def _ok(_: None) -> Reply:
    return OK


def _explain(failure: Failure) -> Reply:
    if not isinstance(failure.value, Refusal):
        failure.raiseException()
    return CommandError(f"ERR Rewriting config file: {failure.value}")


def _resetstat(client: IClient, command: Command) -> Reply:
    client.server.reset_statistics()
    return OK


COMMANDS = {
    b"CONFIG": Served(
        -2,
        subcommands={
            b"GET": Subcommand(_get, -3, "pattern ...: settings by name or pattern"),
            b"RESETSTAT": Subcommand(_resetstat, 2, "set the statistics of INFO to zero"),
            b"REWRITE": Subcommand(_rewrite, 2, "write what was set here into the configuration file"),
            b"SET": Subcommand(
                _set,
                -4,
                "name value ...: maxmemory and what belongs to it and notify-keyspace-events at all "
                "replicas; what else can change, at this one",
            ),
        },
    )
}
