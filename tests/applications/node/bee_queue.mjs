// bee-queue: a queue and its worker of four jobs, with clients of ioredis.
import { connect, produce, record, JOBS } from "./jobs.mjs";
import { done, need, same, sleep } from "./talk.mjs";

const [{ default: Queue }] = await need("bee-queue");
const CONCURRENCY = 4;

// bee-queue knows a client by the name of its constructor, and ioredis' clients inherit another one's.
const client = () => Object.defineProperty(connect(), "constructor", { value: { name: "Redis" } });
const settings = { redis: client(), getEvents: false, stallInterval: 2000, redisScanCount: 100 };
const queue = new Queue("jobs", settings);
const worker = new Queue("jobs", { ...settings, redis: client(), isWorker: true });
queue.on("error", () => {});
worker.on("error", () => {});
await Promise.all([queue.ready(), worker.ready()]);
worker.checkStalledJobs(2000);
worker.process(CONCURRENCY, async (job) => {
  record(job.data.number);
  return job.data.number;
});

// A job has the number as its identity, so whoever saves it again adds nothing.
const enqueue = (number) => queue.createJob({ number }).setId(`job-${number}`).save();
await produce(enqueue, { twiceMax: 2 * CONCURRENCY });
// A client of ioredis answers each count of the health with an error beside it.
let counts;
for (let turn = 0; turn < 100 && counts?.[0] !== JOBS; turn++) {
  await sleep(100);
  const { succeeded, active, waiting, failed } = await queue.checkHealth();
  counts = [succeeded, active, waiting, failed].map((count) => count[1]);
}
same(counts, [JOBS, 0, 0, 0]);
done();
