"""What is wrong between the members: who is down, who does not see whom, whose versions differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from epaxos.ctl.health.reading import text_in, ups_in
from epaxos.ctl.health.values import ERROR, WARNING, Finding
from epaxos.ctl.members import Answer

__all__ = ["FINDERS"]


def _down(answers: Sequence[Answer]) -> Iterator[Finding]:
    """Members that did not answer: down, or only out of reach from here."""
    seen = [ups for answer in answers if (ups := ups_in(answer)) is not None]
    for answer in answers:
        if answer.error is None:
            continue
        number = answer.member.number
        if any(number in ups for ups in seen):
            yield Finding(
                WARNING,
                "not-asked",
                (number,),
                f"replica {number} is up, and could not be asked from here: {answer.error}",
                "set client_connect to an address that is reached from here, or ask from another host",
            )
        else:
            yield Finding(
                ERROR,
                "down",
                (number,),
                f"replica {number} is down: {answer.error}",
                "start it, or, where its host or its disk is lost, replace it (docs: operating/members)",
            )


def _majority(answers: Sequence[Answer]) -> Iterator[Finding]:
    """No member sees a majority, so no command is run."""
    views = [ups for answer in answers if (ups := ups_in(answer)) is not None]
    most = max(map(len, views), default=0)
    if views and 2 * most <= len(answers):
        yield Finding(
            ERROR,
            "no-majority",
            tuple(answer.member.number for answer in answers if answer.error is None),
            f"no majority is connected: a member sees at most {most} of {len(answers)}, itself included",
            "start the others, or mend the network between them; where a majority is lost for good, restore"
            " (docs: operating/backup)",
        )


def _links(answers: Sequence[Answer]) -> Iterator[Finding]:
    """Two members that both answered, of which one does not see the other, or neither."""
    views = {answer.member.number: ups for answer in answers if (ups := ups_in(answer)) is not None}
    for one, other in combinations(sorted(views), 2):
        sees, is_seen = other in views[one], one in views[other]
        if sees and is_seen:
            continue
        blind, seeing = (other, one) if sees else (one, other)
        if sees or is_seen:
            yield Finding(
                ERROR,
                "one-way-link",
                (blind, seeing),
                f"replica {blind} does not see replica {seeing}, which sees it",
                f"look at the firewall between them, at peer_connect of replica {seeing} as replica {blind}"
                " has it, and at the log of both",
            )
        else:
            yield Finding(
                ERROR,
                "no-link",
                (one, other),
                f"replicas {one} and {other} do not see each other",
                "look at the network between them, and at the log of both",
            )


def _versions(answers: Sequence[Answer]) -> Iterator[Finding]:
    """Members whose programs differ."""
    shown = {
        answer.member.number: text_in(answer, "program.version") or "an earlier one"
        for answer in answers
        if answer.error is None
    }
    if len(set(shown.values())) > 1:
        each = ", ".join(f"replica {number}: {version}" for number, version in sorted(shown.items()))
        yield Finding(
            WARNING,
            "versions",
            tuple(sorted(shown)),
            f"the members run different versions ({each})",
            "go on with the upgrade until all run the same (docs: operating/upgrade)",
        )


def _version(answers: Sequence[Answer]) -> Iterator[Finding]:
    """All programs can do more than the cluster does yet."""
    able = [int(answer.member.version) for answer in answers if answer.member.version.isdecimal()]
    versions = [answer.version for answer in answers if answer.version is not None]
    if versions and len(able) == len(answers) and min(able) > max(versions):
        yield Finding(
            WARNING,
            "old-version",
            tuple(answer.member.number for answer in answers),
            f"all members can do version {min(able)} of commands, and the cluster is at {max(versions)}",
            "when no member has to go back to the version before: epaxosctl turn (docs: operating/upgrade)",
        )


FINDERS: Sequence[Callable[[Sequence[Answer]], Iterator[Finding]]] = (
    _majority,
    _down,
    _links,
    _versions,
    _version,
)
