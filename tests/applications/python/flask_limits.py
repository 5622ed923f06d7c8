"""Flask-Limiter: how often a client may ask, counted in Redis.

The strategy moving-window needs lists.
"""

from __future__ import annotations

from talk import PORTS, halfway, need, same

flask, flask_limiter = need("flask", "flask_limiter")


def codes(strategy: str, count: int, key: str) -> list[int]:
    """The status of `count` requests; 4 are allowed in an hour."""
    app = flask.Flask(strategy)
    limiter = flask_limiter.Limiter(
        lambda: key, app=app, storage_uri=f"redis://127.0.0.1:{PORTS[0]}", strategy=strategy
    )

    @app.route("/")
    @limiter.limit("4 per hour")
    def page() -> str:
        return ""

    client = app.test_client()
    return [client.get("/").status_code for _ in range(count)]


for strategy in ("fixed-window", "sliding-window-counter"):
    same(codes(strategy, 3, "a"), [200] * 3)
halfway()
for strategy in ("fixed-window", "sliding-window-counter"):
    same(codes(strategy, 3, "a"), [200, 429, 429])
    same(codes(strategy, 5, "b"), [200] * 4 + [429])
print("done")
