"""Django's own cache in Redis."""

from __future__ import annotations

import time

from talk import PORTS, halfway, need, same

need("django")
from django.conf import settings  # noqa: E402  # the program ends above where Django is missing

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{PORTS[0]}",
        }
    }
)
from django.core.cache import cache  # noqa: E402  # behind the settings


def use() -> None:
    """Everything that a cache of Django has."""
    cache.clear()
    cache.set("view", {"html": "<p>", "n": 1}, timeout=60)
    same(cache.get("view"), {"html": "<p>", "n": 1})
    same([cache.add("view", 2), cache.add("new", 2)], [False, True])
    cache.set("count", 5)
    same([cache.incr("count"), cache.decr("count", 3)], [6, 3])
    same(cache.set_many({"a": 1, "b": 2}, timeout=60), [])
    same(cache.get_many(["a", "b", "c"]), {"a": 1, "b": 2})
    same([cache.touch("a", 100), cache.touch("c", 100)], [True, False])
    same([cache.has_key("a"), cache.delete("a"), cache.delete("a")], [True, True, False])
    cache.delete_many(["b", "new"])
    same(cache.get_or_set("made", lambda: "x", 60), "x")
    cache.set("short", 1, timeout=1)
    time.sleep(1.8)
    same(cache.get("short", "gone"), "gone")


use()
halfway()
use()
print("done")
