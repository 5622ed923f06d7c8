"""Sessions of Django in its cache, behind a view."""

from __future__ import annotations

from talk import PORTS, halfway, need, same

need("django")
import django  # noqa: E402  # the program ends above where Django is missing
from django.conf import settings  # noqa: E402

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{PORTS[0]}",
        }
    },
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only here",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
)
django.setup()
from django.http import HttpRequest, HttpResponse  # noqa: E402  # behind the settings
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


def count(request: HttpRequest) -> HttpResponse:
    """How often this browser was here."""
    request.session["visits"] = visits = request.session.get("visits", 0) + 1
    return HttpResponse(str(visits))


def leave(request: HttpRequest) -> HttpResponse:
    """End the session."""
    request.session.flush()
    return HttpResponse("")


urlpatterns = [path("", count), path("leave", leave)]
browser, other = Client(), Client()
same([browser.get("/").content for _ in range(3)], [b"1", b"2", b"3"])
same(other.get("/").content, b"1")
halfway()
same([browser.get("/").content, other.get("/").content], [b"4", b"2"])
browser.get("/leave")
same([browser.get("/").content, other.get("/").content], [b"1", b"3"])
print("done")
