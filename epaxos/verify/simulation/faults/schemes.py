"""Schedules that need one rule each, with random roles for the replicas.

A rule of recovery or durability is needed in runs of about a dozen steps in the right order, which random
faults hardly ever make: one message has to be late, another to be lost, a replica to fall silent or to lose
power in between.  Each function here prepares one such run out of faults that any cluster may have.  Chance
decides the rest: the role of each replica, all times, and further faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.quorums import Quorums
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.faults.fault import Fault, FaultKind

__all__ = ["schemes"]

_LONG = 40.0
"""The length of a scheme, in round trips."""
_APART = 62
"""From the beginning of one scheme to the next, in round trips.  By then all is mended, and the next
PreAccept goes to all replicas, not only to those that it names."""

_KINDS = (
    "PreAccept",
    "PreAcceptOK",
    "Accept",
    "AcceptOK",
    "Commit",
    "Recover",
    "RecoverOK",
    "Validate",
    "ValidateOK",
    "Waiting",
    "Heartbeat",
    "Fetch",
)

Replicas = Sequence[int]


class _Scheme:
    """The errands and faults of one scheme.  Times are round trips since its beginning."""

    def __init__(self, dice: Dice, n: int, begin: int, round_trip: int) -> None:
        self.errands: list[tuple[int, int]] = []
        self.faults: list[Fault] = []
        self.dice = dice
        self.n = n
        self.all = tuple(range(n))
        self._begin = begin
        self._round_trip = round_trip

    # -- chance

    def cast(self) -> list[int]:
        """All replicas in random order.  Often the second is the one that recovers the row of the first
        before others do."""
        first, second, *rest = self.dice.pick_some(self.all, self.n)
        follower = (first + 1) % self.n
        if self.dice.chance(0.7) and follower != second:
            rest[rest.index(follower)] = second
            second = follower
        return [first, second, *rest]

    def time(self, low: float, high: float) -> float:
        """A random time between `low` and `high`."""
        return low + (high - low) * self.dice.below(1000) / 1000

    # -- what happens

    def propose(self, replica: int, at: float = 0.0) -> None:
        """A client submits a write at `replica`.  All writes interfere."""
        self.errands.append((self._us(at), replica))

    def _us(self, at: float) -> int:
        return self._begin + round(at * self._round_trip)

    def _add(
        self, kind: FaultKind, where: Replicas, begin: float, end: float, amount: int = 1, aim: str = ""
    ) -> None:
        lasts = self._us(end) - self._us(begin)
        self.faults.append(Fault(0, self._us(begin), kind, tuple(where), lasts, amount, aim))

    def _filter(
        self, kind: FaultKind, aim: str, senders: Replicas, receivers: Replicas, begin: float, end: float
    ) -> None:
        for sender in senders:
            others = [receiver for receiver in receivers if receiver != sender]
            if others:
                self._add(kind, (sender, *others), begin, end, aim=aim)

    def lose(
        self, aim: str, senders: Replicas, receivers: Replicas, begin: float = -0.5, end: float = _LONG
    ) -> None:
        """Messages of these kinds are lost."""
        self._filter(FaultKind.LOSE, aim, senders, receivers, begin, end)

    def hold(self, aim: str, senders: Replicas, receivers: Replicas, end: float) -> None:
        """Messages of these kinds arrive at `end`."""
        self._filter(FaultKind.HOLD, aim, senders, receivers, -0.5, end)

    def echo(self, aim: str, senders: Replicas, receivers: Replicas, end: float) -> None:
        """Messages of these kinds arrive as usual, and once more at `end`."""
        self._filter(FaultKind.ECHO, aim, senders, receivers, -0.5, end)

    def cut(self, sender: int, receiver: int) -> None:
        """No message gets from `sender` to `receiver`."""
        self._add(FaultKind.ONE_WAY, (sender, receiver), -0.5, _LONG)

    def silence(self, leader: int, to: int) -> None:
        """`to` hears at most one proposal of `leader`, and soon suspects it."""
        self.lose("Heartbeat", [leader], [to])
        self.lose("PreAccept", [leader], [to], begin=0.5)

    def isolate(self, replica: int, begin: float) -> None:
        """No message gets to `replica`, or from it."""
        self._add(FaultKind.PARTITION, (replica,), begin, _LONG)

    def slow_disk(
        self, replica: int, begin: float, end: float, factors: Sequence[int] = (2, 4, 6, 10)
    ) -> None:
        """Writes of `replica` take long."""
        self._add(FaultKind.SLOW_DISK, (replica,), begin, end, self.dice.pick(factors))

    def kill(self, replica: int, begin: float, end: float) -> None:
        """The process of `replica` is killed, and starts again."""
        self._add(FaultKind.KILL, (replica,), begin, end)

    def vanish_at(self, replica: int, aim: str) -> None:
        """`replica` is cut off when it is about to send a message of this kind."""
        self._add(FaultKind.CUT_AT_SEND, (replica,), -0.5, _LONG, 1, aim)

    def forget_after(self, replica: int, aim: str, count: int = 1, apart_from: Replicas = ()) -> None:
        """`replica` loses power when it has sent messages of this kind `count` times, and is up again
        soon.  It stays cut off from some others."""
        self._add(FaultKind.POWER_AFTER_SEND, (replica, *apart_from), -0.5, self.time(0, 1), count, aim)

    def disturb(self, sender: int, receiver: int) -> None:
        """Messages of random kinds are lost, late or doubled for some time."""
        dice = self.dice
        kind = dice.pick((FaultKind.LOSE, FaultKind.HOLD, FaultKind.ECHO))
        aim = " ".join(dice.pick_some(_KINDS, dice.between(1, 3)))
        begin = self.time(-0.5, 10)
        self._filter(kind, aim, [sender], [receiver], begin, begin + self.time(2, 25))

    def end(self) -> None:
        """Remove the traps that wait for a message that was not sent."""
        self._add(FaultKind.DISARM, self.all, _LONG, _LONG + 1)


# -- for up to four replicas, where fast quorums are named


def _late_proposal(scheme: _Scheme) -> None:
    """Others promise a ballot of which the leader does not hear.  Then its proposal arrives."""
    leader, recoverer, *others = scheme.cast()
    scheme.propose(leader)
    late = scheme.time(7, 13)
    scheme.hold("PreAccept", [leader], others, late)
    scheme.hold("Accept", [recoverer], others, late + scheme.time(2, 6))
    scheme.silence(leader, recoverer)
    scheme.lose("Commit", [leader], scheme.all)
    scheme.cut(recoverer, leader)
    if scheme.dice.chance(0.6):
        for replica in others:
            scheme.forget_after(replica, "RecoverOK")


def _late_accept(scheme: _Scheme) -> None:
    """The Accept of the leader arrives late or never: after a recovery that missed it."""
    leader, recoverer, *others = scheme.cast()
    scheme.propose(leader)
    scheme.lose("PreAccept", [leader], others)
    scheme.silence(leader, recoverer)
    scheme.lose("Accept", [leader], [recoverer])
    scheme.lose("Recover Accept Commit Heartbeat", [recoverer], [leader])
    if scheme.dice.chance(0.5):
        scheme.hold("Accept", [leader], others, scheme.time(7, 14))
        scheme.lose("Commit Heartbeat", [recoverer], others)
    else:
        scheme.lose("Accept", [leader], others)
        scheme.vanish_at(recoverer, "Commit")


def _late_vote(scheme: _Scheme) -> None:
    """The vote that completes the fast path arrives after the leader has promised a ballot."""
    leader, recoverer, *others = scheme.cast()
    scheme.propose(leader)
    scheme.hold("PreAcceptOK", others, [leader], scheme.time(5, 12))
    scheme.lose("PreAcceptOK Accept Commit", [recoverer], [leader])
    scheme.silence(leader, recoverer)
    scheme.lose("RecoverOK", others, [recoverer])
    scheme.lose("Commit", [recoverer], others)


def _crossed_recoveries(scheme: _Scheme) -> None:
    """The Recover of a lower ballot arrives after that of a higher one."""
    leader, recoverer, *others = scheme.cast()
    scheme.propose(leader)
    scheme.lose("PreAcceptOK", others, [leader])
    scheme.lose("PreAcceptOK Accept Commit", [recoverer], [leader])
    scheme.silence(leader, recoverer)
    scheme.lose("Recover RecoverOK Accept Commit", [leader], [recoverer])
    scheme.lose("Recover", others, [leader, recoverer])
    late = scheme.time(9, 22)
    scheme.hold("Recover", [recoverer], others, late)
    scheme.hold("Accept", [leader], others, late + scheme.time(2, 6))
    scheme.lose("Commit", [recoverer], others)


def _forgetful_acceptor(scheme: _Scheme) -> None:
    """The voter that decided on the slow path forgets its vote."""
    leader, voter, *others = scheme.cast()
    scheme.propose(leader)
    scheme.lose("PreAccept Accept", [leader], others)
    scheme.forget_after(voter, "AcceptOK")
    scheme.vanish_at(leader, "Commit")


def _early_repeat(scheme: _Scheme) -> None:
    """A leader is asked for a decision that is not durable yet, and loses power."""
    leader, recoverer, *others = scheme.cast()
    scheme.propose(leader)
    late = scheme.time(5, 14)
    scheme.slow_disk(leader, -0.5, late + 1, (10, 20, 40))
    scheme.hold("Recover", [recoverer], [leader], late)
    scheme.lose("Recover", [recoverer], others)
    scheme.lose("Fetch", scheme.all, scheme.all)
    scheme.silence(leader, recoverer)
    scheme.forget_after(leader, "Commit")
    scheme.isolate(recoverer, late + 1.5)


def _ballot_twice(scheme: _Scheme) -> None:
    """A recoverer loses power, and perhaps forgets the ballot that it has used.  One quorum has answered
    before that, another answers later."""
    leader, recoverer, *others = scheme.cast()
    scheme.propose(leader)
    scheme.lose("PreAcceptOK", [recoverer, *others], [leader])
    scheme.silence(leader, recoverer)
    scheme.slow_disk(recoverer, 2, 9)
    scheme.lose("Accept", [recoverer], others, end=scheme.time(9, 11))
    scheme.forget_after(recoverer, "Accept", scheme.n - 1, [leader])
    scheme.lose("Commit Heartbeat RecoverOK", [recoverer], others, begin=4)
    scheme.lose("Heartbeat PreAccept", [leader], others, begin=10)


def _ballot_zero_again(scheme: _Scheme) -> None:
    """A leader loses power after an Accept at ballot 0 that has reached only some others."""
    leader, other_leader, *others = scheme.cast()
    scheme.propose(leader)
    scheme.propose(other_leader)
    scheme.lose("PreAccept", [other_leader], scheme.all)
    scheme.hold("PreAccept", [leader], others, scheme.time(4, 10))
    scheme.lose("Accept", [leader], others)
    scheme.forget_after(leader, "Accept", scheme.dice.between(1, 2))
    scheme.lose("Commit Heartbeat", [leader], scheme.all, begin=2)


def _named_again(scheme: _Scheme) -> None:
    """A leader suspects the replica that it has named when it sends its PreAccept again, and hears of it
    later."""
    leader, named, *others = scheme.cast()
    scheme.propose(leader)
    scheme.lose("PreAccept", [leader], [named], end=3)
    scheme.lose("PreAccept", [leader], others)
    scheme.lose("Heartbeat", [named], [leader])
    scheme.vanish_at(leader, "Commit")


# -- for any number


def _anything(scheme: _Scheme) -> None:
    """Some proposals, with random faults of their messages and of the replicas that promise."""
    dice = scheme.dice
    for replica in scheme.cast()[: dice.between(1, 3)]:
        scheme.propose(replica)
    for replica in scheme.all:
        for other in scheme.all:
            if replica != other and dice.chance(0.5):
                scheme.disturb(replica, other)
        if dice.chance(0.3):
            scheme.forget_after(replica, dice.pick(_KINDS), dice.between(1, 3))


def _forgetful_voter(scheme: _Scheme) -> None:
    """Voters forget the votes that made the fast path: the vote of a named replica, or those of one fast
    quorum."""
    leader, *others = scheme.cast()
    quorums = Quorums.of(Epoch.first(scheme.n))
    voters = others[:1] if quorums.named else others[: quorums.fast - 1]
    scheme.propose(leader)
    if not quorums.named:
        scheme.lose("PreAccept", [leader], others[len(voters) :])
    for voter in voters:
        scheme.forget_after(voter, "PreAcceptOK")
    scheme.vanish_at(leader, "Commit")


def _forgotten_proposal(scheme: _Scheme) -> None:
    """A leader forgets its proposal, and votes for one that interferes."""
    leader, voter, other_leader, *others = scheme.cast()
    half = len(others) // 2
    scheme.propose(leader)
    scheme.propose(other_leader)
    scheme.lose("PreAccept", [leader], [other_leader, *others[half:]])
    scheme.lose("PreAccept", [other_leader], [voter, *others[:half]])
    scheme.forget_after(leader, "PreAccept", scheme.dice.between(1, scheme.n - 1))
    scheme.hold("PreAccept", [other_leader], [leader], scheme.time(2, 5))
    scheme.lose("Recover RecoverOK Heartbeat", [leader], scheme.all)
    if others:
        scheme.vanish_at(other_leader, "Commit")


def _lagging_floor(scheme: _Scheme) -> None:
    """The next command comes when some replicas have forgotten instances that others still hold, perhaps at a
    replica that has just restarted."""
    first, voter, leader, *others = scheme.cast()
    scheme.propose(first)
    scheme.lose("Heartbeat", [voter], others)
    if scheme.dice.chance(0.5):
        scheme.kill(leader, 18, scheme.time(18, 20))
        scheme.lose("Heartbeat", others or [voter], [leader], begin=17)
    scheme.propose(leader, 25)
    if others:
        scheme.lose("PreAccept", [leader], others)
        scheme.lose("Commit Heartbeat", [leader], scheme.all, begin=25)


# -- for five replicas and more, where any fast quorum will do


def _propose_apart(scheme: _Scheme) -> tuple[int, int, int, list[int]]:
    """Two interfering proposals.  The first reaches one other replica, which is too few; the second all
    others."""
    first, voter, second, *voters = scheme.cast()
    scheme.propose(first)
    scheme.propose(second)
    scheme.lose("PreAccept", [first], [second, *voters])
    scheme.lose("PreAccept", [second], [first, voter])
    return first, voter, second, voters


def _halves(scheme: _Scheme) -> None:
    """One proposal has reached too few replicas.  The other is decided, and its leader vanishes."""
    _, _, second, _ = _propose_apart(scheme)
    scheme.vanish_at(second, "Commit")


def _late_fast_path(scheme: _Scheme) -> None:
    """The leader of one vanishes.  Its proposal is validated before the other one is decided."""
    first, _, second, voters = _propose_apart(scheme)
    scheme.isolate(first, 1)
    scheme.hold("PreAcceptOK", voters, [second], scheme.time(7, 15))
    if scheme.dice.chance(0.7):
        scheme.vanish_at(second, "Commit")


def _forgotten_validation(scheme: _Scheme) -> None:
    """An interfering proposal gets votes after a value was validated and before it is accepted."""
    first, recoverer, second, voters = _propose_apart(scheme)
    scheme.isolate(first, 1)
    scheme.lose("Recover", [recoverer, *voters], [second])
    late = scheme.time(7, 12)
    scheme.hold("PreAccept", [second], voters, late)
    scheme.hold("Accept", [recoverer, *voters], scheme.all, late + scheme.time(2, 6))
    if scheme.dice.chance(0.6):
        for replica in voters:
            scheme.forget_after(replica, "ValidateOK")


def _late_validate(scheme: _Scheme) -> None:
    """A Validate arrives once more after the value of its ballot was accepted."""
    first, recoverer, second, voters = _propose_apart(scheme)
    scheme.isolate(first, 1)
    scheme.echo("Validate", [recoverer], [second, *voters], scheme.time(8, 14))
    scheme.lose("Commit Heartbeat", [recoverer], scheme.all, begin=5)


def _mixed_votes(scheme: _Scheme) -> None:
    """A vote for the first Accept of a recoverer arrives when it asks for another value."""
    leader, recoverer, voter, *others = scheme.cast()
    rest = [voter, *others]
    scheme.propose(leader)
    scheme.propose(recoverer)
    scheme.lose("PreAccept", [recoverer], scheme.all)
    scheme.lose("PreAccept", [leader], others)
    scheme.lose("Accept", [leader], [recoverer, *others], end=4)
    scheme.lose("Accept", [leader], rest, begin=4)
    scheme.hold("AcceptOK", [voter], [leader], scheme.time(10, 30))
    scheme.silence(leader, recoverer)
    scheme.lose("RecoverOK", [leader, voter], [recoverer], end=9)
    scheme.lose("Accept", [recoverer], rest)
    scheme.lose("Commit RecoverOK", [leader, recoverer], rest, begin=4)
    scheme.lose("Accept Commit Recover", rest, [leader, recoverer], begin=4)


_NAMED: tuple[Callable[[_Scheme], None], ...] = (
    _late_proposal,
    _late_accept,
    _late_vote,
    _crossed_recoveries,
    _forgetful_acceptor,
    _early_repeat,
    _ballot_twice,
    _ballot_zero_again,
    _named_again,
    _anything,
    _forgetful_voter,
    _forgotten_proposal,
    _lagging_floor,
)
_EQUAL: tuple[Callable[[_Scheme], None], ...] = (
    _halves,
    _late_fast_path,
    _forgotten_validation,
    _late_validate,
    _mixed_votes,
    _anything,
    _forgetful_voter,
    _forgotten_proposal,
    _lagging_floor,
)


def schemes(
    seed: int, n: int, count: int, round_trip: int
) -> tuple[tuple[tuple[int, int], ...], tuple[Fault, ...], int]:
    """`count` schemes one after the other: the errands (microseconds, replica), the faults, and the end in
    microseconds."""
    errands: list[tuple[int, int]] = []
    faults: list[Fault] = []
    begin = 2 * round_trip
    for number in range(count):
        dice = Dice(seed, "scheme", number)
        scheme = _Scheme(dice, n, begin, round_trip)
        if n >= 3:
            dice.pick(_NAMED if Quorums.of(Epoch.first(n)).named else _EQUAL)(scheme)
            scheme.end()
        else:
            scheme.propose(dice.below(n))
        errands += scheme.errands
        faults += scheme.faults
        begin += _APART * round_trip
    named = tuple(fault._replace(name=name) for name, fault in enumerate(faults))
    return tuple(errands), named, begin
