"""Every command of docs: using/scripts, run as it stands there against real replicas."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.cluster.harness import Cluster
from tests.cluster.pages import Shell, blocks, matches, steps, with_ports

PAGE = Path(__file__).parents[2] / "docs" / "using" / "scripts.md"


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        if shutil.which("redis-cli") is None:
            raise SkipTest("there is no redis-cli")
        self.page = PAGE.read_text(encoding="utf-8")

    def shell(self, cluster: Cluster) -> Shell:
        shell = Shell(cluster.folder)
        self.addCleanup(shell.close)
        return shell

    def test_the_commands(self) -> None:
        with Cluster(3).start().ready() as cluster:
            shell = self.shell(cluster)
            all_steps = list(steps(self.page))
            for command, expected in all_steps:
                said = shell.run(with_ports(command, cluster))
                self.assertTrue(matches(expected, said), f"{command}\nexpected {expected!r}\nsaid {said!r}")
            self.assertGreater(len(all_steps), 8)

    def test_the_setting(self) -> None:
        """With it, what touches a key that it does not declare is refused."""
        (setting,) = blocks(self.page, "ini")
        with Cluster(1, f"\n{setting}").start().ready() as cluster:
            call = "redis-cli -p 7100 EVAL \"return redis.call('INCR', 'visits')\" 0"
            said = self.shell(cluster).run(with_ports(call, cluster))
            self.assertIn("ERR Script attempted to access a key that it did not declare", said)
