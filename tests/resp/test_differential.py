"""The same commands to a real Redis and to us: the same answers, but for what is meant to differ."""

from __future__ import annotations

import os
from itertools import chain
from random import Random

from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.admittance import FAILED_S
from tests.defaults import default_limits
from tests.resp.differential import Session, difference, session, skips_nothing
from tests.resp.lab import Server, Wire
from tests.resp.reference import RealConnection, RealRedis

COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "6000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
CLIENTS_MAX = 100


class OurConnection:
    """A client of our own, in this process."""

    def __init__(self, server: Server, client_id: int, random: Random) -> None:
        self._server = server
        self._random = random
        server.factory._accepted = client_id - 1
        self.connection = server.factory.buildProtocol(UNIXAddress("/socket"))
        self._wire = Wire()
        self.connection.makeConnection(self._wire)

    @property
    def is_closed(self) -> bool:
        return self._wire.disconnecting or self._wire.disconnected

    def send(self, pieces: list[bytes]) -> bytes:
        """What is answered to the pieces, each of which is a read; alone or as one of several clients."""
        for piece in pieces:
            if self.is_closed:
                break
            if self._random.random() < 0.5:
                self._server.factory.shared.receive([(self.connection, piece)])
            else:
                self.connection.dataReceived(piece)
            self._server.go_on()
            while self._server.factory.shared.admittance.is_awaited:
                self._server.clock.advance(FAILED_S)
                self._server.go_on()
        answer = self._wire.value()
        self._wire.clear()
        return answer

    def close(self) -> None:
        self.connection.connectionLost()


class DifferentialTests(SynchronousTestCase):
    """DIFFERENTIAL_COMMANDS is how many commands are tried, from DIFFERENTIAL_SEED on."""

    def setUp(self) -> None:
        self.real = RealRedis("--maxclients", str(CLIENTS_MAX), "--proto-max-bulk-len", "16000000")
        self.addCleanup(self.real.close)
        self.server = Server(default_limits(clients_max=CLIENTS_MAX), settings={"appendonly": "no"})
        self.server.factory.shared.settings["appendfsync"] = "everysec"

    def test_random_sessions(self) -> None:
        seed, tried = SEED, 0
        while tried < COMMANDS:
            random = Random(seed)
            sent, count = session(random)
            wrong = self.play(sent, random)
            self.assertIsNone(wrong, f"seed {seed}: {wrong}")
            seed, tried = seed + 1, tried + count
        self.assertGreater(seed, SEED + 10)

    def play(self, sent: Session, random: Random) -> str | None:
        """The first difference in this session that is not meant."""
        real = self.real.connect()
        ours = OurConnection(self.server, self.id_of(real), random)
        try:
            for pieces in sent:
                answer, expected = ours.send(pieces), b"".join(map(real.send, pieces))
                if ours.connection.session.is_refusing or b"unknown command 'sync'" in answer.lower():
                    return None  # what was left of a broken command was one that only Redis has
                wrong = difference(answer, expected)
                if wrong is not None and skips_nothing(b"".join(chain(*sent))):
                    return None
                if wrong is not None:
                    return f"{wrong}\n to {pieces} of {sent}"
                if ours.is_closed and not real.is_closed and b"REPLY" in b"".join(chain(*sent)).upper():
                    return None  # Redis keeps it open and does not read on
                if ours.is_closed != real.is_closed:
                    return f"closed: {ours.is_closed}, and by Redis {real.is_closed}\n to {pieces} of {sent}"
                if ours.is_closed:
                    return None
            return None
        finally:
            ours.close()
            real.close()
            self.real.turn(2)

    @staticmethod
    def id_of(real: RealConnection) -> int:
        return int(real.send(b"CLIENT ID\r\n")[1:])
