"""The running text, with the mouse and with the keyboard alone."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import expect

import attnscope
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import HOSTILE, opened, queries_keys
from tests.browser.widget import exact
from tests.models import zoo
from tests.models.test_encoder_decoder import loaded

STORY = (
    "The cat sat on the mat because it was tired. It had walked all night.\n\n"
    "Emily always wanted to visit Paris so she took some French lessons."
)
CHAT = [
    "<|im_start|>", "user", "\n", "What", " is", " it", "?", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n",
    "A", " cat", ".", "<|im_end|>", "\n",
]  # fmt: skip


@pytest.fixture(scope="module")
def story(minilm):
    return attnscope.capture(minilm.model, minilm.tokenizer, STORY)


@pytest.fixture(scope="module")
def gpt2():
    model, tokenizer = zoo.small("gpt2")
    return attnscope.capture(model, tokenizer, "The cat sat on the mat because it was tired. A dog runs again.")


@pytest.fixture(scope="module")
def translated():
    model, _, tokenizer = loaded("bart")
    return attnscope.capture(model, tokenizer, "The dog runs after the cat.", target="A cat runs.")


def shown(page, tmp_path, capture, **given):
    return opened(page, tmp_path, capture, view="text", **given)


def sums(widget) -> dict[str, float]:
    """The passages of the panel with their exact sums, of the head selected last."""
    rows = widget.root.get_by_role("treeitem").all()
    return {row.locator(".sum-label").inner_text(): exact(row.locator("[data-weight]").first) for row in rows}


def lines(widget) -> list[str]:
    """The text, line by line."""
    rows = widget.root.locator(".text-line").all()
    return [row.inner_text().strip("\n") for row in rows]


def test_the_text_is_read_as_it_was_written(page, tmp_path, story):
    page.set_viewport_size({"width": 1600, "height": 600})
    widget = shown(page, tmp_path, story)
    assert " ".join("\n".join(lines(widget)).split()) == f"[CLS] {' '.join(STORY.lower().split())} [SEP]"
    assert "" in [line.strip() for line in lines(widget)], "the empty line between the paragraphs"


@pytest.mark.parametrize("name", ["story", "gpt2"])
def test_a_click_colours_and_says_the_capture_s_numbers(page, tmp_path, name, request):
    capture = request.getfixturevalue(name)
    widget = shown(page, tmp_path, capture, heads=[[2, 1]])
    widget.token("query", 8).click()
    expect(widget.token("query", 8)).to_have_attribute("aria-pressed", "true")
    widget.wait()
    row = capture.weights(2, 1, queries=8)
    best = int(row.argmax())
    widget.token("query", best).hover()
    tooltip = widget.root.get_by_role("tooltip")
    expect(tooltip).to_contain_text(f"{row[best]:.6f}")
    tint = [widget.token("query", at).evaluate("node => getComputedStyle(node).backgroundColor") for at in (best, 8)]
    assert tint[0] != "rgba(0, 0, 0, 0)"
    page.keyboard.press("Escape")
    expect(widget.token("query", 8)).to_have_attribute("aria-pressed", "false")


def test_what_is_masked_is_said_to_be(page, tmp_path, gpt2):
    widget = shown(page, tmp_path, gpt2, heads=[[0, 1]], query=3)
    widget.token("query", 6).hover()
    expect(widget.root.get_by_role("tooltip")).to_contain_text("masked")
    expect(widget.token("query", 6)).to_have_class(re.compile("unseen"))
    expect(widget.token("query", 2)).not_to_have_class(re.compile("unseen"))


@pytest.mark.parametrize("name", ["story", "gpt2"])
def test_the_other_direction_says_who_attends(page, tmp_path, name, request):
    capture = request.getfixturevalue(name)
    widget = shown(page, tmp_path, capture, heads=[[1, 2]], query=2)
    widget.root.get_by_role("button", name="attended by").click()
    expect(widget.token("key", 2)).to_have_attribute("aria-pressed", "true")
    widget.wait()
    column = capture.weights(1, 2, keys=2)
    strongest = int(np.nanargmax(column))
    label = widget.token("key", strongest).get_attribute("aria-label")
    assert float(label.rpartition(": ")[2]) == pytest.approx(float(column.reshape(-1)[strongest]), abs=6e-4)
    assert sum(sums(widget).values()) == pytest.approx(float(column.sum()), abs=1e-3)
    widget.root.get_by_role("button", name="attends to").click()
    expect(widget.token("query", 2)).to_have_attribute("aria-pressed", "true")


def test_sentences_sum_up_to_the_row(page, tmp_path, story):
    widget = shown(page, tmp_path, story, heads=[[5, 3], [5, 11]], query="it")
    row = story.weights(5, 11, queries=story.find("it"))
    tokens = story.tokens_of()[0]
    stops = [0, *(np.flatnonzero(np.array(tokens.text) == ".") + 1), len(tokens) - 1]
    expected = [float(row[max(1, start) : stop].sum()) for start, stop in pairwise(stops[:-1])]
    found = sums(widget)
    assert [label.split(" ")[0] for label in found] == ["the", "it", "emily", "special"]
    np.testing.assert_allclose(list(found.values())[:3], expected, atol=3e-5)
    assert found["special tokens"] == pytest.approx(float(row[[0, -1]].sum()), abs=3e-5)
    widget.root.get_by_role("button", name="largest first").click()
    widget.wait()
    assert list(sums(widget).values()) == sorted(found.values(), reverse=True)


def test_own_passages_are_summed_and_may_be_set_from_python(page, tmp_path, story):
    spans = [{"from": 1, "to": 4, "label": "who <b>"}, {"from": 5, "to": 8, "label": "where"}]
    widget = shown(page, tmp_path, story, heads=[[3, 1]], query=8, spans=spans)
    row = story.weights(3, 1, queries=8)
    assert sums(widget) == pytest.approx(
        {"who <b>": row[1:4].sum(), "where": row[5:8].sum(), "elsewhere": row.sum() - row[1:4].sum() - row[5:8].sum()},
        abs=3e-5,
    )
    widget.root.get_by_label("group by").select_option("sentence")
    expect(widget.root.get_by_role("treeitem")).to_have_count(4)


def test_turns_of_a_chat_fold_and_unfold(page, tmp_path):
    capture = queries_keys(CHAT, causal=True)
    widget = shown(page, tmp_path, capture, heads=[[1, 1]], query=13)
    row = capture.weights(1, 1, queries=13)
    assert sums(widget) == pytest.approx({"user": row[:9].sum(), "assistant": row[9:].sum()}, abs=3e-5)
    head = widget.root.locator("button.text-head").first
    expect(head).to_have_attribute("aria-expanded", "true")
    head.click()
    expect(head).to_have_attribute("aria-expanded", "false")
    expect(widget.token("query", 3)).to_have_count(0)
    expect(widget.token("query", 13)).to_be_visible()
    widget.root.get_by_role("button", name="fold all").click()
    expect(widget.root.locator(".word")).to_have_count(0)
    widget.root.get_by_role("button", name="unfold all").click()
    expect(widget.token("query", 3)).to_be_visible()


def test_with_the_keyboard_alone(page, tmp_path, story):
    widget = shown(page, tmp_path, story, heads=[[5, 11]])
    widget.token("query", 0).focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(widget.token("query", 8)).to_be_focused()
    page.keyboard.press("Enter")
    expect(widget.token("query", 8)).to_have_attribute("aria-pressed", "true")
    before = widget.resting_box(widget.token("query", 8))
    page.keyboard.press("ArrowDown")
    below = widget.resting_box(page.locator(":focus"))
    assert below["y"] > before["y"]
    assert abs(below["x"] + below["width"] / 2 - before["x"] - before["width"] / 2) < 60
    page.keyboard.press("End")
    expect(widget.token("query", story.tokens_of()[0].text.index("[SEP]"))).to_be_focused()
    row = widget.root.get_by_role("treeitem").first
    row.focus()
    page.keyboard.press("ArrowLeft")
    expect(row).to_have_attribute("aria-expanded", "false")
    expect(widget.token("query", 3)).to_have_count(0)
    page.keyboard.press("Space")
    expect(row).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(widget.root.get_by_role("treeitem").nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(widget.token("query", 8)).to_have_attribute("aria-pressed", "false")


def test_cross_attention_has_two_texts(page, tmp_path, translated):
    widget = shown(page, tmp_path, translated, kind="cross", heads=[[1, 2]])
    widget.token("query", 2).click()
    widget.wait()
    row = translated.weights(1, 2, queries=2, kind="cross")
    best = int(row.argmax())
    widget.token("key", best).hover()
    expect(widget.root.get_by_role("tooltip")).to_contain_text(f"{row[best]:.6f}")
    page.keyboard.press("Escape")
    widget.token("key", 3).click()
    expect(widget.token("key", 3)).to_have_attribute("aria-pressed", "true")
    widget.wait()
    column = translated.weights(1, 2, keys=3, kind="cross").reshape(-1)
    said = [widget.token("query", at).get_attribute("aria-label") for at in range(column.size)]
    np.testing.assert_allclose([float(label.rpartition(": ")[2]) for label in said], column, atol=6e-4)


def test_two_thousand_tokens_are_scrolled_not_built(page, tmp_path):
    words = [f" w{at}" + ("." if at % 20 == 19 else "") for at in range(2000)]
    widget = shown(page, tmp_path, queries_keys(words, layers=1, heads=1, causal=True), query=1900)
    expect(widget.token("query", 1900)).to_be_in_viewport()
    assert widget.root.locator(".word").count() < 700
    widget.token("query", 1900).focus()
    page.keyboard.press("Home")
    expect(widget.token("query", 0)).to_be_focused()
    expect(widget.token("query", 0)).to_be_in_viewport()
    assert widget.root.get_by_role("treeitem").count() < 60


def test_white_space_can_be_seen(page, tmp_path):
    widget = shown(page, tmp_path, queries_keys(["x", ":", "\n", "    y", " z"]))
    assert [line.replace("\u00a0", "") for line in lines(widget)] == ["x:", "    y z"]
    widget.root.get_by_label("white space").check()
    expect(widget.root.locator(".text-line").last).to_have_text("····y·z")
    expect(widget.token("query", 2)).to_have_text("⏎")


def test_writing_from_right_to_left(page, tmp_path):
    widget = shown(page, tmp_path, queries_keys(["שלום", " עולם", " טוב"]))
    expect(widget.root.locator(".text-line").first).to_have_attribute("dir", "rtl")
    first, second = (widget.resting_box(widget.token("query", at))["x"] for at in (0, 1))
    assert second < first
    widget.token("query", 0).focus()
    page.keyboard.press("ArrowLeft")
    expect(widget.token("query", 1)).to_be_focused()


def test_no_token_becomes_anything_but_text(page, tmp_path):
    widget = shown(page, tmp_path, queries_keys(HOSTILE), query=3)
    assert widget.root.locator(".text-view :is(img, script, style)").count() == 0
    assert page.evaluate("window.hit") is None
    for at in range(len(HOSTILE)):
        expect(widget.token("query", at)).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_axe_finds_nothing(page, tmp_path, axe, story, theme, width):
    page.set_viewport_size({"width": width, "height": 800})
    widget = shown(page, tmp_path, story, heads=[[5, 11]], query=8, theme=theme)
    expect(widget.root).to_have_attribute("data-theme", theme)
    widget.root.get_by_role("treeitem").first.locator(".sum-arrow").click()
    widget.wait()
    assert complaints(page, axe) == []
