"""Replies that are kept come back as they were."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError, NilArray, ReplyByKey, ReplyMap, ReplyPairs, ReplySet, SimpleString
from epaxos.statemachines.once.replies import REPLY_BYTES_MAX, decode_reply, encode_reply

PLAIN = st.one_of(
    st.none(),
    st.integers(),
    st.binary(max_size=40),
    st.floats(allow_nan=False),
    st.text(max_size=20).map(SimpleString),
    st.text(max_size=20).map(CommandError),
)
REPLIES = st.recursive(
    PLAIN,
    lambda inner: st.builds(
        lambda kind, elements: kind(elements),
        st.sampled_from([list, ReplyByKey, ReplyMap, ReplyPairs, ReplySet, NilArray]),
        st.lists(inner, max_size=5),
    ),
    max_leaves=20,
)


def comparable(reply: Any) -> Any:
    if isinstance(reply, list):
        return (type(reply), [comparable(one) for one in reply])
    return (type(reply), str(reply) if isinstance(reply, CommandError) else reply)


class ReplyTests(SynchronousTestCase):
    @given(REPLIES)
    def test_back_and_forth(self, reply: Any) -> None:
        data = encode_reply(reply)
        if data is not None:
            self.assertEqual(comparable(decode_reply(data)), comparable(reply))

    @given(st.binary(max_size=60))
    def test_nonsense_is_an_error(self, data: bytes) -> None:
        try:
            reply = decode_reply(data)
        except ValueError:
            return
        self.assertIsInstance(reply, (type(None), int, bytes, str, CommandError, list))

    def test_what_is_too_long(self) -> None:
        head = len(b"$1024\n")
        self.assertEqual(len(encode_reply(b"x" * (REPLY_BYTES_MAX - head)) or b""), REPLY_BYTES_MAX)
        long: list[Any] = [
            b"x" * (REPLY_BYTES_MAX - head + 1), [b"x" * 500] * 3, [None] * 600, "x" * 1024, 2**9000,
            CommandError("é" * 600), [[None] * 300, [None] * 300],
        ]  # fmt: skip
        for reply in long:
            self.assertIsNone(encode_reply(reply))

    def test_an_error_that_is_no_text(self) -> None:
        """As a connection writes it: the bytes of a client stay, other surrogates are replaced."""
        for text, kept in (("ERR \udcff", "ERR \udcff"), ("ERR \ud800", "ERR ?")):
            data = encode_reply([CommandError(text)])
            assert data is not None
            self.assertEqual(comparable(decode_reply(data)), (list, [(CommandError, kept)]))

    def test_deep_lists(self) -> None:
        deep: Any = None
        for _ in range(300):
            deep = [deep]
        data = encode_reply(deep)
        assert data is not None
        self.assertEqual(encode_reply(decode_reply(data)), data)
