"""`\\0USERS …`, which changes the users (docs: operating/security, "Users").

All of them have one name, so every replica has the same ones at the same place of the order.
"""

from __future__ import annotations

from epaxos.interfaces import Command, CommandError, Reply
from epaxos.interfaces.redis import OK
from epaxos.interfaces.users import BEGIN, DELETE, SET, USERS, USERS_NAME
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Touched

__all__ = ["COMMANDS"]


_LEAST = {SET: 3, DELETE: 3, BEGIN: 5}


def _change(space: Space, command: Command) -> Reply:
    table, word = space.everything.users, command[1]
    if word == DELETE:
        return table.delete(command[2:])
    if word == SET:
        table.set(command[2], command[3:])
    else:
        table.begin(command[2], command[3:])
    return OK


def _check(command: Command) -> None:
    if len(command) < _LEAST.get(command[1], len(command) + 1):
        raise CommandError("a change of users without what belongs to it")


def _find(command: Command) -> Touched:
    return Touched((USERS_NAME,))


COMMANDS = (CommandSpec(USERS, _change, -3, Keys.NONE, True, check=_check, find=_find),)
