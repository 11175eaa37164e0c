"""Every view on every kind of model: it opens, is complete, is reached with the keyboard, and axe finds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.samples import SAMPLES
from tests.browser.test_accessibility import complaints
from tests.browser.test_export import ERROR, opened

if TYPE_CHECKING:
    from tests.browser.widget import Widget

EVERYWHERE = ["Links", "Matrix", "Grid", "Text", "Steps", "Flow"]
"""Views that fit every capture of one text; the image and the comparison need something to show."""


@pytest.fixture(params=SAMPLES, ids=lambda name: name)
def capture(request):
    return SAMPLES[request.param]()


def tabs_of(widget: Widget) -> list[str]:
    return [tab.inner_text() for tab in widget.root.get_by_role("tab").all() if tab.is_visible()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_opens_complete_and_axe_finds_nothing(page, tmp_path, axe, capture, theme):
    widget = opened(page, tmp_path, capture, query=2, theme=theme)
    tabs = tabs_of(widget)
    seen = ["Image"] if capture.tokens_of()[0].patches is not None else []
    assert tabs == [*EVERYWHERE, *seen]
    for name in tabs:
        widget.tab(name).click()
        expect(widget.tab(name)).to_have_attribute("aria-selected", "true")
        widget.wait()
        assert complaints(page, axe) == [], name


def test_the_arrow_keys_walk_through_the_views_and_each_has_a_place_for_the_focus(page, tmp_path, capture):
    widget = opened(page, tmp_path, capture, query=2)
    tabs = tabs_of(widget)
    widget.tab("Links").focus()
    for name in [*tabs[1:], tabs[0]]:
        page.keyboard.press("ArrowRight")
        expect(widget.tab(name)).to_be_focused()
        expect(widget.tab(name)).to_have_attribute("aria-selected", "true")
        widget.wait()
        inside = widget.root.get_by_role("tabpanel").locator('[tabindex="0"], button, select, input')
        assert inside.count() > 0, name


def test_every_kind_of_attention_has_every_view(page, tmp_path):
    capture = SAMPLES["encoder-decoder"]()
    widget = opened(page, tmp_path, capture)
    kinds = widget.root.get_by_label("Kind of attention")
    for kind in capture.kinds:
        kinds.select_option(kind)
        for name in tabs_of(widget):
            widget.tab(name).click()
            widget.wait()
            expect(widget.root.locator(".message")).to_have_text("")


def test_the_inspector_says_the_same_number_in_every_view(page, tmp_path, capture):
    layer, head = capture[capture.kinds[0]].layers[-1], 1
    widget = opened(page, tmp_path, capture, query=2, heads=[[layer, head]])
    row = np.sort(capture.weights(layer, head, queries=2))[::-1]
    for name in tabs_of(widget):
        widget.tab(name).click()
        widget.wait()
        listed = widget.numbers(f"Layer {layer} · Head {head}")
        np.testing.assert_allclose(listed, row[: len(listed)], atol=ERROR)
