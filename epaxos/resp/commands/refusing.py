"""Refuses the commands that the user of a session may not run."""

from __future__ import annotations

from functools import partial

from epaxos.interfaces import Command, CommandError
from epaxos.interfaces.access import Denied
from epaxos.resp.commands import transactions
from epaxos.resp.commands.permission import denied_of
from epaxos.resp.commands.spec import Answer, Handler
from epaxos.resp.interfaces import IClient
from epaxos.resp.session import Session

__all__ = ["refusal_of", "refuse"]


def refusal_of(session: Session, command: Command) -> Handler | None:
    """What refuses a command that the user of the session may not run; None when it may."""
    if session.access is None:
        return None
    denied = denied_of(session.access, command)
    return None if denied is None else partial(refuse, denied)


def told(client: IClient, denied: Denied | CommandError, context: str) -> CommandError:
    """The error; what is denied goes to the log of `ACL LOG`."""
    if isinstance(denied, CommandError):
        return denied
    client.server.admittance.log.add(client, denied.reason, context, denied.what, denied.user)
    return denied.error()


def refuse(denied: Denied | CommandError, client: IClient, command: Command) -> Answer:
    """Refuse the command.  As with Redis, a transaction that it was meant for will not run."""
    session = client.session
    asked = session.transaction
    error = told(client, denied, "toplevel" if asked is None else "multi")
    if command[0].upper() == b"EXEC":
        session.transaction = None
        session.is_refusing = False
        return transactions.forget(client, transactions.aborted(f"of: {error}"))
    if asked is not None:
        asked.doom()
    return error
