"""Which numbers lie over an image, and which stand beside it; js/src/views/image.ts has the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.measures import form_of
from attnscope.export.places import Place, places_of, side_of
from attnscope.export.strength import between, ranks

if TYPE_CHECKING:
    from attnscope.export.scene import Scene


@dataclass(frozen=True, eq=False)
class Looked:
    """What is shown over and beside one image.

    Parameters
    ----------
    place
        The image.
    number, count
        Which of how many.
    side
        The side whose tokens lie in it.
    pin_side, pin_word_side
        The side on which a patch, and a word beside it, is pinned.
    asker
        The token of the other side whose numbers these are; None where none is in question.
    values, strengths
        Per patch: its number, and how strongly it is drawn; NaN where masked.
    domain
        The numbers at the ends of the colours.
    words, word_side, word_values
        Tokens beside the image, their side, and their numbers, none where no patch is in question.
    """

    place: Place
    number: int
    count: int
    side: str
    pin_side: str
    pin_word_side: str
    asker: int | None
    values: np.ndarray
    strengths: np.ndarray
    domain: tuple[float, float]
    words: np.ndarray
    word_side: str
    word_values: np.ndarray


def looked_at(scene: Scene) -> Looked:
    """Read the numbers of the head selected last."""
    same = scene.is_one_text
    towards = scene.look.flag("towards", default=False)
    side = ("query" if towards else "key") if same else side_of(scene.attention)
    other = "key" if side == "query" else "query"
    places = places_of(scene.axis(side).tokens)
    number = int(scene.look.number("number", 0, 0, len(places) - 1))
    place, one = places[number], scene.series[-1]
    asker = _active(scene, other, side, same=same)
    whole = np.full(len(scene.axis(side)), np.nan) if asker is None else one.together(other, [asker])
    values = whole[scene.axis(side).unit_of[place.tokens]]
    word_side = side if same else other
    if same:
        numbers = whole
    else:
        patch = scene.pinned[side][:1]
        numbers = one.together(side, patch) if patch else np.empty(0)
    words = np.arange(len(scene.axis(word_side)))
    if same:
        placed = np.concatenate([scene.axis(side).unit_of[each.tokens] for each in places])
        words = np.setdiff1d(words, placed)
    domain = _domain(values, scene.look.measure)
    scale = scene.look.color_scale
    strengths = ranks(values, values) if scale == "rank" else between(values, *domain, scale)
    return Looked(
        place, number, len(places), side, other if same else side, other, asker, values, strengths, domain, words,
        word_side, numbers[words] if len(numbers) else numbers,
    )  # fmt: skip


def _active(scene: Scene, side: str, image_side: str, *, same: bool) -> int | None:
    """Give what is in question on a side: what is pinned, or a first choice."""
    if scene.pinned[side]:
        return scene.pinned[side][0]
    if not same and side == image_side:
        return None
    axis = scene.axis(side)
    if same:
        return len(axis) - 1 if scene.attention.is_causal and side == "query" else 0
    return int(np.argmin(axis.special)) if not axis.special.all() else 0


def _domain(values: np.ndarray, measure: str) -> tuple[float, float]:
    """From no number to the most here; numbers with a sign have zero in the middle."""
    seen = values[np.isfinite(values)]
    least, most = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    form = form_of(measure)
    if form == "share":
        return 0.0, max(most, 1e-9)
    size = max(abs(least), abs(most))
    return (-size, size) if form == "signed" else (least, most)
