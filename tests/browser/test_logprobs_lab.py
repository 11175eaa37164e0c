"""The token strip in a real JupyterLab, with a kernel and without, and as HTML; log-probabilities show themselves."""

from __future__ import annotations

import math

import nbclient
import nbconvert
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.lab import notebook_of
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


@pytest.fixture(scope="module")
def executed():
    """The notebook as a program runs it, with nobody at a page."""
    notebook = notebook_of(CELLS)
    nbclient.NotebookClient(notebook, timeout=120).execute()
    return notebook


def looked_at(root) -> None:
    """The second display works, with a click."""
    widget = Widget(root)
    words = widget.root.locator(".word")
    words.nth(1).click()
    expect(words.nth(1)).to_have_attribute("aria-pressed", "true")
    widget.wait()
    shares = widget.root.locator("[data-weight]").evaluate_all("all => all.map(one => Number(one.dataset.weight))")
    np.testing.assert_allclose(shares, np.exp([-0.5, -2.5, -math.inf]), rtol=1e-14)


def test_a_saved_notebook_needs_no_kernel(chromium, jupyter_lab, executed):
    with visit(chromium, viewport={"width": 1200, "height": 1200}) as seen:
        jupyter_lab.read(seen.page, "logprobs-saved.ipynb", executed, is_trusted=True)
        looked_at(seen.page.locator(".attnscope").nth(1))
        seen.errors[:] = [error for error in seen.errors if "model not found" not in error]
        jupyter_lab.end_sessions()


def test_converted_to_html_a_page_stands_in(chromium, executed, tmp_path):
    path = tmp_path / "notebook.html"
    body, _ = nbconvert.HTMLExporter().from_notebook_node(executed)
    path.write_text(body, encoding="utf-8")
    with visit(chromium, viewport={"width": 1200, "height": 1200}) as seen:
        seen.page.goto(path.as_uri())
        expect(seen.page.locator("iframe")).to_have_count(2)
        looked_at(seen.page.frame_locator("iframe").nth(1).locator(".attnscope"))
        expect(seen.page.locator("img:visible")).to_have_count(0)
        assert not any("attnscope" in address for address in seen.refused)  # the host's own addresses
        seen.refused.clear()
        seen.errors.clear()
