"""One command on its way: from replica to replica, until one answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError

from epaxos.client.commands import CommandTable, Kind, kept_bytes
from epaxos.client.connection import Word
from epaxos.client.contacts import Contacts
from epaxos.client.errors import (
    MAY_STILL_RUN,
    LostError,
    MayHaveRunError,
    ReplyError,
    UnavailableError,
    is_unavailable,
)
from epaxos.client.sessions import Sessions

__all__ = ["Delivery", "Trace"]

SESSIONS_TRIED = 3
"""Sessions that a write is begun in, when the cluster has forgotten the one before."""


class Trace:
    """What is known of one command.  `may_have_run`: some replica may have run it, or may still."""

    def __init__(self, name: str, only_reads: bool = False) -> None:
        self.name = name
        self.only_reads = only_reads
        self.may_have_run = False

    def error(self, why: str) -> UnavailableError | MayHaveRunError:
        """What its caller is told when nothing more is tried."""
        if self.may_have_run and not self.only_reads:
            return MayHaveRunError(f"{self.name} may have run: {why}")
        return UnavailableError(f"{self.name} was not run: {why}")


class Delivery:
    """Delivers commands in the way that their kinds allow.  `sessions`: None without ONCE."""

    def __init__(self, contacts: Contacts, table: CommandTable, sessions: Sessions | None) -> None:
        self._contacts = contacts
        self._table = table
        self._sessions = sessions

    async def deliver(self, command: Sequence[bytes], trace: Trace) -> Any:
        """The reply.  Raises ReplyError, UnavailableError or MayHaveRunError."""
        while self._contacts.current is None:  # nor is the table of commands known before
            await self._contacts.change()
        kind = self._table.kind(command)
        if kind is Kind.READ:
            trace.only_reads = True
            return await self.repeat(lambda: command, trace)
        if kind is Kind.WRITE and self._sessions is not None:
            return await self._run_once(command, trace, self._sessions)
        return await self._send(lambda: command, trace, may_repeat=False)

    async def repeat(self, words: Callable[[], Sequence[Word]], trace: Trace) -> Any:
        """The reply to `words()`, which are sent until a replica answers.  Raises ReplyError."""
        return await self._send(words, trace, may_repeat=True)

    async def _send(self, words: Callable[[], Sequence[Word]], trace: Trace, may_repeat: bool) -> Any:
        contacts = self._contacts
        while True:
            while (contact := contacts.current) is None:
                await contacts.change()
            try:
                return await contact.ask(*words())
            except CancelledError:
                trace.may_have_run = True
                raise
            except LostError as error:
                trace.may_have_run = True
                why = f"{contact.place.name}: {error}"
            except ReplyError as error:
                if not is_unavailable(error):
                    raise
                why = f"{contact.place.name}: {error}"
                trace.may_have_run = trace.may_have_run or str(error).endswith(MAY_STILL_RUN)
                contact.shun(str(error))
            if trace.may_have_run and not may_repeat:
                raise trace.error(why)

    async def _run_once(self, command: Sequence[bytes], trace: Trace, sessions: Sessions) -> Any:
        for _ in range(SESSIONS_TRIED):
            ticket = await sessions.take(kept_bytes(command))
            try:
                return await self.repeat(partial(ticket.within_once, command), trace)
            except ReplyError as error:
                if error.code == "ONCEREFUSED":
                    trace.may_have_run = False  # each replica refuses it
                    break
                if error.code == "ONCELOST":
                    trace.may_have_run = True
                    raise trace.error(str(error)) from error
                if error.code != "NOSESSION":
                    raise
                sessions.forget(ticket.session)
                if trace.may_have_run:
                    raise trace.error(str(error)) from error
            finally:
                sessions.end(ticket)
        else:
            raise trace.error(f"the cluster has forgotten {SESSIONS_TRIED} sessions, one after the other")
        self._table.refused_by_once(command)
        return await self._send(lambda: command, trace, may_repeat=False)
