// ioredis: strings, counters and pipelines of one connection.
import { done, halfway, need, ports, same } from "./talk.mjs";

const [{ Redis }] = await need("ioredis");
const client = new Redis({ port: ports[0] });

async function use() {
  same(await client.set("name", "value"), "OK");
  same(await client.get("name"), "value");
  same(await client.set("name", "other", "NX"), null);
  same(await client.mset({ a: "1", b: "2" }), "OK");
  same(await client.mget("a", "b", "c"), ["1", "2", null]);
  same(await client.incr("a"), 2);
  const answers = await client.pipeline().set("p", 1).incr("p").get("p").exec();
  same(answers, [[null, "OK"], [null, 2], [null, "2"]]);
  same(await client.del("p", "none"), 1);
}

await use();
await halfway();
await use();
done();
