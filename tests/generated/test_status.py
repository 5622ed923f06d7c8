"""The fields that real replicas show are those of docs: reference/status."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster
from tests.generated.status import DATAGRAM_FIELDS, FIELDS, names_in


class FieldsTests(SynchronousTestCase):
    timeout = 60

    def shown(self, transport: str) -> set[str]:
        with Cluster(1, "", transport).start() as cluster:
            cluster.ready()
            return names_in(cluster.status(0))

    def test_over_tcp(self) -> None:
        self.assertEqual(self.shown("tcp"), set(FIELDS))

    def test_over_udp(self) -> None:
        self.assertEqual(self.shown("udp"), {*FIELDS, *DATAGRAM_FIELDS})
