"""A digest of a state machine's state, computed in small steps so that the event loop goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import blake2b

from twisted.internet.defer import Deferred, succeed

from epaxos.interfaces import ITimeoutService

__all__ = ["StateDigest", "digest_of"]

STEP_S = 0.005
"""A step takes about this time, and then everything else gets its turn."""
PORTIONS_PER_STEP = 16
"""A step takes no more portions than this, whatever the clock says."""
PORTION_BYTES = 256 << 10
"""What is computed between two looks at the clock: about half a millisecond."""
ENTRY_BYTES = 1000
"""An entry takes as long as this number of bytes, beside its value."""
BITS = 128


def _sums(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[int]:
    """Numbers, one for each portion, whose sum is the digest.  A long value is part of several portions."""
    total = size = 0
    for key, value in entries:
        hashed = blake2b(len(key).to_bytes(8, "big") + key, digest_size=BITS // 8)
        size += ENTRY_BYTES + len(value)
        if len(value) > PORTION_BYTES:
            whole = memoryview(value)
            for start in range(0, len(value), PORTION_BYTES):
                hashed.update(whole[start : start + PORTION_BYTES])
                yield 0
        else:
            hashed.update(value)
        total += int.from_bytes(hashed.digest(), "big")
        if size >= PORTION_BYTES:
            yield total
            total = size = 0
    yield total


def _text(total: int) -> str:
    return f"{total % (1 << BITS):0{BITS // 4}x}"


def digest_of(entries: Iterable[tuple[bytes, bytes]]) -> str:
    """The digest, a hex string: equal for equal sets of entries, in whatever order."""
    return _text(sum(_sums(entries)))


class _Job:
    """The digest of one version of the state, and who waits for it."""

    def __init__(self, version: int, entries: Iterable[tuple[bytes, bytes]]) -> None:
        self.version = version
        self.sums = _sums(entries)
        self.total = 0
        self.waiting: deque[Deferred[str]] = deque()


class StateDigest:
    """The digest of the newest state, remembered until the state changes.

    Digests are computed one after the other, in the order in which they were asked for: several that
    went on at once would stop everything else for several steps in a row.

    A Deferred may be cancelled.  A digest that nobody waits for is dropped at once, with the snapshot that
    it reads; so there are no more snapshots than there are Deferreds that wait.
    """

    def __init__(self, timeouts: ITimeoutService) -> None:
        self._timeouts = timeouts
        self._version: int | None = None
        self._digest = ""
        self._jobs: deque[_Job] = deque()
        self._goes_on = False  # a step is going to be called

    def of(self, version: int, entries: Callable[[], Iterable[tuple[bytes, bytes]]]) -> Deferred[str]:
        """The digest of `entries()` as they are now; `version` changes whenever they may have."""
        if version == self._version:
            return succeed(self._digest)
        if self._jobs and self._jobs[-1].version == version:
            return self._wait_for(self._jobs[-1])
        job = _Job(version, entries())
        result = self._wait_for(job)
        self._jobs.append(job)
        if not self._goes_on:
            self._step()
        return result

    def _wait_for(self, job: _Job) -> Deferred[str]:
        result: Deferred[str] = Deferred(partial(self._give_up, job))
        job.waiting.append(result)
        return result

    def _give_up(self, job: _Job, result: Deferred[str]) -> None:
        """The result is cancelled.  A job whose digest is being told is not among the jobs any more."""
        job.waiting.remove(result)
        if not job.waiting and job in self._jobs:
            self._jobs.remove(job)

    def _step_later(self) -> None:
        self._goes_on = True
        self._timeouts.call_later(0, self._step)

    def _step(self) -> None:
        self._goes_on = False
        if not self._jobs:
            return
        job = self._jobs[0]
        ends = self._timeouts.now() + STEP_S
        for number, some in enumerate(job.sums, 1):
            job.total += some
            if number == PORTIONS_PER_STEP or self._timeouts.now() >= ends:
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
