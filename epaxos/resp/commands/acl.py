"""ACL: users and what they may do (docs: operating/security, "Users").

SETUSER and DELUSER are commands of the replicated state; what else is shown is that of this replica.
"""

from __future__ import annotations

import secrets

from epaxos.interfaces import Command, CommandError, Reply, Unavailable
from epaxos.interfaces.access import CATEGORIES, Denied, check_rules
from epaxos.interfaces.redis import OK, fits, integer_of, text_of
from epaxos.interfaces.users import (
    DEFAULT,
    DELETE,
    SET,
    USERS,
    changed,
    check_count,
    check_name,
    hashed,
    new_user,
)
from epaxos.resp.commands.permission import denied_of
from epaxos.resp.commands.run import ByReplica
from epaxos.resp.commands.spec import Answer, Served, Subcommand, map_of
from epaxos.resp.commands.versions import too_new
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]

GENPASS_BITS_MAX = 4096
_LOG_SHOWN = 10
_NO_FILE = CommandError(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL"
    " SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in"
    " order to store users in the Redis configuration."
)
_BITS = CommandError(
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to"
    f" {GENPASS_BITS_MAX}"
)
_NOT_SERVED = CommandError("ERR users are not served by this state machine")
_NO_PERMISSION = CommandError(
    "NOPERM users are changed by clients on the replica's own host (loopback, Unix socket), and by those that"
    " have given a password"
)


def _whoami(client: IClient, command: Command) -> Reply:
    return client.session.user


def _names(client: IClient) -> list[bytes]:
    return sorted({DEFAULT, *client.server.admittance.users})


def _users(client: IClient, command: Command) -> Reply:
    return list(_names(client))


def _list(client: IClient, command: Command) -> Reply:
    lines: list[Reply] = []
    for name in _names(client):
        user = client.server.admittance.find(name)
        if user is not None:
            shown = user._replace(nopass=user.nopass or _is_open(client, name))
            lines.append(b" ".join([b"user", name, *shown.rules()]))
    return lines


def _is_open(client: IClient, name: bytes) -> bool:
    """Whether the user needs no password because `requirepass` is not set."""
    return name == DEFAULT and client.server.admittance.is_open


def _get_user(client: IClient, command: Command) -> Reply:
    name = command[2]
    user = client.server.admittance.find(name)
    if user is None:
        return None
    flags: list[Reply] = [b"on" if user.is_on else b"off"]
    if user.nopass or _is_open(client, name):
        flags.append(b"nopass")
    return map_of(
        {
            b"flags": flags,
            b"passwords": list(user.passwords),
            b"commands": b" ".join(user.commands),
            b"keys": b" ".join(user.keys),
            b"channels": b" ".join(b"&" + pattern for pattern in user.channels),
            b"selectors": [],
        }
    )


def _cat(client: IClient, command: Command) -> Reply:
    if len(command) > 3:
        return CommandError(
            f"ERR unknown subcommand or wrong number of arguments for '{text_of(command[1])}'. Try ACL HELP."
        )
    if len(command) == 2:
        return [category.encode() for category in CATEGORIES]
    wanted = command[2].decode("ascii", "replace").lower()
    if wanted not in CATEGORIES:
        return CommandError(f"ERR Unknown category '{text_of(command[2])}'")
    return [unit for unit, categories in client.server.admittance.units.items() if wanted in categories]


def _set_user(client: IClient, command: Command) -> Answer:
    """The rules are looked at here, and again at their place in the order.  No password goes there."""
    server = client.server
    name, rules = command[2], hashed(command[3:])
    if server.replica.users is None:
        return _NOT_SERVED
    if not client.session.is_trusted:
        return _NO_PERMISSION
    try:
        check_count(rules)
        check_name(name)
        changed(server.admittance.find(name) or new_user(name), command[3:])
        check_rules(rules, server.admittance.units)
    except CommandError as error:
        return error.with_traceback(None)
    made = (USERS, SET, name, *rules)
    return too_new(client, "acl|setuser") or ByReplica(
        (*server.admittance.before(), made), _reply, sum(map(len, made)), holds=True
    )


def _delete_users(client: IClient, command: Command) -> Answer:
    if client.server.replica.users is None:
        return _NOT_SERVED
    if not client.session.is_trusted:
        return _NO_PERMISSION
    if DEFAULT in command[2:]:
        return CommandError("ERR The 'default' user cannot be removed")
    made = (USERS, DELETE, *command[2:])
    before = client.server.admittance.before()
    return too_new(client, "acl|deluser") or ByReplica(
        (*before, made), _reply, sum(map(len, made)), holds=True
    )


def _reply(outcome: Reply | Unavailable) -> Reply:
    return CommandError(str(outcome)) if isinstance(outcome, Unavailable) else outcome


def _dry_run(client: IClient, command: Command) -> Reply:
    admittance, asked = client.server.admittance, command[3:]
    if admittance.find(command[2]) is None:
        return CommandError(f"ERR User '{text_of(command[2])}' not found")
    entry = client.server.command_table.entries.get(asked[0].lower())
    if entry is None:
        return CommandError(f"ERR Command '{text_of(asked[0])}' not found")
    if isinstance(entry[1], int) and not fits(entry[1], len(asked)):
        return CommandError(f"ERR wrong number of arguments for '{text_of(asked[0]).lower()}' command")
    access = admittance.access_of(command[2])
    denied = None if access is None else denied_of(access, asked)
    if denied is None:
        return OK
    return (
        denied.text(is_whole=True).encode("utf-8", "surrogateescape")
        if isinstance(denied, Denied)
        else denied
    )


def _generate(client: IClient, command: Command) -> Reply:
    bits = 256
    if len(command) > 3:
        return _BITS
    if len(command) == 3:
        found = integer_of(command[2])
        if found is None or not 0 < found <= GENPASS_BITS_MAX:
            return _BITS
        bits = found
    digits = (bits + 3) // 4
    return secrets.token_hex((digits + 1) // 2)[:digits].encode()


def _log(client: IClient, command: Command) -> Reply:
    log = client.server.admittance.log
    if len(command) == 2:
        return log.show(_LOG_SHOWN)
    if command[2].lower() == b"reset":
        log.clear()
        return OK
    count = integer_of(command[2])
    if count is None:
        return CommandError("ERR value is not an integer or out of range")
    return log.show(max(0, count))


def _no_file(client: IClient, command: Command) -> Reply:
    return _NO_FILE


COMMANDS = {
    b"ACL": Served(
        -2,
        subcommands={
            b"CAT": Subcommand(_cat, -2, "[category]: the categories, or the commands of one"),
            b"DELUSER": Subcommand(_delete_users, -3, "name ...: remove users, at every replica"),
            b"DRYRUN": Subcommand(
                _dry_run, -4, "name command [arg ...]: whether the user may run the command"
            ),
            b"GENPASS": Subcommand(_generate, -2, "[bits]: a random password"),
            b"GETUSER": Subcommand(_get_user, 3, "name: the rules of a user"),
            b"LIST": Subcommand(_list, 2, "the users with their rules"),
            b"LOAD": Subcommand(_no_file, 2, "not served: users are a part of the state"),
            b"LOG": Subcommand(_log, -2, "[count | RESET]: what was not allowed at this replica"),
            b"SAVE": Subcommand(_no_file, 2, "not served: users are a part of the state"),
            b"SETUSER": Subcommand(_set_user, -3, "name [rule ...]: make or change a user, at every replica"),
            b"USERS": Subcommand(_users, 2, "the names of the users"),
            b"WHOAMI": Subcommand(_whoami, 2, "the user of this connection"),
        },
    )
}
