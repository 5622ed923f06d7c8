"""What comes before the node: the store is opened, and the replica waits until it knows who its peers are.

A folder that holds data, or a list of members, lets the node start at once.  A new folder waits for the list
of the first members (`founding/founding.py`); until then the replica neither votes nor serves.  Afterwards
this part goes on telling the list to members that do not know it.

A replica that joins a cluster waits for nothing here, because its node makes it a member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import randbelow
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from epaxos.config.model import ConfigError
from epaxos.founding.founding import Folder, Founding, WrongFolderError
from epaxos.interfaces import Identity, WriteSet
from epaxos.protocol.values.control import Control, Founded
from epaxos.protocol.values.membership import FIRST_VERSION, UID_LIMIT, UUID_LIMIT, Member, Membership
from epaxos.service.opened_store import OpenedStore
from epaxos.transport.introductions import Hears, Introduction, Myself

__all__ = ["FirstStart", "Introduces"]

AGAIN_S = 0.5
"""Seconds after which members that do not know the list are told again."""
WAITING_LOGGED_S = 5.0
"""Seconds between two lines that say whom the replica waits for."""


class Introduces(Protocol):
    """What is needed of a transport, beside ITransport."""

    def introduce(self, myself: Myself, hears: Hears, patience_s: float) -> None:
        """Say from now on who this process is."""

    def open(self) -> Deferred[None]:
        """Listen and connect; only control messages are taken."""

    def send_control(self, replica: int, control: Control) -> bool:
        """Send a control message; False when it is dropped."""

    def know(self, membership: Membership) -> None:
        """Take only the members of this list."""


class FirstStart:
    """The first start of the replica that `identity` names, with its `store` and `transport`.

    `wrong(text)` is called when this replica has to stop, because its folder is not what the others know, and
    `outdated(text)` when its program is too old for the cluster.
    `patience_s`: a process that is silent for this time may be gone.  `found_at` says where others find this
    replica, and the first members.  `seed`: the address of a member whose cluster the replica joins, unless
    its folder knows the members.  `met(membership)` is told the list of members that the folder holds.
    """

    _log = Logger()

    def __init__(
        self,
        identity: Identity,
        store: OpenedStore,
        transport: Introduces,
        patience_s: float,
        clock: IReactorTime,
        wrong: Callable[[str], None],
        outdated: Callable[[str], None],
        draw: Callable[[int], int] = randbelow,
        *,
        found_at: Mapping[int, Member] | None = None,
        seed: str = "",
        met: Callable[[Membership], None] | None = None,
    ) -> None:
        self._identity = identity
        self._store = store
        self._transport = transport
        self._patience_s = patience_s
        self._clock = clock
        self._wrong = wrong
        self._outdated = outdated
        self._draw = draw
        self._found_at = found_at or {}
        self._seed = seed
        self._met = met
        self._joins = False
        self._founding: Founding | None = None
        self._myself: Myself | None = None
        self._may_start: Deferred[None] | None = None
        self._due: IDelayedCall | None = None
        self._logged_at: float | None = None
        self._stopped = False

    @property
    def joins(self) -> bool:
        """Whether the replica was never a member, and joins a cluster."""
        return self._joins

    # -- life

    def run(self) -> Deferred[None]:
        """Open the store, which blocks.  Fires when the node may start.

        Raises StoreError, ConfigError; fails as the transport's `open` does.
        """
        restored = self._store.open_early(self._identity)
        founded = restored.founded
        self._check_first(founded)
        joins = self._joins = bool(self._seed) and founded is None
        waits = restored.unfounded and not joins
        self._myself = Myself(
            restored.uid,
            1 + self._draw(UID_LIMIT - 1),
            lambda: self._store.written,
            founded,
            waits,
            self._address(founded),
            self._seed if joins else "",
        )
        if founded is not None:
            self._tell_known(founded)
        elif joins:
            self._log.info(
                "replica {id} joins the cluster of the member at {seed}, with the uid {uid:016x}",
                id=self._identity.replica,
                seed=self._seed,
                uid=restored.uid,
            )
        if founded is not None or waits:
            epoch = self._identity.epoch if founded is None else founded.epoch
            self._founding = Founding(
                self._identity.replica,
                restored.uid,
                epoch.members,
                founded,
                self._draw_uuid,
                self._found_at,
            )
        self._transport.introduce(self._myself, self, self._patience_s)
        if not waits:
            return succeed(None)
        may_start = self._may_start = Deferred()
        self._transport.open().addCallbacks(lambda _: self._go_on(), may_start.errback)
        return may_start

    def _check_first(self, founded: Membership | None) -> None:
        """Raise ConfigError unless the configuration has the sections of all members, as long as they are the
        first ones, in their first epoch."""
        if founded is None or founded.number or not self._found_at:
            return
        numbers = [member.number for member in founded.members]
        if sorted(self._found_at) != numbers:
            raise ConfigError(
                f"the members are {', '.join(map(str, numbers))}: the configuration needs the sections of"
                " these alone, until they are changed"
            )

    def _address(self, founded: Membership | None) -> str:
        """How others reach this replica: as a list says that counts, else as the configuration does."""
        number = self._identity.replica
        member = None if founded is None or not founded.next_number else founded.find(number)
        own = self._found_at.get(number, Member(number, 0))
        return own.peer_connect if member is None else member.peer_connect or own.peer_connect

    def _tell_known(self, founded: Membership) -> None:
        """Say what counts over the command line and the configuration."""
        if self._seed:
            self._log.info(
                "replica {id}: --join {seed} is of no effect, because its folder knows the members (epoch"
                " {number})",
                id=self._identity.replica,
                seed=self._seed,
                number=founded.number,
            )
        if self._met is not None:
            self._met(founded)

    def stop(self) -> None:
        """Do nothing more."""
        self._stopped = True
        self._may_start = None
        self._cancel()

    def _cancel(self) -> None:
        if self._due is not None and self._due.active():
            self._due.cancel()

    # -- Hears

    def on_met(self, number: int, who: Introduction | None) -> None:
        """See Hears."""
        if self._founding is None:
            return
        if who is None:
            folder = Folder.UNKNOWN
        elif who.uuid:
            folder = Folder.FOUNDED
        else:
            folder = Folder.UNFOUNDED if who.unfounded else Folder.OLDER
        try:
            version = FIRST_VERSION if who is None else who.version
            self._founding.on_met(number, 0 if who is None else who.uid, folder, version)
        except WrongFolderError as why:
            self.on_wrong(str(why))
        else:
            self._go_on()

    def on_lost(self, number: int) -> None:
        """See Hears."""
        if self._founding is not None:
            self._founding.on_lost(number)

    def on_control(self, sender: int, control: Control) -> None:
        """See Hears."""
        if isinstance(control, Founded) and self._founding is not None:
            try:
                self._founding.on_told(sender, control.membership)
            except WrongFolderError as why:
                self.on_wrong(str(why))
            else:
                self._go_on()

    def on_wrong(self, text: str) -> None:
        """See Hears."""
        if not self._stopped:
            self.stop()
            self._wrong(text)

    def on_outdated(self, text: str) -> None:
        """See Hears."""
        if not self._stopped:
            self.stop()
            self._outdated(text)

    # -- steps

    def _draw_uuid(self) -> int:
        return 1 + self._draw(UUID_LIMIT - 1)

    def _go_on(self) -> None:
        """Write and tell what there is to write and tell now, and come again while somebody waits."""
        founding = self._founding
        if founding is None or self._stopped:
            return
        founded = founding.to_write()
        if founded is not None:  # which may be durable at once
            self._store.write(WriteSet(founded=founded, sync=True), self._on_durable)
        self._cancel()
        unaware = founding.to_tell()
        if founding.founded is not None:
            for number in unaware:
                self._transport.send_control(number, Founded(founding.founded))
        if not self._stopped and (unaware or founding.founded is None):
            self._log_waiting(founding)
            self._due = self._clock.callLater(AGAIN_S, self._go_on)

    def _on_durable(self) -> None:
        founding = self._founding
        if founding is None or self._stopped:
            return
        founding.on_durable()
        founded = founding.founded
        if founded is not None:
            self._on_founded(founded)

    def _on_founded(self, founded: Membership) -> None:
        """The list is durable: the node may start, and the others are told."""
        restored = self._store.restored
        if restored is not None:
            self._store.restored = restored._replace(founded=founded, unfounded=False)
        self._transport.know(founded)
        self._log.info(
            "first start: the cluster has the uuid {uuid:032x}, and the members {members}",
            uuid=founded.uuid,
            members=", ".join(f"{member.number} (uid {member.uid:016x})" for member in founded.members),
        )
        for member in founded.members:
            if member.number != self._identity.replica:
                self._transport.send_control(member.number, Founded(founded))
        may_start, self._may_start = self._may_start, None
        self._go_on()
        if may_start is not None:
            may_start.callback(None)

    def _log_waiting(self, founding: Founding) -> None:
        """Say whom this replica waits for, at once when that is known, and then every few seconds."""
        waits_for = founding.waits_for()
        now = self._clock.seconds()
        if self._logged_at is None:
            self._logged_at = now - WAITING_LOGGED_S + AGAIN_S  # a start that is quick says nothing
        if waits_for is not None and now - self._logged_at >= WAITING_LOGGED_S:
            self._logged_at = now
            self._log.info(
                "first start: replica {id} waits for {others}", id=self._identity.replica, others=waits_for
            )
