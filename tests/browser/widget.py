"""What a reader can do with a widget on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class Widget:
    """One display of a widget.

    Parameters
    ----------
    root
        The element with the class ``attnscope``.
    """

    def __init__(self, root: Locator) -> None:
        self.root = root

    @classmethod
    def on(cls, page: Page, nth: int = 0) -> Widget:
        """Find a display and wait until it is complete."""
        widget = cls(page.locator(".attnscope").nth(nth))
        widget.wait()
        return widget

    def wait(self) -> None:
        """Wait until all that is shown is complete; sizes and scrolling are noticed with the next frame."""
        self.root.page.evaluate("() => new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
        expect(self.root).to_have_attribute("data-ready", "true", timeout=60_000)

    def token(self, side: str, index: int) -> Locator:
        """A token of one side."""
        return self.root.locator(f'[data-side="{side}"][data-index="{index}"]')

    def head(self, layer: int, head: int) -> Locator:
        """A cell of the head map."""
        return self.root.locator(f'[data-layer="{layer}"][data-head="{head}"]')

    def tab(self, name: str) -> Locator:
        """The tab of a view."""
        return self.root.get_by_role("tab", name=name, exact=True)

    @property
    def inspector(self) -> Locator:
        """The right rail."""
        return self.root.get_by_role("region", name="Inspector")

    def listed(self, head: str) -> list[tuple[str, float]]:
        """What the inspector lists under a head's name: tokens and their exact numbers."""
        section = self.inspector.locator("section").filter(has=self.root.page.get_by_text(head, exact=True))
        expect(section.locator("[data-weight]").first).to_be_attached()
        self.wait()
        rows = section.get_by_role("listitem").evaluate_all(
            "rows => rows.map(row => [row.querySelector('span').innerText,"
            " row.querySelector('[data-weight]').dataset.weight])"
        )
        return [(token, float(weight)) for token, weight in rows]

    def numbers(self, head: str) -> list[float]:
        """The exact numbers the inspector lists under a head's name."""
        return [number for _, number in self.listed(head)]

    def selected(self) -> list[tuple[int, int]]:
        """The heads selected in the head map, in reading order, read at once: the map is painted a frame later."""
        self.wait()
        cells = self.root.locator('[role="gridcell"][data-layer][aria-selected="true"]')
        read = "cells => cells.map(cell => [Number(cell.dataset.layer), Number(cell.dataset.head)])"
        return [(layer, head) for layer, head in cells.evaluate_all(read)]

    def resting_box(self, part: Locator) -> dict[str, float]:
        """Where a part of the widget is once nothing moves any more."""
        self.wait()
        return part.bounding_box()

    def matrix_cell(self) -> Locator:
        """The cell of the matrix where the keyboard is."""
        return self.root.get_by_role("grid", name="Attention matrix").get_by_role("gridcell")


def exact(number: Locator) -> float:
    """Read a number as exactly as the page knows it."""
    return float(number.get_attribute("data-weight"))
