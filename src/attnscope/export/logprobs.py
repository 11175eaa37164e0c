"""Log-probabilities as a page of their own, as a picture, and as what stands in for their view."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from attnscope.export.html import page_of
from attnscope.export.logprobs_picture import LogprobsDrawing
from attnscope.export.picture import FAINTEST_SCALE, rendered
from attnscope.export.static import MOST_PAGE, SCALE, image, packed_text, standing_in
from attnscope.export.writing import write
from attnscope.wire.logprobs_pack import pack_logprobs

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from attnscope.attention.logprobs import TokenLogprobs

FILES = "strip-host.js", "strip.css"
MOST_PICTURE = 200_000
"""About as many bytes a picture beside a live view may take."""


def save(texts: Sequence[TokenLogprobs], state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a strip to ``.html``, ``.png`` or ``.svg``.

    Raises
    ------
    InputError
        For another suffix.
    """
    write(
        path,
        html=lambda: page(texts, state),
        svg=lambda: drawing(texts, state).svg,
        png=lambda: rendered(drawing(texts, state).svg),
    )


def page(texts: Sequence[TokenLogprobs], state: Mapping[str, Any]) -> str:
    """Make one interactive page of all texts."""
    return page_of(pack_logprobs(texts, state), texts[state["choice"]].model_name, FILES)


def drawing(texts: Sequence[TokenLogprobs], state: Mapping[str, Any]) -> LogprobsDrawing:
    """Draw what a state shows; light unless the theme is dark, since paper is."""
    theme = "dark" if state["theme"] == "dark" else "light"
    return LogprobsDrawing(texts, state["choice"], state["token"], theme)


def static_bundle(texts: Sequence[TokenLogprobs], state: Mapping[str, Any], mark: str) -> dict[str, str]:
    """Give the layers that stand beside the live view: ``image/png`` and ``text/html``, on a light background."""
    drawn = drawing(texts, {**state, "theme": "light"})
    png = rendered(drawn.svg, SCALE)
    if len(png) > MOST_PICTURE:
        png = rendered(drawn.svg, max(FAINTEST_SCALE, SCALE * (MOST_PICTURE / len(png)) ** 0.6))
    return {
        "image/png": base64.b64encode(png).decode("ascii"),
        "text/html": image(drawn, f' data-attnscope-picture="{mark}"'),
    }


def stand_in(texts: Sequence[TokenLogprobs], state: Mapping[str, Any], mark: str) -> str:
    """Give the HTML that stands beside a live view for the day it cannot be had: a page, where it is small enough."""
    packed = packed_text(page(texts, state))
    return standing_in(
        drawing(texts, {**state, "theme": "light"}), mark, packed if len(packed) <= MOST_PAGE else "", state
    )
