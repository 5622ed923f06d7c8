"""Who may use a port."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from epaxos.net.door import Door, is_local


class DoorTests(SynchronousTestCase):
    def test_who_is_local(self) -> None:
        for address, expected in (
            (IPv4Address("TCP", "127.0.0.1", 1), True),
            (IPv4Address("TCP", "127.9.8.7", 1), True),
            (IPv4Address("TCP", "10.0.0.1", 1), False),
            (IPv4Address("TCP", "0.0.0.0", 1), False),
            (IPv6Address("TCP", "::1", 1), True),
            (IPv6Address("TCP", "::ffff:127.0.0.1", 1), True),
            (IPv6Address("TCP", "::ffff:10.0.0.1", 1), False),
            (IPv6Address("TCP", "fe80::1%eth0", 1), False),
            (UNIXAddress(b"/run/x"), True),
            (UNIXAddress(None), True),
            (IPv4Address("TCP", "localhost.example", 1), False),
            (None, False),
        ):
            self.assertEqual(is_local(address), expected, str(address))

    def test_the_password(self) -> None:
        door = Door("café : x")
        self.assertTrue(door.has_password)
        self.assertTrue(door.opens_to("café : x".encode()))
        for wrong in (b"", b"cafe", "café : x ".encode(), "café : ".encode(), b"\xff" * 100_000):
            self.assertFalse(door.opens_to(wrong), wrong[:20])

    def test_no_password_is_no_password(self) -> None:
        """The empty one does not open a door that has none."""
        self.assertFalse(Door().has_password)
        self.assertFalse(Door().opens_to(b""))

    def test_protected_mode_ends_with_a_password(self) -> None:
        self.assertTrue(Door(is_protected=True).is_for_this_host)
        self.assertFalse(Door("x", is_protected=True).is_for_this_host)
        self.assertFalse(Door(is_protected=False).is_for_this_host)

    def test_the_password_is_not_kept(self) -> None:
        door = Door("opensesame")
        self.assertNotIn("opensesame", f"{door!r} {vars(door)}")
