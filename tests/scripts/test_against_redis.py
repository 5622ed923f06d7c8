"""Every script of corpus.lua answers as redis-server does."""

from __future__ import annotations

import re
from pathlib import Path

import hiredis
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, Reply
from epaxos.scripts.engine import Engine
from tests.resp.reference import RealRedis
from tests.scripts.lab import ARGUMENTS, KEYS, run

CORPUS = Path(__file__).with_name("corpus.lua")


def scripts() -> list[bytes]:
    """The scripts of the corpus, without the comment before them."""
    return CORPUS.read_bytes().split(b"\n%%\n")[1:-1]


def plain(reply: Reply) -> object:
    """As the reader of RESP2 gives it, errors as text; addresses are the same."""
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    if isinstance(reply, (CommandError, str)):
        reply = str(reply).encode()
    return re.sub(rb"0x[0-9a-f]{12}", b"0x", reply) if isinstance(reply, bytes) else reply


class CorpusTests(SynchronousTestCase):
    def test_as_redis(self) -> None:
        real = RealRedis()
        self.addCleanup(real.close)
        link = real.dial()
        self.addCleanup(link.close)
        reader = hiredis.Reader(replyError=CommandError)
        engine = Engine()

        def ask(*words: bytes) -> Reply:
            parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
            link.sendall(b"*%d\r\n%b" % (len(words), b"".join(parts)))
            while (reply := reader.gets()) is False:
                reader.feed(link.recv(65536))
            return reply  # type: ignore[no-any-return]

        for text in scripts():
            ask(b"FLUSHALL")
            theirs = plain(ask(b"EVAL", text, b"%d" % len(KEYS), *KEYS, *ARGUMENTS))
            self.assertEqual(plain(run(engine, text).reply), theirs, text)
