"""One of three members is dead under full load: whether what the others hold stays bounded, and what comes
after: their restart, and the return of the dead one."""

from __future__ import annotations

import time
from statistics import median

import redis

from tests.bench.comeback import Back, bytes_text, wait_until_back
from tests.bench.load import KEYS, VALUE_BYTES, RedisBenchmark
from tests.bench.memory import fill
from tests.bench.processes import BenchCluster, cluster, wait_for
from tests.bench.results import Result, Table
from tests.bench.session import Session
from tests.bench.steady import BESIDE_PER_S, Steady
from tests.bench.watch import Watch

__all__ = ["dead_member"]

DEAD, ALIVE = 2, (0, 1)
PIPELINES = (100, 1)
CONNECTIONS = 17
BURST_S = 10.0
QUICK_S = 45.0
QUICK_SETTINGS = "\n[limits]\nkeep_instances = 1000\n"
"""The default bound would not be reached within QUICK_S."""
WARM_UP_S = 2.0


def _load(session: Session, replicas: BenchCluster, pipeline: int, seconds: float) -> list[float]:
    """The rates of one burst after the other, for about `seconds`."""
    ports = [replicas.redis_ports[id] for id in ALIVE]
    load = RedisBenchmark(ports, [CONNECTIONS] * len(ports), pipeline, min(BURST_S, seconds / 4))
    rates = []
    begin = time.monotonic()
    while (gone := time.monotonic() - begin) < seconds:
        session.say(f"one of three is dead, pipeline {pipeline}: {gone:.0f} of {seconds:.0f} s")
        rates.append(load.run())
    return rates[1:] or rates


def _answers(replicas: BenchCluster, id: int) -> bool:
    try:
        return bool(replicas.client(id, timeout_s=1).set("ready", 1))
    except (redis.exceptions.RedisError, OSError):
        return False


def _restart(replicas: BenchCluster) -> float:
    """Kill both that live, and start them: seconds until both have run a SET."""
    replicas.kill(*ALIVE)
    begin = time.monotonic()
    replicas.start(*ALIVE)
    for id in ALIVE:
        wait_for(f"replica {id} runs a SET", lambda id=id: _answers(replicas, id), 120)
    return time.monotonic() - begin


def _return(replicas: BenchCluster) -> tuple[Back, float, float]:
    """Start the dead one beside load: when it is back, SETs a second beside it, and seconds until all
    states are equal once the load has ended."""
    with Steady([replicas.redis_ports[id] for id in ALIVE]) as load:
        time.sleep(WARM_UP_S)
        begin = time.monotonic()
        replicas.start(DEAD)
        back = wait_until_back(replicas, DEAD, ALIVE[0], begin)
    ended = time.monotonic()
    replicas.equal_digests(120)
    return back, load.per_s, time.monotonic() - ended


def measure(session: Session, pipeline: int) -> tuple[list[str], list[str]]:
    """The rows of both tables."""
    seconds = min(session.dead_s, QUICK_S) if session.quick else session.dead_s
    with cluster(3, QUICK_SETTINGS if session.quick else "") as replicas:
        session.say(f"one of three is dead, pipeline {pipeline}: all keys are set first")
        fill(replicas.redis_ports[ALIVE[0]], KEYS)  # those of the load: the state itself does not grow
        replicas.kill(DEAD)
        replicas.sees_down(ALIVE[0], DEAD)
        with Watch(replicas, ALIVE, seconds) as watch:
            rates = _load(session, replicas, pipeline, seconds)
        memory, disk = watch.growth_since_bound()
        session.say(f"one of three is dead, pipeline {pipeline}: restart of both others")
        ready_s = _restart(replicas)
        session.say(f"one of three is dead, pipeline {pipeline}: it returns")
        back, per_s, equal_s = _return(replicas)
    sizes = [bytes_text(size) for of in (memory, disk) for size in of]
    name = str(pipeline)
    return (
        [name, f"{median(rates):,.0f}", str(watch.epoch - watch.first_epoch), f"{watch.held:,}", *sizes],
        [name, f"{ready_s:.1f}", f"{per_s:,.0f}", f"{back.seconds:.1f}", bytes_text(back.state_bytes),
         f"{equal_s:.1f}"],
    )  # fmt: skip


def dead_member(session: Session, available: dict[str, str]) -> Result:
    """At pipeline 100, and at 1, which holds the most for each command."""
    result = Result("A dead member under full load")
    if "Redis" not in available:
        result.missing.append("redis-benchmark")
        return result
    held = Table(
        "What the other two hold, from the end of the first epoch on; MB of the larger of both",
        [
            "pipeline", "SET/s", "turns", "instances held at most",
            "memory, first half", "second half", "slope, MB/h",
            "disk, first half", "second half", "slope, MB/h",
        ],
    )  # fmt: skip
    after = Table(
        f"Both killed and started; then the dead one started, beside {BESIDE_PER_S:,} SET/s",
        [
            "pipeline", "both run a SET, s", "SET/s beside", "the dead one is back, s", "state taken, MB",
            "equal after the load, s",
        ],
    )  # fmt: skip
    for pipeline in PIPELINES:
        try:
            lines = measure(session, pipeline)
        except OSError as why:  # a timeout, after many minutes: what the other pipeline gave is worth keeping
            result.settings.append(f"Pipeline {pipeline} was not measured: {why}.")
            continue
        for table, line in zip((held, after), lines):
            table.lines.append(line)
    result.tables += [held, after]
    result.settings.append(
        f"LevelDB. `redis-benchmark -t set -r {KEYS} -d {VALUE_BYTES}` at both that live, {CONNECTIONS}"
        f" connections each, for {session.dead_s:g} s (`--dead-s`); a quick run takes {QUICK_S:g} s and"
        f" `keep_instances = 1000`. All {KEYS:,} keys are set before. Memory is resident memory."
    )
    return result
