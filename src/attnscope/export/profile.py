"""A profile as a page of its own, as a picture, and as what stands in for its view."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from attnscope.export.html import page_of
from attnscope.export.picture import rendered
from attnscope.export.profile_picture import ProfileDrawing
from attnscope.export.static import MOST_PAGE, SCALE, image, packed_text, standing_in
from attnscope.export.writing import write
from attnscope.wire.profile_pack import pack_profile

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from attnscope.profiling.head_profile import HeadProfile
    from attnscope.profiling.reading import Texts

FILES = "profile-host.js", "profile.css"
MOST_STORED = 32_000_000
"""Most bytes of numbers of strongest texts, and most characters of texts, in a page of its own."""
STEPS = (1_000_000, 300_000, 100_000, 30_000, 0)


def save(
    profile: HeadProfile, state: Mapping[str, Any], path: str | os.PathLike[str], texts: Texts | None = None
) -> None:
    """Write a view of a profile to ``.html``, ``.png`` or ``.svg``.

    Raises
    ------
    InputError
        For another suffix.
    """
    write(
        path,
        html=lambda: page(profile, state, texts),
        svg=lambda: svg(profile, state),
        png=lambda: rendered(svg(profile, state)),
    )


def page(profile: HeadProfile, state: Mapping[str, Any], texts: Texts | None = None, most: int = MOST_STORED) -> str:
    """Make one interactive page of a profile."""
    return page_of(pack_profile(profile, state, texts, most=most), profile.model_name, FILES)


def svg(profile: HeadProfile, state: Mapping[str, Any]) -> str:
    """Draw what a state shows as SVG."""
    return ProfileDrawing(profile, state).svg


def static_bundle(profile: HeadProfile, state: Mapping[str, Any], mark: str) -> dict[str, str]:
    """Give the layers that stand beside the live view: ``image/png`` and ``text/html``, on a light background."""
    drawn = ProfileDrawing(profile, {**state, "theme": "light"})
    return {
        "image/png": base64.b64encode(rendered(drawn.svg, SCALE)).decode("ascii"),
        "text/html": image(drawn, f' data-attnscope-picture="{mark}"'),
    }


def stand_in(profile: HeadProfile, state: Mapping[str, Any], mark: str, texts: Texts | None = None) -> str:
    """Give the HTML that stands beside a live view for the day it cannot be had, with as much in it as fits."""
    drawn = ProfileDrawing(profile, {**state, "theme": "light"})
    for most in STEPS:
        packed = packed_text(page(profile, state, texts, most))
        if len(packed) <= MOST_PAGE:
            return standing_in(drawn, mark, packed, state)
    return standing_in(drawn, mark, "", state)
