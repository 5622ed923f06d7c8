"""The files that are generated from the declarations of the settings are what the declarations say.

`python -m tests.config.test_generated` writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.render import WIDTH, cluster_ini, help_text, reference
from epaxos.config.settings import REPLICA, SECTIONS

ROOT = Path(__file__).parents[2]
GENERATED: dict[str, Callable[[], str]] = {
    "conf/cluster.ini": cluster_ini,
    "docs/reference/settings.md": reference,
}


class GeneratedTests(SynchronousTestCase):
    def test_files_are_fresh(self) -> None:
        for name, render in GENERATED.items():
            self.assertEqual((ROOT / name).read_text(encoding="utf-8"), render(), "make generated")

    def test_every_setting_is_declared_whole(self) -> None:
        """A sentence that ends, a default that its own kind reads, and a field of the section's class."""
        for section in (*SECTIONS.values(), REPLICA):
            names = [each.name for each in fields(section.holder) if each.name != "id"]
            self.assertEqual(list(section.settings), names)
            self.assertRegex(section.sentence, r"^[A-Z].*\.$")
            for name, setting in section.settings.items():
                for text in filter(None, (setting.sentence, setting.more)):
                    self.assertRegex(text, r"^[A-Za-z0-9].*\.$", name)
                if setting.default is not MISSING:
                    text = setting.kind.show(setting.default)
                    self.assertEqual(setting.kind.read(text), setting.default, name)

    def test_every_setting_is_in_every_text(self) -> None:
        for section in (*SECTIONS.values(), REPLICA):
            for name in section.settings:
                self.assertRegex(cluster_ini(), rf"(?m)^;?(# )?{name}( =|: )")
                self.assertIn(f"| `{name}` |", reference())
                self.assertIn(f"\n  {name}: ", help_text())

    def test_width(self) -> None:
        self.assertLessEqual(max(map(len, cluster_ini().splitlines())), WIDTH)
        self.assertLessEqual(max(map(len, help_text().splitlines())), WIDTH)

    def test_allowed_values_are_as_in_errors(self) -> None:
        """The words that a file and an error have for the range of a number are the same."""
        kind = SECTIONS["limits"].settings["clients_max"].kind
        with self.assertRaises(ValueError) as caught:
            kind.read("0")
        allowed = re.sub(r".*allowed: ", "", str(caught.exception))
        self.assertEqual(kind.allowed(), f"{allowed} clients")


if __name__ == "__main__":
    for name, render in GENERATED.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(), encoding="utf-8")
