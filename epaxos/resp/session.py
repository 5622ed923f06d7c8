"""What a connection remembers of its client from one command to the next."""

from __future__ import annotations

from enum import Enum

__all__ = ["Session", "Silence"]


class Silence(Enum):
    """Which commands get no reply (`CLIENT REPLY`)."""

    NONE = "every command is answered"
    SOON = "the one after this is not answered"
    NOW = "this one is not answered"
    ALL = "none is answered"


class Session:
    """The state that session commands change, and that `CLIENT LIST` shows.

    `address`: of the client, as Redis shows it; `now_s`: the time of a clock that never goes back;
    `is_local`: whether the client is on this host; `needs_password`: whether it has to give a password.
    """

    def __init__(
        self, client_id: int, address: str, now_s: float, *, is_local: bool, needs_password: bool
    ) -> None:
        self.client_id = client_id
        self.address = address
        self.is_local = is_local
        self.needs_password = needs_password
        self.is_authenticated = not needs_password
        """Whether commands run: the client has given the password, or needs none."""
        self.place = ""
        """Both addresses and the descriptor, as `CLIENT LIST` shows them."""
        self.client_name = self.library_name = self.library_version = b""
        self.resp = 2
        """The version of the protocol, 2 or 3."""
        self.silence = Silence.NONE
        self.is_refusing = False
        """Whether MULTI was refused, so that nothing runs up to EXEC or DISCARD."""
        self.tcp_port = 0
        """The port that the client came to; 0 when it did not come by TCP."""
        self.connected_s = self.heard_s = now_s
        self.last_name = b""
        """The name of the last command; with its subcommand for a session command."""

    @property
    def is_plain(self) -> bool:
        """Whether commands run and are answered as usual."""
        return self.silence is Silence.NONE and self.is_authenticated and not self.is_refusing

    @property
    def is_trusted(self) -> bool:
        """Whether the client may administer the replica: it is on this host, or has given the password."""
        return self.is_authenticated and (self.is_local or self.needs_password)

    def log_out(self) -> None:
        """Forget that the client has given the password."""
        self.is_authenticated = not self.needs_password

    def on_command_over(self) -> None:
        """A command has been answered, or silenced: `CLIENT REPLY SKIP` counts commands."""
        if self.silence is Silence.SOON:
            self.silence = Silence.NOW
        elif self.silence is Silence.NOW:
            self.silence = Silence.NONE
