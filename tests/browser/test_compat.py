"""Pages of BertViz's and CircuitsVis's calls: each opens in its view, with the numbers that were handed in."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

import attnscope.compat.circuitsvis as cv
from attnscope.compat import bertviz
from tests.browser.test_export import ERROR, HOSTILE, TOKENS, queries_keys
from tests.browser.test_table import rows, toggler
from tests.browser.widget import Widget
from tests.models import zoo

QUERY = 5


@pytest.fixture(scope="module")
def given():
    """Three layers of four heads, as a model gives them."""
    capture = queries_keys(causal=True)
    return [torch.from_numpy(capture.weights(layer))[None] for layer in range(3)]


def written(tmp_path, page, text):
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())


def numbers_of(widget, query):
    """What the table says of a query: one column per selected head."""
    widget.tab("Links").click()
    expect(widget.tab("Links")).to_have_attribute("aria-selected", "true")
    widget.wait()
    widget.token("query", query).click()
    expect(widget.token("query", query)).to_have_attribute("aria-pressed", "true")
    toggler(widget).click()
    return np.array(rows(widget)[1], dtype=float).T


BERTVIZ = {
    "head_view": ({"layer": 1, "heads": [3, 0]}, "Links", [(1, 3), (1, 0)]),
    "model_view": ({"display_mode": "light", "include_heads": [2]}, "Grid", [(0, 2), (1, 2), (2, 2)]),
}


@pytest.mark.parametrize("name", BERTVIZ)
def test_bertviz(page, tmp_path, given, name):
    options, view, heads = BERTVIZ[name]
    written(tmp_path, page, getattr(bertviz, name)(given, TOKENS, html_action="return", **options).data)
    widget = Widget.on(page)
    expect(widget.tab(view)).to_have_attribute("aria-selected", "true")
    assert widget.selected() == sorted(heads)
    shown = numbers_of(widget, QUERY)
    for column, (layer, head) in zip(shown, heads, strict=True):
        expected = given[layer][0, head, QUERY].numpy()
        np.testing.assert_allclose(column[: QUERY + 1], expected[: QUERY + 1], atol=ERROR)
        assert np.isnan(column[QUERY + 1 :]).all()


def test_bertviz_between_two_sentences(page, tmp_path):
    weights = torch.rand(1, 2, 9, 9, generator=torch.Generator().manual_seed(0)).softmax(-1)
    written(tmp_path, page, bertviz.head_view([weights], TOKENS, 4, heads=[1], html_action="return").data)
    widget = Widget.on(page)
    kinds = widget.root.get_by_label("Kind of attention")
    assert kinds.locator("option").all_inner_texts() == ["self", "A → A", "B → B", "A → B", "B → A"]
    kinds.select_option("B → A")
    expect(widget.root.get_by_text("B → A attention · 1 × 2 heads")).to_be_visible()
    expect(widget.token("query", 0)).to_contain_text(TOKENS[4].strip())
    np.testing.assert_allclose(numbers_of(widget, 2)[0], weights[0, 1, 6, :4].numpy(), atol=ERROR)


def test_bertviz_of_several_inputs(page, tmp_path, given):
    both = [torch.cat([layer, layer.flip(1)]) for layer in given]
    text = bertviz.head_view(both, [TOKENS, TOKENS[::-1]], heads=[1], html_action="return").data
    written(tmp_path, page, text)
    frames = page.locator("iframe")
    expect(frames).to_have_count(2)
    for number in range(2):
        widget = Widget(frames.nth(number).content_frame.locator(".attnscope"))
        expect(widget.root).to_have_attribute("data-ready", "true", timeout=60_000)
        expect(widget.root.get_by_text(f"input {number + 1} of 2", exact=True)).to_be_visible()
        column = numbers_of(widget, QUERY)[0]
        np.testing.assert_allclose(column[: QUERY + 1], both[0][number, 1, QUERY, : QUERY + 1].numpy(), atol=ERROR)


def test_bertviz_neurons(page, tmp_path):
    model, tokenizer = zoo.small("bert")
    text = bertviz.neuron_view.show(
        model, "bert", tokenizer, "The cat sat", "on the mat", "light", layer=1, head=2, html_action="return"
    )
    found = bertviz.neuron_view.get_attention(model, "bert", tokenizer, "The cat sat", "on the mat", True)["all"]
    written(tmp_path, page, text.data)
    widget = Widget.on(page)
    expect(widget.tab("Steps")).to_have_attribute("aria-selected", "true")
    query, keys = np.array(found["queries"][1][2][1]), np.array(found["keys"][1][2])
    shown = np.array(
        widget.root.locator('.steps-stage [data-side="key"]').evaluate_all(
            "rows => rows.map(row => [...row.querySelectorAll('[data-weight]')].map(cell => cell.dataset.weight))"
        ),
        dtype=float,
    )
    np.testing.assert_allclose(shown[:, 0], keys @ query, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(shown[:, 2], found["attn"][1][2][1], atol=1e-5)


CIRCUITSVIS = {
    "attention_heads": (lambda heads: cv.attention.attention_heads(heads, TOKENS), "Grid"),
    "attention_pattern": (lambda heads: cv.attention.attention_pattern(TOKENS, heads[0]), "Matrix"),
    "attention_patterns": (lambda heads: cv.attention.attention_patterns(TOKENS, heads), "Text"),
    "from_cache": (lambda heads: cv.attention.from_cache({"blocks.0.attn.hook_pattern": heads}, TOKENS), "Grid"),
}


@pytest.mark.parametrize("name", CIRCUITSVIS)
def test_circuitsvis(page, tmp_path, given, name):
    call, view = CIRCUITSVIS[name]
    heads = given[1][0]
    written(tmp_path, page, str(call(heads)))
    widget = Widget.on(page)
    expect(widget.tab(view)).to_have_attribute("aria-selected", "true")
    column = numbers_of(widget, QUERY)[0]
    row = heads[:, QUERY, : QUERY + 1]
    expected = row.amax(0) if name == "attention_patterns" else row[0]
    np.testing.assert_allclose(column[: QUERY + 1], expected.numpy(), atol=ERROR)
    assert np.isnan(column[QUERY + 1 :]).all()


def test_heads_are_called_by_their_names(page, tmp_path, given):
    names = ["L5H3", HOSTILE[1], "10.7", "a head with a name that is far too long for its picture"]
    shown = cv.attention.attention_heads(given[0][0], TOKENS, attention_head_names=names)
    shown.heads, shown.query = [[0, 1], [0, 3]], QUERY
    written(tmp_path, page, str(shown))
    widget = Widget.on(page)
    for head in (1, 3):
        expect(widget.root.get_by_role("button", name=f"Remove {names[head]}", exact=True)).to_be_visible()
        listed = widget.numbers(names[head])
        strongest = np.sort(given[0][0, head, QUERY].numpy())[::-1][: len(listed)]
        np.testing.assert_allclose(listed, strongest, atol=ERROR)
    cell = widget.root.get_by_role("grid", name="All heads").get_by_role("gridcell")
    cell.focus()
    page.keyboard.press("Home")
    expect(cell).to_have_accessible_name(re.compile("^L5H3"))
    expect(widget.head(0, 2)).to_have_accessible_name(re.compile(r"^10\.7: "))
    widget.tab("Matrix").click()
    expect(widget.root.get_by_role("button", name=names[3], exact=True)).to_have_attribute("aria-pressed", "true")
    widget.tab("Steps").click()
    expect(widget.root.locator(".steps").get_by_text(names[3], exact=True)).to_be_visible()
    assert "Layer 0" not in widget.root.inner_text()
    assert page.evaluate("window.hit") is None


def test_a_display_inside_another_page(page, tmp_path, given):
    """As a notebook shows what ``html_action="return"`` gives, and documentation an object's HTML."""
    shown = cv.attention.attention_heads(given[0][0], TOKENS)
    framed = bertviz.head_view(given, TOKENS, html_action="return")
    written(tmp_path, page, f"<!doctype html><body><p>around</p>{shown._repr_html_()}{framed._repr_html_()}")
    assert page.locator("body").evaluate("body => getComputedStyle(body).margin") == "8px"
    for number, view in enumerate(("Grid", "Links")):
        frame = page.locator("iframe").nth(number)
        widget = Widget(frame.content_frame.locator(".attnscope"))
        expect(widget.root).to_have_attribute("data-ready", "true", timeout=60_000)
        expect(widget.tab(view)).to_have_attribute("aria-selected", "true")
        assert widget.root.bounding_box()["height"] == pytest.approx(frame.bounding_box()["height"], abs=1)


def test_tokens_stay_text(page, tmp_path):
    n = len(HOSTILE)
    heads = torch.full((2, n, n), 1 / n)
    shown = cv.attention.attention_heads(heads, HOSTILE)._repr_html_()
    framed = bertviz.head_view([heads], HOSTILE, html_action="return")
    written(tmp_path, page, f"<!doctype html>{shown}{framed._repr_html_()}")
    for number in range(2):
        widget = Widget(page.locator("iframe").nth(number).content_frame.locator(".attnscope"))
        expect(widget.root).to_have_attribute("data-ready", "true", timeout=60_000)
        widget.tab("Links").click()
        expect(widget.token("query", 1)).to_have_text(HOSTILE[1])
    assert [frame.evaluate("window.hit ?? null") for frame in page.frames] == [None] * 3
    assert page.locator("img").count() == 0
