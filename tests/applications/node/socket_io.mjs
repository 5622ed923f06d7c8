// socket.io with its adapter of Redis, which publishes.
import { connect } from "./jobs.mjs";
import { rooms } from "./socket_rooms.mjs";
import { done, need } from "./talk.mjs";

const [{ createAdapter }] = await need("@socket.io/redis-adapter");
await rooms(() => createAdapter(connect(), connect()));
done();
