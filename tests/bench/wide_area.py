"""Sites far from each other: what a client waits for, beside the optimum and beside etcd.

Real replicas (LevelDB, default settings), one a site, whose links go through `relay`.  Each site has
one client with one command outstanding at its own replica.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from statistics import median, quantiles
from threading import Thread

from epaxos.config.example import example
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.quorums import Quorums
from epaxos.verify.simulation.network import ROUND_TRIPS_MS, SITES
from tests.bench import peers
from tests.bench.etcd_wire import EtcdConversation, put
from tests.bench.latency import echo, latencies
from tests.bench.load import VALUE_BYTES, Conversation, command
from tests.bench.processes import GUARD, BenchCluster, free_ports, is_open, python, wait_for
from tests.bench.relay import Link
from tests.bench.results import Plot, Result, Table
from tests.bench.session import Session

__all__ = ["command_waits", "optimum_ms", "round_trip_ms", "shorter", "wide_area"]

THREE = ("CA", "VA", "IE")
FIVE = SITES
INTERFERENCE = (0, 2, 25, 100)
ETCD_OPTIONS = ("--heartbeat-interval=200", "--election-timeout=2500")
ECHOES = 50
SLACK_S = 0.01
SKIPPED = 3
"""The first commands of a client, which find connections and caches cold."""


def round_trip_ms(one: str, other: str) -> float:
    """Between two sites."""
    if one == other:
        return 0.0
    return ROUND_TRIPS_MS.get((one, other)) or ROUND_TRIPS_MS[other, one]


def _nearest_ms(site: str, sites: Sequence[str], quorum: int) -> float:
    """The round trip to the farthest of the nearest `quorum` sites, its own included."""
    return sorted(round_trip_ms(site, other) for other in sites)[quorum - 1]


def optimum_ms(site: str, sites: Sequence[str]) -> float:
    """What no protocol with our fast quorums can go below: the round trip to the nearest one."""
    return _nearest_ms(site, sites, Quorums.of(Epoch.first(len(sites))).fast)


def _with_leader_ms(site: str, leader: str, sites: Sequence[str]) -> float:
    """The same where everything goes through a leader: to it, and from it to a majority."""
    return round_trip_ms(site, leader) + _nearest_ms(leader, sites, len(sites) // 2 + 1)


@dataclass
class Waits:
    """What the client of one site waited for, in milliseconds; `commits` where they were seen."""

    answers: list[float]
    commits: list[float]


# -- clients


class _Sets:
    """SETs, one after the other, of keys of the site's own or, by chance, of the one that all share."""

    def __init__(self, site: str, hot_percent: int, random: Random) -> None:
        self._site = site
        self._hot_percent = hot_percent
        self._random = random

    def begin(self) -> bytes:
        """See Conversation."""
        hot = self._random.random() * 100 < self._hot_percent
        key = b"hot" if hot else b"%s:%d" % (self._site.encode(), self._random.randrange(100_000))
        return command(b"SET", key, b"v" * VALUE_BYTES)

    def answer(self, data: bytes) -> tuple[int, bytes]:
        """See Conversation."""
        if data != b"+OK\r\n":
            raise RuntimeError(f"a SET was answered by {data!r}")
        return 1, self.begin()


class _Client(Thread):
    """Holds a conversation until `end`; when each command was asked and answered."""

    def __init__(self, port: int, conversation: Conversation, end: float) -> None:
        super().__init__(daemon=True)
        self._port, self._conversation, self._end = port, conversation, end
        self.times: list[tuple[float, float]] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        """See Thread."""
        try:
            self._converse()
        except Exception as failure:
            self.failure = failure

    def _converse(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = time.monotonic()
            connection.sendall(self._conversation.begin())
            while time.monotonic() < self._end:
                done, out = self._conversation.answer(connection.recv(65536))
                if done:
                    now = time.monotonic()
                    self.times.append((asked, now))
                    asked = now
                if out:
                    connection.sendall(out)


def _ask_everywhere(
    ports: Sequence[int], conversations: Sequence[Conversation], seconds: float
) -> list[list[tuple[float, float]]]:
    """One client a site, all at once; the times of each."""
    end = time.monotonic() + seconds
    clients = [_Client(port, conversation, end) for port, conversation in zip(ports, conversations)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
        if client.failure is not None:
            raise client.failure
    return [client.times[SKIPPED:] for client in clients]


# -- links


@contextmanager
def _relay(
    folder: Path, links: Sequence[Link], own_s: float = 0.0
) -> Iterator[Callable[[], dict[str, object]]]:
    """A relay in a process of its own; calling what is yielded stops it and gives what it saw.

    `own_s` is what it adds to a round trip, beside its waiting, which is so much shorter.
    """
    path = folder / "links.json"
    path.write_text(json.dumps([asdict(shorter(link, own_s)) for link in links]))
    process = subprocess.Popen(
        [*GUARD, *python("relay", path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )

    def stop() -> dict[str, object]:
        process.terminate()
        seen: dict[str, object] = json.loads(process.communicate(timeout=30)[0])
        return seen

    try:
        yield stop
    finally:
        process.kill()
        process.wait()


def shorter(link: Link, by_s: float) -> Link:
    """The same link with shorter round trips, none of them below zero."""
    trips = {sender: max(0.0, trip - by_s) for sender, trip in link.round_trip_s.items()}
    return replace(link, round_trip_s=trips)


class _FarCluster(BenchCluster):
    """Our replicas, one a site: each has a configuration in which the others are behind its own links."""

    def __init__(self, sites: Sequence[str]) -> None:
        n = len(sites)
        super().__init__(n)
        base = self.redis_ports[0] - 100
        ports = iter(free_ports(n * n))
        self.far_links: list[Link] = []
        for id in range(n):
            text = example(n, base, data="data")
            for other in range(n):
                if other != id:
                    trip = round_trip_ms(sites[id], sites[other]) / 1000
                    link = Link(next(ports), base + other, {"": trip}, id, n)
                    self.far_links.append(link)
                    section = f"[replica {other}]\n"
                    text = text.replace(section, f"{section}peer_connect = tcp:127.0.0.1:{link.port}\n")
            self.config_of(id).write_text(text)

    def config_of(self, id: int) -> Path:
        """See Cluster."""
        return self.folder / f"site-{id}.ini"


# -- measurements


def _ours(
    session: Session, sites: Sequence[str], relay_own_s: float, seconds: float
) -> tuple[dict[int, list[Waits]], str]:
    """By interference, what the clients of the sites waited for; and what to know of the relay."""
    times = {}
    replicas = _FarCluster(sites)
    with replicas, _relay(replicas.folder, replicas.far_links, relay_own_s) as stop:
        replicas.start()
        replicas.ready(timeout_s=60)
        for percent in INTERFERENCE:
            session.say(f"wide area, {len(sites)} sites, {percent} % interference")
            random = Random(percent)
            sets = [_Sets(site, percent, random) for site in sites]
            times[percent] = _ask_everywhere(replicas.redis_ports, sets, seconds)
        seen = stop()
    late: list[float] = seen["late_ms"]  # type: ignore[assignment]
    told: dict[str, dict[str, float]] = seen["commits"]  # type: ignore[assignment]
    commits = [sorted(told.get(str(id), {}).values()) for id in range(len(sites))]
    waits = {
        percent: [command_waits(of_site, commits[id]) for id, of_site in enumerate(of)]
        for percent, of in times.items()
    }
    return waits, f"late by {median(late):.2f} ms (p99 {quantiles(late, n=100)[98]:.2f} ms)"


def command_waits(times: Sequence[tuple[float, float]], commits: Sequence[float]) -> Waits:
    """A command's commit is the one that its replica first told while the client waited.

    The relay may see it when the client has its answer already; no commit takes less than the slack.
    """
    waits = Waits([(answered - asked) * 1000 for asked, answered in times], [])
    for asked, answered in times:
        place = bisect_left(commits, asked + SLACK_S)
        if place < len(commits) and commits[place] <= answered + SLACK_S:
            waits.commits.append((commits[place] - asked) * 1000)
    return waits


def _relay_own_s(session: Session) -> float:
    """What a relay adds to the round trips of its links: a bare echo through one, less the way without."""
    session.say("wide area, a bare echo through the relay")
    trip_s = optimum_ms("CA", THREE) / 1000
    (port,) = free_ports(1)
    with ExitStack() as stack:
        to = stack.enter_context(echo(session.folder))
        stack.enter_context(_relay(session.folder, [Link(port, to, {"": trip_s})]))
        wait_for("the relay listens", partial(is_open, port))
        direct_us = median(latencies(to, 0, ECHOES, pause_s=trip_s))
        relayed_us = median(latencies(port, 0, ECHOES))
    return max(0.0, (relayed_us - direct_us) / 1e6 - trip_s)


def _etcd_links(sites: Sequence[str]) -> tuple[list[int], list[Link]]:
    """Where etcd's members listen, and one link to each, as long as it is for who dials it."""
    n = len(sites)
    ports = free_ports(2 * n)
    ids = [peers.member_id(f"http://127.0.0.1:{port}") for port in ports[n:]]
    links = []
    for member, site in enumerate(sites):
        trips = {id: round_trip_ms(other, site) / 1000 for id, other in zip(ids, sites)}
        links.append(Link(ports[n + member], ports[member], {**trips, "": 0.0}))
    return ports[:n], links


def _etcd(
    session: Session, sites: Sequence[str], relay_own_s: float, seconds: float
) -> dict[str, list[Waits]]:
    """By the site of the leader (the best and the worst), what the clients of the sites waited for."""
    total = {leader: sum(_with_leader_ms(site, leader, sites) for site in sites) for leader in sites}
    found = {}
    peer_ports, links = _etcd_links(sites)
    with _relay(session.folder, links, relay_own_s):
        advertised = [link.port for link in links]
        with peers.etcd(session.folder, len(sites), peer_ports, advertised, ETCD_OPTIONS) as etcd:
            for leader in (min(total, key=total.__getitem__), max(total, key=total.__getitem__)):
                session.say(f"wide area, {len(sites)} sites, etcd led by {leader}")
                etcd.lead(sites.index(leader))
                random = Random(1)
                bodies = [put(b"key:%d" % random.randrange(100_000), b"v" * VALUE_BYTES) for _ in range(100)]
                conversations = [EtcdConversation(1, bodies) for _ in sites]
                times = _ask_everywhere(etcd.client_ports, conversations, seconds)
                found[leader] = [command_waits(of_site, ()) for of_site in times]
    return found


# -- what comes of them


def _shown(values: Sequence[float]) -> str:
    """Median / p99."""
    if len(values) < 2:
        return "-"
    return f"{median(values):.1f} / {quantiles(values, n=100, method='inclusive')[98]:.1f}"


def _add(
    session: Session,
    result: Result,
    sites: Sequence[str],
    ours: dict[int, list[Waits]],
    etcd: dict[str, list[Waits]],
) -> None:
    n = len(sites)
    best = {site: optimum_ms(site, sites) for site in sites}
    for id, site in enumerate(sites):
        figure = median(ours[0][id].answers)
        goal = max(1.05, (best[site] + 1) / best[site])
        work = f"wide area, {n} sites, {site}: median of the answer, no interference"
        row = session.row(work, "the optimum", "ms", [figure], [best[site]], goal, at_most=True)
        result.rows.append(row)
    percents = [f"{percent} %" for percent in ours]
    for what in ("answers", "commits"):
        values = [[_shown(getattr(of[id], what)) for of in ours.values()] for id in range(n)]
        lines = [[site, f"{best[site]:.1f}", *values[id]] for id, site in enumerate(sites)]
        if what == "answers":
            for id, line in enumerate(lines):
                line += [_shown(of[id].answers) for of in etcd.values()]
        leaders = [f"etcd, leader {leader}" for leader in etcd] if what == "answers" else []
        title = "the client's answer" if what == "answers" else "the commit, as its replica tells it"
        head = ["site", "optimum", *percents, *leaders]
        result.tables.append(Table(f"{n} sites: {title}, ms, median / p99, by interference", head, lines))
    series: dict[str, list[float | None]] = {"optimum": list(best.values())}
    for percent, of in ours.items():
        series[f"epaxos, {percent} % interference"] = [median(waits.answers) for waits in of]
    for leader, of in etcd.items():
        series[f"etcd, leader in {leader}"] = [median(waits.answers) for waits in of]
    title = f"{n} sites: median wait of a client for its answer"
    result.plots.append(Plot(f"wide-area-{n}", title, "ms", list(sites), series))


def wide_area(session: Session, available: dict[str, str]) -> Result:
    """Three sites, and five."""
    result = Result("Wide area")
    seconds = 4.0 if session.quick else 20.0
    own_s = _relay_own_s(session)
    result.settings.append(
        f"A bare echo takes {own_s * 1000:.2f} ms longer through the relay than its links are long, so that"
        " the relay passes everything on so much sooner."
    )
    for sites in (THREE, FIVE):
        ours, late = _ours(session, sites, own_s, seconds)
        etcd = _etcd(session, sites, own_s, seconds * 0.75) if "etcd" in available else {}
        _add(session, result, sites, ours, etcd)
        result.settings.append(f"{len(sites)} sites: the relay passed on {late}.")
    if "etcd" not in available:
        result.missing.append("etcd (Debian: etcd-server etcd-client)")
    result.settings.append(
        f"Replicas with LevelDB and sync and default settings; etcd with {' '.join(ETCD_OPTIONS)}."
        f" One client a site with one command outstanding at its own replica, {seconds:g} s for each figure."
        " Interference is the share of commands on one key that all sites share."
    )
    return result
