"""Judges the rules that must hold at every commit and execution, while a run goes on.

The judge sees the calls of each replica's executor and state machine.  It knows nothing of the protocol
and has its own definition of interference: a judge must not borrow from what it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy as _copy
from typing import NamedTuple

from epaxos.interfaces import CommandError, Reply
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import Deps, InstanceId, no_deps
from epaxos.protocol.values.messages import NOP, Batch
from epaxos.verify.judges.place import covers, epoch_of

__all__ = ["Invariants", "interfere"]

Entries = Iterable[tuple[bytes, bytes]]
_MASK = (1 << 64) - 1


def interfere(a: Batch, b: Batch) -> bool:
    """Whether two batches, neither of them NOP, must run in the same order everywhere."""
    if a.barrier or b.barrier:
        return True
    return any(key in b.writes or key in b.reads for key in a.writes) or any(
        key in b.writes for key in a.reads
    )


def _mixed(id: InstanceId) -> int:
    """A hash of `id`, to be summed (splitmix64)."""
    x = (id.replica * 0x1_0000_0001 + id.slot) * 0x9E3779B97F4A7C15 & _MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _MASK
    return x ^ x >> 31


class _Decision(NamedTuple):
    batch: Batch
    deps: Deps
    by: int


class _Step(NamedTuple):
    """An executed instance, the one executed before it, and the sum of the hashes of all up to it."""

    id: InstanceId
    before: _Step | None
    sum: int


class _Sequence:
    """The instances that the present state of one replica contains, in order of execution."""

    def __init__(self, n: int) -> None:
        self.last: _Step | None = None
        self.applied: InstanceId | None = None
        self.ids: set[InstanceId] = set()
        self.writes: dict[bytes, int] = {}
        self.checkpoints: dict[tuple[Deps, tuple[InstanceId, ...]], _Step | None] = {
            (no_deps(Epoch.first(n)), ()): None,
        }

    def copy(self) -> _Sequence:
        """The same, which goes on by itself."""
        copy = _copy(self)
        copy.ids, copy.writes, copy.checkpoints = set(self.ids), dict(self.writes), dict(self.checkpoints)
        return copy

    @property
    def sum(self) -> int:
        """A number that is equal for equal sets of executed instances."""
        return 0 if self.last is None else self.last.sum


class Invariants:
    """The judge of one run.

    `violated(text)` is called for each breach of a rule, `ran(command)` when a command of a client runs for
    the first time at any replica.  `durable()` returns what each replica has durably executed.
    `n`: how many members there are at first; `replicas`: how many may ever be, by default as many."""

    def __init__(
        self,
        n: int,
        violated: Callable[[str], None],
        ran: Callable[[str], None] = lambda command: None,
        durable: Callable[[], Iterable[Deps]] | None = None,
        replicas: int | None = None,
    ) -> None:
        self._n = n
        self._violated = violated
        self._ran = ran
        self._durable = durable or (lambda: [no_deps(Epoch.first(n))])
        self.decisions: dict[InstanceId, _Decision] = {}
        self._by_key: dict[bytes, list[InstanceId]] = {}
        self._barriers: list[InstanceId] = []
        self._sequences = [_Sequence(n) for _ in range(replicas or n)]
        self._write_order: dict[bytes, list[InstanceId]] = {}
        self._read_after: dict[tuple[bytes, InstanceId], int] = {}
        self._before_barrier: dict[InstanceId, int] = {}
        self._states: dict[int, tuple[int, frozenset[tuple[bytes, bytes]]]] = {}
        self._replies: dict[InstanceId, tuple[int, list[object]]] = {}
        self._carriers: dict[str, InstanceId] = {}
        self._carried: dict[InstanceId, tuple[str, ...]] = {}
        self._ends: dict[int, tuple[int, InstanceId]] = {}

    def copy(
        self,
        violated: Callable[[str], None],
        ran: Callable[[str], None],
        durable: Callable[[], Iterable[Deps]],
    ) -> Invariants:
        """A judge that has seen the same, of a run that goes on in another way from here."""
        copy = _copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (dict, list)):
                setattr(copy, name, _copy(value))
        copy._violated, copy._ran, copy._durable = violated, ran, durable
        copy._sequences = [sequence.copy() for sequence in self._sequences]
        copy._by_key = {key: list(ids) for key, ids in self._by_key.items()}
        copy._write_order = {key: list(ids) for key, ids in self._write_order.items()}
        return copy

    # -- commits

    def on_commit(self, replica: int, id: InstanceId, batch: Batch, deps: Deps) -> None:
        """`replica` holds that `id` is decided."""
        earlier = self.decisions.get(id)
        if earlier is not None:
            if earlier.batch != batch or earlier.deps != deps:
                self._violated(
                    f"Agreement: {id} is {_shown(batch)} {deps} at replica {replica},"
                    f" but {_shown(earlier.batch)} {earlier.deps} at replica {earlier.by}"
                )
            return
        self.decisions[id] = _Decision(batch, deps, replica)
        if batch == NOP:
            return
        for other in self._candidates(batch):
            self._check_visibility(id, other)
        if batch.barrier:
            self._barriers.append(id)
        for key in (*batch.writes, *batch.reads):
            self._by_key.setdefault(key, []).append(id)

    def _candidates(self, batch: Batch) -> Iterable[InstanceId]:
        if batch.barrier:
            return [id for id, decision in self.decisions.items() if decision.batch != NOP]
        found = dict.fromkeys(self._barriers)
        for key in (*batch.writes, *batch.reads):
            found.update(dict.fromkeys(self._by_key.get(key, ())))
        return found

    def _check_visibility(self, a: InstanceId, b: InstanceId) -> None:
        """`a` has just been decided, `b` before it.

        When every replica has durably executed `b`, the replicas may have forgotten it; it is then before
        `a` everywhere, named or not.
        """
        if a == b or not interfere(self.decisions[a].batch, self.decisions[b].batch):
            return
        if covers(self.decisions[b].deps, a) or covers(self.decisions[a].deps, b):
            return
        if not all(covers(executed, b) for executed in self._durable()):
            self._violated(
                f"Visibility: {a} {self.decisions[a].deps} and {b} {self.decisions[b].deps}"
                " interfere, and neither names the other"
            )

    # -- execution

    def on_execute(self, replica: int, id: InstanceId, batch: Batch) -> None:
        """`replica` runs `id` now."""
        decision = self.decisions.get(id)
        sequence = self._sequences[replica]
        if decision is None or decision.batch != batch:
            self._violated(f"replica {replica} runs {id} as {_shown(batch)}, which was not decided")
        if id in sequence.ids:
            self._violated(f"replica {replica} runs {id} twice")
        self._check_order(replica, sequence, id, batch)
        self._append(sequence, id, batch)
        self._check_carried(id)

    def _append(self, sequence: _Sequence, id: InstanceId, batch: Batch) -> None:
        sequence.last = _Step(id, sequence.last, (sequence.sum + _mixed(id)) & _MASK)
        sequence.ids.add(id)
        for key in batch.writes:
            sequence.writes[key] = sequence.writes.get(key, 0) + 1

    def _check_order(self, replica: int, sequence: _Sequence, id: InstanceId, batch: Batch) -> None:
        """Check that every replica runs the writes of each key in the same order, each read between the same
        writes, and the same set of instances before a barrier."""
        if batch.barrier and self._before_barrier.setdefault(id, sequence.sum) != sequence.sum:
            self._violated(f"Order: what replica {replica} ran before the barrier {id} differs from others")
        for key in batch.writes:
            position = sequence.writes.get(key, 0)
            order = self._write_order.setdefault(key, [])
            if position == len(order):
                order.append(id)
            elif order[position] != id:
                self._violated(
                    f"Order: write {position + 1} of key {key!r} is {id} at replica {replica},"
                    f" but {order[position]} elsewhere"
                )
        for key in batch.reads:
            position = sequence.writes.get(key, 0)
            if self._read_after.setdefault((key, id), position) != position:
                self._violated(
                    f"Order: {id} reads key {key!r} after {position} writes at replica {replica},"
                    f" but after {self._read_after[key, id]} elsewhere"
                )

    def on_applied(self, replica: int, last: InstanceId, entries: Callable[[], Entries]) -> None:
        """`replica` has applied `last`; it may have begun to run further instances."""
        sequence = self._sequences[replica]
        sequence.applied = last
        if sequence.last is not None and sequence.last.id == last:
            self.on_state(replica, entries)

    def on_state(self, replica: int, entries: Callable[[], Entries]) -> None:
        """Compare the state of `replica` with the states of others that have run the same instances."""
        self._check_state(replica, self._sequences[replica].sum, entries())

    def _check_state(self, replica: int, key: int, entries: Entries) -> None:
        state = frozenset(entries)
        first, earlier = self._states.setdefault(key, (replica, state))
        if earlier != state:
            different = sorted(key for key, _ in earlier ^ state)[:5]
            self._violated(
                f"Digest: replicas {replica} and {first} ran the same instances"
                f" and differ in the keys {different}"
            )

    def on_replies(self, replica: int, id: InstanceId, replies: Sequence[Reply], commands: int) -> None:
        """`replica` has run the batch of `id`, of this number of commands, and these are its replies.
        They are the same at every replica, and whenever the batch runs again."""
        if len(replies) != commands:
            self._violated(f"Replies: {id} has {commands} commands, and {len(replies)} replies")
        comparable = [_comparable(reply) for reply in replies]
        first, earlier = self._replies.setdefault(id, (replica, comparable))
        if earlier != comparable:
            self._violated(
                f"Replies: {id} is answered with {comparable} at replica {replica},"
                f" and with {earlier} at replica {first}"
            )

    def on_partial(self, replica: int, id: InstanceId, who: str) -> None:
        """`who` looks at the state of `replica` while `id` is applied in part."""
        self._violated(f"Wholeness: {who} at replica {replica} sees {id} applied in part")

    def on_end(self, replica: int, id: InstanceId) -> None:
        """`replica` ends its epoch with `id`: it has run `id` last, and applied everything before it."""
        first, earlier = self._ends.setdefault(epoch_of(id.slot), (replica, id))
        if earlier != id:
            self._violated(f"Epochs: {id} ends an epoch at replica {replica}, and {earlier} at {first}")
        sequence = self._sequences[replica]
        last = sequence.last
        if last is None or last.id != id:
            self._violated(f"Epochs: replica {replica} ends its epoch with {id}, which it did not run last")
        elif last.before is not None and sequence.applied != last.before.id:
            self._violated(f"Wholeness: replica {replica} ends its epoch before {last.before.id} is applied")
        sequence.applied = id

    # -- what survives a crash

    def on_checkpoint(self, replica: int, executed: Deps, beyond: tuple[InstanceId, ...]) -> None:
        """`replica` writes a checkpoint, which says that this is what it has run."""
        sequence = self._sequences[replica]
        if sequence.last is not None and sequence.applied != sequence.last.id:
            self._violated(
                f"Wholeness: the checkpoint of replica {replica} claims {sequence.last.id},"
                f" and its state ends with {sequence.applied}"
            )
        sequence.checkpoints[executed, beyond] = sequence.last
        self._check_frontier(replica, sequence, executed, beyond)

    def on_install(
        self, replica: int, source: int, executed: Deps, beyond: tuple[InstanceId, ...], end: InstanceId
    ) -> None:
        """`replica` puts the state of the checkpoint of `source` that had this frontier in the place of its
        own.  `end` ended the epoch before that of this checkpoint."""
        first, earlier = self._ends.setdefault(epoch_of(end.slot), (source, end))
        if earlier != end:
            self._violated(f"Epochs: {end} ends an epoch at replica {source}, and {earlier} at {first}")
        checkpoints = self._sequences[source].checkpoints
        if (executed, beyond) not in checkpoints:
            self._violated(
                f"Transfer: replica {replica} takes the state at {executed} {beyond}"
                f" from replica {source}, which never was there"
            )
            return
        self._sequences[replica].checkpoints[executed, beyond] = checkpoints[executed, beyond]

    def on_restore(self, replica: int, executed: Deps, beyond: tuple[InstanceId, ...]) -> None:
        """`replica` starts with the state of the checkpoint that had this frontier."""
        sequence = self._sequences[replica]
        if (executed, beyond) not in sequence.checkpoints:
            self._violated(f"replica {replica} starts at {executed} {beyond}, where it never was")
            return
        step = sequence.checkpoints[executed, beyond]
        ids = []
        while step is not None:
            ids.append(step.id)
            step = step.before
        sequence.last = None
        sequence.ids.clear()
        sequence.writes.clear()
        for id in reversed(ids):
            self._append(sequence, id, self.decisions[id].batch)
        sequence.applied = ids[0] if ids else None

    def _check_frontier(
        self, replica: int, sequence: _Sequence, executed: Deps, beyond: tuple[InstanceId, ...]
    ) -> None:
        """Check that the frontier names exactly the instances that were run, apart from NOPs."""
        above = set(beyond)
        for id in sequence.ids:
            if id not in above and not covers(executed, id):
                self._violated(f"replica {replica} has run {id}, and its checkpoint {executed} forgets it")
        for id, decision in self.decisions.items():
            covered = id in above or covers(executed, id)
            if epoch_of(id.slot) < epoch_of(executed[0]):
                continue  # it may be void
            if covered and decision.batch != NOP and id not in sequence.ids:
                self._violated(f"replica {replica} has not run {id}, and its checkpoint {executed} claims it")

    # -- commands

    def on_proposed(self, id: InstanceId, commands: tuple[str, ...]) -> None:
        """`id` is proposed, and carries these commands of clients."""
        if id in self._carried:
            self._violated(f"the slot of {id} was used for {self._carried[id]}, and again for {commands}")
        self._carried[id] = commands

    def _check_carried(self, id: InstanceId) -> None:
        for command in self._carried.get(id, ()):
            if command not in self._carriers:
                self._carriers[command] = id
                self._ran(command)
            elif self._carriers[command] != id:
                self._violated(f"the command {command} was run in {self._carriers[command]} and in {id}")

    # -- looking back

    def executed(self, replica: int) -> int:
        """How many instances the present state of `replica` contains."""
        return len(self._sequences[replica].ids)

    def sum(self, replica: int) -> int:
        """A number that is equal for replicas that have run the same instances."""
        return self._sequences[replica].sum


def _comparable(reply: Reply) -> object:
    """A value that is equal for equal replies.  Errors are equal when their texts are."""
    if isinstance(reply, (list, tuple)):
        return [_comparable(element) for element in reply]
    return (type(reply).__name__, str(reply)) if isinstance(reply, CommandError) else reply


def _shown(batch: Batch) -> str:
    if batch == NOP:
        return "NOP"
    return f"{{writes {list(batch.writes)} reads {list(batch.reads)}}}"
