"""`make longrun HOURS=…`: real processes under random faults for hours, judged window by window.

A window is a minute in which clients work and faults happen.  Then clients rest, all replicas have to come
to the same state, the last writes are read back, and the history of the window is judged and dropped, so that
memory is bounded, whatever HOURS is.  The first violation ends the run.

The folder OUT then holds summary.json, plot.svg, faults.jsonl (every fault), and after a violation
violation.txt and the logs of the replicas.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from random import SystemRandom
from threading import Event, Thread
from typing import Any

from epaxos.verify.judges import model
from epaxos.verify.judges.history import Operation, Outcome
from epaxos.verify.simulation.dice import Dice
from tests.cluster.harness import Cluster
from tests.cluster.nemesis import Fault, LinkFaults, Nemesis, Operators, ProcessFaults
from tests.cluster.plot import plot
from tests.cluster.record import Findings, judge_all
from tests.cluster.workload import Workload, percentile_ms, raw_client

__all__ = ["LongRun", "main"]

WINDOW_S = 60.0
SAMPLES_MAX = 600
MARKS_MAX = 4000
"""Faults in the picture, at most.  All are counted."""
LOG_BYTES_MAX = 4_000_000
MB = 1e6
BAD_WORDS = ("Traceback", "Unhandled", "internal error")
"""Texts that must not be in the log of a replica, whatever happens to it."""
SETTINGS = "[limits]\nrequest_timeout_s = 4\nkeep_instances = 1000\n"
"""So little is kept that epochs end by themselves, too, while a replica is away."""
STATUS_OF = {"no violation": 0, "VIOLATION": 1, "UNDECIDED": 3}


class Sampler:
    """Samples the resources and the speed of the processes at intervals."""

    def __init__(self, cluster: Cluster, workload: Workload, interval_s: float) -> None:
        self.samples: list[dict[str, Any]] = []
        self._cluster = cluster
        self._workload = workload
        self._interval_s = interval_s
        self._begin = self._last = time.monotonic()
        self._answered = 0
        self._latencies = list(workload.counters.latencies)
        self._over = Event()
        self._thread = Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self._interval_s):
            self._sample()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._sample()

    def _sample(self) -> None:
        now = time.monotonic()
        counters = self._workload.counters
        with counters.lock:
            answered, latencies = counters.answered, list(counters.latencies)
        new = [after - before for after, before in zip(latencies, self._latencies)]
        cluster = self._cluster
        processes = dict(cluster.processes)
        pids = [processes[id].pid if id in processes else None for id in range(cluster.n)]
        self.samples.append(
            {
                "at_s": round(now - self._begin, 1),
                "per_s": round((answered - self._answered) / (now - self._last), 1),
                "p50_ms": round(percentile_ms(new, 0.5), 2) if any(new) else None,
                "p99_ms": round(percentile_ms(new, 0.99), 2) if any(new) else None,
                "rss_mb": [None if pid is None else _rss_mb(pid) for pid in pids],
                "disk_mb": [_size_mb(cluster.data(id)) for id in range(cluster.n)],
                "own_rss_mb": _rss_mb(os.getpid()),
            }
        )
        self._last, self._answered, self._latencies = now, answered, latencies


def _keep_quiet() -> None:
    """In the process of the judge: give way to all others, and ignore Ctrl-C."""
    os.nice(5)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _interrupts(judge: ProcessPoolExecutor, noted: Event) -> Iterator[None]:
    """Note Ctrl-C instead of raising, so that a run ends in order.  Processes that start meanwhile do not
    get it.

    They inherit that it is blocked; the threads of the judge, which are older, do not.
    """
    judge.submit(os.getpid).result()
    before = signal.signal(signal.SIGINT, lambda *_: noted.set())
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, before)


def _rss_mb(pid: int) -> float | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None  # the process has just ended
    return round(pages * os.sysconf("SC_PAGE_SIZE") / MB, 1)


def _size_mb(folder: Path) -> float:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # LevelDB removes files at any time
            size += path.stat().st_size
    return round(size / MB, 2)


class LongRun:
    """One run; `run` returns its summary."""

    def __init__(
        self,
        hours: float,
        n: int,
        seed: int,
        out: Path,
        *,
        transport: str = "tcp",
        window_s: float = WINDOW_S,
        think_s: float = 0.005,
    ) -> None:
        self._duration_s = hours * 3600
        self._n = n
        self._seed = seed
        self._out = out
        self._transport = transport
        self._window_s = window_s
        self._think_s = think_s
        self._faults: Counter[str] = Counter()
        self._marks: list[tuple[str, str, float, float]] = []
        self._wrong: list[str] = []
        self._bad = Event()
        self._interrupted = Event()
        self._windows = self._undecided = self._judged = self._steps = 0
        self._keys_in_doubt = self._epoch = 0
        self._judging: Future[Findings] | None = None
        self._log_read = dict.fromkeys(range(n), 0)
        self._begin = time.monotonic()

    # -- the run

    def run(self) -> dict[str, Any]:
        """Run until the time is over, a violation is found, or Ctrl-C is pressed."""
        self._out.mkdir(parents=True, exist_ok=True)
        (self._out / "faults.jsonl").write_text("")
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        clients = max(1, 10 // self._n)
        with (
            ProcessPoolExecutor(1, get_context("spawn"), _keep_quiet) as judge,
            _interrupts(judge, self._interrupted),
            Cluster(self._n, SETTINGS, self._transport, linked=True) as cluster,
        ):
            self._cluster = cluster
            self._judge = judge
            cluster.start().ready(timeout_s=60)
            self._begin = time.monotonic()
            workload = Workload(cluster.redis_ports, seed=self._seed, clients=clients, think_s=self._think_s)
            with workload:
                self._workload = workload
                sampler = Sampler(cluster, workload, max(1.0, self._duration_s / SAMPLES_MAX))
                self._run_windows()
                sampler.stop()
            self._stop_all()
            if self._wrong:
                self._save_evidence()
            summary = {"started": started, **self._summary(sampler)}
        (self._out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        (self._out / "plot.svg").write_text(plot(summary))
        return summary

    def _run_windows(self) -> None:
        dice = {name: Dice(self._seed, name) for name in ("processes", "links", "operators")}
        nemeses = [
            Nemesis(name, self._cluster, dice[name], family, happened=self._on_fault, failed=self._on_wrong)
            for name, family in (
                ("processes", ProcessFaults),
                ("links", LinkFaults),
                ("operators", Operators),
            )
        ]
        deadline = self._begin + self._duration_s
        while time.monotonic() < deadline and not (self._bad.is_set() or self._interrupted.is_set()):
            for nemesis in nemeses:
                nemesis.begin()
            self._wait(min(time.monotonic() + self._window_s, max(deadline, time.monotonic() + 1)))
            try:
                for nemesis in nemeses:
                    nemesis.end()
                if not self._bad.is_set():
                    self._end_window()
            except Exception as error:
                self._on_wrong(f"at rest: {type(error).__name__}: {error}")
            self._show()
        try:
            self._take_findings()
        except Exception as error:
            self._on_wrong(f"the judge failed: {type(error).__name__}: {error}")

    def _wait(self, until: float) -> None:
        """Wait, and return early after a violation or Ctrl-C."""
        while time.monotonic() < until and not self._bad.wait(0.5) and not self._interrupted.is_set():
            continue

    def _end_window(self) -> None:
        """Let everything rest, compare the states, read back, and give the history to the judge."""
        workload = self._workload
        workload.settle(self._cluster)
        self._epoch = self._cluster.settled()
        self._check_logs()
        self._take_findings()
        operations, recorder = workload.recorder.operations(), workload.recorder
        self._judging = self._judge.submit(
            judge_all, operations, recorder.keys_before, recorder.keys_in_doubt
        )
        self._begin_anew(operations)

    def _begin_anew(self, operations: list[Operation]) -> None:
        """Empty the database.  Operations of unknown outcome may still create keys after that."""
        self._windows += 1
        self._keys_in_doubt += sum(
            len(model.keys_of(operation.command) or ())
            for operation in operations
            if operation.outcome is Outcome.UNKNOWN and not model.is_read(operation.command)
        )
        client = raw_client(self._cluster.redis_ports[self._windows % self._n], 20)
        client.execute_command("FLUSHDB")
        client.close()
        self._workload.begin_stretch(0, self._keys_in_doubt)
        self._workload.go()

    def _take_findings(self) -> None:
        """Take the judgement of the window before."""
        if self._judging is None:
            return
        findings = self._judging.result()
        self._judging = None
        self._undecided += findings.undecided
        self._judged += findings.operations
        self._steps += findings.steps
        for text in findings.wrong:
            self._on_wrong(text)

    def _stop_all(self) -> None:
        """Stop every replica; each must end with status 0, unless there was a violation before."""
        if self._wrong:
            return
        for id in list(self._cluster.processes):
            status = self._cluster.terminate(id, timeout_s=30)
            if status != 0:
                self._on_wrong(f"replica {id} ended with status {status} at the end")
        self._check_logs()

    # -- what happens

    def _on_fault(self, fault: Fault) -> None:
        self._faults[fault.kind] += 1
        began_s, ended_s = (round(moment - self._begin, 2) for moment in (fault.began_s, fault.ended_s))
        mark = (fault.kind, fault.where, began_s, ended_s)
        if len(self._marks) < MARKS_MAX:
            self._marks.append(mark)
        with (self._out / "faults.jsonl").open("a") as file:
            file.write(json.dumps(mark) + "\n")

    def _on_wrong(self, text: str) -> None:
        self._wrong.append(text)
        self._bad.set()

    def _check_logs(self) -> None:
        """Check that no log has a forbidden text.  Empty logs that have grown long."""
        for id, begin in self._log_read.items():
            path = self._cluster.log_file(id)
            with path.open("rb") as file:
                file.seek(begin)
                said = file.read().decode(errors="replace")
                self._log_read[id] = file.tell()
            for word in BAD_WORDS:
                if word in said:
                    self._on_wrong(
                        f"replica {id} says {word!r}: {said[max(0, said.index(word) - 500) :][:3000]}"
                    )
            if self._log_read[id] > LOG_BYTES_MAX and not self._wrong:
                os.truncate(path, 0)
                self._log_read[id] = 0

    def _save_evidence(self) -> None:
        (self._out / "violation.txt").write_text("\n\n".join(self._wrong) + "\n")
        logs = self._out / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir()
        for path in self._cluster.folder.glob("replica-*"):
            shutil.copy(path, logs)

    # -- what is said

    def _show(self) -> None:
        counters = self._workload.counters
        passed = timedelta(seconds=int(time.monotonic() - self._begin))
        processes = self._cluster.processes
        rss = "/".join(f"{_rss_mb(processes[id].pid) or 0:.0f}" for id in sorted(processes))
        disk = "/".join(f"{_size_mb(self._cluster.data(id)):.0f}" for id in range(self._n))
        faults = sum(self._faults.values())
        print(
            f"{passed} of {timedelta(seconds=int(self._duration_s))}: {self._windows} windows,"
            f" {counters.answered} acknowledged, {counters.unknown} unknown, {faults} faults,"
            f" epoch {self._epoch},"
            f" longest gap {counters.longest_gap_s:.1f} s, RSS {rss} MB, disk {disk} MB,"
            f" {'WRONG: ' + self._wrong[0][:300] if self._wrong else 'all well'}",
            flush=True,
        )

    def _summary(self, sampler: Sampler) -> dict[str, Any]:
        counters = self._workload.counters
        samples = sampler.samples
        verdict = "VIOLATION" if self._wrong else "UNDECIDED" if self._undecided else "no violation"
        rss = [value for sample in samples for value in sample["rss_mb"] if value is not None]
        return {
            "verdict": verdict,
            "violations": [text[:2000] for text in self._wrong],
            "n": self._n,
            "seed": self._seed,
            "transport": self._transport,
            "duration_s": round(time.monotonic() - self._begin, 1),
            "windows": self._windows,
            "epoch": self._epoch,
            "operations": {
                "called": counters.called,
                "acknowledged": counters.answered,
                "unknown": counters.unknown,
                "refused": counters.refused,
                "judged": self._judged,
                "search_steps": self._steps,
                "groups_undecided": self._undecided,
            },
            "faults": dict(sorted(self._faults.items())),
            "restarted_after_a_kill_from_outside": self._cluster.revived,
            "gaps": {
                "longest_s": round(counters.longest_gap_s, 2),
                "over_1_s": counters.gaps_over_1_s,
            },
            "latency_ms": {
                "p50": round(percentile_ms(counters.latencies, 0.5), 2),
                "p99": round(percentile_ms(counters.latencies, 0.99), 2),
                "max": round(counters.latency_max_ms, 1),
            },
            "rss_mb_max": max(rss, default=None),
            "own_rss_mb_max": max(sample["own_rss_mb"] for sample in samples),
            "disk_mb_max": max((value for sample in samples for value in sample["disk_mb"]), default=None),
            "samples": samples,
            "fault_marks": self._marks,
        }


def _say(summary: dict[str, Any], out: Path) -> None:
    """Print the summary without its long lists."""
    for key, value in summary.items():
        if key not in ("samples", "fault_marks", "violations"):
            print(f"{key}: {value if not isinstance(value, dict) else json.dumps(value)}")
    for text in summary["violations"]:
        print(f"\n{text}")
    print(f"\n{summary['verdict']}; see {out}/summary.json and {out}/plot.svg", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.  Its exit status: 0; 1 after a violation; 3 when a search was given up."""
    parser = argparse.ArgumentParser(prog="make longrun", description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=float, default=0.5, help="how long (0.5)")
    parser.add_argument("--n", type=int, default=3, help="how many replicas (3)")
    parser.add_argument("--seed", type=int, help="of the faults and the clients; random if not given")
    parser.add_argument("--transport", choices=("tcp", "udp"), default="tcp", help="between replicas (tcp)")
    parser.add_argument("--out", type=Path, help="the folder for the results (longrun-SEED)")
    parser.add_argument("--window-s", type=float, default=WINDOW_S, help="how long between two rests (60)")
    options = parser.parse_args(arguments)
    if not 2 <= options.n <= 9:
        parser.error("--n: from 2 to 9, so that there are links")
    seed = SystemRandom().randrange(1_000_000_000) if options.seed is None else options.seed
    out = options.out or Path(f"longrun-{seed}")
    print(
        f"{options.hours:g} hours, {options.n} replicas, {options.transport}, SEED={seed}, results in {out}",
        flush=True,
    )
    run = LongRun(options.hours, options.n, seed, out, transport=options.transport, window_s=options.window_s)
    summary = run.run()
    _say(summary, out)
    return STATUS_OF[summary["verdict"]]


if __name__ == "__main__":
    sys.exit(main())
