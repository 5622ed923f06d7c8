"""The sending side: for each other replica one link, which dials until the other side accepts it.

The states of a link (`stop` leads from each of them to STOPPED)::

    IDLE ── dial ──► CONNECTING ── connected ──► GREETING ── accepted ──► ACCEPTED
                     ▲    ▲  │                      │                        │
                dial │    │  │ failed or too late   │ refused or too late    │ lost
                     │    │  ▼                      ▼                        │
                     │   WAITING ◄──────────────────┘                        │
                     │      ▲         soon after it was accepted             │
                     │      └────────────────────────────────────────────────┤
                     └───────────────────────────────────────────────────────┘
                                      later: at once
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from random import Random
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from epaxos.net.quiet_log import Complaints
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.connection import Connections, TcpSettings
from epaxos.transport.handshake import WHOEVER, PeerIdentity, greet
from epaxos.transport.introductions import Accepted, Refused
from epaxos.transport.outgoing import Outgoing
from epaxos.transport.presence import Presence
from epaxos.transport.proof import NO_PROOFS, Proofs
from epaxos.wire.frames import CONTROL, pack, pack_tagged

__all__ = ["Link", "LinkState"]

_DOUBLINGS_MAX = 30


class LinkState(Enum):
    """The states of a link; the picture in the module's docstring shows the ways between them."""

    IDLE = "nobody has asked for a connection yet"
    WAITING = "the next attempt to connect is due later"
    CONNECTING = "an attempt to connect is under way"
    GREETING = "connected; the other side has not answered the greeting"
    ACCEPTED = "the other side has accepted the connection: messages can be sent"
    STOPPED = "no connection is made any more"


class Link:
    """The way to the replica `peer`, or to WHOEVER is at the endpoint, in one of the states of LinkState.

    `dial` begins; `stop` ends.  `acquaintances` are what this process knows of the others; without them it
    does not introduce itself, and the frames have form 1.  `wire` is the form of the frames of the present
    connection, and `met(accepted)` is called when there is a new one.
    """

    _log = Logger()

    def __init__(
        self,
        identity: PeerIdentity,
        peer: int,
        endpoint: IStreamClientEndpoint,
        presence: Presence,
        *,
        complaints: Complaints,
        clock: IReactorTime,
        random: Random,
        settings: TcpSettings,
        proofs: Proofs = NO_PROOFS,
    ) -> None:
        self.bytes_sent = 0
        self.wire = 1
        self.acquaintances: Acquaintances | None = None
        self.met: Callable[[int, Accepted], None] = _nothing
        self.state = LinkState.IDLE
        self._name = "to the cluster" if peer == WHOEVER else f"to replica {peer}"
        self._identity = identity
        self._peer = peer
        self._endpoint = endpoint
        self._presence = presence
        self._complaints = complaints
        self._clock = clock
        self._random = random
        self._settings = settings
        self._prove = partial(proofs.of_listener, peer)
        self._connections = Connections()
        self._redial: IDelayedCall | None = None
        self._attempt: Deferred[Outgoing] | None = None
        self._deadline: IDelayedCall | None = None
        self._connection: Outgoing | None = None
        self._dialled_at_s = 0.0
        self._accepted_at_s = 0.0
        self._failures = 0

    @property
    def is_connected(self) -> bool:
        """Whether messages can be sent."""
        return self.state is LinkState.ACCEPTED

    @property
    def backlog_bytes(self) -> int:
        """The bytes that wait to be sent."""
        return 0 if self._connection is None else self._connection.backlog_bytes

    def send(self, chunks: list[bytes], epoch: int = 0) -> bool:
        """Send the encoded messages of `epoch` in one write.  False when they were dropped.

        A link of form 1 carries those of epoch 0 alone.
        """
        if self.wire == 1:
            return not epoch and self._send(pack(chunks, self._settings.frame_bytes_max))
        return self._send(pack_tagged(chunks, epoch, self._settings.frame_bytes_max))

    def send_control(self, control: bytes, form: int = 2) -> bool:
        """Send an encoded control message.  False when it was dropped, as on a link below `form`."""
        if self.wire < form or len(control) > self._settings.frame_bytes_max:
            return False
        return self._send(pack_tagged([control], CONTROL, self._settings.frame_bytes_max))

    def _send(self, frames: bytes) -> bool:
        if self.state is not LinkState.ACCEPTED or self._connection is None:
            return False
        if not self._connection.send(frames):
            self._complain(f"messages are dropped: {self._settings.queue_bytes_max} bytes wait already")
            return False
        self.bytes_sent += len(frames)
        return True

    def dial(self) -> None:
        """Connect now, unless there is a connection or an attempt, or the link is stopped."""
        if self.state is not LinkState.IDLE and self.state is not LinkState.WAITING:
            return
        self.state = LinkState.CONNECTING
        _cancel(self._redial)
        self._dialled_at_s = self._clock.seconds()
        self._deadline = self._clock.callLater(self._settings.handshake_timeout_s, self._on_deadline)
        self._attempt = cast("Deferred[Outgoing]", self._endpoint.connect(_OutgoingFactory(self)))
        self._attempt.addCallbacks(self._on_connected, self._on_failed)

    def stop(self) -> Deferred[None]:
        """Close the connection and make no other.  Fires when it is gone."""
        self.state = LinkState.STOPPED
        _cancel(self._redial)
        _cancel(self._deadline)
        if self._attempt is not None:
            self._attempt.cancel()
        return self._connections.close()

    def build(self) -> Outgoing:
        """The protocol for a new connection."""
        return Outgoing(
            self._connections,
            self._clock,
            self._settings,
            self._on_accepted,
            self._on_refused,
            self._on_lost,
            self._complain,
            self._prove,
        )

    def _on_connected(self, connection: Outgoing) -> None:
        # Only here, not when the connection is made: an attempt that was cancelled too late never greets.
        self._attempt = None
        self.state = LinkState.GREETING
        self._connection = connection
        acquaintances = self.acquaintances
        who = None if acquaintances is None else acquaintances.myself.introduction()
        connection.greet(greet(self._identity, self._peer, who))

    def _on_failed(self, failure: Failure) -> None:
        self._attempt = None
        _cancel(self._deadline)
        if self.state is LinkState.STOPPED:
            return
        if isinstance(failure.value, (CancelledError, ConnectingCancelledError)):
            reason = f"no connection within {self._settings.handshake_timeout_s:g} s"
        else:
            reason = _in_words(failure)
        self._complain(f"cannot connect: {reason.rstrip('.')}; trying again until it answers")
        self._retry(self._settings.backoff_max_s)
        self._presence.outgoing_failed()

    def _on_deadline(self) -> None:
        if self.state is LinkState.CONNECTING and self._attempt is not None:
            self._attempt.cancel()
        elif self.state is LinkState.GREETING and self._connection is not None:
            self._connection.give_up(
                f"no answer to the greeting within {self._settings.handshake_timeout_s:g} s"
            )

    def _on_refused(self, refusal: Refused) -> None:
        told = refusal.told
        if self.acquaintances is not None and told is not None:
            self.acquaintances.on_refused(self._peer, refusal.kind, told.by, told.heard_written)

    def _on_accepted(self, answer: Accepted) -> None:
        """The other side has accepted.  Raises Refused when it is not the one that was dialled."""
        self.wire = 1
        if self.acquaintances is not None:
            self.acquaintances.on_accepted(self._peer, answer.by, answer.heard_written)
            self.wire = 1 if answer.by is None else answer.by.wire
        _cancel(self._deadline)
        self.state = LinkState.ACCEPTED
        self._accepted_at_s = self._clock.seconds()
        self._log.info("{name}: connected", name=self._name)
        self._presence.outgoing_made(self._accepted_at_s - self._dialled_at_s)
        self.met(self._peer, answer)

    def _on_lost(self, connection: Outgoing, reason: Failure) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        _cancel(self._deadline)
        if self.state is LinkState.STOPPED:
            return
        tls = connection.explain(reason)
        if self.state is LinkState.ACCEPTED:
            why = tls or reason.getErrorMessage()
            self._log.info("{name}: connection lost: {why}", name=self._name, why=why)
            self._redial_lost()
            self._presence.outgoing_lost()
            return
        if not connection.given_up:
            self._complain(
                "connection closed before the greeting was answered"
                if tls is None
                else f"cannot connect: {tls}"
            )
        self._retry(self._settings.backoff_max_s)
        self._presence.outgoing_failed()

    def _redial_lost(self) -> None:
        """Dial at once, because an attempt shows whether the other side is there.

        When connections end soon after they were accepted, wait longer and longer, but at most
        `reconnect_max_s`, so that the other side does not suspect this replica.
        """
        settings = self._settings
        self.state = LinkState.WAITING
        if self._clock.seconds() - self._accepted_at_s >= settings.reconnect_max_s:
            self._failures = 0
            self.dial()
        else:
            self._retry(min(settings.reconnect_max_s, settings.backoff_max_s))

    def _retry(self, longest_s: float) -> None:
        self.state = LinkState.WAITING
        settings = self._settings
        delay_s = min(longest_s, settings.backoff_min_s * 2**self._failures)
        self._failures = min(self._failures + 1, _DOUBLINGS_MAX)
        # Half of the wait is random, so that replicas that failed together do not dial in step.
        self._redial = self._clock.callLater(delay_s * self._random.uniform(0.5, 1.0), self.dial)

    def _complain(self, text: str) -> None:
        self._complaints.warn(self._name, text)


def _nothing(peer: int, answer: Accepted) -> None:
    """Do nothing, because nobody waits for it."""


class _OutgoingFactory(Factory):
    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    def buildProtocol(self, address: IAddress | None) -> Outgoing:
        return self._link.build()


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()


def _in_words(failure: Failure) -> str:
    """Why connecting failed, without a traceback, which a ConnectError may hold in place of its text."""
    for within in getattr(failure.value, "args", ())[:1]:
        if isinstance(within, Failure):
            return str(within.getErrorMessage())
    return str(failure.getErrorMessage())
