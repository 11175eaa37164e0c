"""The token strip in a real JupyterLab: its traits go both ways, and log-probabilities show themselves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.test_lab import eventually
from tests.browser.widget import Widget
from tests.unit.attention.answers import CHAT, CHUNKS

CELLS = [
    f"import attnscope\nlp = attnscope.from_logprobs({CHAT!r})\nlp",
    f"w = attnscope.LogprobsWidget([lp, *attnscope.from_logprobs({CHUNKS!r})])\nw",
]


@pytest.fixture
def notebook(chromium, jupyter_lab):
    with (
        visit(chromium, viewport={"width": 1200, "height": 1200}) as seen,
        jupyter_lab.running(seen.page, "logprobs.ipynb", CELLS, 2) as notebook,
    ):
        yield notebook


def test_it_is_shown_and_pinned_from_both_sides(notebook):
    kernel, first, widget = notebook.kernel, Widget.on(notebook.page, 0), Widget.on(notebook.page, 1)
    expect(first.root.locator(".word")).to_have_text(["The", "·cat", "😀", "⁺", "⏎"])
    words = widget.root.locator(".word")
    words.nth(1).click()
    eventually(kernel, "w.token", 1)
    kernel.run("w.token = 'The'")
    expect(words.nth(0)).to_have_attribute("aria-pressed", "true")
    expect(words.nth(1)).to_have_attribute("aria-pressed", "false")
    kernel.run("w.choice = 2")
    expect(words).to_have_text(["A", "·dog"])
    expect(widget.root.locator('[aria-pressed="true"]')).to_have_count(0)
    widget.root.get_by_label("Text", exact=True).select_option("text 2 of 3")
    eventually(kernel, "(w.choice, w.token)", (1, None))
    words.nth(1).click()
    eventually(kernel, "(w.choice, w.token)", (1, 1))
    for key, at in (("n", 0), ("p", 1)):
        notebook.page.keyboard.press(key)
        eventually(kernel, "w.token", at)
        expect(words.nth(at)).to_be_focused()
    kernel.run("w.theme = 'dark'")
    expect(widget.root).to_have_attribute("data-theme", "dark")
    expect(first.root).to_have_attribute("data-theme", "light")
