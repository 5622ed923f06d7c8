"""What the rest of the frontend sees of a client connection, and what session commands see of the server.

The interfaces let the turn, the session commands and the register of connections work with a connection
without importing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from epaxos.interfaces import Command, CommandError, IClients, Reply
from epaxos.interfaces.glob import Glob

if TYPE_CHECKING:
    from epaxos.connections.blocking import Blocked
    from epaxos.interfaces.access import Access, Units
    from epaxos.interfaces.instruments import LatencyMonitor
    from epaxos.interfaces.users import User, Users
    from epaxos.resp.hiredis_parser import RespError
    from epaxos.resp.limits import RespLimits
    from epaxos.resp.pause import Pause
    from epaxos.resp.pipeline import Pipeline
    from epaxos.resp.session import Kind, Session
    from epaxos.resp.slowlog import SlowCommands
    from epaxos.resp.tracking.mode import Mode
    from epaxos.resp.watching import Watching

__all__ = [
    "NEEDS_RESTART",
    "ClusterView",
    "IAclLog",
    "IAdmittance",
    "IClient",
    "IClientConnection",
    "ICommandTable",
    "IListeners",
    "ILiveSettings",
    "IServer",
    "ITracking",
    "Member",
    "Place",
    "SettingError",
]


class Member(NamedTuple):
    """A member of the cluster, and its state as this replica sees it.

    `peer`: how the other replicas reach it; `client`, `status`: how others do, or, where that is not known,
    on what it listens; empty when neither is known.  `uid`: that of its data folder in hex; empty when it is
    not known.  `version`: the highest version of commands that its program can do, as digits; empty when it
    is not connected.
    """

    id: int
    peer: str
    client: str
    status: str
    state: str
    uid: str = ""
    version: str = ""


class Place(NamedTuple):
    """Where clients reach a member by TCP, and whether the member seems to be up from here."""

    number: int
    host: str
    port: int
    is_here: bool
    is_up: bool


class ClusterView(NamedTuple):
    """The cluster as this replica sees it: its name, and the number of the epoch.

    `places` has the members that clients can reach by TCP, in the order of the list.  `has_majority`:
    whether this replica is a member, and a majority of all members is up.
    """

    name: str
    epoch: int
    places: Sequence[Place]
    has_majority: bool

    @property
    def live(self) -> list[Place]:
        """Who is up: this replica first, then in the order of the list."""
        return sorted((place for place in self.places if place.is_up), key=lambda place: not place.is_here)


class ICommandTable(Interface):
    """What COMMAND tells of each command."""

    entries: Mapping[bytes, list[Reply]] = Attribute("By the names in lower case, as in COMMAND INFO.")
    sentences: Mapping[bytes, Reply] = Attribute("By the names in lower case, as in COMMAND DOCS.")

    def in_category(name: bytes) -> list[Reply]:
        """The names of the commands of this category, without @."""


class IListeners(Interface):
    """The clients that listen at this replica."""

    def add(client: IClient, kind: Kind, name: bytes) -> None:
        """The client listens to `name` from now on, which its session has, too.  Raises CommandError."""

    def remove(client: IClient, kind: Kind, name: bytes) -> None:
        """The client listens to `name` no more, if it did."""

    def discard(client: IClient) -> None:
        """The client listens to nothing any more, or has never listened."""

    def count(kind: Kind, name: bytes) -> int:
        """How many clients listen to `name`."""

    def number(kind: Kind) -> int:
        """To how many names of this kind clients listen."""

    def matching(kind: Kind, pattern: Glob) -> list[bytes] | Deferred[list[bytes]]:
        """The names of this kind that clients listen to and that match; later where there are many."""


class IMonitors(Interface):
    """The clients that see all commands of the clients of this replica (MONITOR)."""

    is_empty: bool = Attribute("Whether nobody does.")

    def add(client: IClient) -> None:
        """The client sees them from now on."""

    def discard(client: IClient) -> None:
        """The client sees them no more, or never did."""

    def show(client: IClient, command: Command) -> None:
        """A client sends this command."""


class ITracking(Interface):
    """The clients that are told which copies of values to forget (CLIENT TRACKING)."""

    def start(client: IClient, mode: Mode) -> None:
        """The client tracks from now on, in this mode, or changes its mode."""

    def stop(client: IClient) -> None:
        """The client tracks no more, or never did."""

    def remember(client: IClient, database: int, command: Command) -> bool:
        """The client sends this command now, which has passed `check`: note the keys that it may read.

        Returns whether there are any.
        """

    def on_own_write(client: IClient) -> None:
        """The client, which need not be told of what it writes, gets the reply to a write now."""


NEEDS_RESTART = "can't set immutable config: it needs a restart"
"""Why CONFIG SET does not change a setting."""


class SettingError(Exception):
    """The setting `name` cannot have the value that a client wants; the text says why, as in Redis."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


class ILiveSettings(Interface):
    """The settings of this replica, as `CONFIG` shows and changes them."""

    def shown() -> Mapping[str, str]:
        """All settings that may be seen, by their names in lower case."""

    def read(given: Mapping[str, str]) -> Any:
        """The change that gives these settings these values.  Raises SettingError for the first that cannot
        be changed to its value while the replica runs.  Nothing is changed."""

    def take(change: Any) -> None:
        """Change the settings as `read` has found: from now on they count."""

    def rewrite() -> Deferred[None]:
        """Write the present values into the configuration file.  Fails with Refusal."""


class IAclLog(Interface):
    """What users were not allowed to do at this replica, the newest first."""

    def add(client: IClient, reason: str, context: str, what: bytes, user: bytes) -> None:
        """`reason`: auth, command, key or channel.  `context`: toplevel or multi."""

    def clear() -> None:
        """Forget all entries."""

    def show(count: int) -> list[Reply]:
        """The newest `count` entries, as Redis 7.2 shows them."""


class IAdmittance(Interface):
    """Who the clients are, and what they may do."""

    log: IAclLog = Attribute("What users were not allowed to do.")
    units: Units = Attribute("What rules can name.")
    users: Users = Attribute("The users that are executed here.")
    is_open: bool = Attribute("Whether `default` is on, and needs no password.")
    is_for_this_host: bool = Attribute("Whether every client from elsewhere is refused.")

    def find(name: bytes) -> User | None:
        """The user of this name."""

    def access_of(name: bytes) -> Access | None:
        """What the user may do; None: everything."""

    def before() -> Sequence[Command]:
        """What runs before a change of users, so that the first users are not lost."""

    def greet(session: Session) -> None:
        """A client has come."""

    def log_out(session: Session) -> None:
        """The client is `default` again."""

    def log_in_certified(session: Session) -> None:
        """The client has shown a certificate: it is the user of its common name, if there is such a one."""

    def log_in(client: IClient, name: bytes, password: bytes) -> Deferred[Reply] | CommandError | None:
        """The client is this user from now on; else what it is told, later.  A client that was let in before
        stays who it was then, as with Redis."""


class IServer(Interface):
    """The server, as session commands see it."""

    replica: IClients = Attribute("The replica behind the server.")
    admittance: IAdmittance = Attribute("Who the clients are, and what they may do.")
    limits: RespLimits = Attribute("The bounds of each client.")
    watching: Watching = Attribute("What all clients watch.")
    blocked: Blocked = Attribute("The clients that wait for elements.")
    waiting: set[Deferred[Any]] = Attribute("The replies of all clients that come later.")
    settings: Mapping[str, str] = Attribute("What `CONFIG GET` shows, but for what all replicas share.")
    pause: Pause = Attribute("Whether commands of clients wait.")
    listeners: IListeners = Attribute("Who listens to what.")
    monitors: IMonitors = Attribute("Who sees all commands.")
    tracking: ITracking = Attribute("The clients that are told which copies of values to forget.")
    command_table: ICommandTable = Attribute("What `COMMAND` tells of each command.")

    slow: SlowCommands = Attribute("The commands that took long.")
    latency: LatencyMonitor = Attribute("When something took long.")
    live: ILiveSettings | None = Attribute("The settings of this replica; None where it has none.")

    def fits(command: Command) -> bool:
        """Whether the replica knows a command of this name that takes this number of arguments."""

    def info(tcp_port: int) -> Mapping[str, Mapping[str, object]]:
        """What `INFO` shows a client that came to `tcp_port`: sections of fields."""

    def clients() -> Mapping[int, IClient]:
        """All connected clients by their ids."""

    def members() -> Sequence[Member]:
        """The members of the cluster."""

    def view(host: str) -> ClusterView:
        """The cluster, as a client is told of it that has reached this replica at `host`."""

    def check_address(name: str, text: str) -> None:
        """Raise ValueError when no member can be reached at `text`; `name`: of what, `peer_connect` say."""

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

    def deliver(message: Reply) -> None:
        """Tell the client something that it has not just asked for, behind the replies to what it has."""

    def push(output: bytes) -> int:
        """Tell the client messages, encoded for its version of the protocol, behind the replies to what it
        has asked for.  Several clients may share `output`.  Returns how many bytes it has not
        taken."""

    def cut_off(why: str) -> None:
        """Close the connection at once, drop what waits for it, and log that it was cut off, and `why`."""

    def leave() -> None:
        """Run no more of its commands; close the connection once all before are answered and taken."""

    def end(why: str) -> None:
        """Close the connection at once, drop what waits for it, and log `why`."""


class IClientConnection(IClient):
    """A client connection, as the turn, the sorter and the register of connections see it."""

    pipeline: Pipeline = Attribute("The commands of the client under way, and their replies in order.")

    def is_between_commands() -> bool:
        """Whether the next byte begins a command, and commands run at once and are answered as usual."""

    def dataReceived(data: bytes) -> None:
        """See Twisted's IProtocol."""

    def take(commands: list[list[bytes]], size_bytes: int) -> None:
        """Run these commands, one or more, which the client sent in `size_bytes` bytes."""

    def refuse(error: RespError) -> None:
        """What the client sent is no command: tell the client, log `error`, and leave."""

    def heed_pause() -> None:
        """A pause (`IServer.pause`) has begun, or is over."""

    def hang_up() -> None:
        """Run no more of its commands; close the connection once everything that is answered is taken."""
