"""CONFIG: shows the settings; they are changed in the configuration file only."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK
from epaxos.resp.commands.spec import PATTERNS_BYTES_MAX, Served, Subcommand, map_of
from epaxos.resp.glob import Glob
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]


def _get(client: IClient, command: Command) -> Reply:
    """The settings that match the patterns and names in `command`; a name is shown as the client wrote it."""
    wanted = [argument.partition(b"\0")[0] for argument in command[2:]]
    if sum(map(len, wanted)) + len(wanted) > PATTERNS_BYTES_MAX:
        return CommandError(f"ERR the patterns are longer than {PATTERNS_BYTES_MAX} bytes together")
    settings = {name.encode(): value.encode() for name, value in client.server.settings.items()}
    found: dict[bytes, bytes] = {}  # by name: how the reply calls the setting
    for name in wanted:
        if any(mark in name for mark in (b"*", b"?", b"[")):
            pattern = Glob(name)
            for setting in filter(pattern.matches, settings):
                found.setdefault(setting, setting)
        elif name.lower() in settings:
            found.setdefault(name.lower(), name)
    return map_of({shown: settings[name] for name, shown in found.items()})


def _set(client: IClient, command: Command) -> Reply:
    return CommandError("ERR CONFIG SET is not served: settings are in the configuration file")


def _rewrite(client: IClient, command: Command) -> Reply:
    return CommandError("ERR CONFIG REWRITE is not served: settings are in the configuration file")


def _resetstat(client: IClient, command: Command) -> Reply:
    client.server.reset_statistics()
    return OK


COMMANDS = {
    b"CONFIG": Served(
        -2,
        subcommands={
            b"GET": Subcommand(_get, -3, "pattern ...: settings by name or pattern"),
            b"RESETSTAT": Subcommand(_resetstat, 2, "set the statistics of INFO to zero"),
            b"REWRITE": Subcommand(_rewrite, 2, "not served"),
            b"SET": Subcommand(_set, -4, "not served: settings are in the configuration file"),
        },
    )
}
