"""Backups that a store makes of its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Interface

if TYPE_CHECKING:  # the core and execution/ see this package, and nothing of Twisted through it
    from twisted.internet.defer import Deferred

__all__ = ["IBackups"]


class IBackups(Interface):
    """The backups beside the state of a store.  A backup has a name, and is made in three steps:

    `prepare` makes room for it; the write set that opens an epoch and has its name takes the state; once that
    is durable, `finish` completes it.  One is made at a time.

    No method blocks.  Every Deferred fails with Refusal, the text of which is one line.
    """

    def prepare(name: str) -> Deferred[None]:
        """A backup of this name will be made.  What another one left that was not finished is removed."""

    def finish(name: str, digest: str) -> Deferred[dict[str, Any]]:
        """The state was taken, and its write set is durable: complete the backup, durably.  `digest`: that of
        the state.  Fires with what the backup's manifest says."""

    def give_up() -> None:
        """The backup that was prepared is not to be made."""

    def listing() -> Deferred[list[dict[str, Any]]]:
        """What the manifest of each complete backup says, with its `name`, the oldest first."""

    def read(name: str, file: str, offset: int, size: int) -> Deferred[bytes]:
        """At most `size` bytes of a file of a complete backup; none behind its end."""

    def delete(name: str) -> Deferred[None]:
        """Remove a complete backup."""
