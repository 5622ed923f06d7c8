"""The configurations that docs shows whole can be read."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.file import load

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "configure.md"


class DocsTests(SynchronousTestCase):
    def test_three_hosts(self) -> None:
        """docs: operating/configure, "Three hosts"."""
        (text,) = re.findall(
            r"^```ini\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        path = Path(self.mktemp())
        path.write_text(text)
        config = load(path)
        self.assertEqual(config.n, 3)
        self.assertEqual(config.replica(1).data, Path("/var/lib/epaxos/1"))
        self.assertEqual(config.replica(2).peer_connect, "tcp:10.0.0.3:7000")
