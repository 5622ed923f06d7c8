// ioredis: time to live, hashes, transactions, scripts, SCAN.
import { done, halfway, need, ports, same, sleep } from "./talk.mjs";

const [{ Redis }] = await need("ioredis");
const client = new Redis({ port: ports[0] });
const other = new Redis({ port: ports[0] });
client.defineCommand("addTo", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" });

async function use() {
  await client.flushdb();
  same(await client.set("short", "x", "PX", 300), "OK");
  await sleep(1000);
  same(await client.get("short"), null);
  same(await client.hset("user", { name: "ada", age: "36" }), 2);
  same(await client.hincrby("user", "age", 1), 37);
  same(await client.hgetall("user"), { name: "ada", age: "37" });
  same(await client.multi().set("x", 1).incr("x").exec(), [[null, "OK"], [null, 2]]);
  await client.watch("x");
  await other.set("x", "10");
  same(await client.multi().set("x", 0).exec(), null);
  same([await client.addTo("sum", 2), await client.addTo("sum", 3)], [2, 5]);
  await client.mset(Object.fromEntries([...Array(100).keys()].map((number) => [`scan:${number}`, number])));
  const found = new Set();
  for await (const keys of client.scanStream({ match: "scan:*", count: 10 })) {
    keys.forEach((key) => found.add(key));
  }
  same(found.size, 100);
}

await use();
await halfway();
await use();
done();
