"""How the virtual network carries messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epaxos.interfaces import ITransport
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.messages import Commit, Fetch, Message
from epaxos.verify.simulation.clock import SECOND, Process, VirtualTime
from epaxos.verify.simulation.dice import Dice
from epaxos.verify.simulation.network import (
    Filter,
    Network,
    NetworkSettings,
    VirtualTransport,
    wide_area_delays,
)
from epaxos.verify.trace import Trace

QUIET = NetworkSettings(delays=((0, 1000, 1000),) * 3, jitter=50)
DATAGRAMS = replace(QUIET, datagrams=True)


def message(number: int) -> Message:
    return Fetch((InstanceId(0, number),))


class Lab(SynchronousTestCase):
    n = 3

    def build(self, settings: NetworkSettings, seed: int = 0) -> None:
        self.time = VirtualTime()
        self.trace = Trace(lambda: self.time.now, on=False)
        self.recoded: list[Message] = []
        self.network = Network(
            self.time,
            self.n,
            settings,
            Dice(seed, "network"),
            self.trace,
            lambda _, m: self.recoded.append(m) or m,
        )
        self.processes = [Process(self.time) for _ in range(self.n)]
        self.received: list[tuple[int, int, int, list[int]]] = []
        self.connections: list[tuple[int, int, int, bool]] = []
        self.transports = [self.attach(replica) for replica in range(self.n)]

    def recode(self, message: Message) -> Message:
        self.recoded.append(message)
        return message

    def attach(self, replica: int) -> VirtualTransport:
        transport = VirtualTransport(
            self.network,
            self.processes[replica],
            replica,
            self.trace,
            on_send=lambda epoch, messages: None,
            on_sent=lambda epoch, messages: None,
        )

        def receive(sender: int, epoch: int, messages: Sequence[Message]) -> None:
            numbers = [m.ids[0].slot for m in messages if isinstance(m, Fetch)]
            self.received.append((self.time.now, sender, replica, numbers))

        def change(other: int, is_there: bool) -> None:
            self.connections.append((self.time.now, replica, other, is_there))

        transport.start(receive, change, lambda sender, control: None)
        return transport

    def send(self, sender: int, receiver: int, *numbers: int) -> None:
        self.transports[sender].send(0, [(receiver, message(number)) for number in numbers])

    def run_all(self) -> list[tuple[int, int, int, list[int]]]:
        self.time.run(self.time.now + SECOND, 100_000)
        return self.received

    def numbers(self) -> list[int]:
        return [number for _, _, _, numbers in self.run_all() for number in numbers]


class StreamTests(Lab):
    def test_interface(self) -> None:
        self.build(QUIET)
        verifyObject(ITransport, self.transports[0])

    def test_what_is_sent_in_one_turn_arrives_together_after_the_delay(self) -> None:
        self.build(QUIET)
        self.send(0, 1, 1, 2, 3)
        ((when, sender, receiver, numbers),) = self.run_all()
        self.assertEqual((sender, receiver, numbers), (0, 1, [1, 2, 3]))
        self.assertTrue(1000 <= when <= 1500, when)

    def test_a_stream_keeps_its_order(self) -> None:
        self.build(replace(QUIET, jitter=300))
        for number in range(100):
            self.send(0, 1, number)
        self.assertEqual(self.numbers(), list(range(100)))

    def test_a_cut_link_carries_nothing_also_of_what_is_under_way(self) -> None:
        self.build(QUIET)
        self.send(0, 1, 1)
        self.network.cut(0, 1)
        self.send(0, 1, 2)
        self.send(1, 0, 3)
        self.assertEqual(self.numbers(), [3])
        self.assertFalse(self.transports[0].is_connected(1))
        self.assertEqual(self.transports[0].counters()["messages_dropped"], 1)

    def test_cuts_are_counted(self) -> None:
        self.build(QUIET)
        self.network.cut(0, 1)
        self.network.cut(0, 1)
        self.network.mend(0, 1)
        self.assertTrue(self.network.is_cut(0, 1))
        self.network.mend(0, 1)
        self.send(0, 1, 1)
        self.assertEqual(self.numbers(), [1])

    def test_a_connection_does_not_outlast_the_process_it_leads_to(self) -> None:
        self.build(QUIET)
        self.send(0, 1, 1)
        self.network.attach(1, None)
        self.attach(1)
        self.send(0, 1, 2)
        self.assertEqual(self.numbers(), [2])

    def changes(self) -> list[tuple[int, int, bool]]:
        """The changes of connections since the last call: (replica, other, is there)."""
        self.run_all()
        found = [change[1:] for change in self.connections]
        self.connections.clear()
        return found

    def test_the_end_of_a_process_is_seen_after_all_that_it_sent(self) -> None:
        self.build(QUIET)
        self.send(1, 0, 1)
        self.send(1, 2, 2)
        self.assertEqual(self.changes(), [(0, 1, True), (2, 1, True)])
        self.send(1, 0, 3)
        begin = self.time.now
        self.network.attach(1, None)
        self.network.attach(1, None)
        self.run_all()
        last = max(when for when, *_ in self.received)
        self.assertTrue(all(when > begin for when, *_ in self.connections))
        self.assertTrue(all(when > last for when, replica, *_ in self.connections if replica == 0))
        self.assertCountEqual(self.changes(), [(0, 1, False), (2, 1, False)])

    def test_a_process_that_is_back_at_once_is_not_lost(self) -> None:
        self.build(QUIET)
        self.send(1, 0, 1)
        self.send(0, 1, 2)
        self.assertCountEqual(self.changes(), [(0, 1, True), (1, 0, True)])
        self.network.attach(1, None)
        self.attach(1)
        self.send(0, 1, 3)
        self.assertEqual(self.changes(), [(1, 0, True)])

    def test_the_end_is_not_seen_over_a_cut_link(self) -> None:
        self.build(QUIET)
        self.send(1, 0, 1)
        self.send(1, 2, 2)
        self.changes()
        self.network.cut(1, 0)
        self.network.attach(1, None)
        self.assertEqual(self.changes(), [(2, 1, False)])

    def test_connections_that_break(self) -> None:
        """Both ends notice it, and the next message makes a new connection."""
        self.build(QUIET)
        self.send(1, 0, 1)
        self.send(0, 1, 2)
        self.changes()
        self.network.break_connections(0, 1)
        self.network.break_connections(0, 2)
        self.assertCountEqual(self.changes(), [(0, 1, False), (1, 0, False)])
        self.send(1, 0, 3)
        self.assertEqual(self.changes(), [(0, 1, True)])

    def test_slow_link(self) -> None:
        self.build(QUIET)
        self.network.slow_down(0, 1, 10)
        self.send(0, 1, 1)
        self.assertGreaterEqual(self.run_all()[0][0], 10_000)

    def test_losses(self) -> None:
        self.build(QUIET)
        self.network.extra_loss = 50
        for number in range(200):
            self.send(0, 1, number)
        self.assertTrue(60 < len(self.numbers()) < 140)

    def test_through_the_codec_when_that_is_wanted(self) -> None:
        self.build(replace(QUIET, recoded=True))
        self.send(0, 1, 1)
        self.assertEqual((self.numbers(), self.recoded), ([1], [message(1)]))

    def test_a_transport_that_was_stopped(self) -> None:
        self.build(QUIET)
        self.send(0, 1, 1)
        self.transports[1].stop()
        self.transports[0].stop()
        self.send(0, 2, 2)
        self.assertEqual(self.numbers(), [])

    def test_a_dead_process_sends_and_takes_nothing(self) -> None:
        self.build(QUIET)
        self.send(0, 1, 1)
        self.processes[1].kill()
        self.send(1, 0, 2)
        self.assertEqual(self.numbers(), [])

    def test_a_replica_sends_to_other_members_alone(self) -> None:
        self.build(QUIET)
        for receiver in (0, -1, 3):
            self.assertRaises(KeyError, self.send, 0, receiver, 1)
            self.assertFalse(self.transports[0].is_connected(receiver))
        self.assertTrue(self.transports[0].is_connected(1))

    def test_what_is_sent_without_a_network_is_dropped_and_counted(self) -> None:
        self.build(QUIET)
        self.transports[0].stop()
        self.send(0, 1, 1, 2)
        self.assertEqual(self.numbers(), [])
        self.assertEqual(self.transports[0].counters()["messages_dropped"], 2)


class DatagramTests(Lab):
    def send_many(self, settings: NetworkSettings) -> list[int]:
        self.build(settings)
        for number in range(400):
            self.send(0, 1, number)
        return self.numbers()

    def test_there_are_no_connections(self) -> None:
        self.build(DATAGRAMS)
        self.send(0, 1, 1)
        self.run_all()
        self.network.break_connections(0, 1)
        self.network.attach(0, None)
        self.run_all()
        self.assertEqual(self.connections, [])

    def test_reordered(self) -> None:
        numbers = self.send_many(DATAGRAMS)
        self.assertNotEqual(numbers, sorted(numbers))
        self.assertEqual(sorted(numbers), list(range(400)))

    def test_lost_and_doubled(self) -> None:
        self.assertTrue(250 < len(self.send_many(replace(DATAGRAMS, loss=25))) < 350)
        self.assertTrue(450 < len(self.send_many(replace(DATAGRAMS, doubles=25))) < 550)

    def test_late(self) -> None:
        self.send_many(replace(DATAGRAMS, late=10))
        self.assertTrue(any(when > 3000 for when, *_ in self.received))

    def test_calm(self) -> None:
        self.build(replace(DATAGRAMS, loss=50, doubles=50, late=50))
        self.network.calm_down()
        for number in range(100):
            self.send(0, 1, number)
        self.assertEqual(sorted(self.numbers()), list(range(100)))
        self.assertTrue(all(when <= 1500 for when, *_ in self.received))


class FilterTests(Lab):
    def setUp(self) -> None:
        self.build(QUIET)

    def send_through(self, filter: Filter) -> None:
        """Send a Fetch before, during and after the filter, and during it a Commit, which is not counted."""
        self.send(0, 1, 1)
        self.network.add_filter(0, 1, filter)
        self.send(0, 1, 2)
        self.transports[0].send(0, [(1, Commit(InstanceId(0, 1), 0, None, (0, 0, 0)))])
        self.send(0, 2, 20)
        self.run_all()
        self.network.remove_filter(0, 1, filter)
        self.send(0, 1, 3)

    def test_kinds_that_are_lost(self) -> None:
        self.send_through(Filter(["Fetch", "Accept"]))
        self.assertEqual(sorted(self.numbers()), [1, 3, 20])
        self.assertEqual(len(self.received), 4, "the Commit too")

    def test_others_get_through(self) -> None:
        self.send_through(Filter(["Commit"]))
        self.assertEqual(sorted(self.numbers()), [1, 2, 3, 20])
        self.assertEqual(len(self.received), 4, "not the Commit")

    def test_everything(self) -> None:
        self.send_through(Filter())
        self.assertEqual(sorted(self.numbers()), [1, 3, 20])
        self.assertEqual(len(self.received), 3)

    def test_held_back(self) -> None:
        self.send_through(Filter(["Fetch"], late=True))
        numbers = self.numbers()
        self.assertEqual((sorted(numbers[:2]), numbers[2:]), ([1, 20], [2, 3]))

    def test_on_time_and_again(self) -> None:
        self.send_through(Filter(["Fetch"], prompt=True, late=True))
        self.assertEqual(sorted(self.numbers()), [1, 2, 2, 3, 20])

    def test_calm(self) -> None:
        self.network.add_filter(0, 1, Filter(["Fetch"], late=True))
        self.send(0, 1, 1)
        self.network.calm_down()
        self.send(0, 1, 2)
        self.assertEqual(self.numbers(), [2])


class WideAreaTests(SynchronousTestCase):
    def test_half_of_the_round_trip(self) -> None:
        delays = wide_area_delays(7)
        self.assertEqual(delays[0][1], 29_950, "CA to VA")
        self.assertEqual(delays[1][0], delays[0][1])
        self.assertEqual(delays[0][5], delays[0][0], "the sixth replica is in CA again")
