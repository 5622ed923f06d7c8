"""A digest of the state machine's state, computed in small steps so that other work runs between them.

The digest is the sum of the hashes of all entries, so their order does not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import blake2b

from twisted.internet.defer import Deferred, succeed

from epaxos.interfaces import ITimeoutService

__all__ = ["StateDigest", "digest_of"]

STEP_S = 0.005
"""The time, in seconds, after which a step ends and other work runs."""
QUANTA_PER_STEP = 16
"""The largest number of quanta in a step, whatever the clock says."""
QUANTUM_BYTES = 256 << 10
"""The quantum, which is the work between two looks at the clock: about half a millisecond."""
ENTRY_BYTES = 1000
"""The cost of an entry beside its value, as the number of bytes that take as long to hash."""
BITS = 128


def _sums(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[int]:
    """Numbers, one for each quantum of work, whose sum is the digest.

    A quantum is several entries, or a slice of one long value.
    """
    total = size = 0
    for key, value in entries:
        hashed = blake2b(len(key).to_bytes(8, "big") + key, digest_size=BITS // 8)
        if len(value) > QUANTUM_BYTES:
            whole = memoryview(value)
            for start in range(0, len(value), QUANTUM_BYTES):
                hashed.update(whole[start : start + QUANTUM_BYTES])
                yield 0
        else:  # most values: a loop for them would cost a quarter more
            hashed.update(value)
        total += int.from_bytes(hashed.digest(), "big")
        size += ENTRY_BYTES + len(value)
        if size >= QUANTUM_BYTES:
            yield total
            total = size = 0
    yield total


def _text(total: int) -> str:
    return f"{total % (1 << BITS):0{BITS // 4}x}"


def digest_of(entries: Iterable[tuple[bytes, bytes]]) -> str:
    """The digest of the entries, a hex string: equal for equal sets of entries, in any order."""
    return _text(sum(_sums(entries)))


class _Job:
    """The digest of one version of the state while it is computed, and the Deferreds that wait."""

    def __init__(self, version: int, entries: Iterable[tuple[bytes, bytes]]) -> None:
        self.version = version
        self.sums = _sums(entries)
        self.total = 0
        self.waiting: deque[Deferred[str]] = deque()


class StateDigest:
    """Computes digests, and remembers that of the newest state.

    Digests are computed one after the other, in the order in which they were asked for, because
    several at once would stop everything else for several steps in a row.

    A Deferred may be cancelled.  A digest that nobody waits for is dropped at once, with the
    snapshot that it reads.  So there are no more snapshots than waiting Deferreds.

    `pause_s`: seconds between two steps, for those whom a digest must not slow down.
    """

    def __init__(self, timeouts: ITimeoutService, pause_s: float = 0) -> None:
        self._timeouts = timeouts
        self._pause_s = pause_s
        self._version: int | None = None
        self._digest = ""
        self._jobs: deque[_Job] = deque()
        self._is_step_due = False  # a call of `_step` is scheduled

    def of(self, version: int, entries: Callable[[], Iterable[tuple[bytes, bytes]]]) -> Deferred[str]:
        """The digest of `entries()` as they are now; `version` differs whenever they may."""
        if version == self._version:
            return succeed(self._digest)
        if self._jobs and self._jobs[-1].version == version:
            return self._wait_for(self._jobs[-1])
        job = _Job(version, entries())
        result = self._wait_for(job)
        self._jobs.append(job)
        if not self._is_step_due:
            self._step()
        return result

    def _wait_for(self, job: _Job) -> Deferred[str]:
        result: Deferred[str] = Deferred(partial(self._give_up, job))
        job.waiting.append(result)
        return result

    def _give_up(self, job: _Job, result: Deferred[str]) -> None:
        """`result` is cancelled.  When it is one of several that are being fired, the job is no
        longer in the queue."""
        job.waiting.remove(result)
        if not job.waiting and job in self._jobs:
            self._jobs.remove(job)

    def _step_later(self) -> None:
        self._is_step_due = True
        self._timeouts.call_later(self._pause_s, self._step)

    def _step(self) -> None:
        self._is_step_due = False
        if not self._jobs:
            return
        job = self._jobs[0]
        ends = self._timeouts.now() + STEP_S
        for number, addend in enumerate(job.sums, 1):
            job.total += addend
            if number == QUANTA_PER_STEP or self._timeouts.now() >= ends:
                self._step_later()
                return
        self._jobs.popleft()
        if self._jobs:
            self._step_later()
        self._version = job.version
        self._digest = _text(job.total)
        digest = self._digest
        while job.waiting:
            job.waiting.popleft().callback(digest)
