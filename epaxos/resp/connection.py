"""One client connection: from bytes to commands, and when the connection ends.

Valid commands of a plain session go to the replica as they come (`Pipeline.submit`); all others go
through the `Sorter`.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from epaxos.interfaces import CommandError, Outcome, Reply
from epaxos.net.eager_write import send_promptly
from epaxos.net.tls import certificate_name, explain_tls, tls_handle
from epaxos.resp.commands.run import ByReplica
from epaxos.resp.commands.transactions import forget
from epaxos.resp.encoder import encode_reply
from epaxos.resp.hiredis_parser import RespError
from epaxos.resp.holding import Account
from epaxos.resp.interfaces import IClientConnection
from epaxos.resp.parser import CommandParser
from epaxos.resp.pipeline import UNCOUNTED_BYTES, Pipeline
from epaxos.resp.session import Kind, Session, Silence
from epaxos.resp.shared import Shared
from epaxos.resp.sorter import Sorter

__all__ = ["RespConnection", "address_of"]

UNIX = "unix:0"
"""The address of a client that came by a Unix socket."""
REFUSAL = b"-ERR max number of clients reached\r\n"
DENIAL = (
    b"-DENIED this replica is running in protected mode because protected mode is enabled and no password is"
    b" set. In this mode connections are only accepted from the loopback interface and from Unix sockets. If"
    b" you want to connect from external computers, do one of the following in section [security] of the"
    b" configuration file and restart the replica: 1) Set up a password: requirepass = PASSWORD. 2) Disable"
    b" protected mode: protected_mode = no. MAKE SURE that only those reach the port who may use the data if"
    b" you do so.\r\n"
)
STRANGER_COMMANDS_MAX = 100
"""Commands, and empty ones, that a client without the password may send at a time; after that its connection
is closed."""
KEEPALIVE_PROBES = 3
"""Probes that a client may leave unanswered; they are a third of `keepalive_s` apart, as with Redis."""


@implementer(IClientConnection, IPushProducer, IHalfCloseableProtocol, IHandshakeListener)
class RespConnection(Protocol):
    """One client, `client_id`, at `address`.  No object that it holds leads back to it once it is lost.

    `is_local`: whether the client is on this host.
    """

    def __init__(self, server: Shared, client_id: int, address: str, is_local: bool) -> None:
        self.server = server
        self.session = session = Session(
            client_id,
            address,
            server.seconds(),
            is_local=is_local,
        )
        server.admittance.greet(session)
        account = Account(server.register.holdings, server.register.relieve)
        self.pipeline = Pipeline(
            server.counted,
            server.limits,
            server.traffic,
            server.writers,
            account,
            session,
        )
        self._sorter = Sorter(server, session, self.pipeline)
        self._parser = CommandParser(server.limits.command_bytes_max)
        self.quiet_since = 0.0
        """See Quiet."""

    # -- beginning and end

    def connectionMade(self) -> None:
        """See Protocol."""
        wire: Any = self.transport
        server, session, limits = self.server, self.session, self.server.limits
        own_address = wire.getHost()
        session.tcp_port = getattr(own_address, "port", 0)
        session.own_host = getattr(own_address, "host", "")
        session.place = f"addr={session.address} laddr={address_of(own_address)} fd={_descriptor_of(wire)}"
        self.pipeline.open(wire)
        refusal = _refusal_of(self, wire)
        if refusal:
            server.patience.watch(self)
            send_promptly(wire, refusal)
            wire.loseConnection()
            self.pipeline.is_leaving = self.pipeline.is_gone = True
            return
        session.is_greeting = tls_handle(wire) is not None
        if session.is_greeting:
            server.patience.watch(self)
        else:
            server.patience.on_connected(self)
        wire.registerProducer(self, True)
        self.pipeline.source = server.reader.join(wire, self, server.receive)
        if ITCPTransport.providedBy(wire) and not IUNIXTransport.providedBy(wire):  # a Unix socket is both
            wire.setTcpNoDelay(True)
            if limits.keepalive_s:
                _keep_alive(wire, limits.keepalive_s)

    def handshakeCompleted(self) -> None:
        """See IHandshakeListener: the client has shown its certificate, if it has one."""
        session, patience = self.session, self.server.patience
        session.certificate_user = certificate_name(self.transport)
        session.is_greeting = False
        self.server.admittance.log_in_certified(session)
        self.heed_pause()  # its commands may have to be looked at now
        if not self.pipeline.is_leaving:
            patience.on_lost(self)
            patience.on_connected(self)

    def readConnectionLost(self) -> None:
        """See IHalfCloseableProtocol: the client sends no more, and may still wait for replies."""
        self.pipeline.hears_no_more = True
        if self._sorter.is_waiting or not self._sorter.is_behind:
            self.hang_up()

    def writeConnectionLost(self) -> None:
        """See IHalfCloseableProtocol.  Here only whole connections are closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See Protocol.  What is under way runs on, and nobody gets its replies."""
        why = explain_tls(reason.value, tls_handle(self.transport))
        if why is not None:
            self.server.complain(self.session.address, why)
        self._sorter.drop()
        self.server.listeners.discard(self)
        self.server.monitors.discard(self)
        self.server.tracking.stop(self)
        self.pipeline.close()
        made = forget(self, None)
        if isinstance(made, ByReplica):
            self.pipeline.order.submit(made.commands, _ignore, made.size_bytes)
        source, self.pipeline.source = self.pipeline.source, None  # it leads to this connection
        if source is not None:
            self.server.reader.leave(source)
        self.server.register.forget(self)
        self.server.patience.on_lost(self)

    def deliver(self, message: Reply) -> None:
        """See IClient.  Who takes no messages is cut off at the bounds of what may be under way."""
        pipeline = self.pipeline
        if pipeline.is_gone:
            return
        if pipeline.is_overfull:
            self.cut_off("it takes no messages")
            return
        pipeline.answer(encode_reply(message, self.session.resp))
        pipeline.flush()

    def push(self, output: bytes) -> int:
        """See IClient.  Who takes no messages is cut off at the bound of bytes."""
        pipeline = self.pipeline
        if pipeline.is_gone or pipeline.is_leaving:
            return 0
        left_bytes = pipeline.push(output)
        if left_bytes >= self.server.limits.pipeline_bytes_max:
            self.cut_off("it takes no messages")
        return left_bytes

    def leave(self) -> None:
        """See IClient."""
        self.pipeline.is_leaving = True
        self.server.patience.watch(self)
        self._sorter.wait_no_more()

    def hang_up(self) -> None:
        """See IClientConnection."""
        self.leave()
        self.pipeline.flush()

    def cut_off(self, why: str) -> None:
        """See IClientConnection."""
        self.end(f"cut off: {why}", is_known=True)

    def end(self, why: str, *, is_known: bool = False) -> None:
        """See IClient.  Unless it `is_known` until then, it is in no list of clients any more, though the
        loss is told a turn later."""
        if not is_known:
            self.server.register.forget(self)
        self.server.complain(self.session.address, why)
        self._sorter.drop()
        self.pipeline.abandon()

    def heed_pause(self) -> None:
        """See IClientConnection."""
        self._sorter.heed_pause(self)

    # -- the socket takes replies, or does not

    def pauseProducing(self) -> None:
        """See IPushProducer: the client does not take its replies."""
        self.pipeline.set_full(True)

    def resumeProducing(self) -> None:
        """See IPushProducer: the client takes its replies again."""
        self.pipeline.set_full(False)

    def stopProducing(self) -> None:
        """See IPushProducer: the connection is lost."""
        self.pipeline.is_leaving = True

    # -- patience

    @property
    def is_leaving(self) -> bool:
        """See Quiet.  A client that does not get through with the handshake of TLS is not awaited longer."""
        return self.pipeline.is_leaving or self.session.is_greeting

    def take_activity(self) -> bool:
        """See Quiet."""
        pipeline = self.pipeline
        was_active, pipeline.was_active = pipeline.was_active or pipeline.awaits_answer, False
        return (
            was_active or self._sorter.is_behind or self.session.subscriptions > 0 or self.session.is_monitor
        )

    def on_impatience(self) -> None:
        """See Quiet.  An idle client leaves; one that takes no replies is cut off."""
        if self.pipeline.is_leaving or not self.pipeline.is_empty:
            self.cut_off("it takes no replies")
        else:
            self.hang_up()

    # -- commands

    def is_between_commands(self) -> bool:
        """See IClientConnection."""
        pipeline = self.pipeline
        return (
            self._sorter.is_plain
            and pipeline.order.begun is None
            and not (pipeline.is_leaving or self._parser.is_inside)
        )

    def dataReceived(self, data: bytes) -> None:
        """See Protocol."""
        pipeline = self.pipeline
        if pipeline.is_leaving or self._sorter.awaits_error:
            return
        self.server.traffic.turn_s = self.session.heard_s = self.server.seconds()
        pipeline.was_active = True
        if not (self.session.is_authenticated or self._sorter.is_behind):
            data = self._hear_stranger(data)
            if not data:
                return
        commands, error = self._parser.feed(data)
        pipeline.coming_bytes += len(data)
        if commands:
            size_bytes, pipeline.coming_bytes = pipeline.coming_bytes, 0  # a long command came in many slices
            self.take(commands, size_bytes)
        elif not self._parser.is_inside:
            pipeline.coming_bytes = 0
        if pipeline.coming_bytes > UNCOUNTED_BYTES:
            pipeline.count_own()
        if error is not None:
            error.__traceback__ = None  # the traceback leads here, and so to the error itself
            if pipeline.is_leaving:
                return
            if self._sorter.is_behind:
                self._sorter.postpone_error(error)
            else:
                self.refuse(error)

    def _hear_stranger(self, data: bytes) -> bytes:
        """Take commands one by one until the client has given the password; the bytes behind that command."""
        pipeline, session = self.pipeline, self.session
        pipeline.coming_bytes = rounds = 0
        while data and not session.is_authenticated:
            if rounds == STRANGER_COMMANDS_MAX:
                self.server.complain(session.address, "it sends commands instead of the password: hung up")
                self.hang_up()
                return b""
            rounds += 1  # empty commands count, because each of them copies what is behind it
            command, data, error = self._parser.feed_stranger(data)
            if error is not None:
                error.__traceback__ = None  # as in dataReceived
                self.refuse(error)
                return b""
            if command is not None:
                self.take([command], sum(map(len, command)))
                if pipeline.is_leaving:
                    return b""
        pipeline.coming_bytes = self._parser.held_bytes
        if pipeline.coming_bytes > UNCOUNTED_BYTES:
            pipeline.count_own()
        return data

    def take(self, commands: list[list[bytes]], size_bytes: int) -> None:
        """See IClientConnection."""
        if self._sorter.is_plain and self.server.shapes.are_valid(commands):
            self.pipeline.submit(commands, size_bytes)
        else:
            self._sorter.sort(self, commands, size_bytes)

    def refuse(self, error: RespError) -> None:
        """See IClientConnection."""
        session = self.session
        self.server.complain(session.address, str(error))
        if session.silence is Silence.NONE:
            self.pipeline.answer(encode_reply(CommandError(str(error)), session.resp))
        self.hang_up()

    def describe(self) -> str:
        """See IClient."""
        session, pipeline = self.session, self.pipeline
        now_s = self.server.seconds()
        multi = -1 if session.transaction is None else len(session.transaction.queued)
        is_unix = session.address == UNIX
        listens = {kind: len(names) for kind, names in session.listens.items()}
        is_blocked, tracking = session.client_id in self.server.blocked, session.tracking
        marks = {
            "O": session.is_monitor,
            "P": session.subscriptions,
            "x": multi >= 0,
            "b": is_blocked,
            "t": tracking is not None,
            "B": tracking is not None and tracking.is_broadcast,
            "c": pipeline.is_leaving,
            "U": is_unix,
        }
        flags = "".join(letter for letter, is_so in marks.items() if is_so)
        return (
            f"id={session.client_id} {session.place} name={session.client_name.decode()}"
            f" age={int(now_s - session.connected_s)} idle={int(now_s - session.heard_s)}"
            f" flags={flags or 'N'} db={session.database}"
            f" sub={listens[Kind.CHANNEL]} psub={listens[Kind.PATTERN]} ssub={listens[Kind.SHARD]}"
            f" multi={multi}"
            f" qbuf={self._parser.held_bytes}"
            f" events={'' if pipeline.is_paused else 'r'}"
            f" cmd={session.last_name.lower().decode('ascii', 'replace') or 'NULL'}"
            f" user={session.user.decode(errors='replace')} redir={-1 if tracking is None else 0}"
            f" resp={session.resp}"
            f" lib-name={session.library_name.decode()} lib-ver={session.library_version.decode()}\n"
        )


def _refusal_of(connection: RespConnection, wire: Any) -> bytes:
    """What a client is told that is not let in; empty for one that is let in, and in the register."""
    server, session = connection.server, connection.session
    if server.admittance.is_for_this_host and not session.is_local:
        server.traffic.connections_rejected += 1
        server.complain(
            session.address,
            "refused by protected mode, because no password is set: set requirepass, or"
            " protected_mode = no, in [security]",
        )
        return DENIAL
    return b"" if server.register.admit(connection, wire) else REFUSAL


def _ignore(outcome: Outcome) -> None:
    """The mark of a client that is gone ends with the life of the replica at the latest."""


def address_of(address: IAddress | None) -> str:
    """The address as Redis shows it: `127.0.0.1:7100`, `[::1]:7100`."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if not host:
        return UNIX
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _descriptor_of(transport: Any) -> int:
    """The file descriptor of the transport; -1 where it has none."""
    try:
        return int(transport.fileno())
    except AttributeError:
        return -1


def _keep_alive(wire: Any, keepalive_s: int) -> None:
    """Have TCP probe the client as Redis does: after `keepalive_s`, then every third of that time."""
    wire.setTcpKeepAlive(True)
    for option, value in (
        (socket.TCP_KEEPIDLE, keepalive_s),
        (socket.TCP_KEEPINTVL, max(1, keepalive_s // KEEPALIVE_PROBES)),
        (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
    ):
        wire.socket.setsockopt(socket.IPPROTO_TCP, option, value)
