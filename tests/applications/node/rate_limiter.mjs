// rate-limiter-flexible: how often somebody may do something, counted in Redis.
import { done, halfway, need, ports, same, sleep } from "./talk.mjs";

const [{ Redis }, limits] = await need("ioredis", "rate-limiter-flexible");
const { RateLimiterRedis } = limits.default ?? limits;
const client = new Redis({ port: ports[0], enableOfflineQueue: false });
await new Promise((resolve) => client.once("ready", resolve));

async function allowed(limiter, key, count) {
  let passed = 0;
  for (let number = 0; number < count; number++) {
    await limiter.consume(key).then(() => passed++, (error) => {
      if (error instanceof Error) throw error;
    });
  }
  return passed;
}

async function use(name) {
  const limiter = new RateLimiterRedis({ storeClient: client, keyPrefix: name, points: 4, duration: 1 });
  same(await allowed(limiter, "ada", 6), 4);
  same(await allowed(limiter, "bob", 3), 3);
  await sleep(1800);
  same(await allowed(limiter, "ada", 2), 2);
  await limiter.penalty("bob", 2);
  same((await limiter.get("bob")).consumedPoints, 2);
  await limiter.block("eve", 10);
  same(await allowed(limiter, "eve", 1), 0);
  same(await limiter.delete("eve"), true);
  same(await allowed(limiter, "eve", 1), 1);
}

await use("first");
await halfway();
await use("second");
done();
