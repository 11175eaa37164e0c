"""Two captures side by side, with the mouse and with the keyboard alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

import attnscope
from attnscope.analysis import compare
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import HOSTILE, opened, queries_keys
from tests.browser.widget import exact
from tests.models import zoo

ONE, TWO = "The cat sat on the mat because it was tired.", "The big dog sat on the mat because it was very tired."


@pytest.fixture(scope="module")
def prompts(minilm):
    return tuple(attnscope.capture(minilm.model, minilm.tokenizer, text) for text in (ONE, TWO))


@pytest.fixture(scope="module")
def checkpoints():
    captures = []
    for seed in (0, 1):
        model, tokenizer = zoo.build(zoo.family("gpt2"), seed=seed), zoo.tokenizer_of(zoo.family("gpt2"))
        captures.append(attnscope.capture(model, tokenizer, ONE))
    return tuple(captures)


def shown(page, tmp_path, pair, **given):
    return opened(page, tmp_path, pair[0], compare=pair[1], view="compare", **given)


def rows(widget) -> dict[str, list[float | None]]:
    """The list of both captures: token → its numbers in the first, in the second, and their difference."""
    found = {}
    for row in widget.root.locator(".pair-row").all():
        numbers = [cell.get_attribute("data-weight") for cell in row.locator("[data-of]").all()]
        found[row.locator("bdi").inner_text()] = [None if number is None else float(number) for number in numbers]
    return found


def test_the_tab_is_there_only_with_something_to_compare(page, tmp_path, prompts):
    widget = opened(page, tmp_path, prompts[0])
    expect(widget.tab("Compare")).to_be_hidden()
    widget = opened(page, tmp_path, prompts[0], compare=prompts[1])
    widget.tab("Compare").click()
    expect(widget.tab("Compare")).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("name", ["prompts", "checkpoints"])
def test_heads_are_ranked_by_change_and_chosen_there(page, tmp_path, name, request):
    pair = request.getfixturevalue(name)
    widget = shown(page, tmp_path, pair, heads=[[0, 0]])
    ranked = compare(*pair).ranked()
    buttons = widget.root.get_by_role("toolbar", name="Heads by change").get_by_role("button")
    expect(buttons.first).to_contain_text(f"L{ranked[0][0]} H{ranked[0][1]}")
    found = [exact(button.locator("[data-weight]")) for button in buttons.all()]
    np.testing.assert_allclose(found, [change for *_, change in ranked[: len(found)]], atol=1e-6)
    buttons.nth(1).click()
    assert widget.selected() == [ranked[1][:2]]
    expect(widget.root.get_by_label("Heads coloured by")).to_have_value("change")


@pytest.mark.parametrize("name", ["prompts", "checkpoints"])
def test_rows_of_the_pinned_token_are_the_captures_numbers(page, tmp_path, name, request):
    a, b = pair = request.getfixturevalue(name)
    query = a.find("it")
    widget = shown(page, tmp_path, pair, heads=[[2, 1]], query=query)
    widget.root.get_by_role("button", name="pinned token").click()
    widget.wait()
    one, two = a.weights(2, 1, queries=query), b.weights(2, 1, queries=b.find("it"))
    found = rows(widget)
    for token in ("tired", "mat", "on") if name == "prompts" else (" the",):
        i, j = a.find(token), b.find(token)
        numbers = found[token if name == "prompts" else "·the"]
        np.testing.assert_allclose(numbers, [one[i], two[j], two[j] - one[i]], atol=3e-5)
    if name == "prompts":
        assert found["cat"][0] == pytest.approx(one[a.find("cat")], abs=3e-5)
        assert found["cat"][1:] == [None, None]
        assert found["very"][0] is None
        assert found["very"][1] == pytest.approx(two[b.find("very")], abs=3e-5)


def test_the_matrices_say_all_three_numbers(page, tmp_path, prompts):
    a, b = prompts
    widget = shown(page, tmp_path, prompts, heads=[[5, 11]])
    cell = widget.root.get_by_role("grid", name="B − A").get_by_role("gridcell")
    cell.focus()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    one, two = a.weights(5, 11, queries=a.find("sat"), keys=0), b.weights(5, 11, queries=b.find("sat"), keys=0)
    one, two = float(one.reshape(-1)[0]), float(two.reshape(-1)[0])
    expect(cell).to_have_attribute("aria-label", re.compile(r"^sat → \[CLS\]: A \d"))
    said = cell.get_attribute("aria-label")
    numbers = [float(part.split(" ")[-1]) for part in said.partition(": ")[2].split(" · ")]
    np.testing.assert_allclose(numbers, [one, two, two - one], atol=3e-5)
    page.keyboard.press("Enter")
    expect(widget.inspector.get_by_role("heading", level=3).first).to_contain_text("Pinned query", ignore_case=True)
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(cell).to_have_attribute("aria-label", re.compile("^big → .*: A none · B 0"))
    page.keyboard.press("Escape")


def test_hover_lights_and_says(page, tmp_path, prompts):
    widget = shown(page, tmp_path, prompts, heads=[[5, 11]])
    canvas = widget.root.locator(".compare-pane canvas").nth(1)
    box = widget.resting_box(canvas)
    page.mouse.move(box["x"] + 12, box["y"] + 62)
    expect(widget.root.get_by_role("tooltip")).to_contain_text("[CLS] → [CLS]: A 0.")


def test_the_ranking_is_one_stop_and_moves_with_arrows(page, tmp_path, prompts):
    widget = shown(page, tmp_path, prompts)
    buttons = widget.root.get_by_role("toolbar", name="Heads by change").get_by_role("button")
    buttons.first.focus()
    page.keyboard.press("ArrowRight")
    expect(buttons.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    assert widget.root.locator(".ranking-strip [tabindex='0']").count() == 1


def test_a_narrow_cell_shows_one_matrix_at_a_time(page, tmp_path, prompts):
    page.set_viewport_size({"width": 420, "height": 700})
    widget = shown(page, tmp_path, prompts)
    panes = widget.root.locator(".compare-pane:visible")
    expect(panes).to_have_count(1)
    widget.root.get_by_role("group", name="Matrix shown").get_by_role("button", name="A", exact=True).click()
    expect(panes).to_have_text("A")


def test_a_head_the_other_lacks_is_said_to_be_missing(page, tmp_path):
    widget = shown(page, tmp_path, (queries_keys(layers=3, heads=4), queries_keys(layers=2, heads=2)), heads=[[2, 3]])
    refusal = widget.root.get_by_text("The second capture has no layer 2 head 3.", exact=True)
    expect(refusal).to_be_visible()
    widget.head(1, 1).click()
    expect(refusal).to_have_count(0)


def test_no_token_becomes_anything_but_text(page, tmp_path):
    pair = queries_keys(HOSTILE), queries_keys([*HOSTILE[:4], "<b>new</b>", *HOSTILE[4:]])
    widget = shown(page, tmp_path, pair, query=3)
    widget.root.get_by_role("button", name="pinned token").click()
    widget.wait()
    assert "<b>new</b>" in rows(widget)
    assert widget.root.locator(".compare-view :is(img, script, style, b)").count() == 0
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("mode", ["matrices", "pinned token"])
def test_axe_finds_nothing(page, tmp_path, axe, prompts, theme, width, mode):
    page.set_viewport_size({"width": width, "height": 800})
    widget = shown(page, tmp_path, prompts, heads=[[5, 11]], query=8, theme=theme)
    widget.root.get_by_role("button", name=mode).click()
    widget.wait()
    assert complaints(page, axe) == []
