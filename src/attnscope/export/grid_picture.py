"""All heads beside each other as a picture: a small heat map each, in the order asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export import frame
from attnscope.export.cells import runs_by_color
from attnscope.export.frame import MARGIN, WIDTH
from attnscope.export.grid_order import ROLES, order_of, role_name
from attnscope.export.headname import short_head_name, spoken_head_name
from attnscope.export.labels import fitted
from attnscope.export.palette import hexadecimal, ink_on, series_color
from attnscope.export.strength import between
from attnscope.export.words import counts
from attnscope.wire.answers.gallery import MOST_HEADS as AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.export.figure import Figure
    from attnscope.export.palette import Palette
    from attnscope.export.scene import Scene

LEAST, MOST, GAP, LINE = 34, 92, 6, 12
"""Pixels of a head's side, between heads, and of a line of text under one."""
MOST_HEADS = 400
MOST_CELLS, FINEST = 16_000, 48
"""Cells drawn in all, and most along a side: with more heads, each is drawn coarser."""
SHADES = 24


def grid_figure(scene: Scene, said: str) -> Figure:
    """Draw every head, each from 0 to its own largest weight."""
    order, palette = order_of(scene), scene.palette
    heads = order.heads[:MOST_HEADS]
    most = max(layer.n_heads for layer in scene.attention.stored.values())
    room = WIDTH - 2 * MARGIN
    fitting = room // most - GAP
    side = int(np.clip(fitting, LEAST, MOST))
    columns = most if fitting >= LEAST else (room + GAP) // (side + GAP)
    figure, top = frame.begin(scene, said, series=())
    side_cells = finest(len(heads))
    pictures = thumbnails(scene, heads, side_cells)
    cells: dict[tuple[str, float], list[tuple[float, float, float]]] = {}
    tall = max((round(side * _shape(cells_of)[1]) for cells_of in pictures), default=side)
    pitch = tall + GAP + 4 + LINE * (2 if order.said else 1)
    frames: list[tuple[tuple[int, int], tuple[float, float, float, float]]] = []
    for at, (head, picture) in enumerate(zip(heads, pictures, strict=True)):
        x, y = MARGIN + (at % columns) * (side + GAP), top + 8 + (at // columns) * pitch
        wide, high = (side * part for part in _shape(picture))
        figure.rect(x, y, wide, high, fill=palette.placeholder)
        for look, run in _runs((x, y), (wide / picture.shape[1], high / picture.shape[0]), picture, palette):
            cells.setdefault(look, []).append(run)
        frames.append((head, (x - 0.5, y - 0.5, wide + 1, high + 1)))
        figure.text(
            x, y + high + 11, fitted(short_head_name(scene.attention, head), 10, side + 4), size=10, fill=palette.faint
        )
        if order.said:
            role = order.roles[at] if order.roles else ""
            _paint_said(figure, (x, y + high + 12 + LINE), side, order.said[at], role, palette)
    # One path per colour, whatever the number of heads.
    for (color, thick), runs in sorted(cells.items()):
        figure.strokes(runs, color=color, thick=thick)
    chosen = {head: at for at, head in enumerate(head for one in scene.series for head in one.heads)}
    for head, box in frames:
        place = chosen.get(head)
        edge = palette.line if place is None else series_color(palette, place, len(chosen), ink=True)
        figure.rect(*box, stroke=edge, thick=1 if place is None else 3)
    rows = -(-len(heads) // columns)
    return frame.end(figure, top + rows * pitch, _note(scene, len(order.heads), order.note, side_cells), palette)


def say_grid(scene: Scene) -> str:
    """Say how many heads there are, and what their order shows."""
    order = order_of(scene)
    heads = [_lower(spoken_head_name(scene.attention, head)) for head in order.heads]
    begin = f"All {len(heads)} heads{scene.of_model} as small heat maps over {counts(scene)}"
    by = scene.look.order_by
    if order.roles:
        found = Counter(role for role in order.roles if role)
        named = ", ".join(f"{count} {role_name(role)}" for role, count in found.most_common())
        return f"{begin}, by role: {named or 'none has a clear one'}; {order.roles.count('')} without a clear role."
    if order.said:
        name = by.replace("_", " ")
        return f"{begin}, ordered by {name}: from {heads[0]} ({order.said[0]}) to {heads[-1]} ({order.said[-1]})."
    if by == "likeness":
        return f"{begin}, like heads beside each other, from {heads[0]} to {heads[-1]}."
    shown = order.heads[:MOST_HEADS]
    sharp = sum(float(np.nanmax(cells, initial=0)) >= 0.9 for cells in thumbnails(scene, shown, finest(len(shown))))
    of = "" if len(shown) == len(heads) else f" of the first {len(shown)}"
    return f"{begin}, layer by layer: {sharp}{of} have a weight of 0.9 or more."


def _lower(name: str) -> str:
    return f"layer{name[5:]}" if name.startswith("Layer ") else name


def finest(count: int) -> int:
    """Give the most cells along a side that so many heads may have."""
    return int(np.clip(np.sqrt(MOST_CELLS / max(1, count)), 4, FINEST))


def thumbnails(scene: Scene, heads: list[tuple[int, int]], cells: int) -> list[np.ndarray]:
    """Give the small heat maps of some heads."""
    asked = [list(map(list, heads[at : at + AT_ONCE])) for at in range(0, len(heads), AT_ONCE)]
    return [picture for some in asked for picture in scene.ask("overviews", heads=some, size=cells).values]


def _shape(picture: np.ndarray) -> tuple[float, float]:
    """Width and height of a head, as parts of the longer of them."""
    longest = max(picture.shape)
    return picture.shape[1] / longest, picture.shape[0] / longest


def _runs(
    corner: tuple[float, float], size: tuple[float, float], picture: np.ndarray, palette: Palette
) -> Iterator[tuple[tuple[str, float], tuple[float, float, float]]]:
    """Give the cells of a head by their colour and height: runs as left, middle and length."""
    most = max(float(np.nanmax(picture, initial=0)), 1e-9)
    for color, runs in runs_by_color(between(picture, 0, most, "linear"), palette.ramp, SHADES):
        for row, column, length in runs:
            run = corner[0] + column * size[0], corner[1] + (row + 0.5) * size[1], length * size[0]
            yield (color, size[1]), run


def _paint_said(
    figure: Figure, place: tuple[float, float], side: float, said: str, role: str, palette: Palette
) -> None:
    x, y = place
    if role:
        order = list(ROLES)
        rank = order.index(role) if role in order else len(order)
        color = palette.roles[(rank + len(order) + 1) % (len(order) + 1) % len(palette.roles)]
        figure.rect(x, y - 9, 10, 11, fill=hexadecimal(color))
        sign = ROLES.get(role, "?")
        figure.text(x + 5, y, sign, size=9, fill=ink_on(color), anchor="middle")
    left = 13 if role else 0
    figure.text(x + left, y, fitted(said, 10, side + 2 - left), size=10, fill=palette.ink)


def _note(scene: Scene, count: int, how: str, cells: int) -> list[str]:
    by = scene.look.order_by
    order = "" if by == "layer" else f"ordered by {by.replace('_', ' ')}"
    n = max(len(scene.attention.queries), len(scene.attention.keys))
    several = -(-n // cells)
    return [
        f"{count:,} heads" if count <= MOST_HEADS else f"{MOST_HEADS} of {count:,} heads shown",
        "each from 0 to its own largest weight",
        order,
        how,
        f"cells: largest of {several} × {several} tokens" if several > 1 else "",
    ]
