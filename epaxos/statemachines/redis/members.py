"""The value of a set: its members are names whose values are empty."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.statemachines.redis.named import Named
from epaxos.statemachines.redis.packed import ITEM_BYTES_MAX, add
from epaxos.statemachines.redis.parted import Parted

__all__ = ["Members"]


class Members(Named):
    """A set."""

    __slots__ = ()

    type_name = "set"
    letter = b"t"
    width = 1

    def __contains__(self, member: bytes) -> bool:
        return self.get(member) is not None

    def add(self, member: bytes) -> bool:
        """Add a member.  Returns whether it is a new one."""
        held = self._held
        if type(held) is Parted:
            return held.put(member, b"")
        if type(held) is bytes and len(member) <= ITEM_BYTES_MAX:
            longer = add(held, member)
            if longer is not None:
                self._held = longer
                return longer is not held
        return self.set(member, b"")

    def add_all(self, members: Sequence[bytes]) -> int:
        """Add some members, as `add` does one after the other.  Returns how many of them are new."""
        return self.set_all(members, [b""] * len(members))

    def remove_all(self, members: Sequence[bytes]) -> int:
        """Remove some members.  Returns how many of them there were."""
        return sum(map(self.remove, members))

    def among(self, names: Sequence[bytes]) -> list[bytes]:
        """Those of `names` that are members, in their order."""
        return [name for name, value in zip(names, self.get_all(names)) if value is not None]
