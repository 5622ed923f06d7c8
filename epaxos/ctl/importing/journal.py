"""What an import has done so far, in a file, so that the same command goes on where it was.

A line of JSON for each page: the cursor before it, and digests of the keys that the import is about to write.
A key of the file may be there already because the import has written it, so it is written again, and does not
count as a key of somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

__all__ = ["Journal", "JournalError"]

DIGEST_BYTES = 8
"""Of a key: among 100 000 000 keys two have the same digest with a chance of 1 : 3 700."""


class JournalError(Exception):
    """The file is that of another import, or no journal.  The text is one line."""


def _digest(key: bytes) -> str:
    return blake2b(key, digest_size=DIGEST_BYTES).hexdigest()


class Journal:
    """The journal in the file `path`, which need not be there.

    `what`: where from, where to, and how.  `run_id`: of the source.  A context manager, which closes it.
    Raises JournalError, OSError.
    """

    def __init__(self, path: Path, what: dict[str, Any], run_id: str) -> None:
        self.path = path
        self.cursor = b"0"
        """Where to go on."""
        self._own: set[int] = set()
        is_new = not path.exists()
        if not is_new:
            self._read(what, run_id)
        self._file: IO[str] = path.open("a", encoding="utf-8")
        if is_new:
            self._write({"import": what})
        self._write({"run": run_id})

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self, what: dict[str, Any], run_id: str) -> None:
        head, *lines = self.path.read_text(encoding="utf-8").split("\n")
        if _parsed(head).get("import") != what:
            raise JournalError(
                f"{self.path} is the journal of another import: remove it, or name another one by --journal"
            )
        run = ""
        for document in map(_parsed, lines[:-1]):  # behind the last line feed is nothing, or a torn line
            if "run" in document:
                self._begin_run(run, document["run"])
                run = document["run"]
            elif "cursor" in document:
                self.cursor = document["cursor"].encode()
                self._own.update(int(digest, 16) for digest in document["keys"])
        self._begin_run(run, run_id)
        if lines and lines[-1]:
            self.path.write_text("\n".join([head, *lines[:-1], ""]), encoding="utf-8")

    def _begin_run(self, before: str, run_id: str) -> None:
        """Another start of the source gives its cursors another meaning."""
        if before != run_id:
            self.cursor = b"0"

    def is_own(self, key: bytes) -> bool:
        """Whether this import writes the key, or has done so."""
        return int(_digest(key), 16) in self._own

    def begin(self, cursor: bytes, keys: Iterable[bytes]) -> None:
        """The import is about to write these keys, which the source has behind `cursor`."""
        digests = [_digest(key) for key in keys]
        self._own.update(int(digest, 16) for digest in digests)
        self._write({"cursor": cursor.decode(), "keys": digests})

    def _write(self, document: dict[str, Any]) -> None:
        self._file.write(json.dumps(document, separators=(",", ":")) + "\n")
        self._file.flush()

    def remove(self) -> None:
        """The import is done."""
        self.path.unlink(missing_ok=True)


def _parsed(line: str) -> dict[str, Any]:
    """The document of a line; empty when it is none."""
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
