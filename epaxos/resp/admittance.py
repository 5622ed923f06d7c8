"""Who the clients of one replica are, and what they may do (docs: operating/security, "Users").

What counts is what is executed here: the users are a part of the state, and when they change, each connection
is looked at once.  A session whose user may do everything has no rights to check, so it pays nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from hmac import compare_digest

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.interfaces import Command, CommandError, IClients, Outcome, Reply
from epaxos.interfaces.access import Access, Units
from epaxos.interfaces.users import (
    BEGIN,
    DEFAULT,
    USERS,
    KeyUse,
    User,
    Users,
    rules_of,
    user_of,
)
from epaxos.net.door import Door
from epaxos.resp.acl_log import AclLog
from epaxos.resp.commands.versions import SINCE
from epaxos.resp.interfaces import IAdmittance, IClient, IClientConnection
from epaxos.resp.session import Kind, Session

__all__ = ["Admittance"]

FAILED_S = 1.0
"""Seconds until a client is told that its password is wrong."""
FAILED_MAX = 16
"""Wrong passwords of one address that wait for their answer; with one more, right or wrong, the connection
is closed."""
FAILED_TOTAL_MAX = 1000
"""The same, of all addresses together."""
BEGIN_AGAIN_S = 1.0
"""Seconds until the first users are proposed once more."""
WRONGPASS = CommandError("WRONGPASS invalid username-password pair or user is disabled.")

_log = Logger()


@implementer(IAdmittance)
class Admittance:
    """See IAdmittance.  `first`: the users of the configuration file, and the digest of them.

    They count until the state has users; the replica proposes that they become those of the state.  `units`,
    `uses`: see Access.  `connections()`: all that are open.
    """

    def __init__(
        self,
        replica: IClients,
        clock: IReactorTime,
        door: Door,
        first: tuple[Users, bytes],
        units: Units,
        uses: Callable[[Command], Sequence[KeyUse]],
        connections: Callable[[], Collection[IClientConnection]],
        seconds: Callable[[], float],
    ) -> None:
        self._replica = replica
        self._clock = clock
        self._door = door
        self._first, self._digest = first
        self.units = units
        self._uses = uses
        self._connections = connections
        self.log = AclLog(seconds)
        self._kept: tuple[Users | None, dict[bytes, Access | None]] = (None, {})
        self._look_due: IDelayedCall | None = None
        """The users by which all connections were looked at."""
        self._failed: Counter[str] = Counter()
        self._due: IDelayedCall | None = None

    # -- the first users

    def begin(self) -> None:
        """Propose the first users, until the state has users."""
        table = self._replica.users if self._digest else None
        self._due = None
        if table is None:
            return
        if table.begun:
            if table.begun not in (b"-", self._digest):
                _log.warn(
                    "[users] is not what the cluster began with: it counts no more, ACL SETUSER changes users"
                )
            return
        self._due = self._clock.callLater(BEGIN_AGAIN_S, self.begin)
        made = self.before()
        if made:
            self._replica.submit(made, _ignore, sum(map(len, made[0])))

    def before(self) -> Sequence[Command]:
        """See IAdmittance."""
        table = self._replica.users
        if table is None or table.begun or not self._digest or self._replica.version() < SINCE:
            return ()  # a replica of the version before would stop at it
        lines = [word for name, user in self._first.items() for word in (name, rules_of(user))]
        return ([USERS, BEGIN, self._digest, *lines],)

    def stop(self) -> None:
        """Propose nothing any more."""
        for due in (self._due, self._look_due):
            if due is not None:
                due.cancel()
        self._due = self._look_due = None

    # -- who there is

    @property
    def users(self) -> Users:
        """See IAdmittance."""
        table = self._replica.users
        return self._first if table is None or not table.begun else table.users

    def find(self, name: bytes) -> User | None:
        """See IAdmittance."""
        return user_of(self.users, name)

    @property
    def is_open(self) -> bool:
        """See IAdmittance."""
        user = self.find(DEFAULT)
        return user is not None and user.is_on and self._needs_none(user)

    @property
    def is_for_this_host(self) -> bool:
        """See IAdmittance."""
        return self._door.is_for_this_host and self.is_open

    def _needs_none(self, user: User) -> bool:
        inherits = user.is_inherited and not self._door.has_password
        return user.nopass or (inherits and not user.passwords)

    def access_of(self, name: bytes) -> Access | None:
        """See IAdmittance."""
        users = self.users
        if self._kept[0] is not users:
            self._kept = (users, {})
        kept = self._kept[1]
        if name not in kept:
            user = user_of(users, name)
            is_free = user is not None and user.may_do_everything
            kept[name] = None if is_free else Access(name, user or User(), self.units, self._uses)
        return kept[name]

    # -- sessions

    def greet(self, session: Session) -> None:
        """See IAdmittance."""
        table = self._replica.users
        if table is not None:
            table.on_changed = self._on_changed
        self.log_out(session)

    def log_out(self, session: Session) -> None:
        """See IAdmittance."""
        session.user = DEFAULT
        session.has_given_password = False
        session.is_authenticated = self.is_open
        session.access = self.access_of(DEFAULT)

    def log_in_certified(self, session: Session) -> None:
        """See IAdmittance."""
        name = session.certificate_user.encode()
        user = None if name == DEFAULT else self.find(name)  # that one is whoever has said nothing
        if user is not None and user.is_on:
            session.user = name
            session.is_authenticated = session.has_given_password = True
            session.access = self.access_of(name)

    def log_in(self, client: IClient, name: bytes, password: bytes) -> Deferred[Reply] | CommandError | None:
        """See IAdmittance."""
        host = _host_of(client.session)
        if self._failed[host] >= FAILED_MAX or self._failed.total() >= FAILED_TOTAL_MAX:
            client.leave()
            return WRONGPASS  # whatever the password is: else one could guess as fast as one connects
        user, session = self.find(name), client.session
        needs_none = user is not None and self._needs_none(user)
        is_right = self._is_right(user, password) or needs_none
        if user is None or not user.is_on or not is_right:
            return self._fail(client, name)
        session.user = name
        session.is_authenticated = True
        session.has_given_password = not needs_none
        session.access = self.access_of(name)
        return None

    def _is_right(self, user: User | None, password: bytes) -> bool:
        """Whether it is a password of the user, in a time that does not depend on which, or how nearly."""
        digest = sha256(password).hexdigest().encode()
        known = (b"-" * len(digest),) if user is None else user.passwords
        found = [compare_digest(digest, each) for each in known]
        inherited = self._door.opens_to(password)
        return any(found) or (inherited and user is not None and user.is_inherited)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits to be told that a password is wrong."""
        return bool(self._failed)

    def _fail(self, client: IClient, name: bytes) -> Deferred[Reply] | CommandError:
        """Answer later.  It counts also when the client has gone meanwhile, or else it need not wait."""
        session = client.session
        client.server.complain(
            session.address, "it has given a wrong password, or the name of a user that is not there"
        )
        self.log.add(client, "auth", "toplevel", b"AUTH", name)
        host = _host_of(session)
        self._failed[host] += 1
        later: Deferred[Reply] = Deferred()
        self._clock.callLater(FAILED_S, self._tell_failed, host, later)
        return later

    def _tell_failed(self, host: str, later: Deferred[Reply]) -> None:
        self._failed[host] -= 1
        if not self._failed[host]:
            del self._failed[host]
        if not later.called:
            later.callback(WRONGPASS)

    # -- users change

    def _on_changed(self) -> None:
        """Look at the connections when the batch is through, before anything else comes from them."""
        if self._look_due is None:
            self._look_due = self._clock.callLater(0, self._look)

    def _look(self) -> None:
        self._look_due = None
        for connection in list(self._connections()):
            self._look_at(connection)

    def _look_at(self, connection: IClientConnection) -> None:
        session = connection.session
        if self.find(session.user) is None:
            _log.info("client {address} is disconnected: its user was removed", address=session.address)
            connection.hang_up()
            return
        session.access = access = self.access_of(session.user)
        listens = session.listens
        if access is not None and not access.may_listen(
            [*listens[Kind.CHANNEL], *listens[Kind.SHARD]], listens[Kind.PATTERN]
        ):
            _log.info("client {address} is disconnected: it may not listen any more", address=session.address)
            connection.hang_up()
            return
        connection.heed_pause()


def _host_of(session: Session) -> str:
    return session.address.rpartition(":")[0] or session.address


def _ignore(outcome: Outcome) -> None:
    """Whether there are users now is looked at again."""
