// A thousand jobs for a system of queues, whose server is killed in their middle; as jobs.py.
import { Redis } from "ioredis";
import { halfway, ports, same, sleep } from "./talk.mjs";

export const JOBS = 1000;
const QUIET_MS = 12_000;

// Options of ioredis for the server, or for any replica that lives.
export function options() {
  if (ports.length === 1) {
    return { port: ports[0], maxRetriesPerRequest: null };
  }
  return {
    sentinels: ports.map((port) => ({ host: "127.0.0.1", port })),
    name: "example",
    failoverDetector: true,
    maxRetriesPerRequest: null,
  };
}

export function connect() {
  const client = new Redis(options());
  client.on("error", () => {});
  return client;
}

const runs = new Map();
let changed = Date.now();

// A worker has run this job.
export function record(number) {
  runs.set(number, (runs.get(number) ?? 0) + 1);
  changed = Date.now();
}

async function until(count) {
  changed = Date.now();
  while (runs.size < count && Date.now() < changed + QUIET_MS) {
    await sleep(20);
  }
}

// Enqueue all jobs, one after the other, with a kill in the middle, and see that each was run, and few twice.
export async function produce(enqueue, { twiceMax }) {
  let retries = 0;
  async function enqueueAll() {
    for (let number = 0; number < JOBS; number++) {
      for (;;) {
        try {
          await enqueue(number);
          break;
        } catch (error) {
          console.error(`enqueued again: ${number} ${error}`);
          retries++;
          await sleep(200);
        }
      }
    }
  }
  const producer = enqueueAll();
  await until(JOBS / 4);
  await halfway();
  await producer;
  await until(JOBS);
  same([...Array(JOBS).keys()].filter((number) => !runs.has(number)), [], "nobody ran these");
  const twice = [...runs.values()].reduce((sum, count) => sum + count, 0) - JOBS;
  same(runs.size, JOBS);
  same(twice <= twiceMax, true, `${twice} runs too many`);
  console.log(`${JOBS} jobs, ${twice} run twice, ${retries} retries`);
}
