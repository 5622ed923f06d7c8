"""MULTI, EXEC, DISCARD, WATCH and UNWATCH (docs: using/clients).

What a client queues is kept in its session, and handed to the replica as one command by EXEC.  WATCH makes a
mark in the replicated state.  With a state machine that has no transactions MULTI is refused, and nothing
runs up to EXEC, because it was meant for a transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from epaxos.interfaces import Command, CommandError, NilArray, Reply, SimpleString, Unavailable
from epaxos.interfaces.access import Denied
from epaxos.interfaces.composites import Place, Queued, transaction, unwatched, watched
from epaxos.interfaces.composites import Transaction as Asked
from epaxos.interfaces.once import not_inside
from epaxos.interfaces.redis import OK
from epaxos.resp.commands.permission import denied_of, with_rights
from epaxos.resp.commands.run import ByReplica, Waits
from epaxos.resp.commands.selecting import selected
from epaxos.resp.commands.spec import Answer, Handler, Served
from epaxos.resp.commands.versions import too_new
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Session
from epaxos.resp.transaction import Transaction
from epaxos.resp.watching import WATCHED_MAX

__all__ = ["ALLOWED", "COMMANDS", "aborted", "exec_once", "forget", "may_wait", "queue", "refuse"]

QUEUED_MAX = 10_000
"""The most commands of a transaction, because some of what they cost is one step."""
OWN_MAX = 100
"""The most of them that the connection answers by itself, because all of these are answered in one step.  One
with a long answer counts as several (Transaction.add)."""
_QUEUED = SimpleString("QUEUED")
_UNWATCH_BYTES = 100
_OF_SUBCOMMANDS = r"\w+ (unknown subcommand '|wrong number of arguments for '\w+\|)"
_WORD_BYTES = 32


def may_wait(session: Session, name: bytes) -> bool:
    """Whether a command changes nothing that the replies before it depend on, so that it need not be answered
    before what is behind it is handed to the replica."""
    if name == b"EXEC":
        return session.transaction is None or not session.transaction.has_own
    return name in COMMANDS or (session.transaction is not None and name not in ALLOWED)


# -- MULTI, and what is queued


def _multi(client: IClient, command: Command) -> Reply:
    session = client.session
    if session.transaction is not None:
        return CommandError("ERR MULTI calls can not be nested")
    why_not = too_new(client, "multi")
    if why_not is not None:
        session.is_refusing = True
        return why_not
    if not client.server.replica.databases():
        session.is_refusing = True
        return CommandError(
            "ERR unknown command 'MULTI': transactions are not served; nothing runs up to EXEC"
        )
    session.transaction = Transaction()
    return OK


def refuse(client: IClient, command: Command) -> Reply:
    """Refuse any other command after a refused MULTI."""
    return CommandError("ERR not run: MULTI was refused, and nothing runs up to EXEC, DISCARD or RESET")


def queue(handler: Handler | None, is_wrong: bool, client: IClient, command: Command) -> Reply:
    """Queue a command; `handler`: see Transaction.  `is_wrong`: the handler says what is wrong with it."""
    asked = client.session.transaction
    assert asked is not None
    error: Any = None
    bytes_max = client.server.limits.pipeline_bytes_max
    if is_wrong and handler is not None:
        error = handler(client, command)
    elif handler is None:
        try:
            client.server.replica.check(command)
        except CommandError as why:
            error = why.with_traceback(None)
            if str(why).startswith("ERR ") and not _is_seen_at_once(client, command, str(why)):
                handler, error = partial(_say, error), None  # Redis, too, finds it only when it runs
    if error is None and not asked.is_doomed:
        asked.add(command, handler)
        if asked.size_bytes > bytes_max or len(asked.queued) > QUEUED_MAX:
            error = CommandError(
                f"ERR the transaction is too long: more than {QUEUED_MAX} commands, or than {bytes_max} bytes"
            )
        elif asked.own > OWN_MAX:
            error = CommandError(
                f"ERR the transaction is too long: more than {OWN_MAX} commands that this replica"
                " answers by itself"
            )
    if error is not None:
        asked.doom()
        return error  # type: ignore[no-any-return]
    return _QUEUED


def _is_seen_at_once(client: IClient, command: Command, why: str) -> bool:
    """Whether Redis finds this before it queues the command: there is no such command or subcommand, or it
    has another number of arguments."""
    return not client.server.fits(command) or re.match(_OF_SUBCOMMANDS, why) is not None


def _say(reply: Reply, client: IClient, command: Command) -> Reply:
    return reply


# -- EXEC


def aborted(why: str) -> CommandError:
    """What EXEC is told when nothing runs."""
    return CommandError(f"EXECABORT Transaction discarded because {why}")


def _exec(client: IClient, command: Command) -> Answer:
    session = client.session
    asked, session.transaction = session.transaction, None
    was_refusing, session.is_refusing = session.is_refusing, False
    if len(command) != 1:
        return forget(client, aborted("of: wrong number of arguments for 'exec' command"))
    if was_refusing:
        return aborted("of previous errors.")
    if asked is None:
        return CommandError("ERR EXEC without MULTI")
    if asked.is_doomed:
        return forget(client, aborted("of previous errors."))
    _check_again(client, asked)
    try:
        queued = _placed(client, asked)
    except CommandError as why:
        return forget(client, aborted(f"of: {why}"))
    if session.watch_failed:
        return forget(client, NilArray())
    _remember(client, queued)
    own = asked if asked.has_own else None
    if not (queued or session.watched):
        return _answered_here(client, asked)
    owner, places = _take_watched(client)
    finish = partial(_finish, client, own, session.left if places else None)
    return _run(queued, owner, places, finish, asked.size_bytes, holds=asked.has_own)


def _check_again(client: IClient, asked: Transaction) -> None:
    """As with Redis, what the user may not do any more is answered with an error, and the others run."""
    access = client.session.access
    if access is None:
        return
    for number, (command, _) in enumerate(asked.queued):
        denied = denied_of(access, command)
        if denied is not None:
            asked.queued[number] = (command, partial(_say, _changed_since(denied)))
            asked.own += 1


def _changed_since(denied: Denied | CommandError) -> CommandError:
    if isinstance(denied, CommandError):
        return denied
    return CommandError(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call."
        f" This command is no longer allowed for the following reason: {_REASONS[denied.reason]}"
    )


_REASONS = {
    "command": "no permission to execute the command or subcommand",
    "key": "no permission to touch the specified keys",
    "channel": "no permission to access one of the channels used as arguments to the command",
}


def _placed(client: IClient, asked: Transaction) -> list[Queued]:
    """The commands that the replica runs, each with its database, which a SELECT among them changes.

    Raises CommandError for one that cannot run any more, because of the time since it was queued.
    """
    database = client.session.database
    queued: list[Queued] = []
    for command, handler in asked.queued:
        if handler is None:
            client.server.replica.check(command)
            queued.append((database, with_rights(client.session.access, command)))
        elif command[0].upper() == b"SELECT":
            number = selected(client, command)
            if isinstance(number, int):
                database = number
    return queued


def _remember(client: IClient, queued: list[Queued]) -> None:
    """Note the keys that the transaction reads, of which the client may keep copies."""
    if client.session.tracking is not None:
        for database, command in queued:
            client.server.tracking.remember(client, database, command)


def _run(
    queued: list[Queued],
    owner: Any,
    places: list[Place],
    finish: Callable[[Reply | Unavailable], Reply],
    size_bytes: int,
    holds: bool = False,
) -> ByReplica:
    size_bytes += _WORD_BYTES * len(queued) + sum(len(key) + _WORD_BYTES for _, key in places)
    return ByReplica((transaction(Asked(owner, places, queued)),), finish, size_bytes, holds)


_OF_REPLICA = object()
"""The place of a reply that the replica gives."""


def _answered_here(client: IClient, asked: Transaction) -> list[Any]:
    """The replies to the commands that the connection answers itself, with places for the others."""
    return [
        _OF_REPLICA if handler is None else _own(client, command, handler)
        for command, handler in asked.queued
    ]


def _own(client: IClient, command: Command, handler: Handler) -> Reply:
    reply = handler(client, command)
    if isinstance(reply, Deferred):
        reply.addErrback(lambda _: None)
        reply.cancel()
        return CommandError("ERR Command not allowed inside a transaction")
    assert not isinstance(reply, Waits)  # what may wait is run by the replica here
    if not isinstance(reply, ByReplica):
        return reply
    if command[0].upper() == b"UNWATCH":
        return OK  # EXEC has ended the mark
    return CommandError("ERR Command not allowed inside a transaction")


def _finish(client: IClient, own: Transaction | None, left: object, outcome: Reply | Unavailable) -> Reply:
    """The reply to EXEC.  `own`: a transaction in which the connection answers some commands, which it does
    once the others have run.  `left`: of the mark that EXEC ends (Session), None where there is none."""
    if outcome is None or isinstance(outcome, list):
        _has_ended(client, left)
    if own is None or not isinstance(outcome, list):
        return _reply(outcome)
    rest = iter(outcome)
    return [next(rest) if reply is _OF_REPLICA else reply for reply in _answered_here(client, own)]


def _reply(outcome: Reply | Unavailable) -> Reply:
    if isinstance(outcome, Unavailable):
        return CommandError(str(outcome))
    return NilArray() if outcome is None else outcome


def exec_once(client: IClient, command: Command) -> Answer:
    """EPAXOS ONCE session seq acked EXEC: the transaction as one number of the session."""
    session = client.session
    asked, session.transaction = session.transaction, None
    assert asked is not None
    if asked.is_doomed:
        return forget(client, aborted("of previous errors."))
    if session.watched or session.watch_failed or asked.has_own or not asked.queued:
        return forget(client, not_inside(command[5]))
    access = session.access
    if access is not None and any(
        denied_of(access, queued) is not None or with_rights(access, queued) is not queued
        for queued, _ in asked.queued
    ):
        return forget(
            client, CommandError("NOPERM the user may not run all of the transaction inside EPAXOS ONCE")
        )
    head = list(command[:5])
    try:
        client.server.replica.check([*head, *asked.queued[0][0]])
        queued = _placed(client, asked)
    except CommandError as why:
        return aborted(f"of: {why}")
    _remember(client, queued)
    once = [*head, *transaction(Asked(None, [], queued))]
    return ByReplica((once,), _reply, asked.size_bytes)


# -- WATCH


def _watch(client: IClient, command: Command) -> Answer:
    session, watching = client.session, client.server.watching
    if session.transaction is not None:
        return CommandError("ERR WATCH inside MULTI is not allowed")
    why_not = too_new(client, "watch")
    if why_not is not None:
        return why_not
    if not client.server.replica.databases():
        return CommandError("ERR unknown command 'WATCH': transactions are not served")
    places = [
        place
        for place in dict.fromkeys((session.database, key) for key in command[1:])
        if place not in session.watched
    ]
    if not places:
        return OK
    if watching.keys + len(places) > WATCHED_MAX:
        session.watch_failed = True
        return CommandError(
            f"ERR too many keys are watched: at most {WATCHED_MAX} by all clients of a replica"
        )
    owner = watching.owner(session.client_id)
    before = watching.begin() if session.left is None else (*watching.begin(), unwatched(owner))
    session.watched.update(dict.fromkeys(places))
    watching.keys += len(places)
    made = watched(owner, places)
    finish = partial(_on_watched, client, session.left)
    return ByReplica((*before, made), finish, sum(map(len, made)))


def _on_watched(client: IClient, left: object, outcome: Reply | Unavailable) -> Reply:
    """A mark of which nobody knows whether it was made in time guards nothing: EXEC runs nothing then."""
    if isinstance(outcome, Unavailable):
        client.session.watch_failed = True
        return CommandError(str(outcome))
    _has_ended(client, left)
    client.server.watching.has_begun = True
    return outcome


def _take_watched(client: IClient) -> tuple[Any, list[Place]]:
    """What the connection watches, and from now on watches no more; its mark is left until EXEC has ended it,
    which one that is refused does not."""
    session = client.session
    if not session.watched:
        return None, []
    places = list(session.watched)
    session.watched.clear()
    client.server.watching.keys -= len(places)
    session.left = object()
    return client.server.watching.owner(session.client_id), places


def _has_ended(client: IClient, left: object) -> None:
    """The mark has ended, unless the connection has left another one since."""
    if client.session.left is left:
        client.session.left = None


def forget(client: IClient, reply: Reply) -> Answer:
    """Answer `reply`, and watch nothing any more."""
    session = client.session
    was_failed, session.watch_failed = session.watch_failed, False
    if not (session.watched or was_failed or session.left is not None):
        return reply
    client.server.watching.keys -= len(session.watched)
    session.watched.clear()
    session.left = object()
    made = unwatched(client.server.watching.owner(session.client_id))
    return ByReplica((made,), partial(_on_unwatched, client, session.left, reply), _UNWATCH_BYTES)


def _on_unwatched(client: IClient, left: object, reply: Reply, outcome: Reply | Unavailable) -> Reply:
    """The reply does not depend on whether the mark has ended: if not, it is ended before the next one."""
    if not isinstance(outcome, Unavailable):
        _has_ended(client, left)
    return reply


def _unwatch(client: IClient, command: Command) -> Answer:
    return forget(client, OK)


def _discard(client: IClient, command: Command) -> Answer:
    session = client.session
    asked, session.transaction = session.transaction, None
    session.is_refusing = False
    return CommandError("ERR DISCARD without MULTI") if asked is None else forget(client, OK)


COMMANDS = {
    b"MULTI": Served(1, _multi),
    b"EXEC": Served(1, _exec, answers_any_length=True),
    b"DISCARD": Served(1, _discard),
    b"WATCH": Served(-2, _watch),
    b"UNWATCH": Served(1, _unwatch),
}
ALLOWED = frozenset([b"EXEC", b"DISCARD", b"MULTI", b"WATCH", b"QUIT", b"RESET"])
"""The commands that are not queued behind MULTI.  An attack closes the connection then, too."""
