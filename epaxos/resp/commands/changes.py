"""The subcommands of EPAXOS that show the members, and that change them.

Behind what belongs to it a change takes `DRYRUN`, which only says what it would do, and `FORCE`.  Its answer
is the number of the new epoch and the numbers of its members, once that is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from epaxos.interfaces import (
    Add,
    Candidate,
    Change,
    Command,
    CommandError,
    Membership,
    Move,
    Refusal,
    Remove,
    Replace,
    Reply,
)
from epaxos.interfaces import Member as Listed
from epaxos.interfaces.redis import SYNTAX_ERROR
from epaxos.resp.commands.spec import Handler, Subcommand
from epaxos.resp.interfaces import IClient

__all__ = ["CHANGES", "refused"]

_SWITCHES = {b"DRYRUN", b"FORCE"}
_ADDRESSES = {b"PEER": "peer_connect", b"CLIENT": "client_connect", b"STATUS": "status_connect"}
_DIGITS = 10


# -- what is shown


def _members(client: IClient, command: Command) -> Reply:
    if len(command) == 2:
        return [[member.id, *map(str.encode, member[1:])] for member in client.server.members()]
    if len(command) == 3 and command[2].upper() == b"HISTORY":
        return [
            [known.number, known.at, known.why.encode(), _numbers(known)]
            for known in client.server.replica.history()
        ]
    return CommandError(SYNTAX_ERROR)


def _candidates(client: IClient, command: Command) -> Reply:
    return [_row(candidate) for candidate in client.server.replica.candidates()]


def _row(candidate: Candidate) -> Reply:
    number, uid, *addresses = candidate.member
    return [number, *map(str.encode, addresses), candidate.behind, b"%016x" % uid]


def _numbers(membership: Membership) -> Reply:
    return [member.number for member in membership.members]


# -- what is changed


def _add(client: IClient, words: Sequence[bytes]) -> Change:
    (number,) = words
    joining = _joining(client, _number(number))
    if not any(joining == candidate.member for candidate in client.server.replica.candidates()):
        raise Refusal(f"replica {joining.number} is a member already, and nobody else wants to join as that")
    return Add(joining)


def _replace(client: IClient, words: Sequence[bytes]) -> Change:
    old, by, new = words
    if by.upper() != b"BY":
        raise ValueError
    return Replace(_number(old), _joining(client, _number(new)))


def _remove(client: IClient, words: Sequence[bytes]) -> Change:
    (number,) = words
    return Remove(_number(number))


def _move(client: IClient, words: Sequence[bytes]) -> Change:
    number, *rest = words
    names = [_ADDRESSES.get(word.upper()) for word in rest[::2]]
    addresses = {name: word.decode("ascii") for name, word in zip(names, rest[1::2]) if name and word}
    if not addresses or 2 * len(addresses) != len(rest):
        raise ValueError
    for name, address in addresses.items():
        try:
            client.server.check_address(name, address)
        except ValueError as why:
            raise Refusal(f"{address} is no address of a client endpoint: {why}") from None
    return Move(_number(number), **addresses)


def _number(word: bytes) -> int:
    """The number of a replica.  Raises ValueError."""
    if not word.isdigit() or len(word) > _DIGITS:
        raise ValueError
    return int(word)


def _joining(client: IClient, number: int) -> Listed:
    """The replica `number`, which wants to join, or is a member already, because an operator may ask twice.

    Raises Refusal.
    """
    replica = client.server.replica
    found = [candidate.member for candidate in replica.candidates() if candidate.member.number == number]
    membership = replica.membership()
    member = None if membership is None else membership.find(number)
    if len(found) > 1:
        uids = " and ".join(f"{each.uid:016x}" for each in found)
        raise Refusal(f"two replicas want to join with the number {number} (uids {uids}): stop one of them")
    if found:
        return found[0]
    if member is None:
        raise Refusal(
            f"replica {number} is not connected here: start it with --join and the peer address of a member"
        )
    return member


def _changing(read: Callable[[IClient, Sequence[bytes]], Change]) -> Handler:
    """The handler of a subcommand whose words `read` understands.  `read` raises ValueError, Refusal."""

    def handle(client: IClient, command: Command) -> Reply | Deferred[Reply]:
        words = list(command[2:])
        switches = set()
        while words and words[-1].upper() in _SWITCHES:
            switches.add(words.pop().upper())
        try:
            change = read(client, words)
            force = b"FORCE" in switches
            if b"DRYRUN" in switches:
                return [line.encode() for line in client.server.replica.foresee(change, force)]
            return client.server.replica.change(change, force).addCallbacks(_as_begun, refused)
        except ValueError:
            return CommandError(SYNTAX_ERROR)
        except Refusal as why:
            return CommandError(f"ERR {why}")

    return handle


def _as_begun(membership: Membership) -> Reply:
    return [membership.number, _numbers(membership)]


def refused(failure: Failure) -> Reply:
    """Anything else than a refusal is a bug, and is told as one."""
    if not isinstance(failure.value, Refusal):
        failure.raiseException()
    return CommandError(f"ERR {failure.value}")


_ANSWER = "answer the number of the epoch and its members when it is safe; DRYRUN: say what would happen"

CHANGES = {
    b"MEMBERS": Subcommand(
        _members,
        -2,
        "number, peer, client, status, the state seen from here, the uid, and the highest version of "
        "commands that its program can do, of each member; with HISTORY: "
        "epoch, time, why, and the members of each list that this replica has seen begin",
    ),
    b"CANDIDATES": Subcommand(
        _candidates,
        2,
        "number, peer, client, status, the bytes that it lacks (nil: not known), and the uid of each replica "
        "that wants to join",
    ),
    b"ADD": Subcommand(_changing(_add), -3, f"number [DRYRUN] [FORCE]: let a replica join; {_ANSWER}"),
    b"REPLACE": Subcommand(
        _changing(_replace),
        -5,
        f"old BY new [DRYRUN] [FORCE]: let a replica join in the place of one; {_ANSWER}",
    ),
    b"REMOVE": Subcommand(_changing(_remove), -3, f"number [DRYRUN] [FORCE]: let a member leave; {_ANSWER}"),
    b"MOVE": Subcommand(
        _changing(_move),
        -5,
        f"number [PEER address] [CLIENT address] [STATUS address] [DRYRUN] [FORCE]: a member has other "
        f"addresses; {_ANSWER}",
    ),
}
"""These subcommands."""
