"""The bounds on what clients may take of one replica."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["RespLimits"]


@dataclass
class RespLimits:
    """The bounds of the frontend.  All who look at them share one object, so a change counts at once."""

    clients_max: int
    """Connections served at a time; a further one gets an error and is closed."""
    command_bytes_max: int
    """Bytes of one command; after a longer one its connection is closed."""
    clients_bytes_max: int
    """Bytes held for all clients together; above it the client that holds the most is cut off."""
    keepalive_s: int
    """The silence of a client until TCP probes it.  A client that has vanished is noticed after about twice
    this time; 0: only when something is sent to it."""
    timeout_s: float
    """A client that is idle for this time is cut off; 0: never."""
    pipeline_commands_max: int = 10_000
    """Commands of one connection under way; nothing more is received from it until some are answered."""
    pipeline_bytes_max: int = 32_000_000
    """The same for the bytes of these commands, and of the replies that the client has not taken."""
    descriptor_max: int | None = None
    """A client whose socket gets this descriptor or a higher one is refused, because the store needs the
    rest; None: no bound."""

    def take(self, others: RespLimits) -> None:
        """Have the same values as the others from now on."""
        for each in fields(self):
            setattr(self, each.name, getattr(others, each.name))

    def settings(self) -> dict[str, str]:
        """What `CONFIG GET` shows of those that can change."""
        return {
            "maxclients": str(self.clients_max),
            "tcp-keepalive": str(self.keepalive_s),
            "timeout": f"{self.timeout_s:g}",
        }
