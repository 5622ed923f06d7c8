// Load by a client that follows: it writes one key after the other, and reads all of them back in the end.
import { halfway, same, sleep } from "./talk.mjs";

const SECONDS = 6;

export async function follow(client) {
  const acknowledged = [];
  let stopped = false;
  let longest = 0;
  async function write(name) {
    let last = Date.now();
    for (let number = 0; !stopped; number++) {
      const key = `${name}:${number}`;
      try {
        await client.set(key, key);
      } catch {
        await sleep(50);
        continue;
      }
      acknowledged.push(key);
      longest = Math.max(longest, Date.now() - last);
      last = Date.now();
      await sleep(2);
    }
  }
  const writers = [...Array(8).keys()].map((number) => write(`writer${number}`));
  await sleep(1000);
  await halfway();
  const before = acknowledged.length;
  await sleep(SECONDS * 1000);
  stopped = true;
  await Promise.all(writers);
  same(acknowledged.length > before + 100, true, "it goes on");
  same(longest < SECONDS * 1000, true, `a write took ${longest} ms`);
  for (const key of acknowledged) {
    same(await client.get(key), key);
  }
}
