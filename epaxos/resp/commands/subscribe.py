"""SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites.  Who is told what: `epaxos.resp.listening`."""

from __future__ import annotations

from functools import partial

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import wrong_arity
from epaxos.resp.commands.spec import Served
from epaxos.resp.commands.transactions import aborted
from epaxos.resp.encoder import Push, Several
from epaxos.resp.interfaces import IClient
from epaxos.resp.listening.patterns import compiled_bytes
from epaxos.resp.session import Kind

__all__ = ["ALLOWED", "COMMANDS", "ping", "refuse"]

NAMES_MAX = 1000
"""The most names in one command, because each is answered by a message of its own, in one step."""
COMPILED_BYTES_MAX = 16_384
"""Bytes of the patterns of one command, not counting those that are at most 64 plain bytes and a star."""
_BEGIN = {kind: kind.value.upper() + b"SUBSCRIBE" for kind in Kind}
_END = {kind: kind.value.upper() + b"UNSUBSCRIBE" for kind in Kind}
ALLOWED = frozenset([*_BEGIN.values(), *_END.values(), b"PING", b"QUIT", b"RESET"])
"""What a client that listens may send in RESP2, whose replies it could not tell from messages otherwise."""
_TOO_MANY_NAMES = CommandError(f"ERR too many channels or patterns in one command: at most {NAMES_MAX}")
_TOO_LONG_PATTERNS = CommandError(
    f"ERR the patterns of one command have more than {COMPILED_BYTES_MAX} bytes together, not counting those"
    " that are at most 64 plain bytes and a star"
)


def refuse(client: IClient, command: Command, name: bytes) -> Reply:
    """Refuse any other command, called `name`, of a client that listens in RESP2; in Redis' words."""
    error = CommandError(
        f"ERR Can't execute '{name.decode('ascii', 'replace').lower()}': only (P|S)SUBSCRIBE /"
        " (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
    )
    return aborted(f"of: {str(error)[4:]}") if name.upper() == b"EXEC" else error


def _count(client: IClient, kind: Kind) -> int:
    """The number in the reply: shards count alone."""
    shards = len(client.session.listens[Kind.SHARD])
    return shards if kind is Kind.SHARD else client.session.subscriptions - shards


def _subscribe(kind: Kind, client: IClient, command: Command) -> Reply:
    if len(command) > NAMES_MAX + 1:
        return _TOO_MANY_NAMES
    if kind is Kind.PATTERN and sum(map(compiled_bytes, command[1:])) > COMPILED_BYTES_MAX:
        return _TOO_LONG_PATTERNS
    replies = Several()
    word = _BEGIN[kind].lower()
    for name in command[1:]:
        try:
            client.server.listeners.add(client, kind, name)
        except CommandError as error:
            replies.append(error.with_traceback(None))
            break
        replies.append(Push([word, name, _count(client, kind)]))
    return replies


def _unsubscribe(kind: Kind, client: IClient, command: Command) -> Reply:
    """Without names it ends all."""
    if len(command) > NAMES_MAX + 1:
        return _TOO_MANY_NAMES
    replies = Several()
    word = _END[kind].lower()
    for name in command[1:] or list(client.session.listens[kind]):
        client.server.listeners.remove(client, kind, name)
        replies.append(Push([word, name, _count(client, kind)]))
    return replies or Push([word, None, _count(client, kind)])


def ping(client: IClient, command: Command) -> Reply:
    """PING of a client that listens in RESP2."""
    return wrong_arity("ping") if len(command) > 2 else [b"pong", command[1] if len(command) == 2 else b""]


COMMANDS = {
    **{name: Served(-2, partial(_subscribe, kind)) for kind, name in _BEGIN.items()},
    **{name: Served(-1, partial(_unsubscribe, kind)) for kind, name in _END.items()},
}
