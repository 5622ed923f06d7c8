"""Connections of the shared reader that end, or pause."""

from __future__ import annotations

import os
import select
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.net.lab import (
    ReaderCase,
    close,
    half_close,
    reset,
    send,
    turns,
    until,
    wait_for,
)


class EndTests(ReaderCase):
    @inlineCallbacks
    def test_data_then_the_end(self) -> Any:
        """Whatever there is comes first, and the others are not disturbed."""
        other = yield self.connect()
        for size in (0, 1, 65536, 65537, 1_000_000):
            for end in (close, half_close):
                receiver = yield self.connect()
                data = bytes(range(256)) * (size // 256) + bytes(size % 256)
                yield deferToThread(receiver.client.sendall, data)
                end(receiver)
                if size <= 1:
                    wait_for(receiver, select.POLLRDHUP)
                yield until(lambda receiver=receiver: bool(receiver.lost))
                self.assertEqual(b"".join(receiver.shared + receiver.by_twisted), data)
                self.assertEqual(receiver.lost, [ConnectionDone], f"{size} bytes, {end.__name__}")
                self.assertLessEqual(max(map(len, receiver.shared), default=0), 65536)
                send(other, b"x")
                yield until(lambda: bool(other.shared))
                self.group.calls.clear()

    @inlineCallbacks
    def test_reset(self) -> Any:
        receiver, other = yield self.connect_all(self.group, self.group)
        reset(receiver)
        send(other, b"x")
        yield until(lambda: bool(receiver.lost))
        self.assertEqual((receiver.lost, other.shared, other.lost), ([ConnectionLost], [b"x"], []))

    @inlineCallbacks
    def test_closed_here(self) -> Any:
        """While the other end still sends."""
        for how, reason in (("loseConnection", ConnectionDone), ("abortConnection", ConnectionAborted)):
            receiver = yield self.connect()
            send(receiver, b"x")
            getattr(receiver.transport, how)()
            yield until(lambda receiver=receiver: bool(receiver.lost))
            self.assertEqual(receiver.lost, [reason])
            self.assertFalse(self.is_watched())

    @inlineCallbacks
    def test_the_last_one_leaves(self) -> Any:
        """The reactor is not told of a reader that has nothing to read; it may begin anew."""
        for _ in range(2):
            one, two = yield self.connect_all(self.group, self.group)
            self.assertGreaterEqual(self.reader.fileno(), 0)
            close(one)
            yield until(lambda one=one: bool(one.lost))
            self.assertTrue(self.is_watched())
            close(two)
            yield until(lambda two=two: bool(two.lost))
            self.assertFalse(self.is_watched())
            self.assertEqual(self.reader.fileno(), -1)

    @inlineCallbacks
    def test_a_number_that_is_used_again(self) -> Any:
        """Of the socket of a connection that is gone, whether it was read or not."""
        other = yield self.connect()
        for pause in (False, True):
            before = yield self.connect()
            if pause:
                before.source.pauseProducing()
                before.transport.abortConnection()
            close(before)
            yield until(lambda before=before: bool(before.lost))
            again = yield self.connect()
            while again.fd != before.fd:
                again = yield self.connect()
            send(again, b"x")
            send(other, b"y")
            yield until(lambda: bool(self.group.calls))
            (call,) = self.group.calls
            self.assertCountEqual(call, [(again, b"x"), (other, b"y")])
            self.group.calls.clear()

    @inlineCallbacks
    def test_a_socket_that_another_process_still_has(self) -> Any:
        """As between fork and exec: the poller goes on telling of it, though it is closed here."""
        one, other = yield self.connect_all(self.group, self.group)
        copy = os.dup(one.fd)
        self.addCleanup(os.close, copy)
        one.transport.abortConnection()
        yield until(lambda: bool(one.lost))
        one.client.send(b"x")
        yield turns()
        send(other, b"y")
        yield until(lambda: bool(other.shared))
        self.assertEqual((one.shared, other.lost), ([], []))
        self.assertEqual(self.reader._poller.poll(0), [])

    @inlineCallbacks
    def test_the_reactor_stops(self) -> Any:
        receivers = yield self.connect_all(*[self.group] * 3)

        def fail(reason: Failure) -> None:
            raise ValueError("broken")

        self.patch(receivers[0].transport, "connectionLost", fail)
        self.reader.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual([receiver.lost for receiver in receivers], [[], [ConnectionLost], [ConnectionLost]])
        self.reader.leave(receivers[0].source)
        self.assertFalse(self.is_watched())
        self.assertEqual(self.reader.fileno(), -1)


class PauseTests(ReaderCase):
    @inlineCallbacks
    def test_pause(self) -> Any:
        """Once or twice is the same; what has come meanwhile is there afterwards."""
        for times in (1, 2):
            paused, other = yield self.connect_all(self.group, self.group)
            for _ in range(times):
                paused.source.pauseProducing()
            send(paused, b"later")
            send(other, b"now")
            yield until(lambda other=other: bool(other.shared))
            yield turns()
            self.assertEqual(paused.shared + paused.by_twisted, [])
            for _ in range(times):
                paused.source.resumeProducing()
            yield until(lambda paused=paused: bool(paused.shared))
            self.assertEqual((paused.shared, paused.by_twisted), ([b"later"], []))
            paused.source.pauseProducing()
            send(paused, b"x")
            yield turns()
            self.assertEqual(paused.shared, [b"later"])

    @inlineCallbacks
    def test_while_it_hands_over(self) -> Any:
        """All may pause, and what was read already still comes; then there is nothing to read."""
        one, two = yield self.connect_all(self.group, self.group)
        self.group.on_receive = lambda: [receiver.source.pauseProducing() for receiver in (one, two)]
        send(one, b"1")
        send(two, b"2")
        yield until(lambda: bool(self.group.calls))
        self.assertCountEqual(self.group.calls[0], [(one, b"1"), (two, b"2")])
        self.assertFalse(self.is_watched())
        send(one, b"3")
        yield turns()
        self.assertEqual(len(self.group.calls), 1)
        one.source.resumeProducing()
        yield until(lambda: len(self.group.calls) == 2)
        self.assertEqual(self.group.calls[1], [(one, b"3")])

    @inlineCallbacks
    def test_paused_and_resumed_while_it_hands_over(self) -> Any:
        receiver = yield self.connect()

        def on_receive() -> None:
            receiver.source.pauseProducing()
            receiver.source.resumeProducing()

        self.group.on_receive = on_receive
        for piece in (b"1", b"2", b"3"):
            send(receiver, piece)
            yield until(lambda piece=piece: receiver.shared[-1:] == [piece])
        self.assertEqual(receiver.shared, [b"1", b"2", b"3"])

    @inlineCallbacks
    def test_the_end_comes_after_the_pause(self) -> Any:
        receiver = yield self.connect()
        receiver.source.pauseProducing()
        send(receiver, b"x")
        close(receiver)
        wait_for(receiver, select.POLLRDHUP)
        yield turns()
        self.assertEqual(receiver.shared + receiver.by_twisted + receiver.lost, [])
        receiver.source.resumeProducing()
        yield until(lambda: bool(receiver.lost))
        self.assertEqual(receiver.shared + receiver.by_twisted, [b"x"])

    @inlineCallbacks
    def test_what_is_left_to_twisted(self) -> Any:
        """Twisted reads, and is told when to pause."""
        receiver = yield self.connect()
        receiver.transport.bufferSize = 5
        self.group.on_data = lambda: receiver.source.pauseProducing()
        send(receiver, b"half closed")
        half_close(receiver)
        wait_for(receiver, select.POLLRDHUP)
        for pieces in ([b"half "], [b"half ", b"close"], [b"half ", b"close", b"d"]):
            yield until(lambda pieces=pieces: receiver.by_twisted == pieces)
            yield turns()
            self.assertEqual((receiver.by_twisted, receiver.shared, receiver.lost), (pieces, [], []))
            receiver.source.pauseProducing()
            receiver.source.resumeProducing()
            receiver.source.resumeProducing()
        yield until(lambda: bool(receiver.lost))

    @inlineCallbacks
    def test_nothing_to_read_after_all(self) -> Any:
        """An event without data is left to Twisted too, and the connection goes on."""
        receiver = yield self.connect()

        def recv(size: int) -> bytes:
            raise BlockingIOError

        receiver.source.recv = recv
        send(receiver, b"x")
        yield until(lambda: bool(receiver.by_twisted))
        self.assertFalse(self.is_watched())
        send(receiver, b"y")
        yield until(lambda: len(receiver.by_twisted) == 2)
        self.assertEqual((receiver.by_twisted, receiver.shared, receiver.lost), ([b"x", b"y"], [], []))
