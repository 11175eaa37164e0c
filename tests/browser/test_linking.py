"""Two widgets on one page, joined by the two ways Jupyter has: through the kernel, and in the page alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.test_lab import eventually
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.browser.lab import Kernel, Lab, Notebook

CELLS = [
    "import ipywidgets, numpy as np, traitlets\n"
    "from attnscope import AttentionWidget, from_queries_keys\n"
    "tokens = [' the', ' cat', ' sat', ' because', ' it', ' was', ' tired', '.']\n"
    "rng = np.random.default_rng(0)\n"
    "one, other = ([rng.normal(size=(4, 8, 8)).astype('float32') for _ in range(2)] for _ in range(2))\n"
    "c = from_queries_keys(one, other, tokens)\n"
    "a, b = (AttentionWidget(c, heads=[[0, head]], height=320) for head in (1, 2))\n"
    "joined = []\n"
    "a",
    "b",
]
JOINS = {
    "traitlets.link": "joined.append(traitlets.link((a, 'query'), (b, 'query')))",
    "ipywidgets.jslink": "joined.append(ipywidgets.jslink((a, 'query'), (b, 'query')))",
}


@pytest.fixture(scope="module")
def notebook(chromium: Browser, jupyter_lab: Lab) -> Iterator[Notebook]:
    """A notebook that shows two widgets of one capture."""
    with (
        visit(chromium, viewport={"width": 1500, "height": 1600}) as seen,
        jupyter_lab.running(seen.page, "linking.ipynb", CELLS, 2) as notebook,
    ):
        yield notebook


@pytest.fixture
def kernel(notebook: Notebook) -> Kernel:
    """The kernel, with nothing joined and nothing pinned."""
    notebook.kernel.run("while joined: joined.pop().unlink()\na.query = b.query = None")
    for nth in (0, 1):
        expect(Widget.on(notebook.page, nth).root.locator('[aria-pressed="true"][data-side]')).to_have_count(0)
    return notebook.kernel


@pytest.fixture
def both(notebook: Notebook, kernel: Kernel) -> tuple[Widget, Widget]:
    """The two widgets on screen."""
    return Widget.on(notebook.page, 0), Widget.on(notebook.page, 1)


def pinned(widget: Widget, query: int | None) -> None:
    """Check which query is pinned, in the page."""
    found = widget.root.locator('[aria-pressed="true"][data-side="query"]')
    expect(found).to_have_count(0 if query is None else 1)
    if query is not None:
        expect(found).to_have_attribute("data-index", str(query))


def test_widgets_are_apart_until_they_are_joined(kernel, both):
    a, b = both
    a.token("query", 4).click()
    eventually(kernel, "(a.query, b.query)", (4, None))
    pinned(a, 4)
    pinned(b, None)


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_a_click_in_one_pins_in_the_other(kernel, both, join):
    kernel.run(join)
    a, b = both
    a.token("query", 4).click()
    pinned(b, 4)
    eventually(kernel, "(a.query, b.query)", (4, 4))
    b.token("query", 6).click()
    pinned(a, 6)
    eventually(kernel, "(a.query, b.query)", (6, 6))
    for widget, head in zip(both, (1, 2), strict=True):
        widget.wait()
        row = sorted(kernel.value(f"c.weights(0, {head}, queries=6).tolist()"), reverse=True)
        listed = widget.numbers(f"Layer 0 · Head {head}")
        assert listed == pytest.approx(row[: len(listed)], abs=1e-6)
    b.token("query", 6).click()
    pinned(a, None)
    pinned(b, None)
    eventually(kernel, "(a.query, b.query)", (None, None))


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_the_keyboard_and_python_move_both(notebook, kernel, both, join):
    kernel.run(join)
    a, b = both
    b.token("query", 0).focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        notebook.page.keyboard.press(key)
    pinned(a, 2)
    pinned(b, 2)
    eventually(kernel, "(a.query, b.query)", (2, 2))
    kernel.run("a.query = 'tired'")
    for widget in both:
        pinned(widget, 6)
    eventually(kernel, "b.query", 6)
    kernel.run("b.query = 1")
    for widget in both:
        pinned(widget, 1)
    eventually(kernel, "a.query", 1)


def test_joined_in_the_page_they_move_while_the_kernel_is_busy(kernel, both):
    kernel.run(JOINS["ipywidgets.jslink"])
    a, b = both
    pinned(a, None)
    cell = kernel.begin("import time; time.sleep(20)")
    a.token("query", 3).click()
    pinned(b, 3)
    assert not cell.done(), "the kernel was free before the other widget had moved"
    cell.result(60)
    eventually(kernel, "(a.query, b.query)", (3, 3))
