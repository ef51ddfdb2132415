"""Chromium without a window, which opens reports."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 60.0  # seconds, on a busy machine
# Sandboxes need rights that containers do not have; the others keep Chromium from calling home.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# CI=true means that .ci/run has installed it: it must not lack unnoticed there.
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="Chromium, which opens reports, is not installed"
)


class Opened:
    """A page, what its console says, and what it asks of the network."""

    def __init__(self, page, path: Path) -> None:
        self.page = page
        self.messages: list[tuple[str, str]] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.messages.append(("error", str(error))))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        self.wait_until("document.querySelectorAll('.js-plotly-plot').length > 0")

    def wait_until(self, expression: str) -> None:
        """Ask again and again from outside: the page's own policy forbids a driver in it to evaluate text."""
        end = time.monotonic() + PATIENCE
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"not so after {PATIENCE} s: {expression}"
            self.page.wait_for_timeout(50)

    @property
    def fetched(self) -> list[str]:
        """Addresses that were asked for beside the file itself and what stands in it."""
        return [url for url in self.requests[1:] if not url.startswith(("data:", "blob:"))]


@contextmanager
def chromium() -> Iterator[Callable[[Path], Opened]]:
    """A browser; what it yields opens a file in it."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "CI=true, but there is no chromium, which .ci/run installs"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield lambda path: Opened(browser.new_page(viewport={"width": 1280, "height": 900}), path)
        browser.close()
