"""The commands on groups of consumers: XGROUP, and XACK.

Source: t_stream.c of Redis 7.2.
"""

from __future__ import annotations

from typing import Any

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK, text_of
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, at_once
from epaxos.statemachines.redis.streams.arguments import STEP_ENTRIES, ids_of, number_of
from epaxos.statemachines.redis.streams.groups import UNKNOWN, Group
from epaxos.statemachines.redis.streams.ids import parse
from epaxos.statemachines.redis.streams.limits import may_have_consumer, may_have_group
from epaxos.statemachines.redis.streams.stream import Stream
from epaxos.statemachines.redis.streams.waiting import LAST
from epaxos.statemachines.redis.subcommands import Subcommand, container

__all__ = ["COMMANDS", "existing_group", "wrong_syntax"]

_NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the"
    " MKSTREAM option to create an empty stream automatically."
)


def _options(command: Command) -> tuple[bool, int]:
    """Of CREATE and SETID: whether to make the stream, and the entries read.  Raises CommandError."""
    creates, makes, entries_read = command[1].upper() == b"CREATE", False, UNKNOWN
    words = iter(command[5:])
    for word in words:
        name = word.upper()
        if creates and name == b"MKSTREAM":
            makes = True
        elif name == b"ENTRIESREAD" and (text := next(words, None)) is not None:
            entries_read = number_of(text)
            if entries_read < UNKNOWN:
                raise CommandError("ERR value for ENTRIESREAD must be positive or -1")
        else:
            raise wrong_syntax(command)
    return makes, entries_read


def wrong_syntax(command: Command) -> CommandError:
    """The error for a subcommand that cannot be understood."""
    return CommandError(
        f"ERR unknown subcommand or wrong number of arguments for '{text_of(command[1])}'. Try"
        f" {command[0].upper().decode()} HELP."
    )


def _check_options(command: Command) -> None:
    _options(command)


def existing_group(space: Space, key: bytes, name: bytes, error: str = _NO_KEY) -> Group:
    """A group, to be read.  Raises CommandError; `error`: where there is no stream."""
    stream = space.typed(key, Stream)
    if stream is None:
        raise CommandError(error)
    group = stream.groups.get(name)
    if group is None:
        raise CommandError(
            f"NOGROUP No such consumer group '{text_of(name, len(name))}' for key name"
            f" '{text_of(key, len(key))}'"
        )
    return group


def _owned(space: Space, command: Command) -> tuple[Stream, Group]:
    """The stream and the group, to be changed.  Raises CommandError."""
    existing_group(space, command[2], command[3])
    stream = space.own(command[2], Stream)
    return stream, stream.groups.owned(command[3])


def _position(stream: Stream | None, text: bytes, strict: bool) -> int:
    if text == LAST:
        return stream.last_id if stream is not None else 0
    return parse(text, strict=strict)


def _create(space: Space, command: Command) -> Reply:
    key, name, text = command[2:5]
    makes, entries_read = _options(command)
    stream = space.typed(key, Stream)
    if stream is None and not makes:
        raise CommandError(_NO_KEY)
    last_id = _position(stream, text, True)
    if stream is not None:
        if stream.groups.get(name) is not None:
            raise CommandError("BUSYGROUP Consumer Group name already exists")
        may_have_group(stream)
    stream = space.own(key, Stream)
    stream.groups.create(name, last_id, entries_read)
    space.keep(key, stream)
    return OK


def _setid(space: Space, command: Command) -> Reply:
    _, entries_read = _options(command)
    existing_group(space, command[2], command[3])
    last_id = _position(space.typed(command[2], Stream), command[4], False)
    stream, group = _owned(space, command)
    group.last_id, group.entries_read = last_id, entries_read
    space.keep(command[2], stream)
    return OK


def _destroy(space: Space, command: Command) -> Reply:
    key, name = command[2:]
    stream = space.typed(key, Stream)
    if stream is None:
        raise CommandError(_NO_KEY)
    if stream.groups.get(name) is None:
        return 0
    stream = space.own(key, Stream)
    stream.groups.remove(name)
    space.keep(key, stream)
    return 1


def _create_consumer(space: Space, command: Command) -> Reply:
    group = existing_group(space, command[2], command[3])
    if group.consumer(command[4]) is not None:
        return 0
    may_have_consumer(group, command[4])
    stream, group = _owned(space, command)
    group.create(command[4], space.now_ms)
    space.keep(command[2], stream)
    return 1


def _delete_consumer(space: Space, command: Command, size: int) -> Piecewise:
    key, name = command[2], command[4]
    if existing_group(space, key, command[3]).consumer(name) is None:
        return 0
    stream, group = _owned(space, command)
    pending = group.owned(name).pending
    count = len(pending)
    while len(pending):
        for number in pending.some_from(0)[0]:
            group.settle(number)
        yield
    group.remove(name)
    space.keep(key, stream)
    return count


_GROUP = {
    b"CREATE": Subcommand(
        _create, -5,
        ("CREATE <key> <groupname> <id|$> [option]", "Create a new consumer group. Options are:",
         "* MKSTREAM", "  Create the empty stream if it does not exist.",
         "* ENTRIESREAD entries_read", "  Set the group's entries_read counter (internal use)."),
        _check_options, flags=("write", "denyoom"),
    ),
    b"CREATECONSUMER": Subcommand(
        _create_consumer, 5,
        ("CREATECONSUMER <key> <groupname> <consumer>", "Create a new consumer in the specified group."),
        takes_time=True, flags=("write", "denyoom"),
    ),
    b"DELCONSUMER": Subcommand(
        at_once(_delete_consumer), 5,
        ("DELCONSUMER <key> <groupname> <consumer>", "Remove the specified consumer."),
        in_pieces=_delete_consumer, flags=("write",),
    ),
    b"DESTROY": Subcommand(
        _destroy, 4, ("DESTROY <key> <groupname>", "Remove the specified group."), flags=("write",)
    ),
    b"SETID": Subcommand(
        _setid, -5,
        ("SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
         "Set the current group ID and entries_read counter."),
        _check_options, flags=("write",),
    ),
}  # fmt: skip


# -- XACK


def _xack_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    key, name = command[1:3]
    stream = space.typed(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        return 0
    ids = yield from ids_of(command[3:])
    stream = space.own(key, Stream)
    group = stream.groups.owned(name)
    settled = 0
    for start in range(0, len(ids), STEP_ENTRIES):
        if start:
            yield
        settled += sum(map(group.settle, ids[start : start + STEP_ENTRIES]))
    if settled:
        space.keep(key, stream)
    return settled


COMMANDS: tuple[Any, ...] = (
    container(
        b"XGROUP", _GROUP, "XGROUP CREATE|CREATECONSUMER|DELCONSUMER|DESTROY|SETID key group [argument ...]",
        "create and destroy groups of consumers, and consumers; set the id up to which a group has read",
        ("stream",), writes=True,
    ),
    CommandSpec(
        b"XACK", at_once(_xack_in_pieces), -4, Keys.FIRST, True, usage="XACK key group id [id ...]",
        summary="entries are not pending any more; the reply counts those that were",
        categories=("stream",), in_pieces=_xack_in_pieces, complexity="O(N) with N ids",
    ),
)  # fmt: skip
