"""Hands messages to the clients that listen: in steps, and as few writes as there are clients.

Messages are taken in rounds.  A round finds out which of its messages each client gets, and gives the client
all of them at once, in the order in which they were said.  Clients that get the same messages share the
bytes, so a message is encoded once for each version of the protocol.  The more messages come, the more of
them a round has, so the number of writes does not grow with them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from epaxos.interfaces.audience import Message
from epaxos.resp.interfaces import IClient
from epaxos.resp.listening.subscriptions import Clients, Subscriptions
from epaxos.resp.session import Kind

__all__ = ["BEHIND_BYTES", "BEHIND_S", "Delivery"]

STEP_S = 0.003
"""About the seconds for which messages are handed out until other work runs."""
ROUND_MESSAGES = 1000
ROUND_BYTES = 1_000_000
"""The most of a round, beside its first message: to encode them is one step."""
WAITING_BYTES_MAX = 64_000_000
"""Bytes of messages that wait for their round.  Beyond them all who listen are cut off, because they would
miss some otherwise."""
MESSAGE_OVERHEAD_BYTES = 100
ENCODED_BYTES_MAX = 32_000_000
"""Bytes that a client is given in one round, at most, and bytes that are kept of a round for others."""
CLIENTS_PER_STEP = 500
"""Clients that are looked up between two looks at the clock."""
BEHIND_BYTES = 8_000_000
BEHIND_S = 60.0
"""A client that has more bytes than that to take for this time is cut off, as with Redis."""

_log = Logger()


class _Way(NamedTuple):
    """How messages of one channel reach clients: see Subscriptions.ways_to.  `numbers`: of the messages."""

    kind: Kind
    name: bytes
    numbers: Sequence[int]


_Own = tuple[int, ...]
"""The places of the ways that reach a client."""


class Delivery:
    """Hands out messages to those who listen by `subscriptions`.  `seconds`: a clock that never goes back."""

    def __init__(
        self, clock: IReactorTime, seconds: Callable[[], float], subscriptions: Subscriptions
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._subscriptions = subscriptions
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._round: Iterator[None] = iter(())
        self._due: IDelayedCall | None = None
        self._behind: dict[IClient, float] = {}  # since when

    def tell(self, messages: Sequence[Message]) -> None:
        """See IAudience."""
        self._waiting += messages
        self._waiting_bytes += sum([_size(message) for message in messages])
        if self._waiting_bytes > WAITING_BYTES_MAX:
            self._give_up()
        if self._due is None:
            self._due = self._clock.callLater(0, self._step)

    def rest(self) -> None:
        """Nobody listens."""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._round = iter(())
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def forget(self, client: IClient) -> None:
        """The client listens no more."""
        self._behind.pop(client, None)

    def _give_up(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        self._round = self._cut_off_all()

    def _cut_off_all(self) -> Iterator[None]:
        names = [(kind, name) for kind, by_name in self._subscriptions.by_name.items() for name in by_name]
        for kind, name in names:
            for client in list(self._subscriptions.by_name[kind].get(name, ())):
                client.cut_off("messages come faster than this replica can hand them out")
                yield

    def _step(self) -> None:
        """Hand out messages for about STEP_S."""
        self._due = None
        ends_s = self._seconds() + STEP_S
        try:
            while True:
                for _ in self._round:
                    if self._seconds() >= ends_s:
                        return
                if not self._waiting:
                    return
                self._round = self._hand_out(self._next_messages())
        finally:
            if self._due is None and (self._waiting or self._is_in_round()):
                self._due = self._clock.callLater(0, self._step)

    def _is_in_round(self) -> bool:
        """Whether the round has more steps.  The next one is the last that is empty."""
        return getattr(self._round, "gi_frame", None) is not None

    def _next_messages(self) -> list[Message]:
        waiting, size_bytes = self._waiting, 0
        some: list[Message] = []
        while waiting and len(some) < ROUND_MESSAGES and size_bytes < ROUND_BYTES:
            message = waiting.popleft()
            size_bytes += _size(message)
            some.append(message)
        self._waiting_bytes -= size_bytes
        return some

    def _hand_out(self, messages: Sequence[Message]) -> Iterator[None]:
        """One round; None after each step."""
        ways: list[_Way] = []
        heard: dict[IClient, _Own] = {}
        for (is_sharded, channel), numbers in _by_channel(messages).items():
            for kind, name, clients in list(self._subscriptions.ways_to(channel, is_sharded)):
                ways.append(_Way(kind, name, numbers))
                yield from _note(heard, len(ways) - 1, clients)
                yield
        payloads: dict[tuple[int, _Own], bytes] = {}
        encoded: dict[tuple[int, int, int], bytes] = {}
        kept_bytes = 0
        for client, own in heard.items():
            still = _still(client, ways, own)
            resp = client.session.resp
            payload = payloads.get((resp, still))
            if payload is None and _bytes_of(messages, ways, still) > ENCODED_BYTES_MAX:
                client.cut_off("a message reaches it by too many patterns")
            elif still:
                if payload is None:
                    payload = payloads[resp, still] = _join(messages, ways, still, resp, encoded)
                    kept_bytes += len(payload)
                self._push(client, payload)
            if kept_bytes > ENCODED_BYTES_MAX:
                payloads.clear()
                encoded.clear()
                kept_bytes = 0
            yield

    def _push(self, client: IClient, payload: bytes) -> None:
        try:
            behind_bytes = client.push(payload)
        except Exception:
            _log.failure("a message could not be delivered")
            client.cut_off("a message could not be delivered")
            return
        if behind_bytes <= BEHIND_BYTES:
            if self._behind:
                self._behind.pop(client, None)
            return
        now_s = self._seconds()
        if now_s - self._behind.setdefault(client, now_s) >= BEHIND_S:
            client.cut_off("it takes its messages too slowly")


def _size(message: Message) -> int:
    return len(message.channel) + len(message.text) + MESSAGE_OVERHEAD_BYTES


def _by_channel(messages: Sequence[Message]) -> dict[tuple[bool, bytes], list[int]]:
    """The numbers of the messages of each channel."""
    found: dict[tuple[bool, bytes], list[int]] = {}
    for number, message in enumerate(messages):
        found.setdefault((message.is_sharded, message.channel), []).append(number)
    return found


def _note(heard: dict[IClient, _Own], way: int, clients: Clients) -> Iterator[None]:
    """Note that `way` reaches these clients; None after each CLIENTS_PER_STEP.

    Clients that are reached alike share what is noted, so that a round makes few objects.
    """
    everybody = list(clients)
    longer: dict[_Own, _Own] = {(): (way,)}
    for start in range(0, len(everybody), CLIENTS_PER_STEP):
        if start:
            yield
        for client in everybody[start : start + CLIENTS_PER_STEP]:
            before = heard.get(client, ())
            own = longer.get(before)
            if own is None:
                own = longer[before] = (*before, way)
            heard[client] = own


def _still(client: IClient, ways: Sequence[_Way], own: _Own) -> _Own:
    """By which of these ways the client can still be reached."""
    listens = client.session.listens
    for way in own:
        if ways[way].name not in listens[ways[way].kind]:
            return tuple([each for each in own if ways[each].name in listens[ways[each].kind]])
    return own


def _bytes_of(messages: Sequence[Message], ways: Sequence[_Way], own: _Own) -> int:
    """About the bytes of what comes by some ways."""
    return sum([len(ways[way].name) + _size(messages[number]) for way in own for number in ways[way].numbers])


def _join(
    messages: Sequence[Message],
    ways: Sequence[_Way],
    own: _Own,
    resp: int,
    encoded: dict[tuple[int, int, int], bytes],
) -> bytes:
    """What comes by some ways, in order, for this version of the protocol."""
    pieces = []
    for number, way in sorted([(number, each) for each in own for number in ways[each].numbers]):
        piece = encoded.get((number, way, resp))
        if piece is None:
            piece = encoded[number, way, resp] = _encode(messages[number], ways[way], resp)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


_WORDS = {Kind.CHANNEL: b"$7\r\nmessage\r\n", Kind.SHARD: b"$8\r\nsmessage\r\n"}


def _encode(message: Message, way: _Way, resp: int) -> bytes:
    mark, (channel, text, _) = b">" if resp == 3 else b"*", message
    end = b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(text), text)
    if way.kind is Kind.PATTERN:
        return b"%b4\r\n$8\r\npmessage\r\n$%d\r\n%b\r\n%b" % (mark, len(way.name), way.name, end)
    return b"%b3\r\n%b%b" % (mark, _WORDS[way.kind], end)
