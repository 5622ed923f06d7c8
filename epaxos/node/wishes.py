"""What operators want of the members, and what they are told when it is done, or cannot be."""

from __future__ import annotations

import math
from typing import NamedTuple

from twisted.internet.defer import Deferred

from epaxos.interfaces import Refusal
from epaxos.protocol.values.changes import Change, Nothing, Raise, changed, describe, keeps_members
from epaxos.protocol.values.membership import Membership

__all__ = ["Wish", "Wishes", "is_done"]


class Wish(NamedTuple):
    """An operator wants epoch `number` to begin with `change`, and waits for the `answer` until `deadline`.

    `force`: although there are not enough of the new members to go on with.
    """

    number: int
    change: Change
    force: bool
    deadline: float
    answer: Deferred[Membership]


def is_done(membership: Membership, change: Change) -> bool:
    """Whether `membership` is as `change` wants it.  An operator who wants a turn and nothing else has it
    with any epoch."""
    try:
        return changed(membership, change) is membership
    except ValueError:
        return False


class Wishes:
    """The operators that wait, in the order in which they came.  They wait for `timeout_s`."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._wishes: list[Wish] = []

    def add(self, number: int, change: Change, force: bool, now: float) -> Deferred[Membership]:
        """An operator wants this.  The Deferred fires once it is so and safe, or fails with Refusal."""
        wish = Wish(number, change, force, now + self._timeout_s, Deferred())
        self._wishes.append(wish)
        return wish.answer

    @property
    def deadline(self) -> float:
        """When the first of them has waited for too long."""
        return min((wish.deadline for wish in self._wishes), default=math.inf)

    def next(self, number: int) -> Wish | None:
        """The first of those who want an epoch after `number`; None when there is nobody."""
        return next((wish for wish in self._wishes if wish.number > number), None)

    def raises(self, number: int) -> bool:
        """Whether somebody who waits for an epoch after `number` wants more than a turn: it gets the highest
        version, too."""
        return any(wish.number > number and not isinstance(wish.change, Nothing) for wish in self._wishes)

    def on_begun(self, membership: Membership, best: int) -> None:
        """An epoch has begun.  Whoever wanted it to begin with other members has to ask again; who wants the
        highest version, which is `best`, waits for the next one if this one has a lower."""
        for wish in self._take(membership.number):
            if isinstance(wish.change, Raise) and membership.version < best:
                self._wishes.append(wish._replace(number=membership.number + 1))
            elif is_done(membership, wish.change):
                self._wishes.append(wish)
            else:
                wish.answer.errback(
                    Refusal(
                        f"superseded by epoch {membership.number}"
                        f" ({membership.why or 'of the same members'}): ask again"
                    )
                )

    def on_safe(self, membership: Membership) -> None:
        """The epoch is safe: answer those who waited for it."""
        for wish in self._take(membership.number):
            wish.answer.callback(membership)

    def _take(self, number: int) -> list[Wish]:
        """Those who want epoch `number`, or an earlier one; they wait no more."""
        taken = [wish for wish in self._wishes if wish.number <= number]
        self._wishes = [wish for wish in self._wishes if wish.number > number]
        return taken

    def refuse(self, text: str, wish: Wish | None = None) -> None:
        """Answer this operator, or all of them, with Refusal."""
        refused = self._wishes if wish is None else [wish]
        self._wishes = [one for one in self._wishes if one not in refused]
        for one in refused:
            one.answer.errback(Refusal(text))

    def refuse_overdue(self, now: float, present: int) -> None:
        """Tell those who have waited for too long how far it is.  `present`: the number of the epoch."""
        for wish in [wish for wish in self._wishes if wish.deadline <= now]:
            self.refuse(self._overdue(wish, present), wish)

    def _overdue(self, wish: Wish, present: int) -> str:
        number = wish.number
        if keeps_members(wish.change):
            return (
                f"no majority of the members has answered within {self._timeout_s:g} s; the next epoch may"
                " still begin"
            )
        state = "has begun" if number <= present else "may still begin"
        return (
            f"{describe(wish.change)}: epoch {number} {state}, and is not safe after {self._timeout_s:g} s:"
            " do not stop who is removed, and ask again"
        )
