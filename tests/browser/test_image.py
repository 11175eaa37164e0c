"""Patches and words: the numbers on screen are Python's, with mouse and with keyboard alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from playwright.sync_api import expect

import attnscope
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens
from attnscope.recording.media.patches import grid_tokens
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import HOSTILE, opened, queries_keys
from tests.browser.widget import exact
from tests.models import words
from tests.models.test_vision_audio import CLIP_VISION, LLAMA, VIT, WHISPER, make

ERROR = 1e-5
ROWS, COLUMNS = 3, 5


def vit():
    pixels = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    return attnscope.capture(make("ViT", VIT), None, {"pixel_values": pixels})


def llava():
    torch.manual_seed(0)
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**CLIP_VISION),
        text_config=transformers.LlamaConfig(**LLAMA),
        image_token_index=9,
    )
    model = transformers.LlavaForConditionalGeneration._from_config(config).eval()
    ids = torch.tensor([[3, 20, *[9] * 9, 21, 22]])
    inputs = {"input_ids": ids, "pixel_values": torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))}
    return attnscope.capture(model, words.sentencepiece(), inputs)


def whisper():
    model = make("Whisper", WHISPER)
    heard = torch.randn(1, 16, 40, generator=torch.Generator().manual_seed(0))
    inputs = {"input_features": heard, "decoder_input_ids": torch.tensor([[1, 4, 5, 6]])}
    return attnscope.capture(model, None, inputs)


def painted(prompt=("<s>", " a", " red", " ball", "</s>")):
    """Cross-attention of an image that is not square to a prompt, as image pipelines have it."""
    queries, keys = grid_tokens(ROWS, COLUMNS), Tokens.of(list(prompt))
    scores = np.random.default_rng(1).normal(size=(2, len(queries), len(keys)))
    weights = (np.exp(2 * scores) / np.exp(2 * scores).sum(-1, keepdims=True)).astype("f4")
    layer = StoredWeights(weights, Mask.full(len(queries), len(keys)))
    return Capture({"cross": Attention("cross", {0: layer}, queries, keys)})


def cell(widget):
    return widget.root.get_by_role("grid", name="Patches").get_by_role("gridcell")


def word(widget, index):
    return widget.root.locator(f'.words [data-index="{index}"]')


def number(widget, index):
    return exact(word(widget, index).locator(".number"))


def patches(widget, page, rows, columns):
    """Walk over all patches by keyboard, and read each: [rows, columns]."""
    found = np.full(rows * columns, np.nan)
    cell(widget).focus()
    for row in range(rows):
        page.keyboard.press("Home")
        for _ in range(row):
            page.keyboard.press("ArrowDown")
        for column in range(columns):
            if column:
                page.keyboard.press("ArrowRight")
            token = row * columns + column
            expect(cell(widget)).to_have_attribute("data-token", str(token))
            found[token] = exact(cell(widget))
    return found


def test_a_word_of_the_prompt_lights_its_patches(page, tmp_path):
    capture = painted()
    widget = opened(page, tmp_path, capture, heads=[[0, 1]], key=3, view="image")
    column = capture.weights(0, 1, keys=3)
    np.testing.assert_allclose(patches(widget, page, ROWS, COLUMNS), column, atol=ERROR)
    word(widget, 2).hover()
    widget.wait()
    note = widget.root.locator(".image .legend-note")
    best = int(capture.weights(0, 1, keys=2).argmax())
    expect(note).to_contain_text(f"red · strongest: patch {best // COLUMNS},{best % COLUMNS}")


def test_a_patch_lights_the_words_it_looks_at(page, tmp_path):
    capture = painted()
    widget = opened(page, tmp_path, capture, heads=[[0, 0]], view="image")
    cell(widget).focus()
    for key in ("Home", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    widget.wait()
    row = capture.weights(0, 0, queries=COLUMNS + 2)
    np.testing.assert_allclose([number(widget, at) for at in range(5)], row, atol=ERROR)
    expect(widget.inspector).to_contain_text(f"position {COLUMNS + 2}")


def test_the_mouse_finds_the_patch_under_it(page, tmp_path):
    capture = painted()
    widget = opened(page, tmp_path, capture, heads=[[0, 0]], view="image")
    cell(widget).focus()
    page.keyboard.press("Home")
    box = widget.resting_box(cell(widget))
    assert box["width"] == pytest.approx(box["height"], abs=1.5), "patches of an image that is not square are square"
    x, y = box["x"] + 3.5 * box["width"], box["y"] + 2.5 * box["height"]
    page.mouse.move(x, y)
    widget.wait()
    token = 2 * COLUMNS + 3
    expect(page.locator(".tooltip")).to_contain_text("patch 2,3")
    row = capture.weights(0, 0, queries=token)
    np.testing.assert_allclose([number(widget, at) for at in range(5)], row, atol=ERROR)
    page.mouse.click(x, y)
    widget.wait()
    expect(widget.inspector).to_contain_text(f"position {token}")


def test_vit_shows_its_image_under_what_cls_looks_at(page, tmp_path):
    capture = vit()
    widget = opened(page, tmp_path, capture, heads=[[1, 2]], query=0, view="image")
    row = capture.weights(1, 2, queries=0)
    share = widget.root.locator(".image .legend-note [data-weight]")
    assert exact(share) == pytest.approx(row[1:].sum(), abs=ERROR)
    assert number(widget, 0) == pytest.approx(row[0], abs=ERROR)
    opacity = widget.root.get_by_role("slider", name="Opacity")
    opacity.focus()
    page.keyboard.press("Home")
    widget.wait()
    cell(widget).focus()
    page.keyboard.press("Home")
    box, corner = widget.resting_box(cell(widget)), widget.root.locator(".image-stage canvas").bounding_box()
    left, top = box["x"] - corner["x"], box["y"] - corner["y"]
    word(widget, 0).focus()
    widget.wait()
    (picture,) = capture.pictures
    for patch_row, patch_column in ((0, 0), (1, 3), (2, 4)):
        x = left + (patch_column + 0.5) * box["width"]
        y = top + (patch_row + 0.5) * box["height"]
        shown = page.evaluate(
            "([x, y]) => [...document.querySelector('.image-stage canvas').getContext('2d')"
            ".getImageData(Math.round(x) - 1, Math.round(y) - 1, 2, 2).data]",
            [x, y],
        )
        middle = picture[8 * patch_row + 3 : 8 * patch_row + 5, 8 * patch_column + 3 : 8 * patch_column + 5]
        assert np.mean(np.reshape(shown, (4, 4))[:, :3]) == pytest.approx(middle.mean(), abs=25)


def test_who_looks_at_a_patch(page, tmp_path):
    capture = vit()
    widget = opened(page, tmp_path, capture, heads=[[0, 3]], key=7, view="image")
    widget.root.get_by_label("show", exact=True).select_option("to")
    widget.wait()
    column = capture.weights(0, 3, keys=7)
    assert number(widget, 0) == pytest.approx(column[0], abs=ERROR)
    expect(widget.root.locator(".image .legend-note")).to_contain_text("who looks at patch 1,1")


def test_a_model_that_reads_image_and_text(page, tmp_path):
    capture = llava()
    last = len(capture.tokens) - 1
    widget = opened(page, tmp_path, capture, heads=[[1, 0]], view="image")
    row = capture.weights(1, 0, queries=last)
    assert exact(widget.root.locator(".image .legend-note [data-weight]")) == pytest.approx(row[2:11].sum(), abs=ERROR)
    assert number(widget, last) == pytest.approx(row[last], abs=ERROR)
    assert widget.root.locator(".words [data-index]").count() == 4
    word(widget, 11).click()
    widget.wait()
    row = capture.weights(1, 0, queries=11)
    assert exact(widget.root.locator(".image .legend-note [data-weight]")) == pytest.approx(row[2:11].sum(), abs=ERROR)
    expect(word(widget, last).locator(".number")).to_have_text("masked")


def test_sound_is_a_strip_of_time(page, tmp_path):
    capture = whisper()
    widget = opened(page, tmp_path, capture, kind="cross", heads=[[1, 1]], query=2, view="image")
    row = capture.weights(1, 1, queries=2, kind="cross")
    np.testing.assert_allclose(patches(widget, page, 1, len(row)), row, atol=ERROR)
    page.keyboard.press("Enter")
    widget.wait()
    column = capture.weights(1, 1, keys=len(row) - 1, kind="cross")
    np.testing.assert_allclose([number(widget, at) for at in range(4)], column, atol=ERROR)


def test_the_tab_is_there_only_where_there_is_something_to_show(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(), view="image")
    expect(widget.tab("Image")).to_be_hidden()
    expect(widget.tab("Links")).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("made", [vit, whisper])
def test_axe_finds_nothing(page, tmp_path, axe, theme, made):
    capture = made()
    widget = opened(page, tmp_path, capture, kind=capture.kinds[-1], theme=theme, view="image")
    cell(widget).focus()
    expect(widget.root).to_have_attribute("data-theme", theme)
    assert complaints(page, axe) == []


def test_tokens_stay_text(page, tmp_path):
    widget = opened(page, tmp_path, painted(HOSTILE), key=0, view="image")
    expect(word(widget, 0)).to_contain_text("<img src=x")
    cell(widget).focus()
    page.keyboard.press("Enter")
    widget.wait()
    assert page.evaluate("window.hit") is None
