"""Reads a story, carries it out, and writes it with what came out."""

from __future__ import annotations

import re
from collections.abc import Callable

from epaxos.protocol.memory.slots import SLOTS_RESERVED
from epaxos.protocol.values import messages
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.quorums import Quorums
from tests.protocol.stories.cluster import Envelope, StoryCluster
from tests.protocol.stories.notation import batch_of

__all__ = ["StoryError", "rewritten"]

INDENT = "    "
KINDS = frozenset(kind.__name__ for kind in messages.Message.__args__)


class StoryError(Exception):
    """A line that cannot be carried out, with its number."""


def _number(word: str) -> int:
    if not word.isascii() or not word.isdigit():
        raise ValueError(f"{word!r} is no number")
    return int(word)


def _seconds(word: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", word, re.ASCII):
        raise ValueError(f"{word!r} is no number of seconds")
    return float(word)


def _id(word: str) -> InstanceId:
    if not re.fullmatch(r"\d+\.\d+", word, re.ASCII):
        raise ValueError(f"{word!r} is no instance such as 0.1")
    replica, slot = map(int, word.split("."))
    return InstanceId(replica, slot)


def _selection(words: list[str]) -> Callable[[Envelope], bool]:
    """`[KIND] FROM->TO [ID]`."""
    rest = list(words)
    kind = rest.pop(0) if rest and rest[0] in KINDS else None
    ends = re.fullmatch(r"(\d+|\*)->(\d+|\*)", rest.pop(0), re.ASCII) if rest else None
    id = _id(rest.pop(0)) if rest and ends is not None else None
    if ends is None or rest:
        raise ValueError(f"{' '.join(words)!r} is no selection such as PreAccept 0->1")
    sender, receiver = (None if end == "*" else int(end) for end in ends.groups())

    def is_meant(envelope: Envelope) -> bool:
        message = envelope[2]
        return (
            sender in (None, envelope[0])
            and receiver in (None, envelope[1])
            and kind in (None, type(message).__name__)
            and (id is None or getattr(message, "id", None) == id)
        )

    return is_meant


def _cluster(words: list[str]) -> StoryCluster:
    n, *options = words or [""]
    named: bool | None = None
    slots = SLOTS_RESERVED
    for option in options:
        if option == "equal":
            named = False
        elif option.startswith("slots="):
            slots = _number(option[len("slots=") :])
        else:
            raise ValueError(f"{option!r} is no option of a cluster")
    return StoryCluster(Quorums.of(Epoch.first(_number(n)), named), slots)


def _perform(cluster: StoryCluster, verb: str, words: list[str]) -> None:
    """One command.  Raises ValueError when it makes no sense."""
    if verb in ("deliver", "drop", "redeliver"):
        getattr(cluster, verb)(_selection(words))
    elif verb == "propose" and len(words) > 1:
        cluster.propose(_replica(cluster, words[0]), batch_of(" ".join(words[1:])))
    elif verb == "read" and len(words) == 2:
        cluster.read(_replica(cluster, words[0]), words[1])
    elif verb == "timeout" and len(words) == 2:
        cluster.time_out(_replica(cluster, words[0]), _id(words[1]))
    elif verb == "disconnect" and len(words) == 2:
        cluster.disconnect(_replica(cluster, words[0]), _replica(cluster, words[1]))
    elif verb == "disk" and words[1:] in (["stops"], ["goes", "on"]):
        change = cluster.stop_disk if words[1] == "stops" else cluster.resume_disk
        change(_replica(cluster, words[0]))
    elif verb == "tick" and len(words) == 1:
        cluster.tick(_seconds(words[0]))
    elif verb == "state" and len(words) == 1:
        cluster.show_state(_id(words[0]))
    elif verb in ("checkpoint", "crash", "restart") and len(words) == 1:
        getattr(cluster, verb)(_replica(cluster, words[0]))
    elif verb == "settle" and not words:
        cluster.settle()
    else:
        raise ValueError(f"{' '.join([verb, *words])!r} is no command")


def _replica(cluster: StoryCluster, word: str) -> int:
    replica = _number(word)
    if replica >= cluster.n:
        raise ValueError(f"there is no replica {replica}")
    return replica


def rewritten(text: str) -> str:
    """The story `text` with what comes out of its commands now.

    Raises StoryError for a line that cannot be carried out, or when decisions break a rule.
    """
    cluster: StoryCluster | None = None
    written: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(INDENT):
            continue
        if line != line.strip():
            raise StoryError(f"line {number}: a command is not indented, and what came out is by four spaces")
        written.append(line)
        if not line or line.startswith("#"):
            continue
        verb, *words = line.split()
        try:
            if (verb == "replicas") is not (cluster is None):
                raise ValueError("a story begins with `replicas`, and only once")
            if cluster is None:
                cluster = _cluster(words)
            else:
                _perform(cluster, verb, words)
        except (ValueError, AssertionError) as error:
            raise StoryError(f"line {number}: {line}: {error}") from error
        written += (INDENT + told for told in cluster.lines)
        cluster.lines.clear()
    return "".join(f"{line}\n" for line in written)
