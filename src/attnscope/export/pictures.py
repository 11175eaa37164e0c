"""The still pictures there are, one per view: how each is drawn, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnscope.export.compare_picture import compare_figure, say_compare
from attnscope.export.flow_picture import flow_figure, say_flow
from attnscope.export.grid_picture import grid_figure, say_grid
from attnscope.export.image_picture import image_figure, say_image
from attnscope.export.links_picture import links_figure
from attnscope.export.matrix_picture import matrix_figure
from attnscope.export.places import has_places
from attnscope.export.steps_picture import say_steps, steps_figure
from attnscope.export.text_picture import text_figure
from attnscope.export.words import say_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.attention.capture import Attention, Capture
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene


@dataclass(frozen=True)
class Picture:
    """One view as a still picture.

    Parameters
    ----------
    draw
        Draws it, given what a screen reader says.
    say
        Says what it shows.
    fits
        Whether a capture has it, given the kind of attention and what it is compared with.
    """

    draw: Callable[[Scene, str], Figure]
    say: Callable[[Scene], str]
    fits: Callable[[Attention, Capture | None], bool] = lambda _attention, _other: True


PICTURES: dict[str, Picture] = {
    "links": Picture(links_figure, say_rows),
    "matrix": Picture(matrix_figure, say_rows),
    "grid": Picture(grid_figure, say_grid),
    "text": Picture(text_figure, say_rows),
    "steps": Picture(steps_figure, say_steps),
    "flow": Picture(flow_figure, say_flow),
    "image": Picture(image_figure, say_image, lambda attention, _other: has_places(attention)),
    "compare": Picture(compare_figure, say_compare, lambda _attention, other: other is not None),
}
VIEWS = tuple(PICTURES)
