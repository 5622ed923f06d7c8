"""One replica that takes a state, others that may give it, and a network between them that is not kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from random import Random

from epaxos.protocol.values.control import Control
from epaxos.protocol.values.transfer import Piece, PieceAsk, StateAsk, StateOffer
from epaxos.transfer.source import Source
from epaxos.transfer.target import Target
from tests.transfer.disk import FIRST, Disk

__all__ = ["AGAIN_S", "TARGET", "Lab", "Weather"]

AGAIN_S = 0.5
TARGET = 0


@dataclass(frozen=True)
class Weather:
    """How often a message is lost, comes twice, is late, or a piece is changed on its way."""

    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    changed: float = 0.0


class Lab:
    """Replica 0 takes; 1 and 2 give, while they are in `alive`."""

    def __init__(self, seed: int = 1, weather: Weather | None = None, piece_bytes: int = 300) -> None:
        self.piece_bytes = piece_bytes
        self.now = 0.0
        self.random = Random(seed)
        self.weather = weather or Weather()
        self.calls: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.alive = {1, 2}
        self.disks = {number: self.disk(3) for number in (1, 2)}
        self.sources = {
            number: Source(disk, partial(self.post, number), self.backlog)
            for number, disk in self.disks.items()
        }
        self.own = self.disk(0)
        self.installed: list[StateOffer] = []
        self.refused: list[str] = []
        self.told: list[str] = []
        self.sent: list[tuple[int, Control]] = []
        self.named_from = 0
        self.target = self.new_target()

    def disk(self, epoch: int) -> Disk:
        return Disk(self.random, lambda call: self.later(0.002, call), epoch)

    def backlog(self, replica: int) -> int:
        return 0

    def new_target(self) -> Target:
        """The one of a new process, on what has been taken before."""
        tell = self.told.append
        return Target(
            self.own,
            self.send,
            lambda: self.now,
            AGAIN_S,
            self.piece_bytes,
            self.install,
            self.is_for_us,
            tell,
        )

    def is_for_us(self, offer: StateOffer) -> bool:
        return offer.membership.number >= self.named_from

    def install(self, offer: StateOffer) -> None:
        self.own.install(offer, partial(self.on_installed, offer))

    def on_installed(self, offer: StateOffer, why: str) -> None:
        if why:
            self.refused.append(why)
            self.target.give_up()
            self.target = self.new_target()
            self.begin()
        else:
            self.installed.append(offer)

    def begin(self, beyond: int = 1) -> None:
        self.target.begin(beyond, [(1, 11), (2, 12)], FIRST.uuid)

    # -- the network

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.count += 1
        heappush(self.calls, (self.now + delay_s, self.count, call))

    def send(self, to: int, control: Control) -> bool:
        """The target sends."""
        self.sent.append((to, control))
        return self.post(TARGET, to, control)

    def post(self, sender: int, to: int, control: Control) -> bool:
        weather, random = self.weather, self.random
        if random.random() < weather.lost:
            return True
        for _ in range(1 + (random.random() < weather.doubled)):
            delay_s = random.uniform(0.05, 0.7) if random.random() < weather.late else 0.001
            self.later(delay_s, lambda: self.arrive(sender, to, self.change(control)))
        return True

    def change(self, control: Control) -> Control:
        if isinstance(control, Piece) and control.data and self.random.random() < self.weather.changed:
            data = bytearray(control.data)
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            return control._replace(data=bytes(data))
        return control

    def arrive(self, sender: int, to: int, control: Control) -> None:
        if to == TARGET:
            if isinstance(control, StateOffer):
                self.target.on_offer(sender, control)
            elif isinstance(control, Piece):
                self.target.on_piece(sender, control)
        elif to in self.alive:
            if isinstance(control, StateAsk):
                self.sources[to].on_state_ask(sender, control)
            elif isinstance(control, PieceAsk):
                self.sources[to].on_piece_ask(sender, control)

    # -- time

    def run(self, until: Callable[[], bool], steps: int = 100_000) -> None:
        """Let time pass until this is so.  Raises AssertionError when it never is."""
        for _ in range(steps):
            if until():
                return
            self.step()
        raise AssertionError(f"never, after {self.now:.1f} s: {self.target.progress}, {self.told[-9:]}")

    def run_for(self, seconds: float) -> None:
        end = self.now + seconds
        self.later(seconds, lambda: None)
        self.run(lambda: self.now >= end)

    def step(self) -> None:
        """The next thing that is due."""
        due = self.target.due
        if self.calls and self.calls[0][0] <= due:
            self.now, _, call = heappop(self.calls)
            call()
        else:
            assert due < float("inf"), f"nothing will ever happen: {self.target.progress}, {self.told}"
            self.now = max(self.now, due)
            self.target.on_time()

    def judge(self, giver: int) -> StateOffer:
        """What was installed is, byte for byte, what `giver` had offered."""
        (offer,) = self.installed
        for part in offer.parts:
            files = self.disks[giver].files
            if part[:2] in files:  # no new base has taken its place
                assert self.own.taken.get(part[:2], b"") == files[part[:2]][: part.length]
        return offer
