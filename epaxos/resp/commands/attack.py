"""POST and `Host:` close the connection, because a web page can make a browser send commands behind them."""

from __future__ import annotations

from epaxos.interfaces import Command, Reply
from epaxos.resp.commands.spec import Served
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]

ATTACK = (
    "Possible SECURITY ATTACK detected: it sent POST or Host: as a command, as a web page does that makes a"
    " browser send commands (Cross Protocol Scripting). Connection aborted."
)


def _attack(client: IClient, command: Command) -> Reply:
    client.end(ATTACK)
    return None


COMMANDS = {
    b"POST": Served(-1, _attack),
    b"HOST:": Served(-1, _attack),
}
