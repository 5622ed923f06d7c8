"""Who gives: an answer to each question that is of use, unless too much waits already."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import IStateTransfer
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.transfer import Piece, PieceAsk, StateAsk
from epaxos.transfer.source import BACKLOG_BYTES_MAX, Source
from tests.transfer.disk import Disk

LOG = (1, False)


class SourceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sent: list[tuple[int, Control]] = []
        self.backlog = 0
        self.is_sent = True
        self.disk = Disk(Random(1), lambda call: call(), epoch=3)
        self.disk.grow(LOG, 100, 100)
        self.source = Source(self.disk, self.send, lambda replica: self.backlog, piece_bytes=64)

    def send(self, replica: int, control: Control) -> bool:
        self.sent.append((replica, control))
        return self.is_sent

    def test_interface(self) -> None:
        verifyObject(IStateTransfer, self.disk)

    def test_an_offer_is_made_where_it_is_of_use(self) -> None:
        for beyond, answers in ((0, 1), (2, 1), (3, 0), (9, 0)):
            self.sent.clear()
            self.source.on_state_ask(2, StateAsk(beyond))
            self.assertEqual(len(self.sent), answers, beyond)
        self.source.on_state_ask(2, StateAsk(2))
        self.assertEqual(self.sent, [(2, self.disk.offer())])

    def test_epoch_zero_is_not_given(self) -> None:
        self.disk.epoch = 0
        self.source.on_state_ask(2, StateAsk(0))
        self.assertEqual(self.sent, [])

    def test_pieces(self) -> None:
        whole = bytes(self.disk.files[LOG])
        self.source.on_piece_ask(1, PieceAsk(1, False, 200, 50))
        self.source.on_piece_ask(1, PieceAsk(1, False, 10, 50))
        self.source.on_piece_ask(1, PieceAsk(1, False, 0, 65_536))
        self.assertEqual(
            self.sent,
            [
                (1, Piece(1, False, 200, whole[200:])),
                (1, Piece(1, False, 10, whole[10:60])),
                (1, Piece(1, False, 0, whole[:64])),
            ],
        )
        self.assertEqual(self.source.bytes_given, 16 + 50 + 64)

    def test_what_is_gone(self) -> None:
        self.source.on_piece_ask(1, PieceAsk(9, True, 0, 50))
        self.assertEqual(self.sent, [(1, Piece(9, True, 0, b""))])

    def test_what_is_not_sent_is_not_given(self) -> None:
        self.is_sent = False
        self.source.on_piece_ask(1, PieceAsk(1, False, 0, 50))
        self.assertEqual(self.source.bytes_given, 0)

    def test_the_messages_of_the_protocol_go_first(self) -> None:
        for backlog, answers in ((BACKLOG_BYTES_MAX, 2), (BACKLOG_BYTES_MAX + 1, 0)):
            self.sent.clear()
            self.backlog = backlog
            self.source.on_state_ask(2, StateAsk(0))
            self.source.on_piece_ask(2, PieceAsk(1, False, 0, 50))
            self.assertEqual(len(self.sent), answers)
