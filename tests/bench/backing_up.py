"""Backups under load: how long clients wait around each, and as long a time without one; and the restore."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.load import KEYS
from tests.bench.memory import fill
from tests.bench.probe import Probe
from tests.bench.processes import BenchCluster, cluster
from tests.bench.results import Result, Table
from tests.bench.session import Session
from tests.bench.steady import BESIDE_PER_S, Steady
from tests.bench.turning import Turns
from tests.ctl.fake import run_process

__all__ = ["backup"]

BACKUPS = 10
WINDOW_S = 4.0
"""Seconds from the beginning of a backup in which a wait counts as one of it."""
READY_S = 120
NAME = "restored"


class Restored(NamedTuple):
    """Seconds that parts of a restore took, and the bytes of the backup."""

    bytes: int
    taken_s: float
    folders_s: float
    ready_s: float


def _ctl(*words: object) -> float:
    """Run `epaxosctl`; the seconds that it took.  Raises RuntimeError."""
    begin = time.monotonic()
    done = run_process(*words)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return time.monotonic() - begin


def _make(replicas: BenchCluster, name: str) -> float:
    """Make a backup in the data folder of replica 0, and remove it; the seconds until it was made."""
    client = replicas.client(0, 60)
    begin = time.monotonic()
    client.execute_command("EPAXOS", "BACKUP", name)
    took_s = time.monotonic() - begin
    client.execute_command("EPAXOS", "BACKUP-DELETE", name)
    return took_s


def _under_load(session: Session, replicas: BenchCluster, count: int, window_s: float) -> list[str]:
    """The row of the table of pauses."""
    around, quiet, made = [], [], []
    with Steady(replicas.redis_ports) as load, Probe(replicas.redis_ports[0]) as probe:
        time.sleep(window_s)
        for number in range(count):
            session.say(f"backups: {number + 1} of {count}")
            begin = time.monotonic()
            time.sleep(window_s)
            quiet.append((begin, begin + window_s))
            begin = time.monotonic()
            made.append(_make(replicas, f"b{number}"))
            end = max(begin + window_s, time.monotonic())
            time.sleep(max(0.0, end - time.monotonic()))
            around.append((begin, end))
        waits = probe.end()
    return [*Turns.of(waits, quiet, around)._replace(per_s=load.per_s).cells(), f"{max(made):.2f}"]


def _restored(replicas: BenchCluster, members: int) -> Restored:
    """A backup is taken, everything is lost, and a cluster with the first `members` members is made of it.

    Raises AssertionError when its digest is another one.
    """
    folder = replicas.folder / "backup"
    taken_s = _ctl("--at", f"127.0.0.1:{replicas.redis_ports[0]}", "backup", folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    replicas.kill(*range(replicas.n))
    target = replicas.folder / "restored"
    paths = [target / str(id) for id in range(members)]
    options = [word for path in paths for word in ("--data", path)]
    folders_s = _ctl("restore", "--from", folder, "--name", NAME, *options)
    _configure(replicas, members, target)
    begin = time.monotonic()
    replicas.start(*range(members)).ready(*range(members), timeout_s=READY_S)
    ready_s = time.monotonic() - begin
    digest = replicas.status(0, digest=True)["digest"]
    assert digest == manifest["digest"], f"{digest} is not {manifest['digest']}"
    return Restored(manifest["bytes"], taken_s, folders_s, ready_s)


def _configure(replicas: BenchCluster, members: int, folder: Path) -> None:
    """The configuration of the new cluster, in the place of the old one."""
    text = replicas.config.read_text()
    head, *sections = text.split("[replica ")
    text = "[replica ".join([head, *sections[:members]])
    text = text.replace("name = example", f"name = {NAME}").replace("data = data/", f"data = {folder}/")
    replicas.config.write_text(text)


def backup(session: Session, available: dict[str, str]) -> Result:
    """LevelDB, three replicas with a million keys."""
    result = Result("Backup and restore")
    keys = KEYS // 10 if session.quick else KEYS
    count, window_s = (2, 2.0) if session.quick else (BACKUPS, WINDOW_S)
    pauses = Table(
        f"The longest wait of one client, ms, in {window_s:g} s from the start of each of {count} backups,"
        " and in as long a time before each",
        [
            "keys", "SET/s beside", "usual wait",
            "without a backup: median", "worst", "around a backup: median", "worst", "ratio of the medians",
            "worst over the usual", "until it is made, s, worst",
        ],
    )  # fmt: skip
    restores = Table(
        "Everything is lost, and comes back from the backup with the same digest",
        ["keys", "members", "backup, MB", "taken to the host, s", "folders made, s", "until they serve, s"],
    )
    for members in (1, 3):
        with cluster(3) as replicas:
            session.say(f"backup: filling {keys} keys")
            fill(replicas.redis_ports[0], keys)
            if members == 3:
                pauses.lines.append([f"{keys:,}", *_under_load(session, replicas, count, window_s)])
            found = _restored(replicas, members)
            restores.lines.append(
                [
                    *(f"{keys:,}", str(members), f"{found.bytes / 1e6:.0f}"),
                    *(f"{each:.2f}" for each in found[1:]),
                ]
            )
    result.tables += [pauses, restores]
    result.settings.append(
        f"Three replicas with LevelDB, {BESIDE_PER_S:,} SET/s in pipelines of 100 at all of them together;"
        " `EPAXOS BACKUP` at replica 0, where the client has one SET outstanding. Then `epaxosctl backup`"
        " without load, `epaxosctl restore`, and the start of the new members."
    )
    return result
