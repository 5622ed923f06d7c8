"""Schedules that need one rule each, with random parts for random replicas.

What the rules of recovery and durability are for shows in runs of a dozen steps in the right order,
which chance alone does not come upon: one message has to be late, another to be lost, a replica to
fall silent or to lose power in between.  Each function here prepares one such run, out of nothing but
what may happen to any cluster, and leaves the rest to chance: who plays which part, how late, what else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.quorums import Quorums
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.faults.fault import Fault, FaultKind

__all__ = ["schemes"]

_LONG = 40.0
"""Until a scheme is over, in round trips."""
_APART = 62
"""From one scheme to the next, in round trips: what went wrong is mended by then, and the next PreAccept
goes to all, not only to those that are named."""

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
    """The errands and faults of one scheme; times are in round trips after its beginning."""

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
        """All replicas in random order; often the second is the one that recovers the first's row
        before others do."""
        first, second, *rest = self.dice.pick_some(self.all, self.n)
        follower = (first + 1) % self.n
        if self.dice.chance(0.7) and follower != second:
            rest[rest.index(follower)] = second
            second = follower
        return [first, second, *rest]

    def time(self, low: float, high: float) -> float:
        """Some time between."""
        return low + (high - low) * self.dice.below(1000) / 1000

    # -- what happens

    def propose(self, replica: int, at: float = 0.0) -> None:
        """A client asks `replica` for a write; all writes interfere."""
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
        """Messages of these kinds come at `end`."""
        self._filter(FaultKind.HOLD, aim, senders, receivers, -0.5, end)

    def echo(self, aim: str, senders: Replicas, receivers: Replicas, end: float) -> None:
        """Messages of these kinds come as they should, and again at `end`."""
        self._filter(FaultKind.ECHO, aim, senders, receivers, -0.5, end)

    def cut(self, sender: int, receiver: int) -> None:
        """Nothing gets from one to the other."""
        self._add(FaultKind.ONE_WAY, (sender, receiver), -0.5, _LONG)

    def silence(self, leader: int, to: int) -> None:
        """`to` hears one proposal of `leader`, if that, and soon suspects it."""
        self.lose("Heartbeat", [leader], [to])
        self.lose("PreAccept", [leader], [to], begin=0.5)

    def isolate(self, replica: int, begin: float) -> None:
        """Nothing to `replica` or from it."""
        self._add(FaultKind.PARTITION, (replica,), begin, _LONG)

    def slow_disk(
        self, replica: int, begin: float, end: float, factors: Sequence[int] = (2, 4, 6, 10)
    ) -> None:
        """What `replica` writes takes long."""
        self._add(FaultKind.SLOW_DISK, (replica,), begin, end, self.dice.pick(factors))

    def kill(self, replica: int, begin: float, end: float) -> None:
        """The process of `replica` is killed, and starts again."""
        self._add(FaultKind.KILL, (replica,), begin, end)

    def vanish_at(self, replica: int, aim: str) -> None:
        """`replica` is cut off when it is about to send this."""
        self._add(FaultKind.CUT_AT_SEND, (replica,), -0.5, _LONG, 1, aim)

    def forget_after(self, replica: int, aim: str, count: int = 1, apart_from: Replicas = ()) -> None:
        """`replica` loses power when it has sent this so many times, and is up again soon; for longer
        it is cut off from some."""
        self._add(FaultKind.POWER_AFTER_SEND, (replica, *apart_from), -0.5, self.time(0, 1), count, aim)

    def disturb(self, sender: int, receiver: int) -> None:
        """Anything at all happens to some kinds of messages, for some time."""
        dice = self.dice
        kind = dice.pick((FaultKind.LOSE, FaultKind.HOLD, FaultKind.ECHO))
        aim = " ".join(dice.pick_some(_KINDS, dice.between(1, 3)))
        begin = self.time(-0.5, 10)
        self._filter(kind, aim, [sender], [receiver], begin, begin + self.time(2, 25))

    def end(self) -> None:
        """What waits for a message that has not come waits no longer."""
        self._add(FaultKind.DISARM, self.all, _LONG, _LONG + 1)


# -- for up to four replicas, where fast quorums are named


def _late_proposal(scheme: _Scheme) -> None:
    """Others promise a ballot, which the leader does not hear of; then comes the leader's proposal."""
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
    """The leader's Accept comes late or never, when a recovery that missed it is over."""
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
    """The vote that makes the fast path comes when the leader has promised a ballot."""
    leader, recoverer, *others = scheme.cast()
    scheme.propose(leader)
    scheme.hold("PreAcceptOK", others, [leader], scheme.time(5, 12))
    scheme.lose("PreAcceptOK Accept Commit", [recoverer], [leader])
    scheme.silence(leader, recoverer)
    scheme.lose("RecoverOK", others, [recoverer])
    scheme.lose("Commit", [recoverer], others)


def _crossed_recoveries(scheme: _Scheme) -> None:
    """The Recover of a lower ballot comes after that of a higher one."""
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
    """The vote that decides on the slow path is forgotten."""
    leader, voter, *others = scheme.cast()
    scheme.propose(leader)
    scheme.lose("PreAccept Accept", [leader], others)
    scheme.forget_after(voter, "AcceptOK")
    scheme.vanish_at(leader, "Commit")


def _early_repeat(scheme: _Scheme) -> None:
    """A leader is asked for a decision that it has not on disk yet, and loses power."""
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
    """A recoverer loses power, and with it, perhaps, the ballot that it has used: one quorum has
    answered before that, another does so later."""
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
    """A leader loses power after an Accept at ballot 0 that only some have heard."""
    leader, other_leader, *others = scheme.cast()
    scheme.propose(leader)
    scheme.propose(other_leader)
    scheme.lose("PreAccept", [other_leader], scheme.all)
    scheme.hold("PreAccept", [leader], others, scheme.time(4, 10))
    scheme.lose("Accept", [leader], others)
    scheme.forget_after(leader, "Accept", scheme.dice.between(1, 2))
    scheme.lose("Commit Heartbeat", [leader], scheme.all, begin=2)


def _named_again(scheme: _Scheme) -> None:
    """A leader suspects whom it has named when it proposes again, and hears of it all the same."""
    leader, named, *others = scheme.cast()
    scheme.propose(leader)
    scheme.lose("PreAccept", [leader], [named], end=3)
    scheme.lose("PreAccept", [leader], others)
    scheme.lose("Heartbeat", [named], [leader])
    scheme.vanish_at(leader, "Commit")


# -- for any number


def _anything(scheme: _Scheme) -> None:
    """Some proposals, and anything at all to the messages about them and to those who promise."""
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
    """The votes that make the fast path are forgotten: that of one who was named, or those of just a
    fast quorum."""
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
    """A leader forgets what it has proposed, and votes for what interferes."""
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
    """Some have forgotten what others still hold, when the next command comes, perhaps at a replica
    that was just restarted."""
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
    """Two interfering proposals: the first reaches one other, too few, the second all the rest."""
    first, voter, second, *voters = scheme.cast()
    scheme.propose(first)
    scheme.propose(second)
    scheme.lose("PreAccept", [first], [second, *voters])
    scheme.lose("PreAccept", [second], [first, voter])
    return first, voter, second, voters


def _halves(scheme: _Scheme) -> None:
    """One proposal has reached too few, the other is decided, and its leader vanishes."""
    _, _, second, _ = _propose_apart(scheme)
    scheme.vanish_at(second, "Commit")


def _late_fast_path(scheme: _Scheme) -> None:
    """The leader of one vanishes; the other is validated against before it is decided."""
    first, _, second, voters = _propose_apart(scheme)
    scheme.isolate(first, 1)
    scheme.hold("PreAcceptOK", voters, [second], scheme.time(7, 15))
    if scheme.dice.chance(0.7):
        scheme.vanish_at(second, "Commit")


def _forgotten_validation(scheme: _Scheme) -> None:
    """What interferes is voted for between the validation of a value and its being accepted."""
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
    """A Validate comes again when the value of its ballot is accepted."""
    first, recoverer, second, voters = _propose_apart(scheme)
    scheme.isolate(first, 1)
    scheme.echo("Validate", [recoverer], [second, *voters], scheme.time(8, 14))
    scheme.lose("Commit Heartbeat", [recoverer], scheme.all, begin=5)


def _mixed_votes(scheme: _Scheme) -> None:
    """A vote for the leader's first Accept comes when it asks for another value."""
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
    """`count` schemes one after the other: the errands (when, at which replica), the faults, and
    when all is over."""
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
