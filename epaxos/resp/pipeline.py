"""The commands of one client that are under way, and their replies, in order and within bounds.

A span goes through three stations: it is expected (`expect`), answered (`on_outcome`), and written.  The
usual case, in which the only span is answered and the socket takes everything, is short.  Long replies
are encoded and written in steps, by turns with other clients (`writers.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from epaxos.connections.order import COMMANDS_TOGETHER, Order
from epaxos.interfaces import Command, CommandError, Outcome, Reply, Unavailable
from epaxos.interfaces.composites import IN
from epaxos.net.eager_write import send_promptly
from epaxos.net.shared_reader import Source
from epaxos.resp.encoder import REPLY_OVERHEAD_BYTES, STEP_BYTES, encode_if_small, measure
from epaxos.resp.holding import Account, Share
from epaxos.resp.limits import RespLimits
from epaxos.resp.session import Session, Silence
from epaxos.resp.span import Span
from epaxos.resp.statistics import Counted
from epaxos.resp.together import Together
from epaxos.resp.traffic import Traffic
from epaxos.resp.writers import Writers

__all__ = ["Pipeline"]

SEND_BYTES = 262_144
"""Bytes of a long value that a socket is given in one step, at most."""
SHARED_BYTES = 1024
"""Longer messages count once in `clients_bytes_max` for all clients that wait for them."""
UNCOUNTED_BYTES = 65_536
"""Longer commands count in `clients_bytes_max` while they come and while they are under way."""


class Pipeline:
    """Submits commands of one client and writes the replies in the order of the commands.

    It stops receiving while too much is under way, or while the client takes no replies.  `is_leaving`: no
    more commands run, and the connection closes after the last reply; `is_gone`: nothing is written any
    more.
    """

    def __init__(
        self,
        clients: Counted,
        limits: RespLimits,
        traffic: Traffic,
        writers: Writers,
        account: Account,
        session: Session,
    ) -> None:
        counted: Any = clients
        self.order = Order(counted, partial(clients.submit, who=lambda _: session))
        self._traffic = traffic
        self._writers = writers
        self._session = session
        self._commands_max = limits.pipeline_commands_max
        self._bytes_max = limits.pipeline_bytes_max
        self._spans: deque[Span] = deque()
        self._commands = 0
        self._bytes = 0
        self._pieces: Iterator[bytes] | None = None  # the replies of the first span
        self._following = b""  # the next piece of them, already encoded
        self._pending: bytes | memoryview = b""  # the end of the last piece, which the socket has not taken
        self._streamed_bytes = 0
        self._wire: Any = None
        self._is_full = False
        self.account = account
        self.source: Source | None = None
        """Where commands come from; None before that is known, and after the connection is lost."""
        self.coming_bytes = 0
        """Bytes that have come of a command that is not complete."""
        self.is_paused = False
        """Whether nothing is received from the client."""
        self.is_held_up = False
        """Whether commands wait that nobody has looked at yet: see `sorter.py`."""
        self.messages_pass_last = False
        """Whether the last reply is that of a client that waits for elements: messages come before it."""
        self.hears_no_more = False
        """Whether the client has closed its side of the connection."""
        self.is_leaving = False
        self.is_gone = False
        self.is_writing = False
        """See Writer."""
        self.was_active = False
        """Whether something came, or was taken, since somebody reset this."""

    def open(self, wire: Any) -> None:
        """Write to `wire`, the transport, from now on."""
        self._wire = wire

    @property
    def is_empty(self) -> bool:
        """Whether no command is under way, and the client has taken all replies."""
        return not (self._spans or self._pending or self._is_full)

    @property
    def awaits_answer(self) -> bool:
        """Whether the client waits for the replica, rather than the replica for the client."""
        return bool(self._spans) and not self._spans[0].is_answered

    # -- commands

    def submit_together(self, together: Together) -> None:
        """As `submit`, where some replies are other ones than those of the replica."""
        if together.are_plain:
            self.submit(together.commands, together.size_bytes)
        elif not self.is_gone:
            span = self.expect(together.commands, together.size_bytes)
            self._commands += together.replies - span.commands
            span.commands = together.replies
            done = self.on_outcome if self._session.silence is Silence.NONE else self._on_unwanted

            def fill(outcome: Outcome) -> None:
                replies = together.fill(outcome)
                if together.changes_session:
                    span.resp = self._session.resp  # HELLO may be among them
                done(span, replies)

            self.order.submit(together.commands, fill, together.size_bytes)

    def submit(self, commands: Sequence[Command], size_bytes: int) -> None:
        """Let the replica run `commands`, all of which are valid; of `size_bytes` bytes."""
        if len(commands) <= COMMANDS_TOGETHER:
            self._submit_together(commands, size_bytes)
            return
        share = size_bytes * COMMANDS_TOGETHER // len(commands)
        for start in range(0, len(commands), COMMANDS_TOGETHER):
            self._submit_together(commands[start : start + COMMANDS_TOGETHER], share)

    def _submit_together(self, commands: Sequence[Command], size_bytes: int) -> None:
        if self.is_gone:  # the commands before these made the client hold too much
            return
        span = self.expect(commands, size_bytes)
        done: Callable[[Span, Outcome], None] = self.on_outcome
        if self._session.silence is not Silence.NONE:
            done = self._on_unwanted
        self.order.submit(commands, partial(done, span), size_bytes)

    def _on_unwanted(self, span: Span, outcome: Outcome) -> None:
        """The client has asked for no reply (`CLIENT REPLY`)."""
        self.on_outcome(span, ())

    def expect(self, commands: Sequence[Command], size_bytes: int) -> Span:
        """The replica runs these commands now; the next replies are theirs."""
        session, traffic, count = self._session, self._traffic, len(commands)
        traffic.commands_processed += count
        session.heard_s = traffic.turn_s
        name = commands[-1][0]
        if name[0]:  # else it is what the connection has made of what the client sent
            session.last_name = name
        elif name == IN:
            session.last_name = commands[-1][2]
        span = Span(count, size_bytes, session.resp, None)
        self._spans.append(span)
        self._commands += count
        self._bytes += size_bytes
        self.was_active = True
        if size_bytes > UNCOUNTED_BYTES:
            self.count_own()
        if self._commands >= self._commands_max or self._bytes >= self._bytes_max:
            self.regulate()
        return span

    def answer(self, output: bytes) -> None:
        """The next reply is `output`: that of a command which the connection answers by itself."""
        span = Span(1, len(output), self._session.resp, output)
        self._spans.append(span)
        self._commands += 1
        self._bytes += span.size_bytes

    def push(self, output: bytes) -> int:
        """Write messages behind the replies to the commands that have come.  Others may share `output`.

        Returns about how many bytes the client has not taken.
        """
        place = len(self._spans) - self.messages_pass_last
        if not (place > 0 or self._pending or self._is_full):  # the usual case
            sent = send_promptly(self._wire, output)
            if sent < len(output):
                self._pending = memoryview(output)[sent:]
                self.count_own()
            return len(output) - sent
        span = Span(0, len(output), self._session.resp, output)
        self._spans.insert(place, span)
        self._bytes += len(output)
        if len(output) > SHARED_BYTES:
            span.share = Share(REPLY_OVERHEAD_BYTES, {id(output): output})
            self._streamed_bytes += len(output)
            self.account.hold(span.share)
        self.flush()
        return self._bytes + len(self._pending)

    def expect_later(self, size_bytes: int = 0) -> Span:
        """The next reply comes later, by `on_outcome`: that of a command which the connection answers, and
        which takes `size_bytes` until then."""
        span = Span(1, size_bytes, self._session.resp, None)
        self._spans.append(span)
        self._commands += 1
        self._bytes += size_bytes
        if size_bytes > UNCOUNTED_BYTES:
            self.count_own()
        return span

    # -- replies

    def on_outcome(self, span: Span, outcome: Outcome) -> None:
        """The commands of `span` have run, or could not."""
        if self.is_gone:
            return
        replies: Sequence[Reply]
        if isinstance(outcome, Unavailable):
            replies = [CommandError(str(outcome))] * span.commands
        else:
            replies = outcome
        output = encode_if_small(replies, span.resp)
        if output is None:
            self._hold_replies(span, replies)
            return
        spans = self._spans
        if len(spans) == 1 and spans[0] is span and not (self.is_leaving or self._is_full or self._pending):
            spans.clear()  # the usual case
            self._commands = self._bytes = 0
            sent = send_promptly(self._wire, output)
            if sent < len(output):
                self._pending = memoryview(output)[sent:]
            if self.account.own_bytes or self._pending:
                self.count_own()
            if self.is_paused:
                self.regulate()
            return
        span.output = output
        self._bytes += len(output) - span.size_bytes
        span.size_bytes = len(output)
        self.flush()
        self.regulate()

    def _hold_replies(self, span: Span, replies: Sequence[Reply]) -> None:
        """Long replies stay as they are, and are encoded while the client takes them."""
        size = measure(replies)
        span.replies = replies
        self._bytes += size.encoded - span.size_bytes
        span.size_bytes = size.encoded
        self._streamed_bytes += size.encoded
        share = span.share = Share(size.own, size.large)
        self.count_own()
        if not self.is_gone:
            self.account.hold(share)  # which may cut off this client, too
        if not self.is_gone and self._spans[0].is_answered:
            self._writers.add(self)
        self.regulate()

    # -- writing

    def flush(self) -> None:
        """Write one step of what is next in order now, and the rest by turns."""
        if self.write_step():
            self._writers.add(self)

    def write_step(self) -> bool:
        """See Writer.  Closes the connection after the last reply to a client that leaves."""
        if self.is_gone:
            return False
        if not self._is_full:
            data = self._pending or self._gather()
            if data:
                step = data if len(data) <= SEND_BYTES else memoryview(data)[:SEND_BYTES]
                sent = send_promptly(self._wire, step)
                self._pending = memoryview(data)[sent:] if sent < len(data) else b""
                self.was_active = True
        self.count_own()
        if self.is_paused:
            self.regulate()
        if self.is_gone:
            return False
        more = bool(self._pending) or (bool(self._spans) and self._spans[0].is_answered)
        if self.is_leaving and not more and not self._spans:
            self.is_gone = True
            self._wire.unregisterProducer()
            self._wire.loseConnection()
        return more and not self._is_full

    def _gather(self) -> bytes:
        """One step of the replies that are next in order: small pieces, or one piece of a long value."""
        pieces: list[bytes] = []
        size_bytes = 0
        while size_bytes < STEP_BYTES:
            piece = self._following or self._take_piece()
            self._following = b""
            if not piece:
                break
            if pieces and len(piece) > STEP_BYTES:
                self._following = piece
                break
            pieces.append(piece)
            size_bytes += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_piece(self) -> bytes:
        """The next piece that can be written; empty when there is none."""
        spans = self._spans
        while True:
            if self._pieces is None:
                if not spans or not spans[0].is_answered:
                    return b""
                self._pieces = spans[0].pieces()
            piece = next(self._pieces, b"")
            if piece:
                return piece
            self._pieces = None
            span = spans.popleft()
            self._commands -= span.commands
            self._bytes -= span.size_bytes
            if span.share is not None:
                self._streamed_bytes -= span.size_bytes
                self.account.release(span.share)

    # -- bounds

    def set_full(self, is_full: bool) -> None:
        """Note whether the socket takes nothing more.  Once it takes more, continue to write."""
        self._is_full = is_full
        if not is_full:
            self.was_active = True
            if self._pending or (self._spans and self._spans[0].is_answered):
                self._writers.add(self)
        self.regulate()

    @property
    def is_overfull(self) -> bool:
        """Whether as much of the client is under way as may be."""
        return self._commands >= self._commands_max or self._bytes >= self._bytes_max

    def regulate(self) -> None:
        """Receive only while the client takes replies and not too much of it is under way."""
        pause = self._is_full or self.is_held_up or self.is_overfull
        done = self.is_leaving or self.hears_no_more
        source = self.source
        if pause != self.is_paused and not done and source is not None:
            self.is_paused = pause
            if pause:
                source.pauseProducing()
            else:
                source.resumeProducing()

    def count_own(self) -> None:
        """Tell the account what has changed.  It may cut off any client, this one included."""
        own = self._bytes - self._streamed_bytes + min(len(self._pending), 2 * STEP_BYTES)
        own += self._session.queued_bytes
        if self.coming_bytes > UNCOUNTED_BYTES:
            own += self.coming_bytes
        self.account.set_own(own)

    # -- the end

    def close(self) -> None:
        """Drop everything: nothing more is written."""
        self.is_leaving = self.is_gone = True
        self._spans.clear()
        self._pieces = None
        self._following = self._pending = b""
        self._commands = self._bytes = self._streamed_bytes = self.coming_bytes = 0
        self.account.close()

    def abandon(self) -> None:
        """End the connection at once; see also Writer."""
        self.close()
        self._wire.abortConnection()

    def abort(self) -> None:
        """End the connection, as after a bug: what waits for it is dropped once it is lost."""
        self._wire.abortConnection()
