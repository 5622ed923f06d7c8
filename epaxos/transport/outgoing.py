"""A connection to another replica on which this one sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from epaxos.net.eager_write import write_promptly
from epaxos.transport.connection import Connection, Connections, TcpSettings
from epaxos.transport.handshake import HANDSHAKE_BYTES_MAX, check_answer
from epaxos.transport.introductions import Accepted, Refused
from epaxos.wire.codec import WireError
from epaxos.wire.frames import FrameError, FrameReader, pack

__all__ = ["Outgoing"]


@implementer(IPushProducer)
class Outgoing(Connection):
    """Greets, waits until the other side accepts, then sends frames.

    `accepted(answer)` is called when the other side has accepted, and may raise Refused; `refused(refusal)`
    when it refuses; `lost(connection, reason)` at the end, and `complain(text)` when the other side did
    something wrong.  `prove(transport)` raises Refused when the other side is not the replica that was
    dialled; that is asked before its answer is read.  While the socket takes no more, frames wait here, up to
    `queue_bytes_max`.
    """

    def __init__(
        self,
        connections: Connections,
        clock: IReactorTime,
        settings: TcpSettings,
        accepted: Callable[[Accepted], None],
        refused: Callable[[Refused], None],
        lost: Callable[[Outgoing, Failure], None],
        complain: Callable[[str], None],
        prove: Callable[[object], None],
    ) -> None:
        super().__init__(connections, clock, settings)
        self._accepted = accepted
        self._refused = refused
        self._lost = lost
        self._complain = complain
        self._prove = prove
        self._reader = FrameReader(HANDSHAKE_BYTES_MAX)
        self._paused = False
        self._unsent_bytes = 0  # of the last write: what the transport may still hold while paused
        self._queue: list[bytes] = []
        self._queue_bytes = 0
        self.given_up = False
        self.accepted = False

    @property
    def _consumer(self) -> IConsumer:
        return cast(IConsumer, self.transport)

    @property
    def backlog_bytes(self) -> int:
        """The bytes that wait here and in the transport; too high by at most the last write."""
        return self._unsent_bytes + self._queue_bytes if self._paused else 0

    def greet(self, greeting: bytes) -> None:
        """Ask the other side to accept this connection."""
        self._tcp.write(pack([greeting], HANDSHAKE_BYTES_MAX))

    def dataReceived(self, data: bytes) -> None:
        if self.given_up:
            return
        try:
            frames = self._reader.feed(data)
            if self.accepted or len(frames) > 1:
                raise WireError("it spoke on a connection that only this replica sends on")
            if not frames:
                return
            self._prove(self.transport)
            answer = check_answer(frames[0])
        except (FrameError, WireError) as error:
            self.give_up(str(error))
        except Refused as refusal:
            self.give_up(f"refused: {refusal}")
            self._refused(refusal)
        else:
            self._be_accepted(answer)

    def _be_accepted(self, answer: Accepted) -> None:
        self.accepted = True
        self._consumer.registerProducer(self, True)
        try:
            self._accepted(answer)
        except Refused as refusal:
            self._consumer.unregisterProducer()
            self.accepted = False
            self.give_up(f"refused: {refusal}")

    def give_up(self, reason: str) -> None:
        """End the connection, and log the reason."""
        if not self.given_up:
            self.given_up = True
            self._complain(f"connection closed: {reason}")
            self.abort()

    def send(self, frames: bytes) -> bool:
        """Write the frames, or keep them until the socket takes more.  False when the queue is full."""
        if not self._paused:
            self._unsent_bytes = len(frames)
            write_promptly(self.transport, frames)  # may call pauseProducing
            return True
        if self._unsent_bytes + self._queue_bytes + len(frames) > self._settings.queue_bytes_max:
            return False
        self._queue.append(frames)
        self._queue_bytes += len(frames)
        return True

    def pauseProducing(self) -> None:
        """See IPushProducer."""
        self._paused = True

    def resumeProducing(self) -> None:
        """See IPushProducer: the transport is empty, and the queue leaves in one write."""
        self._paused = False
        if self._queue:
            frames = b"".join(self._queue)
            self._forget()
            self.send(frames)

    def stopProducing(self) -> None:
        """See IPushProducer.  The timers of the protocol send again what is still needed."""
        self._forget()

    def _forget(self) -> None:
        self._queue = []
        self._queue_bytes = 0

    def hang_up(self) -> None:
        self.given_up = True
        self._forget()
        if self.accepted:
            self._consumer.unregisterProducer()  # a transport with a producer does not close
        super().hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._forget()
        self._lost(self, reason)
        super().connectionLost(reason)
