"""The first line of a script that begins with `#!`, as Redis 7 reads it: the engine, and flags."""

from __future__ import annotations

from typing import NamedTuple

from epaxos.interfaces import CommandError
from epaxos.interfaces.redis import text_of

__all__ = ["Text", "body_of"]

FLAGS = {b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys"}


class Text(NamedTuple):
    """What Lua is given, its lines with their numbers, and whether the script says that it writes nothing, or
    that it may run where memory is short."""

    lua: bytes
    reads_only: bool
    allows_oom: bool = False


def body_of(text: bytes) -> Text:
    """`text` without its first line when that is a shebang.  Raises CommandError, in Redis' words."""
    if not text.startswith(b"#!"):
        return Text(text, False)
    line, newline, rest = text.partition(b"\n")
    if not newline:
        raise CommandError("ERR Invalid script shebang")
    words = line.split()
    if words[0] != b"#!lua":
        raise CommandError(f"ERR Unexpected engine in script shebang: {text_of(words[0])}")
    flags: set[bytes] = set()
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise CommandError(f"ERR Unknown lua shebang option: {text_of(word)}")
        for flag in filter(None, word[6:].split(b",")):
            if flag not in FLAGS:
                raise CommandError(f"ERR Unexpected flag in script shebang: {text_of(flag)}")
            flags.add(flag)
    return Text(b"\n" + rest, b"no-writes" in flags, b"allow-oom" in flags)
