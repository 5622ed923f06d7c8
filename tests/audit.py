"""`make audit`: known vulnerabilities of the packages in this environment, by pip-audit.

pip-audit asks PyPI.  Where PyPI cannot be reached nothing is known, which is no failure of the project: it is
said in one line, and the exit status is 0.  A mirror of PyPI may have the packages and not what is known of
them: pip-audit then skips every package and ends with "no known vulnerabilities", which must not count as an
audit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Verdict", "judge", "run"]

PIP_AUDIT = (sys.executable, "-m", "pip_audit")
OPTIONS = ("--local", "--skip-editable", "--progress-spinner=off", "--desc=off", "--format=json")
TIMEOUT_S = 600
UNREACHABLE = ("ConnectionError", "ConnectionRefused", "Could not connect", "Timeout", "timed out", "Proxy")
NOTHING = "audit: nothing was checked, because the database of vulnerabilities cannot be reached: "
ABSENT = "not found on PyPI"
"""What pip-audit says of a package that the index has no page for, its own or every one."""


class Verdict(NamedTuple):
    """The exit status of `make audit`, and the lines that it says."""

    status: int
    lines: list[str]


def _document(output: str) -> list[dict[str, Any]] | None:
    """The packages of pip-audit's document; None when it has written none."""
    try:
        return list(json.loads(output)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return None


def _found(package: dict[str, Any]) -> list[str]:
    return [
        f"audit: {package['name']} {package['version']}: {each['id']}"
        f" ({', '.join(each.get('aliases', ())) or 'no other name'});"
        f" fixed in {', '.join(each.get('fix_versions', ())) or 'no version yet'}"
        for each in package["vulns"]
    ]


def judge(output: str, errors: str) -> Verdict:
    """What pip-audit's output means.  Its exit status says less: it is 1 for a fault found and for no answer,
    and 0 when it has skipped all packages."""
    packages = _document(output)
    if packages is None:
        last = (errors.strip().splitlines() or ["it says nothing"])[-1]
        if any(word in errors for word in UNREACHABLE):
            return Verdict(0, [f"{NOTHING}{last[:200]}"])
        return Verdict(1, [f"audit: pip-audit failed: {last}"])
    checked = [package for package in packages if "vulns" in package]
    skipped = [package["name"] for package in packages if "vulns" not in package]
    if not checked:
        is_absent = any(ABSENT in package.get("skip_reason", "") for package in packages)
        text = "the index answers for no package" if is_absent else "every package was skipped"
        return Verdict(0, [f"{NOTHING}{text}"])
    lines = [line for package in checked for line in _found(package)]
    if skipped:
        lines.append(f"audit: not checked: {', '.join(sorted(skipped))}")
    status = int(any(package["vulns"] for package in checked))
    end = "see above" if status else "no known vulnerability"
    return Verdict(status, [*lines, f"audit: {len(checked)} packages checked: {end}"])


def run(command: Sequence[str] = PIP_AUDIT) -> Verdict:
    """Run pip-audit on the packages of this environment, the project itself left out."""
    try:
        done = subprocess.run([*command, *OPTIONS], capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return Verdict(0, [f"{NOTHING}no answer within {TIMEOUT_S} s"])
    return judge(done.stdout, done.stderr)


if __name__ == "__main__":
    verdict = run()
    print("\n".join(verdict.lines))
    sys.exit(verdict.status)
