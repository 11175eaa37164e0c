"""Which links are drawn, and how strongly; js/src/views/links.ts and js/src/draw/links.ts have the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.measures import form_of
from attnscope.export.strength import row_strengths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.export.scene import Scene

MOST_LINKS = 2000
LEVELS = 14
_LOOKS = ((0.07, 0.3, 0.8, 1.2), (0.14, 0.3, 0.8, 2.4), (0.34, 0.54, 0.9, 5.4))
"""Opacity, what strength adds to it, width, and what strength adds to that: of the rest, of what belongs to a pinned
token, and of the links in question."""

Look = tuple[int, float, float, bool]
"""Series, width, opacity, and whether dashed."""


def found_lines(scene: Scene, queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Find the links of a window of queries and keys from the threshold up.

    Returns
    -------
    ndarray, int
        float64 [links, 6]: emphasis, strength, series, row and column in the window, and 1 where the number is
        negative, the weakest first; at most ``most_links`` of the state's choices, and how many there are.
    """
    look, found = scene.look, []
    form = form_of(look.measure)
    mine = np.isin(queries, scene.pinned["query"])[:, None]
    theirs = np.isin(keys, scene.pinned["key"])[None, :]
    if scene.pinned["query"] and scene.pinned["key"]:
        emphasis = (mine & theirs) * 1 + (mine | theirs) * 1
    else:
        emphasis = (mine | theirs) * 2
    for index, one in enumerate(scene.series):
        values = one.rows(queries)
        strength = row_strengths(values, look.measure, look.color_scale)[:, keys]
        level = values[:, keys] if form == "share" else strength
        rows, columns = np.nonzero((level >= look.threshold) & (level != 0))
        negative = (values[:, keys] < 0) & (form == "signed")
        of = rows, columns
        found.append(np.stack([emphasis[of], strength[of], np.full(len(rows), index), *of, negative[of]], axis=1))
    links = np.concatenate(found)
    most = int(look.number("most_links", MOST_LINKS, 0, MOST_LINKS))
    order = np.lexsort((links[:, 1], links[:, 0]))
    return links[order[len(order) - min(most, len(order)) :]], len(links)


def looks(lines: np.ndarray, *, quiet: bool) -> Iterator[tuple[Look, list[tuple[int, int]]]]:
    """Give links of one look together, as row and column, in the order they are painted.

    Parameters
    ----------
    quiet
        Whether something is pinned, so that the rest steps back.
    """
    level = np.minimum(LEVELS - 1, np.floor(lines[:, 1] * LEVELS))
    for emphasis, (alpha, gain, width, swell) in enumerate(_LOOKS):
        fade = 0.5 if quiet and emphasis == 0 else 1.0
        for series in np.unique(lines[:, 2]):
            for dashed in (False, True):
                own = (lines[:, 0] == emphasis) & (lines[:, 2] == series) & (lines[:, 5] == dashed)
                for at in np.unique(level[own]):
                    strength = (at + 0.5) / LEVELS
                    opacity = fade * (alpha + gain * min(1, strength * 1.3))
                    links = [(int(row), int(column)) for row, column in lines[own & (level == at), 3:5]]
                    yield (int(series), width + swell * strength, round(opacity, 3), dashed), links
