"""`make audit` (tests/audit.py), and from which version on each package is taken."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from pip._vendor.packaging.requirements import Requirement
from twisted.trial.unittest import SynchronousTestCase

from tests.audit import NOTHING, judge, run

ROOT = Path(__file__).parents[1]
KNOWN = {"id": "PYSEC-2024-1", "aliases": ["CVE-2024-1"], "fix_versions": ["2.1"]}
GOOD = {"name": "attrs", "version": "26.1", "vulns": []}
BAD = {"name": "twisted", "version": "2.0", "vulns": [KNOWN]}
ABSENT = {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited: ours (1)"}


class JudgeTests(SynchronousTestCase):
    def judged(self, *packages: dict[str, Any]) -> tuple[int, list[str]]:
        return judge(json.dumps({"dependencies": packages, "fixes": []}), "")

    def test_nothing_is_known(self) -> None:
        self.assertEqual(self.judged(GOOD), (0, ["audit: 1 packages checked: no known vulnerability"]))

    def test_one_is_known(self) -> None:
        status, lines = self.judged(GOOD, BAD)
        self.assertEqual(status, 1)
        self.assertEqual(lines[0], "audit: twisted 2.0: PYSEC-2024-1 (CVE-2024-1); fixed in 2.1")
        self.assertEqual(lines[-1], "audit: 2 packages checked: see above")

    def test_no_other_name_and_no_version(self) -> None:
        _, lines = self.judged({**BAD, "vulns": [{"id": "PYSEC-1"}]})
        self.assertEqual(lines[0], "audit: twisted 2.0: PYSEC-1 (no other name); fixed in no version yet")

    def test_some_are_not_there(self) -> None:
        status, lines = self.judged(GOOD, ABSENT)
        self.assertEqual((status, lines[0]), (0, "audit: not checked: ours"))

    def test_a_mirror_that_knows_of_none(self) -> None:
        """pip-audit says "No known vulnerabilities found", and has asked for nothing."""
        self.assertEqual(self.judged(ABSENT), (0, [f"{NOTHING}the index answers for no package"]))

    def test_not_reached(self) -> None:
        status, lines = judge("", "Traceback\nrequests.exceptions.ConnectionError: no name 'pypi.org'\n")
        self.assertEqual(status, 0)
        self.assertEqual(lines, [f"{NOTHING}requests.exceptions.ConnectionError: no name 'pypi.org'"])

    def test_it_fails(self) -> None:
        self.assertEqual(judge("", "boom\n"), (1, ["audit: pip-audit failed: boom"]))
        self.assertEqual(judge("[]", ""), (1, ["audit: pip-audit failed: it says nothing"]))

    def test_what_is_run(self) -> None:
        """The output of the program is what is judged; that it ends with 1 says nothing."""
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "audit.py"
            text = json.dumps({"dependencies": [BAD]})
            program.write_text(f"import sys; print({text!r}); sys.exit('Found 1 known vulnerability')")
            status, lines = run((sys.executable, str(program)))
        self.assertEqual((status, len(lines)), (1, 2))


class PinsTests(SynchronousTestCase):
    """Who installs the project gets no version that nobody has tried: each has a lowest one."""

    def requirements(self) -> list[tuple[str, Requirement]]:
        """Each with the part of setup.cfg or pyproject.toml that names it."""
        config = ConfigParser()
        config.read(ROOT / "setup.cfg")
        parts = {"install_requires": config["options"]["install_requires"]}
        parts |= dict(config["options.extras_require"])
        build = re.search(r"^requires = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        assert build is not None
        parts["build-system"] = "\n".join(re.findall(r'"([^"]+)"', build[1]))
        lines = [(part, line.strip()) for part, text in parts.items() for line in text.splitlines()]
        return [(part, Requirement(line)) for part, line in lines if line and not line.startswith("#")]

    def test_each_has_a_lowest_version(self) -> None:
        found = self.requirements()
        self.assertGreater(len(found), 50)
        loose = [
            f"{part}: {requirement}"
            for part, requirement in found
            if not any(specifier.operator in (">=", "==") for specifier in requirement.specifier)
        ]
        self.assertEqual(loose, [])

    def test_the_same_package_has_the_same_lowest_version(self) -> None:
        """In every extra: who installs two of them would otherwise never see the lower one.  The build alone
        has an environment of its own, and what one extra pins exactly (`proto`) is another matter."""
        lowest: dict[str, set[str]] = {}
        for part, requirement in self.requirements():
            if part == "build-system":
                continue
            versions = {each.version for each in requirement.specifier if each.operator == ">="}
            lowest.setdefault(requirement.name.lower(), set()).update(versions)
        self.assertEqual({name: each for name, each in lowest.items() if len(each) > 1}, {})
