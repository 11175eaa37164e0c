"""One notebook host on screen: its page, the widget in it, and the Python behind it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playwright.sync_api import expect

from tests.browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.conftest import Visit
    from tests.browser.lab import Lab

HEADS = [[5, 3], [5, 11]]
PATIENCE = 60


class Python(Protocol):
    """Speaks with the Python that holds the widget ``w`` and its capture ``c``."""

    def run(self, code: str) -> None:
        """Run statements."""

    def value(self, expression: str) -> Any:
        """Give the value of an expression that is a literal when printed."""

    def close(self) -> None:
        """Leave it alone."""


def code(capture: str) -> str:
    """Write the cell every host runs."""
    return (
        f"from attnscope import AttentionWidget, load\nc = load({capture!r})\nw = AttentionWidget(c, heads={HEADS})\nw"
    )


@dataclass
class Host:
    """A host that shows the widget.

    Parameters
    ----------
    visit
        The page and its complaints.
    python
        The Python behind it.
    darken
        Turns the host's own theme dark for a while.
    cells
        Finds the notebook's cells, where it has any on screen.
    known, outside
        Parts of complaints, and of addresses asked for, that the host has without any widget.
    lab, frontend
        Where it opens notebooks, if it does; a place of its own for each where there are braces.
    """

    visit: Visit
    python: Python
    darken: Callable[[], Any]
    cells: str = ""
    known: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    lab: Lab | None = None
    frontend: str = ""

    @property
    def page(self) -> Any:
        """The page."""
        return self.visit.page

    @property
    def widget(self) -> Widget:
        """The widget, complete."""
        return Widget.on(self.page)

    def reset(self) -> None:
        """Show what was shown at first, in one message."""
        self.page.mouse.move(2, 2)
        self.python.run(
            "with w.hold_sync():\n"
            "    w.view, w.query, w.key, w.theme, w.layer = 'links', None, None, 'auto', 5\n"
            f"    w.heads = {HEADS}\n"
        )
        widget = self.widget
        expect(widget.tab("Links")).to_have_attribute("aria-selected", "true")
        expect(widget.root.locator('[aria-pressed="true"][data-side]')).to_have_count(0)
        expect(widget.root.locator('[role="gridcell"][data-layer][aria-selected="true"]')).to_have_count(len(HEADS))
        for layer, head in HEADS:
            expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
        widget.wait()

    def eventually(self, expression: str, wanted: object) -> None:
        """Ask Python until the page's message is in."""
        until = time.monotonic() + PATIENCE
        while (found := self.python.value(expression)) != wanted:
            if time.monotonic() > until:
                pytest.fail(f"{expression} is {found!r}, expected {wanted!r}")
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        """Give what went wrong or asked for the network, beyond what the host does by itself."""
        errors = [error for error in self.visit.errors if not any(part in error for part in self.known)]
        asked = [url for url in self.visit.refused if not any(part in url for part in self.outside)]
        return errors + asked

    @contextmanager
    def dark(self) -> Iterator[None]:
        """Have the host dark."""
        with contextmanager(self.darken)():
            yield
