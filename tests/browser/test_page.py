"""The page at `/` of three real replicas, in a real browser."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from tests.browser.browser import chromium, complaints_of_axe
from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.load import Load

SHOTS = Path(os.environ.get("SHOTS", "build/shots"))
NOW = re.compile(r"^Commands a second, the last ten minutes; now [1-9]")
LOST = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED_ENCODING")
SEEN_S_MAX = 10.0
"""The longest time until a killed replica is shown as down: a second or two where nothing else runs."""


class PageTests(ClusterTestCase):
    def load(self, cluster: Cluster) -> Load:
        return Load(dict(enumerate(cluster.redis_ports)))

    def open(self, browser: Any, cluster: Cluster, id: int = 0) -> None:
        browser.get(f"http://127.0.0.1:{cluster.status_ports[id]}/")
        wait_until("the page is there", lambda: "up" in self.text(browser, "#health"))

    def text(self, browser: Any, selector: str) -> str:
        found: str = browser.execute_script(f"return document.querySelector('{selector}').innerText")
        return found

    def labels(self, browser: Any) -> list[str]:
        """What each chart tells a screen reader."""
        found: list[str] = browser.execute_script(
            "return [...document.querySelectorAll('figure [role=img]')].map(each => each.ariaLabel)"
        )
        return found

    def shoot(self, browser: Any, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(SHOTS / name))

    def check_console(self, browser: Any, *known: str) -> None:
        said = [entry["message"] for entry in browser.get_log("browser")]
        self.assertEqual([text for text in said if not any(word in text for word in known)], [])

    def test_it_lives(self) -> None:
        """It loads, goes on by itself, shows what is killed and what comes back, and axe finds nothing."""
        with self.cluster().start().ready() as cluster, chromium() as browser, self.load(cluster):
            self.open(browser, cluster)
            self.assertEqual(browser.title, f"{cluster.status(0)['cluster']}: replica 0")
            self.assertEqual(self.text(browser, "#health"), "all members are up")
            wait_until("all see all", lambda: self.text(browser, "#members tbody").count("yes") == 9)
            wait_until("commands are shown", lambda: NOW.search(self.labels(browser)[0]))
            before = self.text(browser, "#state")
            wait_until("it goes on", lambda: self.text(browser, "#state") != before)
            time.sleep(3)  # for pictures with lines
            self.shoot(browser, "page.png")
            self.assertEqual(complaints_of_axe(browser), [])
            self.check_console(browser)
            cluster.kill(2)
            killed = time.monotonic()
            wait_until("it is shown as down", lambda: "2: down" in self.text(browser, "#members"))
            self.assertLess(time.monotonic() - killed, SEEN_S_MAX)
            self.assertEqual(self.text(browser, "#health"), "down as seen from here: 2")
            wait_until(
                "it is not asked in vain", lambda: self.text(browser, "#members tbody").count("?") == 3
            )
            self.assertEqual(complaints_of_axe(browser), [])
            cluster.start(2)
            wait_until("it is back", lambda: self.text(browser, "#members tbody").count("yes") == 9)
            self.check_console(browser)

    def test_telephone_and_dark(self) -> None:
        """Nothing is wider than the window, in which one can read it, too."""
        with self.cluster().start().ready() as cluster, chromium(390, 2600, dark=True) as browser:
            self.open(browser, cluster)
            wait_until("charts are there", lambda: len(self.labels(browser)) == 8)
            width = browser.execute_script("return document.documentElement.scrollWidth")
            self.assertLessEqual(width, 390)
            background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            self.assertEqual(background, "rgb(21, 24, 28)")
            time.sleep(3)
            self.shoot(browser, "telephone.png")
            self.assertEqual(complaints_of_axe(browser), [])
            self.check_console(browser)

    def test_no_replica(self) -> None:
        """The page says so when its replica goes, and goes on when it is back."""
        with self.cluster().start().ready() as cluster, chromium() as browser:
            self.open(browser, cluster, 1)
            cluster.kill(1)
            wait_until("it says so", lambda: "does not answer" in self.text(browser, "#health"))
            cluster.start(1).ready()
            wait_until("it goes on", lambda: self.text(browser, "#health") == "all members are up", 30)
            self.check_console(browser, *LOST)
