// ioredis: a client of a Redis Cluster, at replicas one of which is killed.
import { follow } from "./following.mjs";
import { done, need, ports, same } from "./talk.mjs";

const [{ Cluster }] = await need("ioredis");
const client = new Cluster(ports.map((port) => ({ host: "127.0.0.1", port })));
client.on("error", () => {});
await new Promise((resolve) => client.once("ready", resolve));
same(client.nodes("master").length, ports.length);
await follow(client);
same(client.nodes("master").length, ports.length - 1);
done();
