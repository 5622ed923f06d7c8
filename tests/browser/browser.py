"""A headless Chromium, by its own driver."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

__all__ = ["chromium", "complaints_of_axe"]

AXE = Path(__file__).parents[1] / "applications" / "node" / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromedriver")
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)


@contextmanager
def chromium(width: int = 1280, height: int = 1500, *, dark: bool = False) -> Iterator[Any]:
    """A browser with a window of that size.  Skips the test where there is none."""
    missing = [name for name in NAMES if shutil.which(name) is None]
    if missing:
        raise SkipTest(f"not installed: {', '.join(missing)} (Debian: chromium, chromium-driver)")
    try:
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService
    except ImportError:
        raise SkipTest("selenium is not installed: make applications") from None
    with tempfile.TemporaryDirectory(prefix="chromium-") as folder:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}", f"--window-size={width},{height}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = Chrome(options, ChromeService(shutil.which("chromedriver")))
        try:
            media = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            browser.set_script_timeout(30)
            yield browser
        finally:
            browser.quit()


def complaints_of_axe(browser: Any) -> list[str]:
    """What axe finds on the page that people with a screen reader, or without a mouse, cannot use."""
    if not AXE.exists():
        raise SkipTest("axe-core is not installed: make applications")
    # By the protocol of the developer tools, because the page itself allows no foreign script.
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})
    found = browser.execute_async_script("const done = arguments[0]; axe.run().then(done);")
    return [
        f"{each['id']}: {each['help']}: {node['html']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
