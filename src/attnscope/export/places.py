"""Where tokens lie in an image or a sound; js/src/views/image-model.ts has the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention
    from attnscope.attention.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Place:
    """One image, frame or sound.

    Parameters
    ----------
    tokens
        int [places].
    boxes
        float64 [places, 4]: left, top, width and height of each, as parts of the whole.
    rows, columns
        Of its grid.
    seconds
        Length of a sound; None for images.
    """

    tokens: np.ndarray
    boxes: np.ndarray
    rows: int
    columns: int
    seconds: float | None


def has_places(attention: Attention) -> bool:
    """Whether a kind of attention has patches or times to show."""
    return _placed(attention.queries) or _placed(attention.keys)


def side_of(attention: Attention) -> str:
    """Give the side whose tokens lie in the image: the keys where they do."""
    return "key" if _placed(attention.keys) else "query"


def places_of(tokens: Tokens) -> list[Place]:
    """Split tokens into images: a grid that changes, or starts again, is another image."""
    if tokens.patches is not None and (tokens.patches[:, 0] >= 0).any():
        return _images(tokens, tokens.patches)
    return [] if tokens.times is None else _sound(tokens.times)


def _placed(tokens: Tokens) -> bool:
    patches = tokens.patches is not None and bool((tokens.patches[:, 0] >= 0).any())
    return patches or (tokens.times is not None and bool((~np.isnan(tokens.times)).any()))


def _images(tokens: Tokens, patches: np.ndarray) -> list[Place]:
    groups: list[list[int]] = []
    grid, seen = (0, 0), set[int]()
    for token, (row, column, rows, columns) in enumerate(patches.tolist()):
        if row < 0:
            continue
        if not groups or grid != (rows, columns) or row * columns + column in seen:
            groups.append([])
            grid, seen = (rows, columns), set()
        seen.add(row * columns + column)
        groups[-1].append(token)
    return [_image(tokens, patches, np.array(group)) for group in groups]


def _image(tokens: Tokens, patches: np.ndarray, group: np.ndarray) -> Place:
    row, column, rows, columns = patches[group].T.astype(float)
    if tokens.times is not None:
        # A spectrogram's low bands stand at the bottom.
        timed = ~np.isnan(tokens.times[group]).any(axis=1)
        row = np.where(timed, rows - 1 - row, row)
    boxes = np.stack([column / columns, row / rows, 1 / columns, 1 / rows], axis=1)
    return Place(group, boxes, int(rows[0]), int(columns[0]), None)


def _sound(times: np.ndarray) -> list[Place]:
    tokens = np.flatnonzero(~np.isnan(times).any(axis=1))
    if not tokens.size or not (seconds := float(times[tokens, 1].max())):
        return []
    start, stop = times[tokens].T.astype(float) / seconds
    boxes = np.stack([start, np.zeros_like(start), stop - start, np.ones_like(start)], axis=1)
    return [Place(tokens, boxes, 1, len(tokens), seconds)]
