"""What the rules of commit and recovery share: the instances, the index, and the output of the turn."""

from __future__ import annotations

from random import Random

from epaxos.protocol.memory.failures import FailureDetector
from epaxos.protocol.memory.interference import InterferenceIndex
from epaxos.protocol.memory.latency import Nearness
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import NOP, Batch, Commit, Message, Phase
from epaxos.protocol.values.output import Output
from epaxos.protocol.values.quorums import Quorums
from epaxos.protocol.values.timing import Timing

__all__ = ["Counters", "DoubledError", "ReplicaState"]


class DoubledError(Exception):
    """Another process has used this replica's id, or this replica has lost what it wrote: it must
    stop.  The text is for the operator, one line."""


class Counters:
    """How many instances this replica decided, by way."""

    __slots__ = ("fast_path", "recovered", "slow_path")

    def __init__(self) -> None:
        self.fast_path = 0
        self.slow_path = 0
        self.recovered = 0


class ReplicaState:
    """The state of replica `id` of an epoch, and the few steps that every rule is made of."""

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
        self.used_upto = 0  # of the own row
        self.failures = FailureDetector(id, epoch, timing.suspect_after_s)
        self.nearness = Nearness(id, epoch, timing.suspect_after_s)
        self.table = InstanceTable(epoch)
        self.index = InterferenceIndex(epoch)
        self.counters = Counters()
        self.output = Output()
        self.newly_decided: list[InstanceId] = []

    # -- the own row

    def is_unused(self, id: InstanceId) -> bool:
        """Whether `id` is a slot of the own row that was never proposed.

        Nobody can know anything of it, whatever they say; and nothing may happen to it, or the
        proposal that will get this slot would find it decided.
        """
        return id.replica == self.id and id.slot > self.used_upto

    def known(self, row: int) -> int:
        """The highest slot of the row that was heard of; of the own one at most what was used."""
        known = self.table.known[row]
        return min(known, self.used_upto) if row == self.id else known

    # -- what goes out

    def send(self, dest: int, message: Message) -> None:
        """Send a message that promises nothing: it may leave at once."""
        self.output.messages.append((dest, message))

    def send_to_others(self, message: Message) -> None:
        """As `send`, to every other replica."""
        self.output.messages.extend((replica, message) for replica in self.others)

    def promise(self, dest: int, message: Message) -> None:
        """Send a message that counts only once all that was written so far is durable.

        One to this replica itself is its own vote.
        """
        if dest == self.id:
            self.output.own_promises.append(message)
        else:
            self.output.promises.append((dest, message))

    def save(self, instance: Instance) -> None:
        """Write the record of `instance` as it will be at the end of the turn, at first with its batch."""
        self.output.instances[instance.id] = instance
        if instance.proposed is not None and not instance.batch_saved:
            instance.batch_saved = True
            self.output.batches.append((instance.id, instance.proposed))

    # -- what is learnt

    def learn_proposal(self, instance: Instance, batch: Batch) -> None:
        """`batch` is what the command leader of `instance` proposed.

        Raises DoubledError when that is this replica, and proposed something else.
        """
        if instance.proposed is None:
            instance.proposed = batch
            self.index.add(instance.id, batch)
        elif instance.id.replica == self.id and batch != instance.proposed:
            raise DoubledError(
                f"slot {instance.id.slot} of the row of replica {self.id} holds a batch that this replica"
                " did not propose there: its data was replaced, or another process has its id"
            )

    def learn_value(self, instance: Instance, batch: Batch | None) -> bool:
        """Set the current command; None stands for the proposed one.  False when that is not held."""
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
        """The current value of `instance` is final.

        `durably`: nobody may be told before the record is durable (a fast-path decision).
        """
        assert instance.cmd is not None and instance.phase is not Phase.COMMITTED
        instance.phase = Phase.COMMITTED
        instance.bal = max(instance.bal, ballot)
        instance.abal = max(instance.abal, ballot)
        self.save(instance)
        self.table.hear_of(instance.deps)
        self.table.on_committed(instance.id)
        self.newly_decided.append(instance.id)
        (self.output.decided_durably if durably else self.output.decided).append(instance)

    def commit_of(self, instance: Instance) -> Commit:
        """The whole Commit of a committed instance."""
        return Commit(instance.id, instance.abal, instance.cmd, instance.deps)

    def answer_commit(self, dest: int, instance: Instance) -> None:
        """Tell `dest` the decision, after what made it one is durable."""
        if dest != self.id:
            self.promise(dest, self.commit_of(instance))
