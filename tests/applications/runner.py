"""Runs one program: it says `halfway` and waits, and it says `done` at its end.

A program gets the ports as its arguments.  It ends with status 77 where a package is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import NamedTuple
from unittest import SkipTest

import redis

from tests.applications.servers import Server

__all__ = ["JOBS_TIMEOUT_S", "Program", "run"]

HERE = Path(__file__).parent
MISSING = 77
"""The status of a program whose package is not installed."""
TIMEOUT_S = 30
JOBS_TIMEOUT_S = 150
"""A thousand jobs cost some ten thousand commands, and each library waits before it goes on."""


class Program(NamedTuple):
    """A file in this folder, and the commands of Redis that its package sends.

    `follows`: whether it goes to another port by itself, when the first one is gone.
    """

    file: str
    needs: str = ""
    follows: bool = False
    timeout_s: float = TIMEOUT_S


_INTERPRETERS = {".py": [sys.executable], ".mjs": ["node"], ".php": ["php"]}


def run(program: Program, server: Server) -> None:
    """Run the program at the server, and disturb the server in the middle.

    Raises SkipTest where something is not installed, or a command is not served.
    """
    path = HERE / program.file
    interpreter, *arguments = _INTERPRETERS[path.suffix]
    found = shutil.which(interpreter)
    if found is None:
        raise SkipTest(f"{interpreter} is not installed")
    with server:
        _check_served(program, server.ports[0])
        process = subprocess.Popen(
            [found, *arguments, str(path), *map(str, server.ports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        )
        timer = Timer(program.timeout_s, process.kill)
        timer.start()
        try:
            said = _talk(process, program, server)
        finally:
            timer.cancel()
            process.kill()
        if process.returncode == MISSING:
            raise SkipTest(said.strip())
        assert process.returncode == 0 and said.endswith("done\n"), f"{program.file}: {said}"
        server.check()


def _talk(process: subprocess.Popen[str], program: Program, server: Server) -> str:
    """What the program said; it has ended."""
    assert process.stdout is not None and process.stdin is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line == "halfway\n":
            server.disturb(program.follows)
            process.stdin.write("go on\n")
            process.stdin.flush()
            break
    out, errors = process.communicate()
    if process.returncode:
        said.append(errors[-5000:])
    return "".join([*said, out])


def _check_served(program: Program, port: int) -> None:
    client = redis.Redis(port=port)
    served = {name.decode().upper() for name in client.execute_command("COMMAND LIST")}
    client.close()
    missing = set(program.needs.split()) - served
    if missing:
        raise SkipTest(f"{program.file} needs what is not served: {' '.join(sorted(missing))}")
