"""Faults of real processes and of the links between them, each from its beginning to its end.

Operators who let the next epoch begin count as a fault, too.  This module checks how a replica behaves
in each: after a clean stop it ends with status 0, with a full disk with status 1, with a damaged database
with status 3, the last two with one clear line; all other faults it must survive.
"""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from subprocess import TimeoutExpired
from threading import Event, Thread

import redis

from epaxos.service.exit_status import FAILED, WRONG_DATA
from epaxos.verify.simulation.dice import Dice
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.links import Pair, between
from tests.cluster.workload import raw_client

__all__ = ["Fault", "LinkFaults", "Nemesis", "Operators", "ProcessFaults"]

Kinds = dict[str, tuple[int, Callable[[float], str]]]
"""By name: the weight of the fault, and the function that lets it happen for a number of seconds and returns
where it happened."""

ROOM_BYTES = 40_000
"""Bytes that can still be written to a disk that counts as full."""

TURN_TIMEOUT_S = 10.0
"""Longer than a replica takes to say that no majority has answered."""
_REFUSALS = (
    "has not begun at a majority",
    "no majority of the members",
    "next epoch may still begin",
    "the replica ",
)


@dataclass(frozen=True)
class Fault:
    """A fault that has happened.  Times are those of `time.monotonic`."""

    kind: str
    where: str
    began_s: float
    ended_s: float


def _text(replicas: Sequence[int]) -> str:
    return ",".join(map(str, sorted(replicas)))


class ProcessFaults:
    """Faults of the processes of `cluster`.  `wait(seconds)` waits; less when the run is to end."""

    def __init__(self, cluster: Cluster, dice: Dice, wait: Callable[[float], object]) -> None:
        self._cluster = cluster
        self._dice = dice
        self._wait = wait

    @property
    def kinds(self) -> Kinds:
        """All faults by name."""
        return {
            "kill": (8, self.kill),
            "kill all": (1, self.kill_all),
            "kill again": (3, self.kill_again),
            "stop": (3, self.stop),
            "pause": (5, self.pause),
            "left behind": (4, self.left_behind),
            "full disk": (2, self.full_disk),
            "damage": (2, self.damage),
        }

    def _victim(self) -> int:
        return self._dice.below(self._cluster.n)

    def _some(self) -> list[int]:
        """One replica; sometimes more."""
        n = self._cluster.n
        count = 1 if self._dice.chance(0.7) else self._dice.between(1, n)
        return self._dice.pick_some(range(n), count)

    def _up(self, *replicas: int) -> None:
        """Wait until the replicas answer, because a process that has not begun cannot be told to stop."""
        for id in replicas:

            def answers(id: int = id) -> bool:
                self._cluster.revive()
                process = self._cluster.processes[id]
                assert process.poll() is None, f"replica {id} ended with status {process.returncode}"
                return self._cluster.try_status(id) is not None

            wait_until(f"replica {id} answers", answers, 60)

    def kill_one(self, lasts_s: float) -> str:
        """SIGKILL for one replica."""
        return self._kill([self._victim()], lasts_s)

    def kill(self, lasts_s: float) -> str:
        """SIGKILL for some replicas at once."""
        return self._kill(self._some(), lasts_s)

    def _kill(self, victims: list[int], lasts_s: float) -> str:
        self._cluster.kill(*victims)
        self._wait(lasts_s)
        self._cluster.start(*victims)
        return _text(victims)

    def kill_all(self, lasts_s: float) -> str:
        """SIGKILL for all at once: every promise must have been on the disk."""
        victims = list(range(self._cluster.n))
        self._cluster.kill(*victims)
        self._cluster.start(*victims)
        self._up(*victims)
        return _text(victims)

    def kill_again(self, lasts_s: float) -> str:
        """SIGKILL, and again while the next process restores its data."""
        victim = self._victim()
        for _ in range(3):
            self._cluster.kill(victim)
            self._cluster.start(victim)
            self._wait(lasts_s / 10 + 0.3)
        return _text([victim])

    def stop(self, lasts_s: float) -> str:
        """SIGTERM; the replica has to end with status 0."""
        victim = self._victim()
        self._up(victim)
        status = self._cluster.terminate(victim)
        assert status == 0, f"replica {victim} ended with status {status} on SIGTERM"
        self._wait(lasts_s)
        self._cluster.start(victim)
        return _text([victim])

    def pause(self, lasts_s: float) -> str:
        """SIGSTOP for some at once, then SIGCONT: they have lost time without noticing."""
        victims = self._some()
        self._cluster.signal(SIGSTOP, *victims)
        self._wait(lasts_s)
        self._cluster.signal(SIGCONT, *victims)
        return _text(victims)

    def left_behind(self, lasts_s: float) -> str:
        """One replica is down or paused while the others go through some epochs: it has to take the state."""
        n, victim, pauses = self._cluster.n, self._victim(), self._dice.chance(0.4)
        if pauses:
            self._cluster.signal(SIGSTOP, victim)
        else:
            self._cluster.kill(victim)
        begun = 0
        for turn in range(6):
            self._wait(lasts_s / 6)
            begun += _turn(self._cluster, (victim + 1 + turn % (n - 1)) % n).isdigit()
        if pauses:
            self._cluster.signal(SIGCONT, victim)
        else:
            self._cluster.start(victim)
        return f"{victim}: {begun} epochs"

    def full_disk(self, lasts_s: float) -> str:
        """The files of a running replica can grow no further: it has to stop and say why."""
        cluster = self._cluster
        victim = self._victim()
        self._up(victim)
        with self._says(victim, "File too large") as said:
            room = (
                max(
                    _newest_log(cluster.data(victim)).stat().st_size,
                    cluster.log_file(victim).stat().st_size + 20_000,
                )
                + 20_000
            )
            process = cluster.processes[victim]
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            try:
                status = process.wait(lasts_s + 10)
            except TimeoutExpired:
                said.clear()  # nobody wrote that much
                cluster.kill(victim)
            else:
                assert status == FAILED, f"replica {victim} ended with status {status} on a full disk"
        cluster.start(victim)
        return _text([victim])

    def damage(self, lasts_s: float) -> str:
        """A database is damaged while its replica is down: the replica has to refuse it and say so.

        Then the operator restores a copy from before the damage.
        """
        cluster = self._cluster
        victim = self._victim()
        self._up(victim)
        assert cluster.terminate(victim) == 0, f"replica {victim} does not end with status 0"
        data = cluster.data(victim)
        copy = data.with_name(f"{victim}.copy")
        shutil.copytree(data, copy)
        what = self._dice.pick(tuple(_DAMAGES))
        _DAMAGES[what](data)
        with self._says(victim, "is damaged"):
            status = cluster.start(victim).ended(victim, 60)
            assert status == WRONG_DATA, f"replica {victim} ended with status {status}: {what}"
        shutil.rmtree(data)
        copy.rename(data)
        self._wait(lasts_s)
        cluster.start(victim)
        return f"{victim}: {what}"

    @contextmanager
    def _says(self, id: int, expected: str) -> Iterator[list[str]]:
        """Check that meanwhile the replica writes one line with an expected text to stderr, and no traceback.

        When the yielded list is emptied, nothing is checked.
        """
        wanted = [expected]
        begin = _size(self._cluster.log_file(id))
        yield wanted
        said = self._cluster.log_file(id).read_bytes()[begin:].decode(errors="replace")
        lines = [line for line in said.splitlines() if line.startswith("epaxos: ")]
        assert not wanted or (len(lines) == 1 and expected in lines[0]), f"replica {id} said: {said}"
        assert "Traceback" not in said, f"replica {id} said: {said}"


def _size(path: Path) -> int:
    return path.stat().st_size


def _newest_log(data: Path) -> Path:
    return max(data.glob("db/*.log"), key=lambda path: int(path.stem))


def _invert(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


def _invert_a_byte(data: Path) -> None:
    log = _newest_log(data)
    size = log.stat().st_size
    _invert(log, size // 2 if size < 32768 else 20_000)


def _halve(data: Path) -> None:
    log = _newest_log(data)
    log.write_bytes(log.read_bytes()[: _size(log) // 2])


def _state_file(data: Path) -> Path:
    """A file of the state whose beginning is in use."""
    logs = sorted(data.glob("state/*.log"), key=lambda path: int(path.stem))
    return logs[-1] if logs else next(data.glob("state/*.base"))


def _invert_a_byte_of_the_state(data: Path) -> None:
    _invert(_state_file(data), 0)


_DAMAGES: dict[str, Callable[[Path], object]] = {
    "a byte of its log is wrong": _invert_a_byte,
    "half of its log is gone": _halve,
    "its log is gone": lambda data: _newest_log(data).unlink(),
    "a byte of its state is wrong": _invert_a_byte_of_the_state,
    "a file of its state is gone": lambda data: _state_file(data).unlink(),
    "its database is gone": lambda data: shutil.rmtree(data / "db"),
    "its list of files is gone": lambda data: (data / "db" / "CURRENT").unlink(),
    "its mark of what was synced is zero": lambda data: (data / "synced").write_bytes(bytes(524)),
}


class LinkFaults:
    """Faults of the links of `cluster`.  After each, all links are as before."""

    def __init__(self, cluster: Cluster, dice: Dice, wait: Callable[[float], object]) -> None:
        self._n = cluster.n
        self._links = cluster.links
        self._dice = dice
        self._wait = wait

    @property
    def kinds(self) -> Kinds:
        """All faults by name."""
        return {
            "partition": (5, self.partition),
            "one way": (4, self.one_way),
            "flapping": (4, self.flapping),
            "slow link": (3, self.slow_link),
            "wide area": (3, self.wide_area),
            **({"loss": (5, self.loss)} if self._links.transport == "udp" else {}),
        }

    def _how(self) -> str:
        return self._dice.pick(("hold", "lose", "close"))

    def _pair(self) -> Pair:
        sender, receiver = self._dice.pick_some(range(self._n), 2)
        return sender, receiver

    @contextmanager
    def _calm_after(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._links.calm()

    def partition(self, lasts_s: float) -> str:
        """Some replicas cannot reach the others, nor the others them."""
        inside = self._dice.pick_some(range(self._n), self._dice.between(1, self._n // 2))
        outside = [id for id in range(self._n) if id not in inside]
        how = self._how()
        with self._calm_after():
            self._links.cut(between(inside, outside), how)
            self._wait(lasts_s)
        return f"{_text(inside)} | {_text(outside)} {how}"

    def one_way(self, lasts_s: float) -> str:
        """A replica hears all others; one of them, or all, do not hear it."""
        sender, receiver = self._pair()
        receivers = [receiver] if self._dice.chance(0.5) else [id for id in range(self._n) if id != sender]
        how = self._how()
        with self._calm_after():
            self._links.cut([(sender, receiver) for receiver in receivers], how)
            self._wait(lasts_s)
        return f"{sender} > {_text(receivers)} {how}"

    def flapping(self, lasts_s: float) -> str:
        """A link is cut and healed again and again."""
        pair = self._pair()
        how = self._how()
        deadline = time.monotonic() + lasts_s
        with self._calm_after():
            while time.monotonic() < deadline:
                self._links.cut(between(pair[:1], pair[1:]), how)
                self._wait(0.05 + self._dice.below(600) / 1000)
                self._links.heal()
                if self._wait(0.05 + self._dice.below(400) / 1000):
                    break
        return f"{_text(pair)} {how}"

    def slow_link(self, lasts_s: float) -> str:
        """A link is very slow, in one direction or both."""
        pair = self._pair()
        pairs = [pair] if self._dice.chance(0.5) else between(pair[:1], pair[1:])
        delay_ms = self._dice.between(20, 1500)
        with self._calm_after():
            self._links.delay(pairs, delay_ms, delay_ms)
            self._wait(lasts_s)
        return f"{_text(pair)} {delay_ms} ms"

    def wide_area(self, lasts_s: float) -> str:
        """Every link gets a long delay of its own."""
        with self._calm_after():
            for pair in self._links.all:
                self._links.delay([pair], self._dice.between(1, 80), self._dice.between(0, 20))
            self._wait(lasts_s)
        return "all"

    def loss(self, lasts_s: float) -> str:
        """On every link datagrams are lost, arrive twice, and overtake each other."""
        lost, doubled = self._dice.between(1, 30), self._dice.between(0, 20)
        with self._calm_after():
            self._links.lose(self._links.all, lost / 100, doubled / 100)
            self._links.delay(self._links.all, 0, self._dice.between(0, 20))
            self._wait(lasts_s)
        return f"{lost} % lost, {doubled} % doubled"


class Operators:
    """Operators of `cluster`, who let the next epoch begin, or are told why not.

    `wait(seconds)` waits; less when the run is to end.
    """

    def __init__(self, cluster: Cluster, dice: Dice, wait: Callable[[float], object]) -> None:
        self._cluster = cluster
        self._dice = dice
        self._wait = wait

    @property
    def kinds(self) -> Kinds:
        """All that they do, by name."""
        return {"turn": (3, self.turn), "turns": (1, self.turns)}

    def turn(self, lasts_s: float) -> str:
        """One replica is told to let the next epoch begin."""
        replica = self._dice.below(self._cluster.n)
        return f"{replica}: {_turn(self._cluster, replica)}"

    def turns(self, lasts_s: float) -> str:
        """Epochs follow each other as fast as they can, begun at one replica after the other."""
        deadline = time.monotonic() + lasts_s
        begun = 0
        while time.monotonic() < deadline and not self._wait(0.05):
            begun += _turn(self._cluster, begun % self._cluster.n).isdigit()
        return f"all: {begun} epochs"


def _turn(cluster: Cluster, replica: int) -> str:
    """Tell a replica to let the next epoch begin: the number of that epoch, or why there is none."""
    try:
        with closing(raw_client(cluster.redis_ports[replica], TURN_TIMEOUT_S)) as client:
            return str(int(client.execute_command("EPAXOS", "TURN")))
    except (redis.ConnectionError, redis.TimeoutError):
        return "not there"
    except redis.ResponseError as error:
        assert any(text in str(error) for text in _REFUSALS), f"replica {replica} answers a turn with {error}"
        return "refused"


class Nemesis:
    """Random faults of the kinds given, one after the other, in a thread of its own.

    `failed(text)` is called when a replica breaks a rule; then no further fault happens.
    """

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        dice: Dice,
        family: Callable[[Cluster, Dice, Callable[[float], object]], ProcessFaults | LinkFaults | Operators],
        *,
        happened: Callable[[Fault], None],
        failed: Callable[[str], None],
        longest_s: float = 8.0,
    ) -> None:
        self._name = name
        self._dice = dice
        self._over = Event()
        self._kinds = family(cluster, dice, self._over.wait).kinds
        self._happened = happened
        self._failed = failed
        self._longest_ms = int(longest_s * 1000)
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Let faults happen."""
        self._over.clear()
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def end(self, timeout_s: float = 120) -> None:
        """End the current fault, and let no other happen."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            assert not self._thread.is_alive(), f"the {self._name} do not end"

    def _run(self) -> None:
        choices = [(name, weight) for name, (weight, _) in self._kinds.items()]
        while not self._over.wait(self._dice.between(200, self._longest_ms) / 1000):
            kind = self._dice.pick_weighted(choices)
            began_s = time.monotonic()
            try:
                where = self._kinds[kind][1](self._dice.between(300, self._longest_ms) / 1000)
            except Exception as error:
                self._failed(f"{kind}: {type(error).__name__}: {error}")
                return
            self._happened(Fault(kind, where, began_s, time.monotonic()))
