"""MULTI, EXEC and DISCARD, which are refused: nothing meant for a transaction may run outside of one."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.resp.commands.spec import Served
from epaxos.resp.interfaces import IClient

__all__ = ["ALLOWED", "COMMANDS", "aborted", "refuse"]


def _multi(client: IClient, command: Command) -> Reply:
    client.session.is_refusing = True
    return CommandError("ERR unknown command 'MULTI': transactions are not served; nothing runs up to EXEC")


def refuse(client: IClient, command: Command) -> Reply:
    """Refuse any other command after a refused MULTI."""
    return CommandError("ERR not run: MULTI was refused, and nothing runs up to EXEC, DISCARD or RESET")


def aborted(why: str) -> CommandError:
    """What EXEC is told when nothing runs."""
    return CommandError(f"EXECABORT Transaction discarded because {why}")


def _exec(client: IClient, command: Command) -> Reply:
    session = client.session
    was_refusing, session.is_refusing = session.is_refusing, False
    if len(command) != 1:
        why = "of: wrong number of arguments for 'exec' command"
    elif was_refusing:
        why = "of previous errors."
    else:
        return CommandError("ERR EXEC without MULTI")
    return aborted(why)


def _discard(client: IClient, command: Command) -> Reply:
    client.session.is_refusing = False
    return CommandError("ERR DISCARD without MULTI")


COMMANDS = {
    b"MULTI": Served(1, _multi),
    b"EXEC": Served(-1, _exec),
    b"DISCARD": Served(1, _discard),
}
ALLOWED = frozenset([b"EXEC", b"DISCARD", b"QUIT", b"RESET"])
"""The commands that run after a refused MULTI.  An attack closes the connection then, too."""
