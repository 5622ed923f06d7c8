"""Reading without an instance: which writes a read has to come after (docs: protocol/reads).

A majority is asked which instances it knows that write the keys.  Whatever was committed before has
votes of a slow quorum, one of which is in that majority; so when all that it names is executed here,
the state of this replica shows every write that a client may count on.  Nothing is promised, written
or decided.
"""

from __future__ import annotations

from epaxos.protocol.memory.deadlines import Alarms
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.values.ids import Deps, merge
from epaxos.protocol.values.messages import Batch, Read, ReadOK

__all__ = ["ReadRules"]


NUMBERS = 2**52
"""Where numbers begin is below this; as many as there are random numbers."""


class _Read:
    """A read of this replica: what it names so far, and by whom."""

    __slots__ = ("answered", "asked", "deps", "keys")

    def __init__(self, keys: tuple[bytes, ...], deps: Deps, asked: tuple[int, ...]) -> None:
        self.keys = keys
        self.deps = deps
        self.asked = asked
        self.answered: set[int] = set()


class ReadRules:
    """The reads of one replica, and its answers to those of others.

    Numbers begin anywhere, so that an answer to an earlier process of this replica fits none of its reads.
    """

    def __init__(self, state: ReplicaState) -> None:
        self._state = state
        self._reads: dict[int, _Read] = {}
        self._alarms: Alarms[int] = Alarms()
        self._silent: set[int] = set()  # were asked, and have answered nothing since
        self._number = int(state.random.random() * NUMBERS)

    def start(self, keys: tuple[bytes, ...]) -> int:
        """Read `keys`; the number under which `Output.reads` will say after what."""
        state = self._state
        self._number += 1
        needed = state.quorums.read - 1
        asked = state.nearness.nearest(needed, self._is_silent)
        read = self._reads[self._number] = _Read(keys, self._known(keys), asked)
        self._ask(self._number, read, asked)
        patience_s = max(state.timing.fast_path_wait_s, 2 * state.nearness.usual_s(asked))
        self._alarms.set(self._number, state.now + patience_s)
        self._end_if_enough(self._number, read)
        return self._number

    def end(self, number: int) -> None:
        """Nobody waits for it any more."""
        self._reads.pop(number, None)
        self._alarms.clear(number)

    def _is_silent(self, replica: int) -> bool:
        return replica in self._silent or self._state.failures.suspects(replica)

    def _known(self, keys: tuple[bytes, ...]) -> Deps:
        return self._state.index.named_by(Batch((), keys, b"", 0))

    def _ask(self, number: int, read: _Read, replicas: tuple[int, ...]) -> None:
        message = Read(number, read.keys)
        for replica in replicas:
            self._state.send(replica, message)

    def on_read(self, sender: int, message: Read) -> None:
        """Another replica reads."""
        self._state.send(sender, ReadOK(message.number, self._known(message.keys)))

    def on_read_ok(self, sender: int, message: ReadOK) -> None:
        """An answer.  What it names may be new here, and be stuck."""
        self._silent.discard(sender)
        read = self._reads.get(message.number)
        if read is not None:
            read.answered.add(sender)
            read.deps = merge((read.deps, message.deps))
            self._state.table.hear_of(message.deps)
            self._end_if_enough(message.number, read)

    def _end_if_enough(self, number: int, read: _Read) -> None:
        state = self._state
        if 1 + len(read.answered) >= state.quorums.read:
            state.output.reads.append((number, read.deps))
            self.end(number)

    def next_deadline(self) -> float | None:
        return self._alarms.next()

    def on_time(self) -> None:
        """Ask all that have not answered, when those that were asked are silent for too long."""
        state = self._state
        for number in self._alarms.pop_due(state.now):
            read = self._reads[number]
            self._silent.update(replica for replica in read.asked if replica not in read.answered)
            self._ask(number, read, tuple(r for r in state.others if r not in read.answered))
            self._alarms.set(number, state.now + state.timing.resend_s)
