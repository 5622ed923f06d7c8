"""The base of tests of configuration files."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.file import load
from epaxos.config.model import Config, ConfigError


class ConfigCase(SynchronousTestCase):
    """Files that are written and loaded, or refused."""

    def write(self, text: str | bytes) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(self, text: str) -> Config:
        return load(self.write(text))

    def refused(self, text: str | bytes, expected: str) -> None:
        """The line, after the name of the file, is exactly this."""
        path = self.write(text)
        with self.assertRaises(ConfigError) as caught:
            load(path)
        self.assertEqual(str(caught.exception), f"{path}: {expected}")
