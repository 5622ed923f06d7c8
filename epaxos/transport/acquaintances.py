"""Who the others are, by uid and process, and what follows from it for them and for this replica.

A replica is refused when its folder is not the one that belongs to its number, and it stops when it is
refused for that.  The checks are best effort, because what was heard of a process is forgotten by whoever
restarts, unless it is in a list of members: docs: protocol/failures, "Doubled and wiped replicas".

Pure but for the clock that it is handed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from epaxos.protocol.values.membership import FIRST_VERSION, WHEN_LOST, Membership
from epaxos.transport.guests import Guests
from epaxos.transport.introductions import (
    WIRE_OF_CHANGES,
    Introduction,
    Myself,
    Refusal,
    Refused,
)
from epaxos.transport.roster import Roster

__all__ = ["Acquaintances", "Heard"]

OLD_VERSION = "its version knows of no uids, and the cluster has left the epoch of that version"


class Heard:
    """What was heard of the folder of one other member in the life of this process."""

    __slots__ = ("banned", "last", "rival", "rival_at", "rival_frames", "written")

    def __init__(self, who: Introduction) -> None:
        self.last = who
        self.written = who.written
        self.banned: tuple[int, ...] = ()
        self.rival = 0
        self.rival_at = 0.0
        self.rival_frames: int | None = None


class Acquaintances:
    """The others, as the replica `number` knows them: the members in `roster`, and `guests`.

    `patience_s`: a process that says nothing for this time may be gone.  `wrong(text)` is called when this
    replica has to stop, with one line for the operator, and `outdated(text)` when its program is too old.
    `now` tells the time in seconds.
    """

    def __init__(
        self,
        number: int,
        roster: Roster,
        cluster: str,
        myself: Myself,
        patience_s: float,
        now: Callable[[], float],
        wrong: Callable[[str], None],
        outdated: Callable[[str], None],
    ) -> None:
        self.myself = myself
        self.roster = roster
        self.guests = Guests(now)
        self._number = number
        self._cluster = cluster
        self._uuid = 0  # of the cluster that this replica joins, as the first one said that it met
        self.patience_s = patience_s
        self._now = now
        self._wrong = wrong
        self._outdated = outdated
        self._versions: dict[int, int] = {}
        self._heard: dict[int, Heard] = {}
        self._accepted_by_own = False
        self._foreign: set[int] = set()

    # -- others that greet

    def examine(self, sender: int, who: Introduction | None, frames: int | None) -> None:
        """Take note of the greeting of the replica `sender`.  Raises Refused when it may not speak.

        `frames`: how many frames have come over the connection that there is with this replica already; None
        when there is none.  Who is no member becomes a guest, or is refused.
        """
        self._check_version(sender, who)
        if who is None:
            membership = self.myself.membership
            if self.myself.seed or (membership is not None and membership.number):
                raise Refused(OLD_VERSION)
            return
        if self._is_guest(sender, who):
            self.guests.admit(sender, who)
        else:
            self._check_folder(sender, who)
        heard = self._heard.get(sender)
        if heard is None or heard.last.uid != who.uid:
            self._heard[sender] = Heard(who)
            return
        if who.process in heard.banned:
            raise Refused(f"two processes have the uid {who.uid:016x}", Refusal.DOUBLED)
        if heard.last.process != who.process:
            self._examine_process(heard, who, frames)
            heard.last, heard.rival = who, 0
        heard.last = who
        heard.written = max(heard.written, who.written)

    def _is_guest(self, sender: int, who: Introduction) -> bool:
        """Whether `who` is no member, and is let in for control messages alone.  Raises Refused.

        Such is a replica that joins; for one that joins, everybody while it knows no list; and who knows our
        cluster, and is in none of the lists that count: it slept while the members changed, or it is a new
        member of an epoch of which nobody has told here.
        """
        mine, roster = self.myself, self.roster
        if who.joins and mine.seed:
            raise Refused("this replica joins the cluster as well")
        if who.joins and mine.membership is None:
            raise Refused("the first members of this cluster are not known yet")
        if mine.membership is None and not mine.seed:
            return False
        self._check_uuid(who)
        if mine.membership is None:
            if not self._uuid or not who.uuid:
                raise Refused("this replica has not reached the cluster that it joins", Refusal.LATER)
            return True
        if who.joins and sender < mine.membership.unused and roster.uid_of(sender) != who.uid:
            raise Refused(_used(sender, roster.has(sender), mine.membership.unused), Refusal.USED)
        return not roster.has(sender) and _can_be_told(who) and (who.joins or bool(who.uuid))

    def _check_uuid(self, who: Introduction) -> None:
        """Raise Refused when `who` belongs to another cluster."""
        uuid = self.myself.uuid or self._uuid
        if who.uuid and uuid and who.uuid != uuid:
            raise Refused(f"cluster {self._cluster!a} has another uuid here", Refusal.FOREIGN)

    def _check_version(self, number: int, who: Introduction | None) -> None:
        """Take note of what the program of `number` can do.  Raises Refused when it is too old."""
        version = self._versions[number] = FIRST_VERSION if who is None else who.version
        membership = self.myself.membership
        if membership is not None and membership.version > version:
            raise Refused(
                f"the cluster is at version {membership.version}, and the program of replica {number} knows"
                f" version {version}: upgrade it",
                Refusal.OUTDATED,
            )

    def version_of(self, number: int) -> int:
        """The highest version that the program of `number` can do, as it said last; 0 when it was not heard
        of."""
        return self.myself.version if number == self._number else self._versions.get(number, 0)

    def _check_folder(self, sender: int, who: Introduction) -> None:
        """Raise Refused when the folder of `who` is not the one of the member `sender`."""
        mine = self.myself
        if mine.membership is None:
            heard = self._heard.get(sender)
            if who.unfounded and not who.uuid and not mine.unfounded:
                raise Refused(f"the folder of replica {sender} is empty, and here are data", Refusal.EMPTY)
            if heard is not None and heard.last.uid != who.uid and not heard.last.unfounded:
                raise Refused(_other_uid(sender, heard.last.uid, who.uid), Refusal.WIPED)
            return
        self._check_uuid(who)
        known = self.roster.uid_of(sender)
        if known != who.uid:
            raise Refused(_other_uid(sender, known, who.uid), Refusal.WIPED)

    def _examine_process(self, heard: Heard, who: Introduction, frames: int | None) -> None:
        """Another process than the last one has the same folder.  Raises Refused when it may not speak now.

        A process that has ended closes its connections, or says nothing any more.  When the last one goes on
        speaking beside the new one, both are refused.
        """
        if who.written < heard.written:
            raise Refused(
                f"the folder is at write {who.written}, and has said that it was at write {heard.written}",
                Refusal.OLDER,
            )
        if frames is None:
            return
        now = self._now()
        if heard.rival != who.process:
            heard.rival, heard.rival_at, heard.rival_frames = who.process, now, None
        waited_s = now - heard.rival_at
        if heard.rival_frames is None:
            if waited_s >= self.patience_s / 2:
                heard.rival_frames = frames
        elif frames > heard.rival_frames:
            heard.banned = (heard.last.process, who.process)
            raise Refused(f"two processes have the uid {who.uid:016x}", Refusal.DOUBLED)
        elif waited_s >= 2 * self.patience_s:
            return
        raise Refused(f"another process with the uid {who.uid:016x} is connected", Refusal.LATER)

    def is_banned(self, sender: int) -> bool:
        """Whether the process that spoke last for the member `sender` may not speak any more."""
        heard = self._heard.get(sender)
        return heard is not None and heard.last.process in heard.banned

    def uid_of(self, number: int) -> int | None:
        """The uid of the member `number`, as it said itself; None when it was not heard of."""
        if number == self._number:
            return self.myself.uid
        heard = self._heard.get(number)
        return None if heard is None else heard.last.uid

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        """From now on only folders in these lists are taken, and guests.

        Who was a member until now, and is there, stays as a guest, so that it can be told.
        """
        before = set(self.roster.others)
        self.myself.membership = membership
        self.myself.unfounded = False
        self.roster.know(membership, previous)
        for number, _ in self.guests.items():
            if self.roster.has(number):
                self.guests.forget(number)
        for number in before.difference(self.roster.others):
            heard = self._heard.get(number)
            if heard is None or not _can_be_told(heard.last) or not self.guests.has_room:
                self._heard.pop(number, None)
            else:
                self.guests.admit(number, heard.last)

    def forget_guests(self, connected: Iterable[int]) -> bool:
        """Forget the guests that are gone, which none of those `connected` is; whether there were any."""
        for number in connected:
            self.guests.hear(number)
        gone = self.guests.gone()
        for number in gone:
            self._heard.pop(number, None)
            self._versions.pop(number, None)
        return bool(gone)

    def heard_of(self, sender: int) -> tuple[int, int]:
        """The highest number of a write that was heard of the folder of `sender`, and the process that spoke
        last for it; zeros when there is none."""
        heard = self._heard.get(sender)
        return (0, 0) if heard is None else (heard.written, heard.last.process)

    def on_written(self, sender: int, written: int) -> None:
        """The member `sender` says how far its folder is."""
        heard = self._heard.get(sender)
        if heard is not None:
            heard.written = max(heard.written, written)

    # -- what others answer

    def on_accepted(self, peer: int, by: Introduction | None, heard_written: int) -> None:
        """The replica `peer` takes this process for what it says.  Raises Refused when `peer` is not the one
        that belongs to its number, or is too old."""
        self._check_version(peer, by)
        if by is None:
            return
        if heard_written > self.myself.written():
            self._wrong(self._older(self._name_of(peer), heard_written))
        guest = self.guests.uid_of(peer)
        if guest is not None and guest != by.uid:
            raise Refused(_other_uid(peer, guest, by.uid))
        if self.myself.seed and self.myself.membership is None:
            self._check_uuid(by)
            self._uuid = by.uuid
        elif guest is not None:
            self._check_uuid(by)
        else:
            self._check_folder(peer, by)
        if by.uuid and by.uuid == self.myself.uuid:
            self._accepted_by_own = True

    def on_refused(self, peer: int, kind: int, by: Introduction | None, heard_written: int) -> None:
        """The member `peer` refuses this process."""
        uid = self.myself.uid
        teller = self._name_of(peer)
        if kind == Refusal.WIPED:
            self._wrong(
                f"replica {self._number} was here before under another uid, says {teller}: its data was"
                f" lost or replaced (the uid of this folder is {uid:016x}); {WHEN_LOST}"
            )
        elif kind == Refusal.DOUBLED:
            self._wrong(
                f"another process has the uid of this folder ({uid:016x}), says {teller}: one of the"
                " two folders is a copy"
            )
        elif kind == Refusal.OLDER:
            self._wrong(self._older(teller, heard_written))
        elif kind == Refusal.EMPTY:
            self._wrong(
                f"this folder is empty, and {teller} has data of this cluster: the data of replica"
                f" {self._number} was lost or replaced, or it has never run"
            )
        elif kind == Refusal.FOREIGN:
            self._on_foreign(peer, by)
        elif kind == Refusal.OUTDATED:
            self._outdated(
                f"the cluster is at a later version than {self.myself.version}, which this program knows,"
                f" says {teller}: upgrade replica {self._number}, and start it again"
            )
        elif kind == Refusal.USED:
            self._wrong(f"the number {self._number} is or was that of a member, says {teller}")

    def _on_foreign(self, peer: int, by: Introduction | None) -> None:
        """One of the two is wrong.  Who was taken by a member of its own cluster is not; else it is the one
        that most others refuse."""
        self._foreign.add(peer)
        n = self.roster.n
        if not self._accepted_by_own and len(self._foreign) >= max(1, min(n // 2 + 1, n - 1)):
            theirs = 0 if by is None else by.uuid
            self._wrong(
                f"replica {peer} is of another cluster that has the name {self._cluster!a} as well: its uuid"
                f" is {theirs:032x}, and that of this folder is {self.myself.uuid:032x}"
            )

    def _name_of(self, peer: int) -> str:
        """Who joins does not know whom it has asked."""
        return f"replica {peer}" if self.roster.has(peer) else "the member that was asked"

    def _older(self, teller: str, heard_written: int) -> str:
        return (
            f"this folder is older than what it has said: {teller} has heard of its write"
            f" {heard_written}, and it holds {self.myself.written()}: it is a copy, or was put back"
        )


def _can_be_told(who: Introduction) -> bool:
    """Whether it can be dialled, and understands lists of other members."""
    return who.wire >= WIRE_OF_CHANGES and bool(who.address)


def _used(number: int, is_member: bool, unused: int) -> str:
    state = "is a member" if is_member else "was a member before, or one with a higher number was"
    return (
        f"replica {number} {state}, and no number is used again: a new member has the number {unused} or more"
    )


def _other_uid(number: int, known: int | None, uid: int) -> str:
    if known is None:
        return f"replica {number} is in no list of members"
    return f"replica {number} was here before under another uid ({known:016x}, not {uid:016x})"
