"""What a change of the members would do, in words, and whether there are enough of the new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from epaxos.interfaces import ITransport
from epaxos.node.candidates import Candidates
from epaxos.node.following import Following
from epaxos.node.versions import Versions
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import Batch

__all__ = ["Foresight"]


class Foresight:
    """Looks at the members that there are, and at the candidates."""

    def __init__(
        self,
        id: int,
        following: Following,
        transport: ITransport,
        candidates: Candidates,
        versions: Versions,
    ) -> None:
        self._id = id
        self._following = following
        self._transport = transport
        self._candidates = candidates
        self._versions = versions

    def why_not(self, present: Membership, wanted: Membership, force: bool) -> str:
        """Why `wanted` must not follow on `present`; "" when it may."""
        transport = self._transport
        connected = [member for member in self._following.others if transport.is_connected(member)]
        old = [member for member in connected if not transport.speaks_members(member)]
        size, most = Batch.opening(wanted).size_bytes, transport.batch_bytes_max
        if old:
            return f"replica {old[0]} is of a version that knows of no changes of the members"
        if most is not None and size > most:
            return f"the list of members takes {size} bytes, and a datagram carries {most}"
        for member in wanted.members:
            version = self._versions.of(member.number)
            if present.find(member.number) is None and 0 < version < present.version:
                return (
                    f"replica {member.number} is too old: its program knows version {version}, and the"
                    f" cluster is at version {present.version}: upgrade it first"
                )
        return "" if force else self._lacking(present, wanted)

    def _lacking(self, present: Membership, wanted: Membership) -> str:
        """What is missing for `wanted` to go on at once; "" when nothing is."""
        for member in wanted.members:
            if present.find(member.number) is None and not self._candidates.is_caught_up(member):
                return f"replica {self._behind(member)} (FORCE goes on without it)"
        there = [member.number for member in wanted.members if self._is_there(present, member)]
        n = len(wanted.members)
        needed = n - (n - 1) // 2
        if len(there) < needed:
            named = ", ".join(map(str, there)) or "nobody"
            return f"of the {n} new members {needed} have to be there, and only {named} is (FORCE goes on)"
        return ""

    def _behind(self, member: Member) -> str:
        candidate = self._candidates.find(member)
        if candidate is None:
            return f"{member.number} does not ask to join any more"
        if candidate.behind is None:
            return f"{member.number} has not begun to take the state"
        return f"{member.number} still lacks {candidate.behind / 1e6:.1f} MB of the state"

    def _is_there(self, present: Membership, member: Member) -> bool:
        if present.find(member.number) is None:
            return self._candidates.is_caught_up(member)
        return member.number == self._id or self._transport.is_connected(member.number)

    def tell(self, present: Membership, wanted: Membership) -> Iterator[str]:
        """How many may fail, and who is there, now and then; who leaves, joins and moves."""
        yield self._line("now", present, present)
        yield self._line("then", present, wanted)
        for text, one, other in (("leaves", present, wanted), ("joins", wanted, present)):
            for member in one.members:
                if other.find(member.number) is None:
                    yield f"replica {member.number} {text}"
        for member in wanted.members:
            before = present.find(member.number)
            if before is not None and before != member:
                yield f"replica {member.number} moves: {_moved(before, member)}"
        best = self._versions.best(present, wanted)
        if best > present.version:
            yield f"the cluster goes from version {present.version} to version {best}"

    def _line(self, when: str, present: Membership, membership: Membership) -> str:
        def tell(member: Member) -> str:
            return f"{member.number}{'' if self._is_there(present, member) else ' (not there)'}"

        n = len(membership.members)
        return f"{when}: {n} members, of which {(n - 1) // 2} may fail: {_joined(tell, membership)}"


def _moved(before: Member, after: Member) -> str:
    """The new addresses."""
    names = ("peer", "client", "status")
    addresses = zip(names, before[2:], after[2:])
    return ", ".join(f"{name} {new}" for name, old, new in addresses if new != old)


def _joined(tell: Callable[[Member], str], membership: Membership) -> str:
    return ", ".join(map(tell, membership.members))
