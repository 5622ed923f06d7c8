"""What a call may fail with, and what each failure says of the command."""

from __future__ import annotations

__all__ = ["ClientError", "LostError", "MayHaveRunError", "ReplyError", "UnavailableError", "is_unavailable"]

UNAVAILABLE = {"CLUSTERDOWN", "LOADING", "TRYAGAIN"}
"""The codes of errors that are not about the command: another replica, or a later attempt, may run it."""
MAY_STILL_RUN = "; the command may still run"
"""The end of such an error when the replica had proposed the command (docs: reference/errors)."""


class ClientError(Exception):
    """The base of everything below."""


class ReplyError(ClientError):
    """A replica answered with an error, and the text is what it said: the command was not run."""

    @property
    def code(self) -> str:
        """The first word of the text, such as `ERR`."""
        return str(self).partition(" ")[0]


class UnavailableError(ClientError):
    """No replica ran the command in time: it was not run, and will not be.

    Of a command that only reads, this says that nobody answered.
    """


class MayHaveRunError(ClientError):
    """The command may have run once, may run later, or never; it never runs twice."""


class LostError(ClientError):
    """A connection was lost before the reply.  Calls are told one of the errors above instead."""


def is_unavailable(error: ReplyError) -> bool:
    """Whether the replica that answered cannot serve now, whatever the command."""
    return error.code in UNAVAILABLE
