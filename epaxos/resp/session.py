"""What a connection remembers of its client from one command to the next."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from epaxos.interfaces.composites import Place
from epaxos.interfaces.users import DEFAULT

if TYPE_CHECKING:
    from epaxos.interfaces.access import Access
    from epaxos.resp.tracking.mode import Mode
    from epaxos.resp.transaction import Transaction

__all__ = ["Kind", "Session", "Silence"]


class Silence(Enum):
    """Which commands get no reply (`CLIENT REPLY`)."""

    NONE = "every command is answered"
    SOON = "the one after this is not answered"
    NOW = "this one is not answered"
    ALL = "none is answered"


class Kind(Enum):
    """To what a client listens: the value is what stands before the names of the commands."""

    CHANNEL = b""
    PATTERN = b"p"
    SHARD = b"s"


class Session:
    """The state that session commands change, and that `CLIENT LIST` shows.

    `address`: of the client, as Redis shows it; `now_s`: the time of a clock that never goes back;
    `is_local`: whether the client is on this host.  Who the client is, and what it may do: `Admittance`.
    """

    def __init__(self, client_id: int, address: str, now_s: float, *, is_local: bool) -> None:
        self.client_id = client_id
        self.address = address
        self.is_local = is_local
        self.user = DEFAULT
        self.is_authenticated = False
        """Whether commands run: the client has given the password, or needs none."""
        self.certificate_user = ""
        """The common name of the certificate that the client has shown, by which a user may be found; empty
        where it came without TLS, has shown none, or has not ended its handshake."""
        self.is_greeting = False
        """Whether TLS is still in its handshake."""
        self.has_given_password = False
        """Whether it has given a right one."""
        self.access: Access | None = None
        """What the user may do; None: everything."""
        self.place = ""
        """Both addresses and the descriptor, as `CLIENT LIST` shows them."""
        self.client_name = self.library_name = self.library_version = b""
        self.resp = 2
        """The version of the protocol, 2 or 3."""
        self.silence = Silence.NONE
        self.listens: dict[Kind, dict[bytes, None]] = {kind: {} for kind in Kind}
        """What the client listens to, in order."""
        self.listens_bytes = 0
        """The bytes of these names, as the client has sent them."""
        self.is_monitor = False
        """Whether the client sees all commands."""
        self.tracking: Mode | None = None
        """How the client is told which copies of values to forget; None when it is not."""
        self.database = 0
        self.transaction: Transaction | None = None
        """What is queued since MULTI."""
        self.watched: dict[Place, None] = {}
        """The keys that the connection watches, in order."""
        self.watch_failed = False
        """Whether nobody knows whether all of them are watched, so that EXEC runs nothing."""
        self.left: object = None
        """Something, while a mark of what was watched before may not have ended; another one for each."""
        self.is_refusing = False
        """Whether MULTI was refused, so that nothing runs up to EXEC or DISCARD."""
        self.own_host = ""
        """The address at which the client reached this replica; empty when it did not come by TCP."""
        self.tcp_port = 0
        """The port that the client came to; 0 when it did not come by TCP."""
        self.connected_s = self.heard_s = now_s
        self.last_name = b""
        """The name of the last command; with its subcommand for a session command."""

    @property
    def is_plain(self) -> bool:
        """Whether commands run and are answered as usual, in database 0, and the user may do everything."""
        return self.access is None and self.is_usual

    @property
    def is_usual(self) -> bool:
        """Whether commands that the user may run do so, and are answered, as usual, in database 0."""
        return (
            self.silence is Silence.NONE
            and self.is_authenticated
            and not (self.is_refusing or self.database or self.only_listens)
            and self.transaction is None
            and self.tracking is None
        )

    @property
    def subscriptions(self) -> int:
        """To how many channels and patterns the client listens."""
        return sum(map(len, self.listens.values()))

    @property
    def only_listens(self) -> bool:
        """Whether the client could not tell replies from messages, because it listens in RESP2."""
        return self.resp == 2 and any(self.listens.values())

    @property
    def queued_bytes(self) -> int:
        """The bytes of the commands that are queued since MULTI, and of what the client listens to."""
        return self.listens_bytes + (0 if self.transaction is None else self.transaction.size_bytes)

    @property
    def is_trusted(self) -> bool:
        """Whether the client may administer the replica: it is on this host, or has given the password."""
        return self.is_authenticated and (self.is_local or self.has_given_password)

    def on_command_read(self, name: bytes) -> None:
        """What a command reads is noted: `CLIENT CACHING` is said of the next one, or of a transaction, but
        not of `CLIENT`."""
        if self.tracking is not None and self.transaction is None and name.upper() != b"CLIENT":
            self.tracking.is_chosen = False

    def on_command_over(self) -> None:
        """A command has been answered, or silenced: `CLIENT REPLY SKIP` counts commands."""
        if self.silence is Silence.SOON:
            self.silence = Silence.NOW
        elif self.silence is Silence.NOW:
            self.silence = Silence.NONE
