"""Doing with a view what ``html_action`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.compat.page import page_of
from attnscope.errors import InputError
from attnscope.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnscope.attention.capture import Capture

ACTIONS = ("view", "return", "widget")
MOST_INPUTS = 16
"""Inputs shown below each other; more are refused."""


def require_action(html_action: str) -> None:
    """Refuse an unknown action before any work is done."""
    if html_action not in ACTIONS:
        raise InputError(
            f"html_action is 'view' (display it), 'return' (an HTML object) or 'widget' (the live AttentionWidget), "
            f"got {html_action!r}."
        )


def theme_of(display_mode: str) -> str:
    """Check ``display_mode``, which is a theme."""
    if display_mode not in ("dark", "light"):
        raise InputError(f"display_mode is 'dark' or 'light', got {display_mode!r}.")
    return display_mode


def require_few(inputs: int, name: str) -> None:
    """Refuse more inputs than anybody looks through."""
    if inputs > MOST_INPUTS:
        raise InputError(
            f"{name} holds {inputs} inputs; up to {MOST_INPUTS} are shown below each other. Give some of them: "
            f"[layer[:{MOST_INPUTS}] for layer in {name}], and their tokens."
        )


class Unseen(AttentionWidget):
    """A widget of which no front end hears, since only its page is wanted: anywidget cannot bear one closed at once."""

    def open(self) -> None:
        """Open no comm."""


def show(captures: Sequence[Capture], make: Callable[[Capture], dict[str, Any]], html_action: str) -> Any:
    """Show every capture.

    Parameters
    ----------
    captures
        One per input.
    make
        Gives the traits to start a capture's widget with.
    html_action
        ``"view"`` displays and gives None; ``"return"`` gives an IPython ``HTML`` object with all of them;
        ``"widget"`` gives the widget, or a list of them where there are several inputs.
    """
    if html_action == "return":
        return page_of([Unseen(capture, **make(capture)) for capture in captures])
    widgets = [AttentionWidget(capture, **make(capture)) for capture in captures]
    if html_action == "widget":
        return widgets if len(widgets) > 1 else widgets[0]
    from IPython.display import display

    for widget in widgets:
        display(widget)  # type: ignore[no-untyped-call]  # IPython has no types
    return None
