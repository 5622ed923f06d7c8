"""Programs of others run at three replicas, one of which is killed, as they run at a real redis-server."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.applications.runner import JOBS_TIMEOUT_S, Program, run
from tests.applications.servers import OneRedis, Server, ThreeReplicas

REAL = True
"""See tests/real.py: the replicas are real, and so is redis-server."""
EXPIRY = "EXPIRE TTL PEXPIRE PTTL"
HASHES = "HSET HGET HGETALL HDEL HINCRBY"
TRANSACTIONS = "MULTI EXEC WATCH"
SCRIPTS = "EVAL EVALSHA SCRIPT"


class ApplicationCase(SynchronousTestCase):
    server: ClassVar[Callable[[], Server]]

    def run_program(self, file: str, *needs: str, follows: bool = False) -> None:
        run(Program(file, " ".join(needs), follows), type(self).server())

    def run_jobs(self, file: str) -> None:
        """A system of queues: it follows, wherever there is somebody to follow."""
        run(Program(file, follows=True, timeout_s=JOBS_TIMEOUT_S), type(self).server())


class Applications:
    """The programs, each with its main use."""

    run_program: Callable[..., None]
    run_jobs: Callable[[str], None]

    # -- Python

    def test_redis_py(self) -> None:
        self.run_program("python/redis_py.py")

    def test_redis_py_whole(self) -> None:
        self.run_program("python/redis_py_whole.py", EXPIRY, HASHES, TRANSACTIONS, SCRIPTS, "SCAN")

    def test_txredisapi(self) -> None:
        self.run_program("python/tx_redis_api.py")

    def test_txredisapi_transactions(self) -> None:
        self.run_program("python/tx_transactions.py", TRANSACTIONS, HASHES, EXPIRY)

    def test_django_cache(self) -> None:
        self.run_program("python/django_cache.py", EXPIRY, "MULTI")

    def test_django_sessions(self) -> None:
        self.run_program("python/django_sessions.py", EXPIRY)

    def test_django_redis(self) -> None:
        self.run_program("python/django_redis_cache.py", EXPIRY, SCRIPTS, "SCAN PERSIST")

    def test_flask_session(self) -> None:
        self.run_program("python/flask_sessions.py", "SETEX")

    def test_flask_limiter(self) -> None:
        self.run_program("python/flask_limits.py", EXPIRY, SCRIPTS)

    def test_aiocache(self) -> None:
        self.run_program("python/aio_cache.py", EXPIRY, SCRIPTS, "MULTI")

    def test_python_redis_lock(self) -> None:
        self.run_program("python/lock.py", EXPIRY, SCRIPTS)

    def test_redlock(self) -> None:
        self.run_program("python/red_lock.py", SCRIPTS, "PTTL")

    def test_python_redis_lock_waiting(self) -> None:
        self.run_jobs("python/lock_waiting.py")

    def test_channels_redis(self) -> None:
        self.run_jobs("python/channel_layers.py")

    def test_celery(self) -> None:
        self.run_jobs("python/celery_jobs.py")

    def test_rq(self) -> None:
        self.run_jobs("python/rq_jobs.py")

    def test_huey(self) -> None:
        self.run_jobs("python/huey_jobs.py")

    def test_dramatiq(self) -> None:
        self.run_jobs("python/dramatiq_jobs.py")

    # -- Node

    def test_ioredis(self) -> None:
        self.run_program("node/plain_ioredis.mjs")

    def test_ioredis_whole(self) -> None:
        self.run_program("node/whole_ioredis.mjs", EXPIRY, HASHES, TRANSACTIONS, SCRIPTS, "SCAN")

    def test_node_redis(self) -> None:
        self.run_program("node/node_redis.mjs")

    def test_connect_redis(self) -> None:
        self.run_program("node/connect_redis.mjs", EXPIRY, "SCAN")

    def test_rate_limiter_flexible(self) -> None:
        self.run_program("node/rate_limiter.mjs", EXPIRY, SCRIPTS)

    def test_bullmq(self) -> None:
        self.run_jobs("node/bullmq.mjs")

    def test_bee_queue(self) -> None:
        self.run_jobs("node/bee_queue.mjs")

    def test_socket_io(self) -> None:
        self.run_jobs("node/socket_io.mjs")

    def test_socket_io_streams(self) -> None:
        self.run_jobs("node/socket_io_streams.mjs")

    # -- PHP

    def test_php_sessions(self) -> None:
        self.run_program("php/sessions.php", "SETEX EXPIRE")


class AtRedisTests(Applications, ApplicationCase):
    """The programs themselves are right."""

    server = OneRedis


class AtReplicasTests(Applications, ApplicationCase):
    """The programs that know nothing of other replicas, and those that do."""

    server = ThreeReplicas

    def test_ioredis_cluster(self) -> None:
        self.run_program("node/cluster_ioredis.mjs", follows=True)

    def test_ioredis_sentinel(self) -> None:
        self.run_program("node/sentinel_ioredis.mjs", follows=True)
