"""The Redis protocol for clients: connections that submit what they read, and answer in order.

Whole reads go to the replica at once; only what is unusual is looked at command by command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

from twisted.internet.interfaces import IAddress, IPushProducer, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

import epaxos
from epaxos.complaints import Complaints
from epaxos.frontend.connection_commands import CONNECTION_COMMANDS, REDIS_VERSION, Session
from epaxos.frontend.encoder import encode_replies, encode_reply
from epaxos.frontend.parser import CommandParser
from epaxos.frontend.together import COMMANDS_TOGETHER, Together
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
from epaxos.promptly import write_promptly
from epaxos.shared_reader import SharedReader, Source

__all__ = ["RespConnection", "RespFactory", "RespLimits"]

_name = itemgetter(0)

ANSWERS_FACTOR_MAX = 2
"""A client is cut off when one read of it asks for so many times `pipeline_bytes_max`.

Only what a connection answers by itself can be so much longer than what was read: `CLIENT LIST`.
"""
SHAPES_MAX = 4096
"""So many shapes of commands are remembered as good."""


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
    """The same for the bytes of these commands."""


class _Span:
    """Replies that belong together, once they are there."""

    __slots__ = ("commands", "output", "resp", "size_bytes")

    def __init__(self, commands: int, size_bytes: int, resp: int, output: bytes | None) -> None:
        self.commands = commands
        self.size_bytes = size_bytes
        self.resp = resp
        self.output = output


@implementer(IPushProducer)
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
        self._full = False
        self._paused = False
        self._wire: Any = None
        self._source: Source | None = None
        self.client_id = client_id
        self.client_name = b""
        self.address = address
        self.resp = 2

    # -- the connection

    def connectionMade(self) -> None:
        """See Protocol."""
        wire: Any = self.transport
        self._wire = wire
        if not self._factory.admit(self):
            wire.write(b"-ERR max number of clients reached\r\n")
            wire.loseConnection()
            self._leaving = True
            return
        if ITCPTransport.providedBy(wire):
            wire.setTcpNoDelay(True)
        wire.registerProducer(self, True)
        self._source = self._factory.reader.join(wire, self, self._factory.receive)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol.  What is under way runs on; nobody waits for its answer."""
        self._leaving = self._gone = True
        self._spans.clear()
        if self._source is not None:
            self._factory.reader.leave(self._source)
        self._factory.forget(self)

    def leave(self) -> None:
        """Close the connection once everything so far has been answered."""
        self._leaving = True

    def pauseProducing(self) -> None:
        """The client does not take its replies: read no more of its commands."""
        self._full = True
        self._regulate()

    def resumeProducing(self) -> None:
        """The client takes its replies again."""
        self._full = False
        self._regulate()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._leaving = True

    def _regulate(self) -> None:
        """Read only while the client takes replies and not too much of it is under way."""
        limits = self._factory.limits
        pause = (
            self._full
            or self._commands >= limits.pipeline_commands_max
            or self._bytes >= limits.pipeline_bytes_max
        )
        if pause != self._paused and not self._leaving and self._source is not None:
            self._paused = pause
            if pause:
                self._source.pauseProducing()
            else:
                self._source.resumeProducing()

    # -- commands

    @property
    def is_between_commands(self) -> bool:
        """Whether what comes next is wanted, and begins with a command."""
        return not (self._leaving or self._parser.is_inside)

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        if self._leaving:
            return
        commands, error = self._parser.feed(data)
        self._read += len(data)
        if commands:
            size_bytes, self._read = self._read, 0  # a long command came in many reads
            self.take(commands, size_bytes)
        elif not self._parser.is_inside:
            self._read = 0
        if error is not None and not self._leaving:
            self._factory.complain(self.address, str(error))
            self._answer(encode_reply(CommandError(str(error)), self.resp))
            self._leaving = True
            self._flush()

    def take(self, commands: list[list[bytes]], size_bytes: int) -> None:
        """What the client wants, in `size_bytes` bytes of its own."""
        if self._factory.are_valid(commands):
            self._submit(commands, size_bytes)
        else:
            self._sort_out(commands, size_bytes)
            self._flush()
            self._regulate()

    def _sort_out(self, commands: list[list[bytes]], size_bytes: int) -> None:
        """Submit what the replica can run, answer the rest here; all in order."""
        share = size_bytes // len(commands) + 1
        run: list[list[bytes]] = []
        for command in commands:
            reply: Reply
            handler = CONNECTION_COMMANDS.get(command[0].upper())
            if handler is None:
                try:
                    self._factory.clients.check(command)
                except CommandError as error:
                    reply = error
                else:
                    run.append(command)
                    continue
            if run:
                self._submit(run, share * len(run))
                run = []
            if handler is not None:
                reply = handler(self, command)
            self._answer(encode_reply(reply, self.resp))
            if self._bytes > ANSWERS_FACTOR_MAX * self._factory.limits.pipeline_bytes_max:
                self._cut_off("its commands ask for too much at a time")
            if self._leaving:
                return
        if run:
            self._submit(run, share * len(run))

    def _submit(self, commands: list[list[bytes]], size_bytes: int) -> None:
        if len(commands) <= COMMANDS_TOGETHER:
            self._submit_together(commands, size_bytes)
            return
        share = size_bytes * COMMANDS_TOGETHER // len(commands)
        for start in range(0, len(commands), COMMANDS_TOGETHER):
            self._submit_together(commands[start : start + COMMANDS_TOGETHER], share)

    def _submit_together(self, commands: Sequence[Command], size_bytes: int) -> None:
        span = self.expect(len(commands), size_bytes)
        self._factory.clients.submit(commands, partial(self.on_outcome, span), size_bytes)

    # -- replies

    def expect(self, commands: int, size_bytes: int) -> _Span:
        """So many commands go to the replica now; what they give comes next."""
        span = _Span(commands, size_bytes, self.resp, None)
        self._append(span)
        self._regulate()
        return span

    def _cut_off(self, why: str) -> None:
        """End the connection at once; nothing that waits for it is kept."""
        self._factory.complain(self.address, f"cut off: {why}")
        self._leaving = self._gone = True
        self._spans.clear()
        self._wire.abortConnection()

    def _answer(self, output: bytes) -> None:
        self._append(_Span(1, len(output), self.resp, output))

    def _append(self, span: _Span) -> None:
        """What waits for its turn counts, whoever answers it."""
        self._spans.append(span)
        self._commands += span.commands
        self._bytes += span.size_bytes

    def on_outcome(self, span: _Span, outcome: Outcome) -> None:
        """What became of commands that were expected."""
        if isinstance(outcome, Unavailable):
            output = encode_reply(CommandError(str(outcome)), span.resp) * span.commands
        else:
            output = encode_replies(outcome, span.resp)
        if len(self._spans) == 1 and self._spans[0] is span and not self._leaving:  # as usual
            self._spans.clear()
            self._commands = self._bytes = 0
            write_promptly(self._wire, output)
            if self._paused:
                self._regulate()
            return
        span.output = output
        self._bytes += len(output) - span.size_bytes
        span.size_bytes = len(output)
        self._flush()
        self._regulate()

    def _flush(self) -> None:
        """Write the answers that are next in order; one write."""
        spans = self._spans
        outputs: list[bytes] = []
        while spans and (output := spans[0].output) is not None:
            outputs.append(output)
            span = spans.popleft()
            self._commands -= span.commands
            self._bytes -= span.size_bytes
        if outputs:
            write_promptly(self._wire, b"".join(outputs))
        if self._leaving and not spans and not self._gone:
            self._gone = True
            self._wire.unregisterProducer()
            self._wire.loseConnection()

    # -- what connection commands look at

    @property
    def settings(self) -> Mapping[str, str]:
        return self._factory.settings

    @property
    def info(self) -> Mapping[str, Mapping[str, object]]:
        return self._factory.info()

    @property
    def command_table(self) -> Sequence[list[Reply]]:
        return self._factory.command_table

    def clients(self) -> Sequence[Session]:
        return self._factory.connections


class RespFactory(Factory):
    """Serves `clients`, the replica, to Redis clients.

    `complaints` are about clients, each of which is one there, whatever its port.  `about` gives further
    fields for `INFO`, e.g. the replica's number.
    """

    noisy = False

    def __init__(
        self,
        clients: IClients,
        complaints: Complaints,
        limits: RespLimits | None = None,
        about: Callable[[], Mapping[str, object]] = dict,
        reader: SharedReader | None = None,
    ) -> None:
        self.clients = clients
        self._complaints = complaints
        self.limits = limits or RespLimits()
        self._about = about
        self._connections: dict[int, RespConnection] = {}
        self._accepted = 0
        self._valid_shapes: set[tuple[bytes, int]] = set()
        self.reader = reader or SharedReader()
        self.receive = Together(clients, self.are_valid).receive
        self.command_table = [
            *map(_command_entry, clients.commands()),
            *map(_connection_entry, CONNECTION_COMMANDS),
        ]
        self.settings = {
            "appendonly": "yes",
            "databases": "1",
            "maxclients": str(self.limits.clients_max),
            "maxmemory": "0",
            "maxmemory-policy": "noeviction",
            "proto-max-bulk-len": str(self.limits.command_bytes_max),
            "save": "",
            "timeout": "0",
        }

    def buildProtocol(self, addr: IAddress | None) -> RespConnection:
        """See IProtocolFactory."""
        self._accepted += 1
        host, port = getattr(addr, "host", None), getattr(addr, "port", None)
        return RespConnection(self, self._accepted, f"{host}:{port}" if host else "unix")

    def admit(self, connection: RespConnection) -> bool:
        """Whether there is room for one more."""
        if len(self._connections) >= self.limits.clients_max:
            return False
        self._connections[connection.client_id] = connection
        return True

    def forget(self, connection: RespConnection) -> None:
        """The connection is gone."""
        self._connections.pop(connection.client_id, None)

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
            if name.upper() in CONNECTION_COMMANDS or not self.clients.is_valid_shape(name, length):
                return False
        if len(self._valid_shapes) < SHAPES_MAX:
            self._valid_shapes |= shapes
        return True

    def info(self) -> Mapping[str, Mapping[str, Any]]:
        """The sections of `INFO`."""
        return {
            "Server": {
                "redis_version": REDIS_VERSION,
                "redis_mode": "standalone",
                "epaxos_version": epaxos.__version__,
                **self._about(),
            },
            "Clients": {
                "connected_clients": len(self._connections),
                "maxclients": self.limits.clients_max,
            },
            "Stats": {"total_connections_received": self._accepted},
            "Replication": {"role": "master", "connected_slaves": 0},
        }


def _command_entry(info: CommandInfo) -> list[Reply]:
    flags: list[Reply] = [SimpleString("write" if info.writes else "readonly")]
    return [info.name.encode(), info.arity, flags, info.first_key, info.last_key, info.key_step]


def _connection_entry(name: bytes) -> list[Reply]:
    return [name.lower(), -1, [SimpleString("fast")], 0, 0, 0]
