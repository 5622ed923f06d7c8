"""Reads without an instance: which writes a read has to come after (docs: protocol/reads).

The replica asks a read quorum which instances that write the keys each knows.  Whatever was committed
before the read has the votes of a slow quorum, and one of these voters is in the read quorum.  So when
all that the quorum names is executed here, the state of this replica shows every write that a client may
rely on.  Nothing is promised, written or decided.
"""

from __future__ import annotations

from epaxos.protocol.memory.deadlines import Deadlines
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, merge
from epaxos.protocol.values.messages import Read, ReadOK

__all__ = ["ReadRound", "ReadRounds"]


FIRST_NUMBERS = 2**52
"""The number of a process's first read is random and below this."""


class ReadRound:
    """One read of this replica: what was named so far, and who has answered."""

    __slots__ = ("answered", "asked", "deps", "keys")

    def __init__(self, keys: tuple[bytes, ...], deps: Deps, asked: tuple[int, ...]) -> None:
        self.keys = keys
        self.deps = deps
        self.asked = asked
        self.answered: set[int] = set()


class ReadRounds:
    """The reads of one replica, and its answers to the reads of others.

    The first number is random, so that an answer to an earlier process of this replica fits none of its
    reads.
    """

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._rounds: dict[int, ReadRound] = {}
        self._deadlines: Deadlines[int] = Deadlines()
        self._unanswered: set[int] = set()
        self._number = int(state.random.random() * FIRST_NUMBERS)

    def start(self, keys: tuple[bytes, ...]) -> int:
        """Read `keys`.  Returns the number under which `Output.reads` will say what to wait for."""
        state = self._state
        self._number += 1
        needed = state.quorums.read - 1
        asked = state.latency.fastest(needed, self._is_last_resort)
        read = self._rounds[self._number] = ReadRound(keys, state.index.writes_of(keys), asked)
        self._ask(self._number, read, asked)
        patience_s = max(state.timing.fast_path_wait_s, 2 * state.latency.usual_s(asked))
        self._deadlines.set(self._number, state.now + patience_s)
        self._end_if_enough(self._number, read)
        return self._number

    def end(self, number: int) -> None:
        """Drop the read `number`, if there is one."""
        self._rounds.pop(number, None)
        self._deadlines.clear(number)

    def _is_last_resort(self, replica: int) -> bool:
        return replica in self._unanswered or self._state.failures.suspects(replica)

    def _ask(self, number: int, read: ReadRound, replicas: tuple[int, ...]) -> None:
        message = Read(number, read.keys)
        for replica in replicas:
            self._state.send(replica, message)

    def on_read(self, sender: int, message: Read) -> None:
        """Another replica reads: name the writes that are known here."""
        self._state.send(sender, ReadOK(message.number, self._state.index.writes_of(message.keys)))

    def on_read_ok(self, sender: int, message: ReadOK) -> None:
        """An answer.  The instances that it names may be new here, and may need recovery."""
        self._unanswered.discard(sender)
        read = self._rounds.get(message.number)
        if read is not None:
            read.answered.add(sender)
            read.deps = merge((read.deps, message.deps))
            self._state.table.hear_of(message.deps)
            self._end_if_enough(message.number, read)

    def _end_if_enough(self, number: int, read: ReadRound) -> None:
        state = self._state
        if 1 + len(read.answered) >= state.quorums.read:
            state.output.reads.append((number, read.deps))
            self.end(number)

    def next_deadline(self) -> float | None:
        """When `on_time` has to be called at the latest; None while nothing is waited for."""
        return self._deadlines.next()

    def on_time(self) -> None:
        """Ask all replicas that have not answered a read whose wait is over."""
        state = self._state
        for number in self._deadlines.pop_due(state.now):
            read = self._rounds[number]
            self._unanswered.update(replica for replica in read.asked if replica not in read.answered)
            self._ask(number, read, tuple(r for r in state.others if r not in read.answered))
            self._deadlines.set(number, state.now + state.timing.resend_s)
