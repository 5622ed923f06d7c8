"""How many files may be open, and who may have them."""

from __future__ import annotations

import resource
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.service import descriptors
from epaxos.service.descriptors import descriptors_for_clients, raise_limit

INFINITY = resource.RLIM_INFINITY


class DescriptorTests(SynchronousTestCase):
    def raised(self, soft: int, hard: int, kernel: int, allowed: int) -> tuple[int, list[tuple[int, int]]]:
        """What is raised, and what was asked for, where the kernel allows up to `allowed`."""
        asked = []

        def setrlimit(kind: int, limits: tuple[int, int]) -> None:
            self.assertEqual(kind, resource.RLIMIT_NOFILE)
            asked.append(limits)
            if limits[1] == INFINITY or limits[1] > allowed:
                raise ValueError("not allowed to raise maximum limit")

        path = Path(self.mktemp())
        path.write_text(f"{kernel}\n")
        self.patch(descriptors, "NR_OPEN", path)
        self.patch(resource, "getrlimit", lambda kind: (soft, hard))
        self.patch(resource, "setrlimit", setrlimit)
        return raise_limit(), asked

    def test_as_far_as_it_goes(self) -> None:
        for soft, hard, kernel, allowed, raised, asked in (
            (1024, 4096, 10**6, 10**6, 4096, [(4096, 4096)]),
            (1024, 10**7, 10**6, 10**6, 10**6, [(10**7, 10**7), (10**6, 10**6)]),
            (1024, INFINITY, 10**6, 10**6, 10**6, [(INFINITY, INFINITY), (10**6, 10**6)]),
            (1024, 4096, 10**6, 0, 1024, [(4096, 4096), (10**6, 10**6)]),
            (4096, 4096, 4096, 10**6, 4096, []),
            (INFINITY, INFINITY, 10**6, 10**6, 1 << 62, []),
        ):
            self.assertEqual(self.raised(soft, hard, kernel, allowed), (raised, asked))

    def test_a_kernel_that_does_not_say(self) -> None:
        self.patch(descriptors, "NR_OPEN", Path("/nonexistent"))
        self.patch(resource, "getrlimit", lambda kind: (1024, 1024))
        self.assertEqual(raise_limit(), 1024)

    def test_here(self) -> None:
        """Really: the soft limit becomes the hard one."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        limit = min(500, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        self.assertGreaterEqual(raise_limit(), limit)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], raise_limit())

    def test_the_reserve(self) -> None:
        for named in (1, 3, 7):  # others may come
            self.assertEqual(descriptors_for_clients(1024, named), 1024 - 224 - 24)
        self.assertEqual(descriptors_for_clients(1024, 9), 1024 - 224 - 32)
        self.assertLess(descriptors_for_clients(200, 1), 1)
