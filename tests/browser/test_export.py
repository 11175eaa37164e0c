"""The one-file page, opened from disk."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import attnscope
from tests.browser.widget import Widget, exact

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

TOKENS = ["[CLS]", " the", " cat", " sat", " because", " it", " was", " tired", "[SEP]"]
HOSTILE = [
    "<img src=x onerror=\"window.hit='img'\">", "</script><script>window.hit='script'</script>",
    "javascript:window.hit='url'", "<!--<script>", "]]>", "</style><style>*{display:none}</style>", "&lt;b&gt;",
    "\u202eevil", "\x00", "{{7*7}}", "${window.hit='template'}", "__proto__",
]  # fmt: skip


def queries_keys(tokens=TOKENS, layers=3, heads=4, width=8, **given):
    rng = np.random.default_rng(0)
    shape = (heads, len(tokens), width)
    return attnscope.from_queries_keys(
        [1.5 * rng.normal(size=shape).astype(np.float32) for _ in range(layers)],
        [1.5 * rng.normal(size=shape).astype(np.float32) for _ in range(layers)],
        tokens,
        **given,
    )


def weights_only(tokens=TOKENS, **given):
    capture = queries_keys(tokens, **given)
    return attnscope.from_attentions([capture.weights(layer) for layer in range(capture.n_layers)], tokens)


FORMS = {
    "weights": weights_only,
    "queries and keys": queries_keys,
    "causal weights": lambda: weights_only(causal=True),
    "causal queries and keys": lambda: queries_keys(causal=True),
}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def capture(request):
    return request.param()


def opened(page: Page, tmp_path: Path, capture, **given) -> Widget:
    path = tmp_path / "page.html"
    attnscope.AttentionWidget(capture, **given).save(path)
    page.goto(path.as_uri())
    return Widget.on(page)


ERROR = 1 / 131070 + 1e-6
"""Half a step of the 65,536 the page stores a weight in, and float32 rounding."""


def test_every_layer_and_head_is_there_with_its_numbers(page, tmp_path, capture):
    widget = opened(page, tmp_path, capture, query=5)
    for layer in range(capture.n_layers):
        for head in (0, 3):
            widget.head(layer, head).click()
            expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
            widget.wait()
            listed = widget.listed(f"Layer {layer} · Head {head}")
            row = capture.weights(layer, head, queries=5)
            strongest = sorted(row, reverse=True)[: len(listed)]
            assert len(listed) >= 4
            np.testing.assert_allclose([number for _, number in listed], strongest, atol=ERROR)
            assert listed[0][0].strip("·") == TOKENS[int(row.argmax())].strip()


def test_the_matrix_says_the_capture_s_numbers(page, tmp_path, capture):
    widget = opened(page, tmp_path, capture, heads=[[1, 2]])
    widget.tab("Matrix").click()
    expect(widget.tab("Matrix")).to_have_attribute("aria-selected", "true")
    widget.wait()
    weights = capture.weights(1, 2)
    widget.matrix_cell().focus()
    for row, column in ((0, 0), (3, 1), (8, 8)):
        for key in ("PageUp", "Home"):
            page.keyboard.press(key)
        for _ in range(row):
            page.keyboard.press("ArrowDown")
        for _ in range(column):
            page.keyboard.press("ArrowRight")
        expect(widget.matrix_cell()).to_have_attribute("aria-colindex", str(column + 1))
        page.keyboard.press("Enter")
        widget.wait()
        shown = widget.inspector.locator("[data-weight]").first
        expect(shown).to_be_visible()
        assert exact(shown) == pytest.approx(float(weights[row, column]), abs=ERROR)
        page.keyboard.press("Enter")


def test_hover_shows_and_click_pins(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, heads=[[2, 1]])
    canvas = widget.root.locator("canvas").last
    before = canvas.screenshot()
    widget.token("query", 5).hover()
    expect(widget.inspector.get_by_role("heading", level=3).first).to_have_text(re.compile("hovered", re.IGNORECASE))
    widget.wait()
    lit = canvas.screenshot()
    assert lit != before
    assert max(widget.numbers("Layer 2 · Head 1")) == pytest.approx(capture.weights(2, 1, queries=5).max(), abs=1e-5)
    widget.token("query", 5).click()
    expect(widget.token("query", 5)).to_have_attribute("aria-pressed", "true")
    page.mouse.move(2, 2)
    expect(widget.inspector.get_by_role("heading", level=3).first).to_have_text(re.compile("pinned", re.IGNORECASE))
    page.keyboard.press("Escape")
    expect(widget.token("query", 5)).to_have_attribute("aria-pressed", "false")


def test_scores_are_computed_in_the_page(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, heads=[[1, 1]], query=4, measure="scores")
    listed = widget.numbers("Layer 1 · Head 1")
    strongest = sorted(capture.scores(1, 1, queries=4), reverse=True)[: len(listed)]
    np.testing.assert_allclose(listed, strongest, rtol=1e-5, atol=1e-5)


def test_the_page_allows_itself_nothing_but_itself(page, visited, tmp_path):
    opened(page, tmp_path, queries_keys())
    policy = page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.search(r"script-src 'sha256-[\w+/=]+'(;|$)", policy)
    assert "connect-src" not in policy
    blocked = page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "window.injected = true";
          document.body.append(script);
          const asked = await fetch("https://example.invalid/x").then(() => "sent", () => "refused");
          return [window.injected === undefined, asked];
        }"""
    )
    assert blocked == [True, "refused"]
    assert visited.refused == []
    assert len(visited.errors) >= 2
    assert all("Content Security Policy" in error for error in visited.errors)
    visited.errors.clear()


@pytest.mark.parametrize("form", [weights_only, queries_keys])
@pytest.mark.parametrize("view", ["links", "matrix"])
def test_hostile_tokens_stay_text(page, tmp_path, form, view):
    capture = form(HOSTILE)
    named = type(capture)(capture.attention, "</title><script>window.hit='title'</script>")
    widget = opened(page, tmp_path, named, view=view, heads=[[0, 0]], query=0)
    assert "</title><script>" in page.title()
    if view == "links":
        assert widget.token("query", 0).inner_text() == HOSTILE[0]
        assert widget.token("key", 1).inner_text() == HOSTILE[1]
        for index in range(len(HOSTILE)):
            widget.token("query", index).click()
            widget.wait()
    else:
        widget.matrix_cell().focus()
        for _ in HOSTILE:
            page.keyboard.press("ArrowDown")
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
            widget.wait()
    assert page.evaluate("window.hit") is None
    assert page.locator("img").count() == 0
    assert page.locator("body script").count() == 2


def test_a_damaged_page_says_so(page, tmp_path):
    path = tmp_path / "page.html"
    attnscope.AttentionWidget(queries_keys()).save(path)
    whole = path.read_text(encoding="utf-8")
    at = whole.index('id="attnscope-data">') + 200
    path.write_text(whole[:at] + whole[at + 400 :], encoding="utf-8")
    page.goto(path.as_uri())
    expect(page.get_by_role("alert")).to_contain_text("cannot be shown")


def test_a_page_runs_inside_a_sandboxed_frame(page, tmp_path):
    path = tmp_path / "page.html"
    capture = queries_keys()
    attnscope.AttentionWidget(capture, query=3, heads=[[1, 1]]).save(path)
    outer = tmp_path / "outer.html"
    outer.write_text(
        '<!doctype html><iframe sandbox="allow-scripts" src="page.html" width="1200" height="600"></iframe>'
    )
    page.goto(outer.as_uri())
    root = page.frame_locator("iframe").locator(".attnscope")
    expect(root).to_have_attribute("data-ready", "true", timeout=60_000)
    shown = root.get_by_role("region", name="Inspector").locator("[data-weight]").first
    assert exact(shown) == pytest.approx(float(capture.weights(1, 1, queries=3).max()), abs=1e-5)


def test_many_tokens_scroll_and_stay_exact(page, tmp_path):
    tokens = [f" t{i}" for i in range(600)]
    capture = queries_keys(tokens, layers=2, heads=2)
    widget = opened(page, tmp_path, capture, heads=[[1, 0]], query=577)
    expect(widget.token("query", 577)).to_be_visible()
    assert widget.root.locator('[data-side="query"]').count() < 200
    listed = widget.numbers("Layer 1 · Head 0")
    strongest = np.sort(capture.weights(1, 0, queries=577))[::-1][: len(listed)]
    np.testing.assert_allclose(listed, strongest, atol=ERROR)
    assert re.search(r"of [\d,]+ lines shown|lines from", widget.root.locator(".legend").inner_text())


def test_a_token_cannot_reorder_what_is_read(page, tmp_path):
    """A right-to-left override would show "evil" as "live"."""
    widget = opened(page, tmp_path, queries_keys(["\u202eevil", " a", "\u2067b", " c"]), heads=[[0, 0]], query=0)
    text = widget.root.inner_text()
    assert "evil" in text
    assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@pytest.mark.parametrize("width", [1280, 420])
def test_a_page_opens_at_the_pinned_token(page, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 640})
    widget = opened(page, tmp_path, queries_keys([f" t{i}" for i in range(600)], layers=1, heads=2), query=300)
    for near in (299, 300, 301):
        expect(widget.token("query", near)).to_be_in_viewport(ratio=0.9)


def test_a_held_token_stands_alone(page, tmp_path):
    """Scrolled out of sight, a pinned token is held at the edge, and nothing shows through it."""
    widget = opened(page, tmp_path, queries_keys([f" t{i}" for i in range(600)], layers=1, heads=2), query=300)
    pinned = widget.token("query", 300)
    for down in (1003, -2006):
        pinned.hover()
        page.mouse.wheel(0, down)
        page.wait_for_timeout(100)
        widget.wait()
        box = widget.resting_box(pinned)
        others = widget.root.locator(".tokens-query .token:not(.pinned)").evaluate_all(
            """nodes => nodes.filter((node) => getComputedStyle(node).opacity !== "0").map((node) => {
              const { top, bottom } = node.getBoundingClientRect();
              return [top, bottom];
            })"""
        )
        assert len(others) > 10
        assert all(bottom <= box["y"] + 4 or top >= box["y"] + box["height"] - 4 for top, bottom in others)


def test_a_small_matrix_loses_no_strong_column(page, tmp_path):
    """Fewer pixels than tokens: each pixel has to show the strongest of what it covers."""
    n, strong = 467, [1, 50, 101, 202, 333, 420]
    weights = np.full((1, n, n), 0.1 / (n - len(strong)), np.float32)
    weights[:, :, strong] = 0.15
    capture = attnscope.from_attentions([weights], [f" t{i}" for i in range(n)])
    page.set_viewport_size({"width": 1000, "height": 480})
    widget = opened(page, tmp_path, capture, view="matrix")
    drawn = Image.open(io.BytesIO(widget.root.locator(".plot canvas").screenshot())).convert("RGB")
    pixels = np.asarray(drawn, np.int16)
    row = pixels[pixels.shape[0] // 2]
    dark = (row[:, 2] - row[:, 0] > 60) & (row.sum(axis=1) < 450)
    marks = int((np.diff(dark.astype(int)) == 1).sum())
    assert marks >= len(strong)
