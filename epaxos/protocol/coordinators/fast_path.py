"""Whether the answers to a PreAccept make the fast path, as pure functions.

EPaxos* (arXiv 2511.02743), section 3, for equal answers; docs: protocol/fast-path,
for a named fast quorum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum

from epaxos.protocol.values.ids import Deps, merge
from epaxos.protocol.values.quorums import Quorums

__all__ = ["FastPath", "judge_equal", "judge_named"]


class FastPath(Enum):
    """What the answers so far allow."""

    TAKEN = "commit"
    OPEN = "it depends on answers that are still awaited"
    CLOSED = "no awaited answer can make it any more"


def judge_equal(
    quorums: Quorums,
    init_deps: Deps,
    answers: Mapping[int, Deps],
    is_awaited: Callable[[int], bool],
) -> tuple[FastPath, Deps]:
    """Whether a fast quorum of answers equals `init_deps`, which was proposed.

    `is_awaited` tells of a replica that has not answered whether it may still do so.  With TAKEN the
    second value is the dependencies to commit.
    """
    equal = sum(deps == init_deps for deps in answers.values())
    if equal >= quorums.fast:
        return FastPath.TAKEN, init_deps
    awaited = sum(replica not in answers and is_awaited(replica) for replica in range(quorums.n))
    return (FastPath.OPEN if equal + awaited >= quorums.fast else FastPath.CLOSED), init_deps


def judge_named(
    leader: int,
    named: Collection[int],
    answers: Mapping[int, Deps],
    is_awaited: Callable[[int], bool],
) -> tuple[FastPath, Deps]:
    """Whether the leader and all named replicas have answered, whatever they did.  See `judge_equal`."""
    quorum = (leader, *named)
    missing = [replica for replica in quorum if replica not in answers]
    if not missing:
        return FastPath.TAKEN, merge(answers[replica] for replica in quorum)
    return (FastPath.OPEN if all(map(is_awaited, missing)) else FastPath.CLOSED), ()
