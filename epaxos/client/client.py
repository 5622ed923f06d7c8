"""The client: calls, and what bounds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail
from twisted.internet.task import deferLater

from epaxos.client.commands import CommandTable, check
from epaxos.client.connection import Word
from epaxos.client.contact import Manner
from epaxos.client.contacts import Contacts
from epaxos.client.delivery import Delivery, Trace
from epaxos.client.places import place_of, places_in
from epaxos.client.sessions import Sessions

__all__ = ["Client"]

CALLS_MAX = 10_000
"""Calls under way in one client."""
GOODBYE_S = 1.0
"""The seconds for which `close` waits until the cluster has ended the session."""


class _Call:
    """A call under way.  `why`: why the client has given it up, when it has."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.why: str | None = None
        self.outcome: Deferred[Any] | None = None

    def give_up(self, why: str) -> None:
        self.why = why
        if self.outcome is not None:
            self.outcome.cancel()


class Client:
    """Calls commands at the nearest replica that answers, and at another one when it does not.

    - `replicas`: `HOST:PORT`, `[IPV6]:PORT`, the path of a Unix socket, or an endpoint string of Twisted for
      clients, such as `tls:HOST:PORT`, of each.  With `discover` some are enough: they name the others.
    - `password`: the cluster's; "" for none.
    - `exactly_once`: whether a command that writes is sent again when it is not answered.  It runs once then
      all the same.
    - `timeout_s`: the seconds after which a call is given up.
    - `suspect_s`: the seconds after which a replica that owes an answer and says nothing is left.
    - `reactor`: Twisted's own when it is None.  `random`: what pauses are drawn from.

    Raises ValueError for an address that is none.
    """

    def __init__(
        self,
        replicas: Iterable[str],
        *,
        password: str = "",
        exactly_once: bool = True,
        timeout_s: float = 30.0,
        suspect_s: float = 1.5,
        discover: bool = True,
        reactor: Any = None,
        random: Random | None = None,
    ) -> None:
        if isinstance(replicas, str):
            raise ValueError(f"replicas is a list of addresses, not the text {replicas!r}")
        if reactor is None:
            from twisted.internet import reactor
        self._clock: Any = reactor
        self._timeout_s = timeout_s
        places = [place_of(reactor, text) for text in replicas]
        if not places:
            raise ValueError("at least one replica has to be named")
        table = CommandTable()
        manner = Manner(reactor, random or Random(), password, suspect_s)
        self._contacts = Contacts(reactor, places, manner, table, discover)
        self._sessions = Sessions(self._make_session) if exactly_once else None
        self._delivery = Delivery(self._contacts, table, self._sessions)
        self._calls: set[_Call] = set()
        self._closed: Deferred[None] | None = None

    @classmethod
    def from_config(cls, path: str | PathLike[str], **options: Any) -> Client:
        """A client of the cluster that a configuration file describes, with its password.

        `options`: see Client.  Raises ConfigError for a file with mistakes, and ValueError where a client
        port is one of TLS, because the file does not say which certificates to trust.
        """
        replicas, password = places_in(path)
        return cls(replicas, **{"password": password, **options})

    def connect(self) -> Deferred[None]:
        """Fires when a replica serves this client.  Calls connect by themselves, too.

        Fails with ReplyError when all replicas refuse it, and with UnavailableError after `timeout_s`.
        """
        return self._begin(_Call(Trace("connecting", only_reads=True)), None)

    def call(self, *command: Word) -> Deferred[Any]:
        """Run a command: its name and its arguments, each a word.

        Fires with the reply: None, int, bytes, or a list of such.  Fails with

        - ReplyError when the command was refused, or found an error in what it met;
        - UnavailableError when it was not run within `timeout_s`;
        - MayHaveRunError when it may have run, and its reply is lost;
        - ValueError for a command that waits, or is about one connection; TypeError for what is no word.
        """
        try:
            words = tuple(map(_encoded, command))
            check(words)
        except (TypeError, ValueError):
            return fail()
        return self._begin(_Call(Trace(words[0].decode(errors="replace").upper())), words)

    def pipeline(self, commands: Iterable[Sequence[Word]]) -> Deferred[list[Any]]:
        """Run several commands, sent together.  They may run in any order, and are no transaction.

        Fires with the list of their replies; the error of a command that failed, of those of `call`, takes
        the place of its reply.
        """
        calls = DeferredList([self.call(*command) for command in commands], consumeErrors=True)
        return calls.addCallback(_replies)

    def close(self) -> Deferred[None]:
        """Give up all calls under way, and close all connections.  Fires when they are closed."""
        if self._closed is None:
            for call in list(self._calls):
                call.give_up("the client was closed")
            self._closed = Deferred.fromCoroutine(self._leave())
        done: Deferred[None] = Deferred()
        self._closed.addBoth(_pass_on, done)
        return done

    async def __aenter__(self) -> Client:
        try:
            await self.connect()
        except Exception:  # Python does not call __aexit__ then, and the client would try for ever
            await self.close()
            raise
        return self

    def __aexit__(self, *_: object) -> Deferred[None]:
        return self.close()

    def _begin(self, call: _Call, words: tuple[bytes, ...] | None) -> Deferred[Any]:
        outcome = Deferred.fromCoroutine(self._run(call, words))
        call.outcome = outcome
        return outcome

    async def _run(self, call: _Call, words: tuple[bytes, ...] | None) -> Any:
        if self._closed is not None:
            raise call.trace.error("the client is closed")
        if len(self._calls) >= CALLS_MAX:
            raise call.trace.error(f"{CALLS_MAX} calls are under way")
        self._contacts.start()
        self._calls.add(call)
        late = self._clock.callLater(self._timeout_s, self._on_late, call)
        try:
            return await self._work(call.trace, words)
        except CancelledError:
            if call.why is None:
                raise
            raise call.trace.error(call.why) from None
        finally:
            self._calls.discard(call)
            if late.active():
                late.cancel()

    async def _work(self, trace: Trace, words: tuple[bytes, ...] | None) -> Any:
        if words is not None:
            return await self._delivery.deliver(words, trace)
        while self._contacts.current is None:
            await self._contacts.change()
        return None

    def _on_late(self, call: _Call) -> None:
        why = "" if self._contacts.current is not None else f": {self._contacts.why()}"
        call.give_up(f"no replica answered within {self._timeout_s:g} s{why}")

    def _make_session(self) -> Deferred[bytes]:
        """Repeated like a read, because a session whose id nobody got to know does no harm."""
        trace = Trace("EPAXOS SESSION", only_reads=True)
        return Deferred.fromCoroutine(self._delivery.repeat(lambda: ("EPAXOS", "SESSION"), trace))

    async def _leave(self) -> None:
        await deferLater(self._clock, 0)  # whoever closes may be called by a contact
        contact, session = self._contacts.current, self._sessions and self._sessions.session
        if contact is not None and session:
            goodbye = contact.ask("EPAXOS", "SESSION", "END", session.id)
            await goodbye.addTimeout(GOODBYE_S, self._clock).addErrback(lambda _: None)
        await self._contacts.stop()


def _encoded(word: Word) -> bytes:
    """Raises TypeError for what is no word."""
    if isinstance(word, bytes):
        return word
    if isinstance(word, bool) or not isinstance(word, (str, int, float)):
        raise TypeError(f"a word of a command is bytes, str, int or float, not {word!r}")
    return str(word).encode()


def _replies(results: list[tuple[bool, Any]]) -> list[Any]:
    return [result if succeeded else result.value for succeeded, result in results]


def _pass_on(result: Any, done: Deferred[None]) -> Any:
    done.callback(None)
    return result
