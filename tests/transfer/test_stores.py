"""Two stores, who gives, who takes, and the bytes between them as they travel."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from epaxos.protocol.values.control import Control
from epaxos.protocol.values.transfer import Piece, PieceAsk, StateAsk, StateOffer
from epaxos.storage.leveldb.store import LevelDBStore
from epaxos.transfer import target as target_module
from epaxos.transfer.source import Source
from epaxos.transfer.target import Target
from epaxos.wire.control import decode_control, encode_control
from tests.storage.transfer import SOURCE, TransferCase, transfer_of

GIVER, TAKER = 0, 2


class StoresTests(TransferCase):
    def setUp(self) -> None:
        super().setUp()
        self.way: deque[tuple[int, bytes]] = deque()
        self.told: list[str] = []
        self.patch(target_module, "GROWTH_BYTES", 100)

    def connect(self, given: LevelDBStore, taken: LevelDBStore) -> None:
        """Begin a transfer between these stores."""
        self.source = Source(transfer_of(given), self.post, lambda replica: 0)
        self.target = Target(
            transfer_of(taken),
            self.post,
            lambda: 0.0,
            1.0,
            700,
            self.install_it,
            lambda offer: True,
            self.told.append,
        )
        self.installing: StateOffer | None = None
        self.refusals: list[str] = []
        self.target.begin(0, [(GIVER, SOURCE)])

    def post(self, to: int, control: Control) -> bool:
        self.way.append((to, encode_control(control)))
        return True

    def install_it(self, offer: StateOffer) -> None:
        self.installing = offer
        transfer_of(self.taken).install(offer, self.refusals.append)

    def step(self) -> bool:
        """Let a message arrive, or what a thread has done.  Returns whether the state is installed."""
        if self.way:
            to, data = self.way.popleft()
            control = decode_control(data)
            if isinstance(control, StateAsk):
                self.source.on_state_ask(TAKER, control)
            elif isinstance(control, PieceAsk):
                self.source.on_piece_ask(TAKER, control)
            elif isinstance(control, StateOffer):
                self.target.on_offer(GIVER, control)
            elif isinstance(control, Piece):
                self.target.on_piece(GIVER, control)
            else:
                raise AssertionError(f"{control} to {to}")
        elif not self.refusals:
            heard: list[Any] = []
            self.loop.call_from_thread(heard.append, None)
            self.loop.run_until(lambda: heard)
        return bool(self.refusals)

    def test_a_state_that_grows_meanwhile(self) -> None:
        for seed in range(3):
            random = Random(seed)
            self.setUp()
            given = self.new_source()
            self.grow(given, random, 30)
            self.fill_target()
            self.taken = self.open_target()
            self.connect(given, self.taken)
            states = {}
            steps = 0
            while not self.step():
                steps += 1
                states[self.executed, 7, 0] = dict(self.history.state)
                if steps % 40 == 0 and steps < 1_000:
                    self.grow(given, random)
            self.assertEqual(self.refusals, [""])
            self.close_store(self.taken)
            assert self.installing is not None
            self.check_installed(self.installing)
            states[self.executed, 7, 0] = dict(self.history.state)
            self.assertEqual(self.restored()["state"], states[self.installing.executed])
            self.close_store(given)

    def test_a_new_process_goes_on(self) -> None:
        """With what the store had made durable when it was closed."""
        random = Random(9)
        given = self.new_source()
        self.grow(given, random, 40)
        self.fill_target()
        self.taken = self.open_target()
        self.connect(given, self.taken)
        while self.target.bytes_taken < 3_000:
            self.step()
        self.close_store(self.taken)
        self.way.clear()
        self.taken = self.open_target()
        self.connect(given, self.taken)
        while not self.step():
            pass
        assert self.installing is not None
        self.assertEqual(self.refusals, [""])
        self.assertLess(self.target.bytes_taken, self.installing.bytes - 2_000)
        self.close_store(self.taken)
        self.check_installed(self.installing)
        self.assertEqual(self.restored()["state"], self.history.state)
        self.close_store(given)

    def test_given_up_while_the_store_is_busy(self) -> None:
        """The next transfer does not wait for what the store was doing."""
        given = self.new_source()
        self.grow(given, Random(2), 20)
        self.taken = self.open_target()
        self.connect(given, self.taken)
        while not self.target.bytes_taken:
            self.step()
        self.target.give_up()
        self.way.clear()
        self.target.begin(0, [(GIVER, SOURCE)])
        while not self.step():
            pass
        self.assertEqual(self.refusals, [""])
        self.close_store(self.taken)
        self.assertEqual(self.restored()["state"], self.history.state)
        self.close_store(given)
