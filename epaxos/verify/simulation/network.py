"""The virtual network: delays, losses, doubles, reordering and cuts between replicas.

It carries messages in one of two ways.  As a stream: the messages of one turn to one replica arrive
together and in order, or are lost with the connection.  As datagrams: each message travels by itself, in any
order.  The other ends of its streams notice the end of a process, unless the link is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Union

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from epaxos.interfaces import ITransport
from epaxos.protocol.values.control import Control
from epaxos.protocol.values.membership import VERSION, Membership
from epaxos.protocol.values.messages import Message
from epaxos.protocol.values.transfer import Piece
from epaxos.verify.simulation.clock import Process, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.members import UID_BASE
from epaxos.verify.trace import Trace

__all__ = [
    "CONTROL",
    "ROUND_TRIPS_MS",
    "SITES",
    "Carried",
    "Changer",
    "Filter",
    "Network",
    "NetworkSettings",
    "VirtualTransport",
    "wide_area_delays",
]

SITES = ("CA", "VA", "IE", "OR", "JP")
ROUND_TRIPS_MS = {
    ("CA", "OR"): 21.1,
    ("CA", "VA"): 59.9,
    ("CA", "JP"): 111.7,
    ("CA", "IE"): 141.2,
    ("OR", "VA"): 72.5,
    ("OR", "JP"): 100.9,
    ("OR", "IE"): 127.3,
    ("VA", "IE"): 70.5,
    ("VA", "JP"): 152.4,
    ("JP", "IE"): 204.4,
}
"""Between regions of AWS: California, Oregon, Virginia, Ireland, Japan; measured in June 2020."""
_SAME_SITE_US = 250

CONTROL = -1
"""Stands for the epoch of what belongs to none."""

PIECE_BYTES = 64
"""The largest data of a piece, so small that most states take many."""

DIAL_US = 500_000
"""Microseconds between two looks of a replica that has to find the cluster."""

Carried = Union[Message, Control]
Receive = Callable[[int, int, Sequence[Message]], None]
Connection = Callable[[int, bool], None]
OnControl = Callable[[int, Control], None]
Recode = Callable[[int, Carried], Carried]


def wide_area_delays(n: int) -> tuple[tuple[int, ...], ...]:
    """One-way delays in microseconds between n replicas, put on `SITES` in turn."""

    def delay(a: str, b: str) -> int:
        round_trip_ms = ROUND_TRIPS_MS.get((a, b)) or ROUND_TRIPS_MS.get((b, a))
        return _SAME_SITE_US if round_trip_ms is None else round(round_trip_ms * 500)

    places = [SITES[replica % len(SITES)] for replica in range(n)]
    return tuple(tuple(delay(a, b) for b in places) for a in places)


@dataclass(frozen=True)
class NetworkSettings:
    """`delays[a][b]`: microseconds from a to b; up to `jitter` percent are added to each.

    Of all datagrams, `loss` percent are lost, `doubles` percent arrive twice, and `late` percent take 2 to
    20 times their delay.  `recoded`: whether messages pass through the codec.
    """

    delays: tuple[tuple[int, ...], ...]
    jitter: int = 50
    datagrams: bool = False
    loss: int = 0
    doubles: int = 0
    late: int = 0
    recoded: bool = False


class Filter:
    """Stops messages of some `kinds` on a link; all messages when `kinds` is empty.

    Stopped messages are lost.  With `late` they arrive when the filter is removed.  With `prompt` they also
    arrive as they would without the filter.
    """

    def __init__(self, kinds: Collection[str] = (), prompt: bool = False, late: bool = False) -> None:
        self._kinds = frozenset(kinds)
        self._prompt = prompt
        self.late = late
        self.held: list[tuple[int, Carried]] = []

    def apply(self, epoch: int, messages: Sequence[Carried]) -> tuple[list[Carried], list[Carried]]:
        """The messages that pass, and those that are stopped."""
        through: list[Carried] = []
        stopped: list[Carried] = []
        for message in messages:
            chosen = not self._kinds or type(message).__name__ in self._kinds
            if chosen and self.late:
                self.held.append((epoch, message))
            (stopped if chosen and not self._prompt else through).append(message)
        return through, stopped


class Changer(Filter):
    """Changes a byte of every second piece of a state."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def apply(self, epoch: int, messages: Sequence[Carried]) -> tuple[list[Carried], list[Carried]]:
        """See Filter: all messages pass."""
        return [self._changed(message) for message in messages], []

    def _changed(self, message: Carried) -> Carried:
        if not isinstance(message, Piece) or not message.data:
            return message
        self._count += 1
        if self._count % 2 == 0:
            return message
        data = bytearray(message.data)
        data[7 * self._count % len(data)] ^= 1 << self._count % 8
        return message._replace(data=bytes(data))


class Network:
    """All links of the cluster."""

    def __init__(
        self, time: VirtualTime, n: int, settings: NetworkSettings, dice: Dice, trace: Trace, recode: Recode
    ) -> None:
        self.n = n
        self._time = time
        self._settings = settings
        self._dice = dice
        self._trace = trace
        self._recode = recode if settings.recoded else None
        self._cuts = [[0] * n for _ in range(n)]
        self._slowness = [[1] * n for _ in range(n)]
        self._filters: dict[tuple[int, int], list[Filter]] = {}
        self._last_arrival = [[0] * n for _ in range(n)]
        self._transports: list[VirtualTransport | None] = [None] * n
        self._there = [[False] * n for _ in range(n)]
        self._calm = False
        self.extra_loss = 0
        self.sent = 0
        self.versions = dict.fromkeys(range(n), VERSION)
        """The highest version that the program of each replica can do."""

    # -- faults

    def cut(self, sender: int, receiver: int) -> None:
        """Let nothing through in this direction until `mend` has been called as often as `cut`."""
        self._cuts[sender][receiver] += 1

    def mend(self, sender: int, receiver: int) -> None:
        """Undo one `cut`."""
        self._cuts[sender][receiver] -= 1

    def is_cut(self, sender: int, receiver: int) -> bool:
        """Whether nothing gets through in this direction now."""
        return self._cuts[sender][receiver] > 0

    def slow_down(self, sender: int, receiver: int, factor: int) -> None:
        """From now on messages in this direction take `factor` times their delay."""
        self._slowness[sender][receiver] = factor

    def add_filter(self, sender: int, receiver: int, filter: Filter) -> None:
        """From now on messages in this direction pass through `filter`."""
        self._filters.setdefault((sender, receiver), []).append(filter)

    def remove_filter(self, sender: int, receiver: int, filter: Filter) -> None:
        """Undo `add_filter`, and send what the filter has held back."""
        self._filters[sender, receiver].remove(filter)
        for epoch, held in groupby(filter.held, itemgetter(0)):
            self.send(sender, receiver, epoch, [message for _, message in held])

    def calm_down(self) -> None:
        """From now on no message is lost, doubled or late.  Messages that filters hold back are lost."""
        self._calm = True
        self.extra_loss = 0
        self._filters.clear()

    # -- carrying

    def attach(self, replica: int, transport: VirtualTransport | None) -> None:
        """`transport` receives the messages to `replica`.  None: its connections end."""
        ends = self._transports[replica] is not None and transport is None
        self._transports[replica] = transport
        if transport is not None:
            self._there[replica] = [False] * len(self._there)
        elif ends and not self._settings.datagrams:
            for other in range(len(self._there)):
                if other != replica and self._transports[other] is not None:
                    self._end_connection(replica, other)

    def _end_connection(self, sender: int, receiver: int) -> None:
        """The end of a stream comes after everything that was sent on it."""
        delay = self._settings.delays[sender][receiver] * self._slowness[sender][receiver]
        arrival = max(self._time.now + delay, self._last_arrival[sender][receiver] + 1)
        self._last_arrival[sender][receiver] = arrival
        self._time.at(arrival, partial(self._on_end, sender, receiver, self._transports[receiver]))

    def _on_end(self, sender: int, receiver: int, connected_to: VirtualTransport | None) -> None:
        """Tell the receiver, unless a new process of either replica has made a new connection since."""
        gone = self._transports[sender] is None and self._transports[receiver] is connected_to
        if gone and not self.is_cut(sender, receiver):
            self._tell(receiver, sender, False)

    def _tell(self, replica: int, other: int, is_there: bool) -> None:
        transport = self._transports[replica]
        if transport is not None and self._there[replica][other] is not is_there:
            self._there[replica][other] = is_there
            transport.change_connection(other, is_there)

    def dial(self, replica: int, other: int) -> None:
        """`replica` looks for `other`, and knows then whether it is there."""
        self._tell(replica, other, self.reaches(replica, other) and self.reaches(other, replica))

    def break_connections(self, a: int, b: int) -> None:
        """Both ends notice that their connections are lost.  The next message makes new ones."""
        if not self._settings.datagrams:
            self._tell(a, b, False)
            self._tell(b, a, False)

    def reaches(self, sender: int, receiver: int) -> bool:
        """Whether the receiver runs and the link is not cut."""
        return self._transports[receiver] is not None and not self.is_cut(sender, receiver)

    def send(self, sender: int, receiver: int, epoch: int, messages: Sequence[Carried]) -> int:
        """Carry the messages of `epoch`, and return how many were dropped at once."""
        self.sent += len(messages)
        if self.is_cut(sender, receiver):
            self._trace.lost(sender, receiver, messages, "cut")
            return len(messages)
        for filter in self._filters.get((sender, receiver), ()):
            messages, stopped = filter.apply(epoch, messages)
            if stopped:
                self._trace.lost(sender, receiver, stopped, "held back" if filter.late else "chosen")
        if not messages:
            return 0
        if self._recode is not None:
            messages = [self._recode(epoch, message) for message in messages]
        if not self._settings.datagrams:
            self._carry_frame(sender, receiver, epoch, tuple(messages))
        else:
            for message in messages:
                self._carry_datagram(sender, receiver, epoch, message)
        return 0

    def _delay(self, sender: int, receiver: int) -> int:
        base = self._settings.delays[sender][receiver] * self._slowness[sender][receiver]
        return base + self._dice.below(base * self._settings.jitter // 100 + 1)

    def _carry_frame(self, sender: int, receiver: int, epoch: int, messages: tuple[Carried, ...]) -> None:
        """Carry in order, and only to the process that runs now, because a connection ends with it."""
        arrival = max(
            self._time.now + self._delay(sender, receiver), self._last_arrival[sender][receiver] + 1
        )
        if self._dice.chance(self.extra_loss / 100):
            self._trace.lost(sender, receiver, messages, "connection broke")
            return
        self._last_arrival[sender][receiver] = arrival
        connected_to = self._transports[receiver]
        self._time.at(arrival, partial(self._arrive, sender, receiver, epoch, messages, connected_to))

    def _carry_datagram(self, sender: int, receiver: int, epoch: int, message: Carried) -> None:
        settings = self._settings
        dice = self._dice
        copies = 1
        delay = self._delay(sender, receiver)
        chances = dice.below(1_000_000)
        lost, doubled, late = chances % 100, chances // 100 % 100, chances // 10_000
        if not self._calm:
            if lost < settings.loss + self.extra_loss:
                self._trace.lost(sender, receiver, (message,), "lost")
                return
            if doubled < settings.doubles:
                copies = 2
            if late < settings.late:
                delay *= dice.between(2, 20)
        for copy in range(copies):
            arrival = self._time.now + delay * (1 + copy * dice.between(0, 20))
            self._time.at(arrival, partial(self._arrive, sender, receiver, epoch, (message,), None))

    def _arrive(
        self,
        sender: int,
        receiver: int,
        epoch: int,
        messages: tuple[Carried, ...],
        connected_to: VirtualTransport | None,
    ) -> None:
        transport = self._transports[receiver]
        if self.is_cut(sender, receiver):
            self._trace.lost(sender, receiver, messages, "cut")
        elif transport is None or (connected_to is not None and connected_to is not transport):
            self._trace.lost(sender, receiver, messages, "nobody there")
        else:
            if connected_to is not None:
                self._tell(receiver, sender, True)
            transport.deliver(sender, epoch, messages)


@implementer(ITransport)
class VirtualTransport:
    """The transport of one process of a replica.

    `on_send` is called before messages leave for one replica, `on_sent` after: either may crash the
    process.  `dials`: it looks for the others by itself.
    """

    batch_bytes_max = None
    piece_bytes_max = PIECE_BYTES

    def __init__(
        self,
        network: Network,
        process: Process,
        replica: int,
        trace: Trace,
        on_send: Callable[[int, Sequence[Carried]], None],
        on_sent: Callable[[int, Sequence[Carried]], None],
        dials: bool = False,
    ) -> None:
        self._dials = dials
        self._network = network
        self._process = process
        self._replica = replica
        self._trace = trace
        self._on_send = on_send
        self._on_sent = on_sent
        self._on_received: Receive | None = None
        self._on_connection: Connection | None = None
        self._on_control: OnControl | None = None
        self._dropped = 0
        self._sent = 0

    def start(self, on_received: Receive, on_connection: Connection, on_control: OnControl) -> Deferred[None]:
        """See ITransport."""
        self._on_received = on_received
        self._on_control = on_control
        self._on_connection = on_connection
        self._network.attach(self._replica, self)
        if self._dials:
            self._dial()
        return succeed(None)

    def _dial(self) -> None:
        """Look again and again who is there, as one does who has to find the cluster."""
        if self._on_received is not None and self._process.alive:
            for other in range(self._network.n):
                if self._is_other(other):
                    self._network.dial(self._replica, other)
            self._process.time.after(DIAL_US, self._dial)

    def deliver(self, sender: int, epoch: int, messages: tuple[Carried, ...]) -> None:
        """Messages arrive.  The process takes them when it has time."""
        self._process.arrive(partial(self._take, sender, epoch, messages))

    def change_connection(self, other: int, is_there: bool) -> None:
        """Tell the process, when it has time, that all connections with `other` are lost, or one is made."""
        self._process.arrive(partial(self._take_connection, other, is_there))

    def _take_connection(self, other: int, is_there: bool) -> None:
        if self._on_received is not None and self._on_connection is not None:
            self._trace.note(f"R{self._replica}", f"R{other} is {'connected' if is_there else 'lost'}")
            self._on_connection(other, is_there)

    def _take(self, sender: int, epoch: int, messages: tuple[Any, ...]) -> None:
        if self._on_received is None or self._on_control is None:
            return
        self._trace.received(sender, self._replica, messages)
        if epoch == CONTROL:
            for control in messages:
                self._on_control(sender, control)
        else:
            self._on_received(sender, epoch, messages)

    def send(self, epoch: int, outgoing: Sequence[tuple[int, Message]]) -> None:
        """See ITransport.  Raises KeyError for a number that is not that of another member, where the real
        transports drop the message: only a bug sends there, and the simulator looks for bugs."""
        if self._on_received is None or not self._process.alive:
            self._dropped += len(outgoing)
            return
        by_receiver: dict[int, list[Carried]] = {}
        for receiver, message in outgoing:
            by_receiver.setdefault(receiver, []).append(message)
        self._sent += len(outgoing)
        for receiver, messages in by_receiver.items():
            if not self._send_to(receiver, epoch, messages):
                return

    def send_control(self, replica: int, control: Control) -> bool:
        """See ITransport.  Raises ValueError for a piece that is too long, as `send` does for bugs."""
        if isinstance(control, Piece) and len(control.data) > self.piece_bytes_max:
            raise ValueError(f"replica {self._replica} sends a piece of {len(control.data)} bytes")
        if self._on_received is None or not self._process.alive:
            return False
        return self._send_to(replica, CONTROL, [control])

    def _send_to(self, receiver: int, epoch: int, messages: Sequence[Carried]) -> bool:
        """Send to one replica.  Returns whether the process still lives."""
        if not self._is_other(receiver):
            raise KeyError(f"replica {self._replica} sends to {receiver}: {messages}")
        self._on_send(epoch, messages)
        if self._process.alive:
            self._trace.sent(self._replica, receiver, messages)
            self._dropped += self._network.send(self._replica, receiver, epoch, messages)
            self._on_sent(epoch, messages)
        return self._process.alive

    def speaks_epochs(self, replica: int) -> bool:
        """See ITransport."""
        return True

    def know(self, membership: Membership, previous: Membership | None = None) -> None:
        """See ITransport: here nobody has another folder."""

    def speaks_members(self, replica: int) -> bool:
        """See ITransport."""
        return True

    def version_of(self, replica: int) -> int:
        """See ITransport."""
        is_there = replica == self._replica or self.is_connected(replica)
        return self._network.versions[replica] if is_there else 0

    def uid_of(self, replica: int) -> int | None:
        """See ITransport."""
        return UID_BASE + replica

    def is_connected(self, replica: int) -> bool:
        """See ITransport."""
        return self._is_other(replica) and self._network.reaches(self._replica, replica)

    def _is_other(self, replica: int) -> bool:
        return replica != self._replica and 0 <= replica < self._network.n

    def backlog_bytes(self, replica: int) -> int:
        """See ITransport: nothing waits here."""
        return 0

    def stop(self) -> Deferred[None]:
        """See ITransport."""
        self._on_received = None
        self._network.attach(self._replica, None)
        return succeed(None)

    def counters(self) -> Mapping[str, int]:
        """See ITransport.  `bytes_sent` counts messages here."""
        return {
            "bytes_sent": self._sent,
            "bytes_received": 0,
            "messages_dropped": self._dropped,
            "send_queue_bytes": 0,
        }
