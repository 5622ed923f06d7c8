// connect-redis: sessions of Express in Redis.
import { done, halfway, need, ports, same } from "./talk.mjs";

const [{ RedisStore }, { createClient }] = await need("connect-redis", "redis", "express-session");
const client = createClient({ url: `redis://127.0.0.1:${ports[0]}` });
await client.connect();
const store = new RedisStore({ client, ttl: 100 });
const session = (user) => ({ cookie: { originalMaxAge: 60000, expires: new Date(Date.now() + 60000) }, user });

async function use() {
  await store.clear();
  await store.set("one", session("ada"));
  await store.set("two", session("bob"));
  same((await store.get("one")).user, "ada");
  await store.touch("one", session("ada"));
  same(await store.length(), 2);
  same((await store.ids()).sort(), ["one", "two"]);
  same((await store.all()).map((each) => each.user).sort(), ["ada", "bob"]);
  await store.destroy("one");
  same((await store.get("one")) ?? null, null);
}

await use();
await halfway();
same((await store.get("two")).user, "bob");
await use();
done();
