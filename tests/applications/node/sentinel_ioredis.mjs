// ioredis: a client that asks Sentinel, and is told by +switch-master, at replicas one of which is killed.
import { follow } from "./following.mjs";
import { done, need, ports } from "./talk.mjs";

const [{ Redis }] = await need("ioredis");
const client = new Redis({
  sentinels: ports.map((port) => ({ host: "127.0.0.1", port })),
  name: "example",
  failoverDetector: true,
});
client.on("error", () => {});
await follow(client);
done();
