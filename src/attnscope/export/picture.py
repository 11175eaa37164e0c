"""A view as a still picture, for papers and for readers without widgets: SVG, PNG, and a sentence that says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

import resvg_py

from attnscope.errors import InputError
from attnscope.export.font import FILE
from attnscope.export.link_lines import MOST_LINKS
from attnscope.export.look import Look
from attnscope.export.pictures import PICTURES, VIEWS, Picture
from attnscope.export.scene import Scene
from attnscope.export.strength import one_of

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture

__all__ = ["VIEWS", "Drawing", "alt_text", "drawing", "has_view", "png", "rendered", "svg"]

LEAST_SCALE = 1.25
"""Smallest scale at which small letters are still sharp."""
FAINTEST_SCALE = 0.5
"""Smallest scale of pictures that cannot be made smaller otherwise."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A view drawn once, in all its forms.

    Parameters
    ----------
    scene
        What it is drawn from.
    """

    scene: Scene

    @cached_property
    def words(self) -> str:
        """What it shows, in a sentence; see :func:`alt_text`."""
        return _picture_of(self.scene).say(self.scene)

    @cached_property
    def svg(self) -> str:
        """The vectors; see :func:`svg`."""
        return _picture_of(self.scene).draw(self.scene, self.words).svg()

    def png(self, scale: float = 2, most_bytes: int | None = 200_000) -> bytes:
        """Draw it in pixels; see :func:`png`."""
        drawn, links = self, MOST_LINKS
        image = rendered(drawn.svg, scale)
        while most_bytes is not None and len(image) > most_bytes:
            if scale > LEAST_SCALE:
                scale = max(LEAST_SCALE, 0.95 * scale * (most_bytes / len(image)) ** 0.5)
            elif self.scene.look.view == "links" and links > 1:
                links //= 2
                drawn = drawn.with_links(links)
            elif scale > FAINTEST_SCALE:
                scale = max(FAINTEST_SCALE, 0.95 * scale * (most_bytes / len(image)) ** 0.5)
            else:
                break
            image = rendered(drawn.svg, scale)
        return image

    def with_links(self, most: int) -> Drawing:
        """Give the same with fewer links."""
        choices = {**self.scene.look.choices, "most_links": most}
        return Drawing(replace(self.scene, look=replace(self.scene.look, choices=choices)))


def drawing(capture: Capture, *, compare: Capture | None = None, **state: Any) -> Drawing:
    """Look up what :func:`svg` takes, to draw it once where several forms are needed."""
    return Drawing(Scene.of(capture, Look.of(state), compare))


def svg(capture: Capture, *, compare: Capture | None = None, **state: Any) -> str:
    """Draw a view as SVG: vectors and text, a few hundred kB at most whatever the number of tokens.

    Nothing in it is raster but what the image view shows the patches of.

    Parameters
    ----------
    capture
        What to show.
    compare
        What the view ``"compare"`` lays beside it.
    **state
        Any public trait of the widget, by its name, and ``choices``, what only the page knows; see
        :class:`attnscope.export.look.Look`.

    Raises
    ------
    InputError
        For an unknown setting, or a value it does not take, and for a view this capture does not have.
    NotFoundError
        For a kind, layer, head or position that is not there.
    """
    return drawing(capture, compare=compare, **state).svg


def png(
    capture: Capture,
    *,
    compare: Capture | None = None,
    scale: float = 2,
    most_bytes: int | None = 200_000,
    **state: Any,
) -> bytes:
    """Draw a view as PNG; takes what :func:`svg` takes.

    Latin, Greek and Cyrillic text is drawn in a font that comes along, so that a picture is the same on every machine;
    other scripts and emoji need a font of the system, and are boxes where there is none.

    Parameters
    ----------
    scale
        Pixels per CSS pixel.
    most_bytes
        A larger picture is drawn smaller, then with fewer links; None for no limit.
    """
    return drawing(capture, compare=compare, **state).png(scale, most_bytes)


def rendered(vectors: str, scale: float = 2, *, system_fonts: bool = True) -> bytes:
    """Turn an SVG into a PNG.

    Parameters
    ----------
    vectors
        The SVG.
    scale
        Pixels per CSS pixel.
    system_fonts
        Whether fonts of the system may stand in for characters that the bundled font lacks.
    """
    with resources.as_file(FILE) as path:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=vectors, zoom=scale, font_files=[str(path)], skip_system_fonts=not system_fonts
            )
        )


def alt_text(capture: Capture, *, compare: Capture | None = None, **state: Any) -> str:
    """Say in a sentence what a view shows: ``Layer 5, head 11 of MiniLM-L6: 'it' attends most to 'cat' (0.712)``.

    Takes what :func:`svg` takes.
    """
    return drawing(capture, compare=compare, **state).words


def has_view(capture: Capture, view: str, kind: str | None = None, other: Capture | None = None) -> bool:
    """Whether a capture has something to show in a view."""
    return view in PICTURES and PICTURES[view].fits(capture[kind or capture.kinds[0]], other)


def _picture_of(scene: Scene) -> Picture:
    view = scene.look.view
    one_of("view", view, VIEWS)
    if not PICTURES[view].fits(scene.attention, scene.other):
        raise InputError(f"This capture has nothing to show in the view {view!r}. {_WHY[view]}")
    return PICTURES[view]


_WHY = {
    "image": "It needs tokens that are patches of an image or times of a sound.",
    "compare": "It needs a second capture: compare=.",
}
