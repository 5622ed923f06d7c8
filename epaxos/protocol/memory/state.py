"""What the acceptor and all coordinators share: the instances, the index, and the output of the turn."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from epaxos.protocol.memory.failures import FailureDetector
from epaxos.protocol.memory.interference import InterferenceIndex
from epaxos.protocol.memory.latency import Latency
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.values.errors import InvariantError
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import NOP, Batch, Commit, Message, Phase
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing

__all__ = ["Counters", "DoubledError", "ReplicaState"]


_COMMITTED = Phase.COMMITTED  # looked up once, because each lookup in an Enum costs 0.1 us


class DoubledError(Exception):
    """Another process has used this replica's id, or this replica has lost its data: it must stop.

    The text is one line, for the operator.
    """


class Counters:
    """How many instances this replica has decided, by the way in which it did."""

    __slots__ = ("fast_path", "recovered", "slow_path")

    def __init__(self) -> None:
        self.fast_path = 0
        self.slow_path = 0
        self.recovered = 0


class ReplicaState:
    """The state of one replica, and the steps of which every rule is made.

    `now` is the time of the last `Replica.tick`, in seconds on a clock that never goes back.
    `used_upto` is the highest slot of the own row that was ever proposed or, after a restart, reserved.
    """

    def __init__(self, id: int, quorums: Quorums, timing: Timing, random: Random) -> None:
        epoch = quorums.epoch
        self.id = id
        self.epoch = epoch
        self.n = epoch.n
        self.others = tuple(replica for replica in range(self.n) if replica != id)
        self.quorums = quorums
        self.timing = timing
        self.random = random
        self.now = 0.0
        self.used_upto = 0
        self.failures = FailureDetector(id, epoch, timing.suspect_after_s)
        self.latency = Latency(id, epoch, timing.suspect_after_s)
        self.table = InstanceTable(epoch)
        self.index = InterferenceIndex(epoch)
        self.counters = Counters()
        self.output = Output()
        self.newly_decided: list[InstanceId] = []
        self.endings: set[InstanceId] = set()
        """Known instances that open the next epoch, without those that became NOP."""

    # -- the own row

    def is_unused(self, id: InstanceId) -> bool:
        """Whether `id` is a slot of the own row that was never proposed.

        No other replica can know anything of it, whatever it says.  Messages about it are ignored,
        because otherwise the proposal that will get this slot could find it decided.
        """
        return id.replica == self.id and id.slot > self.used_upto

    def known(self, row: int) -> int:
        """The highest slot of the row that was heard of; in the own row at most `used_upto`."""
        known = self.table.known[row]
        return min(known, self.used_upto) if row == self.id else known

    # -- what goes out

    def send(self, dest: int, message: Message) -> None:
        """Send a message that promises nothing, so that it may leave at once."""
        self.output.messages.append((dest, message))

    def send_to_others(self, message: Message) -> None:
        """As `send`, to every other replica."""
        self.output.messages.extend((replica, message) for replica in self.others)

    def promise(self, dest: int, message: Message) -> None:
        """Send a message when all that was written so far is durable.

        A message to this replica itself is its own vote, and counts from then on.
        """
        if dest == self.id:
            self.output.own_promises.append(message)
        else:
            self.output.promises.append((dest, message))

    def save(self, instance: Instance) -> None:
        """Write the record of `instance` as it is at the end of the turn; the first time, with its batch."""
        self.output.instances[instance.id] = instance
        if instance.proposed is not None and not instance.batch_saved:
            instance.batch_saved = True
            self.output.batches.append((instance.id, instance.proposed))

    # -- what is learnt

    def learn_proposal(self, instance: Instance, batch: Batch) -> None:
        """Note that the command leader of `instance` proposed `batch`.

        Raises DoubledError when the command leader is this replica and proposed another batch.
        """
        if instance.proposed is None:
            instance.proposed = batch
            self.index.add(instance.id, batch)
            if batch.successor is not None:
                self.endings.add(instance.id)
        elif instance.id.replica == self.id and batch != instance.proposed:
            raise DoubledError(
                f"slot {instance.id.slot} of the row of replica {self.id} holds a batch that this replica"
                " did not propose there: its data was replaced, or another process has its id"
            )

    def learn_value(self, instance: Instance, batch: Batch | None) -> bool:
        """Set the current command; None stands for the proposed batch.  False when that is not held here.

        Raises DoubledError as `learn_proposal` does.
        """
        if batch is None:
            if instance.proposed is None:
                return False
            batch = instance.proposed
        elif batch is not NOP:
            self.learn_proposal(instance, batch)
            batch = instance.proposed
        instance.cmd = batch
        return True

    def decide(self, instance: Instance, ballot: int, durably: bool) -> None:
        """Make the current value of `instance` final.

        With `durably` nobody may be told before the record is durable, as a fast-path decision needs.
        Raises InvariantError when there is no value, or when `instance` is decided already.
        """
        if instance.cmd is None or instance.phase is _COMMITTED:
            raise InvariantError(f"{instance} cannot be decided")
        instance.phase = _COMMITTED
        if self.endings and instance.cmd is NOP:
            self.endings.discard(instance.id)
        instance.bal = max(instance.bal, ballot)
        instance.abal = max(instance.abal, ballot)
        self.save(instance)
        self.table.hear_of(instance.deps)
        self.table.on_committed(instance.id)
        self.newly_decided.append(instance.id)
        (self.output.decided_durably if durably else self.output.decided).append(instance)

    def commit_of(self, instance: Instance) -> Commit:
        """The Commit of a committed instance, with its batch."""
        return Commit(instance.id, instance.abal, instance.cmd, instance.deps)

    def answer_commit(self, dest: int, instance: Instance) -> None:
        """Tell `dest` a decision, when all that led to it is durable."""
        if dest != self.id:
            self.promise(dest, self.commit_of(instance))

    def tell_commit(self, instance: Instance, durably: bool, holders: Collection[int]) -> None:
        """Tell all other replicas a decision; those in `holders` were sent the batch, and get none.

        A holder that missed the batch asks for it.
        """
        whole = self.commit_of(instance)
        brief = whole if instance.cmd is NOP else whole._replace(batch=None)
        tell = self.promise if durably else self.send
        for replica in self.others:
            tell(replica, brief if replica in holders else whole)
