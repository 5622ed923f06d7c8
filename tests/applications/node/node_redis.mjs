// node-redis: strings, counters and commands of one turn, in both protocols.
import { done, halfway, need, ports, same } from "./talk.mjs";

const [{ createClient }] = await need("redis");
const clients = [2, 3].map((RESP) => createClient({ url: `redis://127.0.0.1:${ports[0]}`, RESP }));

async function use(client) {
  same(await client.set("name", "value"), "OK");
  same(await client.get("name"), "value");
  same(await client.mSet({ a: "1", b: "2" }), "OK");
  same(await client.mGet(["a", "b", "c"]), ["1", "2", null]);
  same(await client.incr("a"), 2);
  same(await Promise.all([client.set("p", "1"), client.incr("p"), client.get("p")]), ["OK", 2, "2"]);
  same(await client.del(["p", "none"]), 1);
}

for (const client of clients) {
  client.on("error", () => {});
  await client.connect();
  await use(client);
}
await halfway();
for (const client of clients) {
  await use(client);
}
done();
