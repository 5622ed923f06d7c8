"""INFO: facts about the server, in sections."""

from __future__ import annotations

from epaxos.interfaces import Command, Reply
from epaxos.resp.commands.spec import Served
from epaxos.resp.encoder import Verbatim
from epaxos.resp.interfaces import IClient

__all__ = ["COMMANDS"]

_ALL_SECTIONS = {b"all", b"everything"}
_EVERY_SECTION = {*_ALL_SECTIONS, b"default"}


def _info(client: IClient, command: Command) -> Reply:
    wanted = {argument.lower() for argument in command[1:]}
    is_every = not wanted or not wanted.isdisjoint(_EVERY_SECTION)
    is_all = not wanted.isdisjoint(_ALL_SECTIONS)
    sections = [
        "".join([f"# {title}\r\n", *(f"{name}:{value}\r\n" for name, value in fields.items())])
        for title, fields in client.server.info(client.session.tcp_port).items()
        if (is_every and (title != "Commandstats" or is_all)) or title.lower().encode() in wanted
    ]
    return Verbatim("\r\n".join(sections).encode())


COMMANDS = {b"INFO": Served(-1, _info)}
