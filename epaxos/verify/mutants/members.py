"""The mutants of rules about members that come and go (docs: protocol/epochs)."""

from __future__ import annotations

from typing import Any

from epaxos.node.epochs import Epochs
from epaxos.node.following import Following
from epaxos.node.joining import Joining
from epaxos.node.moving import Moving
from epaxos.node.node import Node
from epaxos.node.outbox import Outbox
from epaxos.node.wishes import Wishes
from epaxos.protocol.values.quorums import Quorums
from epaxos.verify.mutants.mutation import Edit, Mutant

__all__ = ["MEMBERS"]


def _edit(name: str, rule: str, target: Any, old: str, new: str, n: int | None = None) -> Mutant:
    return Mutant(name, rule, (Edit(target, ((old, new),)),), n, "members")


MEMBERS = (
    _edit(
        "who was removed counts",
        "safe(k+1) counts members of k+1 alone",
        Following.is_safe,
        "for member in self.members)",
        "for member in {*self._opened, self._id})",
    ),
    _edit(
        "a candidate counts",
        "safe(k+1) counts who has opened k+1, and a candidate has not",
        Epochs._on_asked,
        "self._candidates.on_candidate(asked)",
        """\
self._candidates.on_candidate(asked)
        self._following.on_opened(asked.member.number, self.number + 1)
""",
    ),
    _edit(
        "joined without being named",
        "who joins installs only a state of an epoch that names it",
        Joining.is_for_us,
        "offer.membership.uid_of(self._member.number) == self._member.uid",
        "True",
    ),
    _edit(
        "states of members alone",
        "who was removed gives its state until the next epoch is safe",
        Joining._sources,
        "if previous is None or",
        "if True or",
        n=1,
    ),
    _edit(
        "the row of the epoch before",
        "the row of a member is its place in the list of the present epoch",
        Moving._begin,
        """\
self._rows = rows_of(epoch)
    row = self._rows[self.id]
""",
        """\
before = self._rows
    self._rows = rows_of(epoch)
    row = min(before.get(self.id, self._rows[self.id]), epoch.n - 1)
""",
    ),
    _edit(
        "rows as numbers",
        "a message goes to the member of its row",
        Outbox.move,
        "None if epoch.members == tuple(range(epoch.n)) else epoch.members",
        "None",
    ),
    _edit(
        "numbers as rows",
        "a message comes from the row of its sender",
        Node._on_messages,
        "row = self._rows.get(sender)",
        "row = sender if sender < len(self._rows) else None",
    ),
    _edit(
        "quorums of the epoch before",
        "quorums are those of the present number of members",
        Quorums.of,
        "f = (n - 1) // 2",
        "f = 1 if epoch.number and n > 1 else (n - 1) // 2",
        n=3,
    ),
    _edit(
        "gone before it is safe",
        "who was removed goes on until the epoch without it is safe",
        Epochs._look,
        "if following.is_safe and following.is_durable and not following.is_member:",
        "if following.is_durable and not following.is_member:",
    ),
    _edit(
        "answered when it has begun",
        "an operator is answered when the epoch is safe",
        Epochs._look,
        "if following.is_safe and self.membership is not None:",
        "if self.membership is not None:",
    ),
    _edit(
        "whoever asked has it",
        "of two operators who want different members, one is told so",
        Wishes.on_begun,
        "if is_done(membership, wish.change):",
        "if True:",
    ),
    _edit(
        "a member of every epoch",
        "who is not a member of an epoch votes nowhere and answers nobody",
        Epochs._move,
        "if self._following.is_member else NOT_ANY_MORE",
        "if True else NOT_ANY_MORE",
    ),
)
