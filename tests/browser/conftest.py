"""A real Chromium with no network, and a real JupyterLab."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OUTSIDE = re.compile(r"^(?!(file|data|blob|about):|(http|ws)://127\.0\.0\.1[:/])")
"""Addresses that are not on this machine. Others never wait for Python, which may be busy asking a kernel."""
PATIENCE = 60_000
"""Longest wait for the page, in milliseconds: far beyond what it takes, for slow machines."""
SLOWDOWN = float(os.environ.get("ATTNSCOPE_TEST_SLOWDOWN", "1"))
"""How many times slower each page computes than it could, to find what breaks on slow machines."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


def missing(reason: str) -> None:
    """Skip where something is not installed, except where everything has to be."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's Chromium; ended with the package, since its event loop would hinder other tests."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing(f"no Chromium found (looked for {', '.join(NAMES)})")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    playwright.expect.set_options(timeout=PATIENCE / 2)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page, and what it did behind the reader's back.

    Parameters
    ----------
    page
        The page.
    refused
        Addresses outside this machine that were asked for, all of them refused.
    errors
        What the page reported as errors.
    """

    page: Page
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Refuse the network, note complaints, and be slow if wished."""
        self.page.set_default_timeout(PATIENCE)
        if SLOWDOWN > 1:
            tools = self.page.context.new_cdp_session(self.page)
            tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        self.page.route(OUTSIDE, self._refuse)
        self.page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))

    def _refuse(self, route: Route) -> None:
        self.refused.append(route.request.url)
        route.abort()


@contextmanager
def watched(browser: Browser, **given: Any) -> Iterator[Visit]:
    """Open a page in a fresh profile and note what goes wrong or out."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", **given})
    try:
        seen = Visit(context.new_page())
        seen.watch()
        yield seen
    finally:
        context.close()


@contextmanager
def visit(browser: Browser, **given: Any) -> Iterator[Visit]:
    """Open a page in a fresh profile; at the end, nothing may have gone wrong or out."""
    with watched(browser, **given) as seen:
        yield seen
    assert seen.errors == []
    assert seen.refused == []


@pytest.fixture
def visited(chromium: Browser) -> Iterator[Visit]:
    """A fresh page with no network."""
    with visit(chromium) as seen:
        yield seen


@pytest.fixture
def page(visited: Visit) -> Page:
    """A fresh page with no network."""
    return visited.page


@pytest.fixture(scope="package")
def jupyter_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab server with nothing of this user's."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()


@pytest.fixture(scope="package")
def axe() -> str:
    """axe-core's source."""
    path = Path(__file__).parents[2] / "js/node_modules/axe-core/axe.min.js"
    if not path.is_file():
        missing("axe-core is not installed; run npm ci in js")
    return path.read_text(encoding="utf-8")
