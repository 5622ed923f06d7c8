"""Addresses of one kind made of those of another."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.addresses import place_of


class AddressTests(SynchronousTestCase):
    def test_the_place_that_an_endpoint_names(self) -> None:
        for text, place in (
            ("tcp:10.0.0.2:7200", "tcp:10.0.0.2:7200"),
            ("tcp:10.0.0.2:7200:interface=x", "tcp:10.0.0.2:7200"),
            ("tcp:fd00\\:\\:2:7200", "tcp:fd00\\:\\:2:7200"),
            ("tls:db.example:7200:privateKey=x", "tcp:db.example:7200"),
            ("unix:/run/status:mode=600", "unix:/run/status"),
            ("tcp:7201", ""), ("tcp:7201:interface=0.0.0.0", ""), ("ssl:7200:privateKey=x", ""),
            ("tcp:::", ""), ("systemd:domain=INET:index=0", ""), ("", ""),
        ):  # fmt: skip
            self.assertEqual(place_of(text), place, text)
