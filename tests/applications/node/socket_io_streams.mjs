// socket.io with its adapter of streams.
import { connect } from "./jobs.mjs";
import { rooms } from "./socket_rooms.mjs";
import { done, need } from "./talk.mjs";

const [{ createAdapter }] = await need("@socket.io/redis-streams-adapter");
await rooms(() => createAdapter(connect()));
done();
