"""What must work in every host: one script of actions, each on the widget as the host shows it."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.hosts.kept import opens_without_its_kernel, shows_the_picture_to_others
from tests.browser.hosts.looks import differences
from tests.browser.widget import Widget, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.browser.hosts.host import Host

IT, CAT = 8, 2


class Feature(NamedTuple):
    """Something a host must let the widget do.

    Parameters
    ----------
    name
        Its name in the README's table.
    act
        Does it, and fails where it does not work.
    reasons
        Why some hosts are not held to it.
    """

    name: str
    act: Callable[[Host], None]
    reasons: Mapping[str, str] = MappingProxyType({})


def paints(host: Host) -> None:
    widget = host.widget
    expect(widget.root.locator('[data-status="live"]')).to_be_visible()
    is_whole(host)
    inked = Image.open(io.BytesIO(widget.root.locator(".links canvas").screenshot())).convert("RGB")
    assert len(inked.getcolors(1 << 24)) > 16
    box = widget.root.bounding_box()
    assert box["height"] == pytest.approx(480, abs=1)
    assert box["width"] > 700
    assert widget.root.evaluate("root => root.scrollWidth <= root.clientWidth")


def looks_as_alone(host: Host) -> None:
    """No rule of the host's reaches into the widget, and none of ours out of it."""
    found = differences(host)
    assert not found, "\n".join(found)


def hovering_lights_links(host: Host) -> None:
    widget = host.widget
    canvas = widget.root.locator(".links canvas")
    before = canvas.screenshot()
    widget.token("query", IT).hover()
    expect(widget.inspector.get_by_role("heading", level=3).first).to_have_text(re.compile("hovered", re.IGNORECASE))
    widget.wait()
    assert canvas.screenshot() != before
    same_numbers(host, 5, 11)
    assert host.python.value("w.query") is None
    host.page.mouse.move(2, 2)
    expect(widget.token("query", IT)).not_to_have_class(re.compile("hovered"))
    widget.wait()
    assert canvas.screenshot() == before


def a_click_pins_in_python(host: Host) -> None:
    widget = host.widget
    widget.token("query", IT).click()
    host.eventually("w.query", IT)
    same_numbers(host, 5, 11)
    widget.token("query", IT).click()
    host.eventually("w.query", None)
    widget.token("key", CAT).click()
    host.eventually("(w.query, w.key)", (None, CAT))


def a_head_chosen_is_chosen_in_python(host: Host) -> None:
    widget = host.widget
    widget.head(4, 7).click()
    host.eventually("(w.heads, w.layer)", ([[4, 7]], 4))
    widget.head(5, 11).click(modifiers=["Shift"])
    host.eventually("w.heads", [[4, 7], [5, 11]])


def python_moves_the_page(host: Host) -> None:
    widget = host.widget
    host.python.run("w.layer = 2")
    expect(widget.head(2, 3)).to_have_attribute("aria-selected", "true")
    assert widget.selected() == [(2, 3), (2, 11)]
    host.python.run("w.query = 'it'")
    expect(widget.token("query", IT)).to_have_attribute("aria-pressed", "true")
    same_numbers(host, 2, 11)
    host.python.run("w.view = 'matrix'")
    expect(widget.tab("Matrix")).to_have_attribute("aria-selected", "true")
    host.python.run("w.theme = 'dark'")
    expect(widget.root).to_have_attribute("data-theme", "dark")


def other_heads_come_on_demand(host: Host) -> None:
    """In binary replies, with the capture's own numbers."""
    host.python.run(
        "sent, w.send = [], lambda content, buffers=(): (sent.extend(buffers), type(w).send(w, content, buffers))"
    )
    widget = host.widget
    widget.token("query", IT).click()
    for layer, head in ((0, 0), (3, 6)):
        widget.head(layer, head).click()
        expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
        same_numbers(host, layer, head)
    host.python.run("del w.send")
    assert host.python.value("sum(len(buffer) for buffer in sent)") >= 2 * 4 * len(host.python.value("c.tokens"))


def a_large_reply_arrives_whole(host: Host) -> None:
    """Of 512 × 512 numbers, 1 MB, for another capture in the same widget."""
    host.python.run(
        "import numpy as np\n"
        "from attnscope import from_queries_keys\n"
        "random = np.random.default_rng(0)\n"
        "q, k = ([random.normal(size=(2, 512, 8)).astype(np.float32)] for _ in range(2))\n"
        "large = from_queries_keys(q, k, [f't{i}' for i in range(512)])\n"
        "with w.hold_sync():\n"
        "    w.capture, w.view, w.heads = large, 'matrix', [[0, 1]]\n"
    )
    widget = told(host, "512 tokens")
    expect(widget.tab("Matrix")).to_have_attribute("aria-selected", "true")
    widget.wait()
    cell = widget.matrix_cell()
    cell.focus()
    for key in ("PageUp", "Home", "ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        host.page.keyboard.press(key)
    host.eventually("(w.query, w.key)", (1, 2))
    widget.wait()
    shown = exact(widget.inspector.locator("[data-weight]").first)
    assert shown == pytest.approx(host.python.value("float(large.weights(0, 1, queries=1, keys=2))"), abs=1e-7)
    host.python.run("w.capture = c")
    told(host, "13 tokens")


def the_keyboard_alone_is_enough(host: Host) -> None:
    """And the host hears none of its keys, of which some mean something to it."""
    widget, keyboard = host.widget, host.page.keyboard
    cells = host.page.locator(host.cells).count() if host.cells else 0
    host.page.evaluate("window.heard = []; addEventListener('keydown', ({ key }) => heard.push(key))")
    widget.token("query", 0).focus()
    for _ in range(IT):
        keyboard.press("ArrowDown")
    expect(widget.token("query", IT)).to_be_focused()
    keyboard.press("Enter")
    host.eventually("w.query", IT)
    for key in ("a", "b", "d", "d", "x", "z", "m"):
        keyboard.press(key)
    keyboard.press("Escape")
    host.eventually("w.query", None)
    widget.head(5, 11).focus()
    for key in ("ArrowUp", "ArrowLeft", "Enter"):
        keyboard.press(key)
    host.eventually("w.heads", [[4, 10]])
    widget.tab("Links").focus()
    keyboard.press("ArrowRight")
    host.eventually("w.view", "matrix")
    keyboard.press("/")
    find = widget.root.get_by_role("searchbox", name="Find token")
    expect(find).to_be_focused()
    keyboard.type("mat")
    expect(find).to_have_value("mat")
    assert host.page.evaluate("heard") == []
    if host.cells:
        assert host.page.locator(host.cells).count() == cells


def the_theme_follows_the_host(host: Host) -> None:
    """And the view stays whole, though some hosts hide the page while they change."""
    expect(host.widget.root).to_have_attribute("data-theme", "light")
    with host.dark():
        expect(host.page.locator(".attnscope").first).to_have_attribute("data-theme", "dark")
        assert lightness(host) < 0.2
        is_whole(host)
    expect(host.widget.root).to_have_attribute("data-theme", "light")
    assert lightness(host) > 0.9
    is_whole(host)


def saves_to_one_file(host: Host) -> None:
    """By Python, one page that opens alone; by the button, a drawing of the kernel's or the pixels on screen."""
    save = host.widget.root.get_by_role("button", name="Save this view as a picture")
    with host.page.expect_download() as drawing:
        save.click()
    assert drawing.value.path().read_text(encoding="utf-8").startswith("<svg")
    with host.page.expect_download() as pixels:
        save.click(modifiers=["Shift"])
    assert Image.open(pixels.value.path()).format == "PNG"
    path = Path(host.python.value("__import__('tempfile').mkdtemp()")) / "page.html"
    host.python.run(f"w.query = 'it'; w.save({str(path)!r})")
    alone = host.page.context.new_page()
    alone.goto(path.as_uri())
    shown = Widget.on(alone)
    weights = host.python.value("c.weights(5, 11, queries=8).tolist()")
    listed = shown.numbers("Layer 5 · Head 11")
    np.testing.assert_allclose(listed, sorted(weights, reverse=True)[: len(listed)], atol=1e-5)
    alone.close()


def nothing_complains(host: Host) -> None:
    """No error in the page and no request to the network, over all that was done."""
    assert host.complaints() == []


ALWAYS_LIVE = "shows a notebook only by running it"
VSCODE_KEEPS = (
    "the extension has its loading of saved widgets switched off, and hands the output to the next renderer, that of "
    "`text/html`; neither is in the package that is tested"
)
COLAB_KEEPS = "Colab itself, which is not tested, would have to be saved and opened again"

FEATURES = [
    Feature("paints", paints),
    Feature("looks as in a page of its own", looks_as_alone),
    Feature("hover lights links", hovering_lights_links),
    Feature("pin → Python", a_click_pins_in_python),
    Feature("heads → Python", a_head_chosen_is_chosen_in_python),
    Feature("Python → page", python_moves_the_page),
    Feature("other heads on demand, in binary replies", other_heads_come_on_demand),
    Feature("a reply of 1 MB", a_large_reply_arrives_whole),
    Feature("keyboard alone, and the host hears none of it", the_keyboard_alone_is_enough),
    Feature("theme follows the host", the_theme_follows_the_host),
    Feature("saves a page and a picture", saves_to_one_file),
    Feature(
        "saved, opened without its kernel",
        opens_without_its_kernel,
        {"VS Code": VSCODE_KEEPS, "marimo": ALWAYS_LIVE, "Voila": ALWAYS_LIVE, "Colab": COLAB_KEEPS},
    ),
    Feature(
        "picture where widgets are refused",
        shows_the_picture_to_others,
        {"VS Code": VSCODE_KEEPS, "marimo": ALWAYS_LIVE, "Voila": ALWAYS_LIVE, "Colab": COLAB_KEEPS},
    ),
    Feature("no errors and no network, but for the host's own", nothing_complains),
]


def same_numbers(host: Host, layer: int, head: int) -> None:
    """Hold what the inspector lists for the pinned token to the capture."""
    host.widget.wait()
    listed = host.widget.numbers(f"Layer {layer} · Head {head}")
    weights = host.python.value(f"c.weights({layer}, {head}, queries={IT}).tolist()")
    assert len(listed) >= 4
    np.testing.assert_allclose(listed, sorted(weights, reverse=True)[: len(listed)], atol=1e-6)


def is_whole(host: Host) -> None:
    """Both columns of tokens stand in their places."""
    widget = host.widget
    panel, query, key = (
        place.bounding_box()
        for place in (widget.root.get_by_role("tabpanel"), widget.token("query", IT), widget.token("key", IT))
    )
    assert panel["x"] <= query["x"] < query["x"] + query["width"] < key["x"] < panel["x"] + panel["width"]
    assert min(query["width"], key["width"]) > 50


def told(host: Host, about: str) -> Widget:
    """Wait until another capture is shown whole."""
    root = host.page.locator(".attnscope").first
    expect(root.locator(":scope > .topbar .about")).to_contain_text(about)
    return Widget.on(host.page)


def lightness(host: Host) -> float:
    """How light the widget's corner is."""
    shot = Image.open(io.BytesIO(host.page.locator(".attnscope").first.screenshot())).convert("L")
    return shot.getpixel((shot.width // 2, shot.height - 6)) / 255
