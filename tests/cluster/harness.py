"""Real replicas in real processes: a test starts, kills, pauses and queries them.

Plain blocking Python, because tests have nothing else to do meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import redis

from epaxos.config.example import example, replica_section
from epaxos.tools.demo import free_base_port
from tests.cluster.links import Links
from tests.cluster.load import connect

__all__ = ["TWISTD", "Cluster", "wait_until"]

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
LOG_CHARACTERS = 4000
"""How much of a replica's log is shown after a failure."""
WRONG_CLOCK = "import time; right = time.time; time.time = lambda: right() + {}; "
"""What a process does first whose clock is to be wrong by a number of seconds."""


def wait_until(what: str, is_so: Callable[[], Any], timeout_s: float = 20) -> Any:
    """Wait until `is_so()` is true, and return what it returned."""
    deadline = time.monotonic() + timeout_s
    while not (result := is_so()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)
    return result


def _epoch(status: dict[str, Any]) -> int:
    """The number of the epoch; 0 of a version that knows of no epochs."""
    return int(status.get("epoch", {}).get("number", 0))


class Cluster:
    """A cluster of n replicas in a temporary folder.  A context manager, which removes everything at its end.

    `settings` are further sections of its configuration.  With `linked`, replicas reach each other over
    `links`, which can be cut and delayed; each then has a configuration of its own, and with
    `settings_of` further sections of its own.  `source` is the folder of another epaxos to run.

    `clocks_s`: by how much the clock of each replica is wrong, in seconds.

    `members` are the numbers of those that it has now, which a test that changes them keeps up to date; there
    are ports for `room` further ones (`join`).
    """

    def __init__(
        self,
        n: int = 3,
        settings: str = "",
        transport: str = "tcp",
        *,
        linked: bool = False,
        settings_of: Callable[[int], str] = lambda id: "",
        source: Path | None = None,
        room: int = 0,
        clocks_s: Sequence[float] = (),
    ) -> None:
        self.n = n
        self._clocks_s = dict(enumerate(clocks_s))
        self.members = list(range(n))
        self.use(source)
        self.folder = Path(tempfile.mkdtemp(prefix="epaxos-test-"))
        self.hosts = ["127.0.0.1"] * (n + room)
        base = self.base_port = free_base_port(n + room)
        self.redis_ports = [base + 100 + id for id in range(n + room)]
        self.status_ports = [base + 200 + id for id in range(n + room)]
        self.config = self.folder / "cluster.ini"
        self.config.write_text(example(n, base, data="data", transport=transport) + settings)
        self.settings = settings
        self.transport = transport
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.seeds: dict[int, str] = {}
        """The address of a member that each replica is started with that joins."""
        self.revived = 0
        self._entered = False
        self._links = Links([base + id for id in range(n)], transport) if linked else None
        if linked:
            for id in range(n):
                self.config_of(id).write_text(self._linked_config(id) + settings_of(id))

    def use(self, source: Path | None) -> None:
        """From now on start replicas of the epaxos in this folder; None: of this one."""
        self._environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        if source is not None:
            self._environment["PYTHONPATH"] = str(source)

    def __enter__(self) -> Cluster:
        self._entered = True
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._show_stacks()
            for id in sorted({*self.members, *self.processes}):
                end = self.log(id)[-LOG_CHARACTERS:]
                print(f"---- the end of the log of replica {id}\n{end}", file=sys.stderr)
        for process in self.processes.values():
            process.kill()
            process.wait()
        if self._links is not None:
            self._links.close()
        shutil.rmtree(self.folder)

    def _show_stacks(self) -> None:
        """Have each process say at the end of its log what it is doing, and end."""
        for process in self.processes.values():
            process.send_signal(signal.SIGABRT)
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):  # one that is stopped says nothing
                process.wait(2)

    @property
    def links(self) -> Links:
        """The links between the replicas of a linked cluster."""
        assert self._links is not None, "the replicas of this cluster are not linked"
        return self._links

    def config_of(self, id: int) -> Path:
        """The configuration file of the replica."""
        is_own = self._links is not None or id in self.seeds
        return self.own_config(id) if is_own else self.config

    def own_config(self, id: int) -> Path:
        """A configuration file of the replica alone."""
        return self.folder / f"replica-{id}.ini"

    def _linked_config(self, id: int) -> str:
        """The configuration of the cluster, in which `id` reaches the others over its links."""
        text = self.config.read_text()
        for other in range(self.n):
            if other != id:
                section = f"[replica {other}]\n"
                connect = f"peer_connect = {self.links.transport}:127.0.0.1:{self.links.ports[id, other]}\n"
                text = text.replace(section, section + connect)
        return text

    # -- processes

    def data(self, id: int) -> Path:
        """The data folder of the replica."""
        return self.folder / "data" / str(id)

    def log_file(self, id: int) -> Path:
        return self.folder / f"replica-{id}.log"

    def log(self, id: int) -> str:
        """The output of all processes of the replica so far."""
        path = self.log_file(id)
        return path.read_text(errors="replace") if path.exists() else ""

    def command(self, id: int) -> list[str]:
        """The command line that runs the replica in the foreground."""
        seed = self.seeds.get(id)
        join = [] if seed is None else ["--join", seed]
        python, option, program = TWISTD
        if id in self._clocks_s:
            program = WRONG_CLOCK.format(self._clocks_s[id]) + program
        return [
            python,
            option,
            program,
            "-n",
            "epaxos",
            "--id",
            str(id),
            "--config",
            str(self.config_of(id)),
            *join,
        ]

    def start(self, *ids: int, file_bytes_max: int | None = None, prlimit: Sequence[str] = ()) -> Cluster:
        """Start these replicas, or all, and do not wait until they are ready (see `ready`).

        With a limit, no file that they write can grow beyond it, as on a full disk.  `prlimit` are
        options of prlimit(1) for other limits.
        """
        limits = [*prlimit, *([] if file_bytes_max is None else [f"--fsize={file_bytes_max}"])]
        command = ["prlimit", *limits, "--"] if limits else []
        for id in ids or self.members:
            with self.log_file(id).open("ab") as log:
                self.processes[id] = subprocess.Popen(
                    [*command, *self.command(id)],
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env=self._environment,
                )
        return self

    def join(self, id: int, seed: int, own: str = "", *, wait: bool = True) -> Cluster:
        """Start replica `id`, which has a file of its own, so that it joins the cluster of the member `seed`.

        `own`: its section, where it is not the usual one.
        With `wait`, until every member that runs says that it has the state, and so may be added.
        """
        own = own or replica_section(id, self.base_port, "data", self.transport)
        name = "[cluster]\nname = example\n" + ("transport = udp\n" if self.transport == "udp" else "")
        self.own_config(id).write_text(f"{name}{own}{self.settings}")
        self.seeds[id] = f"{self.transport}:127.0.0.1:{self.base_port + seed}"
        self.start(id)
        if wait:
            asked = [member for member in self.members if member in self.processes]
            wait_until(f"replica {id} can be added", lambda: all(self.may_add(id, at) for at in asked), 30)
        return self

    def may_add(self, id: int, asked: int) -> bool:
        """Whether the member `asked` says that replica `id` wants to join, and has the state."""
        candidates = self.client(asked).execute_command("EPAXOS", "CANDIDATES")
        behind = {candidate[0]: candidate[4] for candidate in candidates}
        return behind.get(id) is not None and behind[id] <= 1_000_000

    def change(self, asked: int, *words: object) -> list[int]:
        """Ask this member for a change of the members, as `EPAXOS ...`.  Returns the new ones."""
        _, members = self.client(asked).execute_command("EPAXOS", *map(str, words))
        self.members = list(members)
        return self.members

    def revive(self) -> None:
        """Start again the replicas that somebody else has killed, as a service manager would.

        The kernel may kill one when memory is short; a replica never ends this way by itself.
        """
        killed = [id for id, process in self.processes.items() if process.poll() == -signal.SIGKILL]
        if killed:
            self.start(*killed)
        self.revived += len(killed)

    def ended(self, id: int, timeout_s: float = 20) -> int:
        """Wait until the replica has ended by itself, and return its exit status."""
        return self.processes.pop(id).wait(timeout_s)

    def signal(self, number: signal.Signals, *ids: int) -> None:
        """Send the signal to all of them, one right after the other."""
        for id in ids:
            self.processes[id].send_signal(number)

    def kill(self, *ids: int) -> None:
        """Send SIGKILL, and wait until they have ended."""
        self.signal(signal.SIGKILL, *ids)
        for id in ids:
            self.processes.pop(id).wait()

    def terminate(self, id: int, timeout_s: float = 15) -> int:
        """Send SIGTERM, wait for the end, and return the exit status."""
        process = self.processes.pop(id)
        process.terminate()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"replica {id} does not stop on SIGTERM") from None

    def ready(self, *ids: int, up: Iterable[int] | None = None, timeout_s: float = 30) -> Cluster:
        """Wait until each of these replicas (or all) sees each of `up` (by default, of these) up, and, where
        that is a majority, has a clock that is to be trusted."""
        asked = ids or tuple(self.members)
        wanted = set(asked if up is None else up)

        def is_ready() -> bool:
            for id in asked:
                process = self.processes[id]
                assert process.poll() is None, f"replica {id} ended with status {process.returncode}"
                status = self.try_status(id)
                if status is None or not wanted <= {m["id"] for m in status["members"] if m["up"]}:
                    return False
                epoch = status.get("epoch")  # early versions have none
                version = epoch.get("version", 1) if isinstance(epoch, dict) else 1
                is_majority = 2 * len(wanted) > len(status["members"])
                if version > 1 and is_majority and not status["clock"]["trusted"]:
                    return False  # members of version 1 tell nobody their clocks
            return True

        try:
            wait_until(f"replicas {asked} are ready", is_ready, timeout_s)
        except BaseException as error:
            if not self._entered:  # nobody else would end them
                self.__exit__(type(error))
            raise
        return self

    # -- status

    def client(self, id: int, timeout_s: float = 20) -> redis.Redis:
        """A Redis client of the replica."""
        return connect(self.redis_ports[id], timeout_s, self.hosts[id])

    def status(self, id: int, digest: bool = False) -> dict[str, Any]:
        """The answer to `GET /status`, or, with the `digest` of the state, to `GET /status?digest`."""
        query = "?digest" if digest else ""
        at = f"{self.hosts[id]}:{self.status_ports[id]}"
        with urlopen(f"http://{at}/status{query}", timeout=60 if digest else 10) as answer:
            status: dict[str, Any] = json.load(answer)
            return status

    def try_status(self, id: int, digest: bool = False) -> dict[str, Any] | None:
        """As `status`; None when there is no answer."""
        try:
            return self.status(id, digest)
        except OSError:
            return None

    def sees_down(self, id: int, *downs: int) -> None:
        """Wait until the replica `id` sees each of `downs` down."""

        def sees() -> bool:
            up = {member["id"] for member in self.status(id)["members"] if member["up"]}
            return up.isdisjoint(downs)

        wait_until(f"replica {id} sees {downs} down", sees)

    def statuses(self, digest: bool = False) -> list[dict[str, Any]]:
        """The status of each replica; of none when one does not answer, as when it begins again."""
        statuses = [self.try_status(id, digest) for id in self.members]
        return [] if None in statuses else [status for status in statuses if status is not None]

    def settled(self, timeout_s: float = 30) -> int:
        """Wait until all know that every member is in the same epoch; return its number."""

        def agreed() -> list[int] | None:
            epochs = [status["epoch"] for status in self.statuses()]
            numbers = {epoch["number"] for epoch in epochs}
            is_settled = len(numbers) == 1 and all(epoch["settled"] for epoch in epochs)
            return list(numbers) if is_settled else None

        (number,) = wait_until("the epoch is settled", agreed, timeout_s)
        return int(number)

    def equal_digests(self, timeout_s: float = 30) -> list[dict[str, Any]]:
        """Wait until all have executed the same instances and have equal states; return their statuses."""

        def agreed() -> list[dict[str, Any]] | None:
            if len({(_epoch(status), tuple(status["executed"])) for status in self.statuses()}) != 1:
                return None  # a digest would be made for nothing
            statuses = self.statuses(digest=True)
            seen = {(_epoch(status), status["digest"], tuple(status["executed"])) for status in statuses}
            return statuses if len(seen) == 1 else None

        try:
            result: list[dict[str, Any]] = wait_until("all digests are equal", agreed, timeout_s)
        except AssertionError as error:
            statuses = "\n".join(map(str, self.statuses()))
            raise AssertionError(f"{error}\n{statuses}") from None
        return result
