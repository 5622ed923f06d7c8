"""When the next epoch begins: because an operator asked for it, or because too much is held.

Whatever one member has not executed, the others hold.  The next epoch frees all of it, so a member that is
away costs a bounded amount (docs: protocol/epochs, T9).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from epaxos.interfaces import ITransport, Refusal
from epaxos.node.following import Following
from epaxos.node.limits import Keep
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.messages import Batch

__all__ = ["Turns"]

_log = Logger()

LOOK_EVERY_S = 0.5
"""Seconds between two looks at how much is held."""
OVER_S = 2.0
"""Seconds for which too much has to be held before a turn: nobody is merely a little slow."""
TURN_S = 1.0
"""Seconds that the member of row r waits longer than that of row r-1, so that one proposes the turn."""
TURN_EVERY_S = 10.0
"""Seconds between two turns that no operator asked for, at least."""
PATIENCE = 1.25
"""While a failed replica's instances are not recovered, the turn waits until this many times the bound is
held, because it would have to wait for them itself."""
COMPLAIN_EVERY_S = 60.0
"""Seconds between two lines in the log that say why no turn is possible."""


class Turns:
    """Lets epochs end.  `following` says which epoch it is, and who has opened it.

    `strict`: no state can be transferred, so every member has to be there.  `timeout_s`: how long an operator
    waits for an answer.
    """

    def __init__(
        self,
        id: int,
        n: int,
        following: Following,
        transport: ITransport,
        now: Callable[[], float],
        timeout_s: float,
        keep: Keep,
        new_uuid: Callable[[], int],
    ) -> None:
        self.strict = False
        self.wanted = False
        """Whether `propose` has something to do."""
        self.due = 0.0
        """From when on a turn of the event loop, if there is one, should call `on_time`, on the clock of
        `ITimeoutService`."""
        self.deadline = math.inf
        """When it has to be called at the latest."""
        self._id = id
        self._n = n
        self._following = following
        self._transport = transport
        self._now = now
        self._timeout_s = timeout_s
        self._keep = keep
        self._new_uuid = new_uuid
        self._answers: deque[tuple[int, float, Deferred[int]]] = deque()
        self._by_itself = False  # too much is held
        self._over_since: float | None = None
        self._began_at = -math.inf
        self._complained_at = -math.inf

    # -- operators

    def ask(self, membership: Membership | None) -> Deferred[int]:
        """Let the next epoch begin, with the same members.  The Deferred fires with its number once it is
        safe; it fails with Refusal."""
        why_not = self._why_not(membership)
        if why_not:
            return fail(Refusal(why_not))
        answer: Deferred[int] = Deferred()
        self._answers.append((self._following.number + 1, self._now() + self._timeout_s, answer))
        self.wanted = True
        self.deadline = self._answers[0][1]
        self.due = min(self.due, self.deadline)
        return answer

    def refuse(self, text: str) -> None:
        """This replica stops: answer the operators that wait."""
        answers, self._answers = self._answers, deque()
        for _, _, answer in answers:
            answer.errback(Refusal(text))

    def on_safe(self) -> None:
        """The present epoch is safe: answer those who waited for it."""
        while self._answers and self._answers[0][0] <= self._following.number:
            self._answers.popleft()[2].callback(self._following.number)

    def _why_not(self, membership: Membership | None) -> str:
        """Why the next epoch cannot begin now; "" when it can."""
        following, transport = self._following, self._transport
        connected = [member for member in following.others if transport.is_connected(member)]
        away = [member for member in following.others if member not in connected]
        old = [member for member in connected if not transport.speaks_epochs(member)]
        behind = following.behind()
        if old:
            return f"replica {old[0]} is of a version that knows of no epochs"
        if membership is None and away:
            return f"replica {away[0]} is not connected, and the list of members is not made yet"
        if self.strict and away:
            return f"replica {away[0]} is not connected, and could not come back, as nothing is kept on disk"
        if self.strict and behind:
            return f"epoch {following.number} has not begun at every member: replica {behind[0]} is behind"
        if not following.is_safe:
            return f"epoch {following.number} has not begun at a majority of the members"
        if 2 * (len(connected) + 1) <= self._n:
            return "no majority of the members is connected"
        return ""

    # -- what is due

    def on_time(self, core: Replica, membership: Membership | None) -> None:
        """Look at how much is held, and tell operators that their time is over."""
        now = self._now()
        while self._answers and self._answers[0][1] <= now:
            _, _, answer = self._answers.popleft()
            answer.errback(
                Refusal(
                    f"no majority of the members has answered within {self._timeout_s:g} s; the next"
                    " epoch may still begin"
                )
            )
        self._by_itself = self._is_overdue(core, now) and self._is_possible(membership, now)
        self.wanted = self._by_itself or self._is_awaited()
        self.deadline = self._answers[0][1] if self._answers else math.inf
        self.due = min(now + LOOK_EVERY_S, self.deadline)

    def _is_overdue(self, core: Replica, now: float) -> bool:
        """Whether so much is held for so long that this member has to propose a turn."""
        share = self._share(core)
        if share < 1:
            self._over_since = None
            return False
        if self._over_since is None:
            self._over_since = now
        if now < self._over_since + OVER_S + self._id * TURN_S or now < self._began_at + TURN_EVERY_S:
            return False
        return share >= PATIENCE or not core.holding.awaits_failed

    def _share(self, core: Replica) -> float:
        """What is held, as a share of the bound."""
        instances = core.holding.instances / self._keep.instances
        return instances if instances >= 1 else max(instances, core.holding.bytes() / self._keep.bytes)

    def _is_possible(self, membership: Membership | None, now: float) -> bool:
        why_not = self._why_not(membership)
        if why_not and now >= self._complained_at + COMPLAIN_EVERY_S:
            self._complained_at = now
            _log.warn(
                "replica {id} holds more than it should, and no epoch can begin that would free it: {why}",
                id=self._id,
                why=why_not,
            )
        return not why_not

    def propose(self, core: Replica, membership: Membership | None) -> None:
        """Propose what opens the next epoch, unless somebody has proposed it."""
        if not core.endings and core.can_propose:
            membership = membership or _first(self._transport, self._n, self._new_uuid)
            if membership is not None:
                core.propose(Batch.opening(membership.successor()))
                self._log_why(core, membership.number + 1)

    def _log_why(self, core: Replica, number: int) -> None:
        why = "an operator asked for it"
        if not self._is_awaited():
            held = core.holding
            why = f"{held.instances} instances are held for others, about {held.bytes() / 1e6:.1f} MB"
        _log.info("replica {id} proposes epoch {number}: {why}", id=self._id, number=number, why=why)

    def on_begun(self) -> None:
        """The next epoch has begun."""
        self._began_at = self._now()
        self._over_since = None
        self._by_itself = False
        self.wanted = self._is_awaited()

    def _is_awaited(self) -> bool:
        """Whether an operator waits for an epoch that has not begun."""
        return any(number > self._following.number for number, _, _ in self._answers)


def _first(transport: ITransport, n: int, new_uuid: Callable[[], int]) -> Membership | None:
    """The `n` members of epoch 0 of a cluster that was made before there were epochs.

    None while the uid of one is not known.
    """
    uids = [transport.uid_of(member) for member in range(n)]
    members = tuple(Member(number, uid) for number, uid in enumerate(uids) if uid)
    return Membership(new_uuid(), 0, VERSION, members) if len(members) == n else None
