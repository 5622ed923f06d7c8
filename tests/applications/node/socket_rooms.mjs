// What socket.io does over an adapter: rooms and broadcasts between two servers, with one client each.
import { createServer } from "node:http";
import { halfway, need, same, sleep } from "./talk.mjs";

const PATIENCE_MS = 15_000;

async function listen(Server, adapter) {
  const http = createServer();
  const io = new Server(http, { adapter });
  io.on("connection", (socket) => {
    socket.on("join", (room, answer) => {
      socket.join(room);
      answer();
    });
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { io, url: `http://127.0.0.1:${http.address().port}` };
}

async function until(isSo, what) {
  const started = Date.now();
  while (!(await isSo())) {
    same(Date.now() < started + PATIENCE_MS, true, what);
    await sleep(20);
  }
}

// `makeAdapter`: an adapter for a server of its own.
export async function rooms(makeAdapter) {
  const [{ Server }, { io: connect }] = await need("socket.io", "socket.io-client");
  const servers = [await listen(Server, await makeAdapter()), await listen(Server, await makeAdapter())];
  const got = [[], []];
  const clients = servers.map(({ url }, number) => {
    const socket = connect(url, { transports: ["websocket"] });
    socket.on("news", (text) => got[number].push(text));
    return socket;
  });
  await Promise.all(clients.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
  await clients[1].emitWithAck("join", "room");

  // Each server reaches the client of the other one, and a room those who are in it.
  async function use(name) {
    // A broadcast while nobody listens at the server is gone, as with Redis: so it is told until it is heard.
    await until(async () => {
      servers[0].io.emit("news", `${name}: first`);
      servers[1].io.emit("news", `${name}: second`);
      await sleep(100);
      return got.every((texts) => texts.includes(`${name}: first`) && texts.includes(`${name}: second`));
    }, `${name}: broadcasts`);
    for (let number = 0; number < 100; number++) {
      servers[0].io.to("room").emit("news", `${name}: room ${number}`);
    }
    await until(() => got[1].includes(`${name}: room 99`), `${name}: rooms`);
    const expected = [...Array(100).keys()].map((number) => `${name}: room ${number}`);
    same(got[1].filter((text) => text.includes(": room") && text.startsWith(name)), expected);
    same(got[0].filter((text) => text.includes(": room")), []);
    same((await servers[0].io.fetchSockets()).length, 2);
    same((await servers[0].io.in("room").fetchSockets()).length, 1);
  }

  await use("before");
  await halfway();
  await use("after");
}
