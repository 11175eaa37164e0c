"""Routes through the layers: the numbers on screen are Python's, with mouse and with keyboard alone."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from attnscope.analysis.flow import flow
from attnscope.analysis.rollout import rollout
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import HOSTILE, opened, queries_keys, weights_only
from tests.browser.test_steps import gpt2, t5
from tests.browser.widget import exact

SENTENCE = "The cat sat on the mat because it was tired."
ERROR = 2e-5
"""Packed weights are off by up to 1 / 131070 each."""


def node(widget):
    return widget.root.get_by_role("grid", name="Tokens and layers").get_by_role("gridcell")


def table(widget):
    """All numbers of the table: [tokens, columns]."""
    button = widget.root.get_by_role("button", name="Numbers", exact=True)
    if button.get_attribute("aria-expanded") == "false":
        button.click()
        widget.wait()
    rows = widget.root.locator(".flow-table tbody tr").all()
    cells = [[cell.get_attribute("data-weight") for cell in row.locator("td").all()] for row in rows]
    return np.array([[np.nan if value is None else float(value) for value in row] for row in cells])


@pytest.fixture(scope="module")
def short(minilm):
    import attnscope

    return attnscope.capture(minilm.model, minilm.tokenizer, SENTENCE)


FORMS = {"queries and keys": queries_keys, "causal weights": lambda: weights_only(causal=True), "gpt2": gpt2}


@pytest.mark.parametrize("form", FORMS)
def test_the_table_and_the_note_say_the_flow(page, tmp_path, form):
    capture = FORMS[form]()
    widget = opened(page, tmp_path, capture, query=5, view="flow", threshold=0)
    true = flow(capture, 5, edges=10_000)
    np.testing.assert_allclose(table(widget), true.nodes.T, atol=ERROR)
    note = widget.root.locator(".flow-note [data-weight]")
    assert exact(note) == pytest.approx(1, abs=0.02 if form == "gpt2" else 1e-4)
    widget.root.get_by_label("minus chance").check()
    widget.wait()
    chance = rollout(capture, 5, chance=True)[-1]
    np.testing.assert_allclose(table(widget)[:, 0], true.nodes[0] - chance, atol=ERROR)


def test_minilm_follows_it_and_the_threshold_says_what_is_left_out(page, tmp_path, short):
    query = short.find("it")
    widget = opened(page, tmp_path, short, query=query, view="flow", threshold=0.5)
    true = flow(short, query, edges=120)
    shares = true.edge_shares
    shown = np.where(shares >= 0.5 * shares.max(axis=1, keepdims=True), shares, 0).sum(axis=1)
    assert exact(widget.root.locator(".flow-note [data-weight]")) == pytest.approx(shown.mean(), abs=1e-4)
    assert table(widget)[0, 0] == pytest.approx(0.59, abs=0.02), "rollout puts most on [CLS]"


def test_keyboard_alone_walks_pins_and_follows(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, query=4, heads=[[0, 1]], view="flow")
    true = flow(capture, 4, edges=50)
    node(widget).focus()
    expect(node(widget)).to_have_attribute("aria-colindex", "4")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    widget.wait()
    assert exact(node(widget)) == pytest.approx(true.nodes[2, 5], abs=1e-6)
    assert "it, position 5, after layer 1" in node(widget).get_attribute("aria-label")
    page.keyboard.press("Enter")
    widget.wait()
    expect(widget.inspector).to_contain_text("position 5")
    assert widget.selected() == [(1, 1)]
    np.testing.assert_allclose(table(widget)[:, 0], rollout(capture, 5)[1], atol=1e-6)
    widget.root.get_by_role("button", name="from the last layer").focus()
    page.keyboard.press("Enter")
    widget.wait()
    np.testing.assert_allclose(table(widget)[:, 0], rollout(capture, 5)[2], atol=1e-6)


def test_mouse_hovers_and_pins(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, query=4, view="flow")
    node(widget).focus()
    page.keyboard.press("Home")
    box = widget.resting_box(node(widget))
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tooltip = page.locator(".tooltip")
    expect(tooltip).to_contain_text("because, position 4, in the input")
    share = flow(capture, 4).nodes[0, 4]
    digits = 0 if share >= 0.1 else 1
    expect(tooltip).to_contain_text(f"{100 * share:.{digits}f} % of the flow")
    row = box["height"] + 2
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 - 2 * row)
    widget.wait()
    expect(widget.inspector).to_contain_text("position 2")


def test_layer_by_layer(page, tmp_path):
    capture = t5()
    widget = opened(page, tmp_path, capture, kind="cross", query=3, heads=[[1, 2]], view="flow")
    expect(widget.root.get_by_role("button", name="Routes")).to_be_disabled()
    mean = np.stack([capture.weights(layer, queries=3, kind="cross").mean(axis=0) for layer in range(2)])
    np.testing.assert_allclose(table(widget), mean.T, atol=1e-6)
    widget.root.get_by_label("mean of all heads").uncheck()
    widget.wait()
    one = np.stack([capture.weights(layer, 2, queries=3, kind="cross") for layer in range(2)])
    np.testing.assert_allclose(table(widget), one.T, atol=1e-6)
    node(widget).focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    widget.wait()
    assert widget.selected() == [(0, 2)]


def test_masked_keys_are_no_zeros(page, tmp_path):
    capture = gpt2()
    widget = opened(page, tmp_path, capture, query=3, view="flow")
    widget.root.get_by_role("button", name="Layer by layer").click()
    widget.wait()
    found = table(widget)
    assert np.isnan(found[4:]).all()
    assert not np.isnan(found[:4]).any()
    expect(widget.root.locator(".flow-table td").last).to_have_text("masked")


def test_long_texts_say_what_is_not_shown(page, tmp_path):
    capture = queries_keys([f" t{i}" for i in range(300)], layers=2, heads=2, causal=True)
    widget = opened(page, tmp_path, capture, query=299, view="flow")
    note = widget.root.locator(".flow-note")
    expect(note).to_contain_text("of 300 tokens shown")
    assert note.evaluate("note => note.scrollWidth <= note.clientWidth"), "a part of the note is out of sight"
    expect(node(widget)).to_have_attribute(
        "aria-label", "t299, position 299, after layer 1: 100 % of the flow, 100 % by chance"
    )
    box, frame = widget.resting_box(node(widget)), widget.root.locator(".flow-scroller").bounding_box()
    assert frame["y"] <= box["y"]
    assert box["y"] + box["height"] <= frame["y"] + frame["height"] + 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page, tmp_path, axe, theme):
    widget = opened(page, tmp_path, gpt2(), query=6, theme=theme, view="flow")
    table(widget)
    expect(widget.root).to_have_attribute("data-theme", theme)
    assert complaints(page, axe) == []


def test_tokens_stay_text(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(HOSTILE), query=3, view="flow")
    table(widget)
    expect(widget.root.locator(".flow-table")).to_contain_text("<img src=x")
    assert page.evaluate("window.hit") is None
