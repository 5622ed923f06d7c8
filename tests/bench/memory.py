"""Memory: of a key beyond the state itself, and of an instance under way."""

from __future__ import annotations

import re
import socket
import sys
import time
import tracemalloc
from pathlib import Path
from random import Random

from epaxos.protocol.replica import Replica
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.messages import PreAccept
from epaxos.protocol.values.timing import Timing
from epaxos.statemachines.redis.machine import KeyValueStore
from tests.bench.load import KEYS, command
from tests.bench.parts import set_commands
from tests.bench.processes import MEMORY, cluster
from tests.bench.results import Result, Table
from tests.bench.session import Session

__all__ = ["fill", "memory", "resident_bytes"]

KEYS_PER_COMMAND = 1000
SETTLE_S = 4.0


def resident_bytes(pid: int, which: str = "VmRSS") -> int:
    """The resident memory of a process; with `which` "VmHWM", the most that it has ever had."""
    match = re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def fill(port: int, keys: int) -> None:
    """Set so many distinct keys, a thousand at a time."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for first in range(0, keys, KEYS_PER_COMMAND):
            pairs: list[bytes] = []
            for number in range(first, first + KEYS_PER_COMMAND):
                pairs += (b"key:%012d" % number, b"%016d" % number)
            connection.sendall(command(b"MSET", *pairs))
            if connection.recv(100) != b"+OK\r\n":
                raise RuntimeError("MSET failed")


def _plain_bytes(keys: int) -> float:
    """Bytes a key of a dict of such keys and values."""
    plain = {b"key:%012d" % number: b"%016d" % number for number in range(keys)}
    objects = sum(map(sys.getsizeof, plain)) + sum(map(sys.getsizeof, plain.values()))
    return (sys.getsizeof(plain) + objects) / keys


def _of_keys(settings: str, keys: int) -> tuple[float, float]:
    """Bytes a key that replica 1 has come to take, at the most and after a rest."""
    with cluster(3, settings) as replicas:
        pid = replicas.processes[1].pid
        before = resident_bytes(pid)
        fill(replicas.redis_ports[0], keys)
        time.sleep(SETTLE_S)
        most = resident_bytes(pid, "VmHWM") - before
        return most / keys, (resident_bytes(pid) - before) / keys


def _of_instances(size: int, count: int) -> tuple[float, float]:
    """Bytes an instance under way takes at its leader and at another replica, without its batch."""
    machine = KeyValueStore()
    random = Random(1)
    leader, follower = (Replica(id, Epoch.first(3), timing=Timing(), random=Random(id)) for id in (0, 1))
    for replica in (leader, follower):
        replica.tick(0.0)
        replica.on_durable(replica.take_output())  # slots are reserved
    proposals: list[PreAccept] = []
    batches = [machine.batch(set_commands(size, random)) for _ in range(count)]
    tracemalloc.start()
    at_leader = tracemalloc.get_traced_memory()[0]
    for batch in batches:
        leader.propose(batch)
        output = leader.take_output()
        leader.on_durable(output)
        proposals += [
            message
            for receiver, message in output.messages
            if receiver == 1 and isinstance(message, PreAccept)
        ]
    at_leader = tracemalloc.get_traced_memory()[0] - at_leader
    at_follower = tracemalloc.get_traced_memory()[0]
    for proposal in proposals:
        follower.receive(0, proposal)
        follower.on_durable(follower.take_output())
    at_follower = tracemalloc.get_traced_memory()[0] - at_follower
    tracemalloc.stop()
    assert len(proposals) == count, (len(proposals), count)
    return at_leader / count, at_follower / count


def memory(session: Session, available: dict[str, str]) -> Result:
    """Both."""
    result = Result("Memory")
    keys = KEYS // 10 if session.quick else KEYS
    session.say("memory of keys")
    plain = _plain_bytes(keys)
    of_keys = Table(
        f"Bytes a key, {keys:,} keys of 16 bytes with 16-byte values",
        ["", "at the most", "after a rest", "over the state itself"],
        [["a Python dict of them, the state itself", f"{plain:.0f}", f"{plain:.0f}", ""]],
    )
    for name, settings in (("replica, memory", MEMORY), ("replica, LevelDB", "")):
        session.say(f"memory of keys: {name}")
        most, rest = _of_keys(settings, keys)
        of_keys.lines.append([name, f"{most:.0f}", f"{rest:.0f}", f"{rest - plain:+.0f}"])
    of_instances = Table(
        "Bytes an instance under way, beside its batch",
        ["commands a batch", "at its leader", "at another replica"],
    )
    for size in (1, 100):
        session.say(f"memory of instances of {size} commands")
        at_leader, at_follower = _of_instances(size, 2000)
        of_instances.lines.append([str(size), f"{at_leader:,.0f}", f"{at_follower:,.0f}"])
    result.tables += [of_keys, of_instances]
    result.settings.append(
        "Keys: resident memory of a replica that no client talks to. Instances: traced allocations of a bare"
        " core; distinct keys go into the interference index, which the figure for 100 commands shows."
    )
    return result
