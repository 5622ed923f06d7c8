"""When the next epoch begins: because an operator asked for it, or because too much is held.

Whatever one member has not executed, the others hold.  The next epoch frees all of it, so a member that is
away costs a bounded amount (docs: protocol/epochs, T9).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from epaxos.interfaces import ITransport, Refusal
from epaxos.node.candidates import Candidates
from epaxos.node.following import Following
from epaxos.node.foresight import Foresight
from epaxos.node.limits import Keep
from epaxos.node.versions import Versions
from epaxos.node.wishes import Wishes, is_done
from epaxos.protocol.replica import Replica
from epaxos.protocol.values.changes import Change, Nothing, changed, describe, keeps_members, located
from epaxos.protocol.values.membership import FIRST_VERSION, Member, Membership
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
    waits for an answer.  `wall_clock`: seconds since 1970, for people.  `found_at`: where the configuration
    says that members are.
    """

    def __init__(
        self,
        id: int,
        following: Following,
        transport: ITransport,
        candidates: Candidates,
        versions: Versions,
        now: Callable[[], float],
        timeout_s: float,
        keep: Keep,
        new_uuid: Callable[[], int],
        wall_clock: Callable[[], float],
        found_at: Mapping[int, Member] | None = None,
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
        self._following = following
        self._transport = transport
        self._candidates = candidates
        self._versions = versions
        self._foresight = Foresight(id, following, transport, candidates, versions)
        self._now = now
        self.keep = keep
        self._new_uuid = new_uuid
        self._wall_clock = wall_clock
        self._found_at = found_at or {}
        self._wishes = Wishes(timeout_s)
        self._by_itself = False  # too much is held, or a candidate needs a state
        self._over_since: float | None = None
        self._began_at = -math.inf
        self._complained_at = -math.inf

    # -- operators

    def ask(self, membership: Membership | None, change: Change, force: bool = False) -> Deferred[Membership]:
        """Let the next epoch begin, with the members after `change`.  The Deferred fires with its members
        once it is safe; it fails with Refusal."""
        following = self._following
        if membership is not None and not keeps_members(change) and is_done(membership, change):
            if following.is_safe:
                return succeed(membership)
            return self._await(following.number, change, force)
        try:
            self._check(membership, change, force)
        except Refusal as why:
            return fail(why)
        self.wanted = True
        return self._await(following.number + 1, change, force)

    def _await(self, number: int, change: Change, force: bool) -> Deferred[Membership]:
        answer = self._wishes.add(number, change, force, self._now())
        self.deadline = self._wishes.deadline
        self.due = min(self.due, self.deadline)
        return answer

    def foresee(self, membership: Membership | None, change: Change, force: bool) -> Sequence[str]:
        """What would come of `change`, in lines.  Raises Refusal when it would be refused now."""
        self._check(membership, change, force)
        if membership is None:
            return ["the list of members is made"]
        return list(self._foresight.tell(membership, changed(membership, change)))

    def _check(self, membership: Membership | None, change: Change, force: bool) -> None:
        """Raise Refusal when the next epoch cannot begin with the members after `change`."""
        why_not = self._why_not(membership)
        if not why_not and not keeps_members(change):
            why_not = self._why_not_changed(membership, change, force)
        if why_not:
            raise Refusal(why_not)

    def _why_not_changed(self, membership: Membership | None, change: Change, force: bool) -> str:
        if self.strict:
            return "nothing is kept on disk, so no state can be given to a new member"
        if membership is None:
            return "the list of members is not made yet: a turn makes it (EPAXOS TURN)"
        try:
            return self._foresight.why_not(membership, changed(membership, change), force)
        except ValueError as why:
            return str(why)

    def refuse(self, text: str) -> None:
        """This replica stops: answer the operators that wait."""
        self._wishes.refuse(text)

    def on_safe(self, membership: Membership) -> None:
        """The present epoch, of `membership`, is safe: answer those who waited for it."""
        self._wishes.on_safe(membership)

    def _why_not(self, membership: Membership | None) -> str:
        """Why the next epoch cannot begin now; "" when it can."""
        following, transport = self._following, self._transport
        connected = [member for member in following.others if transport.is_connected(member)]
        away = [member for member in following.others if member not in connected]
        old = [member for member in connected if not transport.speaks_epochs(member)]
        behind = following.behind()
        if not following.is_member:
            return "this replica is not a member: ask one"
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
        if 2 * (len(connected) + 1) <= len(following.members):
            return "no majority of the members is connected"
        return ""

    # -- what is due

    def on_time(self, core: Replica, membership: Membership | None) -> None:
        """Look at how much is held, and tell operators that their time is over."""
        now = self._now()
        self._wishes.refuse_overdue(now, self._following.number)
        self._by_itself = self._is_overdue(core, now) and self._is_possible(membership, now)
        self.wanted = self._by_itself or self._is_awaited()
        self.deadline = self._wishes.deadline
        self.due = min(now + LOOK_EVERY_S, self.deadline)

    def _is_overdue(self, core: Replica, now: float) -> bool:
        """Whether so much is held for so long that this member has to propose a turn."""
        following = self._following
        if not following.is_member:
            return False
        share = self._share(core)
        if share < 1 and not self._awaits_state():
            self._over_since = None
            return False
        if self._over_since is None:
            self._over_since = now
        turn_s = OVER_S + following.members.index(self._id) * TURN_S
        if now < self._over_since + turn_s or now < self._began_at + TURN_EVERY_S:
            return False
        return share >= PATIENCE or not core.holding.awaits_failed

    def _awaits_state(self) -> bool:
        """Whether a candidate waits for a state: in epoch 0 nobody can give one."""
        return not (self._following.number or self.strict) and bool(self._candidates.all())

    def _share(self, core: Replica) -> float:
        """What is held, as a share of the bound."""
        instances = core.holding.instances / self.keep.instances
        return instances if instances >= 1 else max(instances, core.holding.bytes() / self.keep.bytes)

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
        if core.endings or not core.can_propose:
            return
        membership = membership or _first(self._transport, self._following.members, self._new_uuid)
        if membership is None:
            return
        membership = located(membership, self._found_at)
        wish = self._wishes.next(self._following.number)
        change: Change = Nothing() if wish is None else wish.change
        if wish is not None and not keeps_members(change):
            why_not = self._why_not_changed(membership, change, wish.force)
            if why_not:  # what was there when the operator asked is gone
                self._wishes.refuse(why_not, wish)
                return
        held = core.holding
        why = describe(change)
        if wish is None and self._awaits_state():
            why = "a candidate waits for a state"
        elif wish is None:
            why = f"{held.instances} instances are held for others, about {held.bytes() / 1e6:.1f} MB"
        wanted = changed(membership, change)
        if self._wishes.raises(self._following.number):
            wanted = wanted._replace(version=self._versions.best(membership, wanted))
        if wanted.version != membership.version:
            why = f"{why}, version {wanted.version}"
        successor = wanted.successor(f"{why}, by replica {self._id}", int(self._wall_clock()))
        core.propose(Batch.opening(successor))
        _log.info(
            "replica {id} proposes epoch {number}: {why}", id=self._id, number=successor.number, why=why
        )

    def on_begun(self, membership: Membership) -> None:
        """The next epoch has begun."""
        self._began_at = self._now()
        self._over_since = None
        self._by_itself = False
        self._wishes.on_begun(membership, self._versions.best(membership, membership))
        self.wanted = self._is_awaited()

    def _is_awaited(self) -> bool:
        """Whether an operator waits for an epoch that has not begun."""
        return self._wishes.next(self._following.number) is not None


def _first(transport: ITransport, numbers: Sequence[int], new_uuid: Callable[[], int]) -> Membership | None:
    """The members of epoch 0 of a cluster that was made before there were epochs.

    None while the uid of one is not known.
    """
    uids = [(number, transport.uid_of(number)) for number in numbers]
    members = tuple(Member(number, uid) for number, uid in uids if uid)
    return Membership(new_uuid(), 0, FIRST_VERSION, members) if len(members) == len(uids) else None
