"""Tests of a whole cluster, over each transport."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster

__all__ = ["ClusterTestCase"]


class ClusterTestCase(SynchronousTestCase):
    """Tests with clusters of `transport`.  A subclass with another transport runs all tests over that one."""

    transport = "tcp"

    def cluster(self, n: int = 3, settings: str = "") -> Cluster:
        """A cluster that is not yet started."""
        return Cluster(n, settings, self.transport)
