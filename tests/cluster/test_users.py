"""Users at real replicas: those of one are those of all, also after a restart."""

from __future__ import annotations

from typing import Any

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until

FIRST = "[users]\nalice = on >secret ~app:* +@all\n"
READY = "is ready for clients"


def ask(client: Any, *command: str) -> Any:
    """The reply, or the error in its place."""
    try:
        return client.execute_command(*command)
    except redis.RedisError as error:
        return error


def is_there(cluster: Cluster) -> bool:
    """Whether replica 0 tells what was written."""
    try:
        return bool(cluster.client(0).execute_command("GET", "app:1") == b"x")
    except redis.RedisError:
        return False


class UsersTests(SynchronousTestCase):
    timeout = 240

    def user(self, cluster: Cluster, id: int, name: str, password: str) -> redis.Redis:
        """A client that is this user, and stays connected."""
        client = redis.Redis(
            port=cluster.redis_ports[id], username=name, password=password, single_connection_client=True
        )
        self.addCleanup(client.close)
        return client

    def test_users_are_those_of_all_replicas(self) -> None:
        with Cluster(3, FIRST) as cluster:
            cluster.start()
            for id in range(3):
                wait_until(f"replica {id} is ready", lambda id=id: READY in cluster.log(id), 60)
            admin = cluster.client(0)
            wait_until("a quorum", lambda: ask(admin, "SET", "app:1", "x") in (True, "OK", b"OK"))
            alice = self.user(cluster, 2, "alice", "secret")
            wait_until("it is read", lambda: ask(alice, "GET", "app:1") == b"x")
            self.assertIn("No permissions to access a key", str(ask(alice, "GET", "other")))
            self.assertIn(
                str(ask(admin, "ACL", "SETUSER", "bob", "on", ">b", "+get", "+ping", "+hello", "~*")),
                "OK b'OK' True",
            )
            wait_until("bob is known", lambda: ask(cluster.client(1), "ACL", "GETUSER", "bob"))
            bob = self.user(cluster, 1, "bob", "b")
            self.assertEqual(ask(bob, "GET", "app:1"), b"x")
            self.assertIn("no permissions to run the 'set' command", str(ask(bob, "SET", "app:1", "y")))
            self.assertEqual(ask(cluster.client(2), "ACL", "DELUSER", "bob"), 1)
            wait_until("bob is disconnected", lambda: "its user was removed" in cluster.log(1))
            self.assertIsInstance(ask(bob, "GET", "app:1"), redis.RedisError)
            cluster.kill(0, 1, 2)
            cluster.start()
            wait_until("it is read again", lambda: is_there(cluster), 60)
            again = self.user(cluster, 0, "alice", "secret")
            self.assertEqual(ask(again, "GET", "app:1"), b"x")
            self.assertIn("No permissions to access a key", str(ask(again, "GET", "other")))
            self.assertIsNone(ask(cluster.client(0), "ACL", "GETUSER", "bob"))
