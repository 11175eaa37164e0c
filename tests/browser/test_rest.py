"""What is said to be complete is at rest: nothing is replaced, moved or painted any more without the reader."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

import attnscope
from tests.browser.samples import SENTENCE
from tests.browser.test_compare import TWO
from tests.browser.test_export import opened, queries_keys
from tests.browser.test_image import painted

WATCH = """() => {
  const root = document.querySelector('.attnscope');
  const frames = (count) => new Promise((go) => {
    const step = () => (count-- > 0 ? requestAnimationFrame(step) : go());
    step();
  });
  const name = (node) => node.nodeType === 1 ? `${node.tagName.toLowerCase()}.${node.className}` : '#text';
  const places = () => [...root.querySelectorAll('button, select, input, canvas, [tabindex]')]
    .filter((node) => node.checkVisibility())
    .map((node) => [name(node), Object.values(node.getBoundingClientRect().toJSON()).join()].join(' '));
  const seen = [];
  const watcher = new MutationObserver((all) => {
    for (const { type, target, attributeName } of all) seen.push([type, attributeName, name(target)].join(' '));
  });
  watcher.observe(root, { childList: true, subtree: true, attributes: true, characterData: true });
  const before = places();
  return frames(40).then(() => {
    watcher.disconnect();
    const after = places();
    return [...seen, ...after.filter((place, at) => place !== before[at])];
  });
}"""
"""Everything that changes within forty frames, and whatever can be used that is then elsewhere."""

VIEWS = ["links", "matrix", "grid", "text", "steps", "flow", "image", "compare"]


@pytest.fixture(scope="module")
def pair(minilm):
    return tuple(attnscope.capture(minilm.model, minilm.tokenizer, text, values=True) for text in (SENTENCE, TWO))


def shown(page, tmp_path, pair, view, **given):
    if view == "image":
        return opened(page, tmp_path, painted(), view=view, **given)
    return opened(page, tmp_path, pair[0], compare=pair[1], view=view, **given)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_changes_once_a_view_is_ready(page, tmp_path, pair, view):
    widget = shown(page, tmp_path, pair, view)
    assert page.evaluate(WATCH) == []
    widget.head(0, 1).click()
    widget.wait()
    assert page.evaluate(WATCH) == []
    widget.root.get_by_label("Heads coloured by").select_option("role")
    widget.wait()
    assert page.evaluate(WATCH) == []
    page.set_viewport_size({"width": 700, "height": 700})
    widget.wait()
    assert page.evaluate(WATCH) == []


def test_the_watch_would_see_something(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys())
    widget.root.evaluate("root => setTimeout(() => { root.querySelector('.topbar').style.padding = '20px'; }, 100)")
    assert page.evaluate(WATCH) != []


def test_a_ready_page_has_laid_out_what_follows_from_its_size(page, tmp_path, pair):
    """Whatever depends on sizes is done when the page says so, though sizes are told a frame later."""
    widget = opened(page, tmp_path, pair[0])
    width = "() => document.querySelector('.panel canvas').getBoundingClientRect().width"
    before = page.evaluate(width)
    page.set_viewport_size({"width": 900, "height": 700})
    widget.wait()
    assert page.evaluate(width) < before - 100


MARK = "nodes => nodes.forEach((node) => { node.marked = true; })"
LOST = "nodes => nodes.filter((node) => !node.marked).map((node) => node.outerHTML)"


def test_buttons_stay_the_same_elements_while_figures_and_selections_change(page, tmp_path, pair):
    """A press that begins on a button ends on it, and the focus stays, whatever arrives meanwhile."""
    widget = shown(page, tmp_path, pair, "compare", heads=[[0, 0], [1, 1]], query=8, key=2)
    buttons = widget.root.locator(":is(.ranking-strip, .hits, .chips, .rail-details) button")
    assert buttons.count() > 40
    buttons.evaluate_all(MARK)
    ranked = widget.root.locator(".ranking-strip button")
    ranked.first.focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+Enter"):
        page.keyboard.press(key)
    expect(ranked.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(ranked.nth(2)).to_be_focused()
    widget.wait()
    assert widget.root.locator(":is(.ranking-strip, .hits) button").evaluate_all(LOST) == []
    hit = widget.root.locator(".hits button").nth(3)
    hit.focus()
    page.keyboard.press("Enter")
    expect(hit).to_have_attribute("aria-pressed", "true")
    expect(hit).to_be_focused()


def test_taking_a_chip_away_leaves_the_focus_on_the_next(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(), heads=[[0, 0], [1, 1], [2, 2]])
    widget.root.get_by_role("button", name="Remove L1 H1").focus()
    page.keyboard.press("Enter")
    expect(widget.root.get_by_role("button", name="Remove L0 H0")).to_be_focused()
    assert widget.selected() == [(0, 0), (2, 2)]


def test_what_is_marked_for_copying_stays_marked(page, tmp_path, pair):
    widget = opened(page, tmp_path, pair[0], query=8)
    number = widget.inspector.locator("[data-weight]").first
    number.evaluate("node => getSelection().selectAllChildren(node)")
    marked = page.evaluate("getSelection().toString()")
    assert marked == number.inner_text()
    widget.token("key", 3).hover()
    widget.wait()
    assert page.evaluate("getSelection().toString()") == marked
