"""The row step by step: the numbers on screen are Python's, with mouse and with keyboard alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

import attnscope
from attnscope.analysis.steps import steps
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import HOSTILE, opened, queries_keys, weights_only
from tests.browser.widget import exact

IDS = torch.arange(1, 11)[None]


def gpt2():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=40, n_positions=32, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3)
    )
    return attnscope.capture(model.eval(), None, {"input_ids": IDS}, values=True)


def t5():
    torch.manual_seed(0)
    config = T5Config(vocab_size=60, d_model=32, d_kv=8, d_ff=32, num_layers=2, num_heads=4, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config).eval()
    return attnscope.capture(model, None, {"input_ids": IDS, "decoder_input_ids": 20 + IDS[:, :6]}, values=True)


@pytest.fixture(scope="module")
def minilm_values(minilm):
    return attnscope.capture(
        minilm.model, minilm.tokenizer, "The cat sat on the mat because it was tired.", values=True
    )


def row(widget, key):
    return widget.root.locator(f'.steps-stage [data-side="key"][data-index="{key}"]')


def numbers(widget, key):
    """A row's numbers by column; None where there is none."""
    names = [name.inner_text() for name in widget.root.locator(".steps-header > *").all()[1:]]
    cells = row(widget, key).locator(".number").all()
    values = [cell.get_attribute("data-weight") for cell in cells]
    return dict(zip(names, [None if value is None else float(value) for value in values], strict=True))


def check(widget, capture, kind, layer, head, query):
    held = capture[kind].layer(layer)
    weights = capture.weights(layer, head, queries=query, kind=kind)
    seen = held.mask.allowed(slice(query, query + 1))[0]
    dots = np.asarray(held.keys[head // held.group_size]) @ np.asarray(held.queries[head][query])
    for key in range(len(weights)):
        shown = numbers(widget, key)
        bar = shown[next(name for name in shown if name.startswith("softmax"))]
        if not seen[key]:
            assert set(shown.values()) == {None}
            expect(row(widget, key)).to_contain_text("masked")
            continue
        assert bar == pytest.approx(weights[key], abs=2e-6)
        assert shown["q·k"] == pytest.approx(dots[key], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("made", "kind", "head", "query"),
    [(gpt2, "self", [1, 2], 6), (t5, "decoder", [1, 3], 3), (t5, "cross", [0, 1], 4), (t5, "encoder", [1, 0], 0)],
)
def test_every_number_is_the_capture_s(page, tmp_path, made, kind, head, query):
    capture = made()
    widget = opened(page, tmp_path, capture, kind=kind, heads=[head], query=query, view="steps")
    check(widget, capture, kind, *head, query)
    output = widget.root.locator(".strips-ends [data-weight]").last
    held = capture[kind].layer(head[0])
    values = np.asarray(held.values[head[1] // held.group_size])
    z = capture.weights(*head, queries=query, kind=kind) @ values
    assert exact(output) == pytest.approx(float(np.linalg.norm(z)), rel=1e-4)


def test_minilm_it_asks_and_cat_answers(page, tmp_path, minilm_values):
    query = minilm_values.find("it")
    widget = opened(page, tmp_path, minilm_values, heads=[[5, 11]], query=query, view="steps")
    check(widget, minilm_values, "self", 5, 11, query)
    expect(widget.root.locator(".steps-sentence")).to_contain_text("it asks; cat answers with 71 %")


def test_mouse_sorts_points_pins_and_plays(page, tmp_path, minilm_values):
    query = minilm_values.find("it")
    widget = opened(page, tmp_path, minilm_values, heads=[[5, 11]], query=query, view="steps")
    row(widget, 6).hover()
    widget.wait()
    expect(widget.root.locator(".strips-names")).to_contain_text("key mat")
    held = minilm_values["self"].layer(5)
    dot = float(np.asarray(held.queries[11][query]) @ np.asarray(held.keys[11][6]))
    assert exact(widget.root.locator(".strips-ends [data-weight]").first) == pytest.approx(dot, rel=1e-4)
    row(widget, 6).click()
    expect(row(widget, 6)).to_have_attribute("aria-selected", "true")
    widget.root.get_by_role("button", name="softmax").click()
    first = widget.root.locator('.steps-stage [aria-rowindex="2"]')
    expect(first).to_contain_text("cat")
    slider = widget.root.get_by_role("slider", name="Temperature")
    box = widget.resting_box(slider)
    page.mouse.click(box["x"] + 0.95 * box["width"], box["y"] + box["height"] / 2)
    widget.wait()
    temperature = float(slider.get_attribute("aria-valuetext"))
    assert temperature > 5
    expect(widget.root.get_by_text("not the model's own numbers")).to_be_visible()
    assert widget.resting_box(slider) == box, "the slider moves from under the pointer"
    place = int(slider.input_value())
    played = steps(minilm_values, 5, 11, query, temperature=10 ** (place / 100))
    shown = numbers(widget, 2)
    bar = next(value for name, value in shown.items() if name.startswith("softmax"))
    assert bar == pytest.approx(played.weights[2], abs=1e-6)
    output = exact(widget.root.locator(".strips-ends [data-weight]").last)
    assert output == pytest.approx(float(np.linalg.norm(played.output)), rel=1e-4)
    widget.root.get_by_role("button", name="reset").click()
    widget.wait()
    check(widget, minilm_values, "self", 5, 11, query)


def test_keyboard_alone(page, tmp_path):
    capture = gpt2()
    widget = opened(page, tmp_path, capture, heads=[[0, 1]], query=6, view="steps")
    widget.root.locator('.steps-stage [tabindex="0"]').focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(row(widget, 3)).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(widget, 3)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(row(widget, 9)).to_be_focused()
    check(widget, capture, "self", 0, 1, 6)
    widget.root.get_by_role("button", name="Next query").focus()
    page.keyboard.press("Enter")
    widget.wait()
    expect(widget.root.get_by_label("Query position")).to_have_value("7")
    check(widget, capture, "self", 0, 1, 7)
    scaled = widget.root.get_by_label("1/√d")
    scaled.focus()
    page.keyboard.press("Space")
    widget.wait()
    shown = numbers(widget, 4)
    assert shown["softmax"] == pytest.approx(steps(capture, 0, 1, 7, scaled=False).weights[4], abs=1e-6)
    slider = widget.root.get_by_role("slider", name="Temperature")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    widget.wait()
    expect(slider).to_have_attribute("aria-valuetext", "0.98")
    cell = widget.root.get_by_role("grid", name="Vectors").get_by_role("gridcell")
    cell.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    widget.wait()
    expect(cell).to_have_attribute("aria-label", page.locator(".tooltip").inner_text())
    assert "q × k, dimension 1" in cell.get_attribute("aria-label")


def test_weights_alone_play_and_say_what_is_missing(page, tmp_path):
    capture = weights_only()
    widget = opened(page, tmp_path, capture, heads=[[1, 2]], query=5, view="steps")
    expect(widget.root.get_by_label("1/√d")).to_be_disabled()
    expect(widget.root.locator(".steps-note")).to_contain_text("weights only")
    slider = widget.root.get_by_role("slider", name="Temperature")
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    widget.wait()
    weights = capture.weights(1, 2, queries=5).astype(np.float64)
    powers = weights ** (1 / 10**-0.3)
    bar = exact(row(widget, 4).locator(".number").last)
    assert bar == pytest.approx((powers / powers.sum())[4], abs=1e-4)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(page, tmp_path, axe, theme):
    widget = opened(page, tmp_path, t5(), kind="decoder", heads=[[1, 1]], query=3, theme=theme, view="steps")
    slider = widget.root.get_by_role("slider", name="Temperature")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    widget.wait()
    expect(widget.root).to_have_attribute("data-theme", theme)
    assert complaints(page, axe) == []


def test_long_texts_keep_few_elements(page, tmp_path):
    capture = queries_keys([f" t{i}" for i in range(2000)], layers=1, heads=2, causal=True)
    widget = opened(page, tmp_path, capture, heads=[[0, 1]], query=1999, view="steps")
    assert widget.root.locator(".steps-stage [role=row]").count() < 60
    weights = capture.weights(0, 1, queries=1999)
    strongest = widget.root.locator('.steps-stage [aria-rowindex="2"]')
    expect(strongest).to_have_attribute("data-index", str(weights.argmax()))
    widget.root.get_by_role("button", name="key", exact=True).click()
    expect(widget.root.get_by_role("columnheader", name="key")).to_have_attribute("aria-sort", "ascending")
    widget.root.locator('.steps-stage [tabindex="0"]').focus()
    page.keyboard.press("End")
    expect(row(widget, 1999)).to_be_focused()
    expect(widget.root.get_by_role("columnheader", name="key")).to_be_in_viewport(ratio=0.9)
    assert exact(row(widget, 1999).locator(".number").last) == pytest.approx(weights[1999], abs=1e-6)


def test_tokens_stay_text(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(HOSTILE), heads=[[0, 1]], query=3, view="steps")
    row(widget, 0).hover()
    widget.wait()
    expect(row(widget, 0)).to_contain_text("<img src=x")
    assert page.evaluate("window.hit") is None
