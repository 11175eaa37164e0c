"""What the page shows where there is little room, and what its legends say."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_export import opened, queries_keys


@pytest.mark.parametrize("causal", [False, True])
def test_the_legend_names_a_mask_only_if_there_is_one(page, tmp_path, causal):
    widget = opened(page, tmp_path, queries_keys(causal=causal), view="matrix")
    legend = widget.root.locator(".legend")
    expect(legend).to_contain_text("weights")
    assert ("masked" in legend.inner_text()) is causal
    expect(legend.locator(".swatch")).to_be_visible(visible=causal)


def test_a_picture_with_several_cells_a_pixel_is_called_an_overview(page, tmp_path):
    capture = queries_keys([f" t{i}" for i in range(467)], layers=1, heads=1)
    page.set_viewport_size({"width": 1000, "height": 480})
    widget = opened(page, tmp_path, capture, view="matrix")
    legend = widget.root.locator(".legend")
    expect(legend).to_contain_text("overview: largest of neighbours; zoom in for exact numbers")
    for _ in range(3):
        widget.root.get_by_role("button", name="Zoom in").click()
        widget.wait()
    expect(legend).not_to_contain_text("overview")


@pytest.mark.parametrize("count", [8, 12])
def test_chips_are_whole(page, tmp_path, count):
    """As many rows as fit, none of them cut; the rest is scrolled to by rows."""
    heads = [[layer, head] for layer in range(3) for head in range(4)][:count]
    widget = opened(page, tmp_path, queries_keys(), heads=heads)
    shown = widget.root.locator(".chips").evaluate(
        """list => {
          const { top, bottom } = list.getBoundingClientRect();
          return [...list.children].map((chip) => {
            const box = chip.getBoundingClientRect();
            const inside = Math.min(box.bottom, bottom) - Math.max(box.top, top);
            return Math.max(0, inside) / box.height;
          });
        }"""
    )
    assert len(shown) == count
    assert all(part < 0.05 or part > 0.95 for part in shown)
    assert sum(part > 0.95 for part in shown) >= 8


@pytest.mark.parametrize("width", [1100, 420])
def test_of_many_heads_the_one_shown_is_in_sight(page, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 600})
    heads = [[layer, head] for layer in range(3) for head in range(4)]
    widget = opened(page, tmp_path, queries_keys(), heads=heads, view="matrix")
    group = widget.root.get_by_role("group", name="Head shown")
    last, first = (group.get_by_role("button", name=name, exact=True) for name in ("L2 H3", "L0 H0"))
    expect(last).to_have_attribute("aria-pressed", "true")
    expect(last).to_be_in_viewport(ratio=0.95)
    first.focus()
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(first).to_be_in_viewport(ratio=0.95)


def test_the_subtitle_goes_before_the_title(page, tmp_path):
    capture = queries_keys()
    named = type(capture)(capture.attention, "MiniLM-L6-with-a-name")
    widget = opened(page, tmp_path, named)
    title, about = widget.root.locator(".title b"), widget.root.locator(".about")
    for width in (1280, 1000, 800, 700, 640, 560, 500, 420):
        page.set_viewport_size({"width": width, "height": 600})
        widget.wait()
        expect(widget.root).to_have_attribute(
            "data-width", "wide" if width >= 720 else "narrow" if width >= 520 else "slim"
        )
        cut = "node => node.scrollWidth > node.clientWidth + 1"
        if about.is_visible():
            assert not title.evaluate(cut), width
            assert about.bounding_box()["width"] > 100
        else:
            assert width < 720, width


def test_the_ring_in_a_large_head_map_is_seen(page, tmp_path):
    capture = queries_keys([f" t{i}" for i in range(6)], layers=48, heads=40)
    widget = opened(page, tmp_path, capture, heads=[[20, 9]])
    picture = widget.root.locator(".head-canvas canvas")
    before = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"), np.int16)
    widget.root.locator(".head-canvas canvas").click(position={"x": 130, "y": 150})
    widget.wait()
    after = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"), np.int16)
    changed = np.abs(after - before).max(axis=2) > 40
    rows, columns = np.nonzero(changed[120:180, 100:160])
    assert np.ptp(rows) >= 12
    assert np.ptp(columns) >= 12


def test_the_head_map_has_a_scale(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, query=3, key=2)
    weights = [capture.weights(layer, head)[3, 2] for layer in range(3) for head in range(4)]
    expect(widget.root.locator(".headmap + .color-scale")).to_have_text(f"0.00{max(weights):.2f}")
