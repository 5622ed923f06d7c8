"""A member sleeps over several turns of the epoch, under load, and comes back without an operator."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

from tests.bench.comeback import bytes_text, wait_until_back
from tests.bench.load import KEYS
from tests.bench.memory import fill
from tests.bench.processes import BenchCluster, cluster, wait_for
from tests.bench.results import Result, Table
from tests.bench.session import Session
from tests.bench.steady import BESIDE_PER_S, Steady

__all__ = ["sleeper"]

SLEEPER, AWAKE = 2, (0, 1)
TURNS = 5
SETTINGS = "\n[limits]\nkeep_instances = 1000\n"
"""So few that a turn comes every few seconds."""
PATIENCE_S = 180.0
LOOK_S = 1.0


def _stop(replicas: BenchCluster) -> None:
    replicas.signal(signal.SIGSTOP, SLEEPER)


def _continue(replicas: BenchCluster) -> None:
    replicas.signal(signal.SIGCONT, SLEEPER)


def _kill(replicas: BenchCluster) -> None:
    replicas.kill(SLEEPER)


def _start(replicas: BenchCluster) -> None:
    replicas.start(SLEEPER)


WAYS: dict[str, tuple[Callable[[BenchCluster], None], Callable[[BenchCluster], None]]] = {
    "stopped (SIGSTOP), goes on": (_stop, _continue),
    "killed, is started": (_kill, _start),
}


def _epoch(replicas: BenchCluster) -> int:
    """Of a replica that may be too busy to answer at once."""
    status = wait_for("a status", lambda: replicas.try_status(AWAKE[0]), PATIENCE_S)
    return int(status["epoch"]["number"])


def _sleep_over(replicas: BenchCluster, turns: int, say: Callable[[int], None]) -> None:
    """Wait until `turns` turns have taken place.  Raises TimeoutError."""
    first = now = _epoch(replicas)
    end = time.monotonic() + PATIENCE_S
    while now < first + turns:
        if time.monotonic() > end:
            raise TimeoutError(f"{now - first} of {turns} turns within {PATIENCE_S:g} s")
        say(now - first)
        time.sleep(LOOK_S)
        now = _epoch(replicas)


def measure(session: Session, way: str, keys: int, turns: int) -> list[str]:
    """A row of the table."""
    asleep, awake = WAYS[way]
    with cluster(3, SETTINGS) as replicas:
        fill(replicas.redis_ports[0], keys)
        with Steady([replicas.redis_ports[id] for id in AWAKE]) as load:
            asleep(replicas)
            begin = time.monotonic()
            _sleep_over(replicas, turns, partial(_say, session, way))
            slept_s = time.monotonic() - begin
            begin = time.monotonic()
            awake(replicas)
            back = wait_until_back(replicas, SLEEPER, AWAKE[0], begin)
        ended = time.monotonic()
        replicas.equal_digests(120)
        equal_s = time.monotonic() - ended
    return [
        way, f"{slept_s:.0f}", f"{load.per_s:,.0f}", f"{back.seconds:.1f}", bytes_text(back.state_bytes),
        f"{equal_s:.1f}",
    ]  # fmt: skip


def _say(session: Session, way: str, done: int) -> None:
    session.say(f"a member is {way.partition(',')[0]}: {done} turns")


def sleeper(session: Session, available: dict[str, str]) -> Result:
    """One that is stopped and goes on, and one that is killed and started again."""
    result = Result("A member that sleeps over turns of the epoch")
    keys, turns = (KEYS // 10, 2) if session.quick else (KEYS // 2, TURNS)
    table = Table(
        f"Replica {SLEEPER} sleeps over {turns} turns, with {keys:,} keys in the state",
        ["it is", "slept, s", "SET/s beside", "back, s", "state taken, MB", "equal after the load, s"],
    )
    for way in WAYS:
        table.lines.append(measure(session, way, keys, turns))
    result.tables.append(table)
    result.settings.append(
        f"LevelDB, `keep_instances = 1000`, so turns come by themselves; {BESIDE_PER_S:,} SET/s in pipelines"
        " of 100 at the other two all the time. It is back when it has executed what they had before."
    )
    return result
