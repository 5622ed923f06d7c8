"""Users: AUTH, ACL, and what is refused, beside a real Redis where it has the same."""

from __future__ import annotations

from hashlib import sha1

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import CommandError
from epaxos.interfaces.access import _OF_ONE_KEY, KEYS_MAX, SHAPES_AT_ONCE_MAX, SHAPES_MAX, Access, Denied
from epaxos.interfaces.users import AS, RULES_AT_ONCE_MAX, first_users
from epaxos.net.door import Door
from epaxos.resp import connection as connections
from epaxos.resp.admittance import FAILED_MAX, FAILED_S
from epaxos.resp.connection import RespConnection
from tests.resp.lab import Server, Wire, encode
from tests.resp.reference import RealRedis, valkey

SETUP = (
    "ACL SETUSER reader on >r ~app:* resetchannels +@read +ping",
    "ACL SETUSER split on >s %R~r:* %W~w:* +@all -@dangerous",
    "ACL SETUSER some on >o ~k:* &c:* +@all -config +config|get -flushall",
    "ACL SETUSER off >x ~* +@all",
)
ASKED = (
    (
        "reader r",
        "GET app:1",
        "GET other",
        "SET app:1 x",
        "MGET app:1 other",
        "PING",
        "ACL WHOAMI",
        "EXISTS app:1",
    ),
    ("split s", "GET r:1", "GET w:1", "SET w:1 x", "SET r:1 x", "SET w:1 x GET", "INCR w:1", "LPUSH w:l a"),
    ("split s", "LPOP w:l", "RENAME r:1 w:1", "SUNIONSTORE w:s r:s", "SUNIONSTORE r:s r:s", "EXISTS w:1"),
    ("some o", "CONFIG GET maxmemory", "CONFIG RESETSTAT", "FLUSHALL", "SORT k:1 BY w*", "SORT k:1 GET w*"),
    ("some o", "SUBSCRIBE d"),
    ("some o", "PSUBSCRIBE c:*", "PSUBSCRIBE c:1*"),
    ("some o", "PUBLISH c:1 x", "PUBLISH d x", "SUBSCRIBE c:1"),
    ("some o", "WATCH x", "WATCH k:1", "UNWATCH"),
    ("reader r", "MULTI", "GET app:1", "SET app:1 x", "EXEC"),
    ("some o", "MULTI", "GET k:1", "GET other", "EXEC", "DISCARD"),
    (
        "some o",
        "SORT k:1 BY nosort STORE x",
        "SORT k:1 STORE k:2",
        "COPY k:1 x",
        "COPY k:1 k:3",
        "OBJECT FREQ x",
    ),
)
RULES = (
    ">p +@all ~*", "+get -get +set", "~a ~b %R~c %W~d %RW~e", "&a &b", "allkeys allchannels allcommands on",
    "nopass", "resetpass", "+config|get -config", "-@all +@hash", "~* ~a", "allchannels &a", "+nosuch",
    "+@nosuch", "+config|nosuch", "%X~a", "nosuch", "#abc", "<nosuch", "reset",
)  # fmt: skip


OTHERS = (
    "ACL WHOAMI", "ACL USERS", "ACL CAT", "ACL CAT nosuch", "ACL LOAD", "ACL SAVE", "ACL GENPASS 0",
    "ACL GENPASS 5000", "ACL GETUSER nobody", "ACL DELUSER default", "ACL DRYRUN nobody get a", "ACL LOG",
    "ACL SETUSER v on >x ~a &b +get", "ACL GETUSER v", "ACL DRYRUN v get a", "ACL LIST",
)  # fmt: skip


def words_of(told: bytes) -> list[bytes]:
    """The words of a reply.  Redis shows how payloads are looked at, which nothing changes here."""
    return [word for word in told.split() if word[:1] != b"$" and word != b"sanitize-payload"]


def _denied(access: Access, command: list[bytes]) -> object:
    """What is denied; the error of a command that cannot run at all."""
    try:
        return access.denied(command)
    except CommandError as error:
        return error


class AclCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()

    def connect(self, host: str = "127.0.0.1", server: Server | None = None) -> tuple[RespConnection, Wire]:
        connection = (server or self.server).factory.buildProtocol(IPv4Address("TCP", host, 1234))
        wire = Wire()
        connection.makeConnection(wire)
        return connection, wire

    def ask(self, client: tuple[RespConnection, Wire], *commands: str) -> bytes:
        """The replies to these commands."""
        connection, wire = client
        wire.clear()
        for command in commands:
            connection.dataReceived(encode(command))
            self.server.go_on()
        return wire.value()

    def user(self, name: str, *rules: str) -> tuple[RespConnection, Wire]:
        """A client that has logged in as a new user, whose password is `p`."""
        self.ask(self.connect(), f"ACL SETUSER {name} on >p {' '.join(rules)}")
        client = self.connect()
        self.assertEqual(self.ask(client, f"AUTH {name} p"), b"+OK\r\n")
        return client


class AclTests(AclCase):
    def test_nothing_to_check_for_who_may_do_everything(self) -> None:
        connection, _ = self.connect()
        self.assertIsNone(connection.session.access)
        self.assertTrue(connection.is_between_commands())
        connection, _ = self.user("all", "~*", "&*", "+@all")
        self.assertTrue(connection.is_between_commands())
        connection, _ = self.user("some", "~*", "&*", "+@all", "-get")
        self.assertFalse(connection.is_between_commands())

    def test_who_is_allowed_plainly_is_allowed(self) -> None:
        """A short look allows nothing that a close one denies, and what is usual needs no close one."""
        self.ask(self.connect(), "SET r:1 x", "HSET h f v", "RPUSH l a", "SADD s a", "ZADD z 1 a")
        admittance = self.server.factory.shared.admittance
        users = (
            "~* +@all -@dangerous", "~app:* +@all", "%R~app:* +@all", "%W~app:* +@all", "%R~* %W~app:* +@all",
            "~app:* +@read", "~app:* ~?x* +get +set +exists", "~app:* -@all", "+@all",
        )  # fmt: skip
        tails = ("", "1", "a b", "1 a", "GET", "EX 5", "1 a 2 b", "app:2", "other")
        plainly = 0
        for number, rules in enumerate(users):
            self.ask(self.connect(), f"ACL SETUSER u{number} on >p {rules}")
            access = admittance.access_of(b"u%d" % number)
            assert access is not None
            for name in sorted(_OF_ONE_KEY | {b"eval", b"mget", b"sort", b"config", b"object", b"nosuch"}):
                for tail in tails:
                    for key in (b"app:1", b"other", b"ax", b""):
                        command = [name.upper(), key, *tail.encode().split()]
                        if access.allows_plainly([command, command]):
                            plainly += 1
                            self.assertFalse(isinstance(_denied(access, command), Denied), (rules, command))
                        elif name in _OF_ONE_KEY - {b"set", b"exists"}:
                            self.assertIsNotNone(_denied(access, command), (rules, command))
        self.assertGreater(plainly, 3000)

    def test_what_is_remembered_of_a_user_is_bounded(self) -> None:
        """Names that no command has are not remembered; commands of many shapes are looked at one by one."""
        self.ask(self.connect(), "ACL SETUSER u on >p ~* +@all -flushall")
        access = self.server.factory.shared.admittance.access_of(b"u")
        assert access is not None
        self.assertFalse(access.allows_plainly([[b"x" * 1000, b"a"]]))
        self.assertEqual(len(access._needed), 0)
        few: list[list[bytes]] = [[b"sadd", *[b"a"] * (2 + length)] for length in range(SHAPES_AT_ONCE_MAX)]
        self.assertTrue(access.allows_plainly(few))
        self.assertFalse(access.allows_plainly([*few, [b"get", b"a"]]))
        for length in range(SHAPES_MAX + 100):
            access.allows_plainly([[b"rpush", *[b"a"] * (2 + length)]])
        self.assertEqual(len(access._needed), SHAPES_MAX)

    def test_a_client_that_is_refused_reaches_no_replica(self) -> None:
        client = self.user("alice", "~a", "+get")
        before = len(self.server.replica.submitted)
        self.assertIn(b"-NOPERM", self.ask(client, "SET a 1"))
        self.assertIn(b"-NOPERM", self.ask(client, "GET b"))
        self.assertIn(b"-NOPERM", self.ask(client, "EPAXOS STATUS"))
        self.assertIn(b"-NOPERM", self.ask(client, "EPAXOS ONCE s 1 0 GET a"))
        self.assertIn(b"-NOPERM", self.ask(client, "MONITOR"))
        self.assertEqual(len(self.server.replica.submitted), before)
        self.assertEqual(self.ask(client, "GET a"), b"$-1\r\n")

    def test_a_destination_is_written_and_sources_are_read(self) -> None:
        client = self.user("alice", "%W~d", "%R~s*", "+@all")
        self.assertEqual(self.ask(client, "SUNIONSTORE d s1 s2 s1"), b":0\r\n")
        self.assertIn(b"-NOPERM", self.ask(client, "SUNIONSTORE d s1 d"))
        self.assertIn(b"-NOPERM", self.ask(client, "SUNIONSTORE s1 s2"))
        self.assertIn(b"-NOPERM", self.ask(client, "SUNIONSTORE d d"))
        self.assertEqual(self.ask(client, "COPY s1 d"), b":0\r\n")
        access = client[0].session.access
        assert access is not None
        many = [b"SUNIONSTORE", b"d", *(b"s%d" % number for number in range(KEYS_MAX - 2))]
        self.assertIsNone(_denied(access, many))  # hours, where each is compared with all others
        self.assertIsInstance(_denied(access, [*many, b"s", b"s", b"s"]), CommandError)

    def test_what_is_inside_of_trace_counts(self) -> None:
        client = self.user("alice", "~a", "+get", "+epaxos|trace", "+eval")
        self.assertIn(b"No permissions to access a key", self.ask(client, "EPAXOS TRACE GET b"))
        self.assertIn(b"'flushall' command", self.ask(client, "EPAXOS TRACE FLUSHALL"))
        self.assertIn(b"NOPERM scripts inside", self.ask(client, "EPAXOS TRACE EVAL x 0"))
        access = client[0].session.access
        assert access is not None
        self.assertIsNone(_denied(access, [b"EPAXOS", b"TRACE", b"GET", b"a"]))

    def test_users_are_changed_by_those_who_administer(self) -> None:
        self.server = Server(door=Door())
        stranger = self.connect("203.0.113.7")
        self.assertIn(b"-NOPERM", self.ask(stranger, "ACL SETUSER me on >x ~* &* +@all"))
        self.assertIn(b"-NOPERM", self.ask(stranger, "ACL DELUSER me"))
        self.assertEqual(self.ask(self.connect(), "ACL SETUSER me on >x ~* &* +@all"), b"+OK\r\n")
        self.assertEqual(self.ask(stranger, "AUTH me x"), b"+OK\r\n")
        self.assertEqual(self.ask(stranger, "ACL DELUSER you"), b":0\r\n")

    def test_what_follows_at_once_sees_the_change(self) -> None:
        told = self.ask(self.connect(), "ACL SETUSER bob on >x ~* +@all", "AUTH bob x")
        self.assertEqual(told, b"+OK\r\n+OK\r\n")
        told = self.ask(self.connect(), "ACL SETUSER default -get", "GET a")
        self.assertTrue(told.startswith(b"+OK\r\n-NOPERM"), told)

    def test_many_rules_at_a_time(self) -> None:
        many = " ".join(f"~{number}" for number in range(RULES_AT_ONCE_MAX))
        self.assertEqual(self.ask(self.connect(), f"ACL SETUSER bob {many}"), b"+OK\r\n")
        self.assertIn(b"may be given at a time", self.ask(self.connect(), f"ACL SETUSER bob {many} ~x"))
        table = self.server.replica.store.users
        self.assertRaises(CommandError, table.set, b"bob", [b"~a"] * (RULES_AT_ONCE_MAX + 1))

    def test_what_is_inside_of_once_counts(self) -> None:
        client = self.user("alice", "~a", "+get", "+epaxos|once", "+eval")
        self.assertIn(b"No permissions to access a key", self.ask(client, "EPAXOS ONCE s 1 0 GET b"))
        self.assertIn(b"'set' command", self.ask(client, "EPAXOS ONCE s 1 0 SET a 1"))
        self.assertIn(b"NOPERM scripts inside", self.ask(client, "EPAXOS ONCE s 1 0 EVAL x 0"))

    def test_who_shows_a_certificate_is_the_user_of_its_name(self) -> None:
        self.ask(self.connect(), "ACL SETUSER alice on >a ~app:* +get", "ACL SETUSER bob off >b +@all ~*")
        for name, is_let_in in (("alice", True), ("bob", False), ("carol", False), ("", False)):
            self.patch(connections, "certificate_name", lambda transport, name=name: name)
            client = self.connect()
            client[0].handshakeCompleted()
            session = client[0].session
            self.assertEqual(session.user, name.encode() if is_let_in else b"default", name)
            self.assertEqual(session.has_given_password, is_let_in, name)
            self.assertEqual(self.ask(client, "SET app:1 x").startswith(b"-NOPERM"), is_let_in, name)

    def test_rules_change_for_those_who_are_connected(self) -> None:
        client = self.user("alice", "~a", "+get", "+subscribe", "&c")
        admin = self.connect()
        self.ask(admin, "ACL SETUSER alice +set")
        self.assertEqual(self.ask(client, "SET a 1"), b"+OK\r\n")
        self.ask(admin, "ACL SETUSER alice ~* &* +@all", "SELECT 0")
        self.assertTrue(client[0].is_between_commands())
        self.ask(admin, "ACL SETUSER default -get")
        self.assertEqual(
            self.ask(admin, "GET a"), b"-NOPERM User default has no permissions to run the 'get' command\r\n"
        )

    def test_who_listens_to_what_is_not_allowed_any_more_is_disconnected(self) -> None:
        client = self.user("alice", "+subscribe", "&c")
        self.ask(client, "SUBSCRIBE c")
        self.ask(self.connect(), "ACL SETUSER alice +get")
        self.assertFalse(client[1].disconnecting)
        self.ask(self.connect(), "ACL SETUSER alice resetchannels")
        self.assertTrue(client[1].disconnecting)

    def test_connections_of_a_removed_user_are_closed(self) -> None:
        clients = [self.user("alice", "+@all", "~*"), self.user("bob", "+@all", "~*")]
        admin = self.connect()
        self.assertEqual(self.ask(admin, "ACL DELUSER alice nobody"), b":1\r\n")
        self.assertEqual([wire.disconnecting for _, wire in clients], [True, False])
        self.assertFalse(admin[1].disconnecting)
        self.assertEqual(self.ask(clients[1], "ACL DELUSER bob"), b":1\r\n")
        self.assertTrue(clients[1][1].disconnecting)

    def test_who_comes_before_a_removal_is_told_hides_nothing(self) -> None:
        client = self.user("alice", "+@all", "~*")
        self.server.replica.store.users.delete([b"alice"])
        self.connect()
        self.server.clock.advance(0)
        self.assertTrue(client[1].disconnecting)

    def test_queued_commands_are_looked_at_again(self) -> None:
        client = self.user("alice", "~a", "+@all")
        self.ask(client, "MULTI", "SET a 1", "GET a")
        self.ask(self.connect(), "ACL SETUSER alice -get")
        told = self.ask(client, "EXEC")
        self.assertTrue(told.startswith(b"*2\r\n+OK\r\n-NOPERM ACLs rules changed between"), told)

    def test_scripts_may_do_what_their_user_may(self) -> None:
        client = self.user("alice", "~a", "+@all", "-set")
        quoted = "return{redis.call('get','a'),redis.pcall('set','a','1').err}"
        told = self.ask(client, f"EVAL {quoted} 1 a")
        self.assertIn(b"NOPERM ACL failure in script: User alice has no permissions to run the 'set'", told)
        told = self.ask(client, "EVAL return(redis.pcall('get','b').err) 0")
        self.assertIn(b"No permissions to access a key", told)
        told = self.ask(client, "MULTI", "EVAL return(redis.pcall('set','a',1).err) 1 a", "EXEC")
        self.assertIn(b"NOPERM ACL failure", told)
        told = self.ask(client, "SELECT 3", "EVAL return(redis.pcall('set','a',1).err) 1 a")
        self.assertIn(b"NOPERM ACL failure", told)
        self.assertIn(b"-NOPERM", self.ask(client, "EVAL return(1) 1 b"))

    def test_scripts_of_all_forms_without_keys(self) -> None:
        """The shortest of each: a batch that cannot be applied would stop every replica."""
        client = self.user("alice", "~a", "+@all", "-flushall")
        sha = sha1(b"return(1)").hexdigest()
        for text in (False, True, True):
            told = self.ask(client, f"EVAL return({int(text)}) 0")
            self.assertEqual(told, b":%d\r\n" % text)
        for call, reply in (
            ("EVAL return(1) 0", b":1\r\n"), ("EVAL_RO return(1) 0", b":1\r\n"),
            (f"EVALSHA {sha} 0", b":1\r\n"), (f"EVALSHA_RO {sha} 0", b":1\r\n"),
            ("EVALSHA x 0", b"-NOSCRIPT"), ("EVALSHA_RO x 0", b"-NOSCRIPT"),
        ):  # fmt: skip
            self.assertTrue(self.ask(client, call).startswith(reply), call)
            self.assertTrue(
                self.ask(client, "SELECT 1", call, "SELECT 0").startswith(b"+OK\r\n" + reply), call
            )
            told = self.ask(client, "MULTI", call, "EXEC")
            self.assertTrue(told.startswith(b"+OK\r\n+QUEUED\r\n*1\r\n" + reply), told)

    def test_nobody_sends_the_rights_of_a_script(self) -> None:
        connection, wire = self.connect()
        connection.dataReceived(
            b"*6\r\n$3\r\n%b\r\n$5\r\nx on \r\n$4\r\nEVAL\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\na\r\n" % AS
        )
        self.assertIn(b"-ERR unknown command", wire.value())

    def test_the_log(self) -> None:
        client = self.user("alice", "~a", "+get")
        self.ask(client, "GET b", "GET b", "SET a 1")
        told = self.ask(self.connect(), "ACL LOG")
        self.assertTrue(told.startswith(b"*2\r\n"), told)
        for word in (b"command", b"toplevel", b"alice", b"count\r\n:2\r\n"):
            self.assertIn(word, told)
        self.assertEqual(self.ask(self.connect(), "ACL LOG RESET", "ACL LOG"), b"+OK\r\n*0\r\n")

    def test_no_password_is_in_the_state(self) -> None:
        self.user("alice", ">sesame")
        entries = b" ".join(name + line for name, line in self.server.replica.store.entries())
        self.assertIn(b"alice", entries)
        self.assertNotIn(b"sesame", entries)
        self.assertNotIn(b"sesame", self.ask(self.connect(), "ACL SETUSER alice <sesame2"))

    def test_default_keeps_requirepass_until_rules_say_else(self) -> None:
        self.server = Server(door=Door("opensesame"))
        admin = self.connect()
        self.assertEqual(self.ask(admin, "AUTH opensesame"), b"+OK\r\n")
        self.ask(admin, "ACL SETUSER default -debug", "ACL SETUSER default >more")
        self.assertIn(b"NOAUTH", self.ask(self.connect(), "GET a"))
        for password in ("opensesame", "more"):
            self.assertEqual(self.ask(self.connect(), f"AUTH {password}"), b"+OK\r\n")
        self.ask(admin, "ACL SETUSER default resetpass")
        self.assertEqual(self.ask(self.connect(), "AUTH opensesame"), b"")
        self.ask(admin, "ACL SETUSER default nopass")
        self.assertEqual(self.ask(self.connect(), "GET a"), b"$-1\r\n")

    def test_protected_mode_ends_with_a_password_of_default(self) -> None:
        self.server = Server(door=Door(is_protected=True))
        self.assertIn(b"DENIED", self.connect("10.0.0.1")[1].value())
        self.ask(self.connect(), "ACL SETUSER default >p")
        client = self.connect("10.0.0.1")
        self.assertIn(b"NOAUTH", self.ask(client, "GET a"))
        self.assertEqual(self.ask(client, "AUTH p"), b"+OK\r\n")

    def test_a_user_without_a_password_administers_nothing_from_elsewhere(self) -> None:
        self.ask(self.connect(), "ACL SETUSER alice on nopass ~* &* +@all")
        client = self.connect("10.0.0.1")
        self.assertEqual(self.ask(client, "AUTH alice x"), b"+OK\r\n")
        self.assertIn(b"NOPERM this command of EPAXOS", self.ask(client, "EPAXOS STATUS"))


class FailedTests(AclCase):
    def test_a_wrong_password_is_answered_after_a_second(self) -> None:
        client = self.connect()
        self.assertEqual(self.ask(client, "AUTH nobody x", "PING"), b"")
        self.server.clock.advance(FAILED_S)
        self.assertIn(b"-WRONGPASS", client[1].value())
        self.assertTrue(client[1].value().endswith(b"+PONG\r\n"))

    def test_those_of_one_address_are_bounded_also_when_they_hang_up(self) -> None:
        self.ask(self.connect(), "ACL SETUSER right on >p")
        for _ in range(FAILED_MAX):
            connection, wire = self.connect("10.0.0.1")
            connection.dataReceived(encode("AUTH nobody x"))
            connection.connectionLost()
            self.assertEqual(wire.value(), b"")
        client = self.connect("10.0.0.1")
        self.assertIn(b"-WRONGPASS", self.ask(client, "AUTH nobody x"))
        self.assertTrue(client[1].disconnecting)
        client = self.connect("10.0.0.1")
        self.assertIn(b"-WRONGPASS", self.ask(client, "AUTH right p"), "nothing is learnt from a right one")
        self.assertEqual(self.ask(self.connect("10.0.0.2"), "AUTH nobody x"), b"")
        self.server.clock.advance(FAILED_S)
        self.assertEqual(self.ask(self.connect("10.0.0.1"), "AUTH nobody x"), b"")


class FirstUsersTests(AclCase):
    FIRST = first_users({"default": "off", "alice": "on >p ~* &* +@all"})

    def test_they_count_before_they_are_in_the_state(self) -> None:
        self.server = Server(users=self.FIRST)
        self.assertIn(b"NOAUTH", self.ask(self.connect(), "GET a"))
        client = self.connect()
        self.assertEqual(self.ask(client, "AUTH alice p"), b"+OK\r\n")
        self.assertEqual(self.ask(client, "ACL SETUSER bob on >b +get"), b"+OK\r\n")
        self.assertEqual(
            self.ask(client, "ACL USERS"), b"*3\r\n$5\r\nalice\r\n$3\r\nbob\r\n$7\r\ndefault\r\n"
        )
        self.assertIn(b"NOAUTH", self.ask(self.connect(), "GET a"))

    def test_they_are_proposed_until_they_are_there(self) -> None:
        self.server = Server(users=self.FIRST)
        self.server.factory.doStart()
        self.server.replica.held.clear()
        self.server.clock.advance(1)
        self.server.go_on()
        table = self.server.replica.users
        self.assertEqual((table.begun, set(table.users)), (self.FIRST[1], {b"alice", b"default"}))
        self.server.clock.advance(1)
        self.assertEqual(self.server.clock.getDelayedCalls(), [])
        self.server.factory.doStop()

    def test_they_wait_for_the_upgrade_turn(self) -> None:
        """Replicas of the version before would stop at them."""
        self.server = Server(users=self.FIRST)
        self.server.replica.version = lambda: 1
        self.server.factory.doStart()
        self.server.clock.advance(1)
        self.assertEqual(self.server.replica.held, [])
        self.server.replica.version = lambda: 2
        self.server.clock.advance(1)
        self.server.replica.held.clear()
        self.server.go_on()
        self.assertTrue(self.server.replica.submitted)
        self.server.factory.doStop()

    def test_they_change_nothing_afterwards(self) -> None:
        self.ask(self.connect(), "ACL SETUSER bob on >b +get")
        later = Server(users=self.FIRST, replica=self.server.replica)
        later.factory.doStart()
        self.assertEqual(set(later.replica.users.users), {b"bob"})
        self.assertEqual(later.replica.held, [])


class DifferentialTests(AclCase):
    """The same to a real Redis."""

    def test_what_is_refused(self) -> None:
        with RealRedis(program=valkey()) as redis:
            real, ours = redis.connect(), self.connect()
            for command in SETUP:
                self.assertEqual(self.ask(ours, command), real.send(encode(command)), command)
            for who, *commands in ASKED:
                real, ours = redis.connect(), self.connect()
                for command in (f"AUTH {who}", *commands):
                    told, expected = self.ask(ours, command), real.send(encode(command))
                    if b"-NO" in expected or b"-NO" in told or b"denied due" in expected + told:
                        expected = expected.replace(b"permissions.\r", b"permissions\r")  # Valkey's dot
                        self.assertEqual(told, expected, f"{command} of {who}")
                real.close()

    def test_rules(self) -> None:
        with RealRedis() as redis:
            real, ours = redis.connect(), self.connect()
            for rules in RULES:
                for command in (f"ACL SETUSER u {rules}", "ACL LIST", "ACL SETUSER u reset"):
                    expected = real.send(encode(command))
                    if rules[:1] not in "#<":  # what may be a password is not shown
                        told = self.ask(ours, command)
                        self.assertEqual(words_of(told), words_of(expected), f"{command} of {rules}")

    def test_the_others(self) -> None:
        with RealRedis() as redis:
            real, ours = redis.connect(), self.connect()
            for command in OTHERS:
                self.assertEqual(self.ask(ours, command), real.send(encode(command)), command)
