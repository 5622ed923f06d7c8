"""The taking side: it asks one source after the other until it holds a whole state, which is then installed.

It asks, and asks again what was not answered; it never waits for anything that does not come by itself.  What
it holds is bounded by the window; what has been taken lies on the disk (docs: protocol/transfer).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import NamedTuple

from epaxos.interfaces import IStateTransfer
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.transfer import Piece, StateAsk, StateOffer
from epaxos.transfer.window import FileName, Window

__all__ = ["Progress", "Target"]

ASKS_MAX = 3
"""Times that a source is asked in vain until the next one is asked."""
PATIENCE_MAX = 48
"""The same for a source that has given something, at the most: it doubles whenever such a source is left,
because with the next one the transfer begins anew, and where many messages are lost it would never end."""
LEFT_WAIT_MAX_S = 8.0
"""Seconds, at most, until the next source is asked when all of them have given what is of no use: at first
it is a second or so, then twice as long each time."""
WAITS_FOR_ROOM_S = 5.0
"""Seconds until a source is asked again when the disk has no room for its state."""
GROWTH_BYTES = 1_000_000
"""Bytes that the state of the source may have grown by since the offer that is installed."""
NAMED_EVERY_S = 1.0
"""Seconds between two looks at the source, once all of its state was taken and it cannot be installed yet."""
ROUNDS_MAX = 10
"""Offers of one source that are taken until the last one is installed, however much its state has grown."""


class Progress(NamedTuple):
    """How far a transfer is: the number of the source, the epoch of its state, and how many bytes of the
    state have been taken.  Before there is an offer there are no bytes, and the epoch is the first that is
    of use."""

    source: int
    epoch: int
    taken: int
    bytes: int


class _Phase(Enum):
    IDLE = "nothing is to be taken"
    ASKING = "the source was asked which state it can give"
    PULLING = "pieces are asked for and taken"
    INSTALLING = "a state was handed over to be installed"


class Target:
    """Takes a state from another replica into `transfer`.

    `send(replica, control)` sends.  Pieces of at most `piece_bytes` are asked for; what is not answered
    within `again_s` on the clock `now` is asked again.  `install(offer)` is called once all of the offer has
    been taken; from then on nothing is done until `give_up`.  An offer of which `is_for_us` is not true is
    taken, too, but never installed: the source is asked again and again for a later one.  `tell(text)` gets
    lines for the log, a few for each source, and `warn(text)` those that an operator should look at.

    All methods raise StoreError when the disk fails.
    """

    def __init__(
        self,
        transfer: IStateTransfer,
        send: Callable[[int, Control], bool],
        now: Callable[[], float],
        again_s: float,
        piece_bytes: int,
        install: Callable[[StateOffer], None],
        is_for_us: Callable[[StateOffer], bool],
        tell: Callable[[str], None] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.due = math.inf
        """When `on_time` has to be called next, on the clock `now`."""
        self.bytes_taken = 0
        self._transfer = transfer
        self._send = send
        self._now = now
        self._again_s = again_s
        self._install = install
        self._is_for_us = is_for_us
        self._tell = tell or _nothing
        self._warn = warn or self._tell
        self._phase = _Phase.IDLE
        self._beyond = 0
        self._uuid = 0
        self._sources: tuple[tuple[int, int], ...] = ()
        self._source = (0, 0)
        self._asked_at: float | None = None  # the state, in phase ASKING
        self._in_vain = 0
        self._patience = ASKS_MAX
        self._window = Window(piece_bytes)
        self._taken: dict[FileName, int] = {}
        self._is_taking = False  # the store has a piece that it has not taken yet
        self._attempt = 0  # of the source; what comes back of an earlier one counts for nothing
        self._early: tuple[int, StateOffer] | None = None  # an offer that came while _is_taking
        self._offer: StateOffer | None = None
        self._is_whole = False  # all of _offer has been taken
        self._rounds = 0
        self._left = 0  # sources that were left because of what they gave
        self._bad: tuple[FileName, int] | None = None  # where the last piece that was not taken belongs

    # -- what is to be taken

    @property
    def is_active(self) -> bool:
        """Whether a state is being taken or installed."""
        return self._phase is not _Phase.IDLE

    @property
    def progress(self) -> Progress | None:
        """How far it is; None when nothing is to be taken."""
        if self._phase is _Phase.IDLE:
            return None
        offer = self._offer
        if offer is None:
            return Progress(self._source[0], self._beyond + 1, 0, 0)
        taken = offer.bytes - self._missing(offer)
        return Progress(self._source[0], offer.membership.number, taken, offer.bytes)

    @property
    def behind(self) -> int | None:
        """The bytes of the offer that have not been taken; None while there is no offer."""
        return None if self._offer is None else self._missing(self._offer)

    def _missing(self, offer: StateOffer) -> int:
        """The bytes of `offer` that have not been taken."""
        return sum(max(0, part.length - self._taken.get(part[:2], 0)) for part in offer.parts)

    def begin(self, beyond: int, sources: Sequence[tuple[int, int]], uuid: int = 0) -> None:
        """Take a state of a later epoch than `beyond`, which is this replica's own.

        `sources`: the numbers and the uids of the replicas that may give it, the preferred one first; with
        an empty list nothing happens.  `uuid`: that of the cluster, if it is known.  While a state is being
        taken this only brings the list up to date: the present source stays while it answers, unless its
        number has another uid now, or what it gives is of no use any more.
        """
        if not sources:
            return
        self._beyond, self._uuid, self._sources = beyond, uuid, tuple(sources)
        uid = dict(sources).get(self._source[0], self._source[1])
        if self._phase is _Phase.IDLE:
            self._patience = ASKS_MAX
            self._turn_to(self._sources[0])
        elif self._phase is not _Phase.INSTALLING and (uid != self._source[1] or not self._is_of_use()):
            self._turn_to((self._source[0], uid))

    def _is_of_use(self) -> bool:
        return self._offer is None or self._offer.membership.number > self._beyond

    def give_up(self) -> None:
        """Take nothing any more, and delete what has been taken.  `begin` begins anew."""
        if self._phase is not _Phase.IDLE:
            self._phase = _Phase.IDLE
            self._attempt += 1
            self.due = math.inf
            self._forget()
            self._transfer.give_up()

    def _turn_to(self, source: tuple[int, int], wait_s: float = 0.0) -> None:
        """Ask this source from now on.  What was taken of another one stays until this one has answered."""
        self._source = source
        self._attempt += 1
        self._forget()
        self._ask(wait_s)

    def _forget(self) -> None:
        self._offer = None
        self._is_whole = self._is_taking = False
        self._early = None
        self._in_vain = self._rounds = 0
        self._bad = None
        self._taken = {}
        self._window.begin((), {})

    def _leave_source(self, why: str) -> None:
        """What the source gives is of no use: ask the next one, after a while when all are alike."""
        rounds = self._left // max(1, len(self._sources))
        self._left += 1
        self._next_source(why, min(LEFT_WAIT_MAX_S, self._again_s * 2**rounds))

    def _next_source(self, why: str, wait_s: float = 0.0) -> None:
        if self._taken:
            self._patience = min(2 * self._patience, PATIENCE_MAX)
        if self._offer is not None:
            self._warn(f"replica {self._source[0]} {why}: the next one is asked for its state")
        index = self._sources.index(self._source) if self._source in self._sources else -1
        self._turn_to(self._sources[(index + 1) % len(self._sources)], wait_s)

    # -- offers

    def _ask(self, wait_s: float = 0.0) -> None:
        """Ask the source for an offer, now or after `wait_s`."""
        self._phase = _Phase.ASKING
        if wait_s:
            self._asked_at = None
            self.due = self._now() + wait_s
        else:
            self._asked_at = self._now()
            self.due = self._asked_at + self._again_s
            self._send(self._source[0], StateAsk(self._beyond))

    def on_offer(self, sender: int, offer: StateOffer) -> None:
        """A source offers its state.

        It is ignored when the source was not asked, when the offer is of no use here, or older than what came
        before.  It waits while the store is busy with a piece.
        """
        if self._phase is not _Phase.ASKING or sender != self._source[0]:
            return
        if self._is_taking:
            self._early = (sender, offer)
            return
        if offer.membership.number <= self._beyond or (self._uuid and offer.membership.uuid != self._uuid):
            return
        known = self._offer
        if known is None:
            self._begin_anew()
        elif _is_older(offer, known):
            return
        elif self._is_whole and self._is_for_us(known) and self._is_near(offer, known):
            self._finish(known)
            return
        if any(part.length < self._taken.get(part[:2], 0) for part in offer.parts):
            self._transfer.give_up()  # the source does not have any more what it has given
            self._begin_anew()
        missing, room = self._missing(offer), self._transfer.room()
        if missing > room:
            needs, has = f"{missing / 1e6:.1f} MB", f"{room / 1e6:.1f} MB"
            self._warn(f"waits: the state takes {needs} more, and the disk has room for {has}")
            self._ask(WAITS_FOR_ROOM_S)
            return
        if known is None:
            self._tell(
                f"takes the state of epoch {offer.membership.number} from replica {sender}:"
                f" {offer.bytes / 1e6:.1f} MB"
            )
        self._offer = offer
        self._is_whole = False
        self._phase = _Phase.PULLING
        self._window.begin(offer.parts, self._taken)
        self._go_on()

    def _begin_anew(self) -> None:
        """Begin with what the store has of this source."""
        self._taken = {part[:2]: part.length for part in self._transfer.begin(self._source[1])}

    def _is_near(self, offer: StateOffer, whole: StateOffer) -> bool:
        """Whether `whole`, which has been taken, will do although there is `offer`."""
        is_same_epoch = offer.membership.number == whole.membership.number
        return is_same_epoch and self._missing(offer) <= GROWTH_BYTES

    def _finish(self, offer: StateOffer) -> None:
        self._phase = _Phase.INSTALLING
        self.due = math.inf
        self._install(offer)

    # -- pieces

    def on_piece(self, sender: int, piece: Piece) -> None:
        """A piece has come.  What was not asked for is ignored."""
        if self._phase is not _Phase.PULLING or sender != self._source[0] or not self._window.wants(piece):
            return
        if piece.data:
            self._in_vain = 0
            self._window.put(piece)
            self._go_on()
            return
        self._in_vain += 1  # a new base has taken the place of this file, or the source cannot read it
        if self._in_vain < ASKS_MAX:
            self._ask()
        else:
            self._leave_source("keeps its files not long enough, or cannot read them")

    def _go_on(self) -> None:
        """Hand the next piece to the store, one at a time, and ask for more."""
        if not self._is_taking and (wanted := self._window.pop()) is not None and wanted.data:
            end = wanted.offset + len(wanted.data)
            self._is_taking = True
            done = partial(self._on_taken, self._attempt, wanted.name, end)
            self._transfer.take(*wanted.name, wanted.offset, wanted.data, done)
        if self._phase is _Phase.PULLING:
            if self._window.is_done and not self._is_taking:
                self._on_whole()
                return
            now = self._now()
            for ask in self._window.asks(now):
                self._send(self._source[0], ask)
            self.due = self._window.oldest + self._again_s
        elif not self._is_taking:
            self._on_early()

    def _on_early(self) -> None:
        early, self._early = self._early, None
        if early is not None:
            self.on_offer(*early)

    def _on_taken(self, attempt: int, name: FileName, end: int, is_good: bool) -> None:
        """The store has taken the bytes of a file up to `end`, or they are not what the source wrote."""
        if attempt != self._attempt:
            return
        self._is_taking = False
        if is_good:
            self.bytes_taken += end - self._taken.get(name, 0)
            self._taken[name] = end
        else:
            self._begin_anew()
            place = (name, self._taken.get(name, 0))
            if place == self._bad:
                self._transfer.give_up()  # perhaps what is there is not what the source has before that place
                file = f"{name[0]}.{'base' if name[1] else 'log'}"
                self._leave_source(
                    f"gives bytes of its file {file} that were never written there, behind byte {place[1]}"
                    " (is its disk damaged?)"
                )
                return
            self._bad = place
            if self._offer is not None and self._phase is _Phase.PULLING:
                self._window.begin(self._offer.parts, self._taken)
        self._go_on()

    def _on_whole(self) -> None:
        """All of the offer has been taken.  See how far the source has come meanwhile."""
        offer = self._offer
        if offer is None:
            return
        self._is_whole = True
        self._rounds += 1
        if not self._is_for_us(offer):
            self._ask(NAMED_EVERY_S)
        elif self._rounds >= ROUNDS_MAX:
            self._finish(offer)
        else:
            self._ask()

    # -- time

    def on_time(self) -> None:
        """Ask again what was not answered; ask another source when one does not answer at all."""
        now = self._now()
        if now < self.due:
            return
        if self._phase is _Phase.ASKING and self._asked_at is None:
            self._ask()
        elif self._phase is _Phase.ASKING:
            self._in_vain_again("does not answer", ask_state=True)
        elif self._window.lose(now, self._again_s):
            self._in_vain_again("does not answer", ask_state=False)

    def _in_vain_again(self, why: str, ask_state: bool) -> None:
        """A question was in vain: ask again, or another source.  A state that is whole is installed, because
        nobody is needed for that."""
        self._in_vain += 1
        if self._in_vain < (self._patience if self._taken else ASKS_MAX):
            if ask_state:
                self._ask()
            else:
                self._go_on()
        elif self._is_whole and self._offer is not None and self._is_for_us(self._offer):
            self._finish(self._offer)
        else:
            self._next_source(why)


def _is_older(offer: StateOffer, known: StateOffer) -> bool:
    """Whether the source had made `offer` before it made `known`: messages may overtake each other."""
    epoch, known_epoch = offer.membership.number, known.membership.number
    if epoch != known_epoch:
        return epoch < known_epoch
    lengths = {part[:2]: part.length for part in known.parts}
    return any(mine < its for mine, its in zip(offer.executed, known.executed)) or any(
        part.length < lengths.get(part[:2], 0) for part in offer.parts
    )


def _nothing(text: str) -> None:
    """Do nothing, because nobody reads it."""
