"""What a seed stands for: the settings of a run, its clients and its faults.

A plan is plain data.  Clients, operations and faults can be left out of it: that makes a failing run small.
The rest behaves as before, as far as it does not depend on what was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from epaxos.node.cluster_clock import CLOCK_ERROR_MAX_S
from epaxos.node.limits import Batching, Keep
from epaxos.protocol.values.membership import FIRST_VERSION, VERSION
from epaxos.protocol.values.timing import Timing
from epaxos.verify.simulation.clock import SECOND
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.disk import DiskSettings
from epaxos.verify.simulation.faults.changes import changes
from epaxos.verify.simulation.faults.duels import AT_SEND, duels
from epaxos.verify.simulation.faults.fault import STAYING, Fault, FaultKind
from epaxos.verify.simulation.faults.schemes import schemes
from epaxos.verify.simulation.faults.sleeps import sleeps
from epaxos.verify.simulation.network import NetworkSettings, wide_area_delays
from epaxos.verify.simulation.wall_clocks import Skews

__all__ = ["PROFILES", "Plan", "Workload"]

MILLISECOND = SECOND // 1000
REPLICAS_MAX = 7
DEFAULT_KEEP = Keep()
RIGHT_CLOCKS = Skews()


_STAYING_CHANCE = 0.15
_DOZE_CHANCE = 0.12
_STAYING_KINDS = ((FaultKind.HUNG, 2), (FaultKind.DEAF, 3), (FaultKind.MUTE, 1), (FaultKind.DEAD, 1))
_STAYING_AIMS = {
    FaultKind.HUNG: ("", "PreAccept", "PreAccept", "PreAcceptOK"),
    FaultKind.DEAF: ("", "Commit", "Commit", "Commit"),
    FaultKind.MUTE: ("", "PreAccept", "Recover"),
    FaultKind.DEAD: ("", "PreAccept", "Accept", "Commit", "Recover"),
}
"""The kind of message after whose sending a lasting fault begins; at any time when empty."""

_LINKS = (FaultKind.ONE_WAY, FaultKind.FLAPPING, FaultKind.SLOW_LINK, FaultKind.RECONNECT)
_SOME = (FaultKind.PARTITION, FaultKind.KILL, FaultKind.POWER)


@dataclass(frozen=True)
class Workload:
    """What the clients of a run do.

    `clients` are their names.  Each does `operations` submissions: the first client at replica `home`, the
    second at the next replica, and so on.  All begin at the same `moments` (microseconds).  After an answer a
    client submits again within `think_us`, `zeal` percent of the time; otherwise it waits for the next
    moment.  With `errands`, client c begins at `errands[c][0]` microseconds, at replica `errands[c][1]`.

    `keys`: how many keys there are; `weights`: of the kinds of commands.  `pipelined` percent of all
    submissions have more than one command; from `leaving` percent the client leaves without an answer.
    `patience_us`: how long a client waits for an answer.  `once`: how many clients beside these number their
    commands.  `expiring`: how many use keys with deadlines, which live for one of `lives_ms`.  `streams`: how
    many write to keys of their own without waiting, and as many look at these.  `transacting`: how many use
    transactions, marks, hashes and scripts.  `publishers`: how many publish on a few channels.
    """

    clients: tuple[int, ...]
    home: int
    operations: int
    moments: tuple[int, ...]
    think_us: int
    zeal: int
    keys: int
    weights: tuple[tuple[str, int], ...]
    pipelined: int
    leaving: int
    patience_us: int
    errands: tuple[tuple[int, int], ...] = ()
    once: int = 0
    expiring: int = 0
    lives_ms: tuple[int, ...] = (1,)
    streams: int = 0
    publishers: int = 0
    transacting: int = 0


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run begins.

    `n`: how many members there are at first; the `spares` have the numbers behind theirs, and may join.
    """

    seed: int
    profile: str
    n: int
    timing: Timing
    batching: Batching
    network: NetworkSettings
    disk: DiskSettings
    workload: Workload
    faults: tuple[Fault, ...]
    cost_us: int
    active_us: int
    slots_reserved: int
    bound: Keep = DEFAULT_KEEP
    spares: int = 0
    skews: Skews = RIGHT_CLOCKS

    @classmethod
    def of(cls, seed: int, n: int | None = None, profile: str | None = None) -> Plan:
        """The plan of a seed; `n` and `profile` override the choice of the seed.

        Raises ValueError for an unknown profile, and for a cluster size that cannot be simulated.
        """
        dice = Dice(seed, "plan")
        chosen_n = dice.pick_weighted(((1, 1), (2, 3), (3, 40), (4, 8), (5, 40), (6, 3), (7, 5)))
        chosen_profile = dice.pick_weighted(
            (("lan", 7), ("wan", 8), ("chaos", 40), ("recovery", 30), ("schemes", 15))
        )
        if Dice(seed, "for ever").chance(_STAYING_CHANCE):
            chosen_profile = "staying"
        n = chosen_n if n is None else n
        profile = chosen_profile if profile is None else profile
        if not 1 <= n <= REPLICAS_MAX:
            raise ValueError(f"1 to {REPLICAS_MAX} replicas can be simulated, not {n}")
        if profile not in PROFILES:
            raise ValueError(f"no profile {profile!r}; there are {', '.join(PROFILES)}")
        return PROFILES[profile](seed, n)

    def keep(
        self,
        clients: Sequence[int] | None = None,
        faults: Sequence[int] | None = None,
        operations: int | None = None,
    ) -> Plan:
        """The plan with only these clients and faults, by name, and this number of operations for each
        client."""
        workload = self.workload
        if clients is not None:
            workload = replace(workload, clients=tuple(c for c in workload.clients if c in clients))
        if operations is not None:
            workload = replace(workload, operations=operations)
        kept = self.faults if faults is None else tuple(f for f in self.faults if f.name in faults)
        return replace(self, workload=workload, faults=kept)

    def describe(self) -> str:
        """The settings, for people."""
        lines = [
            f"seed {self.seed}, {self.profile}, {self.n} replicas, {self.active_us / SECOND:g} s of faults",
            *map(str, (self.timing, self.batching, self.network, self.disk, self.workload)),
            f"each step takes {self.cost_us} µs; {self.slots_reserved} slots are reserved at a time",
        ]
        return "\n".join(lines + list(map(str, self.faults)))


# -- what the profiles choose


def _lan(seed: int, n: int) -> Plan:
    """A quiet local network with the default times, and few faults."""
    dice = Dice(seed, "lan")
    moments = _moments(dice, dice.between(3, 8), SECOND)
    return Plan(
        seed=seed,
        profile="lan",
        n=n,
        timing=Timing(),
        batching=_batching(dice, (0.5, 2.0, 5.0), (0.05, 0.2, 1.0)),
        network=NetworkSettings(_delays(n, lambda: dice.between(100, 400)), recoded=dice.chance(0.2)),
        disk=DiskSettings(dice.pick((0, 150, 1000)), dice.pick((0, 20))),
        workload=_workload(dice, moments, 400, 200 * MILLISECOND),
        faults=_faults(seed, n, moments, dice.between(0, 8), (400, 100 * MILLISECOND)),
        cost_us=dice.pick((0, 30)),
        active_us=moments[-1] + SECOND,
        slots_reserved=dice.pick((4, 4, 8, 8, 16, 32, 64, 256)),
    )


def _wide_area(seed: int, n: int) -> Plan:
    """The delays between regions of a cloud, with the default times."""
    dice = Dice(seed, "wan")
    moments = _moments(dice, dice.between(3, 8), 2 * SECOND)
    return Plan(
        seed=seed,
        profile="wan",
        n=n,
        timing=Timing(),
        batching=_batching(dice, (0.5, 2.0, 5.0), (0.05, 0.2, 1.0)),
        network=NetworkSettings(
            wide_area_delays(n),
            jitter=dice.pick((0, 5, 30)),
            datagrams=dice.chance(0.5),
            loss=dice.below(10),
            doubles=dice.below(10),
            late=dice.below(10),
            recoded=dice.chance(0.2),
        ),
        disk=DiskSettings(dice.pick((0, 200, 5000)), dice.pick((0, 20))),
        workload=_workload(dice, moments, 100 * MILLISECOND, 200 * MILLISECOND),
        faults=_faults(seed, n, moments, dice.between(0, 10), (100 * MILLISECOND,)),
        cost_us=0,
        active_us=moments[-1] + 2 * SECOND,
        slots_reserved=dice.pick((4, 4, 8, 8, 16, 32, 64, 256)),
    )


def _chaos(seed: int, n: int) -> Plan:
    """All faults at once, with timeouts so short that replicas recover instances that others still work on.

    All times are multiples of `scale`, about the delay between two replicas.
    """
    dice = Dice(seed, "chaos")
    scale = dice.pick((2, 8, 30)) * MILLISECOND
    round_trip_s = 2 * scale / SECOND
    moments = _moments(dice, dice.between(4, 16), scale * dice.pick((10, 25, 60)))
    timing = Timing(
        heartbeat_s=round_trip_s * dice.pick((1, 4, 8)),
        suspect_after_s=round_trip_s * dice.pick((4, 10, 20)),
        resend_s=round_trip_s * dice.pick((2, 6)),
        recover_after_s=round_trip_s * dice.pick((0.5, 1, 2, 5)),
        turn_s=round_trip_s * dice.pick((0.1, 0.5, 2)),
        backoff_max_s=round_trip_s * dice.pick((20, 100)),
        fast_path_wait_s=round_trip_s * dice.pick((0.0, 0.5, 2)),
    )
    sync_us = dice.pick((0, 100, scale, 3 * scale))
    return Plan(
        seed=seed,
        profile="chaos",
        n=n,
        timing=timing,
        batching=_batching(
            dice,
            [round_trip_s * times for times in (10, 50, 250)],
            [round_trip_s * times for times in (2, 8, 30)],
        ),
        network=NetworkSettings(
            _delays(n, lambda: dice.between(scale // 5, scale)),
            jitter=dice.pick((10, 100, 300)),
            datagrams=dice.chance(0.7),
            loss=dice.pick((0, 2, 10, 25)),
            doubles=dice.pick((0, 5, 20)),
            late=dice.pick((0, 5, 20)),
            recoded=dice.chance(0.15),
        ),
        disk=DiskSettings(sync_us, dice.pick((0, 20, scale)), sync_us > 100 or dice.chance(0.7)),
        workload=_workload(dice, moments, scale * dice.pick((1, 4)), 20 * scale),
        faults=_faults(seed, n, moments, dice.between(0, 30), (scale,)),
        cost_us=dice.pick((0, 0, 20)),
        active_us=moments[-1] + 20 * scale,
        slots_reserved=dice.pick((2, 3, 4, 8)),
    )


def _recovery(seed: int, n: int) -> Plan:
    """One short duel after the other: interfering commands are proposed at the same moment and reach only
    some replicas; their leaders vanish before they can tell the decision, while the others recover.

    All times are multiples of `scale`, about the time of one message and one durable write.
    """
    dice = Dice(seed, "recovery")
    delay = 10 * MILLISECOND
    sync_us = dice.pick((0, delay // 2, 2 * delay))
    scale = delay + sync_us
    round_trip_s = 2 * scale / SECOND
    moments = _moments(dice, dice.between(3, 6), scale * dice.pick((60, 100)))
    home, clients = dice.below(n), dice.pick((2, 2, 3))
    return Plan(
        seed=seed,
        profile="recovery",
        n=n,
        timing=Timing(
            heartbeat_s=round_trip_s * dice.pick((1, 2)),
            suspect_after_s=round_trip_s * dice.pick((4, 10)),
            resend_s=round_trip_s * dice.pick((2, 6)),
            recover_after_s=round_trip_s * dice.pick((0.5, 1, 3)),
            turn_s=round_trip_s * dice.pick((0.5, 3, 5)),
            backoff_max_s=round_trip_s * 20,
            fast_path_wait_s=round_trip_s * dice.pick((0.0, 0.5, 2)),
        ),
        batching=_batching(
            dice,
            [round_trip_s * times for times in (30, 100)],
            [round_trip_s * times for times in (4, 20)],
        ),
        network=NetworkSettings(
            _delays(n, lambda: dice.between(delay // 3, delay)),
            jitter=dice.pick((10, 100)),
            datagrams=dice.chance(0.6),
            loss=dice.pick((0, 0, 5)),
            doubles=dice.pick((0, 5)),
            late=dice.pick((0, 10)),
        ),
        disk=DiskSettings(sync_us, dice.pick((0, delay)), sync_us > 0 or dice.chance(0.7)),
        workload=Workload(
            clients=tuple(range(clients)),
            home=home,
            operations=len(moments),
            moments=moments,
            think_us=scale * dice.pick((0, 1, 3)),
            zeal=dice.pick((0, 30)),
            keys=1,
            weights=dice.pick(_DUELS),
            pipelined=0,
            leaving=0,
            patience_us=scale * dice.pick((60, 400)),
        ),
        faults=duels(seed, n, moments, scale, {(home + client) % n for client in range(clients)}),
        cost_us=0,
        active_us=moments[-1] + 60 * scale,
        slots_reserved=dice.pick((2, 4, 8)),
    )


def _schemes(seed: int, n: int) -> Plan:
    """One scheme after the other: each is about the shortest run that shows the loss of one rule.

    All times are multiples of a round trip, durable writes included.
    """
    dice = Dice(seed, "schemes")
    delay = 10 * MILLISECOND
    sync_us = dice.pick((delay // 2, 2 * delay))
    round_trip = 2 * (delay + sync_us)
    round_trip_s = round_trip / SECOND
    errands, faults, end = schemes(seed, n, dice.between(2, 4), round_trip)
    return Plan(
        seed=seed,
        profile="schemes",
        n=n,
        timing=Timing(
            heartbeat_s=round_trip_s,
            suspect_after_s=round_trip_s * 4,
            resend_s=round_trip_s * dice.pick((6, 12)),
            recover_after_s=round_trip_s * dice.pick((6, 12, 20, 20)),
            turn_s=round_trip_s * dice.pick((1, 3, 6)),
            backoff_max_s=round_trip_s * 20,
            fast_path_wait_s=round_trip_s * dice.pick((0.0, 0.5, 1)),
        ),
        batching=_batching(dice, [round_trip_s * 100], [round_trip_s * times for times in (3, 8)]),
        network=NetworkSettings(
            _delays(n, lambda: dice.between(delay // 2, delay)), jitter=dice.pick((10, 50)), datagrams=True
        ),
        disk=DiskSettings(sync_us, dice.pick((0, delay // 2)), forgetful=dice.chance(0.8)),
        workload=Workload(
            clients=tuple(range(len(errands))),
            home=0,
            operations=1,
            moments=(0,),
            think_us=dice.pick((0, delay // 2)),
            zeal=0,
            keys=1,
            weights=(("write", 1),),
            pipelined=0,
            leaving=0,
            patience_us=round_trip * 60,
            errands=errands,
        ),
        faults=faults,
        cost_us=0,
        active_us=end,
        slots_reserved=dice.pick((4, 8)),
    )


def _staying(seed: int, n: int) -> Plan:
    """A plan of another profile in which up to f replicas also have a lasting fault."""
    dice = Dice(seed, "staying plan")
    make = dice.pick_weighted(((_lan, 1), (_wide_area, 1), (_chaos, 5), (_recovery, 2)))
    plan = make(seed, n)
    first = _next_name(plan.faults)
    ill = dice.pick_some(range(n), dice.between(1, max(1, (n - 1) // 2))) if n > 2 else []
    faults = []
    for name, replica in enumerate(ill, start=first):
        kind = dice.pick_weighted(_STAYING_KINDS)
        at = dice.below(plan.active_us // 2)
        aim = dice.pick(_STAYING_AIMS[kind])
        count = dice.between(1, 3)
        faults.append(Fault(name, at, kind, (replica,), plan.active_us // 4, count, aim))
    return replace(plan, profile="staying", faults=(*plan.faults, *faults))


def _turns(seed: int, n: int) -> Plan:
    """A plan of another profile in which operators also let the next epoch begin, again and again."""
    dice = Dice(seed, "turns plan")
    make = dice.pick_weighted(((_lan, 2), (_wide_area, 1), (_chaos, 5), (_recovery, 3), (_schemes, 1)))
    plan = make(seed, n)
    first = _next_name(plan.faults)
    faults = []
    for name in range(first, first + dice.between(1, 8)):
        at = dice.below(plan.active_us)
        where = tuple(dice.pick_some(range(n), dice.pick_weighted(((1, 6), (min(2, n), 2)))))
        faults.append(Fault(name, at, FaultKind.TURN, where, 0, 1))
    return replace(plan, profile="turns", faults=(*plan.faults, *faults))


def _sleepers(seed: int, n: int) -> Plan:
    """A plan of another profile in which some replicas sleep while operators let epochs begin, or while so
    much is held that epochs begin by themselves.  What happens when they wake up has faults of its own."""
    dice = Dice(seed, "sleepers plan")
    make = dice.pick_weighted(((_lan, 4), (_wide_area, 1), (_chaos, 5), (_recovery, 2)))
    plan = make(seed, n)
    by_itself = make is _lan and dice.chance(0.6)
    if by_itself:
        plan = _stretched(plan, dice.between(30, 60) * SECOND)
    own = plan.faults if dice.chance(0.4) else ()
    first = _next_name(own)
    dozes = n > 2 and Dice(seed, "doze").chance(_DOZE_CHANCE)
    if dozes:
        plan = _patient(plan)
    return replace(
        plan,
        profile="sleepers",
        faults=(*own, *sleeps(dice, n, plan.active_us, first, dozes)),
        bound=Keep(instances=20) if by_itself else plan.bound,
        disk=replace(plan.disk, pinned_us=dice.pick((60 * SECOND, 60 * SECOND, plan.active_us // 100))),
        network=replace(plan.network, recoded=dice.chance(0.3)),
    )


def _patient(plan: Plan) -> Plan:
    """The plan with replicas and clients that wait for their answers until the end."""
    return replace(
        plan,
        batching=replace(plan.batching, request_timeout_s=plan.active_us / SECOND),
        workload=replace(plan.workload, patience_us=2 * plan.active_us, leaving=0),
    )


def _once(seed: int, n: int) -> Plan:
    """A plan of another profile in which clients also number their commands, and send each again until it is
    answered.  Nobody removes all keys."""
    dice = Dice(seed, "once plan")
    make = dice.pick_weighted(
        ((_lan, 1), (_wide_area, 1), (_chaos, 4), (_recovery, 3), (_turns, 2), (_sleepers, 2))
    )
    plan = make(seed, n)
    weights = tuple((kind, weight) for kind, weight in plan.workload.weights if kind != "barrier")
    workload = replace(plan.workload, weights=weights, once=dice.between(2, 4))
    return replace(plan, profile="once", workload=workload)


def _stretched(plan: Plan, active_us: int) -> Plan:
    """The plan, spread over a longer time."""
    times = max(1, active_us // plan.active_us)
    moments = tuple(moment * times for moment in plan.workload.moments)
    return replace(
        plan,
        workload=replace(plan.workload, moments=moments, operations=24),
        faults=tuple(fault._replace(at=fault.at * times) for fault in plan.faults),
        active_us=plan.active_us * times,
    )


def _members(seed: int, n: int) -> Plan:
    """A quiet plan in which operators change the members, again and again, while replicas fail."""
    dice = Dice(seed, "members plan")
    make = dice.pick_weighted(((_lan, 5), (_wide_area, 1)))
    spares = dice.between(2, 4)
    plan = _stretched(make(seed, n + spares), dice.between(30, 60) * SECOND)
    own = plan.faults if dice.chance(0.3) else ()
    network = replace(plan.network, recoded=Dice(seed, "members recoded").chance(0.3))
    if dice.chance(0.4):
        network = replace(network, datagrams=True, loss=dice.pick((0, 2, 10)), late=dice.pick((0, 5)))
    return replace(
        plan,
        profile="members",
        n=n,
        spares=spares,
        faults=(*own, *changes(dice, n, spares, plan.active_us, _next_name(own))),
        bound=Keep(instances=20) if dice.chance(0.2) else plan.bound,
        disk=replace(plan.disk, pinned_us=dice.pick((60 * SECOND, plan.active_us // 100))),
        network=network,
    )


def _expiry(seed: int, n: int) -> Plan:
    """A plan of another profile in which keys have deadlines, and the wall clocks of a minority are wrong.

    Only steady clocks are right: a jump of one is no time that has passed.
    """
    dice = Dice(seed, "expiry plan")
    make = dice.pick_weighted(((_lan, 2), (_wide_area, 5), (_chaos, 3), (_turns, 2)))
    plan = make(seed, n)
    beat_ms = max(1, round(plan.timing.heartbeat_s * 1000))
    error_ms = max(4 * beat_ms, 300)
    lives_ms = tuple(error_ms * times for times in (3, 3, 4, 6))
    workload = replace(
        plan.workload,
        clients=plan.workload.clients[:1],
        weights=tuple((kind, weight) for kind, weight in plan.workload.weights if kind != "barrier"),
        expiring=dice.between(2, 4),
        lives_ms=lives_ms,
    )
    faults = tuple(one for one in plan.faults if one.kind not in (FaultKind.CLOCK_JUMP, FaultKind.CLOCK_RATE))
    active_us = max(plan.active_us, 30 * error_ms * MILLISECOND)
    return replace(
        plan,
        profile="expiry",
        workload=workload,
        faults=faults,
        active_us=active_us,
        skews=Skews(error_ms / 1000),
    )


def _streams(seed: int, n: int) -> Plan:
    """A plan of many faults, in which clients write to several keys without waiting."""
    dice = Dice(seed, "streams plan")
    make = dice.pick_weighted(((_lan, 2), (_wide_area, 3), (_chaos, 3), (_recovery, 2)))
    plan = make(seed, n)
    workload = replace(
        plan.workload,
        weights=_WEIGHTS[1],  # no barriers: the model knows nothing of the keys of the writers
        streams=dice.between(1, 3),
        operations=12,
    )
    network = plan.network
    if dice.chance(0.6):  # one proposal is lost, and the next one is not
        network = replace(network, datagrams=True, loss=dice.pick((5, 10, 20)))
    return replace(plan, profile="streams", workload=workload, network=network)


def _channels(seed: int, n: int) -> Plan:
    """A plan of many faults, in which clients publish at all replicas."""
    dice = Dice(seed, "channels plan")
    plan = dice.pick_weighted(((_lan, 2), (_wide_area, 3), (_chaos, 3), (_recovery, 2)))(seed, n)
    workload = replace(plan.workload, weights=_WEIGHTS[1], publishers=dice.between(2, 4), operations=12)
    return replace(plan, profile="channels", workload=workload)


def _transactions(seed: int, n: int) -> Plan:
    """A plan of another profile in which clients use transactions, marks, hashes and scripts, and no others:
    the commands of these would run again, too, behind scripts that touch keys that they do not declare.
    The clocks differ, which the numbers of FENCE must not show."""
    dice = Dice(seed, "transactions plan")
    make = dice.pick_weighted(
        ((_lan, 3), (_wide_area, 2), (_chaos, 4), (_recovery, 3), (_turns, 4), (_sleepers, 2))
    )
    plan = make(seed, n)
    workload = replace(
        plan.workload,
        clients=(),
        transacting=dice.between(2, 3),
    )
    return replace(plan, profile="transactions", workload=workload, skews=Skews(CLOCK_ERROR_MAX_S))


def _upgrade(seed: int, n: int) -> Plan:
    """A plan of another profile in which replicas are upgraded, some of them put back in between, while
    operators let epochs begin, and clients ask for what is newer."""
    dice = Dice(seed, "upgrade plan")
    make = dice.pick_weighted(((_lan, 3), (_wide_area, 1), (_chaos, 3), (_recovery, 2)))
    plan = _stretched(make(seed, n), dice.between(20, 40) * SECOND)
    own = plan.faults if dice.chance(0.6) else ()
    faults: list[Fault] = []

    def add(at: int, kind: FaultKind, where: Sequence[int], lasts: int = 0, amount: int = 1) -> None:
        faults.append(Fault(_next_name((*own, *faults)), at, kind, tuple(where), lasts, amount))

    whole = plan.active_us
    for replica in range(n):
        at = dice.below(whole * 2 // 3)
        add(at, FaultKind.PROGRAM, (replica,), dice.below(2 * SECOND), VERSION)
        if dice.chance(0.3):
            back = at + dice.below(whole - at)
            add(back, FaultKind.PROGRAM, (replica,), dice.below(SECOND), FIRST_VERSION)
            add(back + dice.below(whole - back), FaultKind.PROGRAM, (replica,), dice.below(SECOND), VERSION)
    for _ in range(dice.between(3, 8)):
        add(dice.below(whole), FaultKind.TURN, dice.pick_some(range(n), 1))
    for _ in range(20):
        add(dice.below(whole), FaultKind.NEWER, dice.pick_some(range(n), 1))
    weights = tuple((kind, weight) for kind, weight in plan.workload.weights if kind != "barrier")
    return replace(
        plan,
        profile="upgrade",
        workload=replace(plan.workload, weights=weights),
        faults=(*own, *faults),
        disk=replace(plan.disk, version=FIRST_VERSION),
    )


PROFILES: dict[str, Callable[[int, int], Plan]] = {
    "lan": _lan,
    "wan": _wide_area,
    "chaos": _chaos,
    "recovery": _recovery,
    "schemes": _schemes,
    "staying": _staying,
    "turns": _turns,
    "sleepers": _sleepers,
    "once": _once,
    "members": _members,
    "expiry": _expiry,
    "streams": _streams,
    "channels": _channels,
    "upgrade": _upgrade,
    "transactions": _transactions,
}


def _next_name(faults: Sequence[Fault]) -> int:
    """A name that none of the faults has."""
    return max((fault.name for fault in faults), default=-1) + 1


def _delays(n: int, one: Callable[[], int]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(one() for _ in range(n)) for _ in range(n))


def _moments(dice: Dice, count: int, apart: int) -> tuple[int, ...]:
    moments = [apart // 10]
    for _ in range(count):
        moments.append(moments[-1] + dice.between(apart // 4, apart))
    return tuple(moments)


def _batching(dice: Dice, request_timeouts_s: Sequence[float], checkpoints_s: Sequence[float]) -> Batching:
    return Batching(
        commands_max=dice.pick((1, 3, 1000)),
        bytes_max=dice.pick((60, 1_000_000)),
        window=dice.pick((1, 2, 16)),
        request_timeout_s=dice.pick(request_timeouts_s),
        checkpoint_s=dice.pick(checkpoints_s),
        command_bytes_max=16_000_000,  # more than any command of a run
    )


_WEIGHTS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("write", 5), ("read", 3), ("count", 2)),
    (("write", 3), ("read", 3), ("count", 2), ("append", 2), ("many", 2), ("delete", 1), ("condition", 1)),
    (("write", 3), ("read", 2), ("count", 1), ("append", 1), ("many", 1), ("delete", 1), ("barrier", 1)),
    (("read", 1), ("write", 1)),
    (("count", 1),),
)


_DUELS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("write", 1),),
    (("write", 3), ("read", 1)),
    (("write", 4), ("barrier", 1)),
)


def _workload(dice: Dice, moments: tuple[int, ...], think_us: int, patience_us: int) -> Workload:
    return Workload(
        clients=tuple(range(dice.between(2, 7))),
        home=dice.below(REPLICAS_MAX),
        operations=dice.pick((6, 12, 24)),
        moments=moments,
        think_us=think_us,
        zeal=dice.pick((30, 60)),
        keys=dice.pick((1, 2, 4)),
        weights=dice.pick(_WEIGHTS),
        pipelined=dice.pick((0, 0, 20)),
        leaving=dice.pick((0, 0, 5)),
        patience_us=dice.pick((40 * think_us + patience_us, 2 * moments[-1] + 5 * patience_us)),
    )


_AIMS = (("PreAccept", 4), ("Commit", 3), ("Accept", 2), ("Validate", 2), ("Recover", 1), ("Waiting", 1))


_OF_SCHEMES = (
    FaultKind.POWER_AFTER_SEND,
    FaultKind.DISARM,
    FaultKind.LOSE,
    FaultKind.HOLD,
    FaultKind.ECHO,
)
_OF_EPOCHS = (
    *(FaultKind.TURN, FaultKind.CHANGE, FaultKind.JOIN, FaultKind.MEMBERS),
    *(FaultKind.PROGRAM, FaultKind.NEWER),
)
_AT_ANY_TIME = tuple(
    kind for kind in FaultKind if kind not in (*_OF_SCHEMES, *STAYING, *_OF_EPOCHS, FaultKind.RECONNECT)
)


def _faults(
    seed: int, n: int, moments: tuple[int, ...], count: int, scales: tuple[int, ...]
) -> tuple[Fault, ...]:
    """Faults that begin about the moments at which clients begin."""
    faults = []
    for name in range(count):
        dice = Dice(seed, "fault", name)
        kind = dice.pick(AT_SEND) if dice.chance(0.5) else dice.pick(_AT_ANY_TIME)
        scale = dice.pick(scales)
        at = max(0, dice.pick(moments) + dice.between(-2 * scale, 8 * scale))
        lasts = dice.between(1, scale * dice.pick((4, 20, 80)))
        where = tuple(dice.pick_some(range(n), _how_many(kind, n, dice)))
        amount, aim = dice.between(1, 20), ""
        if kind in AT_SEND:
            lasts, amount, aim = scale * 100, dice.between(1, 2 * n), dice.pick_weighted(_AIMS)
            if kind is FaultKind.LATE_AT_SEND:
                lasts = 2 * scale
        faults.append(Fault(name, at, kind, where, lasts, amount, aim))
    dice = Dice(seed, "reconnects")
    if n > 1 and dice.chance(0.25):
        where = tuple(dice.pick_some(range(n), 2))
        lasts = dice.between(1, dice.pick(scales) * dice.pick((20, 80, 400)))
        faults.append(
            Fault(count, dice.pick(moments), FaultKind.RECONNECT, where, lasts, dice.between(2, 20))
        )
    return tuple(fault for fault in faults if fault.where)


def _how_many(kind: FaultKind, n: int, dice: Dice) -> int:
    """How many replicas a fault of this kind names; 0 when the cluster is too small for it."""
    if kind in _LINKS:
        return 2 if n > 1 else 0
    if kind is FaultKind.PARTITION:
        return dice.between(1, n - 1) if n > 1 else 0
    if kind in _SOME:
        return dice.pick_weighted(((1, 6), (max(1, n // 2), 2), (n, 1)))
    return 1
