"""Huey: a queue and a consumer of four threads.

Huey pops a job and keeps no copy of it: one for each thread can be lost when the server dies.
"""

from __future__ import annotations

from jobs import IS_WORKER, connect, produce, record
from talk import need

(huey,) = need("huey")
THREADS = 4
queue = huey.RedisHuey("jobs", connection_pool=connect().connection_pool)


@queue.task()
def job(number: int) -> int:
    """What a worker does."""
    record(number)
    return number


if IS_WORKER:
    queue.create_consumer(workers=THREADS).run()
else:
    produce(job, workers=1, twice_max=1 + THREADS, lost_max=THREADS)
    print("done")
