// BullMQ: a queue, two workers of four jobs each, the events of the queue, and its counts.
import { options, produce, record, JOBS } from "./jobs.mjs";
import { done, need, same, sleep } from "./talk.mjs";

const [{ Queue, QueueEvents, Worker }] = await need("bullmq");
const CONCURRENCY = 4;
const connection = options();
const quiet = (object) => object.on("error", () => {});
const queue = quiet(new Queue("jobs", { connection }));
const events = quiet(new QueueEvents("jobs", { connection }));
const completed = new Set();
events.on("completed", ({ jobId, returnvalue }) => completed.add(`${jobId} ${returnvalue}`));
await events.waitUntilReady();
const run = async (job) => {
  record(job.data.number);
  return job.data.number;
};
// A job whose lock was lost with a reply is stalled, and run again.
const settings = { connection, concurrency: CONCURRENCY, lockDuration: 4000, stalledInterval: 2000 };
const workers = [1, 2].map(() => quiet(new Worker("jobs", run, settings)));

// A job has the number as its identity, so whoever adds it again adds nothing.
const enqueue = (number) => queue.add("job", { number }, { jobId: `job-${number}`, attempts: 3 });
await produce(enqueue, { twiceMax: workers.length * CONCURRENCY });
let counts;
for (let turn = 0; turn < 100 && counts?.completed !== JOBS; turn++) {
  await sleep(100);
  counts = await queue.getJobCounts("completed", "active", "wait", "failed");
}
same(counts, { completed: JOBS, active: 0, wait: 0, failed: 0 });
same((await queue.getJob("job-7")).returnvalue, 7);
same(completed.size > JOBS / 2, true, "events");

// What is to run later, and what fails and is tried again.
await queue.add("job", { number: 0 }, { jobId: "late", delay: 300 });
for (let turn = 0; turn < 100 && !(await queue.getJob("late")).finishedOn; turn++) {
  await sleep(100);
}
same(await (await queue.getJob("late")).getState(), "completed");
done();
