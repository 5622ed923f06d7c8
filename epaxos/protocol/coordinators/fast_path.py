"""Whether the answers to a PreAccept make the fast path: counting, and nothing else.

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
    """What the answers so far say."""

    TAKEN = "commit"
    OPEN = "answers that are still to come decide"
    CLOSED = "no answer that is still to come can help"


def judge_equal(
    quorums: Quorums,
    init_deps: Deps,
    answers: Mapping[int, Deps],
    is_awaited: Callable[[int], bool],
) -> tuple[FastPath, Deps]:
    """Any fast quorum of answers equal to what was proposed.  `is_awaited`: whether a replica that
    has not answered may still do so.  With TAKEN come the dependencies to commit."""
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
    """The answers of the leader and of all that it named, whatever they are.  See `judge_equal`."""
    quorum = (leader, *named)
    missing = [replica for replica in quorum if replica not in answers]
    if not missing:
        return FastPath.TAKEN, merge(answers[replica] for replica in quorum)
    return (FastPath.OPEN if all(map(is_awaited, missing)) else FastPath.CLOSED), ()
