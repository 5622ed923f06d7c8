"""A thousand jobs for a system of queues, whose server is killed in their middle.

A program is the producer, and, started again by itself with `JOURNAL` in its environment, a worker.  Each
run of a job is a line in a file, so that what is counted does not go through the server.

A server that dies takes replies with it.  A producer whose enqueuing was not acknowledged enqueues again, so
a job may be there twice.  A system that takes a job off its queue without keeping it elsewhere loses the one
whose reply was under way.  Both are counted, and bounded by what can be under way at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel
from talk import PORTS, halfway

__all__ = ["IMPATIENT", "IS_WORKER", "JOBS", "NAME", "SENTINELS", "connect", "produce", "record"]

JOBS = 1000
NAME = "example"
"""What Sentinel calls the cluster."""
SENTINELS = [("127.0.0.1", port) for port in PORTS]
IMPATIENT = {"socket_timeout": 1, "retry": Retry(NoBackoff(), 0)}
"""Options for sentinels.  By default redis-py waits for seconds at one that is gone, whenever it connects."""
IS_WORKER = "JOURNAL" in os.environ
QUIET_S = 20.0
"""A job that is not done this time after the last one that was done is lost.  Celery looks every 10 s for
jobs whose worker has not acknowledged them for the 5 s that it is given."""
DEADLINE_S = 100.0
RESTART_S = 1.0
"""How long a supervisor waits before it starts a worker again that has ended."""
LOG_CHARACTERS = 3000
"""How much of what the workers say is shown when something is wrong."""


def connect(**options: Any) -> redis.Redis:
    """A client of the server, or of any replica that lives."""
    if len(PORTS) == 1:
        return redis.Redis(port=PORTS[0], **options)
    sentinel = Sentinel(SENTINELS, sentinel_kwargs=IMPATIENT)
    retry = Retry(ExponentialBackoff(base=0.05, cap=0.5), 10)
    client: redis.Redis = sentinel.master_for(NAME, retry=retry, **options)
    return client


def record(number: int) -> None:
    """A worker has run this job."""
    with open(os.environ["JOURNAL"], "ab", buffering=0) as journal:
        journal.write(b"%d\n" % number)


class _Supervisor(Thread):
    """Runs a worker, and starts it again when it ends, as whatever runs it in production does.

    Workers of some systems end when their server is gone for longer than they care to wait.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(daemon=True)
        self.started = 0
        self._journal = journal
        self._lock = Lock()
        self._is_stopped = False
        self._process = self._run()
        self.start()

    def run(self) -> None:
        """See Thread."""
        while True:
            self._process.wait()
            time.sleep(RESTART_S)
            with self._lock:
                if self._is_stopped:
                    return
                self._process = self._run()

    def stop(self) -> None:
        """Kill the worker, and start none."""
        with self._lock:
            self._is_stopped = True
            self._process.kill()
            self._process.wait()

    def _run(self) -> subprocess.Popen[bytes]:
        self.started += 1
        environment = {**os.environ, "JOURNAL": str(self._journal)}
        with open(self._journal.with_name("log"), "ab") as log:
            return subprocess.Popen(
                [sys.executable, *sys.argv], env=environment, stdout=log, stderr=subprocess.STDOUT
            )


def produce(enqueue: Callable[[int], object], *, workers: int = 2, twice_max: int, lost_max: int = 0) -> None:
    """Let workers run all jobs, with a kill in the middle.

    Fails where a job has no run, or more than `twice_max` runs are not the first of their job, or more than
    `lost_max` jobs had to be enqueued again because nobody ran them.
    """
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "journal")
        journal.touch()
        supervisors = [_Supervisor(journal) for _ in range(workers)]
        failed = False
        try:
            _produce(enqueue, journal, twice_max, lost_max)
        except Exception:
            traceback.print_exc(limit=-2)
            started = [supervisor.started for supervisor in supervisors]
            print(f"the workers, which were started {started} times, said at last:", file=sys.stderr)
            print(Path(folder, "log").read_text(errors="replace")[-LOG_CHARACTERS:], file=sys.stderr)
            sys.stderr.flush()
            failed = True
        finally:
            for supervisor in supervisors:
                supervisor.stop()
    if failed:
        os._exit(1)  # what libraries complain of at their end would hide why


def _produce(enqueue: Callable[[int], object], journal: Path, twice_max: int, lost_max: int) -> None:
    again = Counter[int]()

    def enqueue_all(numbers: list[int]) -> None:
        for number in numbers:
            while True:
                try:
                    enqueue(number)
                    break
                except Exception as error:  # each library has errors of its own for a connection
                    print("enqueued again:", number, repr(error)[:200], file=sys.stderr)
                    again[number] += 1
                    assert again[number] < 100, error
                    time.sleep(0.2)

    producer = Thread(target=enqueue_all, args=[list(range(JOBS))], daemon=True)
    producer.start()
    _wait(journal, JOBS // 4)
    halfway()
    producer.join(DEADLINE_S)
    assert not producer.is_alive(), f"not all jobs are enqueued after {DEADLINE_S} s"
    lost = _wait(journal, JOBS, QUIET_S)
    assert len(lost) <= lost_max, f"nobody ran {len(lost)} jobs: {lost[:20]}"
    enqueue_all(lost)
    assert not _wait(journal, JOBS, QUIET_S), "nobody ran a job that was enqueued again"
    runs = _runs(journal)
    twice = sum(runs.values()) - JOBS
    assert set(runs) == set(range(JOBS)), "a job that nobody enqueued"
    assert twice <= twice_max, f"{twice} runs too many"
    retries = sum(again.values())
    print(f"{JOBS} jobs, {twice} run twice, {len(lost)} lost and enqueued again, {retries} retries")


def _runs(journal: Path) -> Counter[int]:
    return Counter(map(int, journal.read_bytes().split()))


def _wait(journal: Path, count: int, quiet_s: float = DEADLINE_S) -> list[int]:
    """Wait until so many jobs were run.  Returns those that were not, when nothing more happens."""
    started = changed = time.monotonic()
    done = 0
    while True:
        runs = _runs(journal)
        if len(runs) >= count:
            return []
        if len(runs) != done:
            done, changed = len(runs), time.monotonic()
        now = time.monotonic()
        assert now < started + DEADLINE_S, f"{done} jobs are done after {DEADLINE_S} s"
        if now > changed + quiet_s and done:
            return [number for number in range(JOBS) if number not in runs]
        time.sleep(0.05)
