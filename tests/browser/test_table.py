"""The table of exact numbers: Python's, in every view, with mouse and with keyboard alone."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import complaints
from tests.browser.test_export import ERROR, HOSTILE, TOKENS, opened, queries_keys
from tests.browser.widget import exact

HEADS = [[0, 1], [2, 3]]


def twin(widget):
    return widget.root.get_by_role("region", name="Table of exact numbers")


def toggler(widget):
    return widget.root.get_by_role("button", name="Table of exact numbers")


def rows(widget):
    """Token positions, and one list of numbers each, in the order shown; None where there is no number."""
    widget.wait()
    found = twin(widget).evaluate(
        """region => [...region.querySelectorAll("tbody tr")].map((row) => [
          Number(row.dataset.row),
          [...row.querySelectorAll("td:not(.place)")].map((cell) => cell.dataset.weight ?? null),
        ])"""
    )
    return [at for at, _ in found], [[None if cell is None else float(cell) for cell in cells] for _, cells in found]


def expected(capture, **given):
    return np.stack([capture.weights(layer, head, **given) for layer, head in HEADS], axis=-1)


@pytest.mark.parametrize("view", ["Links", "Matrix", "Grid", "Text", "Steps", "Flow"])
def test_every_view_has_the_row_in_numbers(page, tmp_path, view):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, heads=HEADS, query=5)
    widget.tab(view).click()
    expect(widget.tab(view)).to_have_attribute("aria-selected", "true")
    toggler(widget).click()
    expect(toggler(widget)).to_have_attribute("aria-expanded", "true")
    at, numbers = rows(widget)
    assert at == list(range(len(TOKENS)))
    np.testing.assert_allclose(numbers, expected(capture, queries=5), atol=ERROR)
    expect(twin(widget).get_by_role("caption")).to_contain_text("Weights of the pinned query it (5), one row per key")
    totals = [exact(cell) for cell in twin(widget).locator("tfoot [data-weight]").all()]
    np.testing.assert_allclose(totals, 1, atol=len(TOKENS) * ERROR)
    expect(widget.root.get_by_text("all 9 keys shown")).to_be_visible()


def test_mouse_opens_sorts_follows_and_closes(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, heads=HEADS)
    toggler(widget).click()
    expect(twin(widget).get_by_text("Hover or pin a token")).to_be_visible()
    widget.token("query", 2).hover()
    np.testing.assert_allclose(rows(widget)[1], expected(capture, queries=2), atol=ERROR)
    page.mouse.move(2, 2)
    np.testing.assert_allclose(rows(widget)[1], expected(capture, queries=2), atol=ERROR)
    widget.token("key", 4).click()
    expect(twin(widget).get_by_role("caption")).to_contain_text("pinned key because (4), one row per query")
    at, numbers = rows(widget)
    assert at == list(range(len(TOKENS)))
    np.testing.assert_allclose(numbers, expected(capture, keys=4), atol=ERROR)
    header = twin(widget).get_by_role("columnheader", name="L2 H3")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    at, numbers = rows(widget)
    assert at == list(np.argsort(-capture.weights(2, 3, keys=4), kind="stable"))
    np.testing.assert_allclose(numbers, expected(capture, keys=4)[at], atol=ERROR)
    widget.root.get_by_role("button", name="Close the table").click()
    expect(twin(widget)).to_be_hidden()
    expect(toggler(widget)).to_be_focused()
    expect(widget.token("key", 4)).to_have_attribute("aria-pressed", "true")


def test_the_keyboard_alone_is_enough(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, heads=HEADS)
    keyboard = page.keyboard
    widget.token("query", 0).focus()
    for _ in range(6):
        keyboard.press("ArrowDown")
    keyboard.press("t")
    expect(twin(widget)).to_be_focused()
    np.testing.assert_allclose(rows(widget)[1], expected(capture, queries=6), atol=ERROR)
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("Enter")
    header = twin(widget).get_by_role("columnheader", name="L0 H1")
    expect(header.get_by_role("button")).to_be_focused()
    expect(header).to_have_attribute("aria-sort", "descending")
    at, _ = rows(widget)
    assert at == list(np.argsort(-capture.weights(0, 1, queries=6), kind="stable"))
    keyboard.press("Escape")
    expect(twin(widget)).to_be_hidden()
    expect(widget.token("query", 6)).to_be_focused()
    keyboard.press("Enter")
    keyboard.press("t")
    expect(twin(widget).get_by_role("caption")).to_contain_text("pinned query was (6)")
    keyboard.press("t")
    expect(twin(widget)).to_be_hidden()


def test_several_tokens_together(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, heads=HEADS, query=5, more_queries=[2, 7])
    toggler(widget).click()
    together = expected(capture, queries=[5, 2, 7]).mean(axis=0)
    np.testing.assert_allclose(rows(widget)[1], together, atol=ERROR)
    expect(twin(widget).get_by_role("caption")).to_contain_text("mean over these queries")


def test_what_is_masked_has_no_number(page, tmp_path):
    capture = queries_keys(causal=True)
    widget = opened(page, tmp_path, capture, heads=HEADS, query=3)
    toggler(widget).click()
    _, numbers = rows(widget)
    np.testing.assert_allclose(numbers[:4], expected(capture, queries=3)[:4], atol=ERROR)
    assert numbers[4:] == [[None, None]] * 5
    expect(twin(widget).locator('tr[data-row="4"]')).to_contain_text("masked")


def test_of_600_keys_the_strongest_are_shown_and_counted(page, tmp_path):
    capture = queries_keys([f" t{at}" for at in range(600)])
    widget = opened(page, tmp_path, capture, heads=[[1, 2]], query=500)
    toggler(widget).click()
    at, numbers = rows(widget)
    row = capture.weights(1, 2, queries=500)
    assert len(at) == 200
    assert at == sorted(at)
    np.testing.assert_allclose(np.ravel(numbers), row[at], atol=ERROR)
    assert row[at].min() >= np.sort(row)[-200] - 2 * ERROR
    expect(widget.root.get_by_text("the strongest 200 of 600 keys shown")).to_be_visible()
    assert exact(twin(widget).locator("tfoot [data-weight]")) == pytest.approx(1, abs=600 * ERROR)


def test_tokens_stay_text(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(HOSTILE), heads=HEADS, query=0)
    toggler(widget).click()
    assert len(rows(widget)[0]) == len(HOSTILE)
    expect(twin(widget)).to_contain_text(HOSTILE[0])
    assert twin(widget).locator("img, script, style").count() == 0
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_axe_finds_nothing(page, tmp_path, axe, theme, width):
    page.set_viewport_size({"width": width, "height": 800})
    widget = opened(page, tmp_path, queries_keys(), heads=HEADS, query=4, theme=theme)
    toggler(widget).click()
    widget.wait()
    expect(twin(widget).locator("tbody tr")).to_have_count(len(TOKENS))
    assert complaints(page, axe) == []
