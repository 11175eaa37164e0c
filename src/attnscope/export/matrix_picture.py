"""Matrices as a picture: one heat map per head, masked cells hatched, with sums and a legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export import frame
from attnscope.export.cells import Grid, hatch_sign, paint_grid, pooled
from attnscope.export.frame import MARGIN, SCALED, WIDTH
from attnscope.export.links_picture import removed_note
from attnscope.export.measures import form_of, label_of
from attnscope.export.palette import colors_of, hexadecimal, series_color
from attnscope.export.strength import domain_of, in_domain

if TYPE_CHECKING:
    from attnscope.export.axis import Axis
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene
    from attnscope.export.series import Series

MOST_CELLS = 128
MOST_CELLS_EACH = 64
"""Most cells along a side, of one matrix alone and of each of several."""
MOST_PANELS = 4
_BARS = 36
"""Room for the sums of rows and of columns."""


def matrix_figure(scene: Scene, said: str) -> Figure:
    """Draw the matrix of each selected head, the last ``MOST_PANELS`` of them.

    The page may say which one ``only`` it shows, counted among what has a colour, and which ``queries`` and ``keys``
    are in its window.
    """
    series, palette = shown_series(scene), scene.palette
    windows = [np.arange(*scene.look.span(name, len(axis))) for name, axis in _axes(scene)]
    most = MOST_CELLS if len(series) == 1 else MOST_CELLS_EACH
    grids = [pooled(one, most, *windows) for one in series]
    measure, scale = scene.look.measure, scene.look.color_scale
    domain = domain_of(np.concatenate([grid.values.ravel() for grid in grids]), measure)
    across = 1 if len(grids) == 1 else 2
    sums = form_of(measure) == "share" and grids[0].is_exact
    room = (WIDTH - 2 * MARGIN - (across - 1) * 20) / across - (_BARS if sums else 0)
    figure, top = frame.begin(scene, said, colored=False, series=series if len(grids) == 1 else ())
    ramp = colors_of(palette, signed=form_of(measure) == "signed")
    bottom = y = top
    for at, (one, grid) in enumerate(zip(series, grids, strict=True)):
        x = MARGIN + (at % across) * (room + 20 + (_BARS if sums else 0))
        y = bottom if at % across == 0 else y
        if len(grids) > 1:
            index = scene.series.index(one)
            figure.rect(x, y + 3, 10, 10, fill=series_color(palette, index, len(scene.series)), radius=2)
            figure.text(x + 15, y + 12, one.name, size=12, fill=palette.ink)
        shades = in_domain(grid.values, domain, measure, scale)
        sides = scene.pinned["query"], scene.pinned["key"]
        box = paint_grid(figure, (x, y + (22 if len(grids) > 1 else 4)), room, grid, shades, ramp, sides, palette)
        if sums:
            _paint_sums(figure, box, one, grid, scene)
        bottom = max(bottom, box[1] + box[3] + (_BARS if sums else 0) + 10)
    end = frame.add_scale(figure, MARGIN, bottom + 6, ramp, domain, label_of(measure) + SCALED[scale], palette)
    if any(np.isnan(grid.values).any() for grid in grids):
        hatch_sign(figure, end + 22, bottom + 6, palette, hidden=not scene.look.special_tokens)
    return frame.end(figure, bottom + 20, _note(scene, series, grids[0], sums=sums), palette)


def shown_series(scene: Scene) -> list[Series]:
    """Give the heads that have a matrix."""
    only = scene.look.choices.get("only")
    if only is not None:
        return [scene.series[int(scene.look.number("only", 0, 0, len(scene.series) - 1))]]
    return list(scene.series[-MOST_PANELS:])


def _axes(scene: Scene) -> list[tuple[str, Axis]]:
    return [("queries", scene.queries), ("keys", scene.keys)]


def _paint_sums(figure: Figure, box: tuple[float, float, float, float], one: Series, grid: Grid, scene: Scene) -> None:
    """Draw bars for the sums of rows, to 1, and of columns, to the largest of them."""
    x, y, width, height = box
    rows = np.nansum(one.rows(grid.rows), axis=1)
    whole = np.nansum(one.rows(np.arange(len(scene.queries))), axis=0)
    columns, most = whole[grid.columns], max(float(whole.max(initial=0)), 1e-9)
    wide, tall = width / len(grid.columns), height / len(grid.rows)
    fill, thick = hexadecimal(scene.palette.ramp[2]), (min(10, max(1, wide / 2)), min(10, max(1, tall / 2)))
    for at, value in enumerate(rows):
        figure.rect(
            x + width + 6, y + (at + 0.5) * tall - thick[1] / 2, 26 * min(1, value), thick[1], fill=fill, opacity=0.75
        )
    for at, value in enumerate(columns):
        figure.rect(
            x + (at + 0.5) * wide - thick[0] / 2, y + height + 6, thick[0], 26 * value / most, fill=fill, opacity=0.75
        )


def _note(scene: Scene, series: list[Series], grid: Grid, *, sums: bool) -> list[str]:
    note = [f"{len(scene.queries):,} × {len(scene.keys):,}", "rows: queries (from), columns: keys (to)"]
    if not grid.is_exact:
        tall, wide = grid.spans
        what = "words" if scene.look.whole_words else "tokens"
        note.append(f"cells: largest of {tall} × {wide} {what} · labels: positions")
    elif len(grid.rows) < len(scene.queries) or len(grid.columns) < len(scene.keys):
        note.append(f"{len(grid.rows)} × {len(grid.columns)} of these shown")
    if len(series) < len(scene.series):
        note.append(f"{len(series)} of {len(scene.series)} heads")
    if sums:
        note.append("bars: sums of rows and columns")
    return [*note, removed_note(scene)]
