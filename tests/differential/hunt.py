"""Plays sessions at both servers, and makes small what differs."""

from __future__ import annotations

from random import Random

from tests.differential.replies import compare
from tests.differential.servers import BEGIN_MS, OurServer, RealServer
from tests.differential.sessions import TICK_MS, Session, Step

__all__ = ["Players"]

SHRINKS_MAX = 400


class Players:
    """Plays sessions at a real server, and at one of ours that is new each time."""

    def __init__(self, name: str) -> None:
        self.real = RealServer(name)
        self._control = self.real.redis.connect()

    def close(self) -> None:
        """Stop the real server."""
        self._control.close()
        self.real.close()

    def difference(self, session: Session, seed: int) -> str | None:
        """The first difference that is not meant."""
        ours = OurServer(Random(seed))
        self.real.set_time(BEGIN_MS)
        self._control.send(b"FLUSHALL\r\nSCRIPT FLUSH\r\n")
        clients = [ours.connect(), ours.connect()]
        theirs = [self.real.redis.connect(), self.real.redis.connect()]
        try:
            for step in session:
                ours.now_ms += step.ticks * TICK_MS
                if step.ticks:
                    self.real.set_time(ours.now_ms)
                answer, expected = clients[step.client](step.data), theirs[step.client].send(step.data)
                if step.asked[0].words[0] == b"HELLO":
                    continue  # tests/resp has that
                wrong, goes_on = compare(answer, expected, [one.is_unordered for one in step.asked])
                if wrong is not None:
                    return f"{wrong}\nto {step}"
                if not goes_on:
                    return None
            return None
        finally:
            for link in theirs:
                link.close()

    def smaller(self, session: Session, seed: int) -> Session:
        """A session that still differs, with as little in it as can be found quickly."""
        tries = 0
        for size in (8, 4, 2, 1):
            place = 0
            while place < len(session) and tries < SHRINKS_MAX:
                fewer = session[:place] + session[place + size :]
                tries += 1
                if fewer and self.difference(fewer, seed):
                    session = fewer
                else:
                    place += size
        for number in range(len(session)):
            place = 0
            while place < len(session[number].asked) and tries < SHRINKS_MAX:
                step = session[number]
                asked = [*step.asked[:place], *step.asked[place + 1 :]]
                fewer = [*session[:number], Step(step.client, step.ticks, asked), *session[number + 1 :]]
                tries += 1
                if asked and self.difference(fewer, seed):
                    session = fewer
                else:
                    place += 1
        return session
