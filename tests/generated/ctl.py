"""docs/reference/epaxosctl.md: the options of `epaxosctl`, and the fields of its documents.

The options are those of the commands; the tests of `tests/ctl` hold real documents against the fields.
"""

from __future__ import annotations

import click

from epaxos.ctl.commands import COMMANDS
from epaxos.ctl.main import HELP
from epaxos.ctl.options import GLOBAL_OPTIONS
from tests.generated.page import page, rows

__all__ = [
    "BACKUP_FIELDS",
    "CHANGE_FIELDS",
    "DOCTOR_FIELDS",
    "IMPORT_FIELDS",
    "INSPECT_FIELDS",
    "MEMBERS_FIELDS",
    "NEW_FIELDS",
    "READY_FIELDS",
    "RESTORE_FIELDS",
    "STATUS_FIELDS",
    "TOP_FIELDS",
    "TURN_FIELDS",
    "ctl",
]

STATUS_FIELDS = {
    "at": "the replica that named the members, as in `--at`",
    "cluster": "the name of the cluster; null when no member answered",
    "members[].id": "the number of a member",
    "members[].peer": "the endpoint by which the other replicas reach it",
    "members[].client": "the endpoint by which clients reach it, or, where that is not known, the one on "
    "which it listens for them",
    "members[].status_port": "the same for `GET /status`",
    "members[].state": "what the replica of `--at` says of it: `here`, `connected` or `not connected`",
    "members[].asked": "where it was asked",
    "members[].reached": "whether it answered, as a member of this cluster and with this number",
    "members[].error": "why not; null when it did",
    "members[].lag": "the instances that some member that answered has committed and this one has not "
    "executed. The members are asked one moment apart, so under load it is rarely 0. null when it is not "
    "known, and in an earlier epoch than that of another member, because slots begin again with each epoch",
    "members[].memory_bytes": "the memory that its process takes; null when it is not known",
    "members[].status": "the [status fields](status.md) of the member; null when it did not answer",
}
READY_FIELDS = {
    "at": "the replica, as in `--at`",
    "ready": "whether it serves",
    "waited_s": "how long that took, in seconds",
    "waits_for": "what it still lacked; null when it serves",
}
INSPECT_FIELDS = {
    "folder": "the folder",
    "format": "the storage format",
    "cluster": "the name of the cluster that the data belong to",
    "replica": "the number of the replica that they belong to",
    "members": "the numbers of the members in that epoch; none in a folder that waits to join a cluster",
    "state_machine": "the name of the state machine whose state it is",
    "uid": "the uid of the folder, in hex; null when it has none",
    "written": "the number of the last write that is there",
    "synced": "the number of the last write that was surely synced",
    "epoch": "the number of the newest epoch that the folder has opened; 0 before the first turn. Slots and "
    "instances below are of this epoch",
    "reserved": "the highest slot of the replica's own row that it may use without another write",
    "executed": "for each row, the slot up to which every instance has been executed, by the last checkpoint",
    "executed_beyond": "the number of single instances beyond these slots that have been executed",
    "floor": "for each row, the slot up to which every member has durably executed everything",
    "records": "the instances of this epoch in the database; those of the epoch before, which it may still "
    "hold, are not counted",
    "batches": "how many of them come with a batch",
    "state.generation": "the generation of the base of the state",
    "state.base_bytes": "the bytes of the base that count",
    "state.log_bytes": "the bytes of the logs of the state that count",
    "state.entries": "the entries of the base",
    "state.batches": "the batches in the logs of the state",
    "database.bytes": "the bytes of all files of the database",
    "database.log_bytes": "those of its own logs",
    "database.torn_bytes": "the bytes at the end of its log that are torn; the next start sets them aside",
    "incoming_bytes": "the bytes that were taken of the state of another member, and have no effect until "
    "all of it is there; null when no transfer is unfinished",
}
MEMBERS_FIELDS = {
    "at": "the replica that was asked, as in `--at`",
    "members[].id": "the number of a member; with `--history`, `members` is null",
    "members[].uid": "the uid of its data folder, in hex; null when it is not known",
    "members[].state": "what the replica of `--at` says of it: `here`, `connected` or `not connected`",
    "members[].version": "the highest version of commands that its program can do; null when it is not "
    "connected to the replica of `--at`, or that one is of an earlier version itself",
    "members[].peer": "the endpoint by which the other replicas reach it",
    "members[].client": "the endpoint by which clients reach it, or, where that is not known, the one on "
    "which it listens for them",
    "members[].status_port": "the same for `GET /status`",
    "candidates[].id": "the number of a replica that wants to join; with `--history`, `candidates` is null",
    "candidates[].uid": "the uid of its data folder, in hex",
    "candidates[].peer": "the endpoint by which the other replicas reach it",
    "candidates[].client": "the endpoint by which clients will reach it; empty when it is not known",
    "candidates[].status_port": "the same for `GET /status`",
    "candidates[].behind_bytes": "the bytes of the state that it still lacks; null when it has not said",
    "history[].epoch": "the epoch with which a list of members began; without `--history`, `history` is null",
    "history[].at": "when it was proposed, by the clock of who did it, in seconds since 1970; 0: not known",
    "history[].why": "why, and by whom, in a few words; empty when it is not known",
    "history[].members": "the numbers of its members",
}
CHANGE_FIELDS = {
    "dry_run": "whether nothing was done, because of `--dry-run`",
    "epoch": "the number of the epoch that has begun, and is safe; null with `--dry-run`",
    "members": "the numbers of its members; null with `--dry-run`",
    "lines": "what would happen, in lines for people; null without `--dry-run`",
}
NEW_FIELDS = {
    "folder": "where the files are",
    "cluster": "the name of the cluster",
    "files": "the names of the files that were written",
    "password": "whether clients need a password; it is `requirepass` in `cluster.ini`",
    "tls": "whether replicas prove to each other who they are",
    "members[].id": "the number of a replica",
    "members[].host": "its host",
    "members[].client": "where clients reach it, as in `--at`",
    "commands.check": "what to type to check the files, a line for each replica",
    "commands.start": "what to type to start the replicas, a line for each, on its host",
    "commands.see": "what to type to see that the cluster serves",
}
TOP_FIELDS = {
    "at": "the replica that named the members, as in `--at`",
    "received": "commands of clients in the last second, of all members together",
    "executed": "commands executed in the last second, at the member that executed the most",
    "members[].id": "the number of a member",
    "members[].state": "`here`, `up`, `down`, or `not asked` where others see it up and it did not answer",
    "members[].sees": "the numbers of the members that it sees; null when it did not answer",
    "members[].lag": "as in `status`",
    "members[].last_second": "what the member measured ([status fields](status.md)); null when it did not "
    "answer",
}
TURN_FIELDS = {
    "epoch": "the number of the epoch that has begun, and is safe",
    "version": "the version of the cluster then; null when the replica does not say",
}
BACKUP_FIELDS = {
    "folder": "where the backup is now",
    "format": "the format of the backup; from here on the fields are those of its `manifest.json`",
    "cluster": "the name of the cluster",
    "uuid": "its uuid, in hex",
    "epoch": "the number of the epoch with whose beginning the state was taken",
    "version": "the version of the meaning of commands and records in this epoch",
    "members[].number": "the number of a member of this epoch",
    "members[].uid": "the uid of its data folder, in hex",
    "state_machine": "the name of the state machine",
    "replica": "the number of the member that made the backup",
    "made": "when, in UTC",
    "digest": "the digest of the state, as the [status](status.md) shows it",
    "bytes": "the bytes of all files",
    "files[].name": "the name of a file",
    "files[].bytes": "how many bytes of it count",
    "files[].crc": "the checksum of its last piece ([files](files.md))",
    "checksum": "the SHA-256 of this document without it, as JSON with sorted keys and no spaces",
}
DOCTOR_FIELDS = {
    "at": "the replica that named the members, as in `--at`",
    "members": "the numbers of the members",
    "findings[].severity": "`error`: clients notice it, or data are in danger; `warning`: it will "
    "become one, or it is slower than it need be",
    "findings[].code": "what kind of thing is wrong, in a word that stays the same",
    "findings[].members": "the numbers of the members that it is about",
    "findings[].what": "what is wrong",
    "findings[].todo": "what to do about it",
}
IMPORT_FIELDS = {
    "from": "the source, without its password",
    "at": "the replica that was given the keys, as in `--at`",
    "written": "how many keys were written, by this run of the command; one that the source named twice "
    "counts twice",
    "skipped": "how many keys were left as they were, because of `--skip`",
}
RESTORE_FIELDS = {
    "cluster": "the name of the new cluster",
    "uuid": "its uuid, in hex",
    "state_machine": "the name of the state machine",
    "members[].number": "the number of a member",
    "members[].uid": "the uid of its data folder, in hex",
    "members[].data": "its data folder",
    "source": "the source that was taken",
    "sources[].path": "a source",
    "sources[].epoch": "the number of the epoch in which its state is",
    "sources[].executed": "how many instances of this epoch are in it; 0 for a backup",
    "sources[].bytes": "the bytes of its files",
    "bytes": "the bytes of the files that were taken",
    "digest": "the digest of the state; null when the source is no backup",
    "missing": "what may be missing, in words",
}
FIELDS = {
    "backup": BACKUP_FIELDS,
    "doctor": DOCTOR_FIELDS,
    "import": IMPORT_FIELDS,
    "restore": RESTORE_FIELDS,
    "status": STATUS_FIELDS,
    "wait-ready": READY_FIELDS,
    "inspect": INSPECT_FIELDS,
    "members": MEMBERS_FIELDS,
    "new": NEW_FIELDS,
    **dict.fromkeys(("add", "move", "remove", "replace"), CHANGE_FIELDS),
    "top": TOP_FIELDS,
    "turn": TURN_FIELDS,
}


def _options(params: list[click.Parameter]) -> str:
    shown = [param for param in params if isinstance(param, click.Option) and not param.hidden]
    lines = []
    for option in shown:
        kind = "" if option.is_flag else f" {option.metavar or option.type.name}"
        default = f"`{option.default}`" if option.show_default else ""
        where = f" Or the environment's `{option.envvar}`." if option.envvar else ""
        lines.append([f"`{option.opts[0]}{kind}`", default, f"{_text(option.help)}{where}"])
    return rows(["option", "default", "meaning"], lines)


def _text(help: str | None) -> str:
    return (help or "").strip().replace(".  ", ". ")


def _section(command: click.Command) -> str:
    usage = " ".join(
        param.name.upper() for param in command.params if isinstance(param, click.Argument) and param.name
    )
    own = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    parts = [
        f"## {command.name} {usage}".rstrip(),
        _text(command.help),
        *([_options(list(own))] if own else []),
        "With `--json`:",
        rows(
            ["field", "meaning"], ([f"`{name}`", text] for name, text in FIELDS[command.name or ""].items())
        ),
    ]
    return "\n\n".join(parts)


def ctl() -> str:
    """The page."""
    return page(
        "epaxosctl",
        "epaxos/ctl and tests/generated/ctl.py, which real documents are held against",
        f"{_text(HELP)} How it is used: [epaxosctl](../operating/epaxosctl.md).",
        _options(list(GLOBAL_OPTIONS)),
        *map(_section, COMMANDS),
    )
