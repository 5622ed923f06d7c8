"""The commands of pages, run as they stand there, with the ports of a cluster of the test."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.cluster.harness import Cluster

__all__ = ["Shell", "Step", "blocks", "matches", "steps", "with_ports"]

PORT = re.compile(r"\b7([012])0(\d)\b")
END = "-- the end of a command --"


def blocks(page: str, kind: str) -> list[str]:
    """The texts of all blocks of a kind, such as `console`."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def with_ports(text: str, cluster: Cluster) -> str:
    """The text with the ports of the cluster in place of those of the pages, 7000 and so on."""
    base = cluster.base_port
    return PORT.sub(lambda found: str(base + 100 * int(found[1]) + int(found[2])), text)


class Step(NamedTuple):
    """A command, and what it is expected to say."""

    command: str
    expected: str


def steps(page: str) -> Iterator[Step]:
    """The commands of a page, without comments."""
    for block in blocks(page, "console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = step.partition("\n")
            yield Step(re.sub(r"\s+# .*", "", command), expected.strip())


def matches(expected: str, said: str) -> bool:
    """Whether a command has said what is expected."""
    pattern = ".*".join(map(re.escape, expected.split("…")))
    return re.fullmatch(pattern, said.strip(), re.DOTALL) is not None


class Shell:
    """One bash for all commands of a page."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "FAKETTY": "1"},  # redis-cli then shows replies as in a terminal
        )

    def run(self, command: str) -> str:
        """What the command says."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{{ {command}\n}} </dev/null; echo '{END}'\n")
        self._process.stdin.flush()
        lines = list(iter(self._process.stdout.readline, f"{END}\n"))
        return "".join(lines).replace("\r\n", "\n")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
