"""The Redis protocol for clients: connections that submit what they read, and answer in order.

Whole reads go to the replica at once; only what is unusual is looked at command by command.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

import epaxos
from epaxos.interfaces import (
    Command,
    CommandError,
    CommandInfo,
    IClients,
    Outcome,
    Reply,
    SimpleString,
    Unavailable,
)
from epaxos.net.eager_write import send_promptly
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import Read, SharedReader, Source
from epaxos.resp.encoder import (
    STEP_BYTES,
    encode_if_small,
    encode_in_steps,
    encode_reply,
    measure,
)
from epaxos.resp.holding import Holdings, Share
from epaxos.resp.parser import CommandParser, RespError
from epaxos.resp.patience import Patience
from epaxos.resp.process_facts import ProcessFacts
from epaxos.resp.session_commands import (
    HANDLERS,
    REDIS_VERSION,
    SERVED,
    Served,
    Session,
    Silence,
    full_name,
    handler_of,
)
from epaxos.resp.turn import COMMANDS_TOGETHER, Together
from epaxos.resp.writers import Writers

__all__ = ["RespConnection", "RespFactory", "RespLimits"]

_name = itemgetter(0)

ANSWERS_FACTOR_MAX = 2
"""A client is cut off when one read of it asks for so many times `pipeline_bytes_max`.

Only what a connection answers by itself counts, because it is encoded at once: `CLIENT LIST`.  Long replies
of the replica are not.
"""
SORTING_S = 0.005
"""Commands of a client are answered here for about as long, before the event loop gets its turn."""
UNIX = "unix:0"
"""The address of a client that came by a Unix socket."""
SHAPES_MAX = 4096
"""So many shapes of commands are remembered as good."""
SEND_BYTES = 262_144
"""What a socket is given of a long value in one step, at most."""
UNCOUNTED_BYTES = 65_536
"""Commands that come, or are under way, count in `clients_bytes_max` when they are longer than one read."""
REFUSAL = b"-ERR max number of clients reached\r\n"
KEEPALIVE_PROBES = 3
"""Probes that a client may leave unanswered; they are a third of `keepalive_s` apart, as with Redis."""


@dataclass(frozen=True)
class RespLimits:
    """What clients may take."""

    clients_max: int = 10_000
    """So many connections are served; further ones are told so and closed."""
    command_bytes_max: int = 16_000_000
    """A longer command is refused, and its connection closed."""
    pipeline_commands_max: int = 10_000
    """With so many commands of it under way, no more is read from a connection."""
    pipeline_bytes_max: int = 32_000_000
    """The same for the bytes of these commands, and those of the replies that are not taken yet."""
    clients_bytes_max: int = 1_073_741_824
    """With more held for all clients together, the one that holds the most is cut off."""
    keepalive_s: int = 300
    """A client that has vanished is noticed after about twice this time; 0: when something is sent to it."""
    timeout_s: float = 0
    """A client that is idle for this time is cut off; 0: never."""
    descriptor_max: int | None = None
    """A client whose socket would have this number or a higher one is refused: the rest is for the store."""


class _Span:
    """Commands that are answered together, and their replies once they are there.

    The replies are either `output`, ready to be written, or what is encoded as the client takes it.
    """

    __slots__ = ("commands", "output", "replies", "resp", "share", "size_bytes")

    def __init__(self, commands: int, size_bytes: int, resp: int, output: bytes | None) -> None:
        self.commands = commands
        self.size_bytes = size_bytes
        self.resp = resp
        self.output = output
        self.replies: Sequence[Reply] | None = None
        self.share: Share | None = None

    @property
    def is_answered(self) -> bool:
        return self.output is not None or self.replies is not None

    def pieces(self) -> Iterator[bytes]:
        """What is to be written."""
        if self.output is not None:
            return iter((self.output,))
        assert self.replies is not None
        return encode_in_steps(self.replies, self.resp)


@implementer(IPushProducer, IHalfCloseableProtocol)
class RespConnection(Protocol):
    """One client.  Commands of one read that go to the replica together are answered together."""

    def __init__(self, factory: RespFactory, client_id: int, address: str) -> None:
        self._factory = factory
        self._parser = CommandParser(factory.limits.command_bytes_max)
        self._spans: deque[_Span] = deque()
        self._commands = 0
        self._bytes = 0
        self._read = 0
        self._leaving = False
        self._gone = False
        self._sends_no_more = False
        self._full = False
        self._paused = False
        self._pieces: Iterator[bytes] | None = None  # of the first span
        self._following = b""  # a piece of it that is next
        self._pending: bytes | memoryview = b""  # what the socket has not taken of the last piece
        self._streamed_bytes = 0
        self._own_bytes = 0
        self._answered_bytes = 0  # by the connection itself, to one read
        self._shares: set[Share] = set()
        self._wire: Any = None
        self._source: Source | None = None
        self.held_bytes = 0
        self.is_writing = False
        self.was_active = False
        self.quiet_since = 0.0
        self._is_plain = True
        self._postponed: list[list[bytes]] = []
        self._postponed_error: RespError | None = None
        self._connected_s = self._heard_s = factory.seconds()
        self._last_name = b""
        self._place = ""
        self.client_id = client_id
        self.client_name = self.library_name = self.library_version = b""
        self.address = address
        self.resp = 2
        self.silence = Silence.NONE
        self.is_refusing = False

    # -- the connection

    def connectionMade(self) -> None:
        """See Protocol."""
        wire: Any = self.transport
        self._wire = wire
        self._place = f"addr={self.address} laddr={address_of(wire.getHost())} fd={_descriptor_of(wire)}"
        if not self._factory.admit(self, wire):
            send_promptly(wire, REFUSAL)
            wire.loseConnection()
            self._leaving = self._gone = True
            return
        wire.registerProducer(self, True)
        self._source = self._factory.reader.join(wire, self, self._factory.receive)
        if ITCPTransport.providedBy(wire) and not IUNIXTransport.providedBy(wire):  # a Unix socket is both
            wire.setTcpNoDelay(True)
            if self._factory.limits.keepalive_s:
                _keep_alive(wire, self._factory.limits.keepalive_s)

    def readConnectionLost(self) -> None:
        """See IHalfCloseableProtocol: the client sends no more, and may still wait for answers."""
        self._sends_no_more = True
        if not self._postponed:
            self._leaving = True
            self._flush()

    def writeConnectionLost(self) -> None:
        """See IHalfCloseableProtocol.  Here only whole connections are closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol.  What is under way runs on; nobody waits for its answer.

        Nothing that could be large stays, and no cycle: the source knows this connection.
        """
        self._let_go()
        if self._source is not None:
            self._factory.reader.leave(self._source)
            self._source = None
        self._factory.forget(self)

    def leave(self) -> None:
        """Close the connection once everything so far has been answered."""
        self._leaving = True

    def hang_up(self) -> None:
        """Close the connection once everything that is answered has been taken."""
        self._leaving = True
        self._flush()

    def pauseProducing(self) -> None:
        """The client does not take its replies: read no more of its commands."""
        self._full = True
        self._regulate()

    def resumeProducing(self) -> None:
        """The client takes its replies again."""
        self._full = False
        self.was_active = True
        if self._pending or (self._spans and self._spans[0].is_answered):
            self._factory.writers.add(self)
        self._regulate()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._leaving = True

    def _regulate(self) -> None:
        """Read only while the client takes replies and not too much of it is under way."""
        limits = self._factory.limits
        pause = (
            self._full
            or bool(self._postponed)
            or self._commands >= limits.pipeline_commands_max
            or self._bytes >= limits.pipeline_bytes_max
        )
        done = self._leaving or self._sends_no_more
        if pause != self._paused and not done and self._source is not None:
            self._paused = pause
            if pause:
                self._source.pauseProducing()
            else:
                self._source.resumeProducing()

    def _cut_off(self, why: str) -> None:
        """End the connection at once; nothing that waits for it is kept."""
        self._factory.complain(self.address, f"cut off: {why}")
        self.abandon()

    def _let_go(self) -> None:
        """Nothing that waits for this client is wanted any more."""
        self._leaving = self._gone = True
        self._spans.clear()
        self._postponed.clear()
        self._pieces = None
        self._following = self._pending = b""
        self._commands = self._bytes = self._streamed_bytes = self._read = 0
        for share in list(self._shares):
            self._release(share)
        self._count_own()

    # -- what it makes the replica hold

    def _hold(self, share: Share) -> None:
        """May cut off any connection, this one included."""
        self._shares.add(share)
        self.held_bytes += share.total_bytes
        self._factory.holdings.add(share)
        self._factory.relieve()

    def _release(self, share: Share) -> None:
        self._shares.discard(share)
        self.held_bytes -= share.total_bytes
        self._factory.holdings.release(share)

    def _count_own(self) -> None:
        """Count what has changed: commands that come or are under way, and replies that are encoded."""
        own = self._bytes - self._streamed_bytes + min(len(self._pending), 2 * STEP_BYTES)
        if self._read > UNCOUNTED_BYTES:
            own += self._read
        more = own - self._own_bytes
        if more:
            self._own_bytes = own
            self.held_bytes += more
            self._factory.holdings.total_bytes += more
            if more > 0:
                self._factory.relieve()

    def cut_off_for_room(self) -> None:
        """All clients together hold too much, and this one the most."""
        mib = self.held_bytes / 1048576
        self._cut_off(f"it holds {mib:.0f} MiB, and all clients together more than clients_bytes_max")

    # -- patience

    @property
    def is_leaving(self) -> bool:
        return self._leaving

    @property
    def awaits_answer(self) -> bool:
        return bool(self._spans) and not self._spans[0].is_answered

    def on_impatience(self) -> None:
        """Nothing has happened for too long: hang up on an idle client, cut one off that takes nothing."""
        if self._leaving or self._spans or self._pending or self._full:
            self._cut_off("it takes no replies")
        else:
            self.hang_up()

    # -- commands

    @property
    def is_between_commands(self) -> bool:
        """Whether what comes next begins with a command, and commands are run and answered as usual."""
        return self._is_plain and not (self._leaving or self._parser.is_inside)

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        if self._leaving:
            return
        self._factory.turn_s = self._heard_s = self._factory.seconds()
        self.was_active = True
        commands, error = self._parser.feed(data)
        self._read += len(data)
        if commands:
            size_bytes, self._read = self._read, 0  # a long command came in many reads
            self.take(commands, size_bytes)
        elif not self._parser.is_inside:
            self._read = 0
        if self._read > UNCOUNTED_BYTES:
            self._count_own()
        if error is not None:
            error.__traceback__ = None  # it leads here, and so to itself
        if error is not None and not self._leaving:
            if self._postponed:
                self._postponed_error = error
            else:
                self._refuse(error)

    def _refuse(self, error: RespError) -> None:
        """The client does not speak the protocol."""
        self._factory.complain(self.address, str(error))
        if self.silence is Silence.NONE:
            self._answer(encode_reply(CommandError(str(error)), self.resp))
        self._leaving = True
        self._flush()

    def take(self, commands: list[list[bytes]], size_bytes: int) -> None:
        """What the client wants, in `size_bytes` bytes of its own."""
        if self._is_plain and self._factory.are_valid(commands):
            self._submit(commands, size_bytes)
        elif self._postponed:
            self._postponed += commands
        else:
            self.was_active = True  # also where nothing is answered
            self._answered_bytes = 0
            self._sort_out(commands, size_bytes)
            self._flush()
            self._regulate()

    def _sort_out(self, commands: list[list[bytes]], size_bytes: int) -> None:
        """Submit what the replica can run, answer the rest here; all in order.

        What takes long goes on in the next turn of the event loop.
        """
        share = size_bytes // len(commands) + 1
        run: list[list[bytes]] = []
        ends_s = self._factory.seconds() + SORTING_S
        for number, command in enumerate(commands, 1):
            reply: Reply
            handler = handler_of(self, command)
            if handler is None:
                try:
                    self._factory.clients.check(command)
                except CommandError as error:
                    reply = error.with_traceback(None)  # which leads here, and so to itself
                else:
                    run.append(command)
                    if self.silence is not Silence.NOW:
                        continue
            if run:
                self._submit(run, share * len(run))
                run = []
            if handler is not None:
                self._last_name = full_name(command)
                self._factory.commands_processed += 1
                reply = handler(self, command)
                if self._gone:
                    return
            if self.silence is Silence.NONE:
                self._answer(encode_reply(reply, self.resp))
            self._end_skip()
            if self._answered_bytes > ANSWERS_FACTOR_MAX * self._factory.limits.pipeline_bytes_max:
                self._cut_off("its commands ask for too much at a time")
            if self._leaving:
                return
            if self._factory.seconds() >= ends_s and number < len(commands):
                self._postponed = commands[number:]
                self._is_plain = False
                self._factory.clock.callLater(0, self._go_on_sorting, share * len(self._postponed))
                return
        if run:
            self._submit(run, share * len(run))

    def _go_on_sorting(self, size_bytes: int) -> None:
        """It is the turn of what was postponed."""
        commands, self._postponed = self._postponed, []
        if self._leaving:
            return
        self._sort_out(commands, size_bytes)
        if self._postponed_error is not None and not (self._postponed or self._leaving):
            self._refuse(self._postponed_error)
        if self._sends_no_more and not self._postponed:
            self._leaving = True
        self._flush()
        self._regulate()

    def _end_skip(self) -> None:
        """A command is over: go on with `CLIENT REPLY SKIP`, and know whether anything is unusual."""
        if self.silence is Silence.SOON:
            self.silence = Silence.NOW
        elif self.silence is Silence.NOW:
            self.silence = Silence.NONE
        self._is_plain = self.silence is Silence.NONE and not self.is_refusing

    def _submit(self, commands: list[list[bytes]], size_bytes: int) -> None:
        if len(commands) <= COMMANDS_TOGETHER:
            self._submit_together(commands, size_bytes)
            return
        share = size_bytes * COMMANDS_TOGETHER // len(commands)
        for start in range(0, len(commands), COMMANDS_TOGETHER):
            self._submit_together(commands[start : start + COMMANDS_TOGETHER], share)

    def _submit_together(self, commands: Sequence[Command], size_bytes: int) -> None:
        if self._gone:  # an earlier part made it hold too much
            return
        span = self.expect(commands, size_bytes)
        done = self.on_outcome if self.silence is Silence.NONE else self._on_unwanted
        self._factory.clients.submit(commands, partial(done, span), size_bytes)

    def _on_unwanted(self, span: _Span, outcome: Outcome) -> None:
        """The client has asked for no reply (`CLIENT REPLY`)."""
        self.on_outcome(span, ())

    # -- replies

    def expect(self, commands: Sequence[Command], size_bytes: int) -> _Span:
        """These commands go to the replica now; what they give comes next."""
        factory, count = self._factory, len(commands)
        factory.commands_processed += count
        self._heard_s = factory.turn_s
        self._last_name = commands[-1][0]
        span = _Span(count, size_bytes, self.resp, None)
        self._append(span)
        self.was_active = True
        if size_bytes > UNCOUNTED_BYTES:
            self._count_own()
        self._regulate()
        return span

    def _answer(self, output: bytes) -> None:
        self._answered_bytes += len(output)
        self._append(_Span(1, len(output), self.resp, output))

    def _append(self, span: _Span) -> None:
        """What waits for its turn counts, whoever answers it."""
        self._spans.append(span)
        self._commands += span.commands
        self._bytes += span.size_bytes

    def on_outcome(self, span: _Span, outcome: Outcome) -> None:
        """What became of commands that were expected."""
        if self._gone:
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
        if (
            len(spans) == 1 and spans[0] is span and not (self._leaving or self._full or self._pending)
        ):  # as usual
            spans.clear()
            self._commands = self._bytes = 0
            sent = send_promptly(self._wire, output)
            if sent < len(output):
                self._pending = memoryview(output)[sent:]
            if self._own_bytes or self._pending:
                self._count_own()
            if self._paused:
                self._regulate()
            return
        span.output = output
        self._bytes += len(output) - span.size_bytes
        span.size_bytes = len(output)
        self._flush()
        self._regulate()

    def _hold_replies(self, span: _Span, replies: Sequence[Reply]) -> None:
        """Long replies are held as they are, and encoded as the client takes them."""
        size = measure(replies)
        span.replies = replies
        self._bytes += size.encoded - span.size_bytes
        span.size_bytes = size.encoded
        self._streamed_bytes += size.encoded
        share = span.share = Share(size.own, size.large)
        self._count_own()
        if not self._gone:
            self._hold(share)
        if not self._gone and self._spans[0].is_answered:
            self._factory.writers.add(self)
        self._regulate()

    def _flush(self) -> None:
        """Write a step of what is next in order now, and the rest by turns."""
        if self.write_step():
            self._factory.writers.add(self)

    def write_step(self) -> bool:
        """See Writer."""
        if self._gone:
            return False
        if not self._full:
            data = self._pending or self._gather()
            if data:
                sent = send_promptly(
                    self._wire, data if len(data) <= SEND_BYTES else memoryview(data)[:SEND_BYTES]
                )
                self._pending = memoryview(data)[sent:] if sent < len(data) else b""
                self.was_active = True
        self._count_own()
        if self._paused:
            self._regulate()
        return self._go_on()

    def _go_on(self) -> bool:
        """Whether more can be written now.  Closes the connection when that was all."""
        if self._gone:
            return False
        spans = self._spans
        more = bool(self._pending) or (bool(spans) and spans[0].is_answered)
        if self._leaving:
            self._factory.patience.watch(self)
            if not more and not spans:
                self._gone = True
                self._wire.unregisterProducer()
                self._wire.loseConnection()
        return more and not self._full

    def abandon(self) -> None:
        """End the connection at once; nothing that waits for it is kept.  See also Writer."""
        self._let_go()
        self._wire.abortConnection()

    def _gather(self) -> bytes:
        """A step of the answers that are next in order: small pieces, or one of a long value."""
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
        """The next piece of what can be written; nothing when there is none."""
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
                self._release(span.share)

    # -- what connection commands look at

    @property
    def settings(self) -> Mapping[str, str]:
        return self._factory.settings

    @property
    def info(self) -> Mapping[str, Mapping[str, object]]:
        return self._factory.info(getattr(self._wire.getHost(), "port", 0))

    @property
    def command_table(self) -> Sequence[list[Reply]]:
        return self._factory.command_table

    def clients(self) -> Mapping[int, Session]:
        return self._factory.connections_by_id

    def reset_statistics(self) -> None:
        self._factory.reset_statistics()

    def refuse_attack(self, text: str) -> None:
        self._factory.complain(self.address, text)
        self.abandon()

    def describe(self) -> str:
        """See Session.  There is no subscription and no transaction, and only one database and user."""
        now_s = self._factory.seconds()
        flags = ("c" if self._leaving else "") + ("U" if self.address == UNIX else "")
        return (
            f"id={self.client_id} {self._place} name={self.client_name.decode()}"
            f" age={int(now_s - self._connected_s)} idle={int(now_s - self._heard_s)}"
            f" flags={flags or 'N'} db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf={self._parser.held_bytes}"
            f" events={'' if self._paused else 'r'}"
            f" cmd={self._last_name.lower().decode('ascii', 'replace') or 'NULL'}"
            f" user=default redir=-1 resp={self.resp}"
            f" lib-name={self.library_name.decode()} lib-ver={self.library_version.decode()}\n"
        )


def address_of(address: IAddress | None) -> str:
    """As Redis shows it: `127.0.0.1:7100`, `[::1]:7100`."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if not host:
        return UNIX
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _descriptor_of(transport: Any) -> int:
    """Its number for the operating system; -1 where it has none."""
    try:
        return int(transport.fileno())
    except AttributeError:
        return -1


class RespFactory(Factory):
    """Serves `clients`, the replica, to Redis clients.

    `complaints` are about clients, each of which is one there, whatever its port.  `about` gives further
    fields for `INFO`, e.g. the replica's number, and `settings` more of what `CONFIG GET` shows.  `seconds`
    is a clock that never goes back.
    """

    noisy = False

    def __init__(
        self,
        clients: IClients,
        complaints: Complaints,
        limits: RespLimits | None = None,
        about: Callable[[], Mapping[str, object]] = dict,
        reader: SharedReader | None = None,
        clock: IReactorTime | None = None,
        settings: Mapping[str, str] | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clients = clients
        self.clock = clock or complaints.clock
        self.seconds = seconds
        self._process = ProcessFacts(seconds)
        self._complaints = complaints
        self.limits = limits or RespLimits()
        self._about = about
        self._connections: dict[int, RespConnection] = {}
        self._accepted = 0
        self.reset_statistics()
        self._valid_shapes: set[tuple[bytes, int]] = set()
        self.writers = Writers(self.clock)
        self.patience = Patience(self.clock, self.limits.timeout_s)
        self.holdings = Holdings()
        self.reader = reader or SharedReader()
        self.turn_s = seconds()
        """When something came last."""
        self._together = Together(clients, self.are_valid)
        self.receive = self._receive
        self.command_table = [
            *map(_command_entry, clients.commands()),
            *itertools.starmap(_connection_entry, SERVED.items()),
        ]
        self.settings = {
            "databases": "1",
            "maxclients": str(self.limits.clients_max),
            "maxmemory": "0",
            "maxmemory-policy": "noeviction",
            "proto-max-bulk-len": str(self.limits.command_bytes_max),
            "save": "",
            "tcp-keepalive": str(self.limits.keepalive_s),
            "timeout": f"{self.limits.timeout_s:g}",
            **(settings or {}),
        }

    def reset_statistics(self) -> None:
        """Count anew what the section `Stats` of `INFO` shows."""
        self._received = self._rejected = self.commands_processed = 0

    def buildProtocol(self, addr: IAddress | None) -> RespConnection:
        """See IProtocolFactory."""
        self._accepted += 1
        return RespConnection(self, self._accepted, address_of(addr))

    def _receive(self, reads: Sequence[Read]) -> None:
        self.turn_s = self.seconds()
        self._together.receive(reads)

    def admit(self, connection: RespConnection, wire: Any) -> bool:
        """Whether there is room for one more."""
        limits = self.limits
        descriptor = getattr(wire, "fileno", int)()
        if limits.descriptor_max is not None and descriptor >= limits.descriptor_max:
            why = f"only {limits.descriptor_max} open files are for clients, the rest of RLIMIT_NOFILE is not"
        elif len(self._connections) >= limits.clients_max:
            why = f"{limits.clients_max} clients are connected"
        else:
            self._received += 1
            self._connections[connection.client_id] = connection
            self.patience.on_connected(connection)
            return True
        self._rejected += 1
        self._complaints.warn("a client is refused", why)
        self.patience.watch(connection)
        return False

    def forget(self, connection: RespConnection) -> None:
        """The connection is gone."""
        self._connections.pop(connection.client_id, None)
        self.patience.on_lost(connection)

    def hang_up(self) -> None:
        """The replica stops: close every connection once what is answered has been taken."""
        for connection in self.connections:
            connection.hang_up()

    def relieve(self) -> None:
        """Cut off those that hold the most, until all together hold no more than they may."""
        while self.holdings.total_bytes > self.limits.clients_bytes_max:
            connection = max(self._connections.values(), key=_held_bytes, default=None)
            if connection is None or not connection.held_bytes:
                return
            connection.cut_off_for_room()

    @property
    def connections_by_id(self) -> Mapping[int, RespConnection]:
        return self._connections

    @property
    def connections(self) -> list[RespConnection]:
        return list(self._connections.values())

    def complain(self, address: str, text: str) -> None:
        """A client at `address` has done something wrong."""
        self._complaints.warn(f"client {address.rpartition(':')[0] or address}", text)

    def are_valid(self, commands: Sequence[Command]) -> bool:
        """Whether the replica can run all of them, judged by their names and lengths alone."""
        names, lengths = set(map(_name, commands)), set(map(len, commands))
        if len(names) == len(lengths) == 1:
            shapes = set(zip(names, lengths))
        else:
            shapes = set(zip(map(_name, commands), map(len, commands)))
        if shapes <= self._valid_shapes:
            return True
        for name, length in shapes:
            if name.upper() in HANDLERS or not self.clients.is_valid_shape(name, length):
                return False
        if len(self._valid_shapes) < SHAPES_MAX:
            self._valid_shapes |= shapes
        return True

    def info(self, tcp_port: int) -> Mapping[str, Mapping[str, Any]]:
        """The sections of `INFO` for a client that came to `tcp_port`.  Nothing is shown that is not so."""
        keys = self.clients.keys()
        return {
            "Server": {
                "redis_version": REDIS_VERSION,
                "redis_mode": "standalone",
                "epaxos_version": epaxos.__version__,
                "tcp_port": tcp_port,
                **self._process.server(),
                **self._about(),
            },
            "Clients": {
                "connected_clients": len(self._connections),
                "maxclients": self.limits.clients_max,
                "blocked_clients": 0,
                "tracking_clients": 0,
            },
            "Memory": self._process.memory(),
            "Persistence": {"loading": 0},
            "Stats": {
                "total_connections_received": self._received,
                "total_commands_processed": self.commands_processed,
                "rejected_connections": self._rejected,
                "expired_keys": 0,
                "evicted_keys": 0,
                "pubsub_channels": 0,
                "pubsub_patterns": 0,
            },
            "Replication": {"role": "master", "connected_slaves": 0},
            "CPU": self._process.cpu(),
            "Cluster": {"cluster_enabled": 0},
            "Keyspace": {"db0": f"keys={keys},expires=0,avg_ttl=0"} if keys else {},
        }


def _held_bytes(connection: RespConnection) -> int:
    return connection.held_bytes


def _keep_alive(wire: Any, keepalive_s: int) -> None:
    """As Redis: the first probe after this time, the others a third of it apart."""
    wire.setTcpKeepAlive(True)
    for option, value in (
        (socket.TCP_KEEPIDLE, keepalive_s),
        (socket.TCP_KEEPINTVL, max(1, keepalive_s // KEEPALIVE_PROBES)),
        (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
    ):
        wire.socket.setsockopt(socket.IPPROTO_TCP, option, value)


def _command_entry(info: CommandInfo) -> list[Reply]:
    flags: list[Reply] = [SimpleString("write" if info.writes else "readonly")]
    return [info.name.encode(), info.arity, flags, info.first_key, info.last_key, info.key_step]


def _connection_entry(name: bytes, served: Served) -> list[Reply]:
    return [name.lower(), served.arity, [SimpleString("fast")], 0, 0, 0]
