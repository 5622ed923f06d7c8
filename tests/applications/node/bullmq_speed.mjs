// How many jobs BullMQ adds and runs in a second: `node bullmq_speed.mjs PORT [PORT ...]`, at each port one queue.
import { done, need, ports, sleep } from "./talk.mjs";

const [{ Queue, Worker }] = await need("bullmq");
const JOBS = Number(process.env.JOBS ?? 2000);
const AT_ONCE = 32;

const perSecond = (count, started) => Math.round((1000 * count) / (Date.now() - started));
const options = (port) => ({ connection: { port, maxRetriesPerRequest: null } });
const queues = ports.map((port, number) => new Queue(`speed-${number}`, options(port)));
await Promise.all(queues.map((queue) => queue.waitUntilReady()));

let started = Date.now();
const producer = async (queue) => {
  for (let number = 0; number < JOBS / AT_ONCE; number++) {
    await queue.add("job", { number });
  }
};
await Promise.all(queues.flatMap((queue) => Array.from({ length: AT_ONCE }, () => producer(queue))));
const jobs = ports.length * AT_ONCE * Math.ceil(JOBS / AT_ONCE);
const added = perSecond(jobs, started);

let ran = 0;
started = Date.now();
ports.forEach((port, number) => {
  new Worker(`speed-${number}`, async () => ran++, { ...options(port), concurrency: AT_ONCE });
});
while (ran < jobs) {
  await sleep(5);
}
console.log(`${added} jobs/s added, ${perSecond(jobs, started)} jobs/s run`);
done();
