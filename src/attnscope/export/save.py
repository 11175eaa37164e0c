"""Writing what is on screen to a file, by its suffix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnscope.errors import InputError
from attnscope.export import picture
from attnscope.export.html import page
from attnscope.export.series import MEASURES

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture


def save(
    capture: Capture, state: Mapping[str, Any], path: str | os.PathLike[str], other: Capture | None = None
) -> None:
    """Write a view of a capture to ``.html``, ``.png`` or ``.svg``.

    Raises
    ------
    InputError
        For another suffix.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".html":
        content = page(capture, state, other).encode()
    elif suffix == ".svg":
        content = picture.svg(capture, **shown(state)).encode()
    elif suffix == ".png":
        content = picture.png(capture, **shown(state), most_bytes=None)
    else:
        raise InputError(f"Cannot write {path.name!r}: the suffix decides what is written, .html, .png or .svg.")
    path.write_bytes(content)


SHOWN = (
    "kind", "view", "heads", "query", "key", "measure", "aggregate", "threshold", "special_tokens", "color_scale",
)  # fmt: skip


_NEAREST = {"grid": "matrix", "compare": "matrix"}


def shown(state: Mapping[str, Any], *, nearest: bool = False) -> dict[str, Any]:
    """Give the part of the state a picture shows.

    Parameters
    ----------
    nearest
        Take the nearest view and measure of which there is a still picture.

    Raises
    ------
    InputError
        For a view or a measure without a still picture.
    """
    view = {**{name: state[name] for name in SHOWN}, "theme": "dark" if state["theme"] == "dark" else "light"}
    if nearest:
        if view["view"] not in picture.VIEWS:
            view["view"] = _NEAREST.get(view["view"], "links")
        if view["measure"] not in MEASURES:
            view["measure"] = "weights"
    for name, still in (("view", picture.VIEWS), ("measure", MEASURES)):
        if view[name] not in still:
            raise InputError(
                f"There is no still picture of the {name} {view[name]!r}, only of {' and '.join(still)}. "
                f"Save it as .html, or set {name} to one of these first."
            )
    return view
