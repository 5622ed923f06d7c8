"""What clients see of replicas that have just been started."""

from __future__ import annotations

import time
from threading import Thread

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster

WITHIN_S = 20


def set_at_once(cluster: Cluster, id: int) -> str:
    """The reply to a SET with a time, sent as soon as the replica takes commands."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        try:
            return str(cluster.client(id).execute_command("SET", f"k{id}", "v", "EX", "100"))
        except redis.ConnectionError:
            time.sleep(0.005)
        except redis.ResponseError as error:
            if "does not run" not in str(error):  # it reads its store
                return str(error)
            time.sleep(0.005)
    return "it takes none"


class ClockTests(SynchronousTestCase):
    def at_once(self, cluster: Cluster, *ids: int) -> list[str]:
        replies = dict.fromkeys(ids, "")
        threads = [Thread(target=lambda id=id: replies.update({id: set_at_once(cluster, id)})) for id in ids]  # type: ignore[misc]
        for thread in threads:
            thread.start()
        cluster.start(*ids)
        for thread in threads:
            thread.join()
        return list(replies.values())

    def test_a_time_to_live_right_after_a_start(self) -> None:
        """It waits until a majority of the clocks is known: it is never refused."""
        with Cluster() as cluster:
            self.assertEqual(self.at_once(cluster, 0, 1, 2), ["True"] * 3)
            for _ in range(3):
                cluster.kill(1)
                self.assertEqual(self.at_once(cluster, 1), ["True"])
            cluster.kill(0, 1, 2)
            self.assertEqual(self.at_once(cluster, 0, 1, 2), ["True"] * 3)
            cluster.kill(0, 1, 2)
            self.assertEqual(self.at_once(cluster, 0, 2), ["True"] * 2)
