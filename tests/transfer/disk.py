"""Two ends of a transfer without a disk: a state that grows, and a place where one is taken."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from random import Random

from zope.interface import implementer

from epaxos.interfaces import IStateTransfer
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.membership import VERSION, Member, Membership
from epaxos.protocol.values.transfer import PieceAsk, StateOffer, StatePart
from epaxos.storage.state.pieces import frame, read_pieces

Name = tuple[int, bool]

FIRST = Membership(77, 0, VERSION, (Member(0, 10), Member(1, 11), Member(2, 12)))


def membership(number: int) -> Membership:
    return FIRST._replace(number=number)


@implementer(IStateTransfer)
class Disk:
    """The files of a state that is given, and those of one that is taken.

    `later(call)` calls a little later: so this disk says that it has taken something.
    """

    def __init__(self, random: Random, later: Callable[[Callable[[], None]], None], epoch: int = 1) -> None:
        self.random = random
        self.later = later
        self.epoch = epoch
        self.executed = 0
        self.files: dict[Name, bytearray] = {(1, True): bytearray(), (1, False): bytearray()}
        self.crcs: dict[Name, int] = dict.fromkeys(self.files, 0)
        self.lost: set[Name] = set()
        self.source: int | None = None
        self.taken: dict[Name, bytearray] = {}
        self.good: dict[Name, tuple[int, int]] = {}
        self.begun: list[int] = []
        self.given_up = 0
        self.free = 1 << 40
        self.is_busy = False
        self.attempt = 0

    # -- giving

    def grow(self, name: Name, *sizes: int) -> None:
        """Append frames with payloads of these sizes."""
        for size in sizes:
            payload = self.random.randbytes(size)
            header, self.crcs[name] = frame(payload, self.crcs[name])
            self.files[name] += header + payload
        self.executed += 1

    def rebase(self, generation: int, *sizes: int) -> None:
        """A new base and a new log take the place of all files, which are gone."""
        self.files = {(generation, True): bytearray(), (generation, False): bytearray()}
        self.crcs = dict.fromkeys(self.files, 0)
        self.grow((generation, True), *sizes)

    def offer(self) -> StateOffer | None:
        if not self.epoch:
            return None
        parts = [StatePart(*name, len(data), self.crcs[name]) for name, data in self.files.items()]
        return StateOffer(
            membership(self.epoch),
            InstanceId(0, 5),
            membership(self.epoch - 1),
            (self.executed, 0, 0),
            (),
            tuple(parts),
        )

    def read(self, ask: PieceAsk) -> bytes:
        name = (ask.generation, ask.is_base)
        if name in self.lost or name not in self.files:
            return b""
        return bytes(self.files[name][ask.offset : ask.offset + ask.size])

    # -- taking

    def begin(self, source: int) -> tuple[StatePart, ...]:
        self._void()
        self.begun.append(source)
        if source != self.source:
            self._delete()
        self.source = source
        for name, data in self.taken.items():
            del data[self.good[name][0] :]
        return tuple(StatePart(*name, *self.good[name]) for name in self.taken)

    def _void(self) -> None:
        """Nothing is said any more of a piece that is being taken."""
        self.attempt += 1
        self.is_busy = False

    def _delete(self) -> None:
        self._void()
        self.taken, self.good = {}, {}

    def room(self) -> int:
        return self.free

    def take(
        self, generation: int, is_base: bool, offset: int, data: bytes, done: Callable[[bool], None]
    ) -> None:
        assert not self.is_busy, "one at a time"
        assert data
        self.is_busy = True
        attempt = self.attempt
        self.later(lambda: self._take(attempt, (generation, is_base), offset, data, done))

    def _take(self, attempt: int, name: Name, offset: int, data: bytes, done: Callable[[bool], None]) -> None:
        if attempt != self.attempt:
            return
        self.is_busy = False
        file = self.taken.setdefault(name, bytearray())
        assert offset == len(file), "not in order"
        file += data
        is_good = self._check(name, file)
        if not is_good:
            del file[self.good[name][0] :]
        done(is_good)

    def _check(self, name: Name, data: bytearray) -> bool:
        """Whether these are good frames, and the beginning of one."""
        end, crc = self.good.get(name, (0, 0))
        is_good = True
        while is_good and len(data) - end >= 8:
            size = int.from_bytes(data[end : end + 4], "little")
            if len(data) - end < 8 + size:
                is_good = size < 100_000
                break
            header, found = frame(bytes(data[end + 8 : end + 8 + size]), crc)
            is_good = header == data[end : end + 8]
            if is_good:
                end, crc = end + 8 + size, found
        self.good[name] = end, crc
        return is_good

    def install(self, offer: StateOffer, done: Callable[[str], None]) -> None:
        for part in offer.parts:
            data = self.taken.get(part[:2], b"")
            if len(data) != part.length:
                done(f"file {part[:2]} has {len(data)} of {part.length} bytes")
                return
            try:
                list(read_pieces(BytesIO(bytes(data)), part.length, part.crc))
            except ValueError as error:
                done(str(error))
                return
        done("")

    def give_up(self) -> None:
        self.given_up += 1
        self.source = None
        self._delete()
