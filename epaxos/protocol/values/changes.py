"""What an operator may change about the members, and the list that comes of it (docs: protocol/epochs)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Union

from epaxos.protocol.values.membership import (
    ADDRESS_BYTES_MAX,
    MEMBERS_MAX,
    Member,
    Membership,
    is_writable,
)

__all__ = [
    "Add",
    "Change",
    "Move",
    "Nothing",
    "Raise",
    "Remove",
    "Replace",
    "changed",
    "describe",
    "keeps_members",
    "located",
]


class Nothing(NamedTuple):
    """The next epoch has the same members."""


class Raise(NamedTuple):
    """The next epoch has the same members, and the highest version that all of them can do."""


class Add(NamedTuple):
    """`member` joins."""

    member: Member


class Remove(NamedTuple):
    """The member `number` leaves."""

    number: int


class Replace(NamedTuple):
    """The member `old` leaves, and `member` joins."""

    old: int
    member: Member


class Move(NamedTuple):
    """The member `number` is found at other addresses.  An empty one stays as it is."""

    number: int
    peer_connect: str = ""
    client_connect: str = ""
    status_connect: str = ""


Change = Union[Nothing, Raise, Add, Remove, Replace, Move]


def changed(membership: Membership, change: Change) -> Membership:
    """The list after `change`, in the epoch of `membership`; `membership` itself when it is so already.

    So an operator who asks once more for what is done already gets the same answer.  Raises ValueError,
    with one line for the operator, when the change makes no sense.
    """
    return _CHANGES[type(change)](membership, change)


def keeps_members(change: Change) -> bool:
    """Whether the next epoch has the same members at the same addresses."""
    return isinstance(change, (Nothing, Raise))


def describe(change: Change) -> str:
    """The change in a few words."""
    if isinstance(change, Add):
        return f"add {change.member.number}"
    if isinstance(change, Remove):
        return f"remove {change.number}"
    if isinstance(change, Replace):
        return f"replace {change.old} by {change.member.number}"
    return f"move {change.number}" if isinstance(change, Move) else "turn"


def located(membership: Membership, found_at: Mapping[int, Member]) -> Membership:
    """The list, with the addresses of `found_at`, which are those of a configuration.

    They count as long as the members are the first ones.  In a list that was changed they fill in what it
    does not say.
    """
    members = []
    for member in membership.members:
        given = found_at.get(member.number, member)[2:]
        first, second = (member[2:], given) if membership.next_number else (given, member[2:])
        members.append(Member(*member[:2], *(one or other for one, other in zip(first, second))))
    return membership._replace(members=tuple(members))


def _same(membership: Membership, change: Nothing | Raise) -> Membership:
    return membership


def _add(membership: Membership, change: Add) -> Membership:
    if _is_there(membership, change.member):
        return membership
    return _with(membership, membership.members, change.member)


def _remove(membership: Membership, change: Remove) -> Membership:
    number = change.number
    if membership.find(number) is None and number < membership.unused:
        return membership
    rest = _without(membership, number)
    if not rest:
        raise ValueError(f"replica {number} is the only member, and a cluster has at least one")
    return _made(membership, rest)


def _replace(membership: Membership, change: Replace) -> Membership:
    if membership.find(change.old) is None and _is_there(membership, change.member):
        return membership
    return _with(membership, _without(membership, change.old), change.member)


def _move(membership: Membership, change: Move) -> Membership:
    number, *addresses = change
    member = membership.find(number)
    if member is None:
        raise ValueError(_unknown(membership, number))
    if not all(is_writable(address, ADDRESS_BYTES_MAX) for address in addresses):
        raise ValueError(f"an address is printable, and has at most {ADDRESS_BYTES_MAX} bytes")
    there = member[2:]
    moved = Member(number, member.uid, *(new or old for new, old in zip(addresses, there)))
    if moved == member:
        return membership
    return _made(membership, (*_without(membership, number), moved))


def _is_there(membership: Membership, member: Member) -> bool:
    return membership.uid_of(member.number) == member.uid


def _without(membership: Membership, number: int) -> tuple[Member, ...]:
    if membership.find(number) is None:
        raise ValueError(_unknown(membership, number))
    return tuple(member for member in membership.members if member.number != number)


def _unknown(membership: Membership, number: int) -> str:
    members = ", ".join(str(member.number) for member in membership.members)
    return f"there is no member {number}: the members are {members}"


def _with(membership: Membership, others: tuple[Member, ...], member: Member) -> Membership:
    """The list of `others` and `member`, who was never a member before."""
    number, unused = member.number, membership.unused
    if number < unused:
        state = (
            "is a member"
            if membership.find(number) is not None
            else "was a member before, or one with a higher number was"
        )
        raise ValueError(
            f"replica {number} {state}, and no number is used again: a new member has the number {unused},"
            " or a higher one"
        )
    if any(member.uid == one.uid for one in membership.members):
        raise ValueError(f"the data folder of replica {number} is that of another member")
    if len(others) >= MEMBERS_MAX:
        raise ValueError(f"a cluster has at most {MEMBERS_MAX} members")
    return _made(membership, (*others, member))


def _made(membership: Membership, members: tuple[Member, ...]) -> Membership:
    unused = max(membership.unused, *(member.number + 1 for member in members))
    return membership._replace(members=tuple(sorted(members)), next_number=unused)


_CHANGES: dict[type[Change], Callable[[Membership, Any], Membership]] = {
    Nothing: _same,
    Raise: _same,
    Add: _add,
    Remove: _remove,
    Replace: _replace,
    Move: _move,
}
