"""The fuzzing targets: all code that reads bytes from outside, each as a function of bytes.

A target takes any bytes.  It raises nothing when the product does what its documentation says: it returns a
value, or raises the one exception that is named there.  Otherwise it raises.  hypothesis (`test_targets.py`),
a coverage-guided fuzzer (`hunt.py`) and the inputs that once failed (`corpus/`, `test_corpus.py`) call the
same functions.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import Logger

from epaxos.admin.status import status_site
from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.config.model import ConfigError
from epaxos.execution.executor import Executor
from epaxos.interfaces import Command, CommandInfo, Identity, IStateMachine, Outcome, Ready, StoreError
from epaxos.net.quiet_log import Complaints
from epaxos.net.shared_reader import SharedReader
from epaxos.node.observers import Observers
from epaxos.protocol.replica import Replica
from epaxos.protocol.upkeep import catch_up
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.instance import Instance, InstanceRecord, Value
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import NOP, Batch, Message, Phase
from epaxos.protocol.values.timing import Timing
from epaxos.resp.hiredis_parser import CommonParser
from epaxos.resp.parser import CommandParser
from epaxos.resp.process_facts import ProcessFacts
from epaxos.resp.server import RespFactory
from epaxos.service.endpoints import check_datagrams, connecting, listening
from epaxos.statemachines import columns_pb2, once_pb2
from epaxos.statemachines.once.envelope import MARK
from epaxos.statemachines.printer import Printer
from epaxos.statemachines.redis.machine import KeyValueStore
from epaxos.storage.folder import DataFolder
from epaxos.storage.leveldb import records
from epaxos.storage.leveldb.opening import restore
from epaxos.storage.leveldb.records import RecordFormat, decode_identity
from epaxos.storage.leveldb.sequence import WriteSequence
from epaxos.storage.leveldb.torn_log import end_of_whole_records
from epaxos.storage.state.manifest import Manifest, StateFile, decode_manifest, encode_manifest
from epaxos.storage.state.pieces import (
    decode_batches,
    decode_entries,
    encode_batches,
    encode_entries,
    frame,
    read_pieces,
)
from epaxos.transport.acquaintances import Acquaintances
from epaxos.transport.connection import Connections
from epaxos.transport.datagrams import DatagramError, DatagramReader, DatagramWriter
from epaxos.transport.handshake import PeerIdentity, greet
from epaxos.transport.incoming import IncomingFactory
from epaxos.transport.introductions import Introduction, Myself
from epaxos.transport.outgoing import Outgoing
from epaxos.transport.roster import Roster
from epaxos.wire.codec import WireError, decode_batch, decode_frame, encode, encode_batch
from epaxos.wire.frames import FrameError, FrameReader
from tests.defaults import default_limits, default_tcp
from tests.fuzz.choices import BATCHES, Choices
from tests.fuzz.values import collection, payload
from tests.fuzz.victim import Victim
from tests.statemachines.once.lab import Site

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], object]

N = 3
COMMAND_BYTES_MAX = 2000
FRAME_BYTES_MAX = 2000


# -- what clients send


def _commands(pieces: Sequence[bytes]) -> tuple[list[list[bytes]], str | None]:
    """All commands up to an error, and the error, if any."""
    parser = CommandParser(COMMAND_BYTES_MAX)
    commands: list[list[bytes]] = []
    for piece in pieces:
        some, error = parser.feed(piece)
        commands += some
        if error is not None:
            return commands, str(error)
    return commands, None


def resp(data: bytes) -> None:
    """The commands do not depend on how the bytes are cut.

    Bytes that arrive one by one never take the fast path, so this compares it with the careful one.
    """
    choices = Choices(data[:8])
    data = data[8:]
    careful = _commands([data[k : k + 1] for k in range(len(data))])
    assert _commands([data]) == careful, "in one piece"
    assert _commands(choices.pieces(data)) == careful, "in pieces"
    for command in careful[0]:
        assert command
        assert sum(map(len, command)) <= max(COMMAND_BYTES_MAX, 64 * 1024)


def together(data: bytes) -> None:
    """The bytes of several clients together give nothing, or for each client what its bytes alone would
    give."""
    choices = Choices(data[:8])
    reads = [*choices.pieces(data[8:]), b"*1\r\n$4\r\nPING\r\n"]
    parsed = CommonParser().parse(reads)
    if parsed is not None:
        for read, commands in zip(reads, parsed):
            parser = CommandParser(COMMAND_BYTES_MAX)
            careful = [parser.feed(read[k : k + 1]) for k in range(len(read))]
            assert [command for some, _ in careful for command in some] == commands
            assert not any(error for _, error in careful) and not parser.is_inside


class _AtOnce:
    """A replica that runs commands when they are submitted."""

    users = None

    def __init__(self) -> None:
        self._machine = IStateMachine(KeyValueStore())
        self.executed = Observers(self._machine, lambda: True, lambda: True)
        self._slot = 0

    def check(self, command: Command) -> None:
        self._machine.check(command)

    def is_valid_shape(self, name: bytes, length: int) -> bool:
        return bool(self._machine.is_valid_shape(name, length))

    def commands(self) -> Sequence[CommandInfo]:
        commands: Sequence[CommandInfo] = self._machine.commands()
        return commands

    def submit(
        self, commands: Sequence[Command], done: Callable[[Outcome], None], size_bytes: int = 0
    ) -> None:
        self._slot += 1
        batch = self._machine.batch(commands)
        again = decode_batch(encode_batch(batch))
        assert again == batch
        (replies,) = self._machine.apply([Ready(InstanceId(0, self._slot), again, True)])
        assert len(replies) == len(commands)
        done(replies)

    def is_read(self, name: bytes) -> bool:
        return bool(self._machine.is_read(name))

    def databases(self) -> int:
        return 0

    def memory(self) -> None:
        return None

    def keyspace(self) -> dict[int, tuple[int, int]]:
        return {}

    def took(self) -> None:
        return None


class _Client(StringTransport):
    """The near end of a client's connection."""

    def loseConnection(self) -> None:
        self.disconnecting = True


class _Unmeasured(ProcessFacts):
    """Measured values, which differ from run to run."""

    def server(self) -> Mapping[str, Any]:
        return {}

    memory = cpu = server  # type: ignore[assignment]


def _session(pieces: Sequence[bytes]) -> tuple[bytes, bool]:
    """The replies to a client, and whether its connection was closed.

    Without the numbers of waiting bytes in `CLIENT LIST`, which depend on the cuts.
    """
    clock = Clock()
    factory = RespFactory(
        _AtOnce(),
        Complaints(Logger(), clock),
        default_limits(command_bytes_max=COMMAND_BYTES_MAX),
        seconds=clock.seconds,
    )
    factory.shared.information.process = _Unmeasured(Clock().seconds)
    wire = _Client()
    connection = factory.buildProtocol(None)
    connection.makeConnection(wire)
    for piece in pieces:
        if not wire.disconnecting:
            connection.dataReceived(piece)
            clock.advance(0)  # long replies are written in several turns
    if wire.disconnected:  # at once: the replies before that depend on the cuts
        return b"", True
    return re.sub(rb" qbuf=[0-9]+|[$=][0-9]+\r\n(?=(?:txt:)?id=)", b"", wire.value()), wire.disconnecting


def session(data: bytes) -> None:
    """A whole connection, from bytes to replies.  It does not depend on how the bytes are cut."""
    choices = Choices(data[:8])
    data = data[8:]
    assert _session([data]) == _session(choices.pieces(data))


class _Web(StringTransport):
    """The near end of a connection to the status port."""

    def loseConnection(self) -> None:
        self.disconnecting = True

    abortConnection = loseConnection


def http(data: bytes) -> None:
    """The status port answers or hangs up."""
    choices = Choices(data[:4])
    reactor = MemoryReactorClock()
    site = status_site(mock.Mock(**{"status.return_value": _Told()}), reactor)
    wire = _Web()
    protocol: Any = site.buildProtocol(None)
    protocol.makeConnection(wire)
    for piece in choices.pieces(data[4:]):
        if not wire.disconnecting:
            protocol.dataReceived(piece)
        assert len(wire.value()) < 300 * (2 + data.count(b"\n"))
    if not wire.disconnecting:
        reactor.advance(1000)  # a connection that stays silent is closed
        assert wire.disconnecting


class _Told:
    """A Deferred that has fired with an empty status."""

    def addCallbacks(self, callback: Any, errback: Any, callbackArgs: Any, errbackArgs: Any) -> _Told:
        self.body = callback({}, *callbackArgs)
        return self

    def addCallback(self, callback: Any, *arguments: Any) -> None:
        callback(self.body, *arguments)


# -- what other replicas send


def _frames(pieces: Sequence[bytes]) -> tuple[list[bytes], bool]:
    reader = FrameReader(FRAME_BYTES_MAX)
    frames: list[bytes] = []
    for piece in pieces:
        try:
            frames += reader.feed(piece)
        except FrameError:
            return frames, True
    return frames, False


def frames(data: bytes) -> None:
    """The frames do not depend on how the bytes are cut; none is longer than allowed."""
    choices = Choices(data[:8])
    data = data[8:]
    whole, failed = _frames([data[k : k + 1] for k in range(len(data))])
    assert all(len(frame) <= FRAME_BYTES_MAX for frame in whole)
    found, also_failed = _frames(choices.pieces(data))
    assert also_failed == failed
    assert found == whole[: len(found)] if failed else found == whole


def message(data: bytes) -> None:
    """The contents of a frame are refused, or are messages that could have been sent."""
    try:
        messages = decode_frame(data, Epoch.first(N))
    except WireError as error:
        assert len(str(error)) < 200
        return
    assert decode_frame(b"".join(map(encode, messages)), Epoch.first(N)) == messages


def batch(data: bytes) -> None:
    """The bytes of a batch are refused, or are a batch that could have been sent."""
    try:
        decoded = decode_batch(data)
    except WireError as error:
        assert len(str(error)) < 200
        return
    assert decode_batch(encode_batch(decoded)) == decoded
    assert (decoded is NOP) == (not decoded.commands)


class _Peer(StringTransport):
    """The near end of a connection with another replica."""

    def loseConnection(self) -> None:
        self.disconnecting = True

    abortConnection = loseConnection


class _Quiet:
    """Formats log lines, and drops them."""

    def warn(self, text: str, **fields: object) -> None:
        assert len(text.format(**fields)) < 2000


def _complaints(clock: Clock) -> Complaints:
    return Complaints(_Quiet(), clock)  # type: ignore[arg-type]


SETTINGS = default_tcp(frame_bytes_max=FRAME_BYTES_MAX)
HERE = PeerIdentity("example", 0, Epoch.first(N))
THERE = PeerIdentity("example", 1, Epoch.first(N))
GREETING = greet(THERE, HERE.replica)
MEMBERS = Membership(7, 0, 1, tuple(Member(number, 100 + number) for number in range(N)))


def _never(text: str) -> None:
    raise AssertionError(f"bytes of a stranger stop the replica: {text}")


def incoming(data: bytes) -> None:
    """An incoming connection, from the greeting on."""
    choices = Choices(data[:8])
    data = data[8:]
    introduced = choices.below(3)
    greeting = greet(THERE, HERE.replica, Introduction(101, 201)) if introduced == 2 else GREETING
    if choices.below(2):
        data = len(greeting).to_bytes(4, "big") + greeting + data
    clock = Clock()
    controls: list[Control] = []
    received: list[Message] = []
    roster = Roster(0, HERE.epoch)
    factory = IncomingFactory(
        HERE,
        roster,
        lambda sender, epoch, messages: received.extend(messages),
        lambda sender, is_open: None,
        _complaints(clock),
        clock,
        SETTINGS,
        SharedReader(),
    )
    if introduced:
        me = Myself(100, 200, lambda: 1, choices.of((None, MEMBERS)))
        if me.membership is not None:
            roster.know(me.membership)
        factory.acquaintances = Acquaintances(0, roster, "example", me, 1.0, clock.seconds, _never, _never)
        factory.control = lambda sender, control: controls.append(control)
    connection: Any = factory.buildProtocol(None)
    wire = _Peer()
    connection.makeConnection(wire)
    for piece in choices.pieces(data):
        if not wire.disconnecting:
            connection.dataReceived(piece)
    assert connection.sender in (None, 1, 2)
    assert not (received or controls) or connection.sender is not None
    assert len(wire.value()) < 300
    clock.advance(100)
    assert wire.disconnecting


def outgoing(data: bytes) -> None:
    """An outgoing connection, whose other end may answer anything."""
    choices = Choices(data[:8])
    clock = Clock()
    accepted: list[bool] = []
    complaints = _complaints(clock)
    connection = Outgoing(
        Connections(),
        clock,
        SETTINGS,
        lambda answer: accepted.append(True),
        lambda refusal: None,
        lambda connection, reason: None,
        lambda text: complaints.warn("to replica 1", text),
        lambda transport: None,
    )
    wire = _Peer()
    connection.makeConnection(wire)
    connection.greet(GREETING)
    for piece in choices.pieces(data[8:]):
        if not wire.disconnecting:
            connection.dataReceived(piece)
    assert len(accepted) <= 1
    assert connection.accepted == bool(accepted)


def datagrams(data: bytes) -> None:
    """Datagrams from the address of a replica: in any order, doubled, damaged, or random bytes."""
    choices = Choices(data)
    writer = DatagramWriter(THERE, 101, 1, 200)
    writer.address(7, 100)
    sent = list(writer.write([encode(choices.message(N)) for _ in range(choices.below(4))]))
    sent += writer.write([bytes(choices.below(256)) * 2])  # half of them longer than a datagram
    reader = DatagramReader(HERE, 100)
    reader.know(7)
    reader.expect(101, 1)
    while choices.left:
        datagram = bytearray(choices.of(sent))
        for _ in range(choices.of((0, 0, 1, 2, 3))):
            datagram[choices.below(len(datagram))] = choices.byte()
        try:
            frame = reader.read(bytes(datagram[: len(datagram) - choices.of((0, 0, 0, 1, 20))]))
            decode_frame(frame.body, Epoch.first(N))
        except (DatagramError, WireError) as error:
            assert len(str(error)) < 200
    assert reader.sequence.lost >= 0
    with contextlib.suppress(DatagramError):
        reader.read(data)


def core(data: bytes) -> None:
    """Well-formed messages of peers that lie, among all other events of a replica."""
    choices = Choices(data)
    with mock.patch.object(catch_up, "RECOVERIES_AT_ONCE", 4):  # otherwise it does little else
        victim = Victim(choices.of((3, 5, 2, 4)))
        while choices.left:
            victim.suffer(choices)


# -- what state machines are given


WORDS = (b"SET", b"get", b"MSET", b"INCRBY", b"APPEND", b"FLUSHALL", b"PRINT", b"NX", b"a", b"b", b"-1", b"")


def _payload(choices: Choices) -> bytes:
    """A payload of columns, which may or may not fit together."""
    columns = columns_pb2.Commands()
    shapes = choices.below(4)
    columns.names.extend(choices.of(WORDS) for _ in range(shapes))
    columns.lengths.extend(choices.below(6) for _ in range(choices.of((shapes, shapes, shapes, 1))))
    columns.shapes.extend(choices.below(4) for _ in range(choices.below(6)))
    columns.keyed = bool(choices.below(2))
    columns.keys.extend(choices.below(4) for _ in range(choices.below(6)))
    columns.arguments.extend(choices.of(WORDS) for _ in range(choices.below(16)))
    return columns.SerializeToString()


def _apply(make: Callable[[], IStateMachine], before: Mapping[bytes, bytes], data: bytes) -> None:
    """A batch is applied, or raises ValueError; and it does the same again after a restart."""
    choices = Choices(data)
    commands, barrier = 1 + choices.below(5), bool(choices.below(2))
    payload = _payload(choices) if choices.below(2) else choices.rest()
    batch = Batch((b"a", b"b"), (b"c",)[: choices.below(2)], payload, commands, barrier)
    _apply_twice(make, before, batch)


def _apply_twice(make: Callable[[], IStateMachine], before: Mapping[bytes, bytes], batch: Batch) -> None:
    machine, again = make(), make()
    machine.restore(dict(before), ())
    log = [Ready(ID, batch, False)]
    try:
        (replies,) = machine.apply([Ready(ID, batch, True)])
    except ValueError:
        try:
            again.restore(dict(before), log)
        except ValueError:
            return
        raise AssertionError("it is applied after a restart, and was not before") from None
    assert len(replies) == batch.commands
    again.restore(dict(before), log)
    assert dict(again.entries()) == dict(machine.entries())


def kv(data: bytes) -> None:
    """The payload of a committed batch is applied, or raises ValueError."""
    _apply(KeyValueStore, {b"a": b"1", b"b": b"x" * 50}, data)


def printer(data: bytes) -> None:
    """As `kv`, for the printer."""
    _apply(lambda: Printer(lambda line: None), {}, data)


def once(data: bytes) -> None:
    """As `kv`, for an envelope of sessions, of which one has begun."""
    choices = Choices(data)
    envelope = once_pb2.Envelope(now_s=choices.below(3))
    for _ in range(choices.below(5)):
        inside = choices.of(BATCHES) if choices.below(4) else Batch((b"a",), (), _payload(choices), 1)
        kind = choices.below(6)
        part = envelope.parts.add(
            kind=kind,
            session=choices.of((SESSION, SESSION, SESSION, b"", b"other", bytes(16))) if kind != 1 else b"",
            number=choices.below(4),
            acked=choices.below(3),
        )
        if kind < 3:
            part.writes.extend(inside.writes)
            part.reads.extend(inside.reads)
            part.payload, part.commands = inside.payload, inside.commands
    payload = envelope.SerializeToString() if choices.below(8) else choices.rest()
    commands = sum(part.commands or 1 for part in envelope.parts)
    site = Site()
    site.apply(Site(first_id=int.from_bytes(SESSION, "big")).propose([[b"EPAXOS", b"SESSION"]]))
    batch = Batch((), (), MARK + payload, commands, True)
    _apply_twice(lambda: Site().machine, site.state(), batch)


# -- what lies on disk


def _load(text: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="epaxos-fuzz-") as folder:
        path = Path(folder) / "cluster.ini"
        path.write_bytes(text)
        try:
            config = load(path)
            check_datagrams(config)
            reactor = MemoryReactorClock()
            for replica in config.replicas:
                connecting(config, replica.id, reactor)
                for key in ("peer", "client", "status"):
                    listening(config, replica.id, key, reactor)
        except ConfigError as error:
            assert "\n" not in str(error), "one line"


def config(data: bytes) -> None:
    """A configuration file is loaded, or refused with one line."""
    _load(data)


KEYS = (
    "[cluster]\nname = {}",
    "[cluster]\nstate_machine = {}",
    "[timing]\nheartbeat_s = {}",
    "[batch]\ncommands_max = {}",
    "[storage]\nsync = {}",
    "[state_machine]\n{}",
    "[replica 0]\npeer = {}",
    "[replica 0]\nclient = {}",
    "[replica 0]\nstatus = {}",
    "[replica 0]\npeer_connect = {}",
    "[replica 0]\ndata = {}",
    "{}",
)


def setting(data: bytes) -> None:
    """A good configuration file in which one value is arbitrary is loaded, or refused with one line."""
    section, _, line = Choices(data).of(KEYS).partition("\n")
    value = data[1:].decode("utf-8", "replace")
    key = line.partition("=")[0]
    lines = example(2, data="data").splitlines()
    if section not in lines:
        lines.append(section)
    start = lines.index(section) + 1
    lines = [kept for row, kept in enumerate(lines) if not (key and row == start and kept.startswith(key))]
    lines.insert(start, line.format(value))
    _load("\n".join(lines).encode())


FORMAT = RecordFormat(Epoch.first(N))


def record(data: bytes) -> None:
    """A value of the database is decoded to one that can be encoded again, or refused."""
    kinds = (_record, _instance_key, _stored_batch, _checkpoint, _deps, _identity, _parts)
    decode, check = kinds[Choices(data).below(len(kinds))]
    try:
        decoded = decode(data[1:])
    except ValueError as error:
        assert type(error) is ValueError
        return
    check(decoded, data[1:])


SESSION = b"\1" * 16
ID = InstanceId(1, 7)
_Kind = tuple[Callable[[bytes], Any], Callable[[Any, bytes], None]]


def _check_record(decoded: InstanceRecord, data: bytes) -> None:
    assert FORMAT.decode_record(ID, FORMAT.encode_record(decoded)) == decoded
    _take_up([(decoded, BATCHES[0])])


def _check_instance_key(decoded: tuple[InstanceId, bool], data: bytes) -> None:
    id, is_batch = decoded
    key = FORMAT.batch_key(id) if is_batch else FORMAT.record_key(id)
    assert key == records.INSTANCE_PREFIX + data


def _check_batch(decoded: Batch, data: bytes) -> None:
    assert FORMAT.decode_batch(ID, FORMAT.encode_batch(decoded)) == decoded


def _check_checkpoint(decoded: tuple[Deps, tuple[InstanceId, ...]], data: bytes) -> None:
    assert FORMAT.encode_checkpoint(*decoded) == data
    Executor(Epoch.first(N)).restore(*decoded)


def _check_deps(decoded: Deps, data: bytes) -> None:
    assert FORMAT.encode_deps(decoded) == data


def _check_manifest(decoded: Manifest, data: bytes) -> None:
    assert encode_manifest(decoded) == data


def _check_identity(decoded: Identity, data: bytes) -> None:
    assert isinstance(decoded, Identity)


_record: _Kind = (partial(FORMAT.decode_record, ID), _check_record)
_instance_key: _Kind = (
    lambda data: FORMAT.decode_instance_key(records.INSTANCE_PREFIX + data),
    _check_instance_key,
)
_stored_batch: _Kind = (partial(FORMAT.decode_batch, ID), _check_batch)
_checkpoint: _Kind = (FORMAT.decode_checkpoint, _check_checkpoint)
_deps: _Kind = (FORMAT.decode_deps, _check_deps)
_identity: _Kind = (decode_identity, _check_identity)
_parts: _Kind = (decode_manifest, _check_manifest)


def _take_up(held: Sequence[tuple[InstanceRecord, Batch | None]]) -> None:
    """A replica restores these records, and then sends well-formed messages."""
    replica = Replica(0, Epoch.first(N), timing=Timing(), random=Random(1))
    replica.tick(0.0)
    nothing = (0,) * N
    instances = [Instance.restore(record, batch) for record, batch in held]
    replica.restore(reserved=0, floor=nothing, executed=nothing, instances=instances)
    executor = Executor(Epoch.first(N))
    for instance in replica.take_output().decided:
        assert instance.cmd is not None
        executor.commit(instance.id, instance.cmd, instance.deps)
    for seconds in (1.0, 10.0, 20.0):
        replica.tick(seconds)
        while output := replica.take_output():
            for _, message in [*output.messages, *output.promises][:100]:
                assert decode_frame(encode(message), Epoch.first(N)) == [message]
            for instance in output.instances.values():
                FORMAT.encode_record(instance.record())
            replica.on_durable(output)


class _Held:
    """A database that is a dictionary, with the methods of LevelDB that a restore uses."""

    def __init__(self, held: Mapping[bytes, bytes]) -> None:
        self._held = held

    def get(self, key: bytes, verify_checksums: bool) -> bytes | None:
        return self._held.get(key)

    def iterator(self, prefix: bytes = b"", **options: bool) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(pair for pair in self._held.items() if pair[0].startswith(prefix)))


@lru_cache(1)
def _good_database() -> Mapping[bytes, bytes]:
    held = {
        records.RESERVED_KEY: records.encode_number(256),
        records.FLOOR_KEY: FORMAT.encode_deps((1, 0, 0)),
        records.CHECKPOINT_KEY: FORMAT.encode_checkpoint((2, 1, 0), (InstanceId(1, 3),)),
        records.STATE_KEY: encode_manifest(Manifest(StateFile(1))),
    }
    for slot, phase in ((2, Phase.COMMITTED), (3, Phase.PREACCEPTED), (4, Phase.ACCEPTED)):
        id = InstanceId(0, slot)
        found = InstanceRecord(id, phase, 0, 0, Value.PROPOSED, (slot - 1, 1, 0), (slot - 1, 0, 0))
        held[FORMAT.record_key(id)] = FORMAT.encode_record(found)
        held[FORMAT.batch_key(id)] = FORMAT.encode_batch(BATCHES[0])
    for number in (1, 2, 3):
        held[records.write_key(number)] = records.encode_number(1)
    return held


def database(data: bytes) -> None:
    """A database with damaged, missing or excess entries is refused, or restored."""
    choices = Choices(data)
    held = dict(_good_database())
    for _ in range(1 + choices.below(3)):
        _damage(held, choices)
    db = _Held(held)
    try:
        WriteSequence.restore(db.iterator(records.WRITE_PREFIX), 1000)
    except ValueError as error:
        assert type(error) is ValueError
    try:
        restored, _ = restore(db, DataFolder("data"), FORMAT, False)
        ready = [Ready(id, batch, False) for id, batch in restored.batches]
        KeyValueStore().restore_in_parts(restored.base, ready)
        held_records = list(restored.records)
    except StoreError:
        return
    executor = Executor(Epoch.first(N))
    executor.restore(restored.executed, restored.beyond)
    replica = Replica(0, Epoch.first(N), timing=Timing(), random=Random(1))
    replica.tick(0.0)
    replica.restore(
        reserved=restored.reserved,
        floor=restored.floor,
        executed=restored.executed,
        instances=[Instance.restore(record, batch) for record, batch in held_records],
    )
    for instance in replica.take_output().decided:
        assert instance.cmd is not None
        executor.commit(instance.id, instance.cmd, instance.deps)
    executor.run(100)


def _damage(held: dict[bytes, bytes], choices: Choices) -> None:
    keys = sorted(held)
    key = choices.of(keys)
    how = choices.below(5)
    value = bytearray(held[key])
    if how == 0:
        del held[key]
    elif how == 1 and value:
        value[choices.below(len(value))] = choices.byte()
        held[key] = bytes(value)
    elif how == 2:
        held[key] = held[choices.of(keys)]
    elif how == 3:
        held[bytes([*key[:-1], choices.byte()])] = bytes(value)
    else:
        held[key] = bytes(choices.byte() for _ in range(choices.below(80)))


def piece(data: bytes) -> None:
    """A piece of a base or a log with a right checksum can be written again, or is refused."""
    header, crc = frame(data, 0)
    (payload,) = read_pieces(BytesIO(header + data), len(header) + len(data), crc)
    assert payload == data
    for encode_all, decode in ((encode_entries, decode_entries), (encode_batches, decode_batches)):
        _recode(encode_all, decode, payload)


def _recode(encode_all: Any, decode: Any, payload: bytes) -> None:
    try:
        decoded = list(decode(payload))
    except ValueError:
        return
    again = [each for piece in encode_all(decoded) for each in decode(piece)]
    assert again == decoded


def torn(data: bytes) -> None:
    """The log of a database is cut at any place, or not at all: a log whose records are whole is not
    damage."""
    end = end_of_whole_records(data)
    assert end is None or 0 <= end <= len(data)
    if end is not None:
        assert end_of_whole_records(data[:end]) in (None, end)


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        resp,
        together,
        session,
        http,
        frames,
        message,
        batch,
        incoming,
        outgoing,
        datagrams,
        core,
        kv,
        once,
        printer,
        config,
        setting,
        record,
        database,
        piece,
        torn,
        collection,
        payload,
    )
}
