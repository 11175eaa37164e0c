"""What a reader without a live view sees: a picture with words for those who cannot see it, and a page of its own."""

from __future__ import annotations

import base64
import gzip
import html
from typing import TYPE_CHECKING, Any, Protocol

from attnscope.export import picture
from attnscope.export.html import inline, page_of
from attnscope.export.save import shown
from attnscope.wire.budget import compressed_within, work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture
    from attnscope.wire.budget import Embed

SCALE = 1.5
MOST_PAGE = 300_000
"""Most characters of the page beside a picture; what it stores is chosen to fit."""
QUICK = 1 << 24
"""Most multiplications spent on statistics of the heads while a reader waits."""


class Drawn(Protocol):
    """A picture, and what it shows in a sentence."""

    @property
    def svg(self) -> str:
        """The vectors."""

    @property
    def words(self) -> str:
        """What they show."""


def static_bundle(
    capture: Capture, state: Mapping[str, Any], other: Capture | None = None, mark: str = ""
) -> dict[str, str]:
    """Give the layers that stand beside the live view: ``image/png`` and ``text/html``, on a light background.

    The picture inside ``text/html`` is drawn by the reader's browser, which keeps it sharp and small; as an image it
    can hold nothing that runs.

    Parameters
    ----------
    capture
        What is shown.
    state
        The public traits.
    other
        What it is compared with.
    mark
        The widget's, by which its stand-in finds the picture.
    """
    drawn = picture.drawing(capture, **_view(capture, state, other))
    return {
        "image/png": base64.b64encode(drawn.png(SCALE)).decode("ascii"),
        "text/html": image(drawn, f' data-attnscope-picture="{mark}"' if mark else ""),
    }


def snapshot_bundle(capture: Capture, state: Mapping[str, Any], other: Capture | None = None) -> dict[str, str]:
    """Give the layers of a display without a live view: a picture, and where scripts run, a page in its place.

    The page runs in a frame that is closed off from the notebook, holds what fits in :data:`MOST_PAGE`, and says what
    it does not hold. Where scripts are taken out, the picture stays.
    """
    bundle = static_bundle(capture, state, other)
    page = _packed_page(capture, state, other)
    if page:
        bundle["text/html"] = _box("", page, state, bundle["text/html"])
    return bundle


def stand_in(
    capture: Capture, state: Mapping[str, Any], other: Capture | None, mark: str, embed: Embed = "auto"
) -> str:
    """Give the HTML that stands beside a live view for the day it cannot be had.

    While the view is there this hides itself. Where there is none, it opens a page like the one of a snapshot; where
    scripts are taken out, it is one line to unfold, with the picture in it.

    Parameters
    ----------
    mark
        The widget's.
    embed
        ``"none"`` for the picture alone, ``"selection"`` for a page that holds what is selected.
    """
    page = _packed_page(capture, state, other, embed)
    return standing_in(picture.drawing(capture, **_view(capture, state, other)), mark, page, state)


def standing_in(drawn: Drawn, mark: str, page: str, state: Mapping[str, Any]) -> str:
    """Give the HTML of a stand-in, from its picture and its packed page; empty for none."""
    folded = f"<details><summary>No view above? Here is a picture of it.</summary>{image(drawn)}</details>"
    return _box(f'data-attnscope-standin="{mark}" ', page, state, folded)


def words(capture: Capture, state: Mapping[str, Any], other: Capture | None = None) -> str:
    """Say what a view shows."""
    return picture.alt_text(capture, **_view(capture, state, other))


def _view(capture: Capture, state: Mapping[str, Any], other: Capture | None) -> dict[str, Any]:
    return {**shown(capture, state, other), "theme": "light", "compare": other}


def image(drawn: Drawn, attributes: str = "") -> str:
    """Give a drawing as an image that the reader's browser draws."""
    vectors = base64.b64encode(drawn.svg.encode()).decode("ascii")
    alt = html.escape(drawn.words, quote=True)
    return f'<img src="data:image/svg+xml;base64,{vectors}" alt="{alt}" style="max-width:100%"{attributes}>'


def _packed_page(capture: Capture, state: Mapping[str, Any], other: Capture | None, embed: Embed = "auto") -> str:
    """Compress a page that fits; empty where none does."""
    if embed == "none":
        return ""
    room = MOST_PAGE - len(packed_text(page_of(b"", capture.model_name)))
    packed = compressed_within(capture, state, other, megabytes=room / 1e6, embed=embed, judged=work(capture) <= QUICK)
    return "" if packed is None else packed_text(page_of(packed.data, capture.model_name))


def packed_text(page: str) -> str:
    """Compress a page to text."""
    return base64.b64encode(gzip.compress(page.encode(), compresslevel=9, mtime=0)).decode("ascii")


def _box(attributes: str, page: str, state: Mapping[str, Any], content: str) -> str:
    """Put a script beside a picture that opens a page in its place; ``js/src/standin.ts``."""
    given = f'{attributes}data-page="{page}" data-height="{int(state["height"]) + 2}"'
    return f"<div {given}>{content}<script>{inline('standin.js')}</script></div>"
