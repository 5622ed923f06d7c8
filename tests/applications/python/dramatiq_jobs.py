"""dramatiq: an actor, two workers, and a backend for the results.

A fetch moves messages to a set of their worker.  Those whose reply was under way when the server died stay
there until the worker has ended; so whoever sends them again is faster.
"""

from __future__ import annotations

import time

from jobs import IS_WORKER, connect, produce, record
from talk import need, same

dramatiq, redis_broker, results, backends = need(
    "dramatiq", "dramatiq.brokers.redis", "dramatiq.results", "dramatiq.results.backends"
)
WORKERS = 2
THREADS = 4
FETCHED = 2 * THREADS
broker = redis_broker.RedisBroker(client=connect())
broker.add_middleware(results.Results(backend=backends.RedisBackend(client=connect())))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def job(number: int) -> int:
    """What a worker does."""
    record(number)
    return number


if IS_WORKER:
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    worker.start()
    while True:
        time.sleep(1)
else:
    sent = {}

    def enqueue(number: int) -> None:
        """Send the job, and know its message."""
        sent[number] = job.send(number)

    produce(enqueue, workers=WORKERS, twice_max=1 + WORKERS * THREADS, lost_max=WORKERS * FETCHED)
    for number in (0, 499, 999):
        same(sent[number].get_result(block=True, timeout=5000), number)
    print("done")
