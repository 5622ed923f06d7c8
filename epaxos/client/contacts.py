"""All replicas that the client knows, and which of them is asked."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from epaxos.client.commands import CommandTable
from epaxos.client.contact import Contact, Manner
from epaxos.client.errors import ClientError, ReplyError
from epaxos.client.nearest import nearest
from epaxos.client.places import Place, places_of_members

__all__ = ["Contacts"]

CONTACTS_MAX = 100
"""Replicas that the client connects to; further members that are learned are left out."""
LOOK_EVERY_S = 5.0
"""The seconds between two questions for the members, which may have been replaced one after the other."""


class Contacts:
    """Keeps a connection to each replica.  `current`: the one to ask now; None when none is ready.

    With `learns`, the members that a replica names are connected to, too, and those of them that it names no
    more are left when they do not answer.  So the one that is asked is asked for the members now and then,
    and whenever one of them is lost.
    """

    def __init__(
        self, reactor: Any, places: Iterable[Place], manner: Manner, table: CommandTable, learns: bool
    ) -> None:
        self.current: Contact | None = None
        self._reactor = reactor
        self._manner = manner
        self._table = table
        self._learns = learns
        self._by_name = {place.name: Contact(place, manner, self) for place in places}
        self._waiting: list[Deferred[None]] = []
        self._is_running = False
        self._ready = 0
        self._looks = LoopingCall(self._look)
        self._looks.clock = reactor

    def start(self) -> None:
        """Begin to connect, unless that was done before."""
        if not self._is_running:
            self._is_running = True
            for contact in list(self._by_name.values()):
                contact.start()
            if self._learns:
                self._looks.start(LOOK_EVERY_S, now=False)

    def stop(self) -> Deferred[Any]:
        """Close all connections.  Fires when they are closed."""
        if not self._is_running:
            return DeferredList([])
        self._is_running = False
        self.current = None
        self._stop_looking()
        return DeferredList([contact.stop() for contact in self._by_name.values()])

    def change(self) -> Deferred[None]:
        """Fires when some replica may be ready.  Fails with ReplyError when all refuse this client."""
        changed: Deferred[None] = Deferred()
        self._waiting.append(changed)
        for contact in self._by_name.values():
            contact.hurry()
        self._tell_refusal()
        return changed

    def why(self) -> str:
        """Why no replica is ready, of each."""
        return "; ".join(f"{contact.place.name}: {contact.why}" for contact in self._by_name.values())

    def is_needed(self) -> bool:
        """See Watcher."""
        self._waiting = [changed for changed in self._waiting if not changed.called]
        return bool(self._waiting)

    def on_change(self) -> None:
        """See Watcher."""
        if not self._is_running:
            return
        ready = [contact for contact in self._by_name.values() if contact.is_ready]
        self.current = nearest(ready, self.current)
        if len(ready) < self._ready:
            self._look()
        self._ready = len(ready)
        if self.current is None:
            self._tell_refusal()
            return
        for changed in self._take_waiting():
            changed.callback(None)

    def on_greeting(self, contact: Contact, commands: Any, members: Any) -> None:
        """See Watcher."""
        self._table.learn(commands)
        self._on_members(contact, members)

    def _on_members(self, contact: Contact, members: Any) -> None:
        address = contact.place.address
        if self._is_running and self._learns and address is not None and isinstance(members, list):
            self._learn(list(places_of_members(self._reactor, members, address)), contact)

    def _look(self) -> None:
        """Ask who the members are now.  A question that is not answered is asked again."""
        contact = self.current
        if contact is not None and self._looks.running:
            found = contact.ask("EPAXOS", "MEMBERS").addCallback(partial(self._on_members, contact))
            found.addErrback(self._on_unanswered)

    def _on_unanswered(self, failure: Failure) -> Failure | None:
        if not isinstance(failure.value, ClientError):
            return failure
        if isinstance(failure.value, ReplyError):
            self._stop_looking()  # it is not for this client, and will not be
        return None

    def _stop_looking(self) -> None:
        if self._looks.running:
            self._looks.stop()

    def _tell_refusal(self) -> None:
        named = [contact for contact in self._by_name.values() if not contact.is_learned]
        refusals = [contact.refusal for contact in named if contact.refusal is not None]
        if len(refusals) == len(named):
            for changed in self._take_waiting():
                changed.errback(refusals[0])

    def _take_waiting(self) -> list[Deferred[None]]:
        waiting, self._waiting = self._waiting, []
        return [changed for changed in waiting if not changed.called]

    def _learn(self, places: list[Place], teacher: Contact) -> None:
        names = {place.name for place in places}
        for name, contact in list(self._by_name.items()):
            if contact.is_learned and name not in names and contact is not teacher and not contact.is_ready:
                del self._by_name[name]
                contact.stop()
        for place in places:
            if place.name not in self._by_name and len(self._by_name) < CONTACTS_MAX:
                contact = Contact(place, self._manner, self, is_learned=True)
                self._by_name[place.name] = contact
                contact.start()
