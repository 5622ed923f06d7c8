"""SELECT: the database of the commands that follow."""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import INT_MAX, INT_MIN, NOT_AN_INT, NOT_AN_INTEGER, OK, integer_of
from epaxos.resp.commands.spec import Served
from epaxos.resp.commands.versions import too_new
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS", "selected"]


def selected(client: IClient, command: Command) -> int | CommandError:
    """The number of the database that a SELECT asks for, or what is wrong with it."""
    number = integer_of(command[1])
    if number is None:
        return CommandError(NOT_AN_INTEGER)
    if not INT_MIN <= number <= INT_MAX:
        return CommandError(NOT_AN_INT)
    if not 0 <= number < max(1, client.server.replica.databases()):
        return CommandError("ERR DB index is out of range")
    return too_new(client, "select") or number if number else 0


def _select(client: IClient, command: Command) -> Reply:
    number = selected(client, command)
    if isinstance(number, CommandError):
        return number
    client.session.database = number
    return OK


COMMANDS = {b"SELECT": Served(2, _select)}
