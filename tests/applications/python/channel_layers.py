"""Django's channels-redis: two layers, as of two processes, of both kinds, with a group that spans them.

At most once: a message whose reply was under way when the server died is lost.  So what is sent while a
server dies is sent again until it is heard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from jobs import IMPATIENT, NAME, PORTS, SENTINELS
from talk import halfway, need, same

redis, django_conf = need("redis", "django.conf")
django_conf.settings.configure()
core, pubsub = need("channels_redis.core", "channels_redis.pubsub")
MESSAGES = 50
PATIENCE_S = 20.0


def host() -> dict[str, Any]:
    """Where the server is."""
    if len(PORTS) == 1:
        return {"host": "127.0.0.1", "port": PORTS[0]}
    return {"sentinels": SENTINELS, "master_name": NAME, "sentinel_kwargs": IMPATIENT}


async def listen(layer: Any, channel: str, heard: list[dict[str, Any]]) -> None:
    """Hear what comes, forever: a receive that is cancelled may end its channel."""
    while True:
        try:
            heard.append(await layer.receive(channel))
        except redis.RedisError:
            await asyncio.sleep(0.05)


async def until(what: str, is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


async def reach(sender: Any, receiver: Any, channel: str, heard: list[dict[str, Any]]) -> None:
    """Wait until the group reaches the channel, and nothing is left of what was sent for that."""
    deadline = time.monotonic() + PATIENCE_S
    token = {"type": "token", "number": time.monotonic_ns()}
    while token not in heard:
        assert time.monotonic() < deadline, "the group is not reached"
        try:
            await receiver.group_add("room", channel)
            await sender.group_send("room", token)
        except redis.RedisError:
            pass
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)
    heard.clear()


async def use(sender: Any, receiver: Any, channel: str, heard: list[dict[str, Any]]) -> None:
    """What is sent to the group, or to the channel, comes once, and in order."""
    await reach(sender, receiver, channel, heard)
    messages = [{"type": "chat", "number": number} for number in range(MESSAGES)]
    for message in messages:
        await sender.group_send("room", message)
    await until("the messages to the group", lambda: len(heard) == MESSAGES)
    same(heard, messages)
    await sender.send(channel, {"type": "chat", "text": "hello"})
    await until("the message to the channel", lambda: len(heard) > MESSAGES)
    same(heard[MESSAGES:], [{"type": "chat", "text": "hello"}])
    await receiver.group_discard("room", channel)


async def main() -> None:
    """Both kinds, before and after."""
    uses = []
    listeners = []
    for kind in (core.RedisChannelLayer, pubsub.RedisPubSubChannelLayer):
        sender, receiver = (kind(hosts=[host()]) for _ in range(2))
        channel = await receiver.new_channel()
        heard: list[dict[str, Any]] = []
        listeners.append(asyncio.ensure_future(listen(receiver, channel, heard)))
        uses.append((sender, receiver, channel, heard))
    for each in uses:
        await use(*each)
    await asyncio.get_running_loop().run_in_executor(None, halfway)
    for each in uses:
        await use(*each)
    for listener in listeners:
        listener.cancel()


asyncio.run(main())
print("done")
