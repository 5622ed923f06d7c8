"""Flask-Session: sessions of Flask in Redis."""

from __future__ import annotations

from talk import PORTS, halfway, need, same

flask, flask_session, redis = need("flask", "flask_session", "redis")

app = flask.Flask(__name__)
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=PORTS[0]), SESSION_PERMANENT=True)
flask_session.Session(app)


@app.route("/")
def count() -> str:
    """How often this browser was here."""
    flask.session["visits"] = flask.session.get("visits", 0) + 1
    return str(flask.session["visits"])


@app.route("/leave")
def leave() -> str:
    """End the session."""
    flask.session.clear()
    return ""


browser, other = app.test_client(), app.test_client()
same([browser.get("/").text for _ in range(3)], ["1", "2", "3"])
same(other.get("/").text, "1")
halfway()
same([browser.get("/").text, other.get("/").text], ["4", "2"])
browser.get("/leave")
same([browser.get("/").text, other.get("/").text], ["1", "3"])
print("done")
