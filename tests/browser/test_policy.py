"""The one-file page under the strictest policy there is for it: its own script and style, and no request."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import expect

import attnscope
from tests.browser.conftest import visit
from tests.browser.samples import vision
from tests.browser.widget import Widget

ADDRESS = "http://127.0.0.1:9/page.html"
VIEWS = ("Links", "Matrix", "Grid", "Text", "Steps", "Flow", "Image", "Compare")


def written(tmp_path) -> str:
    """A page that has something to show in all eight views."""
    first = vision()
    rng = np.random.default_rng(3)
    layers = first["self"].stored.values()
    other = attnscope.from_queries_keys(
        [np.asarray(layer.queries) + 0.2 * rng.normal(size=layer.queries.shape).astype("f4") for layer in layers],
        [layer.keys for layer in layers],
        first.tokens_of()[0],
    )
    path = tmp_path / "page.html"
    attnscope.AttentionWidget(first, compare=other).save(path)
    return path.read_text(encoding="utf-8")


def only_its_own(html: str) -> str:
    """The policy that allows the page's inline script and style, and nothing else."""

    def hashes(element: str, attributes: str) -> str:
        texts = re.findall(rf"<{element}{attributes}>(.*?)</{element}>", html, re.DOTALL)
        assert len(texts) == 1
        digest = hashlib.sha256(texts[0].encode()).digest()
        return f"{element}-src 'sha256-{base64.b64encode(digest).decode()}'"

    return f"default-src 'none'; {hashes('script', '')}; {hashes('style', '')}"


@contextmanager
def served(browser, policy: str, html: str):
    """Open a page as a server sends it with a policy, and note all that is asked for."""
    with visit(browser) as seen:
        asked: list[str] = []
        seen.page.on("request", lambda request: asked.append(request.url))
        headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": policy}
        seen.page.route(ADDRESS, lambda route: route.fulfill(body=html, headers=headers))
        seen.page.goto(ADDRESS)
        yield seen, asked


def test_every_view_runs_and_is_saved_under_the_strictest_policy(chromium, tmp_path):
    html = written(tmp_path)
    with served(chromium, only_its_own(html), html) as (seen, asked):
        widget = Widget.on(seen.page)
        expect(widget.root.get_by_role("tab")).to_have_text(VIEWS)
        for view in VIEWS:
            widget.tab(view).click()
            expect(widget.tab(view)).to_have_attribute("aria-selected", "true")
            widget.wait()
            with seen.page.expect_download() as saving:
                widget.root.get_by_role("button", name="Save this view as a picture").click()
            picture = Image.open(io.BytesIO(saving.value.path().read_bytes()))
            assert picture.format == "PNG"
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 8
        widget.root.get_by_role("button", name="Table of exact numbers", exact=True).click()
        expect(widget.root.get_by_role("region", name="Table of exact numbers")).to_be_visible()
        widget.wait()
        assert [url for url in asked if not url.startswith("data:")] == [ADDRESS]


def test_the_page_asks_that_policy_of_the_browser_itself(tmp_path):
    html = written(tmp_path)
    (own,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert set(only_its_own(html).split("; ")) <= set(own.split("; "))
    assert set(own.split("; ")) - set(only_its_own(html).split("; ")) == {"base-uri 'none'", "form-action 'none'"}


def test_a_policy_without_its_script_stops_it(chromium, tmp_path):
    """What the tests above rely on: the server's policy is in force."""
    with served(chromium, "default-src 'none'", written(tmp_path)) as (seen, _):
        expect(seen.page.locator("#attnscope-root")).to_be_empty()
        assert any("Content Security Policy" in error for error in seen.errors)
        seen.errors.clear()
