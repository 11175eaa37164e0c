"""Readers without a mouse, without sight of colour, or with a screen reader."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

import attnscope
from tests.browser.test_export import FORMS, TOKENS, opened, queries_keys
from tests.browser.widget import Widget


def complaints(page, axe: str, inside: str = ".attnscope") -> list[str]:
    """Run axe-core, and give every rule that is broken, with the elements."""
    page.evaluate(axe)
    found = page.evaluate("inside => axe.run(inside)", inside)
    assert len(found["passes"]) > 15, "axe looked at nothing"
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['html'][:120]}: {node.get('failureSummary', '')[:300]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["links", "matrix"])
@pytest.mark.parametrize("width", [1280, 640])
def test_axe_finds_nothing(page, tmp_path, axe, theme, view, width):
    page.set_viewport_size({"width": width, "height": 800})
    widget = opened(page, tmp_path, queries_keys(), heads=[[0, 1], [2, 3]], query=4, theme=theme, view=view)
    expect(widget.root).to_have_attribute("data-theme", theme)
    if width < 720:
        widget.root.get_by_role("button", name="Heads", exact=True).click()
        widget.wait()
    assert complaints(page, axe) == []


def test_axe_would_find_something(page, tmp_path, axe):
    """The check itself works: a button without a name and a picture without words are reported."""
    opened(page, tmp_path, queries_keys())
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<button></button><img>')")
    assert {"button-name", "image-alt"} <= {complaint.split(" ")[0] for complaint in complaints(page, axe, "body")}


@pytest.mark.parametrize("form", ["weights", "causal queries and keys"])
def test_everything_is_reached_and_named_with_the_tab_key(page, tmp_path, form):
    opened(page, tmp_path, FORMS[form](), heads=[[0, 1]])
    page.locator("body").press("Tab")
    reached = []
    for _ in range(60):
        name = page.evaluate(
            """() => {
              const at = document.activeElement;
              if (!at || at === document.body) return null;
              const labels = at.labels ? [...at.labels].map((label) => label.innerText).join(" ") : "";
              const name = at.getAttribute("aria-label") || labels || at.innerText.trim();
              return [at.getAttribute("role") ?? at.tagName, name];
            }"""
        )
        if name is None:
            break
        reached.append(tuple(name))
        page.keyboard.press("Tab")
    assert len(reached) < 60, "the tab key never leaves"
    named = [what for role, what in reached if role not in ("tabpanel",)]
    assert all(named), reached
    for wanted in ("Links", "Find token", "Threshold", "Inspector"):
        assert any(wanted in what for what in named), (wanted, reached)
    assert any("query 0" in what for what in named)
    assert any("key 0" in what for what in named)
    assert sum(role == "gridcell" for role, _ in reached) == 1, "a grid is one stop"


def test_pinning_is_told_to_a_screen_reader(page, tmp_path):
    capture = queries_keys()
    widget = opened(page, tmp_path, capture, heads=[[0, 1]])
    live = widget.root.locator('[aria-live="polite"]').filter(has_text="attends")
    expect(live).to_have_count(0)
    widget.token("query", 5).focus()
    page.keyboard.press("Enter")
    best = TOKENS[int(capture.weights(0, 1, queries=5).argmax())].strip()
    expect(live).to_contain_text(f"it attends most to {best}")


def test_focus_is_seen(page, tmp_path):
    widget = opened(page, tmp_path, queries_keys(), heads=[[0, 1]])
    token = widget.token("query", 3)
    box = widget.resting_box(token)
    around = {"x": box["x"] - 4, "y": box["y"] - 4, "width": box["width"] + 8, "height": box["height"] + 8}
    widget.token("query", 0).focus()
    before = page.screenshot(clip=around)
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(token).to_be_focused()
    widget.wait()
    outline = token.evaluate("node => [getComputedStyle(node).outlineStyle, getComputedStyle(node).boxShadow]")
    assert outline[0] not in ("none", "") or outline[1] not in ("none", "")
    assert page.screenshot(clip=around) != before


def test_a_still_page_for_those_who_want_no_motion(chromium, tmp_path):
    from tests.browser.conftest import visit

    path = tmp_path / "page.html"
    attnscope.AttentionWidget(queries_keys()).save(path)
    with visit(chromium, reduced_motion="reduce") as seen:
        seen.page.goto(path.as_uri())
        Widget.on(seen.page)
        moving = seen.page.evaluate(
            """() => [...document.querySelectorAll('.attnscope, .attnscope *')].filter((node) => {
              const style = getComputedStyle(node);
              return [style.transitionDuration, style.animationDuration]
                .some((text) => text.split(',').some((part) => parseFloat(part) > 0.001));
            }).map((node) => node.className)"""
        )
    assert moving == []


def test_text_may_be_twice_as_large(page, tmp_path):
    """At 200 % nothing is cut off sideways."""
    page.set_viewport_size({"width": 640, "height": 600})
    widget = opened(page, tmp_path, queries_keys(), query=4)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for name in ("Links", "Matrix"):
        expect(widget.tab(name)).to_be_in_viewport()
    expect(widget.root.get_by_role("button", name="Save")).to_be_in_viewport()


CONTRAST = """root => {
  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, under) => [0, 1, 2].map((at) => top[at] * top[3] + under[at] * (1 - top[3]));
  const found = [];
  for (const node of root.querySelectorAll("*")) {
    const texts = [...node.childNodes].filter((child) => child.nodeType === 3);
    const text = texts.map((child) => child.data.trim()).join("");
    if (!text || !node.checkVisibility() || node.closest(":disabled, [aria-live]")) continue;
    const line = [];
    for (let at = node; at; at = at.parentElement) line.unshift(at);
    let ground = [255, 255, 255];
    let opacity = 1;
    for (const at of line) {
      const style = getComputedStyle(at);
      ground = over(parse(style.backgroundColor), ground);
      opacity *= Number(style.opacity);
    }
    const ink = parse(getComputedStyle(node).color);
    const seen = over([...ink.slice(0, 3), ink[3] * opacity], ground);
    const [high, low] = [light(seen), light(ground)].sort((a, b) => b - a);
    found.push([text.slice(0, 30), node.className || node.tagName, (high + 0.05) / (low + 0.05)]);
  }
  return found;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(page, tmp_path, theme):
    """What axe cannot decide over a canvas: text has a contrast of 4.5 to its ground, signs for white space 3."""
    heads = [[layer, head] for layer in (0, 1) for head in range(4)]
    widget = opened(page, tmp_path, queries_keys(), heads=heads, query=4, theme=theme)
    expect(widget.root).to_have_attribute("data-theme", theme)
    found = widget.root.evaluate(CONTRAST)
    assert len(found) > 60
    assert [entry for entry in found if entry[2] < (3 if entry[1] == "I" else 4.5)] == []
