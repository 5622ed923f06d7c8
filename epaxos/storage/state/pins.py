"""Keeps files of the state that other replicas read, though this one does not need them any more.

An offer of the state pins the files that it names, all of them together: for PINNED_S after the offer, and
again after each read of one of them.  Offers of the same files share a pin.  The event loop pins and reads;
the writer's thread asks before it removes a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from errno import EIO
from pathlib import Path
from threading import RLock
from time import monotonic

__all__ = ["Pins"]

PINNED_S = 60
"""For this time, in seconds, the files of an offer are kept after it, and after each read of one of them."""


class Pins:
    """The files that are pinned.  Every method may be called by any thread; those that read raise OSError.

    `lock` is held while a list of files is looked up and pinned, so that none of them is removed between.
    `clock`: the time in seconds, which never goes back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.lock = RLock()
        self._clock = clock
        self._ends: dict[frozenset[Path], float] = {}
        self._lengths: dict[Path, int] = {}
        self._descriptors: dict[Path, int] = {}

    def pin(self, lengths: Mapping[Path, int]) -> None:
        """The files were offered, with as many bytes of each."""
        with self.lock:
            self._expire()
            self._ends[frozenset(lengths)] = self._clock() + PINNED_S
            for path, length in lengths.items():
                self._lengths[path] = max(length, self._lengths.get(path, 0))

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """At most `size` bytes of the file, none behind those that were offered; none when it is not pinned.

        Raises OSError.
        """
        with self.lock:
            self._expire()
            size = min(size, self._lengths.get(path, 0) - offset)
            if size <= 0 or offset < 0:
                return b""
            end = self._clock() + PINNED_S
            self._ends = {files: end if path in files else was for files, was in self._ends.items()}
            if path not in self._descriptors:
                self._descriptors[path] = os.open(path, os.O_RDONLY)
            data = os.pread(self._descriptors[path], size, offset)
            if len(data) < size:
                raise OSError(EIO, "it has become shorter")
            return data

    def pinned(self, paths: Iterable[Path]) -> set[Path]:
        """Those of `paths` that are pinned."""
        with self.lock:
            self._expire()
            return self._lengths.keys() & set(paths)

    def release(self, paths: Iterable[Path]) -> None:
        """End every pin that one of `paths` is in."""
        with self.lock:
            gone = set(paths)
            self._ends = {files: end for files, end in self._ends.items() if gone.isdisjoint(files)}
            self._expire()

    def next_end_s(self) -> float:
        """The seconds until a pin ends if nothing is read any more; 0 when there is none."""
        with self.lock:
            return max(0.0, min(self._ends.values(), default=0.0) - self._clock())

    def close(self) -> None:
        """End all pins."""
        with self.lock:
            self._ends = {}
            self._expire()

    def _expire(self) -> None:
        now = self._clock()
        self._ends = {files: end for files, end in self._ends.items() if end > now}
        for path in self._lengths.keys() - set().union(*self._ends):
            del self._lengths[path]
            descriptor = self._descriptors.pop(path, None)
            if descriptor is not None:
                os.close(descriptor)
