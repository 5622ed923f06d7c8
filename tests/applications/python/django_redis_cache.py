"""django-redis: a cache with time to live, patterns and locks."""

from __future__ import annotations

from talk import PORTS, halfway, need, same

need("django", "django_redis")
from django.conf import settings  # noqa: E402  # the program ends above where one is missing

settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{PORTS[0]}/0",
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        }
    }
)
from django.core.cache import cache  # noqa: E402  # behind the settings


def use() -> None:
    """What django-redis adds to a cache."""
    cache.clear()
    cache.set("view", [1, 2], timeout=60)
    same(cache.get("view"), [1, 2])
    assert 0 < cache.ttl("view") <= 60
    same([cache.persist("view"), cache.ttl("view")], [True, None])
    same(cache.expire("view", 50), True)
    assert 0 < cache.ttl("view") <= 50
    same(cache.set("view", 3, nx=True), False)
    cache.set("count", 1)
    same(cache.incr("count", 4), 5)
    cache.set_many({f"item:{number}": number for number in range(30)})
    same(len(cache.keys("item:*")), 30)
    same(len(list(cache.iter_keys("item:*"))), 30)
    same(cache.delete_pattern("item:*"), 30)
    with cache.lock("job", timeout=5):
        same(cache.lock("job", timeout=5, blocking=False).acquire(), False)
    same(cache.get_many(["view", "none"]), {"view": [1, 2]})


use()
halfway()
use()
print("done")
