"""Judges that any n-f disks hold everything that was acknowledged (docs: protocol/epochs).

At one moment of a run all replicas lose power.  n-f of them start again, in a cluster of their own, on what
was synced there; the others stay dead.  They have to answer a last write and the last reads of every key, and
with these reads the history that clients have seen until that moment has to be linearizable.  The run itself
goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import combinations

from epaxos.verify.judges.history import History
from epaxos.verify.judges.linearizability import Verdict, judge
from epaxos.verify.simulation.clients import Client
from epaxos.verify.simulation.clock import VirtualTime
from epaxos.verify.simulation.cluster import Cluster
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.trace import Trace

__all__ = ["choices", "judge_survivors"]

ALL_ONE_IN = 8
"""One run in this many tries every choice of n-f disks, the others one choice each, because a choice takes
about as long as a short run."""
_READERS = 2000
_LOOKS = 40
_EVENTS_MAX = 300_000


def choices(seed: int, n: int, present: Sequence[int]) -> list[tuple[int, ...]]:
    """The sets of n-f of the replicas `present` that the run of `seed` tries: one, or each."""
    found = list(combinations(present, n - (n - 1) // 2))
    dice = Dice(seed, "survivors")
    return found if len(found) < 2 or dice.chance(1 / ALL_ONE_IN) else [dice.pick(found)]


def judge_survivors(
    survivors: Collection[int],
    cluster: Cluster,
    history: History,
    keys: Collection[bytes],
    patience_us: int,
    judge_steps_max: int,
    show: Callable[[str], None] | None = None,
) -> str:
    """What is wrong when these replicas of `cluster` are all that is left now; empty when nothing is.

    `patience_us`: the time until the last reads have to be answered.  With `show` each event is shown.
    """
    alone = _Alone(survivors, cluster, history, show)
    return alone.carry_out(sorted(keys), patience_us, judge_steps_max)


class _Alone:
    """The cluster of the survivors, its time, its judges, and its copy of the history."""

    def __init__(
        self,
        survivors: Collection[int],
        cluster: Cluster,
        history: History,
        show: Callable[[str], None] | None,
    ) -> None:
        self._violations: list[str] = []
        self._survivors = sorted(survivors)
        self._time = VirtualTime()
        self._history = history.copy()
        self._trace = Trace(lambda: self._time.now, show is not None, show)
        self._cluster = Cluster(
            replace(cluster.plan, faults=()),
            self._time,
            self._trace,
            cluster.invariants.copy(self._violated, self._history.run, lambda: self._cluster.durable()),
            self._violated,
            cluster.components,
        )
        for host, before in zip(self._cluster.hosts, cluster.hosts):
            host.disk.copy_synced(before.disk)
            host.dead = host.id not in self._survivors
        self._cluster.network.calm_down()

    def _violated(self, text: str) -> None:
        self._violations.append(f"Survivors: of {self._survivors} alone: {text}")
        self._time.stop()

    def carry_out(self, keys: Sequence[bytes], patience_us: int, judge_steps_max: int) -> str:
        """Start the survivors, let them write and read, and judge."""
        self._cluster.start()
        clients = [self._client(replica, keys) for replica in self._survivors]
        for look in range(1, _LOOKS + 1):
            self._time.run(patience_us * look // _LOOKS, _EVENTS_MAX)
            if self._violations or all(client.finished for client in clients):
                break
        else:
            waiting = "\n".join(str(operation) for client in clients for operation in client.waiting)
            self._violated(f"Liveness: the last reads are not answered: {waiting}")
        if not self._violations:
            judgement = judge(self._history.operations, judge_steps_max)
            if judgement.verdict is Verdict.NOT_LINEARIZABLE:
                self._violated(f"Linearizability: {judgement.explanation}")
        return self._violations[0] if self._violations else ""

    def _client(self, replica: int, keys: Sequence[bytes]) -> Client:
        number = _READERS + replica
        script = [(b"SET", b"last %d" % replica, b"%d" % number), *((b"GET", key) for key in keys)]
        plan = self._cluster.plan
        client = Client(
            number, plan.workload, plan.seed, self._time, self._cluster, self._history, self._trace,
            self._violated, script,
        )  # fmt: skip
        client.submit(script, replica)
        return client
