"""The two servers that are compared: a real one whose wall clock stands where it is told, and ours."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any
from unittest import SkipTest

from twisted.internet.address import UNIXAddress

from epaxos.interfaces import Command, Outcome, Ready, Reply, RunAgain
from epaxos.protocol.values.ids import InstanceId
from tests.defaults import default_limits
from tests.resp.lab import OneReplica, Server, Wire
from tests.resp.reference import RealRedis, valkey
from tests.statemachines.redis.wall_clock import WallClock

__all__ = ["BEGIN_MS", "OurServer", "RealServer"]

BEGIN_MS = 1_800_000_000_000
SOURCE = Path(__file__).with_name("stopped_clock.c")
_ROUNDS = 20
_ID = InstanceId(0, 1)


PROGRAMS: dict[str, Callable[[], str | None]] = {"redis": lambda: "redis-server", "valkey": valkey}


class RealServer:
    """A real server.  Its wall clock shows what `set_time` was told, and it removes no key by itself.

    Raises SkipTest where there is no such program, and no compiler for the library that stops the clock.
    """

    def __init__(self, name: str) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise SkipTest("there is no C compiler, so no clock can be stopped")
        self._folder = Path(tempfile.mkdtemp(prefix="epaxos-clock-"))
        library, self._shown = self._folder / "stopped_clock.so", self._folder / "now"
        self._shown.write_bytes(bytes(8))
        self.set_time(BEGIN_MS)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self.redis = RealRedis(
            *("--enable-debug-command", "yes", "--proto-max-bulk-len", "16000000"),
            program=PROGRAMS[name](),
            environment={"LD_PRELOAD": str(library), "STOPPED_CLOCK": str(self._shown)},
        )
        with self.redis.dial() as link:
            link.sendall(b"DEBUG SET-ACTIVE-EXPIRE 0\r\n")
            link.recv(100)

    def set_time(self, now_ms: int) -> None:
        """From now on it is this time, in milliseconds since 1970."""
        with self._shown.open("r+b") as file:
            file.write(struct.pack("=q", now_ms * 1000))

    def close(self) -> None:
        """Stop it."""
        self.redis.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Replica(OneReplica):
    """Runs again what asks for it, as a node does, and reads without a batch now and then."""

    def __init__(self, random: Random, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._random = random
        self.store.use_clock(WallClock(now_s), lambda: random.getrandbits(64))

    def run(self, order: Sequence[int] | None = None) -> None:
        """See OneReplica."""
        while self.held:
            held, self.held = self.held, []
            for commands, done in held:
                outcome: Outcome = self._settled(commands, self._replies(commands))
                done(outcome)

    def _replies(self, commands: Sequence[Command]) -> Sequence[Reply]:
        only_reads = all(self.store.is_read(command[0]) for command in commands)
        if only_reads and self._random.random() < 0.5:
            return self.store.read(commands)
        return self.store.apply([Ready(_ID, self.store.batch(commands), True)])[0]

    def _settled(self, commands: Sequence[Command], replies: Sequence[Reply]) -> list[Reply]:
        found: list[Any] = list(replies)
        for _ in range(_ROUNDS):
            again = [number for number, reply in enumerate(found) if isinstance(reply, RunAgain)]
            if not again:
                return found
            together: list[Command] = []
            places: list[int | None] = []
            for number in again:
                reply = found[number]
                together.append(reply.first)
                places.append(None)
                if reply.known is None:
                    together.append(commands[number])
                    places.append(number)
                else:
                    found[number] = reply.known[0]
            batch = self.store.batch(together)
            for place, reply in zip(places, self.store.apply([Ready(_ID, batch, True)])[0]):
                if place is not None:
                    found[place] = reply
        raise AssertionError(f"{commands} runs again and again")


class OurServer:
    """A client port of ours, with one replica behind it.  `random` decides what needs a batch."""

    def __init__(self, random: Random) -> None:
        self.now_ms = BEGIN_MS
        replica = _Replica(random, lambda: self.now_ms / 1000)
        self.server = Server(default_limits(), settings={"appendonly": "no"}, replica=replica)

    def connect(self) -> Callable[[bytes], bytes]:
        """A new client: what it sends, and what it is answered."""
        connection = self.server.factory.buildProtocol(UNIXAddress("/socket"))
        wire = Wire()
        connection.makeConnection(wire)

        def send(data: bytes) -> bytes:
            connection.dataReceived(data)
            while self.server.replica.held:
                self.server.replica.run()
            answer = wire.value()
            wire.clear()
            return answer

        return send
