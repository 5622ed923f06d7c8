"""Which member the certificate of the other side is of, and whether that is the member it speaks as.

Pure.  TLS has verified the certificate by then: the other side owns its key, and a trusted issuer has signed
it.  Here only the names in it count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from epaxos.transport.handshake import WHOEVER, Refused

__all__ = ["NO_PROOFS", "Proofs", "check_member", "member_of"]

SCHEME = "epaxos:"
_NAME = re.compile(r"epaxos://([A-Za-z0-9_.-]+)/(0|[1-9][0-9]{0,8})")
_SHOWN_CHARS_MAX = 100


def member_of(names: Sequence[str], cluster: str, whose: str) -> int:
    """The member of `cluster` that a certificate with these URIs among its subjectAltNames is of.

    Raises Refused, with a text that begins with `whose` (as in "its certificate"), unless exactly one of the
    names is `epaxos://CLUSTER/NUMBER`.  Names of other schemes do not count.
    """
    own = [name for name in names if name.lower().startswith(SCHEME)]
    if not own:
        raise Refused(f"{whose} names no member: it has no URI epaxos://{cluster}/NUMBER")
    if len(own) > 1:
        raise Refused(f"{whose} names {len(own)} members, and has to name one")
    match = _NAME.fullmatch(own[0])
    if match is None:
        raise Refused(f"{whose} names {own[0][:_SHOWN_CHARS_MAX]!a}, which is not epaxos://CLUSTER/NUMBER")
    if match[1] != cluster:
        raise Refused(f"{whose} is of cluster {match[1][:_SHOWN_CHARS_MAX]!a}, here it is {cluster!a}")
    return int(match[2])


def check_member(proof: int | None, member: int, whose: str) -> None:
    """Raise Refused unless `proof`, the member of the certificate, is `member`; None: none was asked for."""
    if proof is not None and proof != member:
        raise Refused(f"{whose} is of replica {proof}, not of replica {member}")


@dataclass(frozen=True)
class Proofs:
    """Checks the other side of a connection in `cluster`.

    `names_of(transport)` gives the URIs in the verified certificate of the other side, none where there is no
    certificate; None: nobody has to prove who it is.
    """

    cluster: str
    names_of: Callable[[object], Sequence[str]] | None

    def of_dialler(self, transport: object, sender: int) -> None:
        """Raise Refused unless whoever dialled may speak as the replica `sender`."""
        self._check(transport, sender, "the dialler's certificate")

    def of_listener(self, receiver: int, transport: object) -> None:
        """Raise Refused unless whoever listens is the replica `receiver`, which was dialled, or for WHOEVER
        some replica of the cluster."""
        self._check(transport, receiver, "its certificate")

    def _check(self, transport: object, member: int, whose: str) -> None:
        if self.names_of is not None:
            proof = member_of(self.names_of(transport), self.cluster, whose)
            if member != WHOEVER:
                check_member(proof, member, whose)


NO_PROOFS = Proofs("", None)
"""Nobody has to prove who it is."""
