"""Celery: a worker of two processes, with a broker and a backend for the results.

Its broker pops a message before it keeps a copy: the one whose reply is under way when the server dies
is lost.
"""

from __future__ import annotations

from jobs import IMPATIENT, IS_WORKER, NAME, PORTS, produce, record
from talk import need, same

(celery,) = need("celery")
SCHEME = "redis" if len(PORTS) == 1 else "sentinel"
URL = ";".join(f"{SCHEME}://127.0.0.1:{port}/0" for port in PORTS)
OPTIONS = {"master_name": NAME, "sentinel_kwargs": IMPATIENT, "visibility_timeout": 5}
app = celery.Celery("jobs", broker=URL, backend=URL)
app.conf.update(
    broker_transport_options=OPTIONS,
    result_backend_transport_options=OPTIONS,
    broker_connection_retry_on_startup=True,
)
PROCESSES = 2
PREFETCHED = 4 * PROCESSES


@app.task(name="job")
def job(number: int) -> int:
    """What a worker does."""
    record(number)
    return number


if IS_WORKER:
    app.worker_main(["worker", "--concurrency", str(PROCESSES), "--loglevel", "INFO"])
else:
    sent = {}

    def enqueue(number: int) -> None:
        """Send the job, and know its result."""
        sent[number] = job.delay(number)

    produce(enqueue, workers=1, twice_max=1 + PREFETCHED + PROCESSES, lost_max=1)
    for number in (0, 499, 999):
        same(sent[number].get(timeout=10), number)
    print("done")
