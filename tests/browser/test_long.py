"""Long texts and big models in a page with a kernel behind it: what is sent, what is asked, and what is on screen."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.channel import Channel, live, show
from tests.browser.conftest import visit
from tests.browser.test_export import queries_keys
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    import attnscope

TOKENS = 32_768
FIRST_VIEW = 64_000
"""Most bytes sent before the first view of a causal text is complete, however long it is."""
LIGHT = "() => document.querySelectorAll('.attnscope *').length"


@cache
def long() -> attnscope.Capture:
    """A text of 32,768 tokens."""
    return queries_keys([f" t{i}" for i in range(TOKENS)], layers=2, heads=2, causal=True)


@cache
def big() -> attnscope.Capture:
    """A model of 80 × 64 heads."""
    return queries_keys([f" t{i}" for i in range(256)], layers=80, heads=64, width=4, causal=True)


class Opened:
    """A widget on screen, its page, and what goes between it and Python."""

    def __init__(self, page: Page, channel: Channel) -> None:
        self.page, self.channel = page, channel
        self.widget = Widget(page.locator(".attnscope").first)

    def sent_first(self) -> int:
        """Bytes sent until the first view was complete, without the program."""
        return sum(one.size - one.script for one in self.channel.sent[: self.channel.first])


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens captures; each in a page of its own."""
    with ExitStack() as ends:

        def open_(capture: attnscope.Capture, **given: object) -> Opened:
            channel = ends.enter_context(live(capture, **given))
            page = ends.enter_context(visit(chromium)).page
            show(page, channel)
            return Opened(page, channel)

        yield open_


def strongest(capture: attnscope.Capture, head: tuple[int, int], query: int, count: int) -> list[float]:
    """The largest weights of a row."""
    return sorted(capture.weights(*head, queries=query).tolist(), reverse=True)[:count]


def test_a_long_text_opens_light_and_is_as_large_on_screen_as_a_shorter_one(opened):
    short = opened(queries_keys([f" t{i}" for i in range(2048)], layers=2, heads=2, causal=True))
    short.widget.wait()
    there = opened(long())
    assert there.sent_first() < FIRST_VIEW
    assert there.channel.requests("statistic") == []
    there.widget.wait()
    assert abs(there.page.evaluate(LIGHT) - short.page.evaluate(LIGHT)) <= 8
    expect(there.widget.root.get_by_role("button", name="colour 4 heads of 32,768 tokens")).to_be_visible()


def test_a_long_text_is_scrolled_pointed_at_and_pinned(opened):
    there, capture = opened(long()), long()
    page, widget = there.page, there.widget
    widget.wait()
    nodes = page.evaluate(LIGHT)
    box = widget.resting_box(widget.root.get_by_role("tabpanel"))
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 10_000_000)
    widget.wait()
    last = widget.token("query", TOKENS - 1)
    expect(last).to_be_visible()
    assert last.inner_text() == f"·t{TOKENS - 1}"
    assert page.evaluate(LIGHT) <= nodes + 16
    last.hover()
    listed = widget.numbers("Layer 0 · Head 0")
    assert listed == pytest.approx(strongest(capture, (0, 0), TOKENS - 1, len(listed)), abs=1e-6)

    last.focus()
    page.keyboard.press("Home")
    widget.wait()
    expect(widget.token("query", 0)).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    widget.wait()
    expect(widget.token("query", TOKENS - 2)).to_have_attribute("aria-pressed", "true")
    assert there.channel.widget.query == TOKENS - 2
    listed = widget.numbers("Layer 0 · Head 0")
    assert listed == pytest.approx(strongest(capture, (0, 0), TOKENS - 2, len(listed)), abs=1e-6)
    assert page.evaluate(LIGHT) <= nodes + 64
    assert there.channel.requests("statistic") == []


def test_hundreds_of_head_switches_leave_a_handful_of_answers(opened):
    there, capture = opened(long(), query=TOKENS - 5, view="matrix"), long()
    page, widget, channel = there.page, there.widget, there.channel
    widget.wait()
    before = {kind: channel.replies(kind) for kind in ("weights", "overview")}
    head = widget.head(0, 0)
    head.focus()
    page.evaluate("""() => {
      const cells = [[0, 0], [0, 1], [1, 0], [1, 1]];
      for (let at = 0; at < 200; at++) {
        const [layer, head] = cells[(at * 7 + (at >> 2)) % 4];
        document.querySelector(`[data-layer="${layer}"][data-head="${head}"]`).click();
      }
      document.querySelector('[data-layer="1"][data-head="1"]').click();
    }""")
    widget.wait()
    assert widget.selected() == [(1, 1)]
    listed = widget.numbers("Layer 1 · Head 1")
    assert listed == pytest.approx(strongest(capture, (1, 1), TOKENS - 5, len(listed)), abs=1e-6)
    assert channel.replies("overview") - before["overview"] <= 3
    assert channel.replies("weights") - before["weights"] <= 12
    assert len(channel.requests("weights")) + len(channel.requests("overview")) <= 40


def test_the_next_head_is_here_before_it_is_asked_for(opened):
    there, capture = opened(long(), query=TOKENS - 5), long()
    widget, channel = there.widget, there.channel
    widget.wait()

    def rows() -> list[list[int]]:
        return [one["queries"] for one in channel.requests("weights") if one["heads"] == [[0, 1]]]

    pinned = [TOKENS - 8, TOKENS]
    until = time.monotonic() + 60
    while pinned not in rows() or widget.root.get_attribute("data-ready") != "true":
        assert time.monotonic() < until
        there.page.wait_for_timeout(100)
    widget.head(0, 1).click()
    listed = widget.numbers("Layer 0 · Head 1")
    assert listed == pytest.approx(strongest(capture, (0, 1), TOKENS - 5, len(listed)), abs=1e-6)
    ahead = sum(b - a for a, b in rows()) * 4 * TOKENS
    assert ahead <= 5_000_000
    assert channel.requests("statistic") == []


def test_views_of_a_long_text_say_what_python_says(opened):
    there, capture = opened(long(), query=TOKENS - 3, heads=[[1, 0]]), long()
    page, widget = there.page, there.widget
    row = capture.weights(1, 0, queries=TOKENS - 3)
    widget.wait()
    for view in ("Text", "Steps", "Matrix"):
        widget.tab(view).click()
        widget.wait()
        assert page.evaluate(LIGHT) < 2500, view
        listed = widget.numbers("Layer 1 · Head 0")
        assert listed == pytest.approx(sorted(row, reverse=True)[: len(listed)], abs=1e-6)
    widget.tab("Flow").click()
    widget.wait()
    assert there.channel.requests("flow") == []
    assert len(there.channel.requests("evolution")) == 1


def test_a_big_model_opens_light_and_switches_heads(opened):
    there, capture = opened(big(), query=200), big()
    page, widget, channel = there.page, there.widget, there.channel
    assert there.sent_first() < 400_000
    assert page.evaluate(LIGHT) < 2500
    grid = widget.root.get_by_role("grid", name="Heads: rows are layers, columns are heads")
    grid.get_by_role("gridcell").focus()
    before = channel.replies("weights")
    for _ in range(40):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(grid.get_by_role("gridcell")).to_have_attribute("data-head", "63")
    expect(widget.inspector.get_by_text("Layer 40 · Head 63", exact=True)).to_be_visible()
    section = widget.inspector.locator("section").filter(has=page.get_by_text("Layer 40 · Head 63", exact=True))
    expect(section.locator("[data-weight]")).to_have_count(8)
    read = "found => found.map(one => Number(one.dataset.weight))"
    listed = section.locator("[data-weight]").evaluate_all(read)
    assert np.allclose(listed, strongest(capture, (40, 63), 200, 8), atol=1e-6)
    assert channel.replies("weights") - before <= 2 * 41 + 8
    assert [list(head) for head in channel.widget.heads] == [[40, 63]]
