"""Writing what is on screen to a file, by its suffix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.export import picture
from attnscope.export.html import page
from attnscope.export.writing import write

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture


def save(
    capture: Capture,
    state: Mapping[str, Any],
    path: str | os.PathLike[str],
    other: Capture | None = None,
    *,
    scale: float = 2,
    megabytes: float | None = None,
) -> None:
    """Write a view of a capture to ``.html``, ``.png`` or ``.svg``.

    Parameters
    ----------
    capture
        What is shown.
    state
        The public traits; for pictures also ``choices``, what only the page knows.
    path
        Where to.
    other
        What it is compared with.
    scale
        Pixels per CSS pixel of a ``.png``.
    megabytes
        Room for the data of an ``.html``; None for all of it.

    Raises
    ------
    InputError
        For another suffix.
    TooLargeError
        When a browser could not open a page of all of it.
    """
    write(
        path,
        html=lambda: page(capture, state, other, megabytes=megabytes),
        svg=lambda: drawn(capture, state, other),
        png=lambda: picture.png(capture, compare=other, **shown(capture, state, other), scale=scale, most_bytes=None),
    )


def drawn(capture: Capture, state: Mapping[str, Any], other: Capture | None = None) -> str:
    """Draw what a state shows as SVG."""
    return picture.svg(capture, compare=other, **shown(capture, state, other))


def shown(capture: Capture, state: Mapping[str, Any], other: Capture | None = None) -> dict[str, Any]:
    """Give the part of the state a picture shows; where the view has nothing to show, the first, as on the page."""
    view = state.get("view", picture.VIEWS[0])
    if not picture.has_view(capture, view, state.get("kind"), other):
        view = picture.VIEWS[0]
    return {**state, "view": view, "theme": "dark" if state.get("theme") == "dark" else "light"}
