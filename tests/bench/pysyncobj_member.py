"""One process of a PySyncObj cluster, which also makes the load: `python -m tests.bench.pysyncobj_member`.

PySyncObj is a library, so its clients are in its processes; each command's callback begins the next.
"""

from __future__ import annotations

import sys
import time
from random import Random
from typing import Any

from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated

from tests.bench.load import KEYS, VALUE_BYTES, told_when

__all__ = ["Member"]


class Member(SyncObj):  # type: ignore[misc]
    """A replicated dict."""

    def __init__(self, address: str, others: list[str], journal: str) -> None:
        super().__init__(address, others, SyncObjConf(journalFile=journal, appendEntriesUseBatch=True))
        self._data: dict[str, str] = {}

    @replicated  # type: ignore[untyped-decorator]
    def put(self, key: str, value: str) -> None:
        """Set the key."""
        self._data[key] = value


class Load:
    """So many commands outstanding, until `end`; counts those answered since `begin`."""

    def __init__(self, member: Member, begin: float, end: float) -> None:
        self._member = member
        self._random = Random(1)
        self._begin, self._end = begin, end
        self.done = 0

    def ask(self) -> None:
        """One more command."""
        key = f"key:{self._random.randrange(KEYS):012d}"
        self._member.put(key, "v" * VALUE_BYTES, callback=self._on_answer)

    def _on_answer(self, _: Any, error: Any) -> None:
        now = time.monotonic()
        if now < self._end:
            self.done += now >= self._begin and error == FAIL_REASON.SUCCESS
            self.ask()


def main(arguments: list[str]) -> None:
    """The member, from its start to the end of the load."""
    address, *others, journal, outstanding = arguments
    member = Member(address, others, journal)
    while not member.isReady():
        time.sleep(0.01)
    begin, end = told_when()
    load = Load(member, begin, end)
    for _ in range(int(outstanding)):
        load.ask()
    time.sleep(end - time.monotonic() + 0.3)  # others are still being asked
    print(load.done, flush=True)
    member.destroy()


if __name__ == "__main__":
    main(sys.argv[1:])
