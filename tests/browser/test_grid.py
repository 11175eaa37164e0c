"""The grid of all heads: by mouse, by keyboard, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from attnscope import analysis, from_queries_keys
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import opened, queries_keys

GRID = "All heads"


def cell(widget):
    return widget.root.get_by_role("grid", name=GRID).get_by_role("gridcell")


def go_to(widget, page, layer: int, head: int) -> None:
    """Walk to a head with the arrow keys, in the order of layers."""
    cell(widget).focus()
    page.keyboard.press("Home")
    for _ in range(layer):
        page.keyboard.press("ArrowDown")
    for _ in range(head):
        page.keyboard.press("ArrowRight")
    expect(cell(widget)).to_have_attribute("data-grid", f"{layer}.{head}")
    widget.wait()


@pytest.mark.parametrize("causal", [False, True])
def test_a_click_opens_the_head_under_it(page, tmp_path, causal):
    widget = opened(page, tmp_path, queries_keys(causal=causal), view="grid")
    go_to(widget, page, 2, 3)
    box = widget.resting_box(cell(widget))
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(widget.tab("Matrix")).to_have_attribute("aria-selected", "true")
    assert widget.selected() == [(2, 3)]


def test_shift_click_adds_and_stays(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(), view="grid", heads=[[0, 0]])
    go_to(widget, page, 1, 2)
    box = widget.resting_box(cell(widget))
    page.keyboard.down("Shift")
    page.mouse.click(box["x"] + 5, box["y"] + 5)
    page.keyboard.up("Shift")
    expect(widget.tab("Grid")).to_have_attribute("aria-selected", "true")
    assert widget.selected() == [(0, 0), (1, 2)]
    expect(cell(widget)).to_have_attribute("aria-selected", "true")


def test_the_keyboard_alone_orders_adds_and_opens(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, view="grid", heads=[[0, 0]])
    order = widget.root.get_by_label("order")
    order.focus()
    order.select_option("max_weight")
    largest = analysis.max_weight(capture)
    layer, head = np.unravel_index(np.argmax(largest), largest.shape)
    cell(widget).focus()
    page.keyboard.press("Home")
    expect(cell(widget)).to_have_attribute("data-grid", f"{layer}.{head}")
    name = f"Layer {layer}, head {head}: max weight {largest.max():.2f}"
    expect(cell(widget)).to_have_attribute("aria-label", name)
    page.keyboard.press("End")
    layer, head = np.unravel_index(np.argmin(largest), largest.shape)
    expect(cell(widget)).to_have_attribute("data-grid", f"{layer}.{head}")
    page.keyboard.press("Space")
    expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(widget.tab("Matrix")).to_have_attribute("aria-selected", "true")
    assert widget.selected() == [(layer, head)]


def test_roles_and_likeness_are_orders_too(page, tmp_path):
    tokens = [f" t{i}" for i in range(9)]
    place = np.eye(9, dtype=np.float32)[None] * 9
    queries = [np.concatenate([np.roll(place, 1, axis=2), place]), np.concatenate([place, place])]
    capture = from_queries_keys(queries, [np.concatenate([place, place])] * 2, tokens, scale=1.0)
    widget = opened(page, tmp_path, capture, view="grid")
    widget.root.get_by_label("order").select_option("role")
    cell(widget).focus()
    page.keyboard.press("Home")
    expect(cell(widget)).to_have_attribute("aria-label", "Layer 0, head 1: self")
    page.keyboard.press("End")
    expect(cell(widget)).to_have_attribute("aria-label", "Layer 0, head 0: next token")
    widget.root.get_by_label("order").select_option("likeness")
    widget.wait()
    cell(widget).focus()
    page.keyboard.press("Home")
    widget.wait()
    seen = [cell(widget).get_attribute("data-grid")]
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        widget.wait()
        seen.append(cell(widget).get_attribute("data-grid"))
    assert sorted(seen) == ["0.0", "0.1", "1.0", "1.1"]
    assert "0.0" in (seen[0], seen[-1])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_grid(page, tmp_path, axe, theme):
    opened(page, tmp_path, queries_keys(), heads=[[0, 1], [2, 3]], query=4, theme=theme, view="grid")
    assert complaints(page, axe) == []


def test_only_heads_on_screen_are_asked_for(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(layers=40, heads=40, width=4), view="grid")
    go_to(widget, page, 0, 0)
    page.keyboard.press("End")
    expect(cell(widget)).to_have_attribute("data-grid", "39.39")
    widget.wait()
    box, panel = cell(widget).bounding_box(), widget.root.locator(".heads-grid .scroller").bounding_box()
    assert panel["y"] <= box["y"] <= panel["y"] + panel["height"]
