"""What the rest of the frontend sees of a client connection, and what session commands see of the server.

The interfaces let the turn, the session commands and the register of connections work with a connection
without importing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from epaxos.interfaces import IClients, Reply
from epaxos.net.door import Door

if TYPE_CHECKING:
    from epaxos.resp.hiredis_parser import RespError
    from epaxos.resp.pipeline import Pipeline
    from epaxos.resp.session import Session

__all__ = ["IClient", "IClientConnection", "IServer", "Member"]


class Member(NamedTuple):
    """A member of the cluster, and its state as this replica sees it.

    `peer`: how the other replicas reach it; `client`, `status`: how others do, or, where that is not known,
    on what it listens; empty when neither is known.  `uid`: that of its data folder in hex; empty when it is
    not known.
    """

    id: int
    peer: str
    client: str
    status: str
    state: str
    uid: str = ""


class IServer(Interface):
    """The server, as session commands see it."""

    replica: IClients = Attribute("The replica behind the server.")
    door: Door = Attribute("Who may use the port.")
    waiting: set[Deferred[Any]] = Attribute("The replies of all clients that come later.")
    settings: Mapping[str, str] = Attribute("What `CONFIG GET` shows.")
    command_table: Sequence[list[Reply]] = Attribute("What `COMMAND` shows: an entry for each command.")

    def info(tcp_port: int) -> Mapping[str, Mapping[str, object]]:
        """What `INFO` shows a client that came to `tcp_port`: sections of fields."""

    def clients() -> Mapping[int, IClient]:
        """All connected clients by their ids."""

    def members() -> Sequence[Member]:
        """The members of the cluster."""

    def complain(address: str, text: str) -> None:
        """Log that the client at `address` has done something wrong."""

    def reset_statistics() -> None:
        """Count anew what `INFO` shows as statistics."""


class IClient(Interface):
    """A client, as the session commands see it: those that its connection answers by itself."""

    server: IServer = Attribute("The server that the client is connected to.")
    session: Session = Attribute("What the connection remembers of the client.")

    def describe() -> str:
        """The client's line of `CLIENT LIST`, which ends with a line feed."""

    def leave() -> None:
        """Run no more of its commands; close the connection once all before are answered and taken."""

    def refuse_attack(text: str) -> None:
        """Close the connection at once, drop what waits for it, and log `text`."""


class IClientConnection(IClient):
    """A client connection, as the turn, the sorter and the register of connections see it."""

    pipeline: Pipeline = Attribute("The commands of the client under way, and their replies in order.")
    is_between_commands: bool = Attribute(
        "Whether the next byte begins a command, and commands run and are answered as usual."
    )

    def dataReceived(data: bytes) -> None:
        """See Twisted's IProtocol."""

    def take(commands: list[list[bytes]], size_bytes: int) -> None:
        """Run these commands, one or more, which the client sent in `size_bytes` bytes."""

    def refuse(error: RespError) -> None:
        """What the client sent is no command: tell the client, log `error`, and leave."""

    def cut_off(why: str) -> None:
        """Close the connection at once, drop what waits for it, and log that it was cut off, and `why`."""

    def hang_up() -> None:
        """Run no more of its commands; close the connection once everything that is answered is taken."""
