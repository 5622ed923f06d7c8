"""What all clients together make a replica hold."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.holding import Holdings, Share


class HoldingTests(SynchronousTestCase):
    def test_a_value_counts_once(self) -> None:
        holdings = Holdings()
        first, second = bytes(1000), bytes(500)
        shares = [
            Share(10, {id(first): first}),
            Share(20, {id(first): first, id(second): second}),
            Share(30),
        ]
        self.assertEqual([share.total_bytes for share in shares], [1010, 1520, 30])
        totals = []
        for share in shares:
            holdings.add(share)
            totals.append(holdings.total_bytes)
        for share in shares:
            holdings.release(share)
            totals.append(holdings.total_bytes)
        self.assertEqual(totals, [1010, 1530, 1560, 1550, 30, 0])
