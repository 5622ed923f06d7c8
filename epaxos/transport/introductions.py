"""Who speaks: the folder and the process behind a greeting, and the kinds of refusals.

Pure: values, and how they are written down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from epaxos.protocol.values.control import TRANSFERS, Candidate, Control, EpochIs
from epaxos.protocol.values.ids import NUMBER_LIMIT
from epaxos.protocol.values.membership import (
    ADDRESS_BYTES_MAX,
    FIRST_VERSION,
    VERSION,
    Membership,
    is_writable,
)
from epaxos.protocol.values.transfer import StateOffer
from epaxos.wire import wire_pb2 as wire
from epaxos.wire.codec import WireError

__all__ = [
    "WIRE",
    "WIRE_OF_CHANGES",
    "WIRE_OF_STATES",
    "Accepted",
    "Hears",
    "Introduction",
    "Myself",
    "Refusal",
    "Refused",
    "form_of",
    "read_introduction",
    "write_introduction",
]

WIRE = 4
"""The newest form of what is sent.  Form 1, of versions that know of no epochs, has no control messages.  In
form 2 each frame is preceded by its epoch, and a control message of an unknown kind ends the connection.  In
form 3, which has the transfer of a state, a control message of an unknown kind is dropped.  Form 4 has lists
of other members than the first ones, and candidates."""
WIRE_OF_STATES = 3
"""The first form that has the transfer of a state."""
WIRE_OF_CHANGES = 4
"""The first form that has lists of other members."""

_UUID_BYTES = 16


def form_of(control: Control) -> int:
    """The first form that has this control message, with all that it says."""
    if isinstance(control, Candidate):
        return WIRE_OF_CHANGES
    if isinstance(control, (EpochIs, StateOffer)) and control.membership.next_number:
        return WIRE_OF_CHANGES
    return WIRE_OF_STATES if isinstance(control, TRANSFERS) else 2


class Refusal(IntEnum):
    """Why a greeting is refused, for the program that is refused.  The numbers stay as they are."""

    OTHER = 0
    """It is for people: another cluster, version or replica than the one that was looked for."""
    WIPED = 1
    """The member was here before under another uid, or the uid is in no list of members."""
    DOUBLED = 2
    """Two processes of one uid spoke at the same time."""
    FOREIGN = 3
    """The cluster has the same name and another uuid."""
    LATER = 4
    """Another process of this uid is connected, and may be gone: the dialler tries again."""
    OLDER = 5
    """The folder is older than what it has said."""
    EMPTY = 6
    """The folder is empty, and this cluster, which knows no uids yet, has data."""
    USED = 7
    """A replica that joins has a number that is or was that of a member."""
    OUTDATED = 8
    """The program is too old for the version of the cluster."""


class Refused(Exception):
    """The two sides do not belong together; the text says why.

    `kind` is a Refusal, or a number that a later version may say; `told` is what an answer says beside it.
    """

    def __init__(self, text: str, kind: int = Refusal.OTHER, told: Accepted | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.told = told


class Accepted(NamedTuple):
    """What an answer says beside yes or no: who answers, None for a version that does not say; the highest
    number of a write that was heard of the folder of the dialler, and the process that said so last; and the
    `number` of who answers, for a dialler that does not know whom it has dialled."""

    by: Introduction | None
    heard_written: int = 0
    heard_process: int = 0
    number: int | None = None


class Introduction(NamedTuple):
    """What a process says of itself: the `uid` of its folder, the random number of the `process`, the uuid of
    its cluster (0: not known), the number of the newest durable write, and whether it waits for the first
    list of members.  `wire` is the newest form of what is sent that it takes.  `joins`: it was never a member
    and wants to become one.  `address` is the endpoint string by which others reach it; "" when it is not
    known.  `version` is the highest version of the meaning of commands that it can do.
    """

    uid: int
    process: int
    uuid: int = 0
    written: int = 0
    unfounded: bool = False
    wire: int = WIRE
    joins: bool = False
    address: str = ""
    version: int = VERSION


@dataclass
class Myself:
    """This process, as it introduces itself.

    `written` tells the number of the newest durable write; `membership` is the newest list of members that
    is known, and `unfounded` that the folder waits for the first one.  `address` is the endpoint string by
    which others reach it.  A replica that joins has the address of a member as its `seed`.  `version` is
    the highest version of the meaning of commands that this program can do.
    """

    uid: int
    process: int
    written: Callable[[], int]
    membership: Membership | None = None
    unfounded: bool = False
    address: str = ""
    seed: str = ""
    version: int = VERSION

    @property
    def uuid(self) -> int:
        """The uuid of the cluster; 0 when it is not known."""
        return 0 if self.membership is None else self.membership.uuid

    def introduction(self) -> Introduction:
        """What is said now."""
        return Introduction(
            self.uid,
            self.process,
            self.uuid,
            self.written(),
            self.unfounded,
            joins=bool(self.seed),
            address=self.address,
            version=self.version,
        )


class Hears(Protocol):
    """Who hears of the others, before and beside the node."""

    def on_met(self, number: int, who: Introduction | None) -> None:
        """There is a connection with this member; it may be called again.  None: its version does not say who
        it is."""

    def on_lost(self, number: int) -> None:
        """There is no connection with this member any more."""

    def on_control(self, sender: int, control: Control) -> None:
        """A control message has come."""

    def on_wrong(self, text: str) -> None:
        """This replica has to stop, because of its data; `text` is one line for the operator."""

    def on_outdated(self, text: str) -> None:
        """This replica has to stop, because its program is too old for the cluster."""


def write_introduction(who: Introduction, to: wire.Introduction) -> None:
    """Write `who` into the message `to`."""
    to.uid, to.process, uuid, to.written, to.unfounded, to.wire, to.joins, to.address, to.version = who
    to.uuid = uuid.to_bytes(_UUID_BYTES, "big") if uuid else b""


def read_introduction(message: wire.Hello | wire.Answer) -> Introduction | None:
    """Who speaks; None for a version that does not say.  Raises WireError."""
    if not message.HasField("introduction"):
        return None
    who = message.introduction
    if not (who.uid and who.process) or len(who.uuid) not in (0, _UUID_BYTES) or who.written >= NUMBER_LIMIT:
        raise WireError("an impossible introduction")
    if not is_writable(who.address, ADDRESS_BYTES_MAX):
        raise WireError(f"an address of {len(who.address)} characters, or one that is not printable")
    return Introduction(
        who.uid,
        who.process,
        int.from_bytes(who.uuid, "big"),
        who.written,
        who.unfounded,
        max(1, min(who.wire, WIRE)),
        who.joins,
        who.address,
        max(FIRST_VERSION, who.version),
    )
