"""PUBLISH and SPUBLISH: commands that write the name of their channel, and change nothing.

So all messages of a channel have one order, which is the same at every replica.  The name is that of the key
that is called like the channel in database 0: a script may publish on a channel that it declares as a key, as
the scripts of most libraries do, and what writes a key and publishes on a channel of the same name stays
cheap.  A command that waits for a key of this name without need is the price.

Only a client that sends the command by itself is told the number of receivers, which each replica has its own
of.  Within a transaction, a script or EPAXOS ONCE the reply is 0, because it may become a part of the state.
"""

from __future__ import annotations

from epaxos.interfaces import Command
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Touched

__all__ = ["COMMANDS", "SHARDED"]

SHARDED = {b"PUBLISH": False, b"SPUBLISH": True}
"""The commands, and whether their channels are those of shards."""


def _publish(space: Space, command: Command) -> int:
    space.everything.telling.say(command[1], command[2], SHARDED[command[0].upper()])
    return 0


def _publish_here(space: Space, command: Command) -> int:
    return space.everything.telling.say(command[1], command[2], SHARDED[command[0].upper()])


def _find(command: Command) -> Touched:
    """The channel, whatever the database: it is found by name, so that all databases have the same."""
    return Touched((command[1],))


def _spec(name: bytes, usage: str, summary: str, hides_keys: bool) -> CommandSpec:
    return CommandSpec(
        name, _publish, 3, Keys.FIRST, True, usage=usage, summary=summary, categories=("pubsub",),
        flags=("pubsub", "loading", "stale", "fast"), complexity="O(1), and O(N) with N receivers behind it",
        plain=3, find=_find, here=_publish_here, hides_keys=hides_keys,
    )  # fmt: skip


COMMANDS = (
    _spec(
        b"PUBLISH", "PUBLISH channel message",
        "tell the message to those who listen on the channel at any replica; the reply counts the receivers"
        " of this one",
        hides_keys=True,
    ),
    _spec(
        b"SPUBLISH", "SPUBLISH channel message", "as `PUBLISH`, to those who listen by `SSUBSCRIBE`",
        hides_keys=False,
    ),
)  # fmt: skip
