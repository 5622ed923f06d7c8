"""docs/reference/errors.md: every error that a client can be sent, found in the source.

An error is a string that begins with a code in capitals, `ERR` or the like.  Where the source fills something
in, the page shows `…`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import epaxos
from tests.generated.page import page, rows

__all__ = ["MEANINGS", "errors", "found"]

ROOT = Path(epaxos.__file__).parent
ROOMS = ("interfaces", "machines", "node", "resp", "statemachines")
ERROR = re.compile(
    r"-?((?:ERR|CLUSTERDOWN|NOPROTO|WRONGPASS|EXECABORT|WRONGTYPE|NOAUTH|NOPERM|DENIED|BUSY"
    r"|NOSESSION|ONCELOST|ONCEREFUSED) \S.*)",
    re.DOTALL,
)

NO, PERHAPS, SAYS = "no", "unknown", "as the text says"

MEANINGS: dict[str, tuple[str, str]] = {
    "CLUSTERDOWN no quorum answered within … s": (
        "too few other replicas answered within `request_timeout_s`. Try again later, at any replica",
        SAYS,
    ),
    "CLUSTERDOWN the disk of this replica does not answer": (
        "a write has waited longer than `suspect_after_s`. Go to another replica",
        SAYS,
    ),
    "CLUSTERDOWN this replica is not a member any more": (
        "it was [removed](../operating/members.md). Go to a member",
        SAYS,
    ),
    "CLUSTERDOWN this replica is not a member yet": (
        "it [joins](../operating/members.md#a-replica-joins), and nobody has added it yet. Go to a member",
        NO,
    ),
    "CLUSTERDOWN the replica does not run": (
        "it stops, or waits for the other members at [the first start](../operating/run.md#the-first-start). "
        "The command was not run",
        NO,
    ),
    "CLUSTERDOWN the replica has failed": ("it stops, and its log says why. Go to another replica", SAYS),
    "CLUSTERDOWN the replica is catching up and did not answer within … s": (
        "it was down or cut off, and executes what it missed. Go to another replica meanwhile",
        SAYS,
    ),
    "CLUSTERDOWN the replica is stopping": ("somebody stops it. Go to another replica", SAYS),
    "CLUSTERDOWN the replica takes the state of another one": (
        "it [has taken the state](../operating/disk-and-memory.md#a-member-that-was-away), and begins again: "
        "the connection is closed. Go to another replica",
        SAYS,
    ),
    "CLUSTERDOWN the replica was away for too long, and takes the state of another one": (
        "it serves again when [it has the state](../operating/disk-and-memory.md#a-member-that-was-away). Go "
        "to another replica meanwhile",
        NO,
    ),
    "DENIED this replica is running in protected mode because protected mode is enabled and no password is "
    "set. In this mode connections are only accepted from the loopback interface and from Unix sockets. If "
    "you want to connect from external computers, do one of the following in section [security] of the "
    "configuration file and restart the replica: 1) Set up a password: requirepass = PASSWORD. 2) Disable "
    "protected mode: protected_mode = no. MAKE SURE that only those reach the port who may use the data if "
    "you do so.": ("the connection is closed: [security](../operating/security.md)", NO),
    "ERR ACLCAT is not served": ("there are no access control lists", NO),
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
    "configuration is correct?": ("no password is set; leave `AUTH` out", NO),
    "ERR CONFIG REWRITE is not served: settings are in the configuration file": ("change the file", NO),
    "ERR CONFIG SET is not served: settings are in the configuration file": (
        "change the file, and restart",
        NO,
    ),
    "ERR Client names cannot contain spaces, newlines or special characters.": (
        "`CLIENT SETNAME`, `HELLO`",
        NO,
    ),
    "ERR DB index is out of range": ("`SELECT` of another database than 0", NO),
    "ERR DISCARD without MULTI": ("`MULTI` was refused, or not sent", NO),
    "ERR EXEC without MULTI": ("`MULTI` was not sent", NO),
    "ERR Invalid client ID": ("`CLIENT LIST ID` with something else than a number", NO),
    "ERR Protocol error: expected '$', got '…'": (
        "the connection is closed: the client's bytes are not RESP",
        NO,
    ),
    "ERR Protocol error: invalid bulk length": (
        "the connection is closed: not RESP, or an argument beyond `command_bytes_max`",
        NO,
    ),
    "ERR Protocol error: invalid multibulk length": (
        "the connection is closed: not RESP, or more than 1 048 576 arguments",
        NO,
    ),
    "ERR Protocol error: the command is too long": (
        "the connection is closed: beyond `command_bytes_max`",
        NO,
    ),
    "ERR Protocol error: unauthenticated bulk length": (
        "the connection is closed: an argument of more than 16 384 bytes before the password",
        NO,
    ),
    "ERR Protocol error: unauthenticated multibulk length": (
        "the connection is closed: more than 10 arguments before the password",
        NO,
    ),
    "ERR Protocol error: unbalanced quotes in request": (
        "the connection is closed: a wrong inline command",
        NO,
    ),
    "ERR Protocol error: …": ("the connection is closed: a line of more than 64 KiB", NO),
    "ERR Protocol version is not an integer or out of range": ("`HELLO`", NO),
    "ERR Syntax error in HELLO option '…'": ("`HELLO`", NO),
    "ERR Unknown client type '…'": ("`CLIENT LIST TYPE`", NO),
    "ERR Unrecognized option '…'": ("`CLIENT SETINFO`", NO),
    "ERR decrement would overflow": ("`DECRBY` by the smallest 64-bit integer", NO),
    "ERR increment or decrement would overflow": ("the result is no 64-bit integer; the value stays", NO),
    "ERR max number of clients reached": (
        "`clients_max` clients are connected, or as many as the limit of open files allows; the log says "
        "which",
        NO,
    ),
    "ERR not run: MULTI was refused, and nothing runs up to EXEC, DISCARD or RESET": (
        "a transaction's command",
        NO,
    ),
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)": ("`APPEND` beyond 512 MiB", NO),
    "ERR syntax error": ("an option that the command does not have", NO),
    "ERR a session has … hexadecimal digits": ("`EPAXOS ONCE`, `EPAXOS SESSION END`", NO),
    "ERR the command has failed, see the log of the replica": ("`EPAXOS`: please report it", PERHAPS),
    "ERR the command is too large: …": ("over UDP a command has to fit into `datagram_bytes_max`", NO),
    "ERR the pattern is longer than … bytes": ("`COMMAND LIST FILTERBY PATTERN`", NO),
    "ERR the patterns are longer than … bytes together": ("one `CONFIG GET`", NO),
    "ERR there are no backups: nothing is kept on disk": (
        "`EPAXOS BACKUP-READ` and `BACKUP-DELETE` with `engine = memory`",
        NO,
    ),
    "ERR there are … sessions already: no session can begin before one ends": (
        "`EPAXOS SESSION`: end some ([exactly once](../using/exactly-once.md))",
        NO,
    ),
    "ERR too many client IDs": ("more than 10 000 behind `CLIENT LIST ID`", NO),
    "ERR unknown command 'MULTI': transactions are not served; nothing runs up to EXEC": (
        "send the commands one by one, or use `MSET` and the like",
        NO,
    ),
    "ERR unknown command '…', the printer knows PRINT key text": (
        "the cluster runs the state machine `printer`",
        NO,
    ),
    "ERR unknown command '…', with args beginning with: …": ("[commands](commands.md)", NO),
    "ERR unknown subcommand '…'. Try … HELP.": ("[commands](commands.md)", NO),
    "ERR value is not an integer or out of range": (
        "an argument, or the value of the key, is no 64-bit integer",
        NO,
    ),
    "ERR value is out of range, value must between … and …": ("`SELECT`", NO),
    "ERR wrong number of arguments for '…' command": ("[commands](commands.md)", NO),
    "ERR unknown command '…'": (
        "the cluster runs [a machine of its own](../using/state-machines.md), which has no such command",
        NO,
    ),
    "ERR … failed: …; nothing was changed": (
        "a command of [a machine](../using/state-machines.md#what-a-machine-must-promise) has a bug. The log "
        "of the replica that was asked says where; inside of `EPAXOS ONCE`, the log of every replica",
        "yes, and was undone",
    ),
    "ERR …: … …": ("an argument that a command of [a machine](../using/state-machines.md) does not take", NO),
    "ERR …": (
        "`EPAXOS TURN`, or a change of the members, was refused, and the text says why: [the next epoch]"
        "(../operating/epaxosctl.md#the-next-epoch), [change the members](../operating/members.md"
        "#when-it-is-refused). After a text that says that the next epoch may still begin, look at "
        "`epoch.number` of the [status](status.md). Or one of the commands for "
        "[backups](../operating/backup.md) was",
        SAYS,
    ),
    "ERR … EPAXOS commands wait for their answers already, try again": ("too many of all clients", NO),
    "ERR … cannot contain spaces, newlines or special characters.": ("`CLIENT SETINFO`", NO),
    "EXECABORT Transaction discarded because …": ("`EXEC` after a `MULTI` that was refused", NO),
    "NOAUTH Authentication required.": ("give the password first: `AUTH`, `HELLO 3 AUTH default …`", NO),
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
    "<pass> option can be used to authenticate the client and select the RESP protocol version at the same "
    "time": (
        "give the password with `HELLO`, or by `AUTH` before",
        NO,
    ),
    "NOPERM this command of EPAXOS is for clients on the replica's own host (loopback, Unix socket), and for "
    "those that have given the password": ("[security](../operating/security.md)", NO),
    "NOPROTO unsupported protocol version": ("`HELLO` with another version than 2 or 3", NO),
    "NOSESSION the session is unknown or has ended: the command may have run, and does not run again": (
        "`EPAXOS ONCE`: begin another session; for the command see [exactly once](../using/exactly-once.md)",
        PERHAPS,
    ),
    "ONCELOST the number was acknowledged, or too many replies were kept: the command may have run, and does "
    "not run again": ("[exactly once](../using/exactly-once.md#what-it-may-be-told)", PERHAPS),
    "ONCELOST the reply was longer than … bytes: the command has run, and does not run again": (
        "the reply was sent once, and is not kept: ask for the data",
        "yes",
    ),
    "ONCEREFUSED '…' is not allowed inside EPAXOS ONCE: it was not run": (
        "send it without `ONCE` ([what may stand inside](../using/exactly-once.md#what-may-stand-inside))",
        NO,
    ),
    "WRONGPASS invalid username-password pair or user is disabled.": (
        "another password than `requirepass`, or another user than `default`",
        NO,
    ),
}
"""What each error means or what to do, and whether its command may have run."""


def _texts(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    within = {id(value) for node in formatted for value in node.values}
    for node in formatted:
        yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in within:
            if isinstance(node.value, bytes):
                yield node.value.decode("latin-1")
            elif isinstance(node.value, str):
                yield node.value


def found() -> list[str]:
    """The errors in the source, sorted."""
    paths = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    matches = (ERROR.fullmatch(text.strip()) for path in paths for text in _texts(path))
    return sorted({match[1] for match in matches if match is not None and "\n" not in match[1]})


def errors() -> str:
    """The page."""
    return page(
        "Errors",
        "the strings in epaxos/{interfaces,machines,node,resp,statemachines}",
        "Every error that a client can be sent. `…` stands for what is filled in. `ERR` is always the "
        "client's side: "
        "the command is wrong in itself, or for the value that it met, and is not to be repeated as it is. "
        "`NOAUTH`, `WRONGPASS`, `NOPERM` and `DENIED` say who may do what "
        "([security](../operating/security.md)). "
        "`CLUSTERDOWN` is always the cluster's side: `; the command was not run` and `; the command may "
        "still run` "
        "behind it say what is known of it. What a client does then: [clients](../using/clients.md).",
        rows(
            ["error", "meaning, and what to do", "may it have run?"],
            ([f"`{text}`", *MEANINGS[text]] for text in found()),
        ),
        "A connection that is closed without an answer says nothing of its commands: they may have run.",
    )
