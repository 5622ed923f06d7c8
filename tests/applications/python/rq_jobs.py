"""RQ: a queue and two workers.

RQ moves a job to a list of what is under way.  One whose reply was under way when the server died stays
there, and is found to have failed a minute later; so whoever enqueues it again is faster.
"""

from __future__ import annotations

from jobs import IS_WORKER, connect, produce, record
from talk import need

(rq,) = need("rq")


def job(number: int) -> int:
    """What a worker does."""
    record(number)
    return number


if __name__ == "__main__":
    client = connect()
    queue = rq.Queue(connection=client)
    if IS_WORKER:
        rq.SimpleWorker([queue], connection=client).work()
    else:
        produce(lambda number: queue.enqueue("rq_jobs.job", number), twice_max=1 + 2, lost_max=2)
        print("done")
