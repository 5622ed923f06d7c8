"""What the connections with another replica say of it, on a fake clock."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epaxos.transport.presence import Presence


class PresenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[bool] = []
        self.presence = Presence(self.clock, 0.1, self.told.append)

    def make_both(self, took_s: float = 0.001) -> None:
        self.presence.outgoing_made(took_s)
        self.presence.incoming(True)
        self.assertEqual(self.told, [True])
        self.told.clear()

    def test_nobody_was_there(self) -> None:
        """A replica that was never reached is not lost: it may not have been started yet."""
        for _ in range(3):
            self.presence.outgoing_failed()
            self.clock.advance(10)
        self.assertEqual(self.told, [])

    def test_killed(self) -> None:
        """Both connections end, in any order, and a new one is refused: told at once, and once."""
        for ends in (
            ("outgoing_lost", "incoming", "outgoing_failed"),
            ("incoming", "outgoing_lost", "outgoing_failed"),
            ("outgoing_lost", "outgoing_failed", "incoming"),
        ):
            self.setUp()
            self.make_both()
            for number, end in enumerate(ends):
                self.assertEqual(self.told, [], ends[:number])
                getattr(self.presence, end)(*([False] if end == "incoming" else []))
            self.assertEqual(self.told, [False])
            self.presence.outgoing_failed()
            self.clock.advance(10)
            self.assertEqual(self.told, [False])

    def test_nobody_refuses(self) -> None:
        """Something else holds the port, systemd for instance, and nobody answers there."""
        self.make_both()
        self.presence.outgoing_lost()
        self.presence.incoming(False)
        self.clock.advance(0.09)
        self.assertEqual(self.told, [])
        self.clock.advance(0.02)
        self.assertEqual(self.told, [False])

    def test_one_connection_is_enough(self) -> None:
        self.make_both()
        self.presence.outgoing_lost()
        self.presence.outgoing_failed()
        self.clock.advance(10)
        self.presence.outgoing_made(0.001)
        self.presence.incoming(False)
        self.clock.advance(10)
        self.assertEqual(self.told, [])

    def test_back_at_once(self) -> None:
        """Either side may be first; an earlier refusal does not count against a later connection."""
        self.presence.outgoing_failed()
        self.make_both()
        for _ in range(20):
            self.presence.incoming(False)
            self.presence.outgoing_lost()
            self.clock.advance(0.09)
            self.presence.outgoing_made(0.001)
            self.presence.outgoing_lost()
            self.clock.advance(0.09)
            self.presence.incoming(True)
            self.clock.advance(1)
        self.assertEqual(self.told, [])

    def test_back_after_it_was_lost(self) -> None:
        for back in ("outgoing_made", "incoming"):
            self.setUp()
            self.make_both()
            self.presence.outgoing_lost()
            self.presence.incoming(False)
            self.presence.outgoing_failed()
            getattr(self.presence, back)(True)
            self.assertEqual(self.told, [False, True])

    def test_far_sites_get_two_more_round_trips(self) -> None:
        self.make_both(took_s=0.4)
        self.presence.outgoing_lost()
        self.presence.incoming(False)
        self.clock.advance(0.79)
        self.assertEqual(self.told, [])
        self.clock.advance(0.02)
        self.assertEqual(self.told, [False])

    def test_the_end(self) -> None:
        """What the own end closes says nothing of the others."""
        self.make_both()
        self.presence.outgoing_lost()
        self.presence.stop()
        self.presence.incoming(False)
        self.presence.outgoing_failed()
        self.assertEqual((self.told, self.clock.getDelayedCalls()), ([], []))
